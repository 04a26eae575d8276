"""Captures what the node gets for one image, and writes it as a small bag."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.serialization import serialize_message

from metric_depth_ros import messages
from metric_depth_ros.bags.writer import BagWriter
from metric_depth_ros.config import changed
from metric_depth_ros.config.parameter_file import BESIDE_BAG
from metric_depth_ros.errors import InputError
from metric_depth_ros.nodes.image_input import Pair
from metric_depth_ros.nodes.inputs import Inputs
from metric_depth_ros.stamps import jumps_back
from metric_depth_ros.transforms import StampedTransform

# Clouds older than this are not waited for: an image is saved after at most so long.
_LONGEST_S = 5.0
# After an image its clouds and transforms have so much longer than the node itself waits for them.
_MARGIN_S = 0.2
_MOST_BYTES = 500_000_000
_TF = "tf2_msgs/msg/TFMessage"


@dataclass(frozen=True)
class Message:
    """Serialised message with its topic, type, and wall time of arrival."""

    topic: str
    kind: str
    data: bytes
    recorded_ns: int
    latched: bool = False


@dataclass(frozen=True)
class Captured:
    """One image with all that belongs to it, ready to be written.

    Attributes:
        stamp_ns: of the image.
        messages: the image, its companions, and what came on the other topics around it.
        transforms: newest transform of every frame when the capture began, and that time.
        parameters: the settings as a parameter file.
        options: of ``metric_depth run``, which choose the topics.
    """

    stamp_ns: int
    messages: tuple[Message, ...]
    transforms: tuple[list[StampedTransform], int]
    parameters: str
    options: tuple[str, ...]


class Capture:
    """Follows the topics of a node from now on until one image has all that can belong to it.

    Clouds and transforms may have come before their image: the first image counts that comes when they have
    been followed for as long as the oldest cloud of an image may be old. Use in the executor's thread.

    Attributes:
        before_s: how long that is.
    """

    def __init__(self, node: Node, inputs: Inputs) -> None:
        self._node, self._inputs = node, inputs
        config = inputs.config
        self._topics, self._anchors_topic = inputs.images.topics, inputs.anchors.topics[0]
        self.before_s = min(inputs.anchors.oldest_s, _LONGEST_S)
        self._after_s = config.sync.max_wait_s + config.extrinsics.tf_timeout_s + _MARGIN_S
        self._messages: list[Message] = []
        self._begin()
        self._subscriptions = [*map(self._follow, self._others())]
        inputs.listeners.append(self._on_pair)

    def destroy(self) -> None:
        """Ends the subscriptions, and drops what came."""
        self._messages, self._pair = [], None
        if self._on_pair in self._inputs.listeners:
            self._inputs.listeners.remove(self._on_pair)
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())

    @property
    def has_image(self) -> bool:
        """Whether the image has come."""
        return self._pair is not None

    def sample(self) -> Captured | None:
        """The image with what belongs to it, or None if that has not all come yet.

        Raises:
            InputError: too much comes.
        """
        if self._size > _MOST_BYTES:
            raise InputError(f"more than {_MOST_BYTES / 1e9:g} GB came around one image; needed less.")
        if self._pair is None or time.monotonic() < self._complete_s:
            return None
        stamp_ns, began = messages.stamp_ns(self._pair.image), (self._known, self._began_ns)
        return Captured(stamp_ns, tuple(self._messages), began, self._parameters(), self._options())

    def _on_pair(self, pair: Pair) -> None:
        """Takes an image with its companions."""
        stamp_ns = messages.stamp_ns(pair.image)
        if jumps_back(self._last_ns, stamp_ns):
            self._begin()
        self._last_ns = stamp_ns
        if self._pair is None and time.monotonic() >= self._began_s + self.before_s:
            self._pair, self._complete_s = pair, time.monotonic() + self._after_s
            given = zip(self._topics, (pair.image, pair.camera_info, pair.regions), strict=False)
            for topic, message in given:
                self._keep(topic, type_name(type(message)), False, serialize_message(message))

    def _begin(self) -> None:
        """Begins anew, as time has begun anew."""
        self._began_s, self._began_ns, self._last_ns = time.monotonic(), time.time_ns(), 0
        self._known = self._inputs.transforms.newest()
        # What is latched does not come again.
        self._messages = [each for each in self._messages if each.latched]
        self._size = sum(len(each.data) for each in self._messages)
        self._pair: Pair | None = None
        self._complete_s = 0.0

    def _others(self) -> Iterable[Any]:
        """The node's subscriptions of other topics, each with each durability once."""
        paired = {*self._topics}
        own = [each for each in self._node.subscriptions if each.topic_name not in paired]
        return {(each.topic_name, each.qos_profile.durability): each for each in own}.values()

    def _follow(self, other: Any) -> Any:
        """A subscription beside one of the node's own, of serialised messages."""
        latched = other.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        keep = partial(self._keep, other.topic_name, type_name(other.msg_type), latched)
        return self._node.create_subscription(
            other.msg_type, other.topic_name, keep, other.qos_profile, raw=True
        )

    def _keep(self, topic: str, kind: str, latched: bool, data: bytes) -> None:
        if self._size <= _MOST_BYTES:
            self._messages.append(Message(topic, kind, data, time.time_ns(), latched))
            self._size += len(data)

    def _parameters(self) -> str:
        """The settings as a ROS 2 parameter file, with the topics of sources as they are in the bag."""
        values = {
            name: value for name, value in changed(self._inputs.config).items() if name != "save.folder"
        }
        for name, value in values.items():
            if name.startswith("sources.") and name.endswith((".topic", ".camera_info")) and value:
                values[name] = self._node.resolve_topic_name(value)
        return str(yaml.safe_dump({"/**": {"ros__parameters": values}}))

    def _options(self) -> tuple[str, ...]:
        topics = dict(zip(("--image", "--camera-info", "--regions"), self._topics, strict=False))
        if not self._inputs.config.sources:
            topics["--anchors"] = self._anchors_topic
        moving = [each.topic for each in self._messages if each.kind == _TF and not each.latched]
        if moving and moving[0] != "/tf":
            topics["--tf"] = moving[0]
        return tuple(word for pair in topics.items() for word in pair)


def type_name(kind: type) -> str:
    """Name of a message class as ROS has it, "sensor_msgs/msg/Image"."""
    if kind.__name__ == "TFMessage":  # the stand-in's class is another's child
        return _TF
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def folder_of(setting: str) -> Path:
    """Folder that ``save.folder`` names."""
    home = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros")
    return Path(setting).expanduser() if setting else home / "metric_depth"


def write(sample: Captured, folder: Path) -> Path:
    """Writes a sample as a new bag in the folder, with its parameter file; returns its path.

    Nothing is left of a bag that cannot be finished.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    now = datetime.now(timezone.utc)
    path = folder / f"sample_{now:%Y%m%d_%H%M%S}_{now.microsecond:06d}"
    try:
        with BagWriter(path) as bag:
            transforms, began_ns = sample.transforms
            bag.write_tf([each for each in transforms if each[3]], began_ns)
            bag.write_tf_static([each for each in transforms if not each[3]], began_ns)
            for each in sorted(sample.messages, key=lambda message: message.recorded_ns):
                bag.write_raw(each.topic, each.kind, each.data, each.recorded_ns, latched=each.latched)
            bag.attach(BESIDE_BAG, sample.parameters)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; needed a folder to write to.") from error
    return path


def command(sample: Captured, path: Path) -> str:
    """Command that computes the depth of the saved image."""
    words = ["metric_depth", "run", str(path), "--config", str(path / BESIDE_BAG), *sample.options]
    return shlex.join(words)

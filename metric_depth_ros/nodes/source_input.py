"""Subscribes one source of anchors, by the type that its publisher has."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from metric_depth_ros import messages
from metric_depth_ros.config import Config, SourceConfig
from metric_depth_ros.errors import ConfigError, MetricDepthError
from metric_depth_ros.health.clocks import Heard
from metric_depth_ros.health.input_watch import SILENCE_S
from metric_depth_ros.health.status import ERROR, OK, WARN, Health
from metric_depth_ros.nodes.ends import why_silent
from metric_depth_ros.nodes.interfaces import message_class
from metric_depth_ros.nodes.qos import overridable, refuse_own
from metric_depth_ros.sync import Source
from metric_depth_ros.types import Cloud

_REMEMBERED = 100  # clouds whose times are compared with those of the images


class SourceInput:
    """Topic of one source of anchors.

    Attributes:
        name: of the source.
        source: buffer of its clouds; another one from when its type is found to be another.
        topic: resolved name of its topic.
        refused: why its last message, or its topic, cannot be used; empty: it can.
        heard: times of its last clouds.
    """

    def __init__(
        self, node: Node, name: str, config: Config, health: Health, on_cloud: Callable[[Source, Cloud], None]
    ) -> None:
        """``on_cloud`` gets every good cloud, and adds it to the buffer.

        Raises ConfigError if its topics are outputs of this node.
        """
        self._node, self._health, self._on_cloud = node, health, on_cloud
        self.name, self.refused = name, ""
        self.heard: deque[Heard] = deque(maxlen=_REMEMBERED)
        self._settings = config.sources.get(name, SourceConfig(topic="anchors"))
        # The one topic without a name prevents depth if it cannot be used; others may serve instead.
        self._named = name in config.sources
        self._fault, self._level = (f"cloud {name}", WARN) if self._named else ("cloud", ERROR)
        self._camera_of: messages.CameraOf | None = None
        self._subscriptions: list[Any] = []
        # Mostly right, and else corrected as soon as there is a publisher.
        auto = self._settings.type == "auto"
        self._subscribe("point_cloud2" if auto else self._settings.type, config)

    def find_type(self, config: Config) -> None:
        """Subscribes anew if the topic's publishers have another type; reports one that cannot be used."""
        found = {info.topic_type for info in self._node.get_publishers_info_by_topic(self.topic)}
        if not found or (self._subscriptions and messages.SENSOR_TYPES[self.source.kind] in found):
            return
        kind = next(filter(None, map(messages.sensor_type, sorted(found))), None)
        if kind is not None and self._settings.type == "auto":
            # Fast DDS frees a topic some time after its last subscription; then the next look does it.
            with suppress(RuntimeError):
                try:
                    self._subscribe(kind, config)
                except ConfigError as error:
                    self._refuse(str(error))
                else:
                    self._health.log(self._fault, OK, f"source {self.name}: {self.describe()}")
        else:
            self._refuse(messages.wrong_type(self.name, self._settings.type, self.topic, sorted(found)[0]))

    def drop_in_silence(self) -> None:
        """Once its sensor is silent, drops the clouds that no image from now on would use."""
        if self._health.since_s(f"{self.name} in" if self._named else "clouds in") > SILENCE_S:
            self.source.ring.keep_newest()

    def silence(self) -> str | None:
        """That nothing has come from a named source for longer than a message of it serves, or None."""
        if not self._named or self.refused:
            return None
        serves_s = max(SILENCE_S, self.source.ring.config.max_cloud_age_s)
        return self.why_silent() if self._health.since_s(f"{self.name} in") >= serves_s else None

    def why_silent(self) -> str:
        """Why nothing comes of it, and what to do."""
        what = f"source {self.name}" if self._named else "anchors"
        return why_silent(self._node, what, self.topic, self._fix("topic"))

    def forget_after(self, stamp_ns: int) -> None:
        """After a jump back in time, drops what is too new for an image of this stamp."""
        self.heard.clear()
        self.source.ring.forget_after(stamp_ns)

    def tell_clock(self, ahead_s: float) -> None:
        """Reports that messages were stamped far ahead of images that came later, and are dropped."""
        self._health.report(
            f"clock {self.name}",
            WARN,
            f"source {self.name}: stamped up to {ahead_s:+.3f} s ahead of images that came later; that is "
            "dropped. Check the clock of its driver.",
        )

    def forget(self) -> None:
        """Drops all clouds, and what is known of their frames."""
        self.heard.clear()
        self.source.forget()

    def describe(self) -> str:
        """The source in words: its type and topic, and why it cannot be used."""
        publishers = self._node.count_publishers(self.topic)
        words = f"{self.source.kind} on {self.topic} ({publishers} publishers)"
        return f"{words}. Last refused: {self.refused}" if self.refused else words

    def destroy(self) -> None:
        """Ends the subscriptions."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())

    def _subscribe(self, kind: str, config: Config) -> None:
        topic, info_topic = self._settings.topic, self._settings.camera_info
        refuse_own(self._node, f"source {self.name}", topic, self._fix("topic"))
        if kind in messages.NEED_CAMERA:
            info_topic = info_topic or messages.camera_info_beside(self._node.resolve_topic_name(topic))
            refuse_own(self._node, f"source {self.name}", info_topic, self._fix("camera_info"))
        self.destroy()
        self.source = Source(self.name, kind, config)
        measured = self._node.create_subscription(
            message_class(messages.SENSOR_TYPES[kind]),
            topic,
            self._on_message,
            **overridable(ReliabilityPolicy.BEST_EFFORT),
        )
        self.topic = measured.topic_name
        self._subscriptions = [measured]
        if kind in messages.NEED_CAMERA:
            # Calibrations come with every image, or once for all that subscribe later.
            self._subscriptions += [
                self._node.create_subscription(CameraInfo, info_topic, self._on_camera_info, **quality)
                for quality in (
                    overridable(ReliabilityPolicy.BEST_EFFORT, depth=1),
                    overridable(ReliabilityPolicy.RELIABLE, depth=1, second_latched=True),
                )
            ]

    def _fix(self, key: str) -> str:
        """How to name another topic of this source."""
        if self._named:
            return f"set sources.{self.name}.{key}"
        return (
            "remap anchors" if key == "topic" else "name the source in anchors.sources, with its camera_info"
        )

    def _on_camera_info(self, msg: Any) -> None:
        self._camera_of = partial(messages.read_depth_camera, msg, self.topic)

    def _on_message(self, msg: Any) -> None:
        self._health.count("clouds in")
        if self._named:
            self._health.count(f"{self.name} in")
        try:
            cloud = self.source.read(msg, self._camera_of)
        except MetricDepthError as error:
            self._refuse(str(error))
            return
        self._health.clear(self._fault)
        self.refused = ""
        self.heard.append(Heard(cloud.stamp_ns, time.monotonic_ns()))
        self._on_cloud(self.source, cloud)

    def _refuse(self, reason: str) -> None:
        self.refused = reason
        named = reason if reason.startswith("source ") or not self._named else f"source {self.name}: {reason}"
        self._health.report(self._fault, self._level, named)

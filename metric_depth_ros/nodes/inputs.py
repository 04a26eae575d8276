"""All inputs of the node while it is active, and the sample that they give for an image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node

from metric_depth_ros import messages
from metric_depth_ros.config import Config
from metric_depth_ros.health import findings
from metric_depth_ros.health.status import WARN, Health
from metric_depth_ros.motion import Places
from metric_depth_ros.nodes.anchor_input import AnchorInput
from metric_depth_ros.nodes.image_input import ImageInput, Pair, read_any_image
from metric_depth_ros.nodes.parameter_topic import description_topic, focus_topic
from metric_depth_ros.nodes.transform_input import TransformInput
from metric_depth_ros.pipeline import MetricDepthPipeline
from metric_depth_ros.samples import build_sample, read_picture
from metric_depth_ros.types import Sample


class Inputs:
    """Subscribes images, anchors, transforms, focus and description.

    Attributes:
        images: with their camera_info.
        anchors: all sources.
        transforms: tf.
        config: the settings.
        listeners: called with every image, too.
        active: whether it still subscribes.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        health: Health,
        on_pair: Callable[[Pair], None],
        on_jump: Callable[[], None],
    ) -> None:
        """``on_pair`` gets images with their camera_info; ``on_jump`` is called when time jumps back.

        Raises ConfigError if a topic is an output of this node.
        """
        self.config, self._health, self._on_pair, self._on_jump = config, health, on_pair, on_jump
        self.listeners: list[Callable[[Pair], None]] = []
        self.active = True
        self._log = node.get_logger()
        self._stretch = messages.Stretch()
        self._motion = ""  # how clouds of the last image were moved
        self._parts: list[Any] = []
        try:
            self.transforms = self._add(TransformInput(node, health, config.extrinsics.tf_timeout_s))
            self.anchors = self._add(AnchorInput(node, config, health))
            self.images = self._add(
                ImageInput(node, config, health, on_pair=self._take, on_jump=self._forget_after)
            )
            self._focus = self._add(focus_topic(node, refused=partial(health.report, "focus", WARN)))
            self._description = self._add(
                description_topic(node, refused=partial(health.report, "description", WARN))
            )
        except Exception:
            self.destroy()
            raise
        note = findings.taken_as_rectified(config.input.rectification, self.images.topic)
        if note is not None:
            self._log.info(note)

    def destroy(self) -> None:
        """Ends all subscriptions, and all waits for their messages."""
        self.active = False
        while self._parts:
            self._parts.pop().destroy()

    def configure(self, config: Config) -> None:
        """Takes new settings, from the next image on."""
        self.anchors.configure(config)
        self.transforms.timeout_s = config.extrinsics.tf_timeout_s
        if config.solver.focus_m != self.config.solver.focus_m:
            self._focus.source = "parameter"
            self._health.clear("focus")
        if config.solver.description != self.config.solver.description:
            self._description.source = "parameter"
            self._health.clear("description")
        self.config = config

    def fault(self) -> tuple[str, int, str] | None:
        """Key, level and text of what is missing now, or None. Call it periodically."""
        return self.images.watch.fault()

    def values(self) -> dict[str, str]:
        """Diagnostic values: where focus and description came from, the fixed frame, and each source."""
        told = {"focus from": self._focus.source, "description from": self._description.source}
        told["fixed frame"] = self._motion
        return told | self.anchors.values()

    def sample(self, pair: Pair, pipeline: MetricDepthPipeline) -> Sample:
        """All inputs of one image. Call it in a worker's thread: it waits for clouds and transforms.

        Raises MetricDepthError if one is missing or unusable.
        """
        config = self.config
        stamp_ns, frame_id = messages.stamp_ns(pair.image), messages.frame_id(pair.image)
        self._stretch.clip_percent = config.input.clip_percent
        decode = partial(read_any_image, stretch=self._stretch)
        picture = read_picture(pair.image, pair.camera_info, self.images.topic, config.input, decode)
        if picture.note is not None:
            self._log.info(picture.note, once=True)
        twice = findings.rectified_twice(config.input.rectification, self.images.topic, picture.camera)
        self._health.doubt(twice)
        came_s, optional = pair.received_s, pipeline.needs_no_points
        chosen = self.anchors.clouds_for(stamp_ns, came_s, optional=optional)
        places = Places(frame_id, stamp_ns, self.transforms, config)
        sample = build_sample(picture, chosen, pair.regions, places, self.anchors.refuse)
        self._motion = places.words
        if not places.in_full:
            self._health.count("images with motion left out")
        return sample

    def forget(self) -> None:
        """Forgets all that came, whatever its stamp, but calibrations and what does not move."""
        self.images.forget()
        self.anchors.forget()
        self.transforms.forget()
        self._stretch = messages.Stretch()

    def _take(self, pair: Pair) -> None:
        for listener in self.listeners:
            listener(pair)
        self._on_pair(pair)

    def _add(self, part: Any) -> Any:
        self._parts.append(part)
        return part

    def _forget_after(self, stamp_ns: int) -> None:
        """Forgets newer data when time jumps back: a bag loops, or a simulation restarts."""
        self.anchors.forget_after(stamp_ns)
        self.transforms.forget_after(stamp_ns)
        self._on_jump()

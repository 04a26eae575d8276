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
from metric_depth_ros.nodes.anchor_input import AnchorInput
from metric_depth_ros.nodes.image_input import ImageInput, Pair, read_any_image
from metric_depth_ros.nodes.parameter_topic import description_topic, focus_topic
from metric_depth_ros.nodes.transform_input import TransformInput
from metric_depth_ros.pipeline import MetricDepthPipeline
from metric_depth_ros.sync import T_fixed_camera, all_points, gather_sources, points_up
from metric_depth_ros.types import Sample


class Inputs:
    """Subscribes images, anchors, transforms, focus and description."""

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
        self._config, self._health, self._on_jump = config, health, on_jump
        self._log = node.get_logger()
        self._stretch = messages.Stretch()
        self._parts: list[Any] = []
        try:
            self._transforms = self._add(TransformInput(node, health, config.extrinsics.tf_timeout_s))
            self._anchors = self._add(AnchorInput(node, config, health))
            self._images = self._add(
                ImageInput(node, config, health, on_pair=on_pair, on_jump=self._forget_after)
            )
            self._focus = self._add(focus_topic(node, refused=partial(health.report, "focus", WARN)))
            self._description = self._add(
                description_topic(node, refused=partial(health.report, "description", WARN))
            )
        except Exception:
            self.destroy()
            raise
        note = findings.taken_as_rectified(config.input.rectification, self._images.topic)
        if note is not None:
            self._log.info(note)

    def destroy(self) -> None:
        """Ends all subscriptions, and all waits for their messages."""
        while self._parts:
            self._parts.pop().destroy()

    def configure(self, config: Config) -> None:
        """Takes new settings, from the next image on."""
        self._anchors.configure(config)
        self._transforms.timeout_s = config.extrinsics.tf_timeout_s
        if config.solver.focus_m != self._config.solver.focus_m:
            self._focus.source = "parameter"
            self._health.clear("focus")
        if config.solver.description != self._config.solver.description:
            self._description.source = "parameter"
            self._health.clear("description")
        self._config = config

    def fault(self) -> tuple[str, int, str] | None:
        """Key, level and text of what is missing now, or None. Call it periodically."""
        return self._images.watch.fault()

    def values(self) -> dict[str, str]:
        """Diagnostic values: where focus and description came from, and each source in words."""
        told = {"focus from": self._focus.source, "description from": self._description.source}
        return told | self._anchors.values()

    def sample(self, pair: Pair, pipeline: MetricDepthPipeline) -> Sample:
        """All inputs of one image. Call it in a worker's thread: it waits for clouds and transforms.

        Raises MetricDepthError if one is missing or unusable.
        """
        config = self._config
        stamp_ns, frame_id = messages.stamp_ns(pair.image), messages.frame_id(pair.image)
        self._stretch.clip_percent = config.input.clip_percent
        image = read_any_image(pair.image, self._stretch)
        rectified = messages.is_rectified(config.input.rectification, self._images.topic)
        told = {
            "image_size": (image.shape[1], image.shape[0]),
            "stereo_offset": config.input.stereo_offset,
        }
        camera = messages.read_camera(pair.camera_info, rectified=rectified, **told)
        if note := messages.offset_left_out(pair.camera_info, config.input.stereo_offset):
            self._log.info(note, once=True)
        self._health.doubt(findings.rectified_twice(config.input.rectification, self._images.topic, camera))
        came_s, optional = pair.received_s, pipeline.needs_no_points
        chosen = self._anchors.clouds_for(stamp_ns, came_s, optional=optional)
        sources = gather_sources(chosen, frame_id, stamp_ns, self._transforms, config, self._anchors.refuse)
        return Sample(
            image,
            camera,
            all_points(sources),
            stamp_ns,
            frame_id,
            tuple(sorted(cloud.stamp_ns for _, clouds in chosen for cloud in clouds)),
            rectification=None if rectified else messages.read_rectification(pair.camera_info, **told),
            regions=None if pair.regions is None else messages.read_labels(pair.regions),
            T_fixed_camera=T_fixed_camera(frame_id, stamp_ns, self._transforms, config),
            points_up=points_up(chosen, frame_id, stamp_ns, self._transforms, config),
            sources=sources,
        )

    def _add(self, part: Any) -> Any:
        self._parts.append(part)
        return part

    def _forget_after(self, stamp_ns: int) -> None:
        """Forgets newer data when time jumps back: a bag loops, or a simulation restarts."""
        self._anchors.forget_after(stamp_ns)
        self._transforms.forget_after(stamp_ns)
        self._on_jump()

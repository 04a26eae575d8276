"""Shows what a running metric_depth_node publishes, with its anchors, in Rerun."""

from __future__ import annotations

import time
from collections import defaultdict
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from metric_depth_ros import messages
from metric_depth_ros.config import Config
from metric_depth_ros.drawing.viewer import Viewer
from metric_depth_ros.health.status import Health
from metric_depth_ros.motion import Places
from metric_depth_ros.nodes.anchor_input import AnchorInput
from metric_depth_ros.nodes.log import log_fault
from metric_depth_ros.nodes.qos import overridable
from metric_depth_ros.nodes.transform_input import TransformInput
from metric_depth_ros.nodes.worker import PATIENCE_S, NewestWorker
from metric_depth_ros.sync import gather_sources

# What is shown together, and the topics it comes from.
_NEEDED = {"depth": (Image, "depth/image_rect"), "camera": (CameraInfo, "depth/camera_info"),
           "image": (Image, "depth/image_rect_color")}  # fmt: skip
# Images whose parts are waited for; older ones are given up.
_WAITING = 10
_STAGE = "_ms p50/p95/p99"


class ViewerNode(Node):
    """Subscribes depth, its image, camera_info, sigma and info, diagnostics, anchors and tf.

    Attributes:
        shown: number of depth images that were shown.
    """

    def __init__(self, viewer: Viewer, config: Config) -> None:
        """``config``: settings of the node that is looked at, for its sources of anchors."""
        super().__init__("metric_depth_view")
        self._viewer, self._config, self.shown = viewer, config, 0
        self._parts: dict[int, dict[str, Any]] = defaultdict(dict)
        self._health = Health(partial(log_fault, self.get_logger()))
        self._transforms = TransformInput(self, self._health, config.extrinsics.tf_timeout_s)
        self._anchors = AnchorInput(self, config, self._health)
        self._worker = NewestWorker(self._show, name="show")
        for name, (kind, topic) in _NEEDED.items():
            self._subscribe(kind, topic, partial(self._collect, name))
        self._subscribe(Image, "depth/sigma", self._on_sigma)
        self._subscribe(DiagnosticArray, "depth/info", self._on_info)
        self._subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics)
        self._worker.start()

    def destroy_node(self) -> None:
        """Ends the subscriptions and the thread that shows."""
        self._anchors.destroy()
        self._transforms.destroy()
        self._worker.stop(PATIENCE_S)
        super().destroy_node()

    def _subscribe(self, kind: type, topic: str, callback: Any) -> None:
        self.create_subscription(kind, topic, callback, **overridable(ReliabilityPolicy.BEST_EFFORT))

    def _collect(self, name: str, message: Any) -> None:
        """Keeps a part of an image until all are there."""
        stamp_ns = messages.stamp_ns(message.header)
        parts = self._parts[stamp_ns]
        parts[name] = message
        if len(parts) == len(_NEEDED):
            self._worker.put((stamp_ns, dict(parts)))
        for old in list(self._parts)[:-_WAITING]:
            del self._parts[old]

    def _show(self, task: tuple[int, dict[str, Any]]) -> None:
        stamp_ns, parts = task
        with self._health.reporting_failures():
            depth, image = messages.read_depth(parts["depth"]), messages.read_image(parts["image"])
            camera = messages.read_camera(parts["camera"], rectified=True, image_size=image.shape[1::-1])
            frame_id = messages.frame_id(parts["depth"].header)
            places = Places(frame_id, stamp_ns, self._transforms, self._config)
            self._viewer.at(stamp_ns)
            self._viewer.image(image, camera)
            self._viewer.depth(depth)
            self.shown += 1
            if places.T_fixed_camera is not None:
                self._viewer.place(places.T_fixed_camera)
            self._viewer.cloud(depth, image, camera)
            chosen = self._anchors.clouds_for(stamp_ns, time.monotonic(), optional=True)
            for source in gather_sources(chosen, places, self._anchors.refuse):
                self._viewer.source(source.name, source.points, camera)

    def _on_sigma(self, message: Any) -> None:
        stamp_ns = messages.stamp_ns(message.header)
        depth = self._parts.get(stamp_ns, {}).get("depth")
        with self._health.reporting_failures():
            if depth is not None:
                self._viewer.at(stamp_ns)
                self._viewer.sigma(messages.read_depth(depth), messages.read_depth(message))

    def _on_info(self, message: Any) -> None:
        told = {pair.key: pair.value for status in message.status for pair in status.values}
        self._viewer.at(messages.stamp_ns(message.header))
        self._viewer.told(told)

    def _on_diagnostics(self, message: Any) -> None:
        told = {pair.key: pair.value for status in message.status for pair in status.values}
        stages = {
            name[: -len(_STAGE)]: float(told[name].split("/")[0]) for name in told if name.endswith(_STAGE)
        }
        self._viewer.values("stages", stages)

"""What the node publishes of an image: depth, its camera_info, sigma and the cloud."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from metric_depth_ros import messages
from metric_depth_ros.config import CloudConfig, Config
from metric_depth_ros.nodes.outgoing import fill_camera_info, fill_cloud, fill_image
from metric_depth_ros.nodes.qos import overridable
from metric_depth_ros.pipeline import Result
from metric_depth_ros.sync import cloud_is_due


class Outputs:
    """The publishers; sigma and the cloud are made for subscribers alone. One thread publishes."""

    def __init__(self, node: Node) -> None:
        def advertise(kind: type, topic: str) -> Any:
            return node.create_publisher(kind, topic, **overridable(ReliabilityPolicy.RELIABLE))

        self._depth = advertise(Image, "depth/image_rect")
        self._camera_info = advertise(CameraInfo, "depth/camera_info")
        self._sigma = advertise(Image, "depth/sigma")
        self._cloud = advertise(PointCloud2, "depth/points")
        self._last_cloud_ns: int | None = None

    def publish(self, result: Result, config: Config) -> None:
        """All of one result, with the image's stamp and frame."""
        header = {"stamp_ns": result.stamp_ns, "frame_id": result.frame_id}
        depth = messages.depth_fields(result.metric.depth, config.output.encoding)
        self._depth.publish(fill_image(depth, **header))
        self._camera_info.publish(fill_camera_info(messages.camera_info_fields(result.camera), **header))
        if result.metric.sigma is not None and self._sigma.get_subscription_count() > 0:
            self._sigma.publish(fill_image(messages.depth_fields(result.metric.sigma, "32FC1"), **header))
        due = cloud_is_due(self._last_cloud_ns, result.stamp_ns, config.cloud.rate_hz)
        if due and self._cloud.get_subscription_count() > 0:
            self._last_cloud_ns = result.stamp_ns
            self._cloud.publish(fill_cloud(_cloud_of(result, config.cloud), **header))


def _cloud_of(result: Result, settings: CloudConfig) -> dict[str, Any]:
    return messages.cloud_fields(
        result.metric.depth,
        result.image,
        result.camera,
        stride=settings.stride,
        min_depth_m=settings.min_depth_m,
        max_depth_m=settings.max_depth_m,
    )

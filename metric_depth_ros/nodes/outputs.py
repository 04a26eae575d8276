"""Outputs of the node as ROS messages: depth, its camera_info, sigma, the cloud, and info."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from metric_depth_ros import messages
from metric_depth_ros.config import CloudConfig, Config
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.health.status import OK, WARN, shortened
from metric_depth_ros.nodes.qos import overridable
from metric_depth_ros.pipeline import Result
from metric_depth_ros.sync import cloud_is_due


class Outputs:
    """Publishers; sigma, the cloud and info are made only if subscribed. One thread publishes."""

    def __init__(self, node: Node) -> None:
        def advertise(kind: type, topic: str) -> Any:
            publisher = node.create_publisher(kind, topic, **overridable(ReliabilityPolicy.RELIABLE))
            self._publishers.append(publisher)
            return publisher

        self._node, self._publishers = node, list[Any]()

        self._depth = advertise(Image, "depth/image_rect")
        self._camera_info = advertise(CameraInfo, "depth/camera_info")
        self._sigma = advertise(Image, "depth/sigma")
        self._cloud = advertise(PointCloud2, "depth/points")
        self._info = advertise(DiagnosticArray, "depth/info")
        self._last_cloud_ns: int | None = None

    def destroy(self) -> None:
        """Ends the publishers."""
        while self._publishers:
            self._node.destroy_publisher(self._publishers.pop())

    def publish(self, result: Result, config: Config) -> None:
        """Publishes one result, with the image's stamp and frame."""
        header = {"stamp_ns": result.stamp_ns, "frame_id": result.frame_id}
        depth = messages.depth_fields(result.metric.depth, config.output.encoding)
        self._depth.publish(fill_image(depth, **header))
        self._camera_info.publish(fill_camera_info(messages.camera_info_fields(result.camera), **header))
        if result.metric.sigma is not None and self._sigma.get_subscription_count() > 0:
            self._sigma.publish(fill_image(messages.depth_fields(result.metric.sigma, "32FC1"), **header))
        if self._info.get_subscription_count() > 0:
            told = result.metric.info
            self._info.publish(fill_info(told["scale_from"], told, **header))
        due = cloud_is_due(self._last_cloud_ns, result.stamp_ns, config.cloud.rate_hz)
        if due and self._cloud.get_subscription_count() > 0:
            self._last_cloud_ns = result.stamp_ns
            self._cloud.publish(fill_cloud(_cloud_of(result, config.cloud), **header))

    @contextmanager
    def saying_nothing(self, image: Any) -> Iterator[None]:
        """Publishes the info that an image has no depth, and why, if the block raises AnchorError."""
        try:
            yield
        except AnchorError as error:
            if self._info.get_subscription_count() > 0:
                header = {"stamp_ns": messages.stamp_ns(image), "frame_id": messages.frame_id(image)}
                self._info.publish(fill_info("nothing", {"why": str(error)}, WARN, **header))
            raise


def _cloud_of(result: Result, settings: CloudConfig) -> dict[str, Any]:
    return messages.cloud_fields(
        result.metric.depth,
        result.image,
        result.camera,
        stride=settings.stride,
        min_depth_m=settings.min_depth_m,
        max_depth_m=settings.max_depth_m,
        min_angle_deg=settings.min_angle_deg,
    )


# ---- field dictionaries of ``messages`` as ROS messages --------------------------------------


def fill_image(fields: Mapping[str, Any], *, stamp_ns: int, frame_id: str) -> Image:
    """sensor_msgs/Image from fields."""
    return _filled(Image(), fields, stamp_ns, frame_id)


def fill_camera_info(fields: Mapping[str, Any], *, stamp_ns: int, frame_id: str) -> CameraInfo:
    """sensor_msgs/CameraInfo from fields."""
    return _filled(CameraInfo(), fields, stamp_ns, frame_id)


def fill_cloud(fields: Mapping[str, Any], *, stamp_ns: int, frame_id: str) -> PointCloud2:
    """sensor_msgs/PointCloud2 from fields."""
    named = [
        PointField(name=name, offset=offset, datatype=datatype, count=count)
        for name, offset, datatype, count in fields["fields"]
    ]
    return _filled(PointCloud2(), {**fields, "fields": named}, stamp_ns, frame_id)


def fill_info(
    scale_from: str, info: Mapping[str, Any], level: int = OK, *, stamp_ns: int, frame_id: str
) -> DiagnosticArray:
    """diagnostic_msgs/DiagnosticArray with one status: what the scale is from, and what the solver says.

    Values that are no text, number or truth value are left out.
    """
    values = [
        KeyValue(key=key, value=shortened(str(value)))
        for key, value in info.items()
        if isinstance(value, (str, int, float, np.generic))
    ]
    status = DiagnosticStatus(level=bytes([level]), name="depth", message=scale_from, values=values)
    return _filled(DiagnosticArray(), {"status": [status]}, stamp_ns, frame_id)


def _filled(msg: Any, fields: Mapping[str, Any], stamp_ns: int, frame_id: str) -> Any:
    msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    msg.header.frame_id = frame_id
    for name, value in fields.items():
        if name == "data":
            # The setter would check every byte in Python; appending to the new array does not.
            msg.data.frombytes(memoryview(value))
        else:
            setattr(msg, name, value)
    return msg

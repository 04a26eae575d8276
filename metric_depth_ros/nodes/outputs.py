"""Outputs of the node as ROS messages: depth, its camera_info and image, sigma, cloud, preview and info."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from metric_depth_ros import messages
from metric_depth_ros.config import Config, PreviewConfig
from metric_depth_ros.depth_info import depth_info
from metric_depth_ros.drawing.pictures import depth_colours
from metric_depth_ros.errors import MetricDepthError, shortened
from metric_depth_ros.health.status import OK, WARN
from metric_depth_ros.nodes.qos import overridable
from metric_depth_ros.pipeline import Result, cloud_of
from metric_depth_ros.stamps import is_due
from metric_depth_ros.types import FloatArray

TOPICS = {
    "depth/image_rect": Image,
    "depth/camera_info": CameraInfo,
    "depth/image_rect_color": Image,
    "depth/sigma": Image,
    "depth/points": PointCloud2,
    "depth/preview/compressed": CompressedImage,
    "depth/info": DiagnosticArray,
}


class Outputs:
    """Publishers; what is not depth or its camera_info is made only if subscribed. Thread safe."""

    def __init__(self, node: Node) -> None:
        self._node, self._publishers = node, list[Any]()
        self._lock = threading.Lock()  # while one thread publishes, another may destroy
        for topic, kind in TOPICS.items():
            quality = overridable(ReliabilityPolicy.RELIABLE)
            self._publishers.append(node.create_publisher(kind, topic, **quality))
        self._depth, self._camera_info, self._colour, self._sigma, *others = self._publishers
        self._cloud, self._preview, self._info = others
        self._last_cloud_ns: int | None = None
        self._last_preview_ns: int | None = None

    def destroy(self) -> None:
        """Ends the publishers; what is published from then on goes nowhere."""
        with self._lock:
            while self._publishers:
                self._node.destroy_publisher(self._publishers.pop())

    def publish(self, result: Result, config: Config) -> None:
        """Publishes one result, with the image's stamp and frame."""
        with self._lock:
            if self._publishers:
                self._publish(result, config, {"stamp_ns": result.stamp_ns, "frame_id": result.frame_id})

    def _publish(self, result: Result, config: Config, header: dict[str, Any]) -> None:
        metric = result.metric
        self._depth.publish(fill_image(messages.depth_fields(metric.depth, config.output.encoding), **header))
        self._camera_info.publish(fill_camera_info(messages.camera_info_fields(result.camera), **header))
        if _heard(self._colour):
            self._colour.publish(fill_image(messages.image_fields(result.image), **header))
        if metric.sigma is not None and _heard(self._sigma):
            self._sigma.publish(fill_image(messages.depth_fields(metric.sigma, "32FC1"), **header))
        if _heard(self._info):
            self._info.publish(fill_info(depth_info(result), **header))
        if _heard(self._cloud) and is_due(self._last_cloud_ns, result.stamp_ns, config.cloud.rate_hz):
            self._last_cloud_ns = result.stamp_ns
            self._cloud.publish(fill_cloud(cloud_of(result, config.cloud), **header))
        if _heard(self._preview) and is_due(self._last_preview_ns, result.stamp_ns, config.preview.rate_hz):
            self._last_preview_ns = result.stamp_ns
            self._preview.publish(fill_jpeg(_preview_of(metric.depth, config.preview), **header))

    @contextmanager
    def saying_nothing(self, image: Any) -> Iterator[None]:
        """Publishes the info that an image has no depth, and why, if the block raises MetricDepthError."""
        try:
            yield
        except MetricDepthError as error:
            with self._lock:
                if self._publishers and _heard(self._info):
                    header = {"stamp_ns": messages.stamp_ns(image), "frame_id": messages.frame_id(image)}
                    told = {"scale_from": "nothing", "why": str(error)}
                    self._info.publish(fill_info(told, WARN, **header))
            raise


def _heard(publisher: Any) -> bool:
    return bool(publisher.get_subscription_count() > 0)


def _preview_of(depth: FloatArray, settings: PreviewConfig) -> bytes:
    """JPEG of depth (H, W) in colours over the settings' range; grey is unknown."""
    height, width = depth.shape
    if width > settings.width:
        size = settings.width, max(1, round(height * settings.width / width))
        depth = np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST))
    colours = depth_colours(depth, settings.min_depth_m, settings.max_depth_m)
    done, jpeg = cv2.imencode(".jpg", colours[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
    assert done
    return jpeg.tobytes()


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


def fill_jpeg(data: bytes, *, stamp_ns: int, frame_id: str) -> CompressedImage:
    """sensor_msgs/CompressedImage with a JPEG."""
    return _filled(CompressedImage(), {"format": "jpeg", "data": data}, stamp_ns, frame_id)


def fill_info(info: Mapping[str, Any], level: int = OK, *, stamp_ns: int, frame_id: str) -> DiagnosticArray:
    """diagnostic_msgs/DiagnosticArray with one status: the values; their ``scale_from`` is its message."""
    values = [KeyValue(key=key, value=shortened(_in_words(value))) for key, value in info.items()]
    status = DiagnosticStatus(level=bytes([level]), name="depth", message=info["scale_from"], values=values)
    return _filled(DiagnosticArray(), {"status": [status]}, stamp_ns, frame_id)


def _in_words(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)


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

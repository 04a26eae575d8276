"""A ROS 1 bag made by hand, message by message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from metric_depth_ros import messages
from metric_depth_ros.types import Camera

SECOND = 1_000_000_000
_ROS2 = get_typestore(Stores.ROS2_HUMBLE)


def image_of(index: int) -> Any:
    return np.random.default_rng(index).integers(0, 256, (12, 16, 3), np.uint8)


def points_of(index: int) -> Any:
    return np.random.default_rng(100 + index).normal(0, 5, (50, 3)).astype(np.float32)


class Ros1Bag:
    """Collects messages and writes them at chosen times of recording, which may differ from stamps."""

    def __init__(self) -> None:
        self.types = get_typestore(Stores.ROS1_NOETIC)
        tf = get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage")
        self.types.register(tf)
        self.entries: list[tuple[int, str, str, Any]] = []

    def make(self, kind: str, **fields: Any) -> Any:
        return self.types.types[kind](**fields)

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        stamp = self.make("builtin_interfaces/msg/Time", sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)
        return self.make("std_msgs/msg/Header", seq=0, stamp=stamp, frame_id=frame_id)

    def image(self, stamp_ns: int, recorded_ns: int | None = None, *, index: int = 0, **changes: Any) -> None:
        fields = {**messages.image_fields(image_of(index)), **changes}
        self._add("/image", "sensor_msgs/msg/Image", fields, stamp_ns, "camera", recorded_ns)

    def compressed_image(self, stamp_ns: int, *, index: int = 0) -> None:
        data = cv2.imencode(".png", image_of(index)[..., ::-1])[1].ravel()
        fields = {"format": "png", "data": data}
        self._add("/image/compressed", "sensor_msgs/msg/CompressedImage", fields, stamp_ns, "camera", None)

    def info(
        self, stamp_ns: int, recorded_ns: int | None = None, *, frame_id: str = "camera", f: float = 20
    ) -> None:
        camera = Camera(16, 12, np.array([[f, 0, 7.5], [0, f, 5.5], [0, 0, 1]]))
        self.camera_info_of(messages.camera_info_fields(camera), stamp_ns, recorded_ns, frame_id)

    def camera_info_of(
        self,
        fields: Any,
        stamp_ns: int,
        recorded_ns: int | None = None,
        frame_id: str = "camera",
        topic: str = "/camera_info",
    ) -> None:
        fields = {name.upper() if len(name) == 1 else name: value for name, value in fields.items()}
        roi = self.make(
            "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        fields.update(binning_x=0, binning_y=0, roi=roi)
        self._add(topic, "sensor_msgs/msg/CameraInfo", fields, stamp_ns, frame_id, recorded_ns)

    def cloud(
        self,
        stamp_ns: int,
        recorded_ns: int | None = None,
        *,
        index: int = 0,
        frame_id: str = "camera",
        topic: str = "/anchors",
        **changes: Any,
    ) -> None:
        fields = {**messages.points_fields(points_of(index)), **changes}
        fields["fields"] = [
            self.make("sensor_msgs/msg/PointField", name=n, offset=o, datatype=d, count=c)
            for n, o, d, c in fields["fields"]
        ]
        self._add(topic, "sensor_msgs/msg/PointCloud2", fields, stamp_ns, frame_id, recorded_ns)

    def tf(
        self,
        parent: str,
        child: str,
        T: Any,
        stamp_ns: int,
        topic: str = "/tf",
        *,
        recorded_ns: int | None = None,
    ) -> None:
        x, y, z = T[:3, 3]
        transform = self.make(
            "geometry_msgs/msg/Transform",
            translation=self.make("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
            rotation=self.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
        )
        stamped = self.make(
            "geometry_msgs/msg/TransformStamped",
            header=self.header(stamp_ns, parent),
            child_frame_id=child,
            transform=transform,
        )
        message = self.make("tf2_msgs/msg/TFMessage", transforms=[stamped])
        at = stamp_ns if recorded_ns is None else recorded_ns
        self.entries.append((at, topic, "tf2_msgs/msg/TFMessage", message))

    def cdr(self, message: Any, kind: str) -> bytes:
        """A message in ROS 2's serialisation."""
        return bytes(_ROS2.ros1_to_cdr(self.types.serialize_ros1(message, kind), kind))

    def write(self, path: Path, compression: Any = None) -> Path:
        writer = Ros1Writer(path)
        if compression is not None:
            writer.set_compression(compression)
        with writer as bag:
            connections: dict[str, Any] = {}
            for recorded_ns, topic, kind, message in sorted(self.entries, key=lambda entry: entry[0]):
                if topic not in connections:
                    connections[topic] = bag.add_connection(topic, kind, typestore=self.types)
                raw = message if isinstance(message, bytes) else self.types.serialize_ros1(message, kind)
                bag.write(connections[topic], recorded_ns, raw)
        return path

    def sensor(
        self,
        topic: str,
        kind: str,
        stamp_ns: int,
        frame_id: str = "camera",
        recorded_ns: int | None = None,
        **fields: Any,
    ) -> None:
        """A message of any sensor; ``kind`` as sources name it."""
        ros_type = messages.SENSOR_TYPES[kind]
        zeros: dict[str, Any] = {
            "point_cloud": {"channels": []},
            "laser_scan": {
                **dict.fromkeys(("angle_min", "angle_max", "angle_increment", "time_increment"), 0.0),
                **dict.fromkeys(("scan_time", "range_min", "range_max"), 0.0),
                "intensities": np.zeros(0, np.float32),
            },
            "range": {"radiation_type": 0, "min_range": 0.0},
        }
        self._add(topic, ros_type, {**zeros.get(kind, {}), **fields}, stamp_ns, frame_id, recorded_ns)

    def _add(
        self, topic: str, kind: str, fields: Any, stamp_ns: int, frame_id: str, recorded_ns: int | None
    ) -> None:
        message = self.make(kind, header=self.header(stamp_ns, frame_id), **fields)
        self.entries.append((stamp_ns if recorded_ns is None else recorded_ns, topic, kind, message))


def write_ros2(writer: Any, bag: Ros1Bag) -> None:
    """The bag's messages, by rosbags' writer of ROS 2 bags."""
    topics: dict[str, Any] = {}
    for recorded_ns, topic, kind, message in bag.entries:
        if topic not in topics:
            topics[topic] = writer.add_connection(topic, kind, typestore=_ROS2)
        writer.write(topics[topic], recorded_ns, bag.cdr(message, kind))

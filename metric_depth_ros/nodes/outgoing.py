"""ROS messages out of the field dictionaries that ``messages`` makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField


def fill_image(fields: Mapping[str, Any], *, stamp_ns: int, frame_id: str) -> Image:
    """A sensor_msgs/Image."""
    return _filled(Image(), fields, stamp_ns, frame_id)


def fill_camera_info(fields: Mapping[str, Any], *, stamp_ns: int, frame_id: str) -> CameraInfo:
    """A sensor_msgs/CameraInfo."""
    return _filled(CameraInfo(), fields, stamp_ns, frame_id)


def fill_cloud(fields: Mapping[str, Any], *, stamp_ns: int, frame_id: str) -> PointCloud2:
    """A sensor_msgs/PointCloud2."""
    named = [
        PointField(name=name, offset=offset, datatype=datatype, count=count)
        for name, offset, datatype, count in fields["fields"]
    ]
    return _filled(PointCloud2(), {**fields, "fields": named}, stamp_ns, frame_id)


def _filled(msg: Any, fields: Mapping[str, Any], stamp_ns: int, frame_id: str) -> Any:
    msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    msg.header.frame_id = frame_id
    for name, value in fields.items():
        if name == "data":
            # The setter would check every byte in Python; appending to the fresh array does not.
            msg.data.frombytes(memoryview(value))
        else:
            setattr(msg, name, value)
    return msg

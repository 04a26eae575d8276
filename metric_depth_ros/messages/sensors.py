"""Reads the message of any sensor that anchors may come from, whatever its type."""

from __future__ import annotations

from typing import Any

from metric_depth_ros.errors import InputError
from metric_depth_ros.messages.cameras import read_camera
from metric_depth_ros.messages.clouds import read_point_cloud1, read_timed_points
from metric_depth_ros.messages.depth_images import (
    CameraOf,
    read_compressed_depth_points,
    read_depth_points,
)
from metric_depth_ros.messages.headers import frame_id, stamp_ns
from metric_depth_ros.messages.names import is_named_rectified
from metric_depth_ros.messages.ranges import read_range_points, read_scan_points
from metric_depth_ros.types import SENSOR_MESSAGES, Camera, Cloud, FloatArray

# Type of a source in the settings -> type of its messages.
SENSOR_TYPES = {kind: message.ros_type for kind, message in SENSOR_MESSAGES.items()}
# Types whose messages are pictures.
NEED_CAMERA = tuple(kind for kind, message in SENSOR_MESSAGES.items() if message.is_picture)


def sensor_type(ros_type: str) -> str | None:
    """A source's type, as the settings name it, from that of its messages; None: no type of a source."""
    return next((kind for kind, found in SENSOR_TYPES.items() if found == ros_type), None)


def wrong_type(name: str, wanted: str, topic: str, found: str) -> str:
    """What is wrong with a source of type ``wanted`` whose topic is of ROS type ``found``; what to do."""
    kind = sensor_type(found)
    if kind is None:
        needed = ", ".join(SENSOR_TYPES.values())
        return f"source {name}: {topic} is {found}; needed one of {needed}. Name another topic."
    return (
        f"source {name}: {topic} is {found}, but sources.{name}.type is {wanted}. Set it to {kind}, or auto."
    )


def read_depth_camera(message: Any, topic: str, image_size: tuple[int, int]) -> Camera:
    """Camera of a depth image from its CameraInfo; rectified if the name of its topic says so.

    Args:
        image_size: as ``read_camera``.

    Raises InputError as ``read_camera`` does.
    """
    return read_camera(message, rectified=is_named_rectified(topic), image_size=image_size)


def read_cloud(
    message: Any,
    kind: str,
    camera_of: CameraOf | None = None,
    time_ns: int | None = None,
    *,
    timed: bool = False,
) -> Cloud:
    """Points of a message in its sensor's frame, with the sigma that it tells.

    Args:
        kind: a key of ``SENSOR_TYPES``.
        camera_of: camera of a depth image by its size.
        time_ns: of the message; None: its stamp.
        timed: read the times of points, too.

    Raises:
        InputError: the message is damaged or of another kind, its stamp is negative, or a depth image has
            no camera.
    """
    sigma = offset_s = None
    if kind in _READERS:
        points, offset_s = _READERS[kind](message, timed=timed)
    elif kind == "range":
        points, sigma = read_range_points(message)
    else:
        points, sigma = _read_picture(message, kind, camera_of)
    at_ns = stamp_ns(message) if time_ns is None else time_ns
    return Cloud(points, frame_id(message), at_ns, sigma, offset_s)


# Points, and what is told of each.
_Told = tuple[FloatArray, "FloatArray | None"]


def _read_picture(message: Any, kind: str, camera_of: CameraOf | None) -> _Told:
    if camera_of is None:
        raise InputError(
            "depth image: no camera_info has come for it; needed one to know where its pixels look. "
            "Publish it beside the image, or name its topic in the source's camera_info."
        )
    if kind == "depth_image":
        return read_depth_points(message, camera_of), None
    return read_compressed_depth_points(message, camera_of)


def _point_cloud2(message: Any, *, timed: bool) -> _Told:
    stamp = message.header.stamp  # even a wrong one: absolute times of points are by the same clock
    header_ns = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
    return read_timed_points(message, header_ns if timed else None)


def _point_cloud1(message: Any, *, timed: bool) -> _Told:
    return read_point_cloud1(message), None


# Readers of types that tell nothing of their error: points, and their times where wanted and told.
_READERS = {"point_cloud2": _point_cloud2, "point_cloud": _point_cloud1, "laser_scan": read_scan_points}

"""Stamps, frames and transforms of messages."""

from __future__ import annotations

from typing import Any

from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.types import FloatArray, frame_name, same_frame


def stamp_ns(message: Any) -> int:
    """The stamp in ns of a message with a header, or of a header itself.

    Raises:
        InputError: the stamp is negative, which ROS does not allow.
    """
    stamp = getattr(message, "header", message).stamp
    if stamp.sec < 0:
        raise InputError(f"stamp: {stamp.sec} s; needed 0 or more. Check the clock of the driver.")
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def time_of_capture_ns(message: Any) -> int:
    """The stamp in ns of a picture or cloud, which must have one; zero means that its driver sets none.

    Raises:
        InputError: the stamp is zero or negative.
    """
    if not (stamp := stamp_ns(message)):
        raise InputError("stamp: 0 s, which means none; needed the time of capture. Set it in the driver.")
    return stamp


def frame_id(message: Any) -> str:
    """The frame of a message with a header, or of a header itself; a leading slash is kept."""
    return str(getattr(message, "header", message).frame_id)


def read_transform(stamped: Any) -> tuple[str, str, FloatArray, int]:
    """A geometry_msgs/TransformStamped as (parent, child, T_parent_child (4, 4), stamp_ns).

    Raises:
        InputError: a frame has no name, a value is not finite, a quaternion has length zero, or the stamp is
            negative.
    """
    parent, child = frame_id(stamped), str(stamped.child_frame_id)
    if not frame_name(parent) or not frame_name(child) or same_frame(parent, child):
        raise InputError(
            f"tf: transform from {child!r} to {parent!r}; needed two different frame names. "
            "Name both frames in its publisher."
        )
    t, q = stamped.transform.translation, stamped.transform.rotation
    try:
        T = rigid_transform([t.x, t.y, t.z], [q.x, q.y, q.z, q.w])
    except InputError as error:
        raise InputError(f"tf: {parent!r} to {child!r}: {error} Check its publisher.") from error
    return parent, child, T, stamp_ns(stamped)

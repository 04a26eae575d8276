"""Converts what range sensors measure to points: sensor_msgs/LaserScan and Range."""

from __future__ import annotations

from typing import Any

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import BoolArray, FloatArray, IntArray

# A scan takes no longer.
_LONGEST_S = 1.0


def read_scan_points(message: Any, *, timed: bool) -> tuple[FloatArray, FloatArray | None]:
    """Points (N, 3) float32 of a sensor_msgs/LaserScan, in the x-y plane; beams without echo have none.

    Beside them the seconds (N,) from the stamp, which is the first beam's, to each one's time; None if they
    are of one time, or not ``timed``.

    As in REP 117, a range that is not finite, below range_min or not below range_max is no measurement:
    older drivers report range_max itself where nothing came back. A limit that is NaN, or a range_max of 0,
    was left unset.

    Raises:
        InputError: an angle is not finite, or range_min is not below range_max.
    """
    first, step = float(message.angle_min), float(message.angle_increment)
    if not np.isfinite([first, step]).all():
        raise InputError(
            f"laser scan: angle_min {first}, angle_increment {step}; needed finite angles. "
            "Check the sensor's driver."
        )
    ranges = np.asarray(message.ranges, np.float32)
    beams = np.flatnonzero(_measured(ranges, message.range_min, message.range_max, "laser scan"))
    angles, ranges = first + step * beams, ranges[beams]
    points = np.zeros((len(beams), 3), np.float32)
    points[:, 0], points[:, 1] = ranges * np.cos(angles), ranges * np.sin(angles)
    increment_s = float(message.time_increment) if timed else 0.0
    return points, _offsets_s(increment_s, beams, len(message.ranges))


def _offsets_s(increment_s: float, beams: IntArray, count: int) -> FloatArray | None:
    """Seconds (N,) after the first of ``count`` beams; None for an increment with which no scan is made."""
    if not 0 < abs(increment_s) * count < _LONGEST_S:
        return None
    return np.multiply(beams, increment_s, dtype=np.float32)


def read_range_points(message: Any) -> tuple[FloatArray, FloatArray]:
    """Point (1, 3) of a sensor_msgs/Range, on the x axis, and its sigma (1,); both empty without an echo.

    The beam is a cone, and what answers lies anywhere in it. On a surface at 45 degrees depth changes over
    the beam's radius by that radius: sigma = range * tan(field_of_view / 2), all in float32 metres.
    No measurement is what ``read_scan_points`` says.

    Raises:
        InputError: a ranger of one fixed distance (min_range = max_range), which tells no distance, or a
            field_of_view that is no angle of a cone, or limits as there.
    """
    low, high, width = (float(x) for x in (message.min_range, message.max_range, message.field_of_view))
    if low == high != 0:
        raise InputError(
            f"range: min_range and max_range are both {low:g} m, a sensor that only tells whether something "
            "is nearer; needed a measured range. Leave this source out, or set both in the driver."
        )
    if not 0 <= width < np.pi:
        raise InputError(
            f"range: field_of_view {width:g}; needed radians from 0 to below pi. Set it in the driver."
        )
    ranges = np.array([message.range], np.float32)
    ranges = ranges[_measured(ranges, low, high, "range")]
    points = np.zeros((len(ranges), 3), np.float32)
    points[:, 0] = ranges
    return points, ranges * np.float32(np.tan(width / 2))


def _measured(ranges: FloatArray, low: float, high: float, what: str) -> BoolArray:
    """Mask of ranges that are measurements. Raises InputError for limits between which nothing lies."""
    low, high = 0.0 if np.isnan(low) else low, high if high > 0 else np.inf
    if low >= high:
        raise InputError(
            f"{what}: its limits are {low:g} and {high:g} m, between which nothing is; needed the lower one "
            "first. Set them in the driver."
        )
    with np.errstate(invalid="ignore"):
        return np.asarray((ranges > 0) & (ranges >= low) & (ranges < high))

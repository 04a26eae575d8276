"""Anchors as simulated sensors give them, drawn from true depth, with the sensors' errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from metric_depth_ros.evaluation.corners import corner_places
from metric_depth_ros.types import Anchors, BoolArray, FloatArray, ImageArray, IntArray

# Most anchors. Up to so many are few: fits to them are hardly corrected, so they are drawn seldom.
_MOST = 4000
_FEW, _SELDOM = 8, 0.15
# Most lines of a LiDAR.
_MOST_LINES = 64
# Largest relative sigma that a sensor tells, and the one that most do.
_NOISE, _USUAL_NOISE = 0.05, 0.02
# Factors on the depth of outliers, which are too far or too near, and the largest part of them.
_FAR, _NEAR, _OUTLIERS = (1.2, 3.0), (0.3, 0.8), 0.1
# Part of the draws with outliers; with a wrong extrinsic calibration; while the camera turns; with parallax.
_OUTLYING, _TURNED, _TURNING, _PARALLAX = 0.5, 0.15, 0.1, 0.25
# Deviation in parts of the width: of a wrong calibration, up to about 1 degree; of a turn from the first to
# the last row of a picture, or the first to the last column of a sweep.
_TURNED_BY, _TURNING_BY = 0.006, 0.01
# A sensor beside the camera sees what lies behind an edge up to so many pixels off, and how often.
_BEHIND_PX, _SEEN_BEHIND = (2, 6), 0.3


def draw_anchors(depth: FloatArray, image: ImageArray, rng: np.random.Generator) -> Anchors:
    """Anchors of one simulated sensor in an image with true depth (H, W) metres, NaN or inf where unknown.

    1 to 4,000 of them, log-uniformly: at random, on 1 to 64 lines, at corners, in one spot, all over as of a
    depth camera with holes, or of a radar, which hardly knows how high they are. The sensor tells its sigma,
    which is roughly right.
    """
    known = np.isfinite(depth)
    low, high = (1, _FEW) if rng.random() < _SELDOM else (_FEW, _MOST)
    count = round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))
    sensor = _SENSORS[rng.choice(len(_SENSORS), p=[sensor.share for sensor in _SENSORS])]
    place = sensor.places(known, image, count, rng)
    uv = np.column_stack([place % depth.shape[1], place // depth.shape[1]]).astype(np.float32)
    measured = _seen(depth, place, rng)
    n = len(place)
    told = _USUAL_NOISE if rng.random() < 0.6 else rng.uniform(0.005, _NOISE)
    true = 0.0 if rng.random() < 0.35 else told * rng.uniform(0.5, 1.5)
    factor = np.exp(true * rng.standard_normal(n))
    if rng.random() < _OUTLYING:
        wrong, far = rng.random(n) < rng.uniform(0, _OUTLIERS), rng.random(n) < 0.5
        gross = np.where(far, rng.uniform(*_FAR, n), rng.uniform(*_NEAR, n))
        factor = np.where(wrong, factor * gross, factor)
    measured = (measured * factor).astype(np.float32)
    uv = _misplaced(uv, known.shape, sensor.height_off, rng)
    return Anchors(uv, measured, np.float32(told) * measured)


def _misplaced(
    uv: FloatArray, shape: tuple[int, ...], height_off: float, rng: np.random.Generator
) -> FloatArray:
    """Where anchors (N, 2) are taken to be: after a wrong calibration, a turn meanwhile, a radar's guess."""
    height, width = shape
    off = np.zeros(uv.shape)
    if rng.random() < _TURNED:
        off += rng.normal(0, _TURNED_BY * width, 2)
    if rng.random() < _TURNING:
        when = uv / (width, height) - 0.5
        off += when[:, [int(rng.integers(2))]] * rng.normal(0, _TURNING_BY * width, 2)
    if height_off:
        off[:, 1] += rng.normal(0, height_off * height, len(uv))
    return np.asarray(np.clip(uv + off, 0, (width - 1, height - 1)), np.float32)


def _seen(depth: FloatArray, place: IntArray, rng: np.random.Generator) -> FloatArray:
    """Depth (N,) at the places; for a sensor beside the camera at some that of what is hidden there."""
    found = depth.ravel()[place]
    if rng.random() >= _PARALLAX:
        return found
    side = 2 * int(rng.integers(*_BEHIND_PX)) + 1
    behind = cv2.dilate(np.where(np.isfinite(depth), depth, 0), np.ones((side, side), np.uint8))
    hidden = rng.random(len(place)) < _SEEN_BEHIND
    return np.where(hidden, behind.ravel()[place], found)


def _some(places: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    return rng.choice(places, min(count, len(places)), replace=False)


def _random(known: BoolArray, image: ImageArray, count: int, rng: np.random.Generator) -> IntArray:
    return _some(np.flatnonzero(known), count, rng)


def _lines(known: BoolArray, image: ImageArray, count: int, rng: np.random.Generator) -> IntArray:
    """On slightly bent rows in a part of the image's height, every so many pixels."""
    height, width = known.shape
    lines = round(float(np.exp(rng.uniform(0, np.log(_MOST_LINES)))))
    low, high = np.sort(rng.uniform(0, 1, 2)) if rng.random() < 0.3 else (0.0, 1.0)
    column = np.arange(0, width, int(rng.integers(1, 6)))
    bend = rng.uniform(-0.08, 0.08) * (2 * column / width - 1) ** 2
    level = low + (high - low) * (np.arange(lines) + rng.uniform(0.2, 0.8)) / lines
    row = np.clip((level[:, None] + bend) * height, 0, height - 1).astype(np.intp)
    places = np.unique(row * width + column)
    places = places[known.ravel()[places]]
    return _some(places, _MOST, rng) if len(places) else _random(known, image, count, rng)


def _corners(known: BoolArray, image: ImageArray, count: int, rng: np.random.Generator) -> IntArray:
    places = corner_places(image, known, min(count, 1000))
    return places if len(places) else _random(known, image, count, rng)


def _spot(known: BoolArray, image: ImageArray, count: int, rng: np.random.Generator) -> IntArray:
    """In a disc: a range finder, a solid-state LiDAR with a narrow view."""
    places = np.flatnonzero(known)
    row, column = np.divmod(places, known.shape[1])
    middle = int(rng.integers(len(places)))
    apart = np.hypot(row - row[middle], column - column[middle])
    return _some(places[apart <= rng.uniform(0.03, 0.35) * known.shape[1]], count, rng)


def _grid(known: BoolArray, image: ImageArray, count: int, rng: np.random.Generator) -> IntArray:
    """On a grid, with round holes."""
    height, width = known.shape
    step = max(1, round(float(np.sqrt(known.size / count))))
    holes = known.astype(np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        middle = int(rng.integers(width)), int(rng.integers(height))
        cv2.circle(holes, middle, int(rng.uniform(0.03, 0.2) * width), 0, cv2.FILLED)
    row, column = np.mgrid[rng.integers(step) : height : step, rng.integers(step) : width : step]
    places = (row * width + column).ravel()
    places = places[holes.ravel()[places] > 0]
    return _some(places, _MOST, rng) if len(places) else _random(known, image, count, rng)


def _radar(known: BoolArray, image: ImageArray, count: int, rng: np.random.Generator) -> IntArray:
    """A few in a band: nothing high above the sensor or far below."""
    height, width = known.shape
    middle, half = rng.uniform(0.35, 0.65) * height, rng.uniform(0.05, 0.25) * height
    places = np.flatnonzero(known)
    places = places[np.abs(places // width - middle) <= half]
    return _some(places, min(count, 300), rng) if len(places) else _random(known, image, count, rng)


class _Sensor(NamedTuple):
    """Where a sensor sees, in which part of the draws, and how wrong heights are, in parts of the image's."""

    places: Callable[[BoolArray, ImageArray, int, np.random.Generator], IntArray]
    share: float
    height_off: float = 0.0


_SENSORS = (
    _Sensor(_random, 0.38),
    _Sensor(_lines, 0.3),
    _Sensor(_corners, 0.12),
    _Sensor(_spot, 0.04),
    _Sensor(_grid, 0.12),
    _Sensor(_radar, 0.04, height_off=0.03),
)

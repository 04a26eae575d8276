"""Anchors as simulated sensors give them, drawn from true depth, with the sensors' errors."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from metric_depth_ros.evaluation.corners import corner_places
from metric_depth_ros.types import Anchors, BoolArray, FloatArray, ImageArray, IntArray

# Most anchors.
_MOST = 4000
# Most lines of a LiDAR.
_MOST_LINES = 64
# Largest relative sigma that a sensor tells, and the one that most do.
_NOISE, _USUAL_NOISE = 0.05, 0.02
# Factors on the depth of outliers, which are too far or too near, and the largest part of them.
_FAR, _NEAR, _OUTLIERS = (1.2, 3.0), (0.3, 0.8), 0.1
# Part of the draws with outliers; with a wrong extrinsic calibration, and its pixels; with parallax.
_OUTLYING, _TURNED, _TURNED_PX, _PARALLAX = 0.5, 0.15, 2.0, 0.25
# A sensor beside the camera sees what lies behind an edge up to so many pixels off, and how often.
_BEHIND_PX, _SEEN_BEHIND = (2, 6), 0.3


def draw_anchors(depth: FloatArray, image: ImageArray, rng: np.random.Generator) -> Anchors:
    """Anchors of one simulated sensor in an image with true depth (H, W) metres, NaN or inf where unknown.

    1 to 4,000 of them, log-uniformly: at random, on 1 to 64 lines, at corners, in one spot, or all over as
    of a depth camera with holes. The sensor tells its sigma, which is roughly right.
    """
    known = np.isfinite(depth)
    count = round(float(np.exp(rng.uniform(0, np.log(_MOST)))))
    place = _SENSORS[rng.choice(len(_SENSORS), p=_SHARES)](known, image, count, rng)
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
    if rng.random() < _TURNED:
        uv = uv + rng.normal(0, _TURNED_PX, 2).astype(np.float32)
    return Anchors(uv, measured, np.float32(told) * measured)


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


_SENSORS: tuple[Callable[[BoolArray, ImageArray, int, np.random.Generator], IntArray], ...] = (
    _random, _lines, _corners, _spot, _grid,
)  # fmt: skip
_SHARES = (0.4, 0.3, 0.12, 0.06, 0.12)

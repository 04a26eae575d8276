"""Scale of a whole depth map: the factor that brings it closest to a true depth (paper 002)."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.depth import metres_of, positive_depth
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import FloatArray, RelativeDepth

# Bounds of the factor (equation 1), for networks that give metres.
METRIC_BOUNDS = (0.1, 2.0)
# The same for unitless maps, which are divided by their median first: the factor is then the scene's usual
# depth in metres, and its bounds are those of the depth that networks are trained on.
UNITLESS_BOUNDS = (0.1, 80.0)
# Number of pixels from which the median is computed: all of them take ten times as long.
_SAMPLE = 20_000


def unit_depth(relative: RelativeDepth) -> FloatArray:
    """Depth (H, W) float32 that a factor makes metric; NaN where the network gives no value.

    Metres of a metric network; else positive depth (``positive_depth``) over its median (ours: the paper
    scales metres only).
    """
    if relative.metric:
        return metres_of(relative)
    depth = positive_depth(relative)
    return np.asarray(depth / np.float32(middle_of(depth)))


def middle_of(depth: FloatArray) -> float:
    """Median of a depth map (H, W), from about 20,000 of its pixels; 1 if none of them is known."""
    step = max(1, int((depth.size / _SAMPLE) ** 0.5))
    some = depth[::step, ::step]
    known = some[~np.isnan(some)]
    return float(np.median(known)) if len(known) else 1.0


def bounds_of(relative: RelativeDepth) -> tuple[float, float]:
    """Bounds of the factor for the ``unit_depth`` of a network."""
    return METRIC_BOUNDS if relative.metric else UNITLESS_BOUNDS


def best_scale(
    predicted: FloatArray, truth: FloatArray, bounds: tuple[float, float] = METRIC_BOUNDS
) -> float:
    """Factor s within bounds with the least Wasserstein-1 distance of s * predicted from truth (equation 1).

    With as many values on both sides the distance is the mean absolute difference of the sorted values.
    So the best factor is the median of the sorted values' ratios, weighted by the predicted ones; the
    distance is convex in s, so at the bounds it is the nearest bound. Exact: the paper's iterations from
    s = 1 find the same.

    Args:
        predicted, truth: depth of any equal shape; pixels where one is not finite and positive are left out.

    Raises:
        InputError: the shapes differ, or no pixel is valid.
    """
    ordered = _ordered(predicted, truth)
    ratio = ordered[1] / ordered[0]
    order = np.argsort(ratio)
    weight = np.cumsum(ordered[0][order], dtype=np.float64)
    middle = int(np.searchsorted(weight, weight[-1] / 2))
    return float(np.clip(ratio[order[middle]], *bounds))


def wasserstein(predicted: FloatArray, truth: FloatArray) -> float:
    """Wasserstein-1 distance in metres between the depths of two maps, where both are valid.

    Args and errors are those of ``best_scale``.
    """
    predicted, truth = _ordered(predicted, truth)
    return float(np.abs(predicted - truth).mean())


def _ordered(predicted: FloatArray, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sorted valid values (N,) float64 of both maps. Raises InputError as ``best_scale`` does."""
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape:
        raise InputError(f"scale: depth {predicted.shape} and truth {truth.shape}; needed one shape.")
    with np.errstate(invalid="ignore"):
        valid = (predicted > 0) & (predicted < np.inf) & (truth > 0) & (truth < np.inf)
    if not valid.any():
        raise InputError("scale: no pixel where depth and truth are both known; needed some.")
    return np.sort(predicted[valid]), np.sort(truth[valid])

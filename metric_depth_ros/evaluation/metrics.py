"""Errors of a depth map under their published names (Eigen et al. 2014; KITTI; NYU Depth v2).

Every function takes depth and truth in metres, of one shape, and looks only where both are known:
finite and positive (0 and NaN are "unknown"). With nothing to look at it returns NaN.
"""

from __future__ import annotations

import math

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import BoolArray, FloatArray


def abs_rel(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of |d - d*| / d*."""
    d, t = _known(depth, truth)
    return _mean(np.abs(d - t) / t)


def sq_rel(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of (d - d*)^2 / d*, metres."""
    d, t = _known(depth, truth)
    return _mean((d - t) ** 2 / t)


def mae(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of |d - d*|, metres."""
    d, t = _known(depth, truth)
    return _mean(np.abs(d - t))


def rmse(depth: FloatArray, truth: FloatArray) -> float:
    """Root of the mean of (d - d*)^2, metres."""
    d, t = _known(depth, truth)
    return math.sqrt(_mean((d - t) ** 2))


def rmse_log(depth: FloatArray, truth: FloatArray) -> float:
    """Root of the mean of (ln d - ln d*)^2."""
    d, t = _known(depth, truth)
    return math.sqrt(_mean(np.log(d / t) ** 2))


def log10(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of |log10 d - log10 d*|."""
    d, t = _known(depth, truth)
    return _mean(np.abs(np.log10(d / t)))


def delta(depth: FloatArray, truth: FloatArray, power: int = 1) -> float:
    """Fraction with max(d / d*, d* / d) < 1.25^power; power 1, 2, 3 are delta1, delta2, delta3."""
    d, t = _known(depth, truth)
    return _mean(np.maximum(d / t, t / d) < 1.25**power)


def coverage(depth: FloatArray, truth: FloatArray) -> float:
    """Fraction of the pixels with known truth that have a depth. Errors of two maps compare only with it."""
    depth, truth = _paired(depth, truth)
    return _mean(_positive(depth)[_positive(truth)])


def all_metrics(depth: FloatArray, truth: FloatArray, cap_m: float | None = None) -> dict[str, float]:
    """Every metric by name, with ``coverage`` and ``count``, over truth up to ``cap_m`` metres.

    Raises:
        InputError: the shapes differ.
    """
    depth, truth = _paired(depth, truth)
    if cap_m is not None:
        truth = np.where(truth <= cap_m, truth, np.nan)
    metrics = {f.__name__: f(depth, truth) for f in (abs_rel, sq_rel, mae, rmse, rmse_log, log10)}
    metrics.update({f"delta{power}": delta(depth, truth, power) for power in (1, 2, 3)})
    metrics["coverage"] = coverage(depth, truth)
    metrics["count"] = float(np.count_nonzero(_positive(depth) & _positive(truth)))
    return metrics


def _paired(depth: FloatArray, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both as float64."""
    d, t = np.asarray(depth, np.float64), np.asarray(truth, np.float64)
    if d.shape != t.shape:
        raise InputError(
            f"metrics: depth is {d.shape}, truth {t.shape}; needed one shape. Resize one of them first."
        )
    return d, t


def _known(depth: FloatArray, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    d, t = _paired(depth, truth)
    both = _positive(d) & _positive(t)
    return d[both], t[both]


def _positive(values: FloatArray) -> BoolArray:
    known: BoolArray = np.isfinite(values) & (values > 0)
    return known


def _mean(values: FloatArray | BoolArray) -> float:
    return float(values.mean()) if values.size else float("nan")

"""Which anchors disagree with those around them."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from metric_depth_ros.types import BoolArray, FloatArray, IntArray

# With fewer anchors the neighbours are too far away to judge by.
_FEWEST = 10
_NEIGHBOURS, _SUPPORTERS, _ROUNDS = 8, 2, 3
# Disagreement in log depth that is no sign of an error, and the Hampel identifier's factor.
_TOLERANCE, _FACTOR = 0.12, 3.0
# Standard deviation of normal errors per median of their size.
DEVIATION = 1.4826


def nearest(uv: FloatArray) -> IntArray | None:
    """(N, 8) indices of the anchors closest to each of the pixels (N, 2); None of fewer than 10."""
    if len(uv) < _FEWEST:
        return None
    _, near = cKDTree(uv).query(uv, k=_NEIGHBOURS + 1)
    itself = near == np.arange(len(uv))[:, None]
    itself[~itself.any(axis=1), -1] = True  # crowded out by others at its very place
    return np.asarray(near[~itself].reshape(len(uv), _NEIGHBOURS))


def disagreeing(near: IntArray | None, log_ratio: FloatArray, log_depth: FloatArray) -> BoolArray:
    """(N,) which anchors are wrong: far off the median of their 8 nearest, and alone with it.

    Off by more than three times their median deviation (Hampel 1974), and supported by fewer than two
    of them that are not wrong themselves: a neighbour supports an anchor when metric depth, or its ratio
    to the relative depth, is alike within 12 %. So the thin part in front and the gap between two
    things, where the network is wrong and the median as well, keep their anchors, as several lie there.
    Anchors at one place vouch for each other.
    None of fewer than 10 anchors is wrong, nor more than half of any.

    Args:
        near: of ``nearest``.
        log_ratio: (N,) log of metric over relative depth.
        log_depth: (N,) log of metric depth.
    """
    if near is None:
        return np.zeros(len(log_ratio), bool)
    around = log_ratio[near]
    middle = _row_medians(around)
    apart = np.abs(around - log_ratio[:, None])
    deviation = DEVIATION * _row_medians(np.abs(around - middle[:, None]))
    off = np.abs(log_ratio - middle) > np.maximum(_FACTOR * deviation, _TOLERANCE)
    np.minimum(apart, np.abs(log_depth[near] - log_depth[:, None]), out=apart)
    supports, wrong = apart < _TOLERANCE, np.zeros(len(near), bool)
    for _ in range(_ROUNDS):
        wrong = off & (np.count_nonzero(supports & ~wrong[near], axis=1) < _SUPPORTERS)
    return wrong if 2 * np.count_nonzero(wrong) <= len(wrong) else np.zeros_like(wrong)


def _row_medians(values: FloatArray) -> FloatArray:
    """(N,) of (N, an even number); np.median takes three times as long."""
    half = values.shape[1] // 2
    ordered = np.sort(values, axis=1)
    return np.asarray((ordered[:, half - 1] + ordered[:, half]) / 2)

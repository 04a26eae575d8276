"""Robust weights of anchors, from their agreement with each other; for all closed-form solvers.

Ours. A wrong anchor (moving object, wrong match, seen through a window) disagrees with the anchors
around it. Where the network is wrong, an anchor and its neighbours together disagree with the rest of
the image, and must be kept. So each anchor is compared with its neighbours:

1. A line y = scale * x + shift through all anchors: repeated medians (Siegel 1982) of up to 24
   groups of anchors alike in x. It breaks down only when half of the anchors of half of the groups
   are wrong.
2. r = log depth minus that of the line; e = |r - median r of the neighbours|, the least over three ways
   to split the anchors into cells of about eight by u, v and x.
3. Tukey's biweight of e with a scale from the data, the median of e; never below what the anchor's
   own sigma allows.

At least half of the anchors keep weight: e at its median is well inside the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metric_depth_ros.depth import Domain, depth_from
from metric_depth_ros.types import FloatArray, IntArray

# Fewer anchors cannot outvote a wrong one.
_FEWEST = 4
# Groups of the repeated median.
_GROUPS = 24
# Anchors per cell of neighbours.
_CELL = 8
# Tukey's constant in standard deviations; wider than the usual 4.7: the network's errors have long tails.
_TUKEY = 8.0
# Median of the absolute value of a standard normal variable.
_MEDIAN_OF_NORMAL = 0.6745
# Disagreement in log depth that is always accepted.
_FLOOR = 0.02


def robust_weights(
    uv: FloatArray, x: FloatArray, y: FloatArray, domain: Domain, relative_sigma: FloatArray
) -> FloatArray:
    """Robust weights (N,) from 0 (wrong) to 1; all 1 for fewer than 4 anchors.

    Args:
        uv: (N, 2) pixels.
        x, y: (N,) relative and metric depth in ``domain``.
        domain: the space of x and y.
        relative_sigma: (N,) one standard deviation of each anchor as a fraction of its depth.
    """
    if len(x) < _FEWEST:
        return np.ones(len(x))
    # Ties are broken by the other values, so that the order of the anchors does not matter.
    tie = 1e-9 * (uv[:, 0] + 1e-3 * uv[:, 1] + 1e-4 * y / (np.abs(y).max() or 1.0))
    orders = [np.argsort(values + tie * (np.abs(values).max() or 1.0)) for values in (x, uv[:, 0], uv[:, 1])]
    residual = _log_residuals(x, y, domain, orders[0])
    by_residual = np.argsort(residual)
    disagreement = np.full(len(x), np.inf)
    for first in range(3):
        cell = _cells(orders[first:] + orders[:first])
        middle = _medians(residual, by_residual, cell)
        np.minimum(disagreement, np.abs(residual - middle[cell]), out=disagreement)
    # Few anchors give too small a scale.
    scale = np.median(disagreement) / _MEDIAN_OF_NORMAL * (1 + 2 / (len(x) - 2))
    allowed = _TUKEY * np.sqrt(scale**2 + relative_sigma**2 + _FLOOR**2)
    return np.asarray(np.maximum(1 - (disagreement / allowed) ** 2, 0) ** 2)


def _log_residuals(x: FloatArray, y: FloatArray, domain: Domain, by_x: IntArray) -> FloatArray:
    """Log depth (N,) minus that of a robust line through all anchors."""
    scale, shift = repeated_median_line(x, y, by_x)
    fitted = scale * x + shift
    if domain != "log":
        fitted = np.maximum(fitted, 0.05 * np.median(y))
    return np.asarray(np.log(depth_from(domain, y)) - np.log(depth_from(domain, fitted)))


def repeated_median_line(x: FloatArray, y: FloatArray, by_x: IntArray) -> tuple[float, float]:
    """Scale and shift of y = scale * x + shift by repeated medians; the scale is at least zero.

    The anchors are first reduced to the medians of at most 24 groups of equal size, in order of x (``by_x``).
    """
    groups = min(_GROUPS, len(x))
    group = np.empty(len(x), np.intp)
    group[by_x] = np.arange(len(x)) * groups // len(x)
    middle_x, middle_y = _medians(x, by_x, group), _medians(y, np.argsort(y), group)
    step_x, step_y = middle_x[:, None] - middle_x, middle_y[:, None] - middle_y
    slopes = np.divide(step_y, step_x, out=np.full_like(step_y, np.nan), where=step_x != 0)
    slopes.sort(axis=1)  # NaN last
    known = np.isfinite(slopes).sum(axis=1)
    row = np.flatnonzero(known)
    own = (slopes[row, (known[row] - 1) // 2] + slopes[row, known[row] // 2]) / 2
    scale = max(0.0, float(np.median(own))) if len(row) else 0.0
    return scale, float(np.median(y - scale * x))


def _cells(orders: Sequence[IntArray]) -> IntArray:
    """Cell (N,) of each anchor: split evenly by the first of three orders, then the second, the third."""
    n = len(orders[0])
    parts = max(1, round((n / _CELL) ** (1 / 3)))
    cell = np.zeros(n, np.intp)
    for level, order in enumerate(orders if parts > 1 else []):
        order = _by_group(order, cell)
        size = np.bincount(cell, minlength=parts**level)
        within = np.arange(n) - np.repeat(np.cumsum(size) - size, size)
        part = within * np.repeat(parts / np.maximum(size, 1), size)
        cell[order] = cell[order] * parts + part.astype(np.intp)
    return cell


def _medians(values: FloatArray, ascending: IntArray, group: IntArray) -> FloatArray:
    """Median (n,) of the values of each group 0 to n-1; any number for an empty one.

    ``ascending`` sorts the values.
    """
    ordered = values[_by_group(ascending, group)]
    size = np.bincount(group)
    start, last = np.cumsum(size) - size, len(values) - 1
    low = np.minimum(start + np.maximum(size - 1, 0) // 2, last)
    return np.asarray((ordered[low] + ordered[np.minimum(start + size // 2, last)]) / 2)


def _by_group(order: IntArray, group: IntArray) -> IntArray:
    """``order`` with groups together; 16-bit keys are sorted by radix, 5 times faster."""
    keys = group[order]
    return order[np.argsort(keys.astype(np.uint16) if len(keys) < 65536 else keys, kind="stable")]

"""Which anchors to believe: robust weights from the anchors themselves, for every solver alike.

Ours. A wrong anchor (moving object, wrong match, seen through a window) disagrees with the anchors
around it; a place where the network is wrong disagrees with the rest of the image together with its
neighbours, and must keep its anchors. So each anchor is judged by its neighbours:

1. A line y = scale * x + shift through all anchors: repeated medians (Siegel 1982) of up to 24
   groups of anchors alike in x. It breaks down only when half of the anchors of half of the groups
   are wrong.
2. r = log depth less that of the line; e = |r - median r of the neighbours|, the least over three ways
   to part the anchors into cells of about ten by u, v and x.
3. Tukey's biweight of e with a scale from the data, the median of e; never below what the anchor's
   own sigma allows.

At least half of the anchors keep weight: e at its median is well inside the threshold.
"""

from __future__ import annotations

import numpy as np

from metric_depth_ros.solvers.domain import Domain, depth_from
from metric_depth_ros.types import FloatArray, IntArray

# Fewer anchors cannot outvote a wrong one.
_FEWEST = 4
# Groups of the repeated median, anchors in a cell of neighbours.
_GROUPS, _CELL = 24, 10
# Tukey's constant in standard deviations, and the median of |normal| in them.
_TUKEY, _MEDIAN_OF_NORMAL = 4.685, 0.6745
# Disagreement in log depth that is never held against an anchor.
_FLOOR = 0.01


def robust_weights(
    uv: FloatArray, x: FloatArray, y: FloatArray, domain: Domain, relative_sigma: FloatArray
) -> FloatArray:
    """(N,) weights from 0 (wrong) to 1; all 1 for fewer than 4 anchors.

    Args:
        uv: (N, 2) pixels.
        x, y: (N,) relative and metric depth in ``domain``.
        domain: the space of x and y.
        relative_sigma: (N,) one standard deviation of each anchor as a fraction of its depth.
    """
    if len(x) < _FEWEST:
        return np.ones(len(x))
    residual = _log_residuals(x, y, domain)
    ranks = [_ranks(values) for values in (uv[:, 0], uv[:, 1], x)]
    disagreement = np.full(len(x), np.inf)
    for first in range(3):
        cell = _cells(ranks[first:] + ranks[:first])
        np.minimum(disagreement, np.abs(residual - _medians(residual, cell)[cell]), out=disagreement)
    scale = np.median(disagreement) / _MEDIAN_OF_NORMAL
    allowed = _TUKEY * np.sqrt(scale**2 + relative_sigma**2 + _FLOOR**2)
    return np.asarray(np.maximum(1 - (disagreement / allowed) ** 2, 0) ** 2)


def _log_residuals(x: FloatArray, y: FloatArray, domain: Domain) -> FloatArray:
    """(N,) log depth less that of a robust line through all anchors."""
    scale, shift = repeated_median_line(x, y)
    fitted = scale * x + shift
    if domain != "log":
        fitted = np.maximum(fitted, 0.05 * np.median(y))
    return np.asarray(np.log(depth_from(domain, y)) - np.log(depth_from(domain, fitted)))


def repeated_median_line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Scale and shift of y = scale * x + shift by repeated medians; the scale is at least zero.

    The anchors are first reduced to the medians of at most 24 groups of equal size, in order of x.
    """
    group = _ranks(x) * min(_GROUPS, len(x)) // len(x)
    middle_x, middle_y = _medians(x, group), _medians(y, group)
    step_x = middle_x[:, None] - middle_x
    step_y = middle_y[:, None] - middle_y
    slopes = np.divide(step_y, step_x, out=np.full_like(step_y, np.nan), where=step_x != 0)
    some = np.isfinite(slopes).any(axis=1)
    scale = max(0.0, float(np.median(np.nanmedian(slopes[some], axis=1)))) if some.any() else 0.0
    return scale, float(np.median(y - scale * x))


def _ranks(values: FloatArray) -> IntArray:
    """(N,) place of each value in ascending order."""
    ranks = np.empty(len(values), np.intp)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks


def _cells(ranks: list[IntArray]) -> IntArray:
    """(N,) cell of each anchor: the anchors are parted evenly by the first of three ranks, each part
    by the second, each of those by the third, into cells of about ten."""
    n = len(ranks[0])
    parts = max(1, round((n / _CELL) ** (1 / 3)))
    cell = np.zeros(n, np.intp)
    if parts == 1:
        return cell
    cells = 1
    for rank in ranks:
        order = np.argsort(cell * n + rank)
        size = np.bincount(cell, minlength=cells)
        within = np.arange(n) - np.repeat(np.cumsum(size) - size, size)
        part = within * parts // np.repeat(size, size)
        cell[order] = cell[order] * parts + part
        cells *= parts
    return cell


def _medians(values: FloatArray, group: IntArray) -> FloatArray:
    """(n,) median of the values of each group 0 to n-1; NaN for an empty one."""
    order = np.lexsort((values, group))
    size = np.bincount(group)
    start = np.cumsum(size) - size
    low, high = start + np.maximum(size - 1, 0) // 2, np.minimum(start + size // 2, len(values) - 1)
    low = np.minimum(low, len(values) - 1)
    return np.where(size > 0, (values[order[low]] + values[order[high]]) / 2, np.nan)

"""Fits to all true depth: what the best scale, or scale and shift, of a network's depth would give.

These are the rows "Median" and "Linear Fit" of paper 000, for the whole image and for each region. They know
the truth that they are measured on: a bound for methods with anchors, no method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from metric_depth_ros.config import Config, RegionsConfig
from metric_depth_ros.depth import Domain, depth_from, depth_in, published, relative_in
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.evaluation.candidates import Candidate, limited
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.types import Anchors, FloatArray, IntArray, MetricDepth

Fit = Literal["median", "linear"]
FITS: tuple[Fit, ...] = ("median", "linear")
# A column that varies less than this fraction of its size counts as constant.
_NO_VARIATION = 1e-5


def whole_truth_candidates(
    config: Config, space: Domain | None, regions: Mapping[str, RegionsConfig]
) -> list[Candidate]:
    """Rows "median (truth)" and "linear (truth)", and both by region for each of ``regions``.

    Args:
        config: for the limits of the result.
        space: what the line is fitted in; None: the network's own, depth or inverse depth. The median is the
            same in all: in depth, as in paper 000.
        regions: what is added to a row's name -> the segmenter.
    """
    rows = [_candidate(f"{fit} (truth)", config, fit, space, None) for fit in FITS]
    for name, segmenter in regions.items():
        rows += [_candidate(f"region {fit} (truth{name})", config, fit, space, segmenter) for fit in FITS]
    return rows


def _candidate(
    label: str, config: Config, fit: Fit, space: Domain | None, segmenter: RegionsConfig | None
) -> Candidate:
    """Candidate that knows the truth, computed once for each view; a control, so that nothing chooses it."""
    found: dict[str, MetricDepth] = {}

    def prepare(view: KnownView) -> None:
        found.clear()

    def solve(view: KnownView, anchors: Anchors) -> MetricDepth:
        if view.name not in found:
            labels = None if segmenter is None else view.regions(segmenter)
            found[view.name] = published(fitted(view, fit, space, labels), limited(config, view))
        return found[view.name]

    return Candidate(label, solve, prepare, control=True)


def fitted(view: KnownView, fit: Fit, space: Domain | None, labels: IntArray | None) -> MetricDepth:
    """Depth (H, W) fitted to all known pixels of a view, with one fit for each label.

    median: scale = median(d) / median(r) (paper 000, section 4.2). linear: least squares of scale and shift,
    y = scale x + shift, in ``space``; the mean of y where x does not vary. Regions without a known pixel take
    the fit of the whole image. Where a line gives no depth it is NaN.

    Raises:
        AnchorError: the network gives no value at any known pixel.
    """
    domain: Domain = "depth" if fit == "median" else space or view.relative.kind
    x = relative_in(domain, view.relative)
    truth = view.known.pixels
    u, v = np.rint(truth.uv).astype(np.intp).T
    seen = np.isfinite(x[v, u])
    if not seen.any():
        raise AnchorError(f"{fit} (truth): the network gives no value at {len(truth)} known pixels.")
    u, v = u[seen], v[seen]
    known_x, known_y = x[v, u].astype(np.float64), depth_in(domain, truth.depth[seen])
    lines = _FITTED[fit]
    scale, shift = lines(known_x, known_y, np.zeros(len(u), np.intp), 1)
    if labels is not None:
        n = int(labels.max()) + 1
        own_scale, own_shift = lines(known_x, known_y, labels[v, u].astype(np.intp), n)
        missing = np.isnan(own_scale + own_shift)
        scale, shift = (
            np.where(missing, scale, own_scale)[labels],
            np.where(missing, shift, own_shift)[labels],
        )
    depth = depth_from(domain, (scale * x + shift).astype(np.float32))
    depth[~(depth > 0)] = np.nan
    return MetricDepth(depth)


# Function from x and y (N,), the group (N,) of each and the number n of groups to scale and shift (n,).
_Lines = Callable[[FloatArray, FloatArray, IntArray, int], tuple[FloatArray, FloatArray]]


def _medians(x: FloatArray, y: FloatArray, group: IntArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Scale (n,) of each group, median(y) / median(x), NaN for an empty one; and shifts of 0."""
    return group_medians(y, group, n) / group_medians(x, group, n), np.zeros(n)


def least_squares(x: FloatArray, y: FloatArray, group: IntArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Scale and shift (n,) of y = scale x + shift in each group; a shift of NaN for an empty one.

    Args:
        x, y: (N,).
        group: (N,) the group of each, 0 to n-1.
        n: number of groups.
    """
    count = np.bincount(group, minlength=n).astype(np.float64)
    count[count == 0] = np.nan

    def mean(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(group, values, n) / count)

    mean_x, mean_y = mean(x), mean(y)
    dx = x - mean_x[group]
    variance, covariance = mean(dx**2), mean(dx * (y - mean_y[group]))
    varies = variance > (_NO_VARIATION * np.abs(mean_x)) ** 2
    scale = np.where(varies, covariance / np.where(varies, variance, 1), 0.0)
    return scale, mean_y - scale * mean_x


_FITTED: Mapping[Fit, _Lines] = {"median": _medians, "linear": least_squares}


def group_medians(values: FloatArray, group: IntArray, n: int) -> FloatArray:
    """Medians (n,) of the values (N,) of each group; NaN for an empty one."""
    ordered = values[np.lexsort((values, group))]
    count = np.bincount(group, minlength=n)
    start = np.cumsum(count) - count
    middle = [np.minimum(start + np.maximum(count - 1 + odd, 0) // 2, len(values) - 1) for odd in (0, 1)]
    return np.where(count > 0, (ordered[middle[0]] + ordered[middle[1]]) / 2, np.nan)

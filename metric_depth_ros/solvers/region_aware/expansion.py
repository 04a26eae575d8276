"""Fits of regions that use their neighbours' anchors: Algorithm 1 of paper 000."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from metric_depth_ros.config import RegionAwareConfig
from metric_depth_ros.depth import Domain
from metric_depth_ros.regions.adjacency import grown, neighbours
from metric_depth_ros.solvers.fitting.observations import Line, Observations, weighted_medians
from metric_depth_ros.solvers.fitting.surfaces import Surfaces, fit_surfaces
from metric_depth_ros.solvers.region_aware.fits import FITS, RegionFits, depth_ranges, simplest_of_the_best
from metric_depth_ros.types import BoolArray, FloatArray, IntArray

_MEDIAN, _LINEAR, _SURFACE = (FITS.index(name) for name in ("median", "linear", "surface"))
_PARAMETERS = {"median": 1, "linear": 2, "surface": 4, "auto": 4}


def fit_expanded(
    seen: Observations,
    labels: IntArray,
    group: IntArray,
    n: int,
    line: Line,
    domain: Domain,
    options: RegionAwareConfig,
    *,
    median: str,
    rising: bool,
) -> RegionFits:
    """Configured fit of every region, or the next simpler one if its anchors do not determine it.

    The order is surface, linear, median, and last the global ``line``. With ``fit: auto`` each region
    takes the fit with the least leave-one-out error instead. Lines and surfaces need enough anchors even if
    the region has grown over the whole image.

    Args:
        seen: the anchors.
        labels: (H, W) regions, 0 to n-1.
        group: (N,) each anchor's region.
        n: number of regions.
        line: for regions without any fit.
        domain: of ``seen``.
        options: fit and min_anchors.
        median: ``statistic`` of the median's settings.
        rising: whether a falling line counts as not determined.
    """
    counts = np.bincount(group, minlength=n)
    needed = options.min_anchors or _PARAMETERS[options.fit] + 1
    reach = grown(neighbours(labels, n), counts, needed)
    held = reach @ counts
    richest = options.fit if options.fit in FITS else "surface"

    def fitted(level: int, rows: IntArray) -> Surfaces:
        """Fits of one kind for some regions."""
        if level == _MEDIAN:
            return _medians(seen, group, reach[rows], domain, median)
        slopes, leave_one_out = level == _SURFACE, options.fit == "auto"
        found = fit_surfaces(seen, group, reach[rows], domain, slopes=slopes, leave_one_out=leave_one_out)
        enough = needed if FITS[level] == richest else min(needed, _PARAMETERS[FITS[level]] + 1)
        solved = found.solved & (held[rows] >= enough)
        if rising and level == _LINEAR:
            solved &= found.parameters[:, 0] > 0
        return replace(found, solved=solved)

    parameters = np.tile([line.scale, 0.0, 0.0, line.shift], (n, 1))
    if options.fit == "auto":
        fit = _best(parameters, fitted)
    else:
        fit = _richest(parameters, fitted, FITS.index(options.fit))
    return RegionFits(parameters, fit, depth_ranges(seen.depth, group, reach), counts < needed)


def _richest(parameters: FloatArray, fitted: Callable[[int, IntArray], Surfaces], wanted: int) -> IntArray:
    """Fit (n,) that each region got, ``wanted`` or a simpler one; fills in ``parameters`` (n, 4)."""
    fit: IntArray = np.zeros(len(parameters), np.intp)
    for level in range(wanted, 0, -1):
        open_ = np.flatnonzero(fit == 0)
        if len(open_):
            found = fitted(level, open_)
            parameters[open_[found.solved]] = found.parameters[found.solved]
            fit[open_[found.solved]] = level
    return fit


def _best(parameters: FloatArray, fitted: Callable[[int, IntArray], Surfaces]) -> IntArray:
    """Fit (n,) with the least leave-one-out error in each region; fills in ``parameters`` (n, 4)."""
    everywhere = np.arange(len(parameters))
    found = [fitted(level, everywhere) for level in (_MEDIAN, _LINEAR, _SURFACE)]
    errors = np.stack([np.where(one.solved, one.left_out, np.inf) for one in found], axis=1)
    best = simplest_of_the_best(errors)
    some = np.isfinite(errors).any(axis=1)
    parameters[some] = np.stack([one.parameters for one in found])[best, everywhere][some]
    return np.where(some, best + _MEDIAN, 0)


def _medians(
    seen: Observations, group: IntArray, reach: BoolArray, domain: Domain, statistic: str
) -> Surfaces:
    """Median scale of depth for each row of ``reach``.

    Each anchor's ratio of depths has the weight of its relative error, in every domain; the papers'
    ratio of medians has no weights. Leave-one-out residuals are approximated by those of a mean.
    """
    member = reach[:, group]
    parameters = np.zeros((len(member), 4))
    if domain == "log":
        parameters[:, 0] = 1
        parameters[:, 3] = weighted_medians(seen.y - seen.x, seen.relative_weight, member)
        solved = np.isfinite(parameters[:, 3])
    else:
        positive = seen.x > 0
        ratio = np.divide(seen.y, seen.x, out=np.ones_like(seen.y), where=positive)
        if statistic == "ratio_of_medians":
            y, x = (weighted_medians(v, positive.astype(float), member) for v in (seen.y, seen.x))
            parameters[:, 0] = y / x
        else:
            parameters[:, 0] = weighted_medians(ratio, seen.relative_weight * positive, member)
        solved = np.isfinite(parameters[:, 0])
    weight = member * seen.weight
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    residual = seen.y - parameters[:, :1] * seen.x - parameters[:, 3:]
    left_out = np.einsum("mn,mn->m", weight, (residual / np.maximum(1 - share, 1e-6)) ** 2)
    return Surfaces(parameters, solved, left_out)

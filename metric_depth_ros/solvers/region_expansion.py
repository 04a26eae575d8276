"""Regions that borrow their neighbours' anchors: Algorithm 1 of paper 000."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.regions.adjacency import grown, neighbours
from metric_depth_ros.solver_config import RegionAwareConfig
from metric_depth_ros.solvers.domain import Domain
from metric_depth_ros.solvers.line import Line, weighted_medians
from metric_depth_ros.solvers.observations import Observations
from metric_depth_ros.solvers.region_fits import FITS, RegionFits, depth_ranges, simplest_of_the_best
from metric_depth_ros.solvers.surfaces import fit_surfaces
from metric_depth_ros.types import BoolArray, FloatArray, IntArray

_PARAMETERS = {"median": 1, "linear": 2, "surface": 4, "auto": 4}
# A richer fit must lower the leave-one-out error by this fraction to be taken.
_WORTH = 0.05


def fit_expanded(
    seen: Observations,
    labels: IntArray,
    group: IntArray,
    n: int,
    line: Line,
    domain: Domain,
    options: RegionAwareConfig,
    *,
    rising: bool,
) -> RegionFits:
    """The configured fit for every region, or the next simpler one where its anchors leave it open.

    The order is surface, linear, median, and last the global ``line``. With ``fit: auto`` each region
    takes the fit of the least leave-one-out error instead.

    Args:
        seen: the anchors.
        labels: (H, W) regions, 0 to n-1.
        group: (N,) each anchor's region.
        n: number of regions.
        line: for regions without any fit.
        domain: of ``seen``.
        options: fit and min_anchors.
        rising: whether a line that falls counts as open.
    """
    counts = np.bincount(group, minlength=n)
    needed = options.min_anchors or _PARAMETERS[options.fit] + 1
    reach = grown(neighbours(labels, n), counts, needed)
    found: dict[int, tuple[FloatArray, BoolArray, FloatArray]] = {}
    fit: IntArray = np.zeros(n, np.intp)
    parameters = np.tile([line.scale, 0.0, 0.0, line.shift], (n, 1))
    auto = options.fit == "auto"
    for level in range(FITS.index("surface" if auto else options.fit), 0, -1):
        open_ = np.arange(n) if auto else np.flatnonzero(fit == 0)
        if not len(open_):
            break
        if level == 1:
            candidate, solved, error = _medians(seen, group, reach[open_], domain)
        else:
            surfaces = fit_surfaces(seen, group, reach[open_], domain, slopes=level == 3, leave_one_out=auto)
            candidate, solved, error = surfaces.parameters, surfaces.solved, surfaces.left_out
            if rising and level == 2:
                solved = solved & (candidate[:, 0] > 0)
        if auto:
            found[level] = candidate, solved, error
        else:
            parameters[open_[solved]] = candidate[solved]
            fit[open_[solved]] = level
    if auto:
        errors = np.stack([np.where(found[k][1], found[k][2], np.inf) for k in (1, 2, 3)], axis=1)
        fit = 1 + simplest_of_the_best(errors, _WORTH)
        fit[~np.isfinite(errors).any(axis=1)] = 0
        for level, (candidate, _, _) in found.items():
            parameters[fit == level] = candidate[fit == level]
    return RegionFits(parameters, fit, depth_ranges(seen.depth, group, reach), counts < needed)


def _medians(
    seen: Observations, group: IntArray, reach: BoolArray, domain: Domain
) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Parameters (m, 4) of the median scale of depth, whether a row has one, its leave-one-out error.

    Each anchor's ratio of depths counts by the weight of its relative error, in every domain alike.
    Leaving one of W anchors out of a median is taken to change its residual as for a mean.
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
        parameters[:, 0] = weighted_medians(ratio, seen.relative_weight * positive, member)
        solved = np.isfinite(parameters[:, 0])
    weight = member * seen.weight
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    residual = seen.y - parameters[:, :1] * seen.x - parameters[:, 3:]
    left_out = np.einsum("mn,mn->m", weight, (residual / np.maximum(1 - share, 1e-6)) ** 2)
    return parameters, solved, left_out

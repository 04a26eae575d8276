"""The sliding focus: any solver fitted twice, within the focus and beyond it, and fused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.near_far import TAPER
from metric_depth_ros.solvers.fitting.observations import MODEL_MISFIT
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import Anchors, FloatArray, MetricDepth, SolverInput

# Ours: an anchor's variance is multiplied by this at most: so it has next to no weight in a weighted fit.
_MOST = 1e6
# A process that takes sigma as it is stated follows anchors closely, and those across the focus still tell it
# of the network: they keep a sigma of 0.3 d, as much as the process knows beforehand.
PROCESS_MOST = 10.0
# Ours: how soft the mask is, in widths of the focus.
_SOFTNESS = 0.6


class Focused(Solver):
    """d = m near + (1 - m) far: another solver fitted to the anchors up to the focus, and to those beyond.

    After Metric-Solver (paper 004, equations 1 to 6), whose two branches are ours of a closed form. The near
    fit holds for the scaled depth d / f: anchors beyond the focus count less and less. The far fit holds
    for the tapered depth exp(-k (d - f)): anchors within the focus count less and less, and those far
    beyond it as the taper has it. The mask m asks the near fit (``near_mask``).
    """

    def __init__(self, config: SolverConfig, build: Callable[[SolverConfig], Solver]) -> None:
        """``build`` makes the other solver, of which there are two: each may remember."""
        self._near, self._far = build(config), build(config)
        self._width = config.focus_width
        self._most = PROCESS_MOST if self._near.probabilistic else _MOST
        self.wants_regions = self._near.wants_regions
        self.wants_maps = self._near.wants_maps
        self.probabilistic = self._near.probabilistic
        self.remembers = self._near.remembers

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth (H, W), and sigma where the other solver has one, in metres.

        Without a focus the answer is the other solver's own. ``info`` is that of the near fit, with
        ``focus_m``. Raises what the other solver raises.
        """
        anchors, focus_m, width = given.anchors, given.focus_m, self._width
        if not focus_m:
            return self._near.solve(given)
        near = self._near.solve(replace(given, anchors=near_anchors(anchors, focus_m, width, self._most)))
        far = self._far.solve(replace(given, anchors=far_anchors(anchors, focus_m, width, self._most)))
        mask = near_mask(near.depth, far.depth, focus_m, width)
        return replace(_fused(near, far, mask), info={**near.info, "focus_m": focus_m})


def near_anchors(anchors: Anchors, focus_m: float, width: float, most: float = _MOST) -> Anchors:
    """The anchors of the near fit: sigma widened beyond the focus, by exp(z^2), z = log(d / f) / width."""
    with np.errstate(divide="ignore", invalid="ignore"):  # solvers leave out what is no depth
        beyond = np.maximum(np.log(anchors.depth / focus_m) / width, 0)
    return _widened(anchors, beyond**2, most)


def far_anchors(anchors: Anchors, focus_m: float, width: float, most: float = _MOST) -> Anchors:
    """The anchors of the far fit: sigma widened within the focus in the same way, and by the taper beyond."""
    with np.errstate(divide="ignore", invalid="ignore"):
        within = np.maximum(np.log(focus_m / anchors.depth) / width, 0)
    return _widened(anchors, within**2 + 2 * TAPER * np.maximum(anchors.depth - focus_m, 0), most)


def _widened(anchors: Anchors, exponent: FloatArray, most: float) -> Anchors:
    """The anchors with e to the exponent (N,) times the variance that a network's misfit has anyway."""
    more = np.expm1(np.minimum(exponent, math.log(most))) * (MODEL_MISFIT * anchors.depth) ** 2
    return Anchors(anchors.uv, anchors.depth, np.sqrt(anchors.sigma**2 + more).astype(np.float32))


def near_mask(near: FloatArray, far: FloatArray, focus_m: float, width: float) -> FloatArray:
    """(H, W) weight of the near fit: a logistic of its log depth, one half a width beyond the focus.

    There the near fit's anchors still count, and a pixel within the focus that is taken for one beyond
    costs more than the other way round. Where one fit has no depth (NaN or infinite) the other one has
    all the weight; where neither has, the near one.
    """
    with np.errstate(divide="ignore"):
        past = (np.log(near) - np.float32(math.log(focus_m) + width)) / np.float32(_SOFTNESS * width)
    mask = 1 / (1 + np.exp(np.minimum(past, np.float32(20))))  # smaller weights are slow to reckon with
    mask[~np.isfinite(near)] = 0
    mask[~np.isfinite(far)] = 1
    return np.asarray(mask)


def _fused(near: MetricDepth, far: MetricDepth, mask: FloatArray) -> MetricDepth:
    """Mean and, where both have a sigma, standard deviation of the mixture of the two, which are changed."""
    alone, absent = mask == 1, mask == 0
    for ours, theirs in ((near.depth, far.depth), (near.sigma, far.sigma)):
        if ours is not None and theirs is not None:  # a fit without a say is not looked at
            np.copyto(theirs, ours, where=alone)
            np.copyto(ours, theirs, where=absent)
    with np.errstate(invalid="ignore"):  # both may be infinite
        apart = near.depth - far.depth
        depth = far.depth + mask * apart
    if near.sigma is None or far.sigma is None:
        return MetricDepth(depth)
    # far^2 + m (near^2 - far^2) + m (1 - m) apart^2
    np.square(apart, out=apart)
    apart *= 1 - mask
    near_variance, far_variance = np.square(near.sigma), np.square(far.sigma)
    apart += near_variance
    apart -= far_variance
    apart *= mask
    apart += far_variance
    return MetricDepth(depth, np.sqrt(apart, out=apart))

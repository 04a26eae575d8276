"""Sliding focus: fits any solver twice, within the focus and beyond it, and fuses the two."""

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

# Ours: largest factor of an anchor's misfit variance; it leaves almost no weight in a weighted fit.
_MOST = 1e6
# The same for a solver that uses sigma as stated: it follows anchors closely, and anchors across the focus
# still inform it about the network. They keep a sigma of 0.3 d, the prior deviation of the process.
PROCESS_MOST = 10.0
# Ours: softness of the mask, in widths of the focus.
_SOFTNESS = 0.6


class Focused(Solver):
    """Fusion of two fits of a solver, within and beyond the focus: d = m near + (1 - m) far.

    Ours, after the two branches of Metric-Solver (paper 004, equations 1 to 6). The near fit is for the
    scaled depth d / f: anchors lose weight with their distance beyond the focus. The far fit is for the
    tapered depth exp(-k (d - f)): anchors lose weight with their distance within the focus, and far
    beyond it by the taper. The mask m depends on the near fit (``near_mask``).
    """

    def __init__(self, config: SolverConfig, build: Callable[[SolverConfig], Solver]) -> None:
        """``build`` makes the solver. It is called twice, as each of the two may have a memory."""
        self._near, self._far = build(config), build(config)
        self._width = config.focus_width
        self._most = PROCESS_MOST if self._near.probabilistic else _MOST
        self.wants_regions = self._near.wants_regions
        self.probabilistic = self._near.probabilistic
        self.follows_anchors = self._near.follows_anchors
        self.remembers = self._near.remembers

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth (H, W) and, if the wrapped solver gives it, sigma (H, W), in metres.

        Without a focus the result is that of the wrapped solver. ``info`` is that of the near fit, with
        ``focus_m``. Raises what the wrapped solver raises.
        """
        anchors, focus_m, width = given.anchors, given.focus_m, self._width
        if not focus_m:
            return self._near.solve(given)
        near = self._near.solve(replace(given, anchors=near_anchors(anchors, focus_m, width, self._most)))
        far = self._far.solve(replace(given, anchors=far_anchors(anchors, focus_m, width, self._most)))
        mask = near_mask(near.depth, far.depth, focus_m, width)
        return replace(_fused(near, far, mask), info={**near.info, "focus_m": focus_m})


def near_anchors(anchors: Anchors, focus_m: float, width: float, most: float = _MOST) -> Anchors:
    """Anchors of the near fit: misfit variance times exp(z^2) beyond the focus, z = log(d / f) / width."""
    with np.errstate(divide="ignore", invalid="ignore"):  # solvers leave out invalid depths
        beyond = np.maximum(np.log(anchors.depth / focus_m) / width, 0)
    return _widened(anchors, beyond**2, most)


def far_anchors(anchors: Anchors, focus_m: float, width: float, most: float = _MOST) -> Anchors:
    """Anchors of the far fit: misfit variance raised within the focus likewise, and beyond by the taper."""
    with np.errstate(divide="ignore", invalid="ignore"):
        within = np.maximum(np.log(focus_m / anchors.depth) / width, 0)
    return _widened(anchors, within**2 + 2 * TAPER * np.maximum(anchors.depth - focus_m, 0), most)


def _widened(anchors: Anchors, exponent: FloatArray, most: float) -> Anchors:
    """Anchors with larger sigma: misfit variance of the network times exp(exponent), (N,), up to ``most``."""
    more = np.expm1(np.minimum(exponent, math.log(most))) * (MODEL_MISFIT * anchors.depth) ** 2
    return Anchors(anchors.uv, anchors.depth, np.sqrt(anchors.sigma**2 + more).astype(np.float32))


def near_mask(near: FloatArray, far: FloatArray, focus_m: float, width: float) -> FloatArray:
    """Weight (H, W) of the near fit: logistic in its log depth, 0.5 at one ``width`` beyond the focus.

    There the near fit's anchors still count, and using the far fit within the focus costs more than
    the near fit beyond it. Where one fit has no depth (NaN or infinite) the other one has all the
    weight; where neither has, the near one.
    """
    with np.errstate(divide="ignore"):
        past = (np.log(near) - np.float32(math.log(focus_m) + width)) / np.float32(_SOFTNESS * width)
    mask = 1 / (1 + np.exp(np.minimum(past, np.float32(20))))  # arithmetic on smaller weights is slow
    mask[~np.isfinite(near)] = 0
    mask[~np.isfinite(far)] = 1
    return np.asarray(mask)


def _fused(near: MetricDepth, far: MetricDepth, mask: FloatArray) -> MetricDepth:
    """Mixture of two fits: mean and, if both have a sigma, standard deviation. Overwrites the inputs."""
    alone, absent = mask == 1, mask == 0
    for ours, theirs in ((near.depth, far.depth), (near.sigma, far.sigma)):
        if ours is not None and theirs is not None:  # a fit of weight 0 is ignored
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

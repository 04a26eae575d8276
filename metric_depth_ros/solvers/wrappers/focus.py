"""Sliding focus: fits any solver twice, within the focus and beyond it, and fuses the two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.solvers.fitting.focus import MOST, PROCESS_MOST, far_anchors, near_anchors, near_mask
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import FloatArray, MetricDepth, SolverInput


class Focused(Solver):
    """Fusion of two fits of a solver, within and beyond the focus: d = m near + (1 - m) far.

    Ours, after the two branches of Metric-Solver (paper 004, equations 1 to 6). The near fit is for the
    scaled depth d / f: anchors lose weight with their distance beyond the focus. The far fit is for the
    tapered depth exp(-k (d - f)): anchors lose weight with their distance within the focus, and far
    beyond it by the taper. The mask m depends on the near fit (``near_mask``). A solver that ``focuses``
    itself is left alone.
    """

    def __init__(self, config: SolverConfig, solver: Solver) -> None:
        """``solver`` fits both."""
        self._solver, self._width = solver, config.focus_width
        self._most = PROCESS_MOST if solver.probabilistic else MOST
        self.wants_regions = solver.wants_regions
        self.probabilistic, self.follows_anchors = solver.probabilistic, solver.follows_anchors

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth (H, W) and, if the wrapped solver gives it, sigma (H, W), in metres.

        Without a focus the result is that of the wrapped solver. ``info`` is that of the near fit, with
        ``focus_m``. Raises what the wrapped solver raises.
        """
        anchors, focus_m, width = given.anchors, given.focus_m, self._width
        if not focus_m or self._solver.focuses:
            return self._solver.solve(given)
        near = self._solver.solve(replace(given, anchors=near_anchors(anchors, focus_m, width, self._most)))
        far = self._solver.solve(replace(given, anchors=far_anchors(anchors, focus_m, width, self._most)))
        mask = near_mask(near.depth, far.depth, focus_m, width)
        return replace(_fused(near, far, mask), info={**near.info, "focus_m": focus_m})


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

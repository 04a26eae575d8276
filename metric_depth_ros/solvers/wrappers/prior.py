"""Prior under any solver: its depth without anchors, and a pull towards its scale with few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers.fitting.observations import DEVIATION, occupied_cells
from metric_depth_ros.solvers.prior_only import prior_depth
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import BASIS, FloatArray, MetricDepth, Prior, RelativeDepth, SolverInput

# Standard deviation of the log scale that one anchor gives (how far depth is off at one pixel from what it is
# on the whole) over the image's own deviation of log depth: ours; .56 and .64 on the develop frames.
ANCHOR_SPREAD = 0.55
# A prior farther than this many standard deviations from the anchors' scale is wrong, not only uncertain.
_DOUBTED = 2.0
# Step in pixels at which the maps' levels are compared.
_STEP = 4


class WithPrior(Solver):
    """Any solver, its depth moved so that its scale is the best guess from anchors and prior together.

    Ours. Of N anchors the log scale has the variance v = (0.55 s)^2 / N, s the deviation of log depth in the
    image, and the prior's has sigma^2. A solver that follows its anchors knows how depth differs between
    them: there it is (0.55 s)^2 / n^2, n the number of cells, an eighth of the image's sides, with anchors.
    The precision-weighted mean of the two moves the solver's depth by w = v / (v + sigma^2) of the way to
    the prior: to its level or, if it has a shape of its own, to its depth at each pixel, which is the
    geometric mean of two networks' maps. So indoors one anchor counts more than a prior, outdoors less,
    and a hundred anchors stand alone. If the two levels are t apart, more than twice their standard
    deviation, sigma^2 grows by the excess of t^2: a prior that is wrong has no weight. Without any usable
    anchor depth is the prior's.
    """

    def __init__(self, solver: Solver, *, corrected: bool = False) -> None:
        """``solver``: the one that fits the anchors; ``corrected``: to the prior's map, not the network's."""
        self._solver, self._corrected = solver, corrected
        self.wants_regions = solver.wants_regions
        self.probabilistic, self.follows_anchors = solver.probabilistic, solver.follows_anchors

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and, if the wrapped solver gives it, sigma (H, W) in metres.

        ``info`` gains the prior's name and weight. Raises what the wrapped solver raises, but no AnchorError
        if there is a prior.
        """
        prior = given.prior
        if prior is None:
            return self._solver.solve(given)
        corrected = self._corrected and prior.has_shape
        if corrected:
            given = replace(given, relative=_instead_of(given.relative, prior))
        try:
            fitted = self._solver.solve(given)
        except AnchorError:
            return prior_depth(given)
        if corrected:
            fitted = replace(fitted, info={**fitted.info, "map": prior.name})
        count = int(fitted.info.get("anchors", len(given.anchors)))
        apart = _level_between(fitted.depth, prior.depth)
        if count == 0 or apart is None:
            return fitted
        precision = count
        if self.follows_anchors:
            precision = min(count, occupied_cells(given.anchors.uv, fitted.depth.shape)) ** 2
        variance = (ANCHOR_SPREAD * _deviation(fitted.depth)) ** 2 / precision
        excess = max(0.0, apart**2 - _DOUBTED**2 * (variance + prior.sigma**2))
        weight = variance / (variance + prior.sigma**2 + excess)
        factor = _towards(fitted.depth, prior, weight, apart)
        sigma = None
        if fitted.sigma is not None:
            with np.errstate(divide="ignore", invalid="ignore"):  # solvers may give depths of 0 and infinity
                narrowed = _narrowed(fitted.sigma / fitted.depth, weight, variance)
                sigma = narrowed * fitted.depth * factor
        info = {**fitted.info, "prior": prior.name, "prior_weight": float(weight)}
        return replace(fitted, depth=fitted.depth * factor, sigma=sigma, info=info)


def _instead_of(relative: RelativeDepth, prior: Prior) -> RelativeDepth:
    """A prior's depth in the place and in the kind of the network's, with its maps as basis maps."""
    with np.errstate(divide="ignore"):
        values = prior.depth if relative.kind == "depth" else 1 / prior.depth
    known = np.where(np.isfinite(values), values, np.float32(np.nan))
    features = {} if prior.maps is None else {BASIS: prior.maps}
    return RelativeDepth(known, relative.kind, features=features, network=prior.name)


def _deviation(depth: FloatArray) -> float:
    """Standard deviation of log depth from the median deviation; 0 without any depth."""
    known = depth[::_STEP, ::_STEP]
    logarithm = np.log(known[np.isfinite(known) & (known > 0)])
    if not len(logarithm):
        return 0.0
    return float(DEVIATION * np.median(np.abs(logarithm - np.median(logarithm))))


def _level_between(depth: FloatArray, prior: FloatArray) -> float | None:
    """Median log ratio of the prior's depth to a solver's; None if no pixel has both."""
    ours, theirs = depth[::_STEP, ::_STEP], prior[::_STEP, ::_STEP]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(theirs / ours)
    ratio = ratio[np.isfinite(ratio)]
    return float(np.median(ratio)) if len(ratio) else None


def _towards(depth: FloatArray, prior: Prior, weight: float, apart: float) -> FloatArray:
    """Factor that moves depth by ``weight`` of the logarithm towards a prior's: (H, W) if it has a shape.

    Where one of the two is unknown the factor is that of ``apart``, the median log ratio.
    """
    ratio = np.asarray(np.exp(apart), np.float32)
    if prior.has_shape:
        with np.errstate(divide="ignore", invalid="ignore"):
            own = prior.depth / depth
        ratio = np.where((own > 0) & (own < np.inf), own, ratio)
    return np.asarray(ratio ** np.float32(weight))


def _narrowed(relative_sigma: FloatArray, weight: float, variance: float) -> FloatArray:
    """Relative sigma (H, W) after the part ``variance`` of its square, the scale's, shrank by ``weight``."""
    square = np.square(relative_sigma)
    least = (1 - np.float32(weight)) * square
    return np.asarray(np.sqrt(np.maximum(square - np.float32(weight * variance), least)))

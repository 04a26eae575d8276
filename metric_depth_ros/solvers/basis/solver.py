"""Solver whose log-scale field is a sum of basis maps, learned or analytic (paper 001)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.depth import positive_depth
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers.basis.fit import (
    Fit,
    Posterior,
    Sums,
    fit_paper,
    fit_robust,
    posterior_of,
    with_offset,
)
from metric_depth_ros.solvers.basis.maps import UNIT_MISFIT, find_maps, with_local_maps
from metric_depth_ros.solvers.fitting.basis_maps import Maps
from metric_depth_ros.solvers.fitting.observations import one_depth, usable
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import FloatArray, MetricDepth, SolverInput

# The posterior variance is computed at every fourth row and column of the maps.
_SPARSE = 4
# Memory is dropped when its average age exceeds this many times ``memory_s``,
_FORGOTTEN = 4.0
# or when the median new anchor is off by this many deviations; with n anchors, 1 + 2 / n times as many.
_JUMP, _FEW = 3.0, 2.0
# Standard deviation by which the median log depth of a view drifts in a second. Chosen on two real sequences
# (rgbd7_seq, kitti_seq_2011_09_26): 69 % of the errors 0.1 to 0.4 s later are within sigma.
_DRIFT = 0.25
# The median of a map is computed from every fourth row and column.
_SAMPLED = 4


@dataclass(frozen=True, eq=False)
class _Memory:
    """Normal equations kept from earlier images: of ``anchors`` anchors, on average ``age_s`` old."""

    sums: Sums
    anchors: float
    age_s: float
    stamp_ns: int
    scale: float


class Basis(Solver):
    """Basis-map solver: d = r exp(l), l = c + E w (paper 001, equations 8 and 9; the offset c is ours).

    E are K maps of the image, from the engine's generator or analytic (``maps``). c and w are found by
    weighted ridge regression on log d - log r at the anchors (``fit``): c is free, so that the ridge does
    not shrink the global scale, and one anchor gives the global scale exactly. Sigma combines the
    posterior and the maps' own misfit, scaled by leave-one-out errors.

    With ``memory_s`` the faded normal equations of earlier images are added; images without anchors use
    them alone. Relative depth is then divided by its median, unless it is metric: a view's median depth
    changes less from image to image than a network's scale. The memory is dropped when time jumps, when
    K changes, and when new anchors contradict it.
    """

    probabilistic = True

    def __init__(self, config: SolverConfig, *, guards: bool = True) -> None:
        """``guards=False`` solves as the paper does (``fit_paper``): no offset, equal weights."""
        self._config, self._guards = config, guards
        self._memory: _Memory | None = None
        self.remembers = guards and config.basis.memory_s > 0

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and sigma (H, W) in metres; NaN where ``given.relative`` is. The paper's solve has no sigma.

        Raises:
            AnchorError: no anchor lies where the network gives a value, and there is no memory.
            InputError: learned maps are required, and the engine gives none.
        """
        options, relative, anchors = self._config.basis, given.relative, given.anchors
        depth = positive_depth(relative)
        if options.memory_s > 0 and not relative.metric:
            depth /= np.float32(_middle(depth))
        maps = with_local_maps(find_maps(relative, depth, given.image, options.maps), options.local_columns)
        carried = self._carried(maps, given.stamp_ns)
        # Sorted by position, so that the order of the anchors does not matter.
        order = np.lexsort((anchors.depth, anchors.uv[:, 0], anchors.uv[:, 1]))
        try:
            seen, r = usable(depth, anchors.take(order), "basis")
        except AnchorError:
            if carried is None:
                raise
            posterior = posterior_of(carried.sums, options.ridge)
            return self._applied(
                maps, depth, posterior, carried.scale, {"anchors": 0, "rejected": 0, "carried": True}
            )
        rows, misfit = maps.at(seen.uv, depth.shape[::-1])
        target = np.log(seen.depth.astype(np.float64)) - np.log(r)
        if not self._guards:
            posterior = fit_paper(rows, target, options.ridge)
            return self._applied(maps, depth, posterior, 1.0, {"anchors": len(seen), "rejected": 0})
        rows = with_offset(rows)
        variance = misfit**2 + (seen.sigma / seen.depth.astype(np.float64)) ** 2
        carried = _agreeing(carried, rows, target, variance, options.ridge)
        robust = self._config.robust != "none"
        sums = None if carried is None else carried.sums
        fit = fit_robust(rows, target, variance, options.ridge, robust=robust, carried=sums)
        self._remember(fit, carried, given.stamp_ns)
        if carried is None and one_depth(seen.depth):  # determines only a scale
            rows[:, 1:] = 0
            fit = fit_robust(rows, target, variance, options.ridge, robust=robust)
        about: dict[str, Any] = {"anchors": fit.kept, "rejected": len(seen) - fit.kept}
        if options.memory_s > 0:
            about["carried"] = carried is not None
        return self._applied(maps, depth, fit.posterior, fit.scale, about)

    def _applied(
        self,
        maps: Maps,
        depth: FloatArray,
        posterior: Posterior,
        scale: float,
        about: dict[str, Any],
    ) -> MetricDepth:
        """Depth and sigma from a field; overwrites ``depth``. Maps are summed at their own size."""
        size = depth.shape[::-1]
        w = posterior.coefficients.astype(np.float32)
        field = cv2.resize(maps.field(w[1:]) + w[0], size, interpolation=cv2.INTER_LINEAR)
        cv2.multiply(depth, cv2.exp(field, field), depth)
        info = {"maps": maps.source, "weights": posterior.coefficients.tolist(), **about}
        if not self._guards:
            return MetricDepth(depth, None, info)
        sigma = cv2.resize(_sigma(maps, posterior, scale), size, field, interpolation=cv2.INTER_LINEAR)
        cv2.multiply(sigma, depth, sigma)
        return MetricDepth(depth, sigma, {**info, "sigma_scale": scale})

    def _carried(self, maps: Maps, stamp_ns: int | None) -> _Memory | None:
        """The memory, faded to this time; None if it is no longer valid."""
        memory, lasts_s = self._memory, self._config.basis.memory_s
        if memory is None or stamp_ns is None or len(memory.sums.moment) != maps.count + 1:
            return None
        passed_s = (stamp_ns - memory.stamp_ns) / 1e9
        age_s = memory.age_s + passed_s
        if passed_s < 0 or age_s > _FORGOTTEN * lasts_s:
            return None
        drift = np.zeros(len(memory.sums.moment))
        drift[0] = passed_s * (_DRIFT / UNIT_MISFIT) ** 2
        kept = math.exp(-passed_s / lasts_s)
        sums = memory.sums.faded(kept).drifted(drift)
        return _Memory(sums, memory.anchors * kept, age_s, stamp_ns, memory.scale)

    def _remember(self, fit: Fit, carried: _Memory | None, stamp_ns: int | None) -> None:
        if self._config.basis.memory_s <= 0 or stamp_ns is None:
            return
        sums, anchors, age_s = fit.sums, float(fit.kept), 0.0
        if carried is not None:
            sums, anchors = sums.plus(carried.sums), anchors + carried.anchors
            age_s = carried.age_s * carried.anchors / anchors
        self._memory = _Memory(sums, anchors, age_s, stamp_ns, fit.scale)


def _middle(depth: FloatArray) -> float:
    """Median of a map (H, W), from some of its pixels; 1 if none of them is known."""
    sample = depth[::_SAMPLED, ::_SAMPLED]
    known = sample[np.isfinite(sample)]
    return float(np.median(known)) if len(known) else 1.0


def _agreeing(
    carried: _Memory | None, rows: FloatArray, target: FloatArray, variance: FloatArray, ridge: float
) -> _Memory | None:
    """The memory, or None if the new anchors contradict it."""
    if carried is None:
        return None
    before = posterior_of(carried.sums, ridge)
    stated = variance + UNIT_MISFIT**2 * before.leverage(rows)
    off = np.abs(target - before.at(rows)) / (carried.scale * np.sqrt(stated))
    return carried if np.median(off) <= _JUMP * (1 + _FEW / len(off)) else None


def _sigma(maps: Maps, posterior: Posterior, scale: float) -> FloatArray:
    """Standard deviation (h, w) float32 of log depth."""
    part = maps.thinned(_SPARSE)
    flat = part.reshape(len(part), -1)
    covariance = posterior.covariance.astype(np.float32)
    leverage = np.einsum("kp,kp->p", covariance[1:, 1:] @ flat, flat)
    leverage += 2 * (covariance[0, 1:] @ flat) + covariance[0, 0]
    variance = np.float32(UNIT_MISFIT**2) * np.maximum(leverage, 0).reshape(part.shape[1:])
    variance = cv2.resize(variance, maps.misfit.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.float32(scale) * np.sqrt(variance + maps.misfit**2))

"""Solver whose log-scale field is a sum of basis maps, learned or analytic (paper 001)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.depth import positive_depth
from metric_depth_ros.solvers.basis.fit import (
    Posterior,
    fit_paper,
    fit_robust,
    with_offset,
)
from metric_depth_ros.solvers.basis.maps import UNIT_MISFIT, find_maps, with_local_maps
from metric_depth_ros.solvers.fitting.basis_maps import Maps
from metric_depth_ros.solvers.fitting.observations import one_depth, usable
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import FloatArray, MetricDepth, SolverInput

# The posterior variance is computed at every fourth row and column of the maps.
_SPARSE = 4


class Basis(Solver):
    """Basis-map solver: d = r exp(l), l = c + E w (paper 001, equations 8 and 9; the offset c is ours).

    E are K maps of the image, from the engine's generator or analytic (``maps``). c and w are found by
    weighted ridge regression on log d - log r at the anchors (``fit``): c is free, so that the ridge does
    not shrink the global scale, and one anchor gives the global scale exactly. Sigma combines the
    posterior and the maps' own misfit, scaled by leave-one-out errors.
    """

    probabilistic = True

    def __init__(self, config: SolverConfig, *, guards: bool = True) -> None:
        """``guards=False`` solves as the paper does (``fit_paper``): no offset, equal weights."""
        self._config, self._guards = config, guards

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and sigma (H, W) in metres; NaN where ``given.relative`` is. The paper's solve has no sigma.

        Raises:
            AnchorError: no anchor lies where the network gives a value.
            InputError: learned maps are required, and the engine gives none.
        """
        options, relative, anchors = self._config.basis, given.relative, given.anchors
        depth = positive_depth(relative)
        found = find_maps(relative, depth, given.image, options.maps, self._config.name)
        maps = with_local_maps(found, options.local_columns)
        # Sorted by position, so that the order of the anchors does not matter.
        order = np.lexsort((anchors.depth, anchors.uv[:, 0], anchors.uv[:, 1]))
        seen, r = usable(depth, anchors.take(order), "basis")
        rows, misfit = maps.at(seen.uv, depth.shape[::-1])
        target = np.log(seen.depth.astype(np.float64)) - np.log(r)
        if not self._guards:
            posterior = fit_paper(rows, target, options.ridge)
            return self._applied(maps, depth, posterior, 1.0, {"anchors": len(seen), "rejected": 0})
        rows = with_offset(rows)
        if one_depth(seen.depth):  # determines only a scale
            rows[:, 1:] = 0
        variance = misfit**2 + (seen.sigma / seen.depth.astype(np.float64)) ** 2
        fit = fit_robust(rows, target, variance, options.ridge, robust=self._config.robust != "none")
        about = {"anchors": fit.kept, "rejected": len(seen) - fit.kept}
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

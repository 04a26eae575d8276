"""The default solver: a Gaussian process on the logarithm of metric over relative depth."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.solvers.fitting.basis_maps import learned_maps
from metric_depth_ros.solvers.fitting.focus import Focus
from metric_depth_ros.solvers.gaussian_process.field import find_field
from metric_depth_ros.solvers.gaussian_process.places import build_places, enlarged
from metric_depth_ros.solvers.gaussian_process.process import Covariance
from metric_depth_ros.solvers.gaussian_process.trend import find_trend
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import MetricDepth, SolverInput


class GaussianProcessSolver(Solver):
    """Default solver: log d = c + b log r + w . E + f, f a Gaussian process over position, log r and colour.

    Ours. E are the engine's learned maps, if it has some. Anchors are fitted as far as their sigma
    allows. Between them the field follows the anchors that are close in the image, in relative depth and
    in colour; far from all anchors the result is the network's depth with the scale of the nearest.
    Anchors that their neighbours and the process contradict are rejected. Sigma is that of the process,
    scaled by leave-one-out errors.
    """

    probabilistic = True
    follows_anchors = True
    focuses = True

    def __init__(self, config: SolverConfig, covariance: Covariance | None = None) -> None:
        self._config = config
        self._covariance = covariance or Covariance()

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and sigma (H, W) in metres; NaN where ``given.relative`` is.

        Without an image all colours are equal.

        Raises:
            AnchorError: no anchor lies where the network gives a value.
            InputError: the learned maps cannot be used.
        """
        trend = find_trend(given.relative, given.anchors, self._config)
        maps = learned_maps(given.relative, self._config.basis.maps, "gaussian_process")
        places = build_places(trend.map, trend.middle, given.image, len(trend.x), maps)
        focus = Focus(given.focus_m, self._config.focus_width) if given.focus_m else None
        field = find_field(
            places, trend, self._covariance, doubting=self._config.robust != "none", focus=focus
        )
        # log depth = (1 + slope) (map - middle) + mean + level
        rise = np.asarray(1 + field.slope, np.float32)
        y = trend.map * (enlarged(rise, trend.map.shape) if rise.ndim else rise)
        y += enlarged(field.mean + np.float32(trend.level) - rise * np.float32(trend.middle), y.shape)
        depth = np.exp(y, out=y)
        sigma = enlarged(field.sigma, y.shape)
        sigma *= depth
        info = {
            "trend": trend.name,
            "anchors": len(trend.x) - field.rejected,
            "rejected": field.rejected,
            "sigma_scale": field.scale,
        }
        if focus is not None:
            info["focus_m"] = focus.focus_m
        return MetricDepth(depth, sigma, info=info)

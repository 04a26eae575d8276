"""Residuals of any solver at the anchors, interpolated over nearby, similar pixels."""

from __future__ import annotations

from dataclasses import replace

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.solvers.fitting.observations import by_place
from metric_depth_ros.solvers.gaussian_process.solver import GaussianProcessSolver
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import MetricDepth, RelativeDepth, SolverInput


class SpreadResiduals(Solver):
    """Depth d' of another solver, corrected by a Gaussian process f of its residuals: log d = log d' + f.

    Ours. The process uses d' in place of the network's output. It follows each anchor as far as its sigma
    allows, corrects nearby, similar pixels only, and adds a sigma.
    """

    probabilistic = True
    follows_anchors = True

    def __init__(self, config: SolverConfig, solver: Solver) -> None:
        """``solver``: the one whose residuals are interpolated."""
        self._solver, self._process = solver, GaussianProcessSolver(config)
        self.wants_regions = solver.wants_regions

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and sigma (H, W) in metres; NaN where the other solver's depth is. Raises what it raises.

        ``info`` is the other solver's, with ``sigma_scale`` and ``spread_rejected``, the number of anchors
        that the process rejected.
        """
        given = replace(given, anchors=by_place(given.anchors))
        fitted = self._solver.solve(given)
        residual = replace(given, relative=RelativeDepth(fitted.depth, "depth"))
        drawn = self._process.solve(residual)
        about = {"spread_rejected": drawn.info["rejected"], "sigma_scale": drawn.info["sigma_scale"]}
        return replace(drawn, info={**fitted.info, **about})

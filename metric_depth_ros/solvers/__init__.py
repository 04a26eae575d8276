"""Solvers: relative depth and anchors in, metric depth out.

Each has a file or a folder here; ``config.SOLVERS`` lists them.
"""

from __future__ import annotations

from metric_depth_ros.config import SOLVERS, Config, SolverConfig
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.solvers.choice import solver_class
from metric_depth_ros.solvers.prior_only import no_scale
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.solvers.wrappers.edges import SharpEdges
from metric_depth_ros.solvers.wrappers.focus import Focused
from metric_depth_ros.solvers.wrappers.memory import Remembering
from metric_depth_ros.solvers.wrappers.prior import WithPrior
from metric_depth_ros.solvers.wrappers.residuals import SpreadResiduals

__all__ = ["SOLVERS", "Solver", "build_solver", "check_sigma", "no_scale", "solver_class"]


def build_solver(config: SolverConfig) -> Solver:
    """Builds the solver ``config.name``, for any focus and prior; residuals, edges and memory as configured.

    ``config.focus_m`` is ignored: the focus is an input of each ``solve``, so that it may change.

    Raises:
        ConfigError: no solver has that name.
    """
    solver = solver_class(config.chosen)(config)
    if config.residuals == "spread" and not solver.follows_anchors:
        solver = SpreadResiduals(config, solver)
    solver = WithPrior(Focused(config, solver), corrected=config.corrects == "prior")
    solver = SharpEdges(solver) if config.sharp_edges else solver
    return Remembering(config, solver) if config.temporal.memory_s else solver


def check_sigma(solver: Solver, config: Config) -> None:
    """Raises ConfigError if depth is to be left out by its sigma, and the solver gives none."""
    if config.output.max_relative_sigma and not solver.probabilistic:
        raise ConfigError(
            f"output.max_relative_sigma: {config.output.max_relative_sigma:g}, but solver.name "
            f"{config.solver.name} has no sigma. Set it to 0, take another solver (auto), or set "
            "solver.residuals to spread."
        )

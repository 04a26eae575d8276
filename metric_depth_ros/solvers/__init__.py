"""Solvers: relative depth and anchors in, metric depth out. One file each, one line here."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.solvers.basis.solver import Basis
from metric_depth_ros.solvers.gaussian_process.solver import Auto
from metric_depth_ros.solvers.global_affine import GlobalAffine
from metric_depth_ros.solvers.grid import Grid
from metric_depth_ros.solvers.lwlr import Lwlr
from metric_depth_ros.solvers.median import Median
from metric_depth_ros.solvers.paper import PAPER_METHODS, as_in_the_paper
from metric_depth_ros.solvers.piecewise import Piecewise
from metric_depth_ros.solvers.region_aware.solver import RegionAware
from metric_depth_ros.solvers.wrappers.focus import PROCESS_MOST, Focused
from metric_depth_ros.solvers.wrappers.residuals import Spread
from metric_depth_ros.types import Solver

SOLVERS: dict[str, Callable[[SolverConfig], Solver]] = {
    "auto": Auto,
    "global_affine": GlobalAffine,
    "region_aware": RegionAware,
    "median": Median,
    "piecewise": Piecewise,
    "lwlr": Lwlr,
    "grid": Grid,
    "basis": Basis,
    **{name: as_in_the_paper(name) for name in PAPER_METHODS},
}

# Those that take the sigma of an anchor as it is stated.
_PROCESSES = frozenset({"auto", "basis"})


def build_solver(config: SolverConfig) -> Solver:
    """The solver that ``config.name`` names, with a focus, its residuals spread if so configured.

    ``config.focus_m`` is not looked at: the focus comes with each ``solve``, so that it may slide.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        build = SOLVERS[config.name]
    except KeyError:
        near = difflib.get_close_matches(config.name, SOLVERS, n=2) or list(SOLVERS)
        raise ConfigError(
            f"solver.name: {config.name!r}; needed one of {', '.join(SOLVERS)}. "
            f"Did you mean {' or '.join(near)}?"
        ) from None
    if config.residuals == "spread" and config.name != "auto":
        return Focused(partial(Spread, build), config, most=PROCESS_MOST)
    if config.name in _PROCESSES:
        return Focused(build, config, most=PROCESS_MOST)
    return Focused(build, config)

"""The papers' methods as the papers state them, whatever the shared settings say.

All but paper_basis, which fits the log ratio, fit depth against relative depth by plain least squares: no
weights, no sigma, no robustness, no guards. Where a paper leaves something open, the choice here is in
docs/solvers.md. Only the limits ``solver.min_depth_m`` and ``solver.max_depth_m`` are the user's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from metric_depth_ros.config import (
    BasisConfig,
    GridConfig,
    LwlrConfig,
    MedianConfig,
    PiecewiseConfig,
    RegionAwareConfig,
    SolverConfig,
)
from metric_depth_ros.solvers.basis.solver import Basis
from metric_depth_ros.solvers.fitting.closed_form import ClosedForm
from metric_depth_ros.solvers.global_affine import GlobalAffine
from metric_depth_ros.solvers.grid import Grid
from metric_depth_ros.solvers.lwlr import Lwlr
from metric_depth_ros.solvers.median import Median
from metric_depth_ros.solvers.piecewise import Piecewise
from metric_depth_ros.solvers.region_aware.solver import RegionAware

# Name: the solver, and its own options.
PAPER_METHODS: dict[str, tuple[type[ClosedForm] | type[Basis], dict[str, Any]]] = {
    "paper_median": (Median, {"median": MedianConfig(statistic="ratio_of_medians")}),
    "paper_global": (GlobalAffine, {}),
    "paper_piecewise": (Piecewise, {"piecewise": PiecewiseConfig(intervals=4, model="separate")}),
    "paper_lwlr": (Lwlr, {"lwlr": LwlrConfig(bandwidth=0.1, ridge="shift", pull=0.01)}),
    "paper_grid": (Grid, {"grid": GridConfig(columns=8, fit="scale", smoothness=1e-3)}),
    "paper_region_median": (
        RegionAware,
        {
            "median": MedianConfig(statistic="ratio_of_medians"),
            "region_aware": RegionAwareConfig(fit="median", pooling="expansion", max_extrapolation=0.0),
        },
    ),
    "paper_slf": (
        RegionAware,
        {"region_aware": RegionAwareConfig(fit="linear", pooling="expansion", max_extrapolation=0.0)},
    ),
    "paper_ssf": (
        RegionAware,
        {"region_aware": RegionAwareConfig(fit="surface", pooling="expansion", max_extrapolation=0.0)},
    ),
    "paper_basis": (Basis, {"basis": BasisConfig(maps="auto", ridge=1e-3, local_columns=0)}),
}


def as_in_the_paper(name: str) -> Callable[[SolverConfig], ClosedForm | Basis]:
    """What builds the solver of that name from a configuration, of which only the limits count."""
    solver, options = PAPER_METHODS[name]

    def build(config: SolverConfig) -> ClosedForm | Basis:
        fixed = replace(config, domain="depth", weighting="none", robust="none", **options)
        return solver(fixed, guards=False)

    return build

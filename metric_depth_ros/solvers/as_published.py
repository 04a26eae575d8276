"""The papers' methods as published, independent of the shared settings.

All but paper_basis, which fits the log ratio, fit depth against relative depth by plain least squares: no
weights, no sigma, no robustness, no guards. Where a paper leaves something open, docs/solvers.md gives the
choice made here. Only the limits ``solver.min_depth_m`` and ``solver.max_depth_m`` can be set.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

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
from metric_depth_ros.solvers.global_affine import GlobalAffine
from metric_depth_ros.solvers.grid import Grid
from metric_depth_ros.solvers.lwlr import Lwlr
from metric_depth_ros.solvers.median import Median
from metric_depth_ros.solvers.piecewise import Piecewise
from metric_depth_ros.solvers.region_aware.solver import RegionAware


class AsPublished:
    """Fixes the settings of a solver, except the depth limits, to those of its paper.

    Attributes:
        published: the solver's own settings, by the name of their section.
    """

    published: ClassVar[dict[str, Any]] = {}

    def __init__(self, config: SolverConfig) -> None:
        fixed = replace(config, domain="depth", weighting="none", robust="none", **self.published)
        super().__init__(fixed, guards=False)  # type: ignore[call-arg]


class PaperMedian(AsPublished, Median):
    """One scale: the ratio of the medians (papers 000 and 001)."""

    published: ClassVar = {"median": MedianConfig(statistic="ratio_of_medians")}


class PaperGlobal(AsPublished, GlobalAffine):
    """One scale and one shift by least squares (papers 000 and 001)."""


class PaperPiecewise(AsPublished, Piecewise):
    """A line in each of four intervals of relative depth (paper 001)."""

    published: ClassVar = {"piecewise": PiecewiseConfig(intervals=4, model="separate")}


class PaperLwlr(AsPublished, Lwlr):
    """Locally weighted linear regression (paper 001, equation 3)."""

    published: ClassVar = {"lwlr": LwlrConfig(bandwidth=0.1, ridge="shift", pull=0.01)}


class PaperGrid(AsPublished, Grid):
    """A scale on a grid of vertices (paper 001)."""

    published: ClassVar = {"grid": GridConfig(columns=8, fit="scale", smoothness=1e-3)}


class PaperRegionMedian(AsPublished, RegionAware):
    """A median scale per region (paper 000)."""

    published: ClassVar = {
        "median": MedianConfig(statistic="ratio_of_medians"),
        "region_aware": RegionAwareConfig(fit="median", pooling="expansion", max_extrapolation=0.0),
    }


class PaperSlf(AsPublished, RegionAware):
    """A line per region: the scaled linear fit of paper 000."""

    published: ClassVar = {
        "region_aware": RegionAwareConfig(fit="linear", pooling="expansion", max_extrapolation=0.0)
    }


class PaperSsf(AsPublished, RegionAware):
    """A surface per region: the scaled surface fit of paper 000."""

    published: ClassVar = {
        "region_aware": RegionAwareConfig(fit="surface", pooling="expansion", max_extrapolation=0.0)
    }


class PaperBasis(AsPublished, Basis):
    """Learned basis maps with a plain ridge (paper 001, equations 8 and 9)."""

    probabilistic = False
    published: ClassVar = {"basis": BasisConfig(maps="learned", ridge=1e-3, local_columns=0)}

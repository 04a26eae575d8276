"""The papers' methods as published, independent of the shared settings.

All but paper_basis, which fits the log ratio, fit depth against relative depth by plain least squares: no
weights, no sigma, no robustness, no guards. Where a paper leaves something open, docs/solvers.md gives the
choice made here. Only the limits ``solver.min_depth_m`` and ``solver.max_depth_m`` can be set, and of paper
000, which does not say when a region has enough anchors, ``solver.region_aware.min_anchors``.
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
        fixed = replace(config, domain="depth", weighting="none", robust="none", **self._fixed(config))
        super().__init__(fixed, guards=False)  # type: ignore[call-arg]

    def _fixed(self, config: SolverConfig) -> dict[str, Any]:
        """Sections of settings that the paper fixes."""
        return self.published


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


class PaperRegions(AsPublished, RegionAware):
    """A fit per region, which grows until it has enough anchors (paper 000, Algorithm 1).

    Attributes:
        fit: as ``solver.region_aware.fit``.
        enough: anchors, where ``solver.region_aware.min_anchors`` is 0: twice as many as there are parameters
            (ours).
    """

    fit: ClassVar[str]
    enough: ClassVar[int]

    def _fixed(self, config: SolverConfig) -> dict[str, Any]:
        enough = config.region_aware.min_anchors or self.enough
        fixed = RegionAwareConfig(self.fit, pooling="expansion", min_anchors=enough, max_extrapolation=0.0)
        return {"median": MedianConfig(statistic="ratio_of_medians"), "region_aware": fixed}


class PaperRegionMedian(PaperRegions):
    """A median scale per region (paper 000)."""

    fit, enough = "median", 2


class PaperSlf(PaperRegions):
    """A line per region: the sparse linear fit of paper 000."""

    fit, enough = "linear", 4


class PaperSsf(PaperRegions):
    """A surface per region: the sparse surface fit of paper 000."""

    fit, enough = "surface", 8


class PaperBasis(AsPublished, Basis):
    """Learned basis maps with a plain ridge (paper 001, equations 8 and 9)."""

    probabilistic = False
    published: ClassVar = {"basis": BasisConfig(maps="learned", ridge=1e-3, local_columns=0)}

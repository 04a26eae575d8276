"""The settings of the solvers: what all share, then a group for each that has some of its own."""

from __future__ import annotations

from dataclasses import dataclass

from metric_depth_ros.config.option import option, section
from metric_depth_ros.near_far import FOCUS_WORDS


@dataclass(frozen=True)
class GaussianProcessConfig:
    most_anchors: int = option(
        2000,
        "more anchors are thinned out evenly, here and where residuals are spread: the time grows with them",
        low=16,
        high=1000000,
    )


@dataclass(frozen=True)
class MedianConfig:
    statistic: str = option(
        "median_of_ratios",
        "which median, in region_aware's expansion too; ratio_of_medians is the papers': no weights",
        choices=("median_of_ratios", "ratio_of_medians"),
    )


@dataclass(frozen=True)
class PiecewiseConfig:
    intervals: int = option(8, "most intervals of relative depth", low=1, high=100)
    model: str = option(
        "spline",
        "spline: one rising curve, its smoothness from the anchors; "
        "separate: a line of its own per interval, as in paper 001",
        choices=("spline", "separate"),
    )


@dataclass(frozen=True)
class LwlrConfig:
    bandwidth: float = option(
        0.0,
        "width of the Gaussian kernel as a fraction of the image's diagonal; 0: from the number of anchors",
        low=0,
        high=10,
    )
    ridge: str = option(
        "global",
        "what pull draws to; global: the global fit, shift: no shift, as in paper 001",
        choices=("global", "shift"),
    )
    pull: float = option(0.1, "strength of the ridge, in anchors", low=0.001, high=1000)


@dataclass(frozen=True)
class GridConfig:
    columns: int = option(
        8, "cells of the grid across the image; as many down as keep them square", low=1, high=32
    )
    fit: str = option("affine", "what varies over the grid", choices=("scale", "affine"))
    smoothness: float = option(
        0.0,
        "weight of differences between neighbouring vertices; 0: the one that predicts left-out anchors best",
        low=0,
        high=1e6,
    )


@dataclass(frozen=True)
class RegionAwareConfig:
    fit: str = option(
        "surface",
        "per region; median: a scale, linear: scale and shift (SLF), surface: scale, slopes and "
        "shift (SSF of paper 000); auto: per region what predicts left-out anchors best",
        choices=("median", "linear", "surface", "auto"),
    )
    pooling: str = option(
        "partial",
        "what helps a region with few anchors; expansion: its neighbours' anchors, as in paper 000; "
        "partial: each fit is drawn to its neighbours' and to the global fit as far as the anchors say",
        choices=("expansion", "partial"),
    )
    min_anchors: int = option(
        0,
        "anchors a region needs; with fewer it grows by its neighbours; 0: one more than the "
        "fit has parameters; no effect with partial pooling",
        low=0,
        high=1000,
    )
    max_extrapolation: float = option(
        1.5,
        "a pixel nearer or farther than its region's anchors (partial pooling: than all anchors) by more "
        "than this factor takes the global fit's depth; 0 keeps it, as paper 000 does",
        low=0,
        high=1000,
    )


@dataclass(frozen=True)
class BasisConfig:
    maps: str = option(
        "auto",
        "learned: those of the engine's generator; analytic: made of relative depth, place and colour; "
        "auto: learned ones where the engine gives them",
        choices=("auto", "learned", "analytic"),
    )
    ridge: float = option(
        0.001, "pull of the maps' weights to zero (lambda of paper 001)", low=1e-9, high=1e3
    )
    local_columns: int = option(
        7,
        "adds local maps, so many across the image and as many down as keep them square; they follow what is "
        "wrong in one place; 0: none, in three quarters of the time",
        low=0,
        high=16,
    )
    memory_s: float = option(
        0.0,
        "time in which what earlier images said fades to a third; it carries the scale through images "
        "without anchors; 0: each image by itself",
        unit="s",
        low=0,
        high=60,
    )


# Every solver's class, below metric_depth_ros.solvers: the one line that makes a solver known to the
# settings, the node, the command line and Python. Not imported here, so that settings are read without them.
SOLVERS = {
    "gaussian_process": "gaussian_process.solver.GaussianProcessSolver",
    "global_affine": "global_affine.GlobalAffine",
    "region_aware": "region_aware.solver.RegionAware",
    "median": "median.Median",
    "piecewise": "piecewise.Piecewise",
    "lwlr": "lwlr.Lwlr",
    "grid": "grid.Grid",
    "basis": "basis.solver.Basis",
    "paper_median": "paper.PaperMedian",
    "paper_global": "paper.PaperGlobal",
    "paper_piecewise": "paper.PaperPiecewise",
    "paper_lwlr": "paper.PaperLwlr",
    "paper_grid": "paper.PaperGrid",
    "paper_region_median": "paper.PaperRegionMedian",
    "paper_slf": "paper.PaperSlf",
    "paper_ssf": "paper.PaperSsf",
    "paper_basis": "paper.PaperBasis",
}
AUTO_CHOOSES = "gaussian_process"


@dataclass(frozen=True)
class SolverConfig:
    name: str = option(
        "auto",
        f"how relative depth becomes metric; auto chooses, today always {AUTO_CHOOSES}",
        choices=("auto", *SOLVERS),
    )
    domain: str = option(
        "auto",
        "what is fitted; auto: inverse_depth for inverse-depth networks, log for depth networks; no effect "
        "on median, basis and the paper_ solvers",
        choices=("auto", "inverse_depth", "log", "depth"),
    )
    weighting: str = option(
        "relative",
        "relative minimises relative error, with the anchors' sigma; none is plain least squares; "
        "no effect on gaussian_process and basis, which weigh by sigma, and on the paper_ solvers",
        choices=("relative", "none"),
    )
    robust: str = option(
        "neighbours",
        "neighbours leaves out anchors that disagree with those around them; none believes all; "
        "no effect on the paper_ solvers",
        choices=("neighbours", "none"),
    )
    residuals: str = option(
        "keep",
        "residuals at the anchors; keep: they stay; spread: they are interpolated over nearby, similar "
        "pixels, and depth gets a sigma; no effect on gaussian_process, which does so anyway",
        choices=("keep", "spread"),
    )
    focus_m: float = option(
        0.0,
        "depth up to which the result should be most precise (sliding anchor); 0: none; no effect where "
        "weighting is none, and on the paper_ solvers",
        unit="m",
        low=0,
        high=1000,
        words=FOCUS_WORDS,
    )
    focus_width: float = option(
        0.25, "how far anchors count past the focus, in log depth (0.25: 1.28 times it)", low=0.05, high=10
    )
    min_depth_m: float = option(0.05, "nearer depths are published as unknown", unit="m", low=0, high=1000)
    max_depth_m: float = option(
        200.0, "farther depths are published as unknown", unit="m", low=0.01, high=100000
    )
    gaussian_process: GaussianProcessConfig = section(GaussianProcessConfig)
    median: MedianConfig = section(MedianConfig)
    piecewise: PiecewiseConfig = section(PiecewiseConfig)
    lwlr: LwlrConfig = section(LwlrConfig)
    grid: GridConfig = section(GridConfig)
    region_aware: RegionAwareConfig = section(RegionAwareConfig)
    basis: BasisConfig = section(BasisConfig)

    @property
    def chosen(self) -> str:
        """The solver's own name: ``name``, or what ``auto`` chooses."""
        return AUTO_CHOOSES if self.name == "auto" else self.name

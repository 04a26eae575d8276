"""Settings of the solvers: those that all share, and a group for each solver that has its own."""

from __future__ import annotations

from dataclasses import dataclass

from metric_depth_ros.config.option import PRECISIONS, RUNTIMES, option, section
from metric_depth_ros.near_far import FOCUS_WORDS

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
    "refined": "refined.solver.Refined",
    "paper_median": "as_published.PaperMedian",
    "paper_global": "as_published.PaperGlobal",
    "paper_piecewise": "as_published.PaperPiecewise",
    "paper_lwlr": "as_published.PaperLwlr",
    "paper_grid": "as_published.PaperGrid",
    "paper_region_median": "as_published.PaperRegionMedian",
    "paper_slf": "as_published.PaperSlf",
    "paper_ssf": "as_published.PaperSsf",
    "paper_basis": "as_published.PaperBasis",
}
AUTO_CHOOSES = "gaussian_process"
# Solvers that need no anchors and use none: "prior" is whatever solver.prior names, the others name it, too.
WITHOUT_ANCHORS = dict.fromkeys(("prior", "scale_cnn", "tr2m"), "prior_only.PriorOnly")


@dataclass(frozen=True)
class GaussianProcessConfig:
    most_anchors: int = option(
        2000,
        "more anchors are thinned out evenly, here and for residuals: spread; time grows with their number",
        low=16,
        high=1000000,
    )


@dataclass(frozen=True)
class MedianConfig:
    statistic: str = option(
        "median_of_ratios",
        "median to use, also in region_aware's expansion; ratio_of_medians: as in the papers, no weights",
        choices=("median_of_ratios", "ratio_of_medians"),
    )


@dataclass(frozen=True)
class PiecewiseConfig:
    intervals: int = option(8, "most intervals of relative depth", low=1, high=100)
    model: str = option(
        "spline",
        "spline: one rising curve, its smoothness from the anchors; "
        "separate: an independent line per interval, as in paper 001",
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
        "what the ridge pulls to; global: the global fit; shift: a shift of zero, as in paper 001",
        choices=("global", "shift"),
    )
    pull: float = option(0.1, "strength of the ridge, in anchors", low=0.001, high=1000)


@dataclass(frozen=True)
class GridConfig:
    columns: int = option(8, "grid cells across the image; cells are square", low=1, high=32)
    fit: str = option("affine", "what varies over the grid", choices=("scale", "affine"))
    smoothness: float = option(
        0.0,
        "weight of differences between neighbouring vertices; 0: chosen by leave-one-out error",
        low=0,
        high=1e6,
    )


@dataclass(frozen=True)
class RegionAwareConfig:
    fit: str = option(
        "surface",
        "fit of a region; median: scale, linear: scale and shift (SLF), surface: scale, slopes and "
        "shift (SSF of paper 000); auto: per region the one with the least leave-one-out error",
        choices=("median", "linear", "surface", "auto"),
    )
    pooling: str = option(
        "partial",
        "help for regions with few anchors; expansion: use the neighbours' anchors, as in paper 000; "
        "partial: pull each fit to its neighbours' and the global one, most where anchors are few",
        choices=("expansion", "partial"),
    )
    min_anchors: int = option(
        0,
        "anchors a region needs; with fewer it grows by its neighbours, and with fewer in the whole image it "
        "takes a simpler fit; 0: one more than the fit has parameters, of paper_ solvers twice as many; no "
        "effect with partial pooling",
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
        "learned: those of the engine's generator; analytic: computed from relative depth, position and "
        "colour; auto: learned if the engine gives them",
        choices=("auto", "learned", "analytic"),
    )
    ridge: float = option(
        0.001, "ridge strength on the maps' weights (lambda of paper 001)", low=1e-9, high=1e3
    )
    local_columns: int = option(
        7,
        "adds this many local maps across the image, with square cells; they correct local errors; "
        "0: none, which takes three quarters of the time",
        low=0,
        high=16,
    )


@dataclass(frozen=True)
class RefinedConfig:
    of: str = option(
        "gaussian_process",
        "solver whose depth is corrected; the bundled network was trained with gaussian_process",
        choices=tuple(name for name in SOLVERS if name != "refined"),
    )
    network: str = option(
        "",
        "manifest of the network that corrects (metric_depth train refinement); empty: the bundled one",
        live=False,
    )
    runtime: str = option(
        "auto",
        "library that runs that network, as engine.runtime",
        choices=RUNTIMES,
        live=False,
    )
    precision: str = option(
        "auto", "precision of that network, as engine.precision", choices=PRECISIONS, live=False
    )
    threads: int = option(2, "CPU threads of that network; 0: all", low=0, high=256, live=False)


@dataclass(frozen=True)
class TemporalConfig:
    memory_s: float = option(
        0.0,
        "time in which the weight of earlier images fades to a third; steadies the depth of any solver, as "
        "of refined, and keeps it through images without anchors; with a fixed frame they are moved; 0: each "
        "image on its own",
        unit="s",
        low=0,
        high=60,
    )
    drift: float = option(
        0.5,
        "deviation of log depth that a second adds to what is remembered where motion is unknown; less for "
        "a camera that hardly moves",
        low=0,
        high=10,
    )


@dataclass(frozen=True)
class SolverConfig:
    name: str = option(
        "auto",
        f"solver that makes relative depth metric; auto: chosen by the program, today always {AUTO_CHOOSES}",
        choices=("auto", *SOLVERS, *WITHOUT_ANCHORS),
    )
    domain: str = option(
        "auto",
        "space of the fit; auto: inverse_depth for inverse-depth networks, log for depth networks; no effect "
        "on median, basis and the paper_ solvers",
        choices=("auto", "inverse_depth", "log", "depth"),
    )
    weighting: str = option(
        "relative",
        "relative: minimise relative error, with the anchors' sigma; none: plain least squares; "
        "no effect on gaussian_process and basis, which weigh by sigma, and on the paper_ solvers",
        choices=("relative", "none"),
    )
    robust: str = option(
        "neighbours",
        "neighbours: reject anchors that disagree with those around them; none: keep all; "
        "no effect on the paper_ solvers",
        choices=("neighbours", "none"),
    )
    residuals: str = option(
        "keep",
        "residuals at the anchors; keep: not corrected; spread: interpolated over nearby, similar "
        "pixels, and depth gets a sigma; no effect on gaussian_process, which does so anyway",
        choices=("keep", "spread"),
    )
    edges: str = option(
        "auto",
        "pixels between two surfaces; keep: left there; sharp: moved to the one that is closer to their "
        "depth; auto: sharp for refined, else keep",
        choices=("auto", "keep", "sharp"),
    )
    prior: str = option(
        "",
        "metric depth from something learned, which anchors then correct, and which is all there is without "
        "them; scale_cnn, tr2m, metric_solver: bundled ones; network: the depth network's own metres; or a "
        "manifest (YAML); empty: none",
        live=False,
    )
    corrects: str = option(
        "network",
        "map that the anchors correct; network: the depth network's; prior: the prior's metric depth, if "
        "there is a prior (its maps then serve as basis maps do)",
        choices=("network", "prior"),
    )
    description: str = option(
        "",
        "what the scene is, in English words, for priors that read (tr2m); empty: nobody said",
    )
    focus_m: float = option(
        0.0,
        "depth up to which the result should be most precise (sliding anchor); 0: none; no effect if "
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
    refined: RefinedConfig = section(RefinedConfig)
    temporal: TemporalConfig = section(TemporalConfig)

    @property
    def chosen(self) -> str:
        """The solver's own name: ``name``, or what ``auto`` chooses."""
        return AUTO_CHOOSES if self.name == "auto" else self.name

    @property
    def sharp_edges(self) -> bool:
        """Whether pixels between two surfaces go to one of them: ``edges``, or what ``auto`` chooses."""
        return self.edges == "sharp" or (self.edges == "auto" and self.chosen == "refined")

    @property
    def chosen_prior(self) -> str:
        """The prior's name: ``prior``, or that of a solver that names one; empty: none."""
        return self.prior or (self.name if self.name in WITHOUT_ANCHORS and self.name != "prior" else "")

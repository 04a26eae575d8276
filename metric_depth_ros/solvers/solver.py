"""Base class of the solvers: one image's relative depth and anchors in, metric depth out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.types import MetricDepth, SolverInput


class Solver(ABC):
    """Makes relative depth metric with anchors. Class attributes tell callers what a solver needs and gives.

    A new solver is one file with a child of this class and one line in ``config.SOLVERS``. Solvers do not
    apply the depth limits: ``within_limits`` does so afterwards.

    Attributes:
        wants_regions: ``solve`` needs ``SolverInput.regions``.
        probabilistic: the anchors' sigma is used as stated, and depth comes with a sigma.
        follows_anchors: a field goes through the anchors: their residuals are interpolated already
            (``solver.residuals``), and together they tell the scale better than each alone (priors).
        focuses: ``solve`` itself makes ``SolverInput.focus_m`` most precise, for less than two fits.
        remembers: images without anchors can be solved for a while, after images with anchors.
    """

    wants_regions: bool = False
    probabilistic: bool = False
    follows_anchors: bool = False
    focuses: bool = False
    remembers: bool = False

    @abstractmethod
    def __init__(self, config: SolverConfig) -> None: ...

    def inherit(self, before: Solver) -> None:
        """Takes over what a solver with other settings remembers, if this one remembers anything."""
        return

    @abstractmethod
    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and, if the solver estimates it, sigma (H, W) in metres; NaN where ``given.relative`` is.

        Raises:
            AnchorError: no anchor lies where the network gives a value.
            InputError: an input that the solver needs is missing or of another shape.
        """

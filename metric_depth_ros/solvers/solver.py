"""What a solver is: one image's relative depth and anchors in, metric depth out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.types import MetricDepth, SolverInput


class Solver(ABC):
    """Makes relative depth metric with anchors. Everything a caller must know of it stands on its class.

    A new solver is one file with a child of this class and one line in ``config.SOLVERS``. Limits of depth
    are not its business: ``within_limits`` applies them to the answer.

    Attributes:
        wants_regions: ``solve`` needs ``SolverInput.regions``.
        wants_maps: learned basis maps among the engine's features make it better.
        probabilistic: an anchor's sigma is taken as it is stated, and depth comes with a sigma.
        follows_anchors: residuals at the anchors are interpolated already (``solver.residuals``).
        remembers: images may come without anchors for a while, after some that had them.
    """

    wants_regions: bool = False
    wants_maps: bool = False
    probabilistic: bool = False
    follows_anchors: bool = False
    remembers: bool = False

    @abstractmethod
    def __init__(self, config: SolverConfig) -> None: ...

    @abstractmethod
    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and, where the solver can tell, sigma (H, W) in metres; NaN where ``given.relative`` is.

        Raises:
            AnchorError: no anchor lies where the network says something.
            InputError: something that the solver wants is missing or of another shape.
        """

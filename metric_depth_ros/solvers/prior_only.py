"""Depth of the prior alone: what is left without anchors."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import MetricDepth, SolverInput


class PriorOnly(Solver):
    """Metric depth of the prior, whatever the anchors say (paper 002's depth with its scale network)."""

    probabilistic = True
    follows_anchors = True

    def __init__(self, config: SolverConfig) -> None:
        pass

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and sigma (H, W) of ``prior_depth``."""
        return prior_depth(given)


def prior_depth(given: SolverInput) -> MetricDepth:
    """Depth and sigma (H, W) in metres of the prior; NaN where it is unknown. Raises ``no_scale``."""
    prior = given.prior
    if prior is None:
        raise no_scale()
    depth = np.array(prior.depth, np.float32)
    return MetricDepth(depth, depth * np.float32(prior.sigma), info={"anchors": 0, "prior": prior.name})


def no_scale() -> AnchorError:
    """The error that there is neither a prior nor an anchor."""
    return AnchorError(
        "prior: none, and no anchor that could be used; needed one of them. Check the anchors and their "
        "transform, set solver.prior, or take a network with metres of its own."
    )

"""Base class of the closed-form solvers: from maps and anchors to observations, and back to metres."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.depth import Domain, choose_domain, depth_from, relative_in
from metric_depth_ros.solvers.fitting.observations import Line, Observations, fit_line, observe
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import FloatArray, IntArray, MetricDepth, SolverInput


@dataclass(frozen=True, eq=False)
class Problem:
    """Input of a closed-form fit.

    Attributes:
        domain: the space of x and y.
        x: (H, W) float32, NaN unknown; must not be modified, it may be the network's output itself.
        seen: the anchors, at least one.
        line: the global fit y = scale * x + shift.
        regions: (H, W) labels, for solvers that use them.
    """

    domain: Domain
    x: FloatArray
    seen: Observations
    line: Line
    regions: IntArray | None


class ClosedForm(Solver):
    """A solver that fits y = f(x, u, v) to the anchors in closed form.

    A child class defines ``_fitted``. If the anchors determine only a scale (one anchor, or all at one
    depth), every child gives the global scale. ``info`` holds domain, anchors used, anchors rejected,
    and what the child adds; at one depth only ``fit`` is added.
    """

    def __init__(self, config: SolverConfig, *, guards: bool = True) -> None:
        """``guards=False`` fits as the papers do: lines may fall, implausible depth is not replaced."""
        self._config = config
        self._guards = guards

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth (H, W) in metres; NaN where ``given.relative`` is, and where the fit gives no depth.

        Raises:
            AnchorError: no anchor lies where the network gives a value.
            InputError: the solver needs regions, and they are missing, not whole numbers from 0, or not
                of the map's size.
        """
        config = self._config
        domain = choose_domain(config.domain, given.relative.kind)
        x = relative_in(domain, given.relative)
        regions = self._checked(given.regions, x.shape)
        seen = observe(x, given.anchors, domain, config.weighting, config.robust, config.name)
        line = fit_line(seen, domain, rising=self._guards)
        problem = Problem(domain, x, seen, line, regions)
        if self._guards and seen.one_depth:
            y, info = line.at(x), {"fit": line.how}
        else:
            y, info = self._fitted(problem)
        depth = depth_from(domain, y, out=y)
        np.copyto(depth, np.float32(np.nan), where=depth < 0)
        about = {"domain": domain, "anchors": len(seen), "rejected": seen.rejected}
        return MetricDepth(depth, info={**about, **info})

    def _checked(self, regions: IntArray | None, shape: tuple[int, ...]) -> IntArray | None:
        """Regions checked and converted for ``_fitted``. Raises InputError."""
        return None

    @abstractmethod
    def _fitted(self, problem: Problem) -> tuple[FloatArray, dict[str, Any]]:
        """Fitted y (H, W) float32, a new array, and what to add to ``info``."""


def rescued(y: FloatArray, x: FloatArray, line: Line, domain: Domain) -> FloatArray:
    """y (H, W), changed in place: values that are no depth (not positive) become the global line's."""
    if domain != "log" and not float(np.min(y)) > 0:
        lost = y <= 0
        y[lost] = line.at(x[lost])
    return y

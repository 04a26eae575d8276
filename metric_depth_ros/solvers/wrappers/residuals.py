"""What a solver left over at the anchors, spread over the image: for any solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.solvers.fitting.domain import limited
from metric_depth_ros.solvers.fitting.observations import by_place
from metric_depth_ros.solvers.gaussian_process.solver import Auto
from metric_depth_ros.types import (
    Anchors,
    Camera,
    ImageArray,
    IntArray,
    MetricDepth,
    RelativeDepth,
    Solver,
)


class Spread:
    """log d = log d' + f: another solver's depth d', drawn to the anchors by the process of ``auto``.

    Ours. The process takes d' for the network's answer: it honours each anchor as far as its sigma
    allows, keeps to what lies near and looks alike, and gives the solver the sigma it lacks.
    """

    def __init__(self, build: Callable[[SolverConfig], Solver], config: SolverConfig) -> None:
        """``build`` makes the other solver; the limits of depth hold for the result alone."""
        self._solver = build(replace(config, min_depth_m=0.0, max_depth_m=np.inf))
        self._process, self._limits = Auto(config), (config.min_depth_m, config.max_depth_m)
        self.uses = self._solver.uses | self._process.uses

    def solve(
        self,
        relative: RelativeDepth,
        anchors: Anchors,
        *,
        image: ImageArray | None = None,
        camera: Camera | None = None,
        regions: IntArray | None = None,
        text: str | None = None,
        focus_m: float | None = None,
        stamp_ns: int | None = None,
    ) -> MetricDepth:
        """Depth and sigma (H, W) in metres; NaN where the other solver's depth is. Raises what it raises.

        ``info`` is the other solver's, with ``sigma_scale`` and ``spread_rejected``, the anchors that the
        process left out.
        """
        anchors = by_place(anchors)
        fitted = self._solver.solve(
            relative,
            anchors,
            image=image,
            camera=camera,
            regions=regions,
            text=text,
            focus_m=focus_m,
            stamp_ns=stamp_ns,
        )
        if fitted.info.get("anchors") == 0:  # none is usable; the other solver remembers some
            low, high = self._limits
            return replace(fitted, depth=limited(fitted.depth, low, high))
        drawn = self._process.solve(RelativeDepth(fitted.depth, "depth"), anchors, image=image)
        about = {"spread_rejected": drawn.info["rejected"], "sigma_scale": drawn.info["sigma_scale"]}
        return replace(drawn, info={**fitted.info, **about})

"""One scale for the whole image, by medians."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.solvers.fitting.closed_form import ClosedForm, Problem
from metric_depth_ros.solvers.fitting.observations import weighted_medians
from metric_depth_ros.types import FloatArray


class Median(ClosedForm):
    """depth = scale * r, scale the weighted median of d / r, or the ratio of the medians of d and r.

    Computed in depth (r = 1 / value for inverse-depth networks), whatever ``domain``: the median is the
    same in all domains. ``info`` adds the scale.
    """

    def __init__(self, config: SolverConfig, *, guards: bool = True) -> None:
        super().__init__(replace(config, domain="depth"), guards=guards)

    def _fitted(self, problem: Problem) -> tuple[FloatArray, dict[str, Any]]:
        seen = problem.seen
        if self._config.median.statistic == "ratio_of_medians":
            scale = float(np.median(seen.depth) / np.median(seen.x))
        else:
            everyone = np.ones((1, len(seen)), np.bool_)
            scale = float(weighted_medians(seen.depth / seen.x, seen.relative_weight, everyone)[0])
        return problem.x * np.float32(scale), {"fit": "scale", "scale": scale}

"""A scale (and a shift) that vary over the image, on a grid of vertices with smoothness."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from metric_depth_ros.solvers.closed_form import ClosedForm, Problem, rescued
from metric_depth_ros.solvers.domain import Domain
from metric_depth_ros.solvers.lattice import Lattice
from metric_depth_ros.solvers.penalised import Rows, fit_ridge
from metric_depth_ros.types import FloatArray

# Strengths of smoothness to choose from.
_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)


class Grid(ClosedForm):
    """y = g + a(u, v) g + b(u, v), g the global line: the fields a and b are bilinear on a grid.

    Least squares plus smoothness times the squared differences of neighbouring vertices; without
    ``fit: affine`` only a varies, or only b in the log domain, so that each place has a scale of its
    own. ``info`` adds fit and smoothness.
    """

    name: ClassVar[str] = "grid"
    for_depth: ClassVar[Domain] = "log"

    def _fitted(self, problem: Problem) -> tuple[FloatArray, dict[str, Any]]:
        options, seen, line = self._config.grid, problem.seen, problem.line
        height, width = problem.x.shape
        lattice = Lattice(width, height, max(1, math.ceil(width / options.columns)))
        anchors_g = line.at(seen.x)
        unit = float(np.sqrt(np.mean(anchors_g**2))) or 1.0
        varying = _varying(options.fit, problem.domain)
        strengths = (options.smoothness,) if options.smoothness else _STRENGTHS
        n, bilinear = lattice.shape[0] * lattice.shape[1], lattice.bilinear(seen.uv)
        factor = {"a": anchors_g / unit, "b": np.ones(len(seen))}
        rows = Rows(
            np.hstack([bilinear[0] + n * k for k in range(len(varying))]),
            np.hstack([bilinear[1] * factor[field][:, None] for field in varying]),
            n * len(varying),
        )
        penalty = np.kron(np.eye(len(varying)), lattice.differences())
        ridge = fit_ridge(rows, seen.y - anchors_g, seen.weight, penalty, strengths)

        g = line.at(problem.x)
        y = g.copy()
        for field, values in zip(varying, ridge.coefficients.reshape(-1, *lattice.shape), strict=True):
            y += lattice.spread(values / unit) * g if field == "a" else lattice.spread(values)
        if self._guards:
            y = rescued(y, problem.x, line, problem.domain)
        return y, {"fit": options.fit, "smoothness": ridge.strength}


def _varying(fit: str, domain: Domain) -> str:
    """Which of the fields "a" and "b" vary."""
    if fit == "affine":
        return "ab"
    return "b" if domain == "log" else "a"

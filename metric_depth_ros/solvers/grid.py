"""Scale (and shift) that vary over the image: values at the vertices of a grid, kept smooth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from metric_depth_ros.depth import Domain
from metric_depth_ros.solvers.fitting.closed_form import ClosedForm, Problem, rescued
from metric_depth_ros.solvers.fitting.lattice import Lattice
from metric_depth_ros.solvers.fitting.observations import Line, Observations, deviation_about, fit_scale
from metric_depth_ros.solvers.fitting.penalised import Rows, fit_ridge
from metric_depth_ros.types import FloatArray

# Strengths of smoothness to choose from.
_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 10.0, 100.0)


class Grid(ClosedForm):
    """Scale, or scale and shift, that vary over the image, bilinear between the vertices of a grid.

    ``fit: scale``   g the global scale alone; y = g + a(u, v) g, in the log domain y = g + a(u, v)
    ``fit: affine``  g the global line; y = g + a(u, v) (g - mean g) / deviation g + b(u, v)

    Weighted least squares plus smoothness times the squared differences of neighbouring vertices.
    ``info`` adds fit and smoothness.
    """

    def _fitted(self, problem: Problem) -> tuple[FloatArray, dict[str, Any]]:
        options, seen = self._config.grid, problem.seen
        line = problem.line if options.fit == "affine" else fit_scale(seen, problem.domain)
        height, width = problem.x.shape
        lattice = Lattice(width, height, max(1, math.ceil(width / options.columns)))
        factors = _factors(options.fit, line, seen, problem.domain)
        index, bilinear = lattice.bilinear(seen.uv)
        n = lattice.shape[0] * lattice.shape[1]
        rows = Rows(
            np.hstack([index + n * k for k in range(len(factors))]),
            np.hstack([bilinear * factor.at(seen.x)[:, None] for factor in factors]),
            n * len(factors),
        )
        penalty = np.kron(np.eye(len(factors)), lattice.differences())
        if self._guards:  # few anchors determine no field: its mean is pulled to the line, as its differences
            penalty += np.eye(len(penalty)) / n
        strengths = (options.smoothness,) if options.smoothness else _STRENGTHS
        ridge = fit_ridge(rows, seen.y - line.at(seen.x), seen.weight, penalty, strengths)

        y = line.at(problem.x)
        for factor, values in zip(factors, ridge.coefficients.reshape(-1, *lattice.shape), strict=True):
            field = lattice.interpolated(values)
            y += field * factor.at(problem.x) if factor.scale else field
        if self._guards:
            y = rescued(y, problem.x, line, problem.domain)
        return y, {"fit": options.fit, "smoothness": ridge.strength}


def _factors(fit: str, line: Line, seen: Observations, domain: Domain) -> list[Line]:
    """Factors of the fields, as functions of x, of size about 1 at the anchors."""
    one = Line(0.0, 1.0, "constant")
    if fit == "scale" and domain == "log":
        return [one]
    g = line.at(seen.x)
    centre = 0.0 if fit == "scale" else float(np.average(g, weights=seen.weight))
    deviation = deviation_about(centre, g, seen.weight, domain)
    if not np.isfinite(deviation):
        return [one]
    scaled = Line(line.scale / deviation, (line.shift - centre) / deviation, line.how)
    return [scaled] if fit == "scale" else [scaled, one]

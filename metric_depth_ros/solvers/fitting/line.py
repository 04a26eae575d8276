"""One line for all anchors, and medians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from metric_depth_ros.solvers.fitting.domain import Domain
from metric_depth_ros.solvers.fitting.observations import Observations
from metric_depth_ros.types import BoolArray, FloatArray

# A column that varies less than this fraction of its size is constant: float32 keeps no more.
NO_VARIATION = 1e-5


@dataclass(frozen=True)
class Line:
    """y = scale * x + shift, and how it came about."""

    scale: float
    shift: float
    how: Literal["affine", "scale", "constant"]

    def at(self, x: FloatArray) -> FloatArray:
        """y of x, of x's type."""
        y = np.asarray(x * x.dtype.type(self.scale))
        y += x.dtype.type(self.shift)
        return y


def fit_line(seen: Observations, domain: Domain, *, rising: bool = True) -> Line:
    """The line of least squares; with ``rising``, of those that rise.

    Where the anchors show no such line (one anchor, one depth, no variation in x, a falling slope) only
    the scale of depth is fitted: y = scale * x, or y = x + shift in the log domain. An inverse-depth
    map that is not positive at the anchors has not even that: then y is their mean.
    """
    x, y, w = seen.x, seen.y, seen.weight / seen.weight.sum()
    mean_x, mean_y = float(w @ x), float(w @ y)
    variance = float(w @ (x - mean_x) ** 2)
    if variance > (NO_VARIATION * size_of(x, domain)) ** 2 and not (rising and seen.one_depth):
        scale = float(w @ ((x - mean_x) * (y - mean_y))) / variance
        if scale > 0 or not rising:
            return Line(scale, mean_y - scale * mean_x, "affine")
    return fit_scale(seen, domain)


def fit_scale(seen: Observations, domain: Domain) -> Line:
    """The scale of depth of least squares, y = scale * x or (log) y = x + shift, else a constant."""
    x, y, w = seen.x, seen.y, seen.weight / seen.weight.sum()
    mean_y = float(w @ y)
    if domain == "log":
        return Line(1.0, mean_y - float(w @ x), "scale")
    covariance = float(w @ (x * y))
    if covariance > 0:
        return Line(covariance / float(w @ (x * x)), 0.0, "scale")
    return Line(0.0, mean_y, "constant")


def size_of(x: FloatArray, domain: Domain) -> float:
    """What the variation of x is compared with; a logarithm's is 1 whatever its zero."""
    return 1.0 if domain == "log" else float(np.abs(x).max())


def deviation_about(centre: float, values: FloatArray, weight: FloatArray, domain: Domain) -> float:
    """Weighted root mean square distance of values (N,) from a centre; infinite where it is rounding.

    Infinite, so that dividing by it makes a column of zeros.
    """
    deviation = float(np.sqrt(np.average((values - centre) ** 2, weights=weight)))
    return deviation if deviation > NO_VARIATION * size_of(values, domain) else np.inf


def weighted_medians(values: FloatArray, weight: FloatArray, member: BoolArray) -> FloatArray:
    """(m,) weighted median of the values (N,) that each row of ``member`` (m, N) holds; NaN for none.

    The mean of two values that share the middle, so that it is ``np.median`` for equal weights.
    """
    if not len(member) or not len(values):
        return np.full(len(member), np.nan)
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(np.where(member[:, order], weight[order], 0.0), axis=1)
    half = mass[:, -1:] / 2
    low = np.argmax(mass >= half * (1 - 1e-12), axis=1)
    high = np.argmax(mass > half * (1 + 1e-12), axis=1)
    return np.where(half[:, 0] > 0, (values[order][low] + values[order][high]) / 2, np.nan)

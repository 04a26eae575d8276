"""Anchors as solvers see them, pairs of relative and metric depth with weights, and the line through all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.depth import Domain, depth_in
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers.fitting.robust import robust_weights
from metric_depth_ros.types import Anchors, BoolArray, FloatArray

# Ours: how far, as a fraction of the depth, a fitted network misses anyway. The sensor's sigma
# counts only where it is larger.
MODEL_MISFIT = 0.1
# Depths that differ by no more than this fraction are one depth.
_ONE_DEPTH = 1e-3
# A column that varies less than this fraction of its size is constant: float32 keeps no more.
NO_VARIATION = 1e-5
# Standard deviation of normal errors per median of their size.
DEVIATION = 1.4826


@dataclass(frozen=True, eq=False)
class Observations:
    """Anchors as a solver sees them: y = f(x, u, v) with weights. All float64.

    Attributes:
        uv: (N, 2) pixels.
        depth: (N,) metres.
        x, y: (N,) relative and metric depth in the solver's domain.
        weight: (N,) of the squared error of y, mean 1.
        relative_weight: (N,) of an error in log depth, mean 1.
        rejected: how many more there were, which disagreed with the others.
    """

    uv: FloatArray
    depth: FloatArray
    x: FloatArray
    y: FloatArray
    weight: FloatArray
    relative_weight: FloatArray
    rejected: int = 0

    def __len__(self) -> int:
        return len(self.depth)

    @property
    def one_depth(self) -> bool:
        """Whether all anchors lie at one depth, so that they tell a scale and no more."""
        return one_depth(self.depth)


def observe(
    x_map: FloatArray, anchors: Anchors, domain: Domain, weighting: str, robust: str, who: str
) -> Observations:
    """The anchors at which both depths are known, less those that ``robust`` gives no weight.

    Args:
        x_map: (H, W) of ``relative_in``.
        anchors: some of them may be unusable.
        domain: of ``x_map``.
        weighting: "relative" or "none", see ``weights_in``.
        robust: "neighbours" or "none", see ``robust_weights``.
        who: the solver's name, for the error.

    Raises:
        AnchorError: none is left.
    """
    anchors, x = usable(x_map, anchors, who)
    uv = anchors.uv.astype(np.float64)
    depth, sigma = anchors.depth.astype(np.float64), anchors.sigma.astype(np.float64)
    y: FloatArray = depth_in(domain, depth)
    trust: FloatArray = np.ones(len(x))
    if robust == "neighbours":
        trust = robust_weights(uv, x, y, domain, sigma / depth)
    kept = np.flatnonzero(trust)
    weight = weights_in(domain, depth, sigma, weighting)[kept] * trust[kept]
    relative_weight = weights_in("log", depth, sigma, weighting)[kept] * trust[kept]
    return Observations(
        uv=uv[kept],
        depth=depth[kept],
        x=x[kept],
        y=y[kept],
        weight=weight / weight.mean(),
        relative_weight=relative_weight / relative_weight.mean(),
        rejected=len(x) - len(kept),
    )


def usable(x_map: FloatArray, anchors: Anchors, who: str) -> tuple[Anchors, FloatArray]:
    """The anchors at which both depths are known, N of them, and the map (H, W) there, (N,) float64.

    Raises:
        AnchorError: there is none; ``who`` is the solver that needed one.
    """
    x = sample_bilinear(x_map, anchors.uv).astype(np.float64)
    known = np.isfinite(x) & np.isfinite(anchors.depth) & (anchors.depth > 0)
    known &= np.isfinite(anchors.sigma) & (anchors.sigma >= 0)
    if not known.any():
        raise AnchorError(
            f"{who}: 0 usable of {len(anchors)} anchors; needed 1 with positive depth inside the image, "
            "where the network says something. Check T_camera_lidar and the network's output."
        )
    return anchors.take(known), x[known]


def by_place(anchors: Anchors) -> Anchors:
    """In order of place, so that the anchors' own order changes nothing, not even the last digit."""
    return anchors.take(np.lexsort((anchors.sigma, anchors.depth, anchors.uv[:, 1], anchors.uv[:, 0])))


def one_depth(depth: FloatArray) -> bool:
    """Whether depths (N,) are all alike."""
    return bool(depth.max() <= depth.min() * (1 + _ONE_DEPTH))


def weights_in(domain: Domain, depth: FloatArray, sigma: FloatArray, weighting: str) -> FloatArray:
    """(N,) weights of the squared errors of y, mean 1.

    "relative" is one over the variance of y to first order,
    (dy / dd)^2 (sigma^2 + (MODEL_MISFIT d)^2): relative error is what is minimised, in every domain.
    "none" is all ones.
    """
    if weighting == "none":
        return np.ones(len(depth))
    depth, sigma = np.asarray(depth, np.float64), np.asarray(sigma, np.float64)
    slope = {"inverse_depth": depth**-2, "log": 1 / depth, "depth": np.ones(len(depth))}[domain]
    weights = 1 / (slope**2 * (sigma**2 + (MODEL_MISFIT * depth) ** 2))
    return np.asarray(weights / weights.mean())


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

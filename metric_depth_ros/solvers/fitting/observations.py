"""Observations: weighted pairs of relative and metric depth at the anchors, and the line through all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.depth import Domain, depth_in
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers.fitting.robust import robust_weights
from metric_depth_ros.types import Anchors, BoolArray, FloatArray

# Ours: error of a fitted network as a fraction of depth. The sensor's sigma matters only where it is
# larger.
MODEL_MISFIT = 0.1
# Depths that differ by no more than this fraction count as one depth.
_ONE_DEPTH = 1e-3
# A column that varies less than this fraction of its size counts as constant: float32 resolves no more.
NO_VARIATION = 1e-5
# Ours, chosen on all real frames: relative error of a fitted network at two anchors; standard deviation of
# the slope of depth about that of a scale alone; most pull, in anchors whose log x varies by 1.
_USUAL_ERROR = 0.25
_SLOPE_SPREAD = 0.5
_MOST_PULL = 0.36
# Standard deviation of normal errors over the median of their absolute value.
DEVIATION = 1.4826
# Cells across and down the image: anchors in one tell the scale but once.
_CELLS = 8


@dataclass(frozen=True, eq=False)
class Observations:
    """Anchors as data of a fit y = f(x, u, v), with weights. All float64.

    Attributes:
        uv: (N, 2) pixels.
        depth: (N,) metres.
        x, y: (N,) relative and metric depth in the solver's domain.
        weight: (N,) of the squared error of y, mean 1.
        relative_weight: (N,) of an error in log depth, mean 1.
        rejected: number of anchors left out because they disagreed with the others.
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
        """Whether all anchors lie at one depth, so that they determine only a scale."""
        return one_depth(self.depth)


def observe(
    x_map: FloatArray, anchors: Anchors, domain: Domain, weighting: str, robust: str, who: str
) -> Observations:
    """Observations at the usable anchors, without those to which ``robust`` gives no weight.

    Args:
        x_map: (H, W) from ``relative_in``.
        anchors: some of them may be unusable.
        domain: of ``x_map``.
        weighting: "relative" or "none", see ``weights_in``.
        robust: "neighbours" or "none", see ``robust_weights``.
        who: the solver's name, for the error.

    Raises:
        AnchorError: no anchor is left.
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
    """The N anchors at which both depths are known, and the values (N,) float64 of the map (H, W) there.

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


def occupied_cells(uv: FloatArray, shape: tuple[int, ...]) -> int:
    """Number of the 64 cells of an image (H, W) that hold one of the pixels (N, 2)."""
    cell = np.clip((uv + 0.5) * _CELLS / np.array(shape[::-1]), 0, _CELLS - 1).astype(np.intp)
    return len(np.unique(cell @ [1, _CELLS]))


def by_place(anchors: Anchors) -> Anchors:
    """Anchors sorted by position, so that their order does not change results, not even the last digit."""
    return anchors.take(np.lexsort((anchors.sigma, anchors.depth, anchors.uv[:, 1], anchors.uv[:, 0])))


def one_depth(depth: FloatArray) -> bool:
    """Whether depths (N,) are all equal, within 0.1 %."""
    return bool(depth.max() <= depth.min() * (1 + _ONE_DEPTH))


def weights_in(domain: Domain, depth: FloatArray, sigma: FloatArray, weighting: str) -> FloatArray:
    """Weights (N,) of the squared errors of y, mean 1.

    "relative" is one over the variance of y to first order,
    (dy / dd)^2 (sigma^2 + (MODEL_MISFIT d)^2): so relative error is minimised, in every domain.
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
    """Line y = scale * x + shift, and how it was fitted."""

    scale: float
    shift: float
    how: Literal["affine", "scale", "constant"]

    def at(self, x: FloatArray) -> FloatArray:
        """y at x, in x's type."""
        y = np.asarray(x * x.dtype.type(self.scale))
        y += x.dtype.type(self.shift)
        return y


def fit_line(seen: Observations, domain: Domain, *, rising: bool = True) -> Line:
    """Least-squares line through the observations; with ``rising``, only a rising one, pulled to a scale.

    If the anchors do not determine such a line (one anchor, one depth, no variation in x, a falling slope)
    only the scale of depth is fitted: y = scale * x, or y = x + shift in the log domain.

    The pull, ours: few anchors determine a scale well and a line badly, so the slope has a Gaussian prior
    about that of the scale alone. The variance of the anchors' errors is that of their residuals, so
    anchors on one line are fitted exactly, three or four by chance too; two anchors leave no residual, and
    their usual error is assumed.
    """
    x, y, w = seen.x, seen.y, seen.weight / seen.weight.sum()
    mean_x, mean_y = float(w @ x), float(w @ y)
    variance = float(w @ (x - mean_x) ** 2)
    only_scale = fit_scale(seen, domain)
    if variance > (NO_VARIATION * size_of(x, domain)) ** 2 and not (rising and seen.one_depth):
        covariance = float(w @ ((x - mean_x) * (y - mean_y)))
        scale = covariance / variance
        if rising:
            error = float(w @ (y - mean_y - scale * (x - mean_x)) ** 2)
            unit_x, unit_y = (1.0, 1.0) if domain == "log" else (mean_x, mean_y)
            pull = _pull(error / unit_y**2 if scale > 0 else np.inf, len(x)) * unit_x**2
            scale = (covariance + pull * only_scale.scale) / (variance + pull)
        if scale > 0 or not rising:
            return Line(scale, mean_y - scale * mean_x, "affine")
    return only_scale


def _pull(error: float, count: int) -> float:
    """Weight of the scale alone in the slope of a line through ``count`` anchors, as a variance of log x.

    ``error`` is their mean squared residual about the line, relative to the squared mean of y.
    """
    variance = error * count / (count - 2) if count > 2 else _USUAL_ERROR**2
    return min(variance / _SLOPE_SPREAD**2, _MOST_PULL) / count


def fit_scale(seen: Observations, domain: Domain) -> Line:
    """Least-squares scale of depth: y = scale * x, x positive; in the log domain y = x + shift."""
    x, y, w = seen.x, seen.y, seen.weight / seen.weight.sum()
    if domain == "log":
        return Line(1.0, float(w @ y) - float(w @ x), "scale")
    return Line(float(w @ (x * y)) / float(w @ (x * x)), 0.0, "scale")


def size_of(x: FloatArray, domain: Domain) -> float:
    """Size to which the variation of x is compared: its largest magnitude, or 1 for logarithms."""
    return 1.0 if domain == "log" else float(np.abs(x).max())


def deviation_about(centre: float, values: FloatArray, weight: FloatArray, domain: Domain) -> float:
    """Weighted RMS distance of values (N,) from a centre; infinite if it is only rounding error.

    Infinite, so that division by it gives a column of zeros.
    """
    deviation = float(np.sqrt(np.average((values - centre) ** 2, weights=weight)))
    return deviation if deviation > NO_VARIATION * size_of(values, domain) else np.inf


def medians(values: FloatArray) -> FloatArray:
    """Medians (...) of values (..., N); the checks of ``np.median`` take three times as long."""
    low, high = (values.shape[-1] - 1) // 2, values.shape[-1] // 2
    ordered = np.partition(values, (low, high), axis=-1)
    return np.asarray((ordered[..., low] + ordered[..., high]) / 2)


def weighted_medians(values: FloatArray, weight: FloatArray, member: BoolArray) -> FloatArray:
    """Weighted medians (m,) of the values (N,) that each row of ``member`` (m, N) selects; NaN if none.

    Two values that share the middle are averaged, so that equal weights give ``np.median``.
    """
    if not len(member) or not len(values):
        return np.full(len(member), np.nan)
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(np.where(member[:, order], weight[order], 0.0), axis=1)
    half = mass[:, -1:] / 2
    low = np.argmax(mass >= half * (1 - 1e-12), axis=1)
    high = np.argmax(mass > half * (1 + 1e-12), axis=1)
    return np.where(half[:, 0] > 0, (values[order][low] + values[order][high]) / 2, np.nan)

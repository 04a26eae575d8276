"""Weighted least squares of anchors on a relative map: one line, or a surface per group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers.domain import Domain, depth_in, weights_in
from metric_depth_ros.types import Anchors, BoolArray, FloatArray, IntArray

# A column with less spread than this fraction of its size is constant: float32 keeps no more.
_NO_SPREAD = 1e-5
# Added to the diagonal of correlation matrices; settles what the anchors leave open (a relative map
# that is itself a plane) at the smallest slopes, and is far below any other effect.
_RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Observations:
    """Anchors as a solver sees them: y = f(x, u, v) with weights.

    Attributes:
        uv: (N, 2) pixels.
        depth: (N,) metres.
        x, y: (N,) relative and metric depth in the solver's domain, float64.
        weight: (N,) of the squared error of y.
        relative_weight: (N,) of an error in log depth.
    """

    uv: FloatArray
    depth: FloatArray
    x: FloatArray
    y: FloatArray
    weight: FloatArray
    relative_weight: FloatArray


def observe(x_map: FloatArray, anchors: Anchors, domain: Domain, weighting: str, who: str) -> Observations:
    """The anchors at which both depths are known.

    Raises:
        AnchorError: none is left.
    """
    x = sample_bilinear(x_map, anchors.uv).astype(np.float64)
    known = np.isfinite(x) & np.isfinite(anchors.depth) & (anchors.depth > 0) & (anchors.sigma >= 0)
    known &= np.isfinite(anchors.sigma)
    if not known.any():
        raise AnchorError(
            f"{who}: 0 usable of {len(anchors)} anchors; needed 1 with positive depth inside the image, "
            "where the network says something. Check T_camera_lidar and the network's output."
        )
    depth, sigma = anchors.depth[known].astype(np.float64), anchors.sigma[known]
    return Observations(
        uv=anchors.uv[known],
        depth=depth,
        x=x[known],
        y=depth_in(domain, depth),
        weight=weights_in(domain, depth, sigma, weighting),
        relative_weight=weights_in("log", depth, sigma, weighting),
    )


@dataclass(frozen=True)
class Line:
    """y = scale * x + shift, and how it came about."""

    scale: float
    shift: float
    how: Literal["affine", "scale", "constant"]


def fit_line(seen: Observations, domain: Domain) -> Line:
    """The line of least squares that rises.

    Where the anchors show no rising line (one anchor, no spread in x, a falling slope) only the
    scale of depth is fitted: y = scale * x, or y = x + shift in the log domain. An inverse-depth map
    that is not positive at the anchors has not even that: then y is their mean.
    """
    x, y, w = seen.x, seen.y, seen.weight / seen.weight.sum()
    mean_x, mean_y = float(w @ x), float(w @ y)
    spread = float(w @ (x - mean_x) ** 2)
    if spread > (_NO_SPREAD * _size(x, domain)) ** 2:
        scale = float(w @ ((x - mean_x) * (y - mean_y))) / spread
        if scale > 0:
            return Line(scale, mean_y - scale * mean_x, "affine")
    if domain == "log":
        return Line(1.0, mean_y - mean_x, "scale")
    covariance = float(w @ (x * y))
    if covariance > 0:
        return Line(covariance / float(w @ (x * x)), 0.0, "scale")
    return Line(0.0, mean_y, "constant")


def _size(x: FloatArray, domain: Domain) -> float:
    """What the spread of x is compared with; a logarithm's is 1 whatever its zero."""
    return 1.0 if domain == "log" else float(np.abs(x).max())


@dataclass(frozen=True, eq=False)
class Surfaces:
    """y = p0 x + p1 u + p2 v + p3 for each of n groups.

    Attributes:
        parameters: (n, 4) float64.
        solved: (n,) whether the anchors determine that group's fit.
    """

    parameters: FloatArray
    solved: BoolArray


def fit_surfaces(
    seen: Observations, group: IntArray, reach: BoolArray, domain: Domain, *, slopes: bool
) -> Surfaces:
    """A weighted least-squares surface per row of ``reach``, all of them at once.

    Moments are summed once per group of anchors and then over the groups a row reaches; each row is
    solved in coordinates of zero mean and unit spread. Without ``slopes`` p1 = p2 = 0.

    Args:
        seen: the anchors, N of them.
        group: (N,) integers, each anchor's group, 0 to n-1.
        reach: (m, n) whether row i uses the anchors of group j.
        domain: of ``seen``.
        slopes: whether u and v count. Then a row needs 4 anchors that do not lie on one line, but no
            spread in x; without, 2 anchors with spread in x.
    """
    centre_x, centre_uv = seen.x.mean(), seen.uv.mean(axis=0)
    size_x, size_uv = _size(seen.x, domain), max(1.0, float(np.abs(seen.uv - centre_uv).max()))
    scaled = np.column_stack([(seen.x - centre_x) / (size_x or 1.0), (seen.uv - centre_uv) / size_uv])
    columns = scaled if slopes else scaled[:, :1]
    count, mean, covariance, mean_y, covariance_y = _moments(columns, seen, group, reach)

    spread = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0))
    varies = spread > _NO_SPREAD
    unit = np.where(varies, spread, 1.0)
    correlation = covariance / (unit[:, :, None] * unit[:, None, :])
    correlation *= varies[:, :, None] & varies[:, None, :]
    correlation += np.eye(columns.shape[1]) * np.where(varies, _RIDGE, 1.0)[:, None, :]
    rhs = np.where(varies, covariance_y / unit, 0.0)
    coefficient = np.linalg.solve(correlation, rhs[:, :, None])[:, :, 0] / unit

    parameters = np.zeros((len(reach), 4))
    parameters[:, 0] = coefficient[:, 0] / (size_x or 1.0)
    if slopes:
        parameters[:, 1:3] = coefficient[:, 1:] / size_uv
        solved = (count >= 4) & _off_a_line(covariance[:, 1:, 1:], size_uv)
    else:
        solved = (count >= 2) & varies[:, 0]
    level = mean_y - np.sum(coefficient * mean, axis=1)
    centre = parameters[:, 0] * centre_x + parameters[:, 1:3] @ centre_uv
    parameters[:, 3] = level - centre
    return Surfaces(parameters, solved)


def _moments(
    columns: FloatArray, seen: Observations, group: IntArray, reach: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Per row of ``reach``: count (m,), mean (m, k), covariance (m, k, k), mean and covariance with y."""
    k, w, y = columns.shape[1], seen.weight[:, None], seen.y[:, None]
    mean_y_all = float(seen.weight @ seen.y / seen.weight.sum())
    y = y - mean_y_all
    outer = (columns[:, :, None] * columns[:, None, :]).reshape(-1, k * k)
    terms = np.column_stack([np.ones_like(w), w, w * columns, w * outer, w * y, w * y * columns])
    sums = reach.astype(np.float64) @ summed(terms, group, reach.shape[1])
    count, total = sums[:, 0], np.maximum(sums[:, 1:2], np.finfo(np.float64).tiny)
    mean, second, mean_y, cross = np.split(sums[:, 2:] / total, [k, k + k * k, k + k * k + 1], axis=1)
    covariance = second.reshape(-1, k, k) - mean[:, :, None] * mean[:, None, :]
    return count, mean, covariance, mean_y[:, 0] + mean_y_all, cross - mean * mean_y


def summed(terms: FloatArray, group: IntArray, n: int) -> FloatArray:
    """(n, k) sums of the rows (N, k) of each group."""
    return np.stack([np.bincount(group, column, n) for column in terms.T], axis=1)


def _off_a_line(covariance: FloatArray, pixels: float) -> BoolArray:
    """(m,) whether points with these covariances (m, 2, 2) have width: half a pixel, 1 % of length."""
    a, b, c = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    middle, half = (a + c) / 2, np.hypot((a - c) / 2, b)
    wide: BoolArray = middle - half > np.maximum((0.5 / pixels) ** 2, 1e-4 * (middle + half))
    return wide


def weighted_medians(values: FloatArray, weight: FloatArray, member: BoolArray) -> FloatArray:
    """(m,) weighted median of the values (N,) that each row of ``member`` (m, N) holds; NaN for none.

    The lower median where two values share the middle.
    """
    if not len(member) or not len(values):
        return np.full(len(member), np.nan)
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(np.where(member[:, order], weight[order], 0.0), axis=1)
    total = mass[:, -1]
    middle = np.argmax(mass >= total[:, None] * (0.5 - 1e-12), axis=1)
    return np.where(total > 0, values[order][middle], np.nan)

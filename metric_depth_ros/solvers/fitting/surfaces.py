"""Weighted least-squares surfaces through anchors on a relative map, many groups at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.depth import Domain
from metric_depth_ros.solvers.fitting.observations import NO_VARIATION, Observations, size_of
from metric_depth_ros.types import BoolArray, FloatArray, IntArray

# Added to the diagonal of correlation matrices: chooses the smallest slopes if the anchors do not
# determine them (a relative map that is itself a plane), and is far below any other effect.
_RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Surfaces y = p0 x + p1 u + p2 v + p3, one for each of n groups.

    Attributes:
        parameters: (n, 4) float64.
        solved: (n,) whether the anchors determine that group's fit.
        left_out: (n,) weighted sum of squared leave-one-out errors; NaN unless asked for.
    """

    parameters: FloatArray
    solved: BoolArray
    left_out: FloatArray


def fit_surfaces(
    seen: Observations,
    group: IntArray,
    reach: BoolArray,
    domain: Domain,
    *,
    slopes: bool,
    leave_one_out: bool = False,
) -> Surfaces:
    """Weighted least-squares surface for each row of ``reach``, all at once.

    Moments are summed once per group of anchors and then over the groups a row reaches; each row is
    solved in coordinates of zero mean and unit deviation. Without ``slopes`` p1 = p2 = 0.

    Args:
        seen: the anchors, N of them.
        group: (N,) integers, each anchor's group, 0 to n-1.
        reach: (m, n) whether row i uses the anchors of group j.
        domain: of ``seen``.
        slopes: whether p1 and p2 are fitted. Then a row needs 4 anchors that do not lie on one line, but
            no variation in x; without, 2 anchors with variation in x.
        leave_one_out: whether to compute ``left_out``.
    """
    centre_x, centre_uv = seen.x.mean(), seen.uv.mean(axis=0)
    size_x, size_uv = size_of(seen.x, domain), max(1.0, float(np.abs(seen.uv - centre_uv).max()))
    scaled = np.column_stack([(seen.x - centre_x) / (size_x or 1.0), (seen.uv - centre_uv) / size_uv])
    columns = scaled if slopes else scaled[:, :1]
    count, mean, covariance, mean_y, covariance_y = _moments(columns, seen, group, reach)

    deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0))
    varies = deviation > NO_VARIATION
    unit = np.where(varies, deviation, 1.0)
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
    left_out = np.full(len(reach), np.nan)
    if leave_one_out:
        inverse = np.linalg.inv(correlation) / (unit[:, :, None] * unit[:, None, :])
        left_out = _left_out(columns, seen, group, reach, mean, inverse, parameters)
    return Surfaces(parameters, solved, left_out)


def _left_out(
    columns: FloatArray,
    seen: Observations,
    group: IntArray,
    reach: BoolArray,
    mean: FloatArray,
    inverse: FloatArray,
    parameters: FloatArray,
) -> FloatArray:
    """Leave-one-out error (m,): sum of w (r / (1 - h))^2 over each row's anchors, r the residual.

    h is the leverage w / sum w (1 + d^T inverse d), d the columns minus the row's mean.
    """
    row, anchor = np.nonzero(reach[:, group])
    weight = seen.weight[anchor]
    total = np.bincount(row, weight, len(reach))
    d = columns[anchor] - mean[row]
    leverage = weight / total[row] * (1 + np.einsum("nk,nkl,nl->n", d, inverse[row], d))
    p = parameters[row]
    fitted = p[:, 0] * seen.x[anchor] + np.sum(p[:, 1:3] * seen.uv[anchor], axis=1) + p[:, 3]
    error = (seen.y[anchor] - fitted) / np.maximum(1 - leverage, 1e-6)
    return np.asarray(np.bincount(row, weight * error**2, len(reach)), np.float64)


def _moments(
    columns: FloatArray, seen: Observations, group: IntArray, reach: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Per row of ``reach``: count (m,), mean (m, k), covariance (m, k, k), mean of y, covariance with y."""
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
    """Sums (n, k) of the rows (N, k) of each group."""
    return np.stack([np.bincount(group, column, n) for column in terms.T], axis=1)


def _off_a_line(covariance: FloatArray, pixels: float) -> BoolArray:
    """Whether (m,) points with covariances (m, 2, 2) are off a line by half a pixel and 1 % of length."""
    a, b, c = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    middle, half = (a + c) / 2, np.hypot((a - c) / 2, b)
    wide: BoolArray = middle - half > np.maximum((0.5 / pixels) ** 2, 1e-4 * (middle + half))
    return wide

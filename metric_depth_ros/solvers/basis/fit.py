"""Weights of basis maps from anchors: robust ridge regression and its posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from metric_depth_ros.solvers.basis.maps import UNIT_MISFIT
from metric_depth_ros.solvers.fitting.observations import DEVIATION, medians
from metric_depth_ros.types import FloatArray

_REWEIGHTINGS = 1
# With this many anchors per map or more, an anchor's own leverage is ignored while reweighting.
_FEW = 4
# Squared standard deviations at which an anchor keeps a quarter of its weight.
_SOFTNESS = 6.0
# With less than this part of its weight it counts as rejected.
_REJECTED = 0.1
# Prior precision of the offset: practically none.
_OFFSET = 1e-9
# Weight of the stated deviation, in anchors.
_OWN_SCALE = 10.0


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior of the log-scale field l = offset + E w: mean and covariance of its coefficients.

    Attributes:
        coefficients: (K + 1,) the offset first.
        covariance: (K + 1, K + 1), in units of ``UNIT_MISFIT`` squared.
    """

    coefficients: FloatArray
    covariance: FloatArray

    def at(self, rows: FloatArray) -> FloatArray:
        """Log scale l (N,) for rows (N, K + 1)."""
        return np.asarray(rows @ self.coefficients)

    def leverage(self, rows: FloatArray) -> FloatArray:
        """Variance (N,) of l for rows (N, K + 1), in units of ``UNIT_MISFIT`` squared."""
        return np.asarray(np.einsum("nk,nk->n", rows @ self.covariance, rows))


@dataclass(frozen=True, eq=False)
class Fit:
    """Result of the fit to the anchors of one image.

    Attributes:
        kept: number of anchors that were not rejected.
        scale: ratio of leave-one-out errors to their stated size.
    """

    posterior: Posterior
    kept: int
    scale: float


def with_offset(rows: FloatArray) -> FloatArray:
    """Rows (N, K + 1): a one before each row (N, K)."""
    return np.column_stack([np.ones(len(rows), rows.dtype), rows])


def fit_paper(rows: FloatArray, target: FloatArray, ridge: float) -> Posterior:
    """Posterior by equation 15 of paper 001: (M^T M + lambda I)^-1 M^T y; no offset, equal weights."""
    covariance = np.linalg.inv(rows.T @ rows + ridge * np.eye(rows.shape[1]))
    weights = covariance @ (rows.T @ target)
    empty = np.zeros((len(weights) + 1, len(weights) + 1))
    empty[1:, 1:] = covariance
    return Posterior(np.append(0.0, weights), empty)


def fit_robust(
    rows: FloatArray,
    target: FloatArray,
    variance: FloatArray,
    ridge: float,
    *,
    robust: bool = True,
) -> Fit:
    """Robust fit: argmin over c, w of  sum_i weight_i (c + E_i w - y_i)^2 + ridge |w|^2, with c free.

    Ours. weight_i = UNIT_MISFIT^2 / variance_i, times (1 + z_i^2 / 6)^-2, computed in two rounds. z_i is the
    leave-one-out error in standard deviations (over the usual error of this image, if that is larger). The
    first round uses the error from the median of y, and adds the variance that the ridge allows.

    Args:
        rows: (N, K + 1) of ``with_offset``.
        target: (N,) y.
        variance: (N,) variance of y about the best field.
        robust: False: no reweighting.
    """
    base = UNIT_MISFIT**2 / variance
    weight = base
    if robust and len(target) > 2:
        centred = rows[:, 1:] - rows[:, 1:].mean(axis=0)
        allowed = variance + UNIT_MISFIT**2 / ridge * np.einsum("nk,nk->n", centred, centred)
        weight = base * _trust((target - medians(target)) ** 2 / allowed)
        for _ in range(_REWEIGHTINGS):
            system, moment = _system(rows, target, weight, ridge)
            square = (target - rows @ _solved(system, moment)) ** 2 / variance
            if len(target) < _FEW * len(moment):  # else one anchor more or less hardly matters
                square /= _free(rows, weight, _inverse(system))
            usual = max(1.0, DEVIATION**2 * float(medians(square)))
            weight = base * _trust(square / usual)
    system, moment = _system(rows, target, weight, ridge)
    covariance = _inverse(system)
    posterior = Posterior(covariance @ moment, covariance)
    kept = weight > _REJECTED * base
    square = (target - posterior.at(rows)) ** 2 / (variance * _free(rows, weight, posterior.covariance))
    return Fit(posterior, int(np.count_nonzero(kept)), _scale(square[kept]))


def _system(
    rows: FloatArray, target: FloatArray, weight: FloatArray, ridge: float
) -> tuple[FloatArray, FloatArray]:
    """Precision (K + 1, K + 1) and moment (K + 1,) of the anchors, with a ridge on all but the offset."""
    root, centre = np.sqrt(weight).astype(rows.dtype), target.mean()
    weighted = rows * root[:, None]
    system = (weighted.T @ weighted).astype(np.float64)  # a matrix with itself: half the work
    moment = weighted.T @ (root * (target - centre).astype(rows.dtype)) + centre * system[:, 0]
    diagonal = np.einsum("kk->k", system)
    diagonal += ridge
    diagonal[0] += _OFFSET - ridge
    return system, moment


def _solved(system: FloatArray, moment: FloatArray) -> FloatArray:
    """Solution system^-1 moment, by the methods of ``_inverse``."""
    _, found, failed = lapack.dposv(system, moment, lower=1)
    return np.linalg.solve(system, moment) if failed else np.asarray(found)


def _inverse(system: FloatArray) -> FloatArray:
    """Inverse of a positive definite matrix by Cholesky; by LU if rounding made it indefinite."""
    factor, failed = lapack.dpotrf(system, lower=1)
    if failed:
        return np.linalg.inv(system)
    root, _ = lapack.dtrtri(factor, lower=1)
    return np.asarray(root.T @ root)


def _free(rows: FloatArray, weight: FloatArray, covariance: FloatArray) -> FloatArray:
    """1 minus the leverage of each anchor, (N,), at least 1e-3."""
    pulled = np.einsum("nk,nk->n", rows @ covariance.astype(rows.dtype), rows)
    return np.asarray(np.maximum(1 - weight * pulled, 1e-3))


def _trust(square: FloatArray) -> FloatArray:
    return np.asarray((1 + square / _SOFTNESS) ** -2)


def _scale(square: FloatArray) -> float:
    """Scale from squared leave-one-out errors in standard deviations, pulled to 1 if anchors are few."""
    if len(square) < 3:
        return 1.0
    found = DEVIATION**2 * medians(square)
    return float(np.sqrt((len(square) * found + _OWN_SCALE) / (len(square) + _OWN_SCALE)))

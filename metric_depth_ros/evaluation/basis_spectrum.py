"""What basis maps can tell: their spectrum at the anchors, and other solvers' fields as their sums.

Paper 001, sections 3.2 (equation 20), 3.3 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metric_depth_ros.types import FloatArray

# Ridge of a field's projection onto the maps; practically none.
_RIDGE = 1e-9
# Variance of a field up to which it is constant but for rounding.
_CONSTANT = 1e-8


def affine_field(relative: FloatArray, scale: FloatArray | float, shift: FloatArray | float) -> FloatArray:
    """Log-scale field l* = log(s + t / D) of an affine model s D + t (equation 20); NaN where that is <= 0.

    Args:
        relative: D, positive relative depth of any shape; NaN stays.
        scale, shift: s and t of the whole map, or one each per pixel.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.asarray(scale + shift / np.asarray(relative, np.float64))
        return np.log(np.where(factor > 0, factor, np.nan))


def represented(maps: FloatArray, field: FloatArray) -> float:
    """How much of a field's deviation from its mean a sum of maps (K, h, w) follows: 1 all of it, 0 nothing.

    The best weights are found over all pixels: 1 - sum (E w - l)^2 / sum (l - mean l)^2. With equation 20
    this tells whether maps subsume an affine model.

    Args:
        field: l (h, w) of the maps' size; NaN does not count. NaN results if it is constant or unknown.
    """
    known = np.isfinite(field)
    rows, target = maps[:, known].T.astype(np.float64), field[known].astype(np.float64)
    spread = float(((target - target.mean()) ** 2).sum()) if len(target) else 0.0
    if spread <= _CONSTANT * len(target):
        return float("nan")
    system = rows.T @ rows + _RIDGE * np.eye(rows.shape[1])
    left = target - rows @ np.linalg.solve(system, rows.T @ target)
    return 1 - float((left**2).sum()) / spread


class Expansion(NamedTuple):
    """Anchor signal in the eigenbasis of the Gram matrix C = M M^T (equations 21 to 23).

    Attributes:
        eigenvalues: (R,) s_1 >= s_2 >= ..., R = min(N, K); the others are 0.
        vectors: (N, R) u_1, ..., u_R.
        coefficients: (R,) alpha_l = u_l^T y.
        rest: |y|^2 along the eigenvectors of eigenvalue 0, where no weights reach.
    """

    eigenvalues: FloatArray
    vectors: FloatArray
    coefficients: FloatArray
    rest: float

    @property
    def leading(self) -> float:
        """Part of |y|^2 along the first eigenvector, alpha_1^2 / sum alpha_l^2; NaN for y = 0."""
        total = float((self.coefficients**2).sum()) + self.rest
        return float(self.coefficients[0] ** 2) / total if total > 0 else float("nan")


def expansion(rows: FloatArray, target: FloatArray) -> Expansion:
    """Expansion y = sum_l alpha_l u_l (equation 23) of the anchors' targets y (N,), for their rows M (N, K).

    The eigenvectors of C are the left singular vectors of M, its eigenvalues their squared singular values.
    """
    rows, target = np.asarray(rows, np.float64), np.asarray(target, np.float64)
    vectors, singular, _ = np.linalg.svd(rows, full_matrices=False)
    coefficients = vectors.T @ target
    rest = max(0.0, float(target @ target - coefficients @ coefficients))
    return Expansion(singular**2, vectors, coefficients, rest)


@dataclass(frozen=True)
class Spectrum:
    """Spectral statistics of one image and its anchors.

    Attributes:
        eta1: the largest eigenvalue of the Gram matrix C = M M^T over their sum (equation 29).
        leading: part of the anchors' signal along its eigenvector (``Expansion.leading``).
        similarity: |v_1,0|, the global map's share of the leading eigenvector of M^T M (equation 33).
        gate: mean over the image of G_0, which equals E_0 since B_0 = 1.
        gate_square: mean of its square; over a data set Var(G_0) = mean of these - (mean of the gates)^2.
    """

    eta1: float
    leading: float
    similarity: float
    gate: float
    gate_square: float


def spectrum(maps: FloatArray, rows: FloatArray, target: FloatArray) -> Spectrum:
    """Statistics of learned maps (K, h, w), their rows M (N, K) at the anchors and the targets y (N,).

    C and M^T M share their non-zero eigenvalues, so the smaller K x K one serves for both.
    """
    values, vectors = np.linalg.eigh(rows.T @ rows)
    total = float(values.sum())
    gate = maps[0].astype(np.float64)
    return Spectrum(
        eta1=float(values[-1]) / total if total > 0 else float("nan"),
        leading=expansion(rows, target).leading,
        similarity=float(abs(vectors[0, -1])),
        gate=float(gate.mean()),
        gate_square=float((gate**2).mean()),
    )


@dataclass(frozen=True)
class SpectrumSummary:
    """Statistics of a data set: medians of the first three, E[G_0] and Var(G_0) over all pixels."""

    pictures: int
    eta1: float
    leading: float
    similarity: float
    gate_mean: float
    gate_variance: float


def summarised(found: list[Spectrum]) -> SpectrumSummary:
    """Summary of at least one spectrum."""
    mean = float(np.mean([s.gate for s in found]))
    return SpectrumSummary(
        len(found),
        float(np.median([s.eta1 for s in found])),
        float(np.median([s.leading for s in found])),
        float(np.median([s.similarity for s in found])),
        mean,
        float(np.mean([s.gate_square for s in found])) - mean**2,
    )

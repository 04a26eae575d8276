"""Ridge regression of few coefficients on many anchors, its strength chosen by leave-one-out error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.types import FloatArray, IntArray

# Ridge on every coefficient, in anchors: determines those that no anchor and no neighbour reaches.
_PULL = 1e-6
# A weaker smoothness must lower the leave-one-out error by this fraction to be taken.
_WORTH = 0.01


@dataclass(frozen=True, eq=False)
class Rows:
    """Sparse matrix A (N, columns) with few entries per row; repeated entries add up.

    Attributes:
        index: (N, p) column of each entry.
        value: (N, p) the entries.
        columns: how many columns there are.
    """

    index: IntArray
    value: FloatArray
    columns: int

    def gram(self, weight: FloatArray) -> FloatArray:
        """Gram matrix (columns, columns): A^T diag(weight) A."""
        place = self.index[:, :, None] * self.columns + self.index[:, None, :]
        product = (weight[:, None] * self.value)[:, :, None] * self.value[:, None, :]
        flat = np.bincount(place.ravel(), product.ravel(), self.columns**2)
        return np.asarray(flat.reshape(self.columns, self.columns), np.float64)

    def transposed(self, target: FloatArray) -> FloatArray:
        """Product (columns,): A^T target."""
        terms = self.value * target[:, None]
        return np.asarray(np.bincount(self.index.ravel(), terms.ravel(), self.columns), np.float64)

    def times(self, coefficients: FloatArray) -> FloatArray:
        """Product (N,): A coefficients."""
        return np.asarray(np.einsum("np,np->n", self.value, coefficients[self.index]))

    def leverage(self, inverse: FloatArray) -> FloatArray:
        """Diagonal (N,) of A inverse A^T."""
        block = inverse[self.index[:, :, None], self.index[:, None, :]]
        return np.asarray(np.einsum("np,npq,nq->n", self.value, block, self.value))


@dataclass(frozen=True, eq=False)
class Ridge:
    """Result of ``fit_ridge``: the coefficients c, and the chosen strength of the penalty."""

    coefficients: FloatArray
    strength: float


def fit_ridge(
    rows: Rows, target: FloatArray, weight: FloatArray, penalty: FloatArray, strengths: Iterable[float]
) -> Ridge:
    """Ridge regression: argmin_c  sum_i weight_i (target_i - (A c)_i)^2 + strength c^T penalty c.

    Of several strengths, from the strongest on, the one with the least leave-one-out error
    sum_i weight_i (r_i / (1 - h_i))^2, h_i = weight_i (A (A^T W A + strength penalty)^-1 A^T)_ii; a
    weaker one must be better by 1 %.

    Args:
        rows: A, one row per anchor; entries of size about 1.
        target: (N,).
        weight: (N,), mean about 1.
        penalty: (columns, columns) symmetric, positive semidefinite.
        strengths: one or more, above zero.
    """
    gram, moment = rows.gram(weight), rows.transposed(weight * target)
    gram[np.diag_indices_from(gram)] += _PULL
    best, least = Ridge(np.zeros(rows.columns), np.inf), np.inf
    for strength in sorted(strengths, reverse=True):
        inverse = np.linalg.inv(gram + strength * penalty)
        coefficients = inverse @ moment
        free = np.maximum(1 - weight * rows.leverage(inverse), 1e-6)
        error = float(weight @ ((target - rows.times(coefficients)) / free) ** 2)
        if error < least * (1 - _WORTH):
            best, least = Ridge(coefficients, strength), error
    return best

"""A Gaussian process over image places: values at a few of them, in one exact solve, become values
and uncertainties at all.

A place has six features: u and v (in units of the image's mean side, sqrt(W H)), x (log relative
depth) and its colour (OpenCV's 8-bit CIELAB / 100). The covariance of the process at two places is

    k = a0^2 + ax^2 x x' + as^2 exp(-(du^2 + dv^2) / (2 ls^2)) + al^2 / (1 + q)
    q = (du^2 + dv^2) / ll^2 + dx^2 / lx^2 + dcolour^2 / lc^2

a constant, a slope along x, a smooth field over the image, and a field with long tails that is alike
at places that lie near each other, are equally far for the network and look alike (a rational
quadratic, or Cauchy, covariance: Rasmussen and Williams 2006, equations 2.25, 2.26 and 4.19; leave-one-out
5.10 to 5.12). Its one reciprocal per pair of places is what makes the whole image affordable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from metric_depth_ros.types import FloatArray

FEATURES = 6
# Places handled at once, so that a block of covariances stays in the processor's cache.
_BLOCK = 128
# Matrices of this size are factored at once.
_SMALL = 48
# Of a standard normal number squared.
_MEDIAN_OF_SQUARE = 0.455
# A value is doubted when its squared error is more than so many variances, of few values sooner.
_DOUBTED, _FEW, _DOUBTED_OF_FEW, _ROUNDS_OF_FEW = 9.0, 10, 4.0, 4


@dataclass(frozen=True)
class Covariance:
    """The amplitudes and lengths of the module's equation."""

    constant: float = 0.3
    slope: float = 0.3
    smooth: float = 0.18
    smooth_length: float = 0.5
    local: float = 0.12
    local_length: float = 0.13
    x_length: float = 0.19
    colour_length: float = 0.6

    def local_sums(self, places: FloatArray, others: FloatArray, weights: FloatArray) -> FloatArray:
        """(N,) ``local_between`` times weights (M,), in blocks that stay in the processor's cache."""
        left, right = self._left(places), self._right(others)
        sums, block = np.empty(len(places), np.float32), np.empty((_BLOCK, len(others)), np.float32)
        for start in range(0, len(places), _BLOCK):
            part = left[start : start + _BLOCK]
            k = np.matmul(part, right, out=block[: len(part)])
            np.divide(np.float32(1), k, out=k)
            np.matmul(k, weights, out=sums[start : start + _BLOCK])
        return sums

    def smooth_between(self, places: FloatArray, others: FloatArray) -> FloatArray:
        """(N, M) float32 of the first and the third term."""
        a, b = (p[:, :2] / np.float32(self.smooth_length) for p in (places, others))
        k = a @ b.T
        k -= _squares(a) / 2
        k -= _squares(b)[:, 0] / 2
        np.exp(k, out=k)
        k *= np.float32(self.smooth**2)
        k += np.float32(self.constant**2)
        return np.asarray(k)

    def between(self, places: FloatArray, others: FloatArray) -> FloatArray:
        """(N, M) float32 covariances of places (N, 6) with others (M, 6), in blocks too."""
        left, right = self._left(places), self._right(others)
        rises, x = np.float32(self.slope**2) * places[:, 2:3], others[:, 2]
        k = np.empty((len(places), len(others)), np.float32)
        for start in range(0, len(places), _BLOCK):
            rows = slice(start, start + _BLOCK)
            local = left[rows] @ right
            np.divide(np.float32(1), local, out=k[rows])
            k[rows] += self.smooth_between(places[rows], others)
            k[rows] += np.multiply(rises[rows], x, out=local)
        return k

    def at(self, places: FloatArray) -> FloatArray:
        """(N,) variance of the process at places (N, 6)."""
        same = self.constant**2 + self.smooth**2 + self.local**2
        return np.asarray(same + (self.slope * places[:, 2]) ** 2)

    def _left(self, places: FloatArray) -> FloatArray:
        """(N, 8), whose product with ``_right`` is (1 + q) / al^2."""
        a = self._scaled(places)
        return np.column_stack([a, _squares(a) + 1, np.ones_like(a[:, :1])])

    def _right(self, places: FloatArray) -> FloatArray:
        """(8, M)."""
        b = self._scaled(places)
        columns = np.column_stack([-2 * b, np.ones_like(b[:, :1]), _squares(b)])
        return np.ascontiguousarray((columns / np.float32(self.local**2)).T)

    def _scaled(self, places: FloatArray) -> FloatArray:
        lengths = [self.local_length] * 2 + [self.x_length] + [self.colour_length] * 3
        return np.asarray(places / np.array(lengths, np.float32), np.float32)


class GaussianProcess:
    """The process given noisy values at some places: its mean and variance anywhere.

    Attributes:
        noise: (N,) variances of the values about the process, doubts included.
    """

    def __init__(
        self,
        covariance: Covariance,
        places: FloatArray,
        values: FloatArray,
        noise: FloatArray,
        *,
        doubting: bool = False,
    ) -> None:
        """Solves for the values, in a time that grows with N^3.

        Args:
            places: (N, 6) float32 features.
            values: (N,) with mean about 0.
            noise: (N,) variances, positive.
            doubting: then adds so much noise where the others predict a value badly that its error is
                three standard deviations. Where errors are large everywhere, variances count as that
                much larger. Of fewer than 10 values a wrong one spoils the prediction of all: there it
                is two standard deviations, found in rounds.
        """
        self._covariance, self._places = covariance, places
        self.noise, values = noise, values.astype(np.float32)
        K = covariance.between(places, places)
        K.flat[:: len(K) + 1] += noise.astype(np.float32)
        self._root = _inverse_root(K)
        self._removed = np.empty((0, len(K)), np.float32)
        self._weights = self._root.T @ (self._root @ values)
        if doubting:
            self._doubt()

    def _doubt(self) -> None:
        told, weights, few = self.noise, self._weights, len(self.noise) < _FEW
        limit = _DOUBTED_OF_FEW if few else _DOUBTED
        for _ in range(_ROUNDS_OF_FEW if few else 1):
            error, variance = self.left_out()
            # A value's own doubt says nothing about how the others predict it.
            variance = np.maximum(variance - (self.noise - told), told)
            square = error**2 / variance
            square /= max(1.0, float(np.median(square)) / _MEDIAN_OF_SQUARE)
            more = variance * np.maximum(square / limit - 1, 0)
            self.noise = told + more
            self._removed, self._weights = self._changed(more, weights)

    def _changed(self, more: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What noise (N,) on top takes from the inverse, as its root, and the weights without it.

        A change of few entries of the diagonal is one of low rank of the inverse (Woodbury's identity).
        """
        changed = np.flatnonzero(more)
        inverse = self._root[:, changed].T @ self._root
        root = _inverse_root(inverse[:, changed] + np.diag(1 / more[changed]).astype(np.float32))
        removed = root @ inverse
        return removed, weights - removed.T @ (root @ weights[changed])

    def mean(self, places: FloatArray) -> FloatArray:
        """(M,) float32 values at places (M, 6): the sum of the three below."""
        return self.slope * places[:, 2] + self.smooth_mean(places) + self.local_mean(places)

    @property
    def slope(self) -> float:
        """What the mean rises by with x everywhere."""
        return float(self._covariance.slope**2 * (self._places[:, 2] @ self._weights))

    def smooth_mean(self, places: FloatArray) -> FloatArray:
        """(M,) the part of the mean that knows u and v only."""
        return np.asarray(self._covariance.smooth_between(places, self._places) @ self._weights)

    def local_mean(self, places: FloatArray) -> FloatArray:
        """(M,) the part that is alike at places alike in everything."""
        return self._covariance.local_sums(places, self._places, self._weights)

    def variance(self, places: FloatArray) -> FloatArray:
        """(M,) variance of the process about ``mean``, noise not included."""
        between = self._covariance.between(self._places, places)
        explained = _column_squares(self._root @ between) - _column_squares(self._removed @ between)
        return np.asarray(np.maximum(self._covariance.at(places) - explained, 0))

    def left_out(self) -> tuple[FloatArray, FloatArray]:
        """(N,) errors at each place were it left out, and their variances (noise included)."""
        precision = _column_squares(self._root) - _column_squares(self._removed)
        return np.asarray(self._weights / precision), np.asarray(1 / precision)


def _squares(places: FloatArray) -> FloatArray:
    """(N, 1) sums of squares."""
    return np.asarray(np.einsum("nf,nf->n", places, places)[:, None])


def _column_squares(matrix: FloatArray) -> FloatArray:
    """(M,) sums of squares of the columns (N, M)."""
    return np.asarray(np.einsum("nm,nm->m", matrix, matrix))


def _inverse_root(K: FloatArray) -> FloatArray:
    """The inverse R of the Cholesky factor of a matrix, in its place: R.T @ R is the inverse of K.

    By halves, so that nearly all of it is products of matrices: at 500 x 500 three times as fast as
    LAPACK's factor and inverse through NumPy.
    """
    n = len(K)
    if not n:
        return K
    if n <= _SMALL:
        factor, _ = lapack.spotrf(K, lower=1)
        K[:], _ = lapack.strtri(factor, lower=1, overwrite_c=1)
        return K
    half = n // 2
    first, below, last = K[:half, :half], K[half:, :half], K[half:, half:]
    _inverse_root(first)
    factor = below @ first.T
    last -= factor @ factor.T
    _inverse_root(last)
    np.matmul(-last, factor @ first, out=below)
    K[:half, half:] = 0
    return K

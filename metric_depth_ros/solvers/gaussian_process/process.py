"""Gaussian process over an image: mean and variance anywhere, from values at a few places.

A place has six features: u and v (in units of the image's mean side, sqrt(W H)), x (log relative
depth) and its colour (OpenCV's 8-bit CIELAB / 100). The covariance of the process at two places is

    k = a0^2 + ax^2 x x' + as^2 exp(-(du^2 + dv^2) / (2 ls^2)) + al^2 / (1 + q)
    q = (du^2 + dv^2) / ll^2 + dx^2 / lx^2 + dcolour^2 / lc^2

a constant, a slope along x, a smooth field over the image, and a local field with long tails that is
correlated between places close in the image, in relative depth and in colour (a rational quadratic, or
Cauchy, covariance: Rasmussen and Williams 2006, equations 2.25, 2.26 and 4.19; leave-one-out 5.10 to
5.12). The solve is exact. One reciprocal per pair of places keeps the whole image affordable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from metric_depth_ros.types import FloatArray

FEATURES = 6
# Places per block, so that a block of covariances fits the CPU cache.
_BLOCK = 128
# Matrices up to this size are factored in one call.
_SMALL = 48
# Median of the square of a standard normal variable.
_MEDIAN_OF_SQUARE = 0.455
# A value is doubted if its squared leave-one-out error exceeds this many variances.
_DOUBTED = 9.0
# With fewer values than this the limit is lower, and doubting is repeated.
_FEW = 10
_DOUBTED_OF_FEW = 4.0
_ROUNDS_OF_FEW = 4


@dataclass(frozen=True)
class Covariance:
    """Covariance function of the module's equation, with its amplitudes and lengths."""

    constant: float = 0.3
    slope: float = 0.3
    smooth: float = 0.18
    smooth_length: float = 0.5
    local: float = 0.12
    local_length: float = 0.13
    x_length: float = 0.19
    colour_length: float = 0.6

    def local_sums(self, places: FloatArray, others: FloatArray, weights: FloatArray) -> FloatArray:
        """Product (N,) of the local field's covariances with weights (M,), in blocks for the CPU cache."""
        left, right = self._left(places), self._right(others)
        sums, block = np.empty(len(places), np.float32), np.empty((_BLOCK, len(others)), np.float32)
        for start in range(0, len(places), _BLOCK):
            part = left[start : start + _BLOCK]
            k = np.matmul(part, right, out=block[: len(part)])
            np.divide(np.float32(1), k, out=k)
            np.matmul(k, weights, out=sums[start : start + _BLOCK])
        return sums

    def smooth_between(self, places: FloatArray, others: FloatArray) -> FloatArray:
        """Covariances (N, M) float32 of the constant and the smooth field."""
        a, b = (p[:, :2] / np.float32(self.smooth_length) for p in (places, others))
        k = a @ b.T
        k -= _squares(a) / 2
        k -= _squares(b)[:, 0] / 2
        np.exp(k, out=k)
        k *= np.float32(self.smooth**2)
        k += np.float32(self.constant**2)
        return np.asarray(k)

    def between(self, places: FloatArray, others: FloatArray) -> FloatArray:
        """Covariances (N, M) float32 of places (N, 6) with others (M, 6), computed in blocks."""
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
        """Prior variance (N,) of the process at places (N, 6)."""
        same = self.constant**2 + self.smooth**2 + self.local**2
        return np.asarray(same + (self.slope * places[:, 2]) ** 2)

    def _left(self, places: FloatArray) -> FloatArray:
        """Left factor (N, 8): its product with ``_right`` is (1 + q) / al^2."""
        a = self._scaled(places)
        return np.column_stack([a, _squares(a) + 1, np.ones_like(a[:, :1])])

    def _right(self, places: FloatArray) -> FloatArray:
        """Right factor (8, M), see ``_left``."""
        b = self._scaled(places)
        columns = np.column_stack([-2 * b, np.ones_like(b[:, :1]), _squares(b)])
        return np.ascontiguousarray((columns / np.float32(self.local**2)).T)

    def _scaled(self, places: FloatArray) -> FloatArray:
        lengths = [self.local_length] * 2 + [self.x_length] + [self.colour_length] * 3
        return np.asarray(places / np.array(lengths, np.float32), np.float32)


class GaussianProcess:
    """Gaussian process given noisy values at some places: its mean and variance anywhere.

    Attributes:
        noise: (N,) variances of the values about the process, with what ``doubting`` added.
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
        """Fits the process to the values; the time grows with N^3.

        Args:
            places: (N, 6) float32 features.
            values: (N,) with mean about 0.
            noise: (N,) variances, positive.
            doubting: adds noise to a value that the others predict badly, until its error is three
                standard deviations. If errors are large everywhere, variances are scaled up first.
                With fewer than 10 values a wrong one spoils all predictions: there the limit is two
                standard deviations, in several rounds.
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
            # The noise added to a value does not change how the others predict it.
            variance = np.maximum(variance - (self.noise - told), told)
            square = error**2 / variance
            square /= max(1.0, float(np.median(square)) / _MEDIAN_OF_SQUARE)
            more = variance * np.maximum(square / limit - 1, 0)
            self.noise = told + more
            self._removed, self._weights = self._changed(more, weights)

    def _changed(self, more: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Root of what additional noise (N,) subtracts from the inverse, and the weights with that noise.

        Changing few entries of the diagonal is a low-rank change of the inverse (Woodbury's identity).
        """
        changed = np.flatnonzero(more)
        inverse = self._root[:, changed].T @ self._root
        root = _inverse_root(inverse[:, changed] + np.diag(1 / more[changed]).astype(np.float32))
        removed = root @ inverse
        return removed, weights - removed.T @ (root @ weights[changed])

    def mean(self, places: FloatArray) -> FloatArray:
        """Posterior mean (M,) float32 at places (M, 6): slope, smooth and local part together."""
        return self.slope * places[:, 2] + self.smooth_mean(places) + self.local_mean(places)

    @property
    def slope(self) -> float:
        """Slope of the mean along x, the same everywhere."""
        return float(self._covariance.slope**2 * (self._places[:, 2] @ self._weights))

    def smooth_mean(self, places: FloatArray) -> FloatArray:
        """Part (M,) of the mean that depends on u and v alone: constant and smooth field."""
        return np.asarray(self._covariance.smooth_between(places, self._places) @ self._weights)

    def local_mean(self, places: FloatArray) -> FloatArray:
        """Part (M,) of the mean from the local field, which depends on all features."""
        return self._covariance.local_sums(places, self._places, self._weights)

    def variance(self, places: FloatArray) -> FloatArray:
        """Posterior variance (M,) of the process at places (M, 6), noise not included."""
        between = self._covariance.between(self._places, places)
        explained = _column_squares(self._root @ between) - _column_squares(self._removed @ between)
        return np.asarray(np.maximum(self._covariance.at(places) - explained, 0))

    def left_out(self) -> tuple[FloatArray, FloatArray]:
        """Leave-one-out errors (N,) and their variances (N,), noise included."""
        precision = _column_squares(self._root) - _column_squares(self._removed)
        return np.asarray(self._weights / precision), np.asarray(1 / precision)


def _squares(places: FloatArray) -> FloatArray:
    """Sums of squares (N, 1) of the rows."""
    return np.asarray(np.einsum("nf,nf->n", places, places)[:, None])


def _column_squares(matrix: FloatArray) -> FloatArray:
    """Sums of squares (M,) of the columns of a matrix (N, M)."""
    return np.asarray(np.einsum("nm,nm->m", matrix, matrix))


def _inverse_root(K: FloatArray) -> FloatArray:
    """Inverse R of the Cholesky factor of K, in place: R.T @ R is the inverse of K.

    Recursive by halves, so that nearly all work is matrix products: at 500 x 500 three times as fast
    as LAPACK's factor and inverse through NumPy.
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

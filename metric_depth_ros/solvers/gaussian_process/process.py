"""Gaussian process over an image: mean and variance anywhere, from values at a few places.

A place has seven features: u and v (in units of the image's mean side, sqrt(W H)), x (log relative
depth), its colour (OpenCV's 8-bit CIELAB / 100) and g, how uncertain it is (1: as usual); and the values
E of K learned maps, if the engine gives some. The covariance of the process at two places is

    k = a0^2 + ax^2 x x' + am^2 E.E' + as^2 exp(-(du^2 + dv^2) / (2 ls^2)) + al^2 g g' / (1 + q)
    q = (du^2 + dv^2) / ll^2 + dx^2 / lx^2 + dcolour^2 / lc^2

a constant, a slope along x, a weight for each map, a smooth field over the image, and a local field with
long tails that is correlated between places close in the image, in relative depth and in colour (a
rational quadratic, or Cauchy, covariance: Rasmussen and Williams 2006, equations 2.25, 2.26 and 4.19;
leave-one-out 5.10 to 5.12). The solve is exact. One reciprocal per pair of places keeps the whole image
affordable.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy.linalg import lapack

from metric_depth_ros.solvers.fitting.observations import medians
from metric_depth_ros.types import BoolArray, FloatArray

FEATURES = 7
# Index of g.
GAIN = 6
# Pairs of places per block, so that a block of covariances fits the CPU cache.
_PAIRS = 1 << 16
# Matrices up to this size are factored in one call.
_SMALL = 48
# Median of the square of a standard normal variable.
_MEDIAN_OF_SQUARE = 0.455
# With fewer values than this the limits are others, and doubting is repeated.
_FEW = 30
_ROUNDS_OF_FEW = 4
# A value is doubted if its squared leave-one-out error exceeds this many variances; of few values.
_DOUBTED, _DOUBTED_OF_FEW = 9.0, 4.0
# The same for a suspect value.
_SUSPECT, _SUSPECT_OF_FEW = 1.0, 2.25
# Variance of log depth that leaves a suspect value out of the first fit.
_LEFT_OUT = 1.0

# Index of one of several processes on the axis before the values; (): there is no such axis.
Which: TypeAlias = "int | tuple[()]"


@dataclass(frozen=True)
class Covariance:
    """Covariance function of the module's equation, with its amplitudes and lengths."""

    constant: float = 0.3
    slope: float = 0.3
    maps: float = 1.0
    smooth: float = 0.18
    smooth_length: float = 0.5
    local: float = 0.12
    local_length: float = 0.13
    x_length: float = 0.19
    colour_length: float = 0.6

    @property
    def local_field(self) -> Covariance:
        """Covariance of the local field alone."""
        return replace(self, constant=0.0, slope=0.0, maps=0.0, smooth=0.0)

    def between(self, places: FloatArray, others: FloatArray) -> FloatArray:
        """Covariances (..., N, M) float32 of places (..., N, 7 + K) with others (..., M, 7 + K)."""
        k = self.rows(places) @ self.columns(others)
        np.divide(np.float32(1), k, out=k)
        if self.constant or self.smooth:
            k += self.smooth_between(places, others)
        if self.slope:
            k += np.float32(self.slope**2) * places[..., :, None, 2] * others[..., None, :, 2]
        if self.maps and places.shape[-1] > FEATURES:
            k += np.float32(self.maps**2) * (places[..., FEATURES:] @ others[..., FEATURES:].swapaxes(-1, -2))
        return np.asarray(k)

    def smooth_between(self, places: FloatArray, others: FloatArray) -> FloatArray:
        """Covariances (..., N, M) float32 of the constant and the smooth field."""
        a, b = (p[..., :2] / np.float32(self.smooth_length) for p in (places, others))
        k = (_rows(a) * np.float32(-0.5)) @ _columns(b)
        np.exp(k, out=k)
        k *= np.float32(self.smooth**2)
        k += np.float32(self.constant**2)
        return np.asarray(k)

    def local_sums(self, rows: FloatArray, columns: FloatArray, weights: FloatArray) -> FloatArray:
        """Products (..., M) of weights (..., N) with the local field's covariances, from two factors."""
        count, step = columns.shape[1], max(1, _PAIRS // len(rows))
        sums = np.empty((*weights.shape[:-1], count), np.float32)
        for start in range(0, count, step):
            part = slice(start, start + step)
            k = rows @ columns[:, part]
            np.divide(np.float32(1), k, out=k)
            np.matmul(weights, k, out=sums[..., part])
        return sums

    def at(self, places: FloatArray) -> FloatArray:
        """Prior variance (..., N) of the process at places (..., N, 7 + K)."""
        of_maps = self.maps**2 * _squares(places[..., FEATURES:])
        same = self.constant**2 + self.smooth**2 + (self.slope * places[..., 2]) ** 2
        return np.asarray(same + of_maps + self.local_at(places))

    def local_at(self, places: FloatArray) -> FloatArray:
        """Prior variance (..., N) of the local field at places (..., N, 7 + K)."""
        return np.asarray(np.float32(self.local**2) * np.square(places[..., GAIN]))

    def rows(self, places: FloatArray) -> FloatArray:
        """Left factor (..., N, 8) of places (..., N, 7 + K): ``rows @ columns`` is (1 + q) / (al^2 g g')."""
        factor = _rows(self._scaled(places))
        factor[..., GAIN] += 1
        factor /= np.float32(self.local**2) * places[..., GAIN, None]
        return np.asarray(factor)

    def columns(self, places: FloatArray) -> FloatArray:
        """Right factor (..., 8, M) of places (..., M, 7 + K), see ``rows``; its seventh row is 1 / g."""
        factor = _columns(self._scaled(places))
        factor /= places[..., None, :, GAIN]
        return factor

    def _scaled(self, places: FloatArray) -> FloatArray:
        lengths = [self.local_length] * 2 + [self.x_length] + [self.colour_length] * 3
        return np.asarray(places[..., :GAIN] * np.float32(1 / np.array(lengths)), np.float32)


class GaussianProcess:
    """Gaussian process given noisy values at some places: its mean and variance anywhere.

    Leading axes of its arrays, "...", are independent processes with equally many values; those with other
    values or noise at the same places (``again``) have an axis before them.

    Attributes:
        noise: (..., N) variances of the values about the process, with what doubt added.
        doubted: (..., N) where doubt added some.
    """

    def __init__(
        self,
        covariance: Covariance,
        places: FloatArray,
        values: FloatArray,
        noise: FloatArray,
        *,
        suspect: BoolArray | None = None,
    ) -> None:
        """Fits the process to the values; the time grows with N^3.

        Args:
            places: (..., N, 7 + K) float32 features.
            values: (..., N) with mean about 0.
            noise: (..., N) variances, positive.
            suspect: (..., N) values to leave out at first; None: all are believed as they are. Otherwise
                noise is added to a value that the others predict badly, until its error is three standard
                deviations, for a suspect one a single one. If errors are large everywhere, variances are
                scaled up first. With fewer than 30 values a wrong one spoils all predictions: there the
                limits are 2 and 1.5 standard deviations, in four rounds.
        """
        self._covariance, self._places, self._values = covariance, places, values.astype(np.float32)
        self._rows = covariance.rows(places)
        self._between = covariance.between(places, places)
        self._root, self._weights = np.empty_like(self._between), np.empty_like(self._values)
        self.noise: FloatArray = np.full(noise.shape, np.nan)
        self.doubted = np.zeros(noise.shape, bool)
        if suspect is None:
            self._fit(noise)
        else:
            self._doubt(noise, suspect)

    def again(self, values: FloatArray, more: FloatArray) -> GaussianProcess:
        """Processes at the same places with values (..., N) and so much more noise, (F, ..., N).

        They share the covariances and what doubt added.
        """
        process, noise = copy.copy(self), self.noise + more
        process._values = np.broadcast_to(values.astype(np.float32), noise.shape)
        process._between = np.broadcast_to(self._between, (*noise.shape, noise.shape[-1]))
        process._root, process._weights = np.empty_like(process._between), np.empty_like(process._values)
        process.noise = np.full(noise.shape, np.nan)
        process._fit(noise)
        return process

    def _fit(self, noise: FloatArray) -> None:
        """Fits the processes whose noise changes: K + noise = (R.T R)^-1, weights = R.T R values."""
        changed = np.any(noise != self.noise, axis=-1)
        self.noise = noise
        K, n = self._between[changed], noise.shape[-1]
        K.reshape(-1, n * n)[:, :: n + 1] += noise[changed].astype(np.float32)
        _inverse_root(K.reshape(-1, n, n))
        self._root[changed] = K
        self._weights[changed] = _times(K.swapaxes(-1, -2), _times(K, self._values[changed]))

    def _doubt(self, told: FloatArray, suspect: BoolArray) -> None:
        few = told.shape[-1] < _FEW
        usual_limit, suspect_limit = (_DOUBTED_OF_FEW, _SUSPECT_OF_FEW) if few else (_DOUBTED, _SUSPECT)
        limit = np.where(suspect, suspect_limit, usual_limit)
        self._fit(told + _LEFT_OUT * suspect)
        for _ in range(_ROUNDS_OF_FEW if few else 1):
            error, variance = self.left_out()
            # The noise added to a value does not change how the others predict it.
            variance = np.maximum(variance - (self.noise - told), told)
            square = error**2 / variance
            usual = medians(square) / _MEDIAN_OF_SQUARE
            square /= np.maximum(usual, 1)[..., None]
            self.doubted = square > limit
            self._fit(told + variance * np.maximum(square / limit - 1, 0))

    def mean(self, places: FloatArray) -> FloatArray:
        """Posterior mean (..., M) float32 at places (..., M, 7 + K): global and local part together."""
        return np.asarray(self.global_mean(places) + self.local_mean(places))

    def global_mean(self, places: FloatArray) -> FloatArray:
        """Part (..., M) of the mean without the local field: constant, slope, maps and smooth field."""
        of_maps = _times(places[..., FEATURES:], self.map_weights)
        return np.asarray(self.slope[..., None] * places[..., 2] + of_maps + self.smooth_mean(places))

    @property
    def slope(self) -> FloatArray:
        """Slope (...,) of the mean along x, the same everywhere."""
        moment = np.sum(self._places[..., 2] * self._weights, axis=-1)
        return np.asarray(self._covariance.slope**2 * moment, np.float32)

    @property
    def map_weights(self) -> FloatArray:
        """Weights (..., K) of the learned maps in the mean."""
        moments = _times(self._places[..., FEATURES:].swapaxes(-1, -2), self._weights)
        return np.asarray(np.float32(self._covariance.maps**2) * moments)

    def smooth_mean(self, places: FloatArray) -> FloatArray:
        """Part (..., M) of the mean that depends on u and v alone: constant and smooth field."""
        return _times(self._covariance.smooth_between(places, self._places), self._weights)

    def local_mean(self, places: FloatArray) -> FloatArray:
        """Part (..., M) of the mean of one process from the local field, which depends on all features."""
        return self.local_sums(self._covariance.columns(places))

    def local_sums(self, columns: FloatArray, which: Which = ()) -> FloatArray:
        """``local_mean`` (..., M) of processes ``which``, from the places' ``Covariance.columns`` (8, M)."""
        weights = self._weights if which == () else self._weights[..., which, :]
        return self._covariance.local_sums(self._rows[which], columns, weights)

    def local_variance(self, columns: FloatArray, which: Which = ()) -> FloatArray:
        """Posterior variance (..., M) of processes ``which``, from columns (8, M), if but a local field."""
        k = self._rows[which] @ columns
        np.divide(np.float32(1), k, out=k)
        prior = np.float32(self._covariance.local**2) / np.square(columns[GAIN])
        return self._without(prior, k, which)

    def variance(self, places: FloatArray) -> FloatArray:
        """Posterior variance (..., M) of the process at places (..., M, 7 + K), noise not included."""
        return self._without(self._covariance.at(places), self._covariance.between(self._places, places))

    def _without(self, prior: FloatArray, between: FloatArray, which: Which = ()) -> FloatArray:
        """Prior variance minus what the values explain, by their covariances (..., N, M) with the places."""
        root = self._root if which == () else self._root[..., which, :, :]
        return np.asarray(np.maximum(prior - _column_squares(root @ between), 0))

    def left_out(self) -> tuple[FloatArray, FloatArray]:
        """Leave-one-out errors (..., N) and their variances (..., N), noise included."""
        precision = _column_squares(self._root)
        return np.asarray(self._weights / precision), np.asarray(1 / precision)


def _rows(a: FloatArray) -> FloatArray:
    """Factor (..., N, F + 2) whose product with ``_columns`` is the squared distances of (..., N, F)."""
    return np.concatenate([-2 * a, _squares(a)[..., None], np.ones_like(a[..., :1])], axis=-1)


def _columns(b: FloatArray) -> FloatArray:
    """Factor (..., F + 2, M) of (..., M, F), see ``_rows``."""
    count = b.shape[-1]
    factor = np.empty((*b.shape[:-2], count + 2, b.shape[-2]), np.float32)
    factor[..., :count, :] = b.swapaxes(-1, -2)
    factor[..., count, :] = 1
    np.einsum("...fm,...fm->...m", factor[..., :count, :], factor[..., :count, :], out=factor[..., -1, :])
    return factor


def _squares(a: FloatArray) -> FloatArray:
    """Sums of squares (..., N) of the rows of (..., N, F)."""
    return np.asarray(np.einsum("...nf,...nf->...n", a, a))


def _column_squares(matrix: FloatArray) -> FloatArray:
    """Sums of squares (..., M) of the columns of a matrix (..., N, M)."""
    return np.asarray(np.einsum("...nm,...nm->...m", matrix, matrix))


def _times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Products (..., N) of matrices (..., N, M) with vectors (..., M)."""
    return np.asarray((matrix @ vector[..., None])[..., 0])


def _inverse_root(K: FloatArray) -> None:
    """Replaces matrices (T, N, N) by the inverses R of their Cholesky factors: R.T @ R is the inverse of K.

    Recursive by halves, so that nearly all work is matrix products.
    """
    n = K.shape[-1]
    if n <= _SMALL:
        for matrix in K:
            factor, _ = lapack.spotrf(matrix, lower=1)
            matrix[:], _ = lapack.strtri(factor, lower=1, overwrite_c=1)
        return
    half = n // 2
    first, below, last = K[:, :half, :half], K[:, half:, :half], K[:, half:, half:]
    _inverse_root(first)
    factor = below @ first.swapaxes(-1, -2)
    last -= factor @ factor.swapaxes(-1, -2)
    _inverse_root(last)
    np.matmul(-last, factor @ first, out=below)
    K[:, :half, half:] = 0

"""Lattice of places over an image, at which the Gaussian process is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from metric_depth_ros.solvers.fitting.basis_maps import Maps
from metric_depth_ros.solvers.fitting.observations import DEVIATION, medians
from metric_depth_ros.solvers.gaussian_process.process import FEATURES, GAIN, Covariance
from metric_depth_ros.types import FloatArray, ImageArray

# Number of places of the sparse lattice, at which the variance is computed.
_SPARSE = 1200
# Places of the lattice across and down in each of its cells, by the least number of anchors.
_DETAIL = ((1000, 6), (129, 4), (0, 2))
# How uncertain a place is: the root of the maps' misfit over its median, which counts within these bounds.
_BOUNDS = (1 / 3, 3.0)


@dataclass(frozen=True, eq=False)
class Places:
    """Lattice of places over the image.

    Attributes:
        features: (rows, columns, 7) float32, see ``process``.
        size: width and height of the image in pixels.
        step: of the sparse lattice in places.
        maps: K learned maps of the image, or None.
    """

    features: FloatArray
    size: tuple[int, int]
    step: int
    maps: Maps | None

    @property
    def u(self) -> FloatArray:
        """Pixel coordinates (columns,) of the places."""
        return _middles(self.size[0], self.features.shape[1])

    @property
    def v(self) -> FloatArray:
        """Pixel coordinates (rows,) of the places."""
        return _middles(self.size[1], self.features.shape[0])

    @property
    def deviation(self) -> float:
        """Standard deviation of x over the image, from the median deviation."""
        x = self.features[self.every, self.every, 2].ravel()
        return float(DEVIATION * medians(np.abs(x - medians(x))))

    def at(self, uv: FloatArray, x: FloatArray) -> FloatArray:
        """Features (N, 7 + K) of pixels (N, 2) with known x (N,); colour and g are of the nearest place."""
        rows, columns = self.features.shape[:2]
        column, row = ((uv + 0.5) * np.array([columns, rows]) / self.size).astype(np.intp).T
        found = self.features[np.minimum(row, rows - 1), np.minimum(column, columns - 1)]
        found[:, :2] = uv / (self.size[0] * self.size[1]) ** 0.5
        found[:, 2] = x
        return found if self.maps is None else np.hstack([found, self.maps.at(uv, self.size)[0]])

    def with_x(self, x: FloatArray) -> Places:
        """The same places with other x (rows, columns)."""
        features = self.features.copy()
        features[..., 2] = x
        return Places(features, self.size, self.step, self.maps)

    def with_maps(self) -> FloatArray:
        """Features (rows columns, 7 + K) of all places."""
        flat = self.features.reshape(-1, FEATURES)
        if self.maps is None:
            return flat
        uv = np.stack(np.meshgrid(self.u, self.v), axis=-1).reshape(-1, 2)
        return np.hstack([flat, self.maps.at(uv, self.size)[0]])

    @property
    def every(self) -> slice:
        """Rows and columns near the middles of cells of ``step`` places."""
        return slice(self.step // 2, None, self.step)

    def shaped(self, values: FloatArray) -> FloatArray:
        """Values (..., M) of all places as (..., rows, columns)."""
        return values.reshape(*values.shape[:-1], *self.features.shape[:2])

    def sparse(self) -> Places:
        """The sparse lattice, with x and colour of a place near the middle of each cell of ``step`` places.

        Its own sparse lattice has cells of 2.
        """
        every = self.every
        return Places(_at_middles(self.features[every, every].copy(), self.size), self.size, 2, self.maps)

    def columns(self, covariance: Covariance) -> FloatArray:
        """``Covariance.columns`` (8, rows, columns) of all places."""
        found = covariance.columns(self.features.reshape(-1, FEATURES))
        return found.reshape(len(found), *self.features.shape[:2])


def build_places(
    logarithm: FloatArray, middle: float, image: ImageArray | None, anchors: int, maps: Maps | None = None
) -> Places:
    """Lattice with x = log relative depth (H, W) minus ``middle``, finer for many anchors.

    Without an image all colours are equal, without learned maps all places are equally uncertain.
    """
    height, width = logarithm.shape
    side_px = max((width * height / _SPARSE) ** 0.5, 2.0)
    # An even number, and no place smaller than a pixel.
    step = min(next(places for least, places in _DETAIL if anchors >= least), 2 * int(side_px / 2))
    columns, rows = (2 * step * max(1, round(side / side_px / 2)) for side in (width, height))
    features = _at_middles(np.zeros((rows, columns, FEATURES), np.float32), (width, height))
    features[..., 2] = _reduced(logarithm, (columns, rows), middle)
    if image is not None:
        small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        features[..., 3:GAIN] = cv2.cvtColor(small, cv2.COLOR_RGB2LAB) * np.float32(0.01)
    features[..., GAIN] = 1 if maps is None else enlarged(_uncertainty(maps.misfit), (rows, columns))
    return Places(features, (width, height), step, maps)


def _uncertainty(misfit: FloatArray) -> FloatArray:
    """How uncertain the places (h, w) of learned maps are; 1 is usual."""
    return np.asarray(np.sqrt(np.clip(misfit / np.median(misfit), *_BOUNDS)), np.float32)


def _at_middles(features: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Features (rows, columns, 7), with u and v set to those of the middles of equal parts of the image."""
    (width, height), (rows, columns) = size, features.shape[:2]
    features[..., 0] = _middles(width, columns) / (width * height) ** 0.5
    features[..., 1] = _middles(height, rows)[:, None] / (width * height) ** 0.5
    return features


def _reduced(values: FloatArray, size: tuple[int, int], middle: float) -> FloatArray:
    """Mean of a map (H, W) minus ``middle`` in each cell of a lattice; 0 where nothing is known."""
    reduced = cv2.resize(values, size, interpolation=cv2.INTER_AREA) - np.float32(middle)
    if not np.isnan(reduced).any():
        return np.asarray(reduced)
    unknown = np.isnan(values)
    known = np.where(unknown, np.float32(0), values - np.float32(middle))
    total, share = (
        cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        for part in (known, (~unknown).astype(np.float32))
    )
    return np.asarray(np.divide(total, share, out=np.zeros_like(total), where=share > 0))


def _middles(pixels: int, parts: int) -> FloatArray:
    """Pixel coordinates (parts,) of the centres of equal parts of an image side."""
    return (np.arange(parts) + 0.5) * (pixels / parts) - 0.5


def enlarged(field: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Coarse fields (..., h, w) resized to (..., H, W) float32, bilinear; of ``shape`` H and W count."""
    size = shape[:-3:-1]
    if field.ndim > 2:
        return np.stack([enlarged(each, shape) for each in field])
    return np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR))

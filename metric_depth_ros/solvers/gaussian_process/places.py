"""Lattice of places over an image, at which the Gaussian process is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from metric_depth_ros.solvers.gaussian_process.process import FEATURES, Covariance
from metric_depth_ros.types import FloatArray, ImageArray

# Places for each anchor, and bounds of the number of places.
_FOR_EACH = 9.6
_FEWEST, _MOST = 4800, 19200
# Step of a sparse lattice in places; which rows and columns of the lattice belong to it.
_STEP = 5
SPARSE = slice(_STEP // 2, None, _STEP)


@dataclass(frozen=True, eq=False)
class Places:
    """Lattice of places over the image.

    Attributes:
        features: (rows, columns, 6) float32, see ``process``.
        size: width and height of the image in pixels.
    """

    features: FloatArray
    size: tuple[int, int]

    @property
    def u(self) -> FloatArray:
        """Pixel coordinates (columns,) of the places."""
        return _middles(self.size[0], self.features.shape[1])

    @property
    def v(self) -> FloatArray:
        """Pixel coordinates (rows,) of the places."""
        return _middles(self.size[1], self.features.shape[0])

    def at(self, uv: FloatArray, x: FloatArray) -> FloatArray:
        """Features (N, 6) of pixels (N, 2) with known x (N,); colours are those of the nearest place."""
        rows, columns = self.features.shape[:2]
        column, row = ((uv + 0.5) * np.array([columns, rows]) / self.size).astype(np.intp).T
        found = self.features[np.minimum(row, rows - 1), np.minimum(column, columns - 1)]
        found[:, :2] = uv / (self.size[0] * self.size[1]) ** 0.5
        found[:, 2] = x
        return np.asarray(found)

    def sparse(self) -> Places:
        """Every fifth place across and down."""
        return Places(self.features[SPARSE, SPARSE], self.size)

    def columns(self, covariance: Covariance) -> FloatArray:
        """``Covariance.columns`` (8, rows, columns) of all places."""
        found = covariance.columns(self.features.reshape(-1, FEATURES))
        return found.reshape(len(found), *self.features.shape[:2])


def build_places(logarithm: FloatArray, middle: float, image: ImageArray | None, anchors: int) -> Places:
    """Lattice with x = log relative depth (H, W) minus ``middle``, finer for many anchors.

    Without an image all colours are equal.
    """
    height, width = logarithm.shape
    count = min(max(_FOR_EACH * anchors, _FEWEST), _MOST)
    step = max((width * height / count) ** 0.5, 1.0)
    columns, rows = (_STEP * max(1, round(side / step / _STEP)) for side in (width, height))
    features = np.zeros((rows, columns, FEATURES), np.float32)
    side = (width * height) ** 0.5
    features[..., 0] = _middles(width, columns) / side
    features[..., 1] = _middles(height, rows)[:, None] / side
    features[..., 2] = _reduced(logarithm, (columns, rows), middle)
    if image is not None:
        small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        features[..., 3:] = cv2.cvtColor(small, cv2.COLOR_RGB2LAB) * np.float32(0.01)
    return Places(features, (width, height))


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
    """Coarse field resized to (H, W) float32, bilinear."""
    return np.asarray(cv2.resize(field, shape[::-1], interpolation=cv2.INTER_LINEAR))

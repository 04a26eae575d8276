"""Coarse lattice of vertices over the image, for fields that vary slowly."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, IntArray


class Lattice:
    """Vertices every ``step_px`` pixels, bilinear between them; the outermost lie outside the image.

    Attributes:
        u, v: (columns,) and (rows,) pixel coordinates of the vertices.
    """

    def __init__(self, width: int, height: int, step_px: int) -> None:
        self._size, self._step = (width, height), step_px
        self.u, self.v = (self._coordinates(n) for n in (width, height))

    def _coordinates(self, pixels: int) -> FloatArray:
        """Pixel coordinates (j - 1/2) step - 1/2 of the vertices, for which ``cv2.resize`` is exact."""
        n = int(np.ceil((pixels - 0.5) / self._step + 1.5))
        return (np.arange(n) - 0.5) * self._step - 0.5

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of vertices."""
        return len(self.v), len(self.u)

    def bilinear(self, uv: FloatArray) -> tuple[IntArray, FloatArray]:
        """Flat indices (N, 4) of the vertices around each pixel (N, 2), and their bilinear weights (N, 4)."""
        places = (uv - [self.u[0], self.v[0]]) / self._step
        first = np.minimum(np.floor(places).astype(np.intp), [len(self.u) - 2, len(self.v) - 2])
        (right, down), columns = (places - first).T, len(self.u)
        index = (first[:, 1] * columns + first[:, 0])[:, None] + [0, 1, columns, columns + 1]
        weight = np.stack(
            [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down], axis=1
        )
        return index, weight

    def differences(self) -> FloatArray:
        """Matrix D (n, n) for n vertices: c^T D c is the sum of squared differences of neighbours."""
        rows, columns = self.shape
        place = np.arange(rows * columns).reshape(rows, columns)
        across, down = (place[:, :-1], place[:, 1:]), (place[:-1], place[1:])
        a, b = (np.concatenate([across[i].ravel(), down[i].ravel()]) for i in (0, 1))
        D = np.zeros((place.size, place.size))
        np.add.at(D, (np.r_[a, b], np.r_[a, b]), 1.0)
        D[a, b] = D[b, a] = -1.0
        return D

    def interpolated(self, values: FloatArray) -> FloatArray:
        """Field (H, W) float32, interpolated from values (rows, columns) at the vertices."""
        rows, columns = self.shape
        (width, height), step = self._size, self._step
        field = cv2.resize(
            values.astype(np.float32), (columns * step, rows * step), interpolation=cv2.INTER_LINEAR
        )
        return np.asarray(field[step : step + height, step : step + width])

"""Tiles: rectangles of an image with similar numbers of anchors, and how values of theirs are blended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.types import FloatArray, IntArray

# Width of the band beyond each side in which a tile fades out, as a fraction of its own side.
_FADE = 0.1
# Tiles do not become smaller than this.
_LEAST_PX = 8


@dataclass(frozen=True, eq=False)
class Tiles:
    """T rectangles of pixels that cover an image: ``low`` (T, 2) to ``high`` (T, 2), u and v."""

    low: FloatArray
    high: FloatArray

    def __len__(self) -> int:
        return len(self.low)

    def nearest(self, uv: FloatArray, count: int) -> IntArray:
        """Indices (T, count) of the pixels (N, 2) closest to each tile's centre, by its width and height."""
        centre, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        scaled = ((uv[:, axis] - centre[:, axis, None]) / half[:, axis, None] for axis in (0, 1))
        away = np.maximum(*(np.abs(offset) for offset in scaled)).astype(np.float32)
        return np.argpartition(away, count - 1, axis=1)[:, :count]

    def spans(self, at: FloatArray, axis: int) -> list[slice]:
        """Part of ascending coordinates (n,) along u (0) or v (1) at which each tile has weight."""
        fade = _FADE * (self.high[:, axis] - self.low[:, axis])
        first = np.searchsorted(at, self.low[:, axis] - fade)
        last = np.searchsorted(at, self.high[:, axis] + fade)
        return [slice(*ends) for ends in zip(first.tolist(), last.tolist(), strict=True)]

    def weights(self, at: FloatArray, axis: int) -> FloatArray:
        """Blending weights (T, n) float32 of each tile at coordinates (n,) along u (0) or v (1).

        1 inside, 0.5 at the border, 0 beyond the band. The weight of a pixel is the product of both.
        """
        low, high = self.low[:, axis, None], self.high[:, axis, None]
        beyond = np.maximum(low - at, at - high) / (_FADE * (high - low))
        return np.asarray(np.clip(0.5 - beyond / 2, 0, 1), np.float32)


def tiled(uv: FloatArray, width: int, height: int, most: int) -> Tiles:
    """Tiles of an image, halved at the median of the pixels (N, 2) until none has more than ``most``."""
    low, high = zip(*_halved(uv, (-0.5, -0.5), (width - 0.5, height - 0.5), most), strict=True)
    return Tiles(np.array(low), np.array(high))


_Corner = tuple[float, float]


def _halved(uv: FloatArray, low: _Corner, high: _Corner, most: int) -> list[tuple[_Corner, _Corner]]:
    width, height = high[0] - low[0], high[1] - low[1]
    if len(uv) <= most or max(width, height) < _LEAST_PX:
        return [(low, high)]
    axis, side = (0, width) if width >= height else (1, height)
    along, half = uv[:, axis], len(uv) // 2
    # Keeps tiles from becoming too thin.
    middle = min(max(float(np.partition(along, half)[half]), low[axis] + side / 4), high[axis] - side / 4)
    before = along < middle
    end, start = ((middle, high[1]), (middle, low[1])) if axis == 0 else ((high[0], middle), (low[0], middle))
    return _halved(uv[before], low, end, most) + _halved(uv[~before], start, high, most)

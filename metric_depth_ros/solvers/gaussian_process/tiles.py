"""Tiles: overlapping rectangles of an image with similar numbers of anchors, and blending weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.types import FloatArray, IntArray

# Margin of a tile, which overlaps its neighbours, as a fraction of its own side.
_OVERLAP = 0.25


@dataclass(frozen=True)
class Tile:
    """Rectangle of pixels [left, right) x [top, bottom) with a margin beyond each side."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def margin(self) -> tuple[float, float]:
        """Width of the margin in pixels, across and down."""
        return _OVERLAP * (self.right - self.left), _OVERLAP * (self.bottom - self.top)

    def chosen(self, uv: FloatArray, least: int, most: int) -> IntArray:
        """Indices of the pixels (N, 2) to use: those in the tile, then those in its margin, nearest first.

        If the tile holds more than ``most``, an even selection of them; if tile and margin hold fewer than
        ``least``, the nearest ones beyond the margin too.
        """
        low, high = np.array([self.left, self.top]), np.array([self.right, self.bottom])
        outside = np.maximum(np.maximum(low - uv, uv - high), 0) / self.margin
        distance = outside.max(axis=1)
        inside = np.flatnonzero(distance <= 0)
        if len(inside) > most:
            return inside[np.linspace(0, len(inside) - 1, most).astype(np.intp)]
        reached = np.flatnonzero(distance <= 1)
        if len(reached) < least:
            return np.argsort(distance, kind="stable")[:least]
        return reached[np.argsort(distance[reached], kind="stable")[:most]]

    def reach(self, v: FloatArray, u: FloatArray) -> tuple[slice, slice]:
        """Slices of the rows v and columns u, in ascending order, that lie in the tile or its margin."""
        across, down = self.margin
        return (
            slice(*np.searchsorted(v, [self.top - down, self.bottom + down])),
            slice(*np.searchsorted(u, [self.left - across, self.right + across])),
        )

    def weights(self, v: FloatArray, u: FloatArray) -> FloatArray:
        """Blending weights (len(v), len(u)) float32: 1 inside, 0.5 at the border, 0 at the margin's end."""
        across, down = self.margin
        of_u = _trapezium(u, self.left, self.right, across)
        of_v = _trapezium(v, self.top, self.bottom, down)
        return np.asarray(of_v[:, None] * of_u)


def _trapezium(at: FloatArray, low: float, high: float, margin: float) -> FloatArray:
    beyond = np.maximum(low - at, at - high) / margin
    return np.asarray(np.clip(0.5 - beyond / 2, 0, 1), np.float32)


def tiled(uv: FloatArray, width: int, height: int, most: int) -> Iterator[Tile]:
    """Yields the tiles of an image, halved at the median anchor until none has more than ``most``."""
    yield from _halved(uv, Tile(-0.5, -0.5, width - 0.5, height - 0.5), most)


def _halved(uv: FloatArray, tile: Tile, most: int) -> Iterator[Tile]:
    size = np.array([tile.right - tile.left, tile.bottom - tile.top])
    if len(uv) <= most or size.max() < 8:
        yield tile
        return
    axis = int(size.argmax())
    start = (tile.left, tile.top)[axis]
    # Keeps tiles from becoming too thin.
    cut = float(np.clip(np.median(uv[:, axis]), start + size[axis] / 4, start + 3 * size[axis] / 4))
    first = uv[:, axis] < cut
    if axis == 0:
        parts = Tile(tile.left, tile.top, cut, tile.bottom), Tile(cut, tile.top, tile.right, tile.bottom)
    else:
        parts = Tile(tile.left, tile.top, tile.right, cut), Tile(tile.left, cut, tile.right, tile.bottom)
    yield from _halved(uv[first], parts[0], most)
    yield from _halved(uv[~first], parts[1], most)

"""Overlapping rectangles of an image with about as many anchors each, and weights that blend them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.types import FloatArray, IntArray

# How far a tile reaches into its neighbours, as a fraction of its own side.
_OVERLAP = 0.25


@dataclass(frozen=True)
class Tile:
    """A rectangle of pixels [left, right) x [top, bottom), and how far it reaches beyond each side."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def margin(self) -> tuple[float, float]:
        """Pixels across and down."""
        return _OVERLAP * (self.right - self.left), _OVERLAP * (self.bottom - self.top)

    def chosen(self, uv: FloatArray, least: int, most: int) -> IntArray:
        """Indices of pixels (N, 2): those in the tile, then those in its margin, nearest first.

        Of more than ``most`` in the tile every so-manieth; of fewer than ``least`` the nearest beyond the
        margin too.
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
        """Which rows v and columns u, in ascending order, lie in it or its margin."""
        across, down = self.margin
        return (
            slice(*np.searchsorted(v, [self.top - down, self.bottom + down])),
            slice(*np.searchsorted(u, [self.left - across, self.right + across])),
        )

    def weights(self, v: FloatArray, u: FloatArray) -> FloatArray:
        """(len(v), len(u)) float32: 1 well inside, one half at the border, 0 where the margin ends."""
        across, down = self.margin
        of_u = _trapezium(u, self.left, self.right, across)
        of_v = _trapezium(v, self.top, self.bottom, down)
        return np.asarray(of_v[:, None] * of_u)


def _trapezium(at: FloatArray, low: float, high: float, margin: float) -> FloatArray:
    beyond = np.maximum(low - at, at - high) / margin
    return np.asarray(np.clip(0.5 - beyond / 2, 0, 1), np.float32)


def tiled(uv: FloatArray, width: int, height: int, most: int) -> Iterator[Tile]:
    """The image halved at the median anchor, and again, until no part has more than ``most``."""
    yield from _halved(uv, Tile(-0.5, -0.5, width - 0.5, height - 0.5), most)


def _halved(uv: FloatArray, tile: Tile, most: int) -> Iterator[Tile]:
    size = np.array([tile.right - tile.left, tile.bottom - tile.top])
    if len(uv) <= most or size.max() < 8:
        yield tile
        return
    axis = int(size.argmax())
    start = (tile.left, tile.top)[axis]
    # Not too thin, wherever the anchors are.
    cut = float(np.clip(np.median(uv[:, axis]), start + size[axis] / 4, start + 3 * size[axis] / 4))
    first = uv[:, axis] < cut
    if axis == 0:
        parts = Tile(tile.left, tile.top, cut, tile.bottom), Tile(cut, tile.top, tile.right, tile.bottom)
    else:
        parts = Tile(tile.left, tile.top, tile.right, cut), Tile(tile.left, cut, tile.right, tile.bottom)
    yield from _halved(uv[first], parts[0], most)
    yield from _halved(uv[~first], parts[1], most)

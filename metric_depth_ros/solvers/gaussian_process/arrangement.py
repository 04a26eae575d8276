"""What follows from where the anchors lie, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from metric_depth_ros.repeated import Repeated
from metric_depth_ros.solvers.fitting.observations import by_place
from metric_depth_ros.solvers.gaussian_process.tiles import Tiles, tiled
from metric_depth_ros.types import Anchors, FloatArray, IntArray

# With fewer anchors the neighbours are too far away for a comparison.
_FEWEST_JUDGED = 10
_NEIGHBOURS = 8
# Most anchors inside a tile, and how many it uses with those around it.
_OWN, _USED = 64, 96


def nearest(uv: FloatArray) -> IntArray | None:
    """Indices (N, 8) of the anchors closest to each of the pixels (N, 2); None for fewer than 10."""
    if len(uv) < _FEWEST_JUDGED:
        return None
    _, near = cKDTree(uv).query(uv, k=_NEIGHBOURS + 1)
    itself = near == np.arange(len(uv))[:, None]
    itself[~itself.any(axis=1), -1] = True  # not found, because others lie at its place
    return np.asarray(near[~itself].reshape(len(uv), _NEIGHBOURS))


def in_tiles(uv: FloatArray, size: tuple[int, int]) -> tuple[Tiles, IntArray]:
    """Tiles of an image (width, height) for anchors at pixels (N, 2), and indices of those that each uses."""
    tiles = tiled(uv, *size, _OWN)
    return tiles, tiles.nearest(uv, _USED)


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The functions of this module, and ``by_place``: computed once for images with the same anchors."""

    by_place: Repeated[Anchors] = field(default_factory=lambda: Repeated(by_place))
    nearest: Repeated[IntArray | None] = field(default_factory=lambda: Repeated(nearest))
    in_tiles: Repeated[tuple[Tiles, IntArray]] = field(default_factory=lambda: Repeated(in_tiles))

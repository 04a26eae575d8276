"""Anchor regimes of paper 001, section 4.1 (a grid moved to known pixels), and its drop-anchor test."""

from __future__ import annotations

import math

import numpy as np

from metric_depth_ros.geometry import nearest_known
from metric_depth_ros.types import BoolArray, FloatArray, IntArray

# Smallest and largest number of anchors of a regime, both included.
REGIMES = {"low": (10, 15), "medium": (100, 120), "high": (500, 530)}
# Number of anchors at the start of the drop-anchor test.
DROP_FROM = 9
# Largest number of rounds that separate candidates moved to the same pixel.
_ROUNDS = 20


def regime_places(known: BoolArray, regime: str, rng: np.random.Generator) -> IntArray:
    """Flat indices of a regime's anchors; their number is random within its range."""
    low, high = REGIMES[regime]
    return grid_places(known, int(rng.integers(low, high + 1)), rng)


def grid_places(known: BoolArray, count: int, rng: np.random.Generator) -> IntArray:
    """Flat indices (count,) of a grid over the map, each candidate moved to the nearest known pixel.

    The paper does not state its A x B; here A / B is about the aspect ratio, A B at least ``count``, and
    surplus candidates are left out at random. If several candidates reach the same pixel, all but one move
    to the nearest free pixel, so fewer places result only if few pixels are known.

    Args:
        known: (H, W) bool; if nothing is known, the result is empty.
        count: number of candidates.
    """
    height, width = known.shape
    if not known.any():
        return np.zeros(0, np.intp)
    columns = min(max(1, round(math.sqrt(count * width / height))), count)
    rows = math.ceil(count / columns)
    u = ((np.arange(columns) + 0.5) * width / columns).astype(np.intp)
    v = ((np.arange(rows) + 0.5) * height / rows).astype(np.intp)
    candidates = (v[:, None] * width + u).ravel()
    kept = np.sort(rng.choice(len(candidates), count, replace=False))
    free, left, places = known.copy(), candidates[kept], []
    for _ in range(_ROUNDS):
        taken, first = np.unique(nearest_known(free)[left], return_index=True)
        places.append(taken)
        free.ravel()[taken] = False
        left = np.delete(left, first)
        if not len(left) or not free.any():
            break
    return np.sort(np.concatenate(places))


def drop_closest(uv: FloatArray, count: int) -> IntArray:
    """Indices of ``count`` of the places (N, 2): the one closest to another is removed repeatedly.

    Of the closest pair, the one with the closer second neighbour is removed; if equal, the later one.
    """
    kept = np.arange(len(uv))
    while len(kept) > max(count, 1):
        gaps = np.linalg.norm(uv[kept, None].astype(np.float64) - uv[kept], axis=2)
        np.fill_diagonal(gaps, np.inf)
        nearest = np.sort(gaps, axis=1)[:, :2]
        closest = np.lexsort((-np.arange(len(kept)), *nearest.T[::-1]))[0]
        kept = np.delete(kept, closest)
    return kept

"""The anchor regimes of paper 001, section 4.1: a grid of candidates shifted to where depth is known, and
its drop-anchor test."""

from __future__ import annotations

import math

import numpy as np

from metric_depth_ros.evaluation.interpolation import nearest_known
from metric_depth_ros.types import BoolArray, FloatArray, IntArray

# Fewest and most anchors of a regime, both included.
REGIMES = {"low": (10, 15), "medium": (100, 120), "high": (500, 530)}
# Anchors that the drop-anchor test begins with.
DROP_FROM = 9
# Of shifting what was shifted to one pixel.
_ROUNDS = 20


def regime_places(known: BoolArray, regime: str, rng: np.random.Generator) -> IntArray:
    """Flat indices of the anchors of a regime; how many is drawn from its range."""
    low, high = REGIMES[regime]
    return grid_places(known, int(rng.integers(low, high + 1)), rng)


def grid_places(known: BoolArray, count: int, rng: np.random.Generator) -> IntArray:
    """(count,) flat indices: a grid over the map, each candidate shifted to the nearest known pixel.

    The paper's A x B is not stated; here A / B is about the aspect ratio, A B at least ``count``, and what is
    too many is left out at random. Of candidates that come to one pixel the others take the nearest that is
    left, so there are fewer places only where hardly as many pixels are known.

    Args:
        known: (H, W); nothing known gives no place.
        count: of the candidates.
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
    """Which ``count`` of places (N, 2) stay when again and again the one closest to any other goes.

    Of the two closest, the one whose next neighbour is closer goes; of equals the later one.
    """
    kept = np.arange(len(uv))
    while len(kept) > max(count, 1):
        gaps = np.linalg.norm(uv[kept, None].astype(np.float64) - uv[kept], axis=2)
        np.fill_diagonal(gaps, np.inf)
        nearest = np.sort(gaps, axis=1)[:, :2]
        closest = np.lexsort((-np.arange(len(kept)), *nearest.T[::-1]))[0]
        kept = np.delete(kept, closest)
    return kept

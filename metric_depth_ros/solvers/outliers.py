"""Which anchors disagree with those around them."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from metric_depth_ros.types import BoolArray, FloatArray

# With fewer anchors the neighbours are too far away to judge by.
_FEWEST = 10
_NEIGHBOURS, _SUPPORTERS = 8, 2
# Disagreement in log depth that is no sign of an error, and the Hampel identifier's factor.
_TOLERANCE, _FACTOR = 0.12, 3.0
_NORMAL = 1.4826


def disagreeing(uv: FloatArray, log_ratio: FloatArray, log_depth: FloatArray) -> BoolArray:
    """(N,) which anchors are wrong: far off the median of their 8 nearest, and alone with it.

    Off by more than three times their median deviation (Hampel 1974), and supported by fewer than two
    of them: a neighbour supports an anchor when metric depth, or its ratio to the relative depth, is
    alike within 12 %. So the thin part in front and the gap between two things, where the network is
    wrong and the median as well, keep their anchors, as several lie there. None of fewer than 10
    anchors is wrong.

    Args:
        uv: (N, 2) pixels.
        log_ratio: (N,) log of metric over relative depth.
        log_depth: (N,) log of metric depth.
    """
    if len(uv) < _FEWEST:
        return np.zeros(len(uv), bool)
    _, near = cKDTree(uv).query(uv, k=_NEIGHBOURS + 1)
    near = near[:, 1:]
    middle = np.median(log_ratio[near], axis=1)
    spread = _NORMAL * np.median(np.abs(log_ratio[near] - middle[:, None]), axis=1)
    off = np.abs(log_ratio - middle) > np.maximum(_FACTOR * spread, _TOLERANCE)
    apart = np.minimum(
        *(np.abs(values[near] - values[:, None]) for values in (log_ratio, log_depth)),
    )
    wrong: BoolArray = off & ((apart < _TOLERANCE).sum(axis=1) < _SUPPORTERS)
    return wrong

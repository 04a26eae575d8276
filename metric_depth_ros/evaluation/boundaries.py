"""Boundary F1: whether depth jumps where the true depth does (Bochkovskii et al. 2024, "Depth Pro")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metric_depth_ros.types import FloatArray

_RATIOS = np.linspace(1.05, 1.25, 10)


def boundary_f1(depth: FloatArray, truth: FloatArray) -> float:
    """F1 of occluding edges, whatever the scale of depth: 1 is perfect ("Depth Pro", section 4).

    Of two neighbouring pixels the second is an edge at t if its depth is more than t times the first's, for
    each of the four directions. Precision and recall are means over the directions, where one without edges
    counts as 0; F1 is the mean over ten t from 1.05 to 1.25, weighted by t. All as in the authors' code
    (SI_boundary_F1), but pairs of unknown true depth do not count, and a pixel without depth is at no edge.

    Args:
        depth, truth: (H, W) metres; 0 and NaN are unknown.

    Returns:
        NaN if the true depth has no edge at all.
    """
    steps = list(zip(_steps(depth), _steps(truth), strict=True))
    if not any((true > _RATIOS[0]).any() for _, true in steps):
        return float("nan")
    return float(np.average([_f1(steps, ratio) for ratio in _RATIOS], weights=_RATIOS))


def is_dense(truth: FloatArray) -> bool:
    """Whether most known pixels of a depth image (H, W) have known neighbours at their right and below.

    Sparse depth has few. Sky, a crop or a limit leave the neighbours of all other pixels.
    """
    known = np.isfinite(truth) & (truth > 0)
    together = known[:-1, :-1] & known[:-1, 1:] & known[1:, :-1]
    return bool(2 * np.count_nonzero(together) >= np.count_nonzero(known[:-1, :-1]))


def _steps(depth: FloatArray) -> list[FloatArray]:
    """Ratios of each pixel's depth to that of its left, right, upper and lower neighbour; NaN unknown."""
    known = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float64)
    across, down = known[:, 1:] / known[:, :-1], known[1:] / known[:-1]
    return [across, 1 / across, down, 1 / down]


def _f1(steps: Sequence[tuple[FloatArray, FloatArray]], ratio: float) -> float:
    """F1 at one threshold, from ratios of depth and of true depth in every direction."""
    found = [(ours > ratio) & np.isfinite(true) for ours, true in steps]
    real = [true > ratio for _, true in steps]
    hits = np.array([np.count_nonzero(a & b) for a, b in zip(found, real, strict=True)])
    precision, recall = (
        float(np.mean(hits / np.maximum([np.count_nonzero(edges) for edges in all_edges], 1)))
        for all_edges in (found, real)
    )
    return 2 * precision * recall / (precision + recall) if hits.any() else 0.0

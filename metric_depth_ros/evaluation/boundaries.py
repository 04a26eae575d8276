"""Depth at the true depth's edges: where it jumps (boundary F1), and what hangs between (flying pixels)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from metric_depth_ros.types import FloatArray

_RATIOS = np.linspace(1.05, 1.25, 10)
# Flying pixels: the least step of ln depth at an edge, and the fewest edges that are measured.
_STEP, _FEWEST = math.log(1.15), 50
# How far a line goes to each side of its edge, in longer sides of the image; and the fewest pixels.
_REACH, _LEAST_REACH = 1 / 40, 4
# Parts of a line's rise: what a pixel that flies is away from both ends, and what an edge has if it is found.
_LEFT, _FOUND = 0.2, 0.5


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


def flying_pixels(depth: FloatArray, truth: FloatArray) -> float:
    """Part of the pixels beside true depth edges that hang between the two surfaces: veils of a point cloud.

    In each row and column, a line of pixels crosses every edge of true depth, where a neighbour is 1.15 times
    as deep or more. With depth a and b at its two ends, a pixel of the line flies if its depth lies between,
    in ln by more than a fifth of |ln b/a| from each. The value is the mean over all lines. Since a and b are
    depth's own, a wrong scale, of one surface too, costs nothing, nor does an edge off by less than half a
    line.

    All pixels of a line count as flying if the edge is not found: depth rises by less than half of the true
    rise (ln), as that of a flat map, or an end has none. So does each other pixel without depth. An edge
    counts if true depth is known all along its line and varies by less than a fifth of the step (ln) on each
    side. That leaves out thin things, and flying pixels of the truth itself, whose value is 0.

    The term is that of time-of-flight cameras, where no measure is agreed on. The soft edge error of stereo
    (Chen et al. 2019), the distance to the nearest true depth around, charges wrong scale and contrast too;
    ours is the share of a line that a blurred edge takes, as a rise distance is in photography.

    Args:
        depth, truth: (H, W) metres; 0 and NaN are unknown. A line has 1/20 of the longer side, at least 8.

    Returns:
        NaN if fewer than 50 edges count.
    """
    reach = max(_LEAST_REACH, round(_REACH * max(truth.shape)))
    ours, true = np.log(_known(depth)), np.log(_known(truth))
    parts = np.concatenate([_flying(ours, true, reach), _flying(ours.T, true.T, reach)])
    return float(parts.mean()) if len(parts) >= _FEWEST else float("nan")


def is_dense(truth: FloatArray) -> bool:
    """Whether most known pixels of a depth image (H, W) have known neighbours at their right and below.

    Sparse depth has few. Sky, a crop or a limit leave the neighbours of all other pixels.
    """
    known = np.isfinite(truth) & (truth > 0)
    together = known[:-1, :-1] & known[:-1, 1:] & known[1:, :-1]
    return bool(2 * np.count_nonzero(together) >= np.count_nonzero(known[:-1, :-1]))


def _steps(depth: FloatArray) -> list[FloatArray]:
    """Ratios of each pixel's depth to that of its left, right, upper and lower neighbour; NaN unknown."""
    known = _known(depth)
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


def _flying(ours: FloatArray, true: FloatArray, reach: int) -> FloatArray:
    """Part of flying pixels on the line across each edge that counts (N,), along rows of ln depth (H, W)."""
    row, column = np.nonzero(np.abs(np.diff(true, axis=1)) > _STEP)
    inside = (column >= reach - 1) & (column + reach < true.shape[1])
    lines = row[inside, None], column[inside, None] + np.arange(1 - reach, reach + 1)
    ours, true = ours[lines], true[lines]
    step = np.abs(true[:, reach] - true[:, reach - 1])
    counts = np.all([np.ptp(side, axis=1) < _LEFT * step for side in np.split(true, 2, axis=1)], axis=0)
    rise = (true[:, -1:] - true[:, :1])[counts]
    ours = ours[counts] * np.sign(rise)  # all edges rise
    start, end = ours[:, :1], ours[:, -1:]
    margin = _LEFT * (end - start)
    rests = (ours <= start + margin) | (ours >= end - margin)
    found = end - start > _FOUND * np.abs(rise)
    return np.asarray((~(found & rests)).mean(axis=1))


def _known(depth: FloatArray) -> FloatArray:
    """Depth, float64, NaN where it is unknown."""
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float64)

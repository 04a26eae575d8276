"""Random anchors for training a generator: the paper's regimes, and our mixed regime."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.evaluation.regimes import REGIMES, grid_places, regime_places
from metric_depth_ros.types import BoolArray, FloatArray, IntArray

MIXED = "mixed"
REGIME_NAMES = (*REGIMES, MIXED)
# Largest number of anchors.
_MOST = 2000
# Largest range noise, as a fraction of depth.
_NOISE = 0.04
# Fraction of the images with outliers, and the largest fraction of outliers among their anchors.
_OUTLYING = 0.5
_OUTLIERS = 0.12
# Factors on the depth of outliers that are too far or too near.
_FAR = (1.2, 4.0)
_NEAR = (0.25, 0.8)
# Patterns of anchors, and their probabilities.
_LAYOUTS = ("random", "grid", "lines", "clusters")
_SHARES = (0.45, 0.15, 0.2, 0.2)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Anchors of one image on its grid (h, w).

    Attributes:
        place: (N,) flat indices.
        error: (N,) error added to their log depth.
        sigma: (N,) standard deviation of the log depth, as given to the solve.
    """

    place: IntArray
    error: FloatArray
    sigma: FloatArray


def draw_anchors(known: BoolArray, regime: str, rng: np.random.Generator) -> Drawn:
    """Anchors at known pixels (h, w), at least one if any is known; without error in the paper's regimes."""
    if regime != MIXED:
        place = regime_places(known, regime, rng)
        return Drawn(place, np.zeros(len(place)), np.zeros(len(place)))
    count = round(float(np.exp(rng.uniform(0, np.log(_MOST)))))
    place = _laid_out(known, count, str(rng.choice(_LAYOUTS, p=_SHARES)), rng)
    sigma = np.full(len(place), rng.uniform(0.002, _NOISE))
    error = sigma * rng.standard_normal(len(place))
    if rng.random() < _OUTLYING:
        wrong = rng.random(len(place)) < rng.uniform(0, _OUTLIERS)
        far = rng.random(len(place)) < 0.5
        gross = np.where(far, rng.uniform(*_FAR, len(place)), rng.uniform(*_NEAR, len(place)))
        error += np.where(wrong, np.log(gross), 0)
    return Drawn(place, error, np.maximum(sigma, 0.02))


def _laid_out(known: BoolArray, count: int, layout: str, rng: np.random.Generator) -> IntArray:
    places = np.flatnonzero(known)
    if not len(places):
        return places
    if layout == "grid":
        return grid_places(known, count, rng)
    row, column = np.divmod(places, known.shape[1])
    if layout == "lines":
        # Slightly curved rows, like a LiDAR's in the image.
        lines = int(np.clip(round(count / 30), 1, 16))
        bend = rng.uniform(-0.1, 0.1) * known.shape[0] * (2 * column / known.shape[1] - 1) ** 2
        wanted = (np.arange(lines) + rng.uniform(0.25, 0.75)) * known.shape[0] / lines
        on_line = (np.abs(row[:, None] + bend[:, None] - wanted) <= 0.5).any(axis=1)
        places = places[on_line] if on_line.any() else places
    if layout == "clusters":
        centres = rng.choice(len(places), min(len(places), int(rng.integers(1, 5))), replace=False)
        radius = rng.uniform(0.08, 0.3) * known.shape[1]
        apart = np.hypot(row[:, None] - row[centres], column[:, None] - column[centres]).min(axis=1)
        places = places[apart <= radius]
    return rng.choice(places, min(count, len(places)), replace=False)

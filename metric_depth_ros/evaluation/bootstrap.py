"""Paired bootstrap of a mean difference over frames that lie in sets (hierarchical: sets, then frames)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metric_depth_ros.types import FloatArray


def interval(
    sets: Sequence[FloatArray], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean over all frames.

    Every resample draws as many sets as there are, with replacement, and of each drawn set as many frames as
    it has, with replacement: frames of one set resemble each other, so that drawing frames alone would make
    the interval too narrow (Davison and Hinkley 1997, section 3.8). With fewer than about five sets it still
    is; with one set only its frames are drawn, and it says nothing about other sets.

    Args:
        sets: a difference for every frame (N,) of each set; no set is empty.

    Returns:
        The ends; both NaN without sets.
    """
    if not sets:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    counts = np.array([len(each) for each in sets])
    most = int(counts.max())
    values = np.zeros((len(sets), most))
    for row, each in zip(values, sets, strict=True):
        row[: len(each)] = each
    total, drawn = np.zeros(resamples), np.zeros(resamples)
    for _ in sets:
        which = generator.integers(len(sets), size=resamples)
        frames = (generator.random((resamples, most)) * counts[which, None]).astype(np.intp)
        kept = np.arange(most) < counts[which, None]
        total += (values[which[:, None], frames] * kept).sum(axis=1)
        drawn += counts[which]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(total / drawn, (tail, 100 - tail))
    return float(low), float(high)

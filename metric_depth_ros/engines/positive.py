"""Relative depth that is positive, for solvers that multiply it by a scale and nothing else."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import FloatArray, RelativeDepth

# Where the zero of inverse depth is arbitrary: the far end of a picture, as a multiple of its median depth.
_FAR_END = 2.0
# Nothing is farther than this multiple of the median depth: the sky, and noise around zero.
_FARTHEST = 100.0
# The part of the pixels that lies beyond the far end.
_BEYOND = 0.02


def positive_depth(relative: RelativeDepth) -> FloatArray:
    """(H, W) float32 depth up to a scale, positive; NaN where the network said nothing.

    Papers 001 and 002 scale a positive depth; an affine-invariant inverse-depth network does not give
    one, since its zero is arbitrary. Ours, for all networks alike:

        r = 1 / max(v - shift, floor),  floor = (median v - shift) / 100

    A map without a negative value is taken as inverse depth up to a scale: shift = 0. Otherwise the
    shift puts the farthest 2 % of the pixels at 2 times the median depth and beyond:
    shift = 2 low - median, low being the value that 2 % are below. A depth network is taken as it is.

    What it costs: the true far end of a picture is anything from the median itself to the sky, so a
    scale fits worse than a scale and a shift would. docs/model_card.md has figures.
    """
    values = relative.values.astype(np.float32)
    known = np.isfinite(values)
    if relative.kind == "depth":
        return np.where(known & (values > 0), values, np.float32(np.nan))
    if not known.any():
        return np.full_like(values, np.nan)
    median = float(np.median(values[known]))
    shift = 0.0
    if values[known].min() < 0:
        low = float(np.quantile(values[known], _BEYOND))
        shift = (_FAR_END * low - median) / (_FAR_END - 1)
    floor = max((median - shift) / _FARTHEST, float(np.finfo(np.float32).tiny))
    depth: FloatArray = 1 / np.maximum(values - np.float32(shift), np.float32(floor))
    return np.where(known, depth, np.float32(np.nan))

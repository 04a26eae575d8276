"""Relative depth that is positive, for solvers that multiply it by a scale and nothing else."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import FloatArray, RelativeDepth

# The farthest depth, as a multiple of the median one. Sky and noise near zero end there.
_FARTHEST = 100.0


def positive_depth(relative: RelativeDepth) -> FloatArray:
    """(H, W) float32 depth up to a scale, positive; NaN where the network said nothing.

    Papers 001 and 002 scale a positive depth; an affine-invariant inverse-depth network does not give
    one, since its zero is arbitrary. Ours, for all networks alike:

        r = 1 / max(v - shift, floor),  shift = min(0, lowest v),  floor = median(v - shift) / 100

    A depth network is taken as it is. What it costs: a network with an offset (v = a / depth + b) is
    bent by it, and depths beyond 100 times the median one are cut. docs/solvers.md has figures.
    """
    values = relative.values.astype(np.float32)
    known = np.isfinite(values)
    if relative.kind == "depth":
        return np.where(known & (values > 0), values, np.float32(np.nan))
    if not known.any():
        return values
    shifted = values - min(np.float32(0), values[known].min())
    floor = max(float(np.median(shifted[known])) / _FARTHEST, float(np.finfo(np.float32).tiny))
    depth: FloatArray = 1 / np.maximum(shifted, np.float32(floor))
    return np.where(known, depth, np.float32(np.nan))

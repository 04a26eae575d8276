"""Relative depth that is positive, for solvers that multiply it by a scale and nothing else."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, RelativeDepth

# Where the zero of inverse depth is arbitrary: the far end of a picture, as a multiple of its median depth.
_FAR_END = 2.0
# Nothing is farther than this multiple of the median depth: the sky, and noise around zero.
_FARTHEST = 100.0
# The part of the pixels that lies beyond the far end.
BEYOND = 0.02
# Pixels that say so.
_SAMPLE = 5_000


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
    values = relative.values.astype(np.float32, copy=False)
    if relative.kind == "depth":
        return np.where(np.isfinite(values) & (values > 0), values, np.float32(np.nan))
    shift, floor = zero_of(values)
    depth = values - np.float32(shift)
    if np.isfinite(values.min(initial=0)) and np.isfinite(values.max(initial=0)):
        cv2.max(depth, floor, depth)  # four times as fast, and blind to NaN
    else:
        np.maximum(depth, np.float32(floor), out=depth)
        depth[~np.isfinite(values)] = np.nan
    return np.asarray(np.divide(np.float32(1), depth, out=depth))  # twice as fast as np.reciprocal


def zero_of(values: FloatArray) -> tuple[float, float]:
    """Shift and floor of an inverse-depth map (H, W), as ``positive_depth`` has them; NaN of an unknown one.

    From some 5,000 pixels on a grid: all of them take fifty times as long and say the same.
    """
    step = max(1, int((values.size / _SAMPLE) ** 0.5))
    sample = values[::step, ::step].ravel()
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        sample = values[np.isfinite(values)]
    if not len(sample):
        return float("nan"), float("nan")
    last = len(sample) - 1
    first = int(BEYOND * last)
    sample = np.partition(sample, (0, first, min(first + 1, last), last // 2, (last + 1) // 2))
    median = float(sample[last // 2] + sample[(last + 1) // 2]) / 2
    shift = 0.0
    if sample[0] < 0:
        part = BEYOND * last - first
        low = float((1 - part) * sample[first] + part * sample[min(first + 1, last)])
        shift = (_FAR_END * low - median) / (_FAR_END - 1)
    return shift, max((median - shift) / _FARTHEST, float(np.finfo(np.float32).tiny))

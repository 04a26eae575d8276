"""Depth representation of Metric-Solver (paper 004): scaled depth up to a focus, tapered depth beyond it.

The focus is the paper's sliding anchor d_anchor, a depth in metres. Near depth is divided by it; far depth
is mapped by an exponential that falls from 1 at the focus to 0 at infinity. So both are within [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.types import BoolArray, FloatArray

# k of equation 3, in 1/m.
TAPER = 0.025
# The paper's pool of focuses in metres, from its tables 3b, 5 and 6.
FOCUSES = (2.0, 4.0, 6.0, 10.0, 20.0, 40.0, 80.0, 120.0)

# Focuses in metres by task. The paper evaluates indoors at 10 and outdoors at 80; 2 and 120 are the ends of
# its pool: the reach of an arm, and the farthest focus it learned, for scenes with sky.
PRESETS = {"manipulation": 2.0, "indoor": 10.0, "outdoor": 80.0, "sky": 120.0}
# The presets and "off" (no focus), as the settings name them.
FOCUS_WORDS = {**PRESETS, "off": 0.0}


class NearFar(NamedTuple):
    """Near and far part of a depth map, any shape, in [0, 1]; each is NaN where the other holds the depth.

    ``mask``: whether the depth is known and within the focus (equation 2).
    """

    near: FloatArray
    far: FloatArray
    mask: BoolArray


def encode(depth: FloatArray, focus_m: float, taper: float = TAPER) -> NearFar:
    """Scaled near depth d / f where d <= f, tapered far depth exp(-k (d - f)) beyond (equations 1 to 3).

    In float32 decoding is exact to rounding up to f + 87 / k (3.5 km); larger depths merge with
    infinity, which is 0.

    Args:
        depth: metres, positive, up to infinity; NaN is unknown and stays so in both.
        focus_m: f, positive.
        taper: k in 1/m.
    """
    depth = np.asarray(depth, np.float32)
    focus, unknown = np.float32(focus_m), np.float32(np.nan)
    mask = depth <= focus
    near = np.where(mask, np.minimum(depth, focus) / focus, unknown)
    # Clamped where the near part holds the depth, so that nothing overflows.
    far = np.where(depth > focus, np.exp(-np.float32(taper) * np.maximum(depth - focus, 0)), unknown)
    return NearFar(near, far, mask)


def decode_near(near: FloatArray, focus_m: float) -> FloatArray:
    """Depth in metres from scaled near depth (equation 4)."""
    return np.asarray(np.asarray(near, np.float32) * np.float32(focus_m))


def decode_far(far: FloatArray, focus_m: float, taper: float = TAPER) -> FloatArray:
    """Depth in metres from tapered far depth (equation 5); infinite at 0, the focus at 1 and above."""
    with np.errstate(divide="ignore"):
        logarithm = np.log(np.clip(np.asarray(far, np.float32), 0, 1))
    return np.asarray(np.float32(focus_m) - logarithm / np.float32(taper))


def fuse(
    near_depth: FloatArray, far_depth: FloatArray, mask: FloatArray, *, soft: bool = False
) -> FloatArray:
    """Depth in metres fused from the near and far branches (equation 6).

    Args:
        near_depth, far_depth: metres, of one shape.
        mask: the probability in [0, 1] that the near branch is right, or a bool; NaN makes depth NaN.
        soft: weigh the branches by ``mask`` instead of taking the more probable one; ours. A branch of
            weight 0 is ignored, even if it is NaN or infinite.
    """
    near_depth, far_depth = np.asarray(near_depth, np.float32), np.asarray(far_depth, np.float32)
    mask = np.asarray(mask, np.float32)
    if not soft:
        return np.where(np.isnan(mask), np.float32(np.nan), np.where(mask >= 0.5, near_depth, far_depth))
    return _share(mask, near_depth) + _share(1 - mask, far_depth)


def mask_accuracy(mask: BoolArray, depth: FloatArray, focus_m: float) -> float:
    """Fraction of the pixels whose mask is right (pixel accuracy; paper 004, section B.1 and table 5).

    Sky does not count, nor does unknown depth: sky is far for every focus, and pixels of it would raise the
    accuracy without telling anything.

    Args:
        mask: whether depth is said to be within the focus, of any shape.
        depth: true depth in metres, of that shape; inf sky, NaN unknown.

    Returns:
        0 to 1; NaN if nothing counts.
    """
    known = np.isfinite(depth)
    return float((mask == (depth <= focus_m))[known].mean()) if known.any() else math.nan


def fuse_focuses(
    near: FloatArray,
    far: FloatArray,
    mask: FloatArray,
    focuses_m: Sequence[float],
    *,
    taper: float = TAPER,
    soft: bool = False,
) -> FloatArray:
    """Depth (H, W) in metres fused from several focuses; ours, for the multi-anchor fusion of appendix E.

    The mask of a focus is the probability that depth is within it. So the difference of two successive
    masks is the probability that depth lies between their focuses; there the near branch of the larger
    one is the most precise that covers it. Beyond the largest its far branch is used. With one focus this
    is ``fuse``.

    Args:
        near, far: (N, H, W) in [0, 1], of the N focuses.
        mask: (N, H, W) in [0, 1]; NaN makes depth NaN.
        focuses_m: (N,) metres, in any order.
        soft: weigh all by those probabilities instead of taking the smallest focus whose mask is >= 0.5.
    """
    order = np.argsort(np.asarray(focuses_m))
    mask, largest = np.asarray(mask, np.float32), order[-1]
    far_depth = decode_far(far[largest], focuses_m[largest], taper)
    if not soft:
        depth = far_depth
        for i in order[::-1]:
            np.copyto(depth, decode_near(near[i], focuses_m[i]), where=mask[i] >= 0.5)
        depth[np.isnan(mask).any(axis=0)] = np.nan
        return depth
    depth, within = np.zeros_like(far_depth), np.zeros_like(far_depth)
    for i in order:
        reached = np.maximum(within, mask[i])  # NaN stays
        depth += _share(reached - within, decode_near(near[i], focuses_m[i]))
        within = reached
    return depth + _share(1 - within, far_depth)


def _share(weight: FloatArray, depth: FloatArray) -> FloatArray:
    """Product of weight and depth; 0 where the weight is 0, even if depth is NaN or infinite."""
    return weight * np.where(weight != 0, depth, np.float32(0))


def focus_of(text: str) -> float:
    """Focus in metres from text: a preset's name, or a positive number of metres. Raises ConfigError."""
    try:
        focus_m = PRESETS[text] if text in PRESETS else float(text)
    except ValueError:
        focus_m = math.nan
    if not 0 < focus_m < math.inf:
        raise ConfigError(f"focus: {text!r}; needed positive metres, or one of {', '.join(PRESETS)}.")
    return focus_m


def is_pool(focuses_m: Sequence[float]) -> bool:
    """Whether focuses are a valid pool of a network: at least one, positive, finite and rising."""
    ends = (0.0, *focuses_m, math.inf)
    return len(ends) > 2 and all(a < b for a, b in pairwise(ends))

"""Depth as Metric-Solver has it (paper 004): near depth scaled by a focus, far depth tapered beyond it.

The focus is the paper's sliding anchor d_anchor, a depth in metres: below it depth is divided by it, above
it depth decays exponentially from 1 to 0 at infinity. So both are within [0, 1] whatever the scene.
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
# The paper's pool of focuses in metres, as its tables 3b, 5 and 6 have them.
FOCUSES = (2.0, 4.0, 6.0, 10.0, 20.0, 40.0, 80.0, 120.0)

# Focuses in metres by task. The paper evaluates indoors at 10 and outdoors at 80; 2 and 120 are the ends of
# its pool: what an arm reaches, and as far as it learned, before a sky that is at infinity.
PRESETS = {"manipulation": 2.0, "indoor": 10.0, "outdoor": 80.0, "sky": 120.0}
# The same and none, as the settings know it.
FOCUS_WORDS = {**PRESETS, "off": 0.0}


class NearFar(NamedTuple):
    """A depth map as two, of any shape: ``near`` and ``far`` in [0, 1], NaN where the other one says it.

    ``mask``: whether the depth is known and within the focus (equation 2).
    """

    near: FloatArray
    far: FloatArray
    mask: BoolArray


def encode(depth: FloatArray, focus_m: float, taper: float = TAPER) -> NearFar:
    """Scaled near depth d / f where d <= f, tapered far depth exp(-k (d - f)) beyond (equations 1 to 3).

    In float32 the way back is exact to rounding up to f + 87 / k (3.5 km): farther is less and less
    told from infinity, which is 0.

    Args:
        depth: metres, positive, up to infinity; NaN is unknown and stays so in both.
        focus_m: f, positive.
        taper: k in 1/m.
    """
    depth = np.asarray(depth, np.float32)
    focus, unknown = np.float32(focus_m), np.float32(np.nan)
    mask = depth <= focus
    near = np.where(mask, np.minimum(depth, focus) / focus, unknown)
    # Cut where the other one says it, so that nothing overflows.
    far = np.where(depth > focus, np.exp(-np.float32(taper) * np.maximum(depth - focus, 0)), unknown)
    return NearFar(near, far, mask)


def decode_near(near: FloatArray, focus_m: float) -> FloatArray:
    """Metres of scaled near depth (equation 4)."""
    return np.asarray(np.asarray(near, np.float32) * np.float32(focus_m))


def decode_far(far: FloatArray, focus_m: float, taper: float = TAPER) -> FloatArray:
    """Metres of tapered far depth (equation 5); infinite at 0, the focus at 1 and above."""
    with np.errstate(divide="ignore"):
        logarithm = np.log(np.clip(np.asarray(far, np.float32), 0, 1))
    return np.asarray(np.float32(focus_m) - logarithm / np.float32(taper))


def fuse(
    near_depth: FloatArray, far_depth: FloatArray, mask: FloatArray, *, soft: bool = False
) -> FloatArray:
    """Metres of the two branches together (equation 6).

    Args:
        near_depth, far_depth: metres, of one shape.
        mask: the probability in [0, 1] that the near branch is right, or a bool; NaN makes depth NaN.
        soft: weigh the branches by ``mask`` instead of taking the likelier one; ours. A branch without
            weight is not looked at, be it NaN or infinite.
    """
    near_depth, far_depth = np.asarray(near_depth, np.float32), np.asarray(far_depth, np.float32)
    mask = np.asarray(mask, np.float32)
    if not soft:
        return np.where(np.isnan(mask), np.float32(np.nan), np.where(mask >= 0.5, near_depth, far_depth))
    return _share(mask, near_depth) + _share(1 - mask, far_depth)


def fuse_focuses(
    near: FloatArray,
    far: FloatArray,
    mask: FloatArray,
    focuses_m: Sequence[float],
    *,
    taper: float = TAPER,
    soft: bool = False,
) -> FloatArray:
    """(H, W) metres of several focuses of one picture; ours, for the multi-anchor fusion of appendix E.

    The mask of a focus is the probability that depth is within it. So between one focus and the next
    larger one lies what the masks differ by, and there the near branch of the larger one is the finest
    that reaches; beyond the largest its far branch. With one focus this is ``fuse``.

    Args:
        near, far: (N, H, W) in [0, 1], of the N focuses.
        mask: (N, H, W) in [0, 1]; NaN makes depth NaN.
        focuses_m: (N,) metres, in any order.
        soft: weigh all by those probabilities instead of taking the smallest focus that likely reaches.
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
    """Their product; 0 where there is no weight, be depth NaN or infinite."""
    return weight * np.where(weight != 0, depth, np.float32(0))


def focus_of(text: str) -> float:
    """Metres of a focus in words: a preset's name, or a positive number of metres. Raises ConfigError."""
    try:
        focus_m = PRESETS[text] if text in PRESETS else float(text)
    except ValueError:
        focus_m = math.nan
    if not 0 < focus_m < math.inf:
        raise ConfigError(f"focus: {text!r}; needed positive metres, or one of {', '.join(PRESETS)}.")
    return focus_m


def is_pool(focuses_m: Sequence[float]) -> bool:
    """Whether these can be the focuses that a network learned: positive, finite, rising; one at least."""
    ends = (0.0, *focuses_m, math.inf)
    return len(ends) > 2 and all(a < b for a, b in pairwise(ends))

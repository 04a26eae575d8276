"""Depth as Metric-Solver has it (paper 004): near depth scaled by a focus, far depth tapered beyond it.

The focus is the paper's sliding anchor d_anchor, a depth in metres: below it depth is divided by it, above
it depth decays exponentially from 1 to 0 at infinity. So both are within [0, 1] whatever the scene.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.types import BoolArray, FloatArray

# k of equation 3, in 1/m.
TAPER = 0.025

# Focuses in metres by task. The paper evaluates indoors at 10 and outdoors at 80; 2 and 120 are the ends of
# its pool: what an arm reaches, and as far as it learned, before a sky that is at infinity.
PRESETS = {"manipulation": 2.0, "indoor": 10.0, "outdoor": 80.0, "sky": 120.0}
OFF = "off"


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
    # Selected before they are weighed: 0 times infinity is no number.
    near = np.where(mask > 0, near_depth, 0)
    far = np.where(mask < 1, far_depth, 0)
    return np.asarray(mask * near + (1 - mask) * far)


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
    largest = order[-1]
    depths = [decode_near(near[i], focuses_m[i]) for i in order]
    depths.append(decode_far(far[largest], focuses_m[largest], taper))
    within = np.maximum.accumulate(np.asarray(mask, np.float32)[order], axis=0)
    within = np.concatenate([within, np.where(np.isnan(within[-1:]), within[-1:], 1)])
    if not soft:
        first = np.argmax(within >= 0.5, axis=0)
        depth = np.take_along_axis(np.stack(depths), first[None], axis=0)[0]
        return np.asarray(np.where(np.isnan(within[-1]), np.float32(np.nan), depth))
    shares = np.diff(within, axis=0, prepend=np.float32(0))
    parts = [share * np.where(share != 0, depth, 0) for share, depth in zip(shares, depths, strict=True)]
    return np.asarray(sum(parts))


def focus_of(text: str) -> float:
    """Metres of a focus in words: a preset's name, a number of metres, or "off", which is 0.

    Raises:
        ConfigError: it is none of these, or negative or not finite.
    """
    if text in PRESETS:
        return PRESETS[text]
    try:
        focus_m = 0.0 if text == OFF else float(text)
    except ValueError:
        focus_m = math.nan
    if not (math.isfinite(focus_m) and focus_m >= 0):
        raise ConfigError(f"focus: {text!r}; needed metres, {', '.join(PRESETS)}, or {OFF}.")
    return focus_m

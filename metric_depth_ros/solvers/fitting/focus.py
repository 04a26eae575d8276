"""Near and far fit of a focus: how much their anchors count, and the mask between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.near_far import TAPER
from metric_depth_ros.solvers.fitting.observations import MODEL_MISFIT
from metric_depth_ros.types import Anchors, FloatArray

# Ours: largest factor of an anchor's misfit variance; it leaves almost no weight in a weighted fit.
MOST = 1e6
# The same for a solver that uses sigma as stated: it follows anchors closely, and anchors across the focus
# still inform it about the network. They keep a sigma of 0.3 d, the prior deviation of the process.
PROCESS_MOST = 10.0
# Ours: softness of the mask, in widths of the focus.
_SOFTNESS = 0.6


@dataclass(frozen=True)
class Focus:
    """Focus of a solver that uses sigma as stated: at ``focus_m`` metres, of a width in log depth."""

    focus_m: float
    width: float

    def anchors(self, anchors: Anchors) -> tuple[Anchors, Anchors]:
        """Anchors of near and far fit."""
        near, far = (f(anchors, self.focus_m, self.width, PROCESS_MOST) for f in (near_anchors, far_anchors))
        return near, far


def near_anchors(anchors: Anchors, focus_m: float, width: float, most: float = MOST) -> Anchors:
    """Anchors of the near fit: misfit variance times exp(z^2) beyond the focus, z = log(d / f) / width."""
    with np.errstate(divide="ignore", invalid="ignore"):  # solvers leave out invalid depths
        beyond = np.maximum(np.log(anchors.depth / focus_m) / width, 0)
    return _widened(anchors, beyond**2, most)


def far_anchors(anchors: Anchors, focus_m: float, width: float, most: float = MOST) -> Anchors:
    """Anchors of the far fit: misfit variance raised within the focus likewise, and beyond by the taper."""
    with np.errstate(divide="ignore", invalid="ignore"):
        within = np.maximum(np.log(focus_m / anchors.depth) / width, 0)
    return _widened(anchors, within**2 + 2 * TAPER * np.maximum(anchors.depth - focus_m, 0), most)


def _widened(anchors: Anchors, exponent: FloatArray, most: float) -> Anchors:
    """Anchors with larger sigma: misfit variance of the network times exp(exponent), (N,), up to ``most``."""
    more = np.expm1(np.minimum(exponent, math.log(most))) * (MODEL_MISFIT * anchors.depth) ** 2
    return Anchors(anchors.uv, anchors.depth, np.sqrt(anchors.sigma**2 + more).astype(np.float32))


def near_mask(near: FloatArray, far: FloatArray, focus_m: float, width: float) -> FloatArray:
    """Weight (H, W) of the near fit: logistic in its log depth, 0.5 at one ``width`` beyond the focus.

    There the near fit's anchors still count, and using the far fit within the focus costs more than
    the near fit beyond it. Where one fit has no depth (NaN or infinite) the other one has all the
    weight; where neither has, the near one.
    """
    with np.errstate(divide="ignore"):
        past = (np.log(near) - np.float32(math.log(focus_m) + width)) / np.float32(_SOFTNESS * width)
    mask = 1 / (1 + np.exp(np.minimum(past, np.float32(20))))  # arithmetic on smaller weights is slow
    mask[~np.isfinite(near)] = 0
    mask[~np.isfinite(far)] = 1
    return np.asarray(mask)

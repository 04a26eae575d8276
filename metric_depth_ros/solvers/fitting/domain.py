"""The three spaces in which relative depth is fitted to metric depth, in one place.

With d the metric and r the relative depth (r = 1 / value for inverse-depth networks):

    domain         x        y        unit of y
    inverse_depth  1 / r    1 / d    1/m
    log            log r    log d    (log m)
    depth          r        d        m

In each of them y grows with x wherever the network orders depth rightly.
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np

from metric_depth_ros.types import FloatArray, Kind, RelativeDepth

Domain = Literal["inverse_depth", "log", "depth"]

# Ours: how far, as a fraction of the depth, a fitted network misses anyway. The sensor's sigma
# counts only where it is larger.
MODEL_MISFIT = 0.1


def choose_domain(setting: str, kind: Kind) -> Domain:
    """The domain a setting means; "auto" is inverse_depth, or log for depth networks."""
    if setting != "auto":
        return cast(Domain, setting)
    return "inverse_depth" if kind == "inverse_depth" else "log"


def relative_in(domain: Domain, relative: RelativeDepth) -> FloatArray:
    """x (H, W) float32 of a relative map; NaN where it is NaN or has no x. May be the map's own memory.

    Values that are not positive have no logarithm and no inverse, and no meaning as a depth. Only an
    inverse-depth map fitted in inverse depth keeps them: its zero is arbitrary.
    """
    x: FloatArray = relative.values.astype(np.float32, copy=False)
    same = relative.kind == domain
    any_sign = same and domain == "inverse_depth"
    lowest, highest = (float(f(x, initial=1)) for f in (np.min, np.max))  # NaN where there is one
    if not ((any_sign or lowest > 0) and np.isfinite(lowest) and highest < np.inf):
        x = np.where(np.isfinite(x) if any_sign else (x > 0) & (x < np.inf), x, np.float32(np.nan))
    if domain == "log":
        return np.log(x) if relative.kind == "depth" else -np.log(x)
    return x if same else 1 / x


def depth_in(domain: Domain, depth: FloatArray) -> FloatArray:
    """y of depths in metres, float64."""
    depth = np.asarray(depth, np.float64)
    if domain == "log":
        return np.asarray(np.log(depth))
    return 1 / depth if domain == "inverse_depth" else depth


def depth_from(domain: Domain, y: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Depths in metres of y, of y's type; where there is none (y <= 0) not positive, or infinite.

    ``out`` may be y itself.
    """
    with np.errstate(divide="ignore", over="ignore"):
        if domain == "log":
            return np.asarray(np.exp(y, out=out))
        return np.asarray(np.reciprocal(y, out=out)) if domain == "inverse_depth" else y


def weights_in(domain: Domain, depth: FloatArray, sigma: FloatArray, weighting: str) -> FloatArray:
    """(N,) weights of the squared errors of y, mean 1.

    "relative" is one over the variance of y to first order,
    (dy / dd)^2 (sigma^2 + (MODEL_MISFIT d)^2): relative error is what is minimised, in every domain.
    "none" is all ones.
    """
    if weighting == "none":
        return np.ones(len(depth))
    depth, sigma = np.asarray(depth, np.float64), np.asarray(sigma, np.float64)
    slope = {"inverse_depth": depth**-2, "log": 1 / depth, "depth": np.ones(len(depth))}[domain]
    weights = 1 / (slope**2 * (sigma**2 + (MODEL_MISFIT * depth) ** 2))
    return np.asarray(weights / weights.mean())

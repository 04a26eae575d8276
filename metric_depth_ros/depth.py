"""Depth conversions: the spaces solvers fit in, positive relative depth, and the limits of metric depth.

With d the metric and r the relative depth (r = 1 / value for inverse-depth networks):

    domain         x        y        unit of y
    inverse_depth  1 / r    1 / d    1/m
    log            log r    log d    (log m)
    depth          r        d        m

In each domain y grows with x where the network orders depth correctly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, cast

import cv2
import numpy as np

from metric_depth_ros.config import Config, SolverConfig
from metric_depth_ros.types import FloatArray, Kind, MetricDepth, RelativeDepth

Domain = Literal["inverse_depth", "log", "depth"]

# Upper bound of depth, as a multiple of the median depth: sky, and noise around zero.
FARTHEST = 100
# Fraction of the pixels beyond the far end, which is at twice the median depth.
BEYOND = 0.02
# Rooms are within so many metres; a picture with more than this part beyond is of something larger.
INDOORS_M, _FAR_PART = 10.0, 0.2
# Number of pixels from which median and far end are computed.
_SAMPLE = 5_000


def choose_domain(setting: str, kind: Kind) -> Domain:
    """Domain to fit in: the setting, or for "auto" inverse_depth (log for depth networks)."""
    if setting != "auto":
        return cast(Domain, setting)
    return "inverse_depth" if kind == "inverse_depth" else "log"


def relative_in(domain: Domain, relative: RelativeDepth) -> FloatArray:
    """Relative depth as x of a domain, (H, W) float32; NaN where unknown or invalid. May share memory.

    Inverse depth is made positive first, as in ``positive_depth``: a network's zero may be arbitrary, and a
    line through few anchors needs one. Values of a depth map that are not positive are invalid.
    """
    x: FloatArray = relative.values.astype(np.float32, copy=False)
    if relative.kind == "inverse_depth":
        x = positive_inverse(x)
    elif not (np.min(x, initial=1) > 0 and np.max(x, initial=1) < np.inf):  # or NaN
        x = np.where((x > 0) & (x < np.inf), x, np.float32(np.nan))
    if domain == "log":
        return np.log(x) if relative.kind == "depth" else -np.log(x)
    return x if relative.kind == domain else 1 / x


def depth_in(domain: Domain, depth: FloatArray) -> FloatArray:
    """Depth in metres converted to y of a domain, float64."""
    depth = np.asarray(depth, np.float64)
    if domain == "log":
        return np.asarray(np.log(depth))
    return 1 / depth if domain == "inverse_depth" else depth


def depth_from(domain: Domain, y: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Depth in metres from y of a domain, in y's type; not positive or infinite where y is no depth (y <= 0).

    ``out`` may be y itself.
    """
    with np.errstate(divide="ignore", over="ignore"):
        if domain == "log":
            return np.asarray(np.exp(y, out=out))
        return np.asarray(np.reciprocal(y, out=out)) if domain == "inverse_depth" else y


def positive_depth(relative: RelativeDepth) -> FloatArray:
    """Positive depth (H, W) float32, up to a scale; NaN where the network gives no value.

    Papers 001 and 002 scale a positive depth; an affine-invariant inverse-depth network does not give
    one, since its zero is arbitrary. Ours, for all networks alike:

        r = 1 / max(v - shift, floor),  floor = (median v - shift) / 100, at least (max v - shift) / 10,000

    A map without a negative value is taken as inverse depth up to a scale: shift = 0. Otherwise the
    shift puts the farthest 2 % of the pixels at 2 times the median depth and beyond:
    shift = 2 low - median, low being the value that 2 % are below. Depth networks are not changed.

    The cost: the true far end of an image is anything from the median itself to the sky, so a scale
    alone fits worse than a scale and a shift. docs/model_card.md has figures.
    """
    values = relative.values.astype(np.float32, copy=False)
    if relative.kind == "depth":
        return np.where(np.isfinite(values) & (values > 0), values, np.float32(np.nan))
    inverse = positive_inverse(values)
    out = None if inverse is values else inverse
    return np.asarray(np.divide(np.float32(1), inverse, out=out))  # twice as fast as np.reciprocal


def metres_of(relative: RelativeDepth) -> FloatArray:
    """Depth (H, W) float32 in metres of a metric network; NaN where it gives none, or an infinite one."""
    values = np.array(relative.values, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = 1 / values if relative.kind == "inverse_depth" else values
        depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return np.asarray(depth)


def positive_inverse(values: FloatArray) -> FloatArray:
    """Positive inverse depth (H, W) float32, 1 / ``positive_depth`` of an inverse-depth map.

    The map itself if it is positive; else a new array.
    """
    shift, floor = zero_of(values)
    lowest, highest = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    known = np.isfinite(lowest) and np.isfinite(highest)
    if known and shift == 0 and lowest >= floor:
        return values
    inverse = values - np.float32(shift)
    if known:
        cv2.max(inverse, floor, inverse)  # four times as fast, but does not keep NaN
    else:
        np.maximum(inverse, np.float32(floor), out=inverse)
        inverse[~np.isfinite(values)] = np.nan
    return np.asarray(inverse)


def far_end_shift(low: Any, median: Any) -> Any:
    """The shift that puts inverse depth ``low`` at twice the median depth: median - shift = 2 (low - shift).

    Of numbers and tensors alike.
    """
    return 2 * low - median


def zero_of(values: FloatArray) -> tuple[float, float]:
    """Shift and floor of an inverse-depth map (H, W), as in ``positive_depth``; NaN if the map is all NaN.

    Computed from about 5,000 pixels on a grid: all of them take fifty times as long and give the same.
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
        shift = far_end_shift(low, median)
    # Where half of a map is at its far end (sky), the median tells nothing; a map of zeros is constant.
    floor = max((median - shift) / FARTHEST, (float(sample.max()) - shift) / FARTHEST**2)
    return shift, floor or 1.0


def is_far(depth: FloatArray) -> bool:
    """Whether more than a fifth of the known depth, metres in any shape, is over 10 m: mostly outdoors."""
    known = np.count_nonzero(~np.isnan(depth))
    return bool(np.count_nonzero(depth > INDOORS_M) > _FAR_PART * known)


def published(metric: MetricDepth, config: Config) -> MetricDepth:
    """A solver's result as it is given out: within the depth limits, without what is uncertain; in place."""
    return without_doubtful(within_limits(metric, config.solver), config.output.max_relative_sigma)


def without_doubtful(metric: MetricDepth, most: float) -> MetricDepth:
    """A result with depth and sigma NaN where sigma is more than ``most`` of the depth; in place.

    ``info`` gains "left_out", the part of the known depth that this was. With ``most`` 0, or without a sigma,
    nothing changes.
    """
    if not most or metric.sigma is None:
        return metric
    # Not "more than": a sigma that is NaN is no certainty.
    certain = metric.sigma <= np.float32(most) * metric.depth
    known = max(int(np.count_nonzero(~np.isnan(metric.depth))), 1)
    for values in (metric.depth, metric.sigma):
        np.copyto(values, np.float32(np.nan), where=~certain)
    left_out = 1 - int(np.count_nonzero(certain)) / known
    return replace(metric, info={**metric.info, "left_out": left_out})


def within_limits(metric: MetricDepth, config: SolverConfig) -> MetricDepth:
    """A solver's result with depth and sigma NaN outside ``min_depth_m`` to ``max_depth_m``; in place."""
    depth, lowest_m, highest_m = metric.depth, config.min_depth_m, config.max_depth_m
    if not (lowest_m <= depth.min(initial=highest_m) and depth.max(initial=lowest_m) <= highest_m):  # or NaN
        inside = cv2.inRange(depth, *(float(np.float32(limit)) for limit in (lowest_m, highest_m)))
        if cv2.countNonZero(inside) < depth.size:
            np.copyto(depth, np.float32(np.nan), where=np.equal(inside, 0))
    if metric.sigma is not None:
        np.copyto(metric.sigma, np.float32(np.nan), where=np.isnan(depth))
    return metric

"""The limits of depth, applied once to a solver's answer."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.types import FloatArray, MetricDepth


def within_limits(metric: MetricDepth, config: SolverConfig) -> MetricDepth:
    """The answer with depth and sigma NaN outside ``min_depth_m`` to ``max_depth_m``; changed in place."""
    depth = _limited(metric.depth, config.min_depth_m, config.max_depth_m)
    if metric.sigma is not None:
        np.copyto(metric.sigma, np.float32(np.nan), where=np.isnan(depth))
    return replace(metric, depth=depth)


def _limited(depth: FloatArray, lowest_m: float, highest_m: float) -> FloatArray:
    if lowest_m <= depth.min(initial=highest_m) and depth.max(initial=lowest_m) <= highest_m:
        return depth  # not where any is NaN
    inside = cv2.inRange(depth, *(float(np.float32(limit)) for limit in (lowest_m, highest_m)))
    if cv2.countNonZero(inside) < depth.size:
        np.copyto(depth, np.float32(np.nan), where=np.equal(inside, 0))
    return depth

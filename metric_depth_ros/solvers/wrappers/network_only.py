"""The network's own metres, where there is nothing to fit them to."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers.fitting.domain import limited
from metric_depth_ros.types import MetricDepth, RelativeDepth


def unfitted(relative: RelativeDepth, config: SolverConfig) -> MetricDepth:
    """Depth (H, W) in metres of a metric network; NaN where it is unknown and outside the configured range.

    Raises:
        AnchorError: the network's depth is relative.
    """
    if not relative.metric:
        raise AnchorError(
            "anchors: 0 usable, and the network has no metres of its own (metric: false in its manifest); "
            "needed anchors. Set anchors.min_count to 1 or more, or take a metric network."
        )
    depth = np.array(relative.values, np.float32)
    if relative.kind == "inverse_depth":
        with np.errstate(divide="ignore"):
            depth = np.where(depth > 0, 1 / depth, np.float32(np.nan))
    focus = {"focus_m": config.focus_m} if config.focus_m else {}
    return MetricDepth(limited(depth, config.min_depth_m, config.max_depth_m), info={"anchors": 0, **focus})

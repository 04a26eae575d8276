"""Metric depth of the network itself, for images without anchors."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.errors import AnchorError
from metric_depth_ros.types import MetricDepth, SolverInput


def network_only(given: SolverInput) -> MetricDepth:
    """Depth (H, W) in metres of a metric network; NaN where it is unknown.

    Raises:
        AnchorError: the network's depth is relative.
    """
    relative = given.relative
    if not relative.metric:
        raise AnchorError(
            "anchors: 0 usable, and the network has no metres of its own (metric: false in its manifest); "
            "needed anchors. Set anchors.min_count to 1 or more, or take a metric network."
        )
    depth = np.array(relative.values, np.float32)
    if relative.kind == "inverse_depth":
        with np.errstate(divide="ignore"):
            depth = np.where(depth > 0, 1 / depth, np.float32(np.nan))
    focus = {"focus_m": given.focus_m} if given.focus_m else {}
    return MetricDepth(depth, info={"anchors": 0, **focus})

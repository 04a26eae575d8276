"""Error of metric depth at held-out points."""

from __future__ import annotations

import dataclasses

import numpy as np

from metric_depth_ros.anchors import build_anchors
from metric_depth_ros.config import AnchorsConfig
from metric_depth_ros.evaluation.metrics import abs_rel, coverage
from metric_depth_ros.types import Camera, FloatArray


def held_out_error(
    depth: FloatArray, camera: Camera, points_camera: FloatArray, config: AnchorsConfig
) -> tuple[float, float]:
    """AbsRel of a depth image (H, W) at points (N, 3) in its camera's frame, and the fraction covered.

    Points outside the image or the anchors' depth range, and occluded points, do not count; NaN if none is
    left.
    """
    truth = build_anchors(points_camera, camera, dataclasses.replace(config, grid_px=0))
    u, v = np.rint(truth.uv).astype(np.intp).T
    found = depth[v, u]
    return abs_rel(found, truth.depth), coverage(found, truth.depth)

"""Error of metric depth at held-out points."""

from __future__ import annotations

import dataclasses

import numpy as np

from metric_depth_ros.anchors import build_anchors, depth_sigma
from metric_depth_ros.config import AnchorsConfig
from metric_depth_ros.evaluation.metrics import abs_rel, coverage
from metric_depth_ros.geometry import unproject
from metric_depth_ros.types import Anchors, Camera, FloatArray, Sample


def held_out(sample: Sample, camera: Camera, config: AnchorsConfig) -> Anchors | None:
    """Pixels of a camera's image whose depth was hidden from the solver; None: the sample has none.

    Those of the true depth or, without one, the held-out points that the camera sees, both within the
    anchors' depth range and in no particular order.
    """
    if sample.true_depth is not None:
        v, u = np.nonzero(np.isfinite(sample.true_depth))
        uv, depth = np.column_stack([u, v]).astype(np.float32), sample.true_depth[v, u]
        if camera is sample.camera:
            near = (depth >= config.min_depth_m) & (depth <= config.max_depth_m)
            return Anchors(uv, depth, depth_sigma(depth, config)).take(np.flatnonzero(near))
        points = unproject(uv, depth, sample.camera)
        # The image's own pixels hide nothing from each other.
        return build_anchors(points, camera, dataclasses.replace(config, grid_px=0, occlusion_window_px=0))
    if sample.points_held_out is None:
        return None
    return build_anchors(sample.points_held_out, camera, dataclasses.replace(config, grid_px=0))


def error_at(depth: FloatArray, truth: Anchors) -> tuple[float, float]:
    """AbsRel of a depth image (H, W) at pixels of known depth, and the fraction covered; NaN without any."""
    u, v = np.rint(truth.uv).astype(np.intp).T
    found = depth[v, u]
    return abs_rel(found, truth.depth), coverage(found, truth.depth)


def held_out_error(
    depth: FloatArray, camera: Camera, points_camera: FloatArray, config: AnchorsConfig
) -> tuple[float, float]:
    """AbsRel of a depth image (H, W) at points (N, 3) in its camera's frame, and the fraction covered.

    Points outside the image or the anchors' depth range, and occluded points, do not count; NaN if none is
    left.
    """
    return error_at(depth, build_anchors(points_camera, camera, dataclasses.replace(config, grid_px=0)))

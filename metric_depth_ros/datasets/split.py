"""Splits points into anchors and held-out points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import project, transform_points, unproject
from metric_depth_ros.types import Camera, FloatArray, IntArray

CAMERA_FRAME = "camera_optical"
LIDAR_FRAME = "lidar"
_MOST_HELD_OUT = 10_000


@dataclass(frozen=True, eq=False)
class Split:
    """Anchors and held-out points, each (N, 3) in metres in the same frame; no point is in both."""

    anchors: FloatArray
    held_out: FloatArray
    frame_id: str


def split_lidar(
    points_lidar: FloatArray,
    T_camera_lidar: FloatArray,
    camera: Camera,
    hold_out: float,
    anchors: int,
    generator: np.random.Generator,
) -> Split:
    """Holds out the fraction ``hold_out`` of the points inside the image, chosen at random.

    Points outside the image stay anchors, as a LiDAR measures them too; if ``anchors`` is above 0, the
    anchors are that many random points inside.

    Raises:
        InputError: ``hold_out`` is not in [0, 1).
    """
    if not 0 <= hold_out < 1:
        raise InputError(f"hold-out: {hold_out}; needed a fraction from 0 to below 1.")
    uv, _ = project(transform_points(T_camera_lidar, points_lidar), camera)
    seen = np.flatnonzero(inside_image(uv, camera.width, camera.height))
    drawn = generator.permutation(seen)
    held_out = np.sort(drawn[: round(hold_out * len(drawn))])
    if anchors:
        kept = np.sort(drawn[len(held_out) :][:anchors])
    else:
        kept = np.setdiff1d(np.arange(len(points_lidar)), held_out)
    return Split(points_lidar[kept], points_lidar[held_out], LIDAR_FRAME)


def split_depth(depth: FloatArray, camera: Camera, anchors: int, generator: np.random.Generator) -> Split:
    """Split of a depth image: ``anchors`` random pixels (0: half), and up to 10000 of the others held out."""
    drawn = generator.permutation(np.flatnonzero(np.isfinite(depth)))
    count = anchors or len(drawn) // 2
    kept, held_out = drawn[:count], drawn[count:][:_MOST_HELD_OUT]
    return Split(_points(depth, kept, camera), _points(depth, held_out, camera), CAMERA_FRAME)


def split_sparse(
    sparse: FloatArray,
    depth: FloatArray | None,
    camera: Camera,
    anchors: int,
    generator: np.random.Generator,
) -> Split:
    """Split of sparse depth: ``anchors`` of its pixels (0: all); up to 10000 of the true depth are held out.

    Those are of other pixels than the sparse depth has; without true depth there are none.
    """
    drawn = generator.permutation(np.flatnonzero(np.isfinite(sparse)))
    kept = _points(sparse, drawn[: anchors or None], camera)
    if depth is None:
        return Split(kept, kept[:0], CAMERA_FRAME)
    others = generator.permutation(np.flatnonzero(np.isfinite(depth) & ~np.isfinite(sparse)))
    return Split(kept, _points(depth, others[:_MOST_HELD_OUT], camera), CAMERA_FRAME)


def _points(depth: FloatArray, chosen: IntArray, camera: Camera) -> FloatArray:
    """Points (N, 3) of pixels (N,) of a depth image by their places in it, row by row."""
    v, u = np.divmod(np.sort(chosen), depth.shape[1])
    return unproject(np.stack([u, v], axis=1).astype(np.float32), depth[v, u], camera)

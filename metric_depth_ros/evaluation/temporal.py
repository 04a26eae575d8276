"""Temporal metrics: how much depth changes from one frame of a sequence to the next, without reason.

All are of two frames of a static scene, numbers near 0 (a change of .01 is 1 %), 0 for true depth. A point
without depth in either frame counts as a change of factor two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.evaluation.metrics import MISSING_RATIO
from metric_depth_ros.geometry import project, transform_points, unproject
from metric_depth_ros.types import Camera, FloatArray, IntArray

_LOST = math.log(MISSING_RATIO)
# Two frames see the same point where their true depths agree to this part.
_SAME = 0.02


@dataclass(frozen=True, eq=False)
class Moment:
    """Depth of one frame, to compare with the next one's.

    Attributes:
        depth, truth: (H, W) metres, NaN unknown.
        camera, T_world_camera: None if unknown.
        scene: name of the sequence; frames of different ones are not compared.
        from_lidar: whether truth is single points, not an image.
    """

    depth: FloatArray
    truth: FloatArray
    camera: Camera | None = None
    T_world_camera: FloatArray | None = None
    scene: str = ""
    from_lidar: bool = False


def scale_jitter(before: Moment, now: Moment) -> float:
    """Change of the scale: |g - g'|, g the median of ln d - ln d* over the known pixels of a frame.

    Needs no poses. NaN for frames of different scenes, or without known pixels.
    """
    if before.scene != now.scene or not all(np.isfinite(each.truth).any() for each in (before, now)):
        return float("nan")
    levels = []
    for error in (_log_error(before), _log_error(now)):
        if not np.isfinite(error).any():
            return _LOST
        levels.append(np.nanmedian(error))
    return float(abs(levels[1] - levels[0]))


def flicker(before: Moment, now: Moment) -> float:
    """Mean change of the error at one true point: |e' - e|, e = ln d - ln d*.

    The poses move the true points of one frame into the next; both see those whose true depth is the same
    there to 2 %. NaN without poses or such points.
    """
    if not _posed(before, now):
        return float("nan")
    pixels, depth, moved = _moved(before, now, before.truth)
    u, v = moved
    seen = np.abs(now.truth[v, u] / depth - 1) < _SAME
    change = np.abs(_log_error(now)[v, u] - _log_error(before).ravel()[pixels])[seen]
    return float(np.where(np.isfinite(change), change, _LOST).mean()) if change.size else float("nan")


def tae(before: Moment, now: Moment) -> float:
    """Temporal alignment error: AbsRel of depth moved by the poses into the other frame beside that frame's.

    The mean of both directions (Chen et al. 2025, "Video Depth Anything", TAE), at pixels with known true
    depth; of points that fall on one pixel the nearest counts. NaN without poses or common points.
    """
    if not _posed(before, now):
        return float("nan")
    return (_alignment_error(before, now) + _alignment_error(now, before)) / 2


def _alignment_error(one: Moment, other: Moment) -> float:
    depth = np.where(np.isfinite(one.truth), one.depth, np.nan)
    lost = np.count_nonzero(np.isfinite(one.truth) & ~(one.depth > 0))
    _, moved_depth, (u, v) = _moved(one, other, depth)
    nearest = np.full(other.depth.shape, np.inf)
    np.minimum.at(nearest, (v, u), moved_depth)
    target = np.isfinite(nearest) & np.isfinite(other.truth)
    theirs = other.depth[target]
    errors = np.abs(nearest[target] - theirs) / theirs
    charged = np.where(theirs > 0, errors, MISSING_RATIO - 1)
    total = charged.size + lost
    return float((charged.sum() + lost * (MISSING_RATIO - 1)) / total) if total else float("nan")


def _log_error(moment: Moment) -> FloatArray:
    """ln d - ln d* (H, W); NaN where either is unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.log(moment.depth / moment.truth)
    return np.where(np.isfinite(error), error, np.nan)


def _posed(before: Moment, now: Moment) -> bool:
    poses = (before.T_world_camera, now.T_world_camera, before.camera, now.camera)
    return before.scene == now.scene and all(each is not None for each in poses)


def _moved(one: Moment, other: Moment, depth: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Pixels of one frame with depth (H, W) as the other sees them.

    Returns:
        Flat indices (N,) of those that the other's image contains, their depths (N,) there and their pixels
        (2, N), u and v.
    """
    assert one.camera is not None and other.camera is not None
    assert one.T_world_camera is not None and other.T_world_camera is not None
    v, u = np.nonzero(np.isfinite(depth) & (depth > 0))
    T_other_one = np.linalg.inv(other.T_world_camera) @ one.T_world_camera
    points = unproject(np.stack([u, v], axis=1), depth[v, u], one.camera)
    uv, moved_depth = project(transform_points(T_other_one, points), other.camera)
    height, width = other.depth.shape
    inside = np.flatnonzero(inside_image(uv, width, height))
    index = v[inside] * depth.shape[1] + u[inside]
    return index, moved_depth[inside], np.rint(uv[inside]).astype(np.intp).T

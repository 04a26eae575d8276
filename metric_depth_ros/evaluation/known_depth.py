"""Pixels of an image with known depth, and their elevation angles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metric_depth_ros.anchors import build_anchors, depth_sigma, inside_image
from metric_depth_ros.config import AnchorsConfig
from metric_depth_ros.datasets import Frame
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.geometry import project, transform_points, unproject
from metric_depth_ros.types import Anchors, BoolArray, Camera, FloatArray, ImageArray, IntArray

# Sigma of the anchors for the solvers; the anchors are ground truth from various sensors.
_SENSOR = AnchorsConfig(grid_px=0, sigma_base_m=0.0, sigma_relative=0.02)
# White frame around an image: smallest pixel value, smallest fraction of an edge, assumed width.
_WHITE = 240
_WHITE_PART = 0.9
_FRAME_PX = 12


@dataclass(frozen=True)
class TruthRules:
    """What of the known depth counts, where it is not what the dataset or the place says.

    Attributes:
        limits_m: nearest and farthest depth, metres; None: the dataset's, or those of the place.
        anchor_pixels: whether pixels with an anchor are evaluated too, as in papers 000 and 001.

    Raises:
        ConfigError: the limits are no range.
    """

    limits_m: tuple[float, float] | None = None
    anchor_pixels: bool = False

    def __post_init__(self) -> None:
        near, far = self.limits_m or (0.0, 1.0)
        if not 0 <= near < far < float("inf"):
            raise ConfigError(f"limits: {near:g} to {far:g} m; needed a range from 0, as .001,10.")


@dataclass(frozen=True, eq=False)
class KnownDepth:
    """All pixels of one image with known depth, for drawing anchors and for evaluation.

    Attributes:
        pixels: N pixels as anchors; whole pixels of a depth image, or projected LiDAR points.
        width, height: of the image.
        elevation: (N,) radians above the sensor's horizon: of the LiDAR's ring, or of the row of the
            depth image.
        from_lidar: whether they are points of one sweep, or its image; if not, pixels of a depth image.
        image: (H, W, 3) uint8 RGB, to find corners in; None: not given.
        measured: what a sensor measured apart from the true depth; None: nothing.
        anchor_pixels: whether pixels with an anchor are evaluated too.
    """

    pixels: Anchors
    width: int
    height: int
    elevation: FloatArray
    from_lidar: bool
    image: ImageArray | None = None
    measured: Anchors | None = None
    anchor_pixels: bool = False

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def depth_image(self) -> FloatArray:
        """Known depth as an image (H, W), metres, NaN elsewhere."""
        depth = np.full((self.height, self.width), np.nan)
        u, v = np.rint(self.pixels.uv).astype(np.intp).T
        depth[v, u] = self.pixels.depth
        return depth


def known_pixels(frame: Frame) -> Anchors:
    """Known pixels of the depth image or, without one, LiDAR points visible to the camera; else none.

    Points are projected, and occluded ones dropped, as in the pipeline, but they are not thinned out. Sigma
    is 2 % of the depth. Pixels of the sky have none.
    """
    if frame.depth is not None:
        return _pixels(frame.depth if frame.sky is None else np.where(frame.sky, np.nan, frame.depth))
    return _points(frame)


def measured_pixels(frame: Frame) -> Anchors | None:
    """What a sensor measured apart from the true depth: sparse depth, else the LiDAR's points; None: nothing.

    Points are treated as those of ``known_pixels``. A sweep that is itself the truth does not count.

    Raises:
        InputError: the sparse depth is not of the image's size.
    """
    if frame.sparse_depth is not None:
        if frame.sparse_depth.shape != frame.image.shape[:2]:
            found, needed = frame.sparse_depth.shape, frame.image.shape[:2]
            raise InputError(f"frame {frame.id}: sparse depth {found}; needed {needed}, the image's size.")
        return _pixels(frame.sparse_depth)
    apart = frame.depth is not None and not frame.depth_is_sweep and frame.points_lidar is not None
    return _points(frame) if apart else None


def _pixels(depth: FloatArray) -> Anchors:
    v, u = np.nonzero(np.isfinite(depth) & (depth > 0))
    found = depth[v, u].astype(np.float32)
    return Anchors(np.column_stack([u, v]).astype(np.float32), found, depth_sigma(found, _SENSOR))


def _points(frame: Frame) -> Anchors:
    if frame.points_lidar is None or frame.T_camera_lidar is None or frame.camera is None:
        nothing = np.empty(0, np.float32)
        return Anchors(np.empty((0, 2), np.float32), nothing, nothing)
    return build_anchors(transform_points(frame.T_camera_lidar, frame.points_lidar), frame.camera, _SENSOR)


def unusable_border_px(image: ImageArray) -> int:
    """Width of the unusable image border in pixels: 12 if the image (H, W, 3) has a white frame, as in NYU.

    The frame is about 8 pixels wide, and a network's depth beside it is as bad as on it.
    """
    edges = (image[0], image[-1], image[:, 0], image[:, -1])
    framed = all((edge >= _WHITE).all(axis=1).mean() > _WHITE_PART for edge in edges)
    return _FRAME_PX if framed else 0


def known_depth(
    frame: Frame,
    pixels: Anchors,
    *,
    limits_m: tuple[float, float],
    border_px: int = 0,
    mask: BoolArray | None = None,
    anchor_pixels: bool = False,
) -> KnownDepth:
    """Known pixels that count: within limits and a mask, and off the edges of the image.

    Args:
        frame: of the pixels.
        pixels: from ``known_pixels``.
        limits_m: nearest and farthest depth, metres, both included.
        border_px: least distance from the edges.
        mask: (H, W), the pixels that count; None: all.
        anchor_pixels: of the result.

    Raises:
        InputError: the mask is not of the image's size.
    """
    height, width = frame.image.shape[:2]
    if mask is not None and mask.shape != (height, width):
        raise InputError(f"frame {frame.id}: mask {mask.shape}; needed {(height, width)}, the image's size.")
    counts = _within(pixels, limits_m)
    counts &= ((pixels.uv >= border_px) & (pixels.uv <= np.array([width - 1, height - 1]) - border_px)).all(1)
    if mask is not None:
        u, v = np.rint(pixels.uv).astype(np.intp).T
        counts &= mask[v, u]
    pixels = pixels.take(counts)
    from_lidar = frame.depth is None or frame.depth_is_sweep
    elevation = _ring_elevation(frame, pixels) if from_lidar else _row_elevation(frame, pixels)
    measured = measured_pixels(frame)
    if measured is not None:
        measured = measured.take(_within(measured, limits_m))
    return KnownDepth(pixels, width, height, elevation, from_lidar, frame.image, measured, anchor_pixels)


def _within(pixels: Anchors, limits_m: tuple[float, float]) -> BoolArray:
    near, far = limits_m
    within: BoolArray = (pixels.depth >= near) & (pixels.depth <= far)
    return within


def _row_elevation(frame: Frame, pixels: Anchors) -> FloatArray:
    """Elevation (N,) of the image row at its middle column; without intrinsics f = image width."""
    height, width = frame.image.shape[:2]
    centre, focal = (height - 1) / 2, float(width)
    if frame.camera is not None:
        centre, focal = float(frame.camera.K[1, 2]), float(frame.camera.K[1, 1])
    return np.asarray(np.arctan2(centre - pixels.uv[:, 1], focal))


def _ring_elevation(frame: Frame, pixels: Anchors) -> FloatArray:
    """Elevation (N,) in the LiDAR's own frame, z up."""
    if not len(pixels) or frame.camera is None or frame.T_camera_lidar is None:
        return np.empty(0)
    if frame.depth_is_sweep and frame.points_lidar is not None:
        points = _projected(frame.points_lidar, frame.T_camera_lidar, frame.camera, pixels)
    else:
        seen = unproject(pixels.uv, pixels.depth, frame.camera).astype(np.float64)
        points = transform_points(np.linalg.inv(frame.T_camera_lidar), seen)
    x, y, z = points.T
    return np.asarray(np.arctan2(z, np.hypot(x, y)))


def _projected(
    points_lidar: FloatArray, T_camera_lidar: FloatArray, camera: Camera, pixels: Anchors
) -> FloatArray:
    """The points (N, 3) of a sweep that its image shows at whole pixels: the nearest on each.

    A whole pixel alone tells an elevation no better than its size, often more than the width of a ring.
    """
    uv, depth = project(transform_points(T_camera_lidar, points_lidar), camera)
    pixel = np.rint(uv)
    seen = np.flatnonzero(inside_image(pixel, camera.width, camera.height))
    seen = seen[np.argsort(-depth[seen], kind="stable")]
    nearest = np.zeros(camera.width * camera.height, np.intp)
    nearest[pixel_index(pixel[seen], camera.width)] = seen  # of points on one pixel the last is kept
    return points_lidar[nearest[pixel_index(pixels.uv, camera.width)], :3].astype(np.float64)


def pixel_index(uv: FloatArray, width: int) -> IntArray:
    """Flat index (N,) of the pixels nearest to uv (N, 2) in an image of this width."""
    u, v = np.rint(uv).astype(np.intp).T
    return np.asarray(v * width + u)

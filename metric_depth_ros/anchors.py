"""From points in the camera's frame to anchors: project, reject, thin out, weigh."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.config import AnchorsConfig
from metric_depth_ros.geometry import project
from metric_depth_ros.types import Anchors, BoolArray, Camera, FloatArray, IntArray

# Cells of the depth buffer that finds occluded points, in pixels: small enough that the ground, seen
# at a grazing angle, stays within occlusion_ratio inside one cell.
_CELL_PX = 2


def build_anchors(points_camera: FloatArray, camera: Camera, config: AnchorsConfig) -> Anchors:
    """The usable pixels of a cloud, in no particular order.

    Args:
        points_camera: (N, 3) metres in the optical frame; rows that are not finite are dropped.
        camera: the image the anchors are for, distorted or not.
        config: depth range, occlusion window, thinning grid and the sensor's sigma model,
            sigma = sqrt(base^2 + (relative * z)^2 + (quadratic * z^2)^2).
    """
    z = points_camera[:, 2]
    points = points_camera[(z >= config.min_depth_m) & (z <= config.max_depth_m)]
    uv, depth = project(points, camera)
    inside = inside_image(uv, camera.width, camera.height)
    uv, depth = uv[inside], depth[inside]
    if config.occlusion_window_px:
        seen = ~occluded(uv, depth, camera, config.occlusion_window_px, config.occlusion_ratio)
        uv, depth = uv[seen], depth[seen]
    if config.grid_px:
        kept = thinned(uv, depth, camera, config.grid_px)
        uv, depth = uv[kept], depth[kept]
    variance = (
        config.sigma_base_m**2
        + (config.sigma_relative * depth) ** 2
        + (config.sigma_quadratic * depth**2) ** 2
    )
    return Anchors(uv, depth, np.sqrt(variance, dtype=np.float32))


def inside_image(uv: FloatArray, width: int, height: int) -> BoolArray:
    """(N,) whether pixels lie between the centres of the border pixels; NaN does not."""
    u, v = uv[:, 0], uv[:, 1]
    inside: BoolArray = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    return inside


def occluded(uv: FloatArray, depth: FloatArray, camera: Camera, window_px: int, ratio: float) -> BoolArray:
    """(N,) whether the camera cannot see a point that the LiDAR sees: parallax between the two.

    A point is occluded when clearly nearer points (below (1 - ratio) of its depth) lie on two opposite
    sides of it within the window: above and below, or left and right. One side alone is no proof: on
    the ground every point has nearer ones below it, at an object's edge the background has them on
    one side.
    """
    rows, columns = -(-camera.height // _CELL_PX), -(-camera.width // _CELL_PX)
    cell = np.floor(uv[:, 1] / _CELL_PX).astype(np.intp) * columns + np.floor(uv[:, 0] / _CELL_PX).astype(np.intp)
    order = np.argsort(-depth, kind="stable")
    nearest = np.full(rows * columns, np.inf, np.float32)
    nearest[cell[order]] = depth[order]  # the last write to a cell is its nearest point
    nearest = nearest.reshape(rows, columns)

    reach = max(1, window_px // _CELL_PX)
    vertical = np.ones((reach, 3), np.uint8)
    above = np.full_like(nearest, np.inf)
    above[1:] = cv2.erode(nearest, vertical, anchor=(1, reach - 1))[:-1]
    below = np.full_like(nearest, np.inf)
    below[:-1] = cv2.erode(nearest, vertical, anchor=(1, 0))[1:]
    left = np.full_like(nearest, np.inf)
    left[:, 1:] = cv2.erode(nearest, vertical.T, anchor=(reach - 1, 1))[:, :-1]
    right = np.full_like(nearest, np.inf)
    right[:, :-1] = cv2.erode(nearest, vertical.T, anchor=(0, 1))[:, 1:]

    surrounded = np.minimum(np.maximum(above, below), np.maximum(left, right))
    hidden: BoolArray = surrounded.reshape(-1)[cell] < depth * (1 - ratio)
    return hidden


def thinned(uv: FloatArray, depth: FloatArray, camera: Camera, grid_px: int) -> IntArray:
    """Indices of at most one point per grid square: the one nearest to the square's centre."""
    columns = -(-camera.width // grid_px)
    square = np.floor(uv / grid_px).astype(np.intp)
    offset = uv - (square + 0.5) * grid_px
    order = np.lexsort((-depth, -np.sum(offset**2, axis=1)))
    chosen = np.full(columns * (-(-camera.height // grid_px)), -1, np.intp)
    chosen[square[order, 1] * columns + square[order, 0]] = order
    return chosen[chosen >= 0]


def focused(anchors: Anchors, focus_m: float, width: float) -> Anchors:
    """The anchors with sigma widened away from ``focus_m``, so that solvers fit best there.

    Ours: a misfit of 10 % of the depth, as solvers assume anyway, times exp(z^2 / 2) - 1 with
    z = ln(depth / focus_m) / width, is added in quadrature. ``focus_m`` 0 changes nothing.
    """
    if not focus_m:
        return anchors
    away = np.minimum((np.log(anchors.depth / focus_m) / width) ** 2 / 2, 7.0)
    widening = 0.1 * anchors.depth * np.expm1(away)
    return Anchors(anchors.uv, anchors.depth, np.hypot(anchors.sigma, widening).astype(np.float32))


def sample_bilinear(values: FloatArray, uv: FloatArray) -> FloatArray:
    """(N,) float32 values of a map (H, W) at pixels (N, 2).

    NaN outside the map and where one of the pixels used is NaN.
    """
    height, width = values.shape
    sampled = np.full(len(uv), np.nan, np.float32)
    inside = inside_image(uv, width, height)
    u, v = uv[inside, 0], uv[inside, 1]
    u0, v0 = np.floor(u).astype(np.intp), np.floor(v).astype(np.intp)
    u1, v1 = np.minimum(u0 + 1, width - 1), np.minimum(v0 + 1, height - 1)
    du, dv = u - u0, v - v0
    top = _mix(values[v0, u0], values[v0, u1], du)
    bottom = _mix(values[v1, u0], values[v1, u1], du)
    sampled[inside] = _mix(top, bottom, dv)
    return sampled


def _mix(a: FloatArray, b: FloatArray, fraction: FloatArray) -> FloatArray:
    """a + (b - a) * fraction, where a neighbour of weight zero does not matter even when it is NaN."""
    return np.where(fraction > 0, a + (b - a) * fraction, a)

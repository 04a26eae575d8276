"""Turns points in the camera's frame into anchors: project, reject, thin out, set sigma."""

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
    """Anchors from the usable points of a cloud, in no particular order.

    Args:
        points_camera: (N, 3) metres in the optical frame; rows that are not finite are dropped.
        camera: the image the anchors are for, distorted or not.
        config: depth range, occlusion window, thinning grid and the sensor's sigma.
    """
    uv, depth = project(points_camera, camera)
    usable = inside_image(uv, camera.width, camera.height)
    usable &= (depth >= config.min_depth_m) & (depth <= config.max_depth_m)
    chosen = np.flatnonzero(usable)
    uv, depth = uv[chosen], depth[chosen]
    if config.occlusion_window_px:
        hidden = occluded(uv, depth, camera, config.occlusion_window_px, config.occlusion_ratio)
        seen = np.flatnonzero(~hidden)
        uv, depth = uv[seen], depth[seen]
    if config.grid_px:
        kept = thinned(uv, depth, camera, config.grid_px)
        uv, depth = uv[kept], depth[kept]
    return Anchors(uv, depth, depth_sigma(depth, config))


def depth_sigma(depth: FloatArray, config: AnchorsConfig) -> FloatArray:
    """Sigma (N,) float32 in metres at depths z (N,): sqrt(base^2 + (relative z)^2 + (quadratic z^2)^2)."""
    variance = (
        config.sigma_base_m**2
        + (config.sigma_relative * depth) ** 2
        + (config.sigma_quadratic * depth**2) ** 2
    )
    sigma: FloatArray = np.sqrt(variance, dtype=np.float32)
    return sigma


def inside_image(uv: FloatArray, width: int, height: int) -> BoolArray:
    """Mask (N,) of pixels inside the image, between the centres of its border pixels; False for NaN."""
    u, v = uv[:, 0], uv[:, 1]
    inside: BoolArray = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    return inside


def occluded(uv: FloatArray, depth: FloatArray, camera: Camera, window_px: int, ratio: float) -> BoolArray:
    """Mask (N,) of points that the LiDAR sees and the camera does not, because of parallax.

    A point is occluded when clearly nearer points (below (1 - ratio) of its depth) lie on two opposite
    sides of it within the window: above and below, or left and right. One side alone is no proof: on
    the ground every point has nearer ones below it, at an object's edge the background has them on
    one side.
    """
    rows, columns = -(-camera.height // _CELL_PX), -(-camera.width // _CELL_PX)
    cell = _square(uv, _CELL_PX, columns)
    nearest = _lowest(depth, cell, rows * columns).reshape(rows, columns)

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
    squares = columns * -(-camera.height // grid_px)
    square = _square(uv, grid_px, columns)
    offset = np.mod(uv, grid_px) - grid_px / 2
    distance = np.einsum("ni,ni->n", offset, offset)
    first = np.flatnonzero(distance <= _lowest(distance, square, squares)[square])
    # Of several at one place the nearest to the camera is kept, independent of their order.
    first = first[depth[first] <= _lowest(depth[first], square[first], squares)[square[first]]]
    chosen = np.full(squares, -1, np.intp)
    chosen[square[first]] = first
    return chosen[chosen >= 0]


def _square(uv: FloatArray, size_px: int, columns: int) -> IntArray:
    """Index (N,) of the grid square that holds each pixel (N, 2); squares are counted row by row."""
    across, down = ((uv[:, axis] / np.float32(size_px)).astype(np.intp) for axis in (0, 1))
    return np.asarray(down * columns + across)


def _lowest(values: FloatArray, cell: IntArray, cells: int) -> FloatArray:
    """Smallest value of each cell, (cells,); infinite for an empty one."""
    lowest = np.full(cells, np.inf, values.dtype)
    np.minimum.at(lowest, cell, values)
    return lowest


def sample_bilinear(values: FloatArray, uv: FloatArray) -> FloatArray:
    """Values (N,) float32 of a map (H, W) at pixels (N, 2), bilinear.

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
    """Linear interpolation a + (b - a) * fraction; where fraction is 0, b may be NaN."""
    return np.where(fraction > 0, a + (b - a) * fraction, a)

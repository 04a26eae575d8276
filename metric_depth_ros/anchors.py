"""Turns points in the camera's frame into anchors: project, reject, thin out, set sigma."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from metric_depth_ros.config import AnchorsConfig, Config, anchors_of
from metric_depth_ros.geometry import possibly_seen, project
from metric_depth_ros.types import Anchors, BoolArray, Camera, FloatArray, IntArray, SourcePoints

# Cells of the depth buffer that finds occluded points, in pixels: small enough that the ground, seen
# at a grazing angle, stays within occlusion_ratio inside one cell.
_CELL_PX = 2
# Anchors of two sources see the same place if they share a square of so many pixels.
_PLACE_PX = 16


def anchors_by_source(sources: Sequence[SourcePoints], camera: Camera, config: Config) -> dict[str, Anchors]:
    """Anchors of each source by its name: with its own sigma; its own points alone hide others."""
    return {
        source.name: build_anchors(
            source.points, camera, anchors_of(config, source.name, source.model), source.sigma
        )
        for source in sources
    }


def fuse_anchors(
    by_source: Mapping[str, Anchors], camera: Camera, config: Config
) -> tuple[Anchors, dict[str, int]]:
    """Anchors of all sources together, and how many of them are each source's.

    Where several have anchors in one square of the grid, the one with the smallest sigma relative to its
    depth is kept.
    """
    found = [*by_source.values()]
    if len(found) == 1:
        return found[0], {name: len(found[0]) for name in by_source}
    anchors = Anchors(
        *(np.concatenate([getattr(each, part) for each in found]) for part in ("uv", "depth", "sigma"))
    )
    of_source = np.repeat(np.arange(len(found)), [len(each) for each in found])
    if config.anchors.grid_px:
        square, squares = _squares(anchors.uv, camera, config.anchors.grid_px)
        kept = _least_of_each(square, squares, anchors.sigma / anchors.depth, anchors.depth)
        anchors, of_source = anchors.take(kept), of_source[kept]
    counts = np.bincount(of_source, minlength=len(found)).tolist()
    return anchors, dict(zip(by_source, counts, strict=True))


def in_same_places(a: Anchors, b: Anchors, camera: Camera) -> tuple[IntArray, IntArray]:
    """Indices (M,) of anchors of each that lie in one square, one pair per square that both have."""
    (square_a, _), (square_b, _) = (_squares(each.uv, camera, _PLACE_PX) for each in (a, b))
    _, of_a, of_b = np.intersect1d(square_a, square_b, return_indices=True)
    return of_a, of_b


def build_anchors(
    points_camera: FloatArray, camera: Camera, config: AnchorsConfig, sigma: FloatArray | None = None
) -> Anchors:
    """Anchors from the usable points of a cloud, in no particular order.

    Args:
        points_camera: (N, 3) metres in the optical frame; rows that are not finite are dropped.
        camera: the image the anchors are for, distorted or not.
        config: depth range, occlusion window, thinning grid and the sensor's sigma.
        sigma: (N,) metres, error of each point beside the sensor's; None: none.
    """
    near = possibly_seen(points_camera, camera)
    uv, depth = project(np.take(points_camera, near, axis=0), camera)
    usable = inside_image(uv, camera.width, camera.height)
    usable &= (depth >= config.min_depth_m) & (depth <= config.max_depth_m)
    chosen = np.flatnonzero(usable)
    uv, depth = np.take(uv, chosen, axis=0), depth[chosen]
    noise = depth_sigma(depth, config)
    if sigma is not None:
        noise = np.hypot(noise, sigma[near[chosen]])
    anchors = Anchors(uv, depth, noise)
    if config.occlusion_window_px:
        hidden = occluded(uv, depth, camera, config.occlusion_window_px, config.occlusion_ratio)
        anchors = anchors.take(np.flatnonzero(~hidden))
    if config.grid_px:
        anchors = anchors.take(thinned(anchors.uv, anchors.depth, camera, config.grid_px))
    return anchors


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
    vertical, across = np.ones((reach, 3), np.uint8), np.ones((3, reach), np.uint8)
    # In place: the memory of many arrays of the image's size costs more than what is computed in them.
    above, below, left, right = np.full((4, rows, columns), np.inf, nearest.dtype)
    for seen, kernel, side, anchor in (
        (nearest[:-1], vertical, above[1:], (1, reach - 1)),
        (nearest[1:], vertical, below[:-1], (1, 0)),
        (nearest[:, :-1], across, left[:, 1:], (reach - 1, 1)),
        (nearest[:, 1:], across, right[:, :-1], (0, 1)),
    ):
        if seen.size:
            cv2.erode(seen, kernel, side, anchor=anchor)
    surrounded = np.maximum(above, below, out=above)
    np.minimum(surrounded, np.maximum(left, right, out=left), out=surrounded)
    hidden: BoolArray = surrounded.reshape(-1)[cell] < depth * (1 - ratio)
    return hidden


def thinned(uv: FloatArray, depth: FloatArray, camera: Camera, grid_px: int) -> IntArray:
    """Indices of at most one point per grid square: the one nearest to the square's centre."""
    square, squares = _squares(uv, camera, grid_px)
    offset = uv - (np.floor(uv / np.float32(grid_px)) + np.float32(0.5)) * np.float32(grid_px)
    distance = offset[:, 0] ** 2 + offset[:, 1] ** 2
    # Of several at one place the nearest to the camera is kept, independent of their order.
    return _least_of_each(square, squares, distance, depth)


def _squares(uv: FloatArray, camera: Camera, grid_px: int) -> tuple[IntArray, int]:
    """Index (N,) of the grid square that holds each pixel (N, 2), and the number of squares."""
    columns = -(-camera.width // grid_px)
    return _square(uv, grid_px, columns), columns * -(-camera.height // grid_px)


def _least_of_each(square: IntArray, squares: int, first: FloatArray, second: FloatArray) -> IntArray:
    """Index of one element per square: the one with the lowest ``first``, then the lowest ``second``."""
    least = np.flatnonzero(first <= _lowest(first, square, squares)[square])
    least = least[second[least] <= _lowest(second[least], square[least], squares)[square[least]]]
    chosen = np.full(squares, -1, np.intp)
    chosen[square[least]] = least
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

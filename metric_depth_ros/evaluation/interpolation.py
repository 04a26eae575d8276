"""Control without a network: anchors interpolated over the image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from metric_depth_ros.errors import AnchorError
from metric_depth_ros.geometry import filled
from metric_depth_ros.types import Anchors, BoolArray, FloatArray, IntArray


def interpolate_anchors(anchors: Anchors, width: int, height: int) -> FloatArray:
    """Depth (H, W) in metres: linear on the Delaunay triangles of the anchors, nearest outside them.

    The gain of a solver over this control shows what its network contributes. Anchors at the same pixel
    are averaged. A pixel on a triangle's edge may be off by one pixel's step.

    Raises:
        AnchorError: no anchor lies inside the image.
    """
    uv, depth = _distinct(anchors, width, height)
    if not len(depth):
        raise AnchorError(
            f"interpolation: 0 of {len(anchors)} anchors inside the {width}x{height} image; needed 1."
        )
    result = _nearest(uv, depth, width, height)
    corners = _triangles(uv, width, height)
    if len(corners):
        planes, solved = _planes(uv, depth, corners)
        of_pixel = np.full((height, width), -1, np.int32)
        pixels = np.rint(uv).astype(np.int32)[corners]
        for i in np.flatnonzero(solved).tolist():
            cv2.fillConvexPoly(of_pixel, pixels[i], i)
        v, u = np.nonzero(of_pixel >= 0)
        triangle = of_pixel[v, u]
        a, b, c = (column.take(triangle) for column in planes.T)
        low, high = (limit(depth[corners], axis=1).take(triangle) for limit in (np.min, np.max))
        # Polygons are filled to whole pixels, slightly beyond their corners.
        result[v, u] = np.clip(a * u + b * v + c, low, high)
    return result


def _distinct(anchors: Anchors, width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Distinct pixels (M, 2) float32 inside the image, and mean depths (M,) float64."""
    uv = np.asarray(anchors.uv, np.float32)
    inside = ((uv >= 0) & (uv <= [width - 1, height - 1])).all(axis=1)
    inside &= np.isfinite(anchors.depth) & (anchors.depth > 0)
    distinct, which = np.unique(uv[inside], axis=0, return_inverse=True)
    which = which.reshape(-1)
    total = np.bincount(which, anchors.depth[inside], len(distinct))
    return distinct, total / np.maximum(np.bincount(which, minlength=len(distinct)), 1)


def _nearest(uv: FloatArray, depth: FloatArray, width: int, height: int) -> FloatArray:
    """Depth (H, W) float32 of the anchor nearest to each pixel."""
    known, value = np.zeros((height, width), np.bool_), np.zeros((height, width), np.float32)
    u, v = np.rint(uv).astype(np.intp).T
    known[v, u], value[v, u] = True, depth
    return filled(value, known)


def _triangles(uv: FloatArray, width: int, height: int) -> IntArray:
    """Corner indices (T, 3) of the Delaunay triangles of distinct pixels (N, 2), sorted by u, then v."""
    # OpenCV adds three points around the others; if they are too near, thin triangles at the hull are lost.
    far = 20 * max(width, height)
    plane = cv2.Subdiv2D((-far, -far, 2 * far, 2 * far))
    plane.insert(uv.tolist())
    listed = np.asarray(plane.getTriangleList(), np.float32).reshape(-1, 3, 2)
    # Corners that are not anchors are the points that OpenCV added.
    keys, wanted = _sortable(uv), _sortable(listed)
    found = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.asarray(found[(keys[found] == wanted).all(axis=1)], np.intp)


def _sortable(uv: FloatArray) -> NDArray[np.complex64]:
    """Pixels (..., 2) as numbers (...) that sort by u, then v, as ``_distinct`` does."""
    return np.asarray(uv[..., 0] + 1j * uv[..., 1])


def _planes(uv: FloatArray, depth: FloatArray, corners: IntArray) -> tuple[FloatArray, BoolArray]:
    """Planes (T, 3): a, b, c of depth = a u + b v + c per triangle, and whether it has an area."""
    ones = np.ones((*corners.shape, 1))
    system = np.concatenate([uv[corners].astype(np.float64), ones], axis=2)
    solved: BoolArray = np.abs(np.linalg.det(system)) > 1e-3
    planes = np.zeros((len(corners), 3))
    planes[solved] = np.linalg.solve(system[solved], depth[corners][solved][:, :, None])[:, :, 0]
    return planes, solved

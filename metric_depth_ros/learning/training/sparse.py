"""True depth at the size of training, dense or sparse: no depth is invented between two surfaces."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray

# A depth image with less than this part known is sparse: of a LiDAR.
_DENSE = 0.5


def reduced_depth(depth: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Depth (h, w) float32 of ``size`` (width, height), from depth (H, W): inf is sky, NaN unknown.

    Of dense depth the pixel in the middle of each cell. Of sparse depth, where hardly any pixel of a LiDAR is
    in the middle, the nearest one known in the cell.
    """
    known = ~np.isnan(depth)
    if known.mean() >= _DENSE:
        return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST_EXACT), np.float32)
    v, u = np.nonzero(known)
    return gridded(np.column_stack([u, v]), depth[v, u], depth.shape[::-1], size)


def gridded(
    uv: FloatArray, depth: FloatArray, image_size: tuple[int, int], size: tuple[int, int]
) -> FloatArray:
    """Depth (h, w) float32 of the nearest of the pixels uv (N, 2) in each cell; NaN without one.

    Sizes are width and height, of the image and of the result.
    """
    width, height = size
    scale = np.array(size) / image_size
    column, row = np.clip(((uv + 0.5) * scale).astype(np.intp), 0, np.array(size) - 1).T
    grid = np.full((height, width), np.nan, np.float32)
    order = np.argsort(-depth, kind="stable")  # of several the nearest is visible
    grid[row[order], column[order]] = depth[order]
    return grid

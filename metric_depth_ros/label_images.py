"""Label images: (H, W) whole numbers, one for each region."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.types import IntArray

# Labels that span more than this are renumbered by sorting, which takes ten times as long.
_MOST_APART = 1 << 20


def compact(labels: IntArray) -> IntArray:
    """Labels renumbered 0 to n-1, int32, in ascending order; any integers are accepted."""
    lowest = int(labels.min())
    if int(labels.max()) - lowest > _MOST_APART:
        _, found = np.unique(labels, return_inverse=True)
        return np.asarray(found.reshape(labels.shape), np.int32)
    offset = labels - lowest if lowest else labels
    used = np.bincount(offset.ravel()) > 0
    return np.asarray((np.cumsum(used) - 1).astype(np.int32)[offset])


def resize_labels(labels: IntArray, width: int, height: int) -> IntArray:
    """Labels resized to (height, width), nearest neighbour."""
    if labels.shape == (height, width):
        return labels
    # Numbers of regions are exact in float32 up to 2^24.
    values = labels.astype(np.float32)
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.int32)

"""Selects the masks of a promptable segmenter and turns them into regions.

Masks are selected as in SAM's automatic mask generation (Kirillov et al., Segment Anything,
2023, and its released code). Paper 000 uses SAM's masks as the regions of an image, but does not say
what happens to pixels in several masks or in none; the rules for both are ours.
"""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.regions.merging import split
from metric_depth_ros.types import BoolArray, FloatArray, IntArray


def point_grid(per_side: int, width: int, height: int) -> FloatArray:
    """Points (per_side^2, 2) float32 at the cell centres of a grid over an image, row by row."""
    middles = (np.arange(per_side) + 0.5) / per_side
    u, v = np.meshgrid(middles * width, middles * height)
    return np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float32)


def stability(logits: FloatArray, offset: float) -> float:
    """Stability of a mask (H, W): the less it depends on the threshold of its logits, the closer to 1.

    The area above ``offset`` over the area above -``offset``: their intersection over their union,
    as one contains the other. NaN when both are empty.
    """
    outer = np.count_nonzero(logits > -offset)
    return np.count_nonzero(logits > offset) / outer if outer else float("nan")


def boxes(masks: BoolArray) -> FloatArray:
    """Boxes (N, 4) of masks (N, H, W), first and last column and row u0 v0 u1 v1; zeros for an empty one."""
    found = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(found, masks, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            box[:] = columns[0], rows[0], columns[-1], rows[-1]
    return found


def suppressed(corners: FloatArray, scores: FloatArray, most_overlap: float) -> IntArray:
    """Indices of the boxes that are kept, best score first (non-maximum suppression).

    A box is dropped if its intersection over union with a better, kept one is above ``most_overlap``.
    """
    order = np.argsort(-scores, kind="stable")
    low, high = corners[:, :2], corners[:, 2:]
    area = np.prod(high - low, axis=1)
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        sides = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        with np.errstate(invalid="ignore"):  # two boxes without area
            order = rest[~(shared / (area[best] + area[rest] - shared) > most_overlap)]
    return np.array(kept, np.int64)


def regions_of(masks: BoolArray, height: int, width: int) -> IntArray:
    """Regions (H, W) int32 from masks (N, H, W), which may be empty.

    A pixel in several masks belongs to the smallest, so that a part is separate from its whole.
    Every connected area that no mask covers is a region.
    """
    labels = np.zeros((height, width), np.int32)
    areas = np.count_nonzero(masks, axis=(1, 2)) if len(masks) else []
    for index, mask in enumerate(masks[np.argsort(areas, kind="stable")[::-1]], 1):
        labels[mask] = index
    holes = labels == 0
    if holes.any():
        labels[holes] = len(masks) + 1 + split(holes.astype(np.int32))[holes]
    return labels


def resized(logits: FloatArray, width: int, height: int) -> FloatArray:
    """One map of logits resized to (height, width), bilinear."""
    return np.asarray(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR))

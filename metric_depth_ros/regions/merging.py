"""Last step of all segmenters: merge small regions into a neighbour, number labels from 0."""

from __future__ import annotations

import math

import cv2
import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.label_images import compact
from metric_depth_ros.regions.adjacency import touching
from metric_depth_ros.types import FloatArray, ImageArray, IntArray

# Solvers hold matrices of size regions x regions.
MOST_REGIONS = 1000


def rgb(image: ImageArray) -> ImageArray:
    """The image as (H, W, 3). Raises InputError."""
    fits = image.ndim >= 2 and image.shape[2:] in ((), (1,), (3,)) and image.size > 0
    if image.dtype != np.uint8 or not fits:
        raise InputError(
            f"segmenter: image {image.shape} of {image.dtype}; needed (H, W, 3) or (H, W) uint8. "
            "Convert it to RGB first."
        )
    if image.shape[2:] == (3,):
        return image
    return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)


def reduced_lab(image: ImageArray, width: int) -> FloatArray:
    """CIELAB (h, w, 3) float32 of the smoothed image, at most as many pixels as 4:3 at ``width``."""
    scale = math.sqrt(0.75 * width**2 / (image.shape[0] * image.shape[1]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    smooth = cv2.GaussianBlur(image, (3, 3), 0)
    return np.asarray(cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def joined(labels: IntArray, lab: FloatArray, min_pixels: float) -> IntArray:
    """Labels with each region below ``min_pixels`` merged into the touching one of most similar colour."""
    while True:
        labels = compact(labels)
        n = int(labels.max()) + 1
        area = np.bincount(labels.ravel(), minlength=n)
        small = np.flatnonzero(area < min_pixels)
        if n == 1 or not len(small):
            return labels
        sums = [np.bincount(labels.ravel(), channel.ravel(), n) for channel in cv2.split(lab)]
        colour = np.stack(sums, axis=1) / area[:, None]
        first, second = touching(labels, n)
        step = np.linalg.norm(colour[first] - colour[second], axis=1)
        order = np.lexsort((second, step, first))
        nearest = order[np.unique(first[order], return_index=True)[1]]  # each region's most similar neighbour
        into = np.arange(n)
        into[first[nearest]] = second[nearest]
        labels = _merged(small, into[small], n)[labels]


def _merged(regions: IntArray, into: IntArray, n: int) -> IntArray:
    """New label (n,) of each old one after merging pairs, which may form chains and cycles."""
    parent = list(range(n))
    for a, b in zip(regions.tolist(), into.tolist(), strict=True):
        while parent[a] != a:
            a = parent[a]
        while parent[b] != b:
            b = parent[b]
        parent[a] = b
    root = np.array(parent)
    while (root != root[root]).any():
        root = root[root]
    return root


def split(labels: IntArray) -> IntArray:
    """Labels with every connected part (8 neighbours) as a separate region, numbered from 0."""
    parts, count = np.zeros(labels.shape, np.int32), 0
    for value in np.unique(labels):
        found, areas = cv2.connectedComponents((labels == value).astype(np.uint8), connectivity=8)
        parts += np.where(areas > 0, areas + (count - 1), 0).astype(np.int32)
        count += found - 1
    return parts


def tidied(labels: IntArray, image: ImageArray, min_area: float) -> IntArray:
    """Labels of an RGB image renumbered 0 to n-1, with regions below ``min_area`` of it merged."""
    lab = reduced_lab(image, 10**6)  # full size, smoothed
    return joined(labels, lab, max(min_area, 1 / MOST_REGIONS) * labels.size)


def few_enough(labels: IntArray, image: ImageArray, min_area: float) -> IntArray:
    """Labels 0 to n-1 unchanged, or merged by ``tidied`` if they are too many for the solvers."""
    return labels if labels.max() < MOST_REGIONS else tidied(labels, image, min_area)

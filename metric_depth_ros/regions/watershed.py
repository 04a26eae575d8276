"""The built-in segmenter: watershed on colour, no network."""

from __future__ import annotations

import math

import cv2
import numpy as np

from metric_depth_ros.config import RegionsConfig
from metric_depth_ros.errors import InputError
from metric_depth_ros.regions.adjacency import touching
from metric_depth_ros.types import BoolArray, FloatArray, ImageArray, IntArray

# Flat spots smaller than this many (reduced) pixels do not start a region of their own.
_MIN_MARKER = 4
# Solvers hold matrices of regions by regions.
_MOST_REGIONS = 1000


class WatershedSegmenter:
    """Splits an image where its colour changes.

    Reduce, smooth, CIELAB; flat connected areas are markers; watershed floods the rest; small
    regions join the touching one of the most similar mean colour.
    """

    def __init__(self, config: RegionsConfig) -> None:
        self._config = config

    def segment(self, image: ImageArray) -> IntArray:
        """Labels (H, W) int32, 0 to n-1, every label used.

        Args:
            image: (H, W, 3) RGB or (H, W) gray, uint8.

        Raises:
            InputError: another shape or type, or no pixels.
        """
        colour = _rgb(image)
        height, width = colour.shape[:2]
        lab = _reduced_lab(colour, self._config.width)
        flat = _gradient(lab) < self._config.edge_threshold
        labels = _flooded(lab, flat)
        labels = _joined(labels, lab, max(self._config.min_area, 1 / _MOST_REGIONS) * labels.size)
        if labels.shape == (height, width):
            return labels
        full = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
        return _compact(full.astype(np.int32))


def _rgb(image: ImageArray) -> ImageArray:
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


def _reduced_lab(image: ImageArray, width: int) -> FloatArray:
    """(h, w, 3) float32 CIELAB of the smoothed image, at most as many pixels as 4:3 at ``width``."""
    scale = math.sqrt(0.75 * width**2 / (image.shape[0] * image.shape[1]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    smooth = cv2.GaussianBlur(image, (3, 3), 0)
    return np.asarray(cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def _gradient(lab: FloatArray) -> FloatArray:
    """(h, w) colour step across each pixel, CIELAB units over two pixels."""
    du, dv = (
        cv2.Sobel(lab, cv2.CV_32F, dx, 1 - dx, ksize=3, scale=0.25, borderType=cv2.BORDER_REPLICATE)
        for dx in (1, 0)
    )
    return np.asarray(np.sqrt(np.einsum("hwc,hwc->hw", du, du) + np.einsum("hwc,hwc->hw", dv, dv)))


def _flooded(lab: FloatArray, flat: BoolArray) -> IntArray:
    """Labels (h, w) int32 from 0: the connected flat areas, grown over all other pixels."""
    # Other than 8-connected, and with statistics, this crashes in OpenCV 4.5.5 (opencv issue 21366).
    _, areas = cv2.connectedComponents(flat.astype(np.uint8), connectivity=8)
    large = np.bincount(areas.ravel()) >= _MIN_MARKER
    large[0] = False
    if not large.any():
        return np.zeros(flat.shape, np.int32)
    markers = np.where(large, np.cumsum(large), 0).astype(np.int32)[areas]
    # cv2.watershed leaves the outermost pixels and the lines between regions unlabelled: the frame
    # gets pixels to lose, and a line goes to the neighbour with the highest label.
    markers = cv2.copyMakeBorder(markers, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    picture = cv2.copyMakeBorder(_as_bytes(lab), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    labels = np.asarray(cv2.watershed(picture, markers)[1:-1, 1:-1], np.float32)
    while (unlabelled := labels <= 0).any():
        labels[unlabelled] = cv2.dilate(labels, np.ones((3, 3), np.uint8))[unlabelled]
    return np.asarray(labels, np.int32) - 1


def _as_bytes(lab: FloatArray) -> ImageArray:
    """CIELAB as cv2.watershed wants its picture: uint8, a step of one unit."""
    return np.clip(np.rint(lab + np.array([0, 128, 128], np.float32)), 0, 255).astype(np.uint8)


def _joined(labels: IntArray, lab: FloatArray, min_pixels: float) -> IntArray:
    """Labels after each region below ``min_pixels`` joined the touching one most like it in colour."""
    while True:
        labels = _compact(labels)
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
        nearest = order[np.unique(first[order], return_index=True)[1]]  # every region's likest neighbour
        into = np.arange(n)
        into[first[nearest]] = second[nearest]
        labels = _merged(small, into[small], n)[labels]


def _merged(regions: IntArray, into: IntArray, n: int) -> IntArray:
    """(n,) the new label of each old one, after joining pairs (chains and circles too)."""
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


def _compact(labels: IntArray) -> IntArray:
    """The same regions as 0 to n-1, int32."""
    used = np.bincount(labels.ravel()) > 0
    return (np.cumsum(used) - 1).astype(np.int32)[labels]

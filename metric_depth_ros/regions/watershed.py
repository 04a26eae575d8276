"""The built-in segmenter: watershed on colour, no network."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.config import RegionsConfig
from metric_depth_ros.regions.merging import MOST_REGIONS, compact, joined, reduced_lab, rgb
from metric_depth_ros.types import BoolArray, FloatArray, ImageArray, IntArray

# Flat spots smaller than this many (reduced) pixels do not start a region of their own.
_MIN_MARKER = 4


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
        colour = rgb(image)
        height, width = colour.shape[:2]
        lab = reduced_lab(colour, self._config.width)
        flat = _gradient(lab) < self._config.edge_threshold
        labels = _flooded(lab, flat)
        labels = joined(labels, lab, max(self._config.min_area, 1 / MOST_REGIONS) * labels.size)
        if labels.shape == (height, width):
            return labels
        full = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
        return compact(full.astype(np.int32))


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

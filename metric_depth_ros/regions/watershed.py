"""The built-in segmenter: watershed on colour and relative depth, no network of its own."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.config import RegionsConfig
from metric_depth_ros.depth import positive_depth
from metric_depth_ros.label_images import compact, resize_labels
from metric_depth_ros.regions.merging import MOST_REGIONS, joined, reduced_lab, rgb
from metric_depth_ros.types import BoolArray, FloatArray, ImageArray, IntArray, RelativeDepth

# Flat spots smaller than this many (reduced) pixels do not start a region of their own.
_MIN_MARKER = 4


class WatershedSegmenter:
    """Splits an image where its colour or its relative depth changes.

    The image is reduced, smoothed and converted to CIELAB, with log relative depth as a fourth channel.
    Flat connected areas are markers, watershed floods the rest, and small regions are merged into the
    touching one of the most similar mean colour.
    """

    def __init__(self, config: RegionsConfig) -> None:
        self._config = config

    def segment(self, image: ImageArray, relative: RelativeDepth | None = None) -> IntArray:
        """Labels (H, W) int32, 0 to n-1, every label used.

        Args:
            image: (H, W, 3) RGB or (H, W) gray, uint8.
            relative: relative depth of the image; None, or ``depth_step`` 0, uses colour alone.

        Raises:
            InputError: another shape or type, or no pixels.
        """
        colour = rgb(image)
        height, width = colour.shape[:2]
        lab = reduced_lab(colour, self._config.width)
        seen = self._with_depth(lab, relative)
        labels = _flooded(lab, _gradient(seen) < self._config.edge_threshold)
        labels = joined(labels, seen, max(self._config.min_area, 1 / MOST_REGIONS) * labels.size)
        return compact(resize_labels(labels, width, height))

    def _with_depth(self, lab: FloatArray, relative: RelativeDepth | None) -> FloatArray:
        """CIELAB and log depth (h, w, 4); ``depth_step`` in depth counts as ``edge_threshold`` in colour."""
        if relative is None or not self._config.depth_step:
            return lab
        depth = positive_depth(relative)
        logarithm = np.log(np.nan_to_num(depth, nan=1.0, posinf=1.0))
        small = cv2.resize(logarithm, lab.shape[1::-1], interpolation=cv2.INTER_AREA)
        small *= np.float32(self._config.edge_threshold / np.log1p(self._config.depth_step))
        return np.dstack([lab, small])


def _gradient(lab: FloatArray) -> FloatArray:
    """Colour step (h, w) across each pixel, CIELAB units over two pixels."""
    # Widened here: in some builds of OpenCV 4.5 Sobel fails on an image of one pixel.
    wide = cv2.copyMakeBorder(lab, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    du, dv = (cv2.Sobel(wide, cv2.CV_32F, dx, 1 - dx, ksize=3, scale=0.25)[1:-1, 1:-1] for dx in (1, 0))
    return np.asarray(np.sqrt(np.einsum("hwc,hwc->hw", du, du) + np.einsum("hwc,hwc->hw", dv, dv)))


def _flooded(lab: FloatArray, flat: BoolArray) -> IntArray:
    """Labels (h, w) int32 from 0: connected flat areas, grown over all other pixels by watershed."""
    # With other connectivity or with statistics this crashes in OpenCV 4.5.5 (opencv issue 21366).
    _, areas = cv2.connectedComponents(flat.astype(np.uint8), connectivity=8)
    large = np.bincount(areas.ravel()) >= _MIN_MARKER
    large[0] = False
    if not large.any():
        return np.zeros(flat.shape, np.int32)
    markers = np.where(large, np.cumsum(large), 0).astype(np.int32)[areas]
    # cv2.watershed leaves the outermost pixels and the lines between regions unlabelled: a border is
    # added for the first, and a line gets the highest label next to it.
    markers = cv2.copyMakeBorder(markers, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    picture = cv2.copyMakeBorder(_as_bytes(lab), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    labels = np.asarray(cv2.watershed(picture, markers)[1:-1, 1:-1], np.float32)
    while (unlabelled := labels <= 0).any():
        labels[unlabelled] = cv2.dilate(labels, np.ones((3, 3), np.uint8))[unlabelled]
    return np.asarray(labels, np.int32) - 1


def _as_bytes(lab: FloatArray) -> ImageArray:
    """CIELAB as uint8 for cv2.watershed, in steps of one unit."""
    return np.clip(np.rint(lab + np.array([0, 128, 128], np.float32)), 0, 255).astype(np.uint8)

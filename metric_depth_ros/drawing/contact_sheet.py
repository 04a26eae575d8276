"""Contact sheets of results: a row per frame with anchors, the network's depth, depth, truth and error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from metric_depth_ros.drawing.pictures import (
    depth_colours,
    depth_range,
    draw_anchors,
    draw_grid,
    nearest,
    resized_with_anchors,
)
from metric_depth_ros.drawing.scales import write
from metric_depth_ros.types import Anchors, FloatArray, ImageArray, RelativeDepth

_WIDTH = 240
# Relative error that has the last colour.
MOST_ERROR = 0.2


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One frame.

    Attributes:
        title: on its first picture.
        image: (H, W, 3) uint8 RGB.
        relative, depth, truth: (H, W); depth and truth in metres, NaN unknown.
    """

    title: str
    image: ImageArray
    anchors: Anchors
    relative: RelativeDepth
    depth: FloatArray
    truth: FloatArray


def draw_contact_sheet(rows: Sequence[SheetRow], width: int = _WIDTH) -> ImageArray:
    """Picture (H, W, 3) with a row per frame; depth and truth of a frame share their colours.

    Error is |d - d*| / d*: black is 0, then red and yellow, white from 0.2 on; grey is unknown.
    """
    titles = ["anchors", "network", "depth", "truth", f"error, to {MOST_ERROR:g}"]
    return draw_grid(titles, [_pictures(row, width) for row in rows])


def error_colours(depth: FloatArray, truth: FloatArray) -> ImageArray:
    """Colours (H, W, 3) of |d - d*| / d*; grey where depth or truth is unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(depth - truth) / truth
    level = np.clip(np.nan_to_num(error, nan=0.0, posinf=MOST_ERROR) / MOST_ERROR, 0, 1)
    colours = cv2.applyColorMap(np.rint(255 * level).astype(np.uint8), cv2.COLORMAP_HOT)[..., ::-1].copy()
    colours[~np.isfinite(error)] = 90
    return np.asarray(colours, np.uint8)


def _pictures(row: SheetRow, width: int) -> list[ImageArray]:
    height, full = row.image.shape[:2]
    size = (width, max(1, round(width * height / full)))
    low, high = depth_range(row.truth)
    depth, truth = nearest(row.depth, size), _shrunk(row.truth, size)
    first = draw_anchors(*resized_with_anchors(row.image, row.anchors, *size), low, high)
    write(first, row.title, (6, 16))
    return [
        first,
        _relative_colours(row.relative, size),
        depth_colours(depth, low, high),
        depth_colours(truth, low, high),
        error_colours(depth, truth),
    ]


def _relative_colours(relative: RelativeDepth, size: tuple[int, int]) -> ImageArray:
    """The network's values from near to far in the colours of depth, whatever their unit."""
    values = nearest(relative.values, size)
    if relative.kind == "inverse_depth":
        values = -values
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (2, 98)) if known.size else (0.0, 1.0)
    level = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return depth_colours(np.exp(level), 1.0, float(np.e))


def _shrunk(truth: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Truth at another size; at a smaller one the nearest depth in each cell, so that single points stay."""
    if size[0] >= truth.shape[1]:
        return nearest(truth, size)
    v, u = np.nonzero(np.isfinite(truth))
    small = np.full(size[::-1], np.inf, np.float32)
    place = (v * size[1] // truth.shape[0], u * size[0] // truth.shape[1])
    np.minimum.at(small, place, truth[v, u].astype(np.float32))
    return np.where(np.isfinite(small), small, np.float32(np.nan))

"""Contact sheets of results: of each frame anchors, the network's depth, depth, truth, error and sigma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.drawing.pictures import (
    ERROR,
    TRUE_DEPTH,
    beside,
    depth_bar,
    depth_colours,
    depth_range,
    draw_anchors,
    draw_depth,
    draw_error,
    draw_share,
    draw_true_depth,
    is_dense,
    nearest,
    resized_with_anchors,
)
from metric_depth_ros.drawing.scales import BAR_WIDTH, padded, tiled, titled
from metric_depth_ros.types import Anchors, FloatArray, ImageArray, RelativeDepth

_WIDTH, _COLUMNS = 400, 3
# Relative error, and sigma over depth, that have the last colour, so that frames can be compared.
MOST_ERROR = 0.2


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One frame.

    Attributes:
        title: above its first part, which shows its anchors.
        image: (H, W, 3) uint8 RGB.
        relative, depth, truth: (H, W); depth and truth in metres, NaN unknown.
        sigma: (H, W) metres, or None.
    """

    title: str
    image: ImageArray
    anchors: Anchors
    relative: RelativeDepth
    depth: FloatArray
    truth: FloatArray
    sigma: FloatArray | None = None


def draw_contact_sheet(rows: Sequence[SheetRow], width: int = _WIDTH) -> ImageArray:
    """Picture (H, W, 3) with six parts for each frame, each under its title and beside its scale.

    Anchors, depth and truth of a frame share their colours. ``width``: of a part without its scale.
    """
    frames = [tiled(_parts(row, width), _COLUMNS) for row in rows]
    return np.concatenate([padded(frame, max(f.shape[1] for f in frames)) for frame in frames])


def _parts(row: SheetRow, width: int) -> list[ImageArray]:
    height, full = row.image.shape[:2]
    size = (width, max(1, round(width * height / full)))
    low, high = depth_range(row.truth)
    truth = _known(row.truth)
    u, v = truth.uv.astype(np.intp).T
    error = row.depth[v, u] / truth.depth - 1
    title = TRUE_DEPTH if is_dense(truth, row.image) else f"true depth of {len(truth)} points"
    with np.errstate(divide="ignore", invalid="ignore"):
        share = None if row.sigma is None else nearest(row.sigma / row.depth, size)
    anchors = draw_anchors(*resized_with_anchors(row.image, row.anchors, *size), low, high)
    network = _relative_colours(row.relative, size)
    parts = {
        row.title: beside(anchors, depth_bar(size[1], low, high)),
        "metric depth": draw_depth(nearest(row.depth, size), low, high),
        title: draw_true_depth(row.image, truth, size, (low, high)),
        "network's depth, without unit": padded(network, width + BAR_WIDTH),
        ERROR: draw_error(row.image, truth, error, size, MOST_ERROR),
    }
    if share is not None:
        parts["sigma / depth (standard deviation)"] = draw_share(share, MOST_ERROR)
    return [titled(title, part) for title, part in parts.items()]


def _relative_colours(relative: RelativeDepth, size: tuple[int, int]) -> ImageArray:
    """The network's values from near to far in the colours of depth, whatever their unit."""
    values = nearest(relative.values, size)
    if relative.kind == "inverse_depth":
        values = -values
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (2, 98)) if known.size else (0.0, 1.0)
    level = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return depth_colours(np.exp(level), 1.0, float(np.e))


def _known(truth: FloatArray) -> Anchors:
    """Pixels of known depth (H, W)."""
    v, u = np.nonzero(np.isfinite(truth))
    depth = np.asarray(truth[v, u], np.float32)
    return Anchors(np.stack([u, v], axis=1).astype(np.float32), depth, np.zeros_like(depth))

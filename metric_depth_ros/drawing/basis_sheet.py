"""Picture of a depth as the sum of its basis maps."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.drawing.pictures import (
    beside,
    depth_bar,
    depth_range,
    draw_anchors,
    draw_depth,
    draw_share,
    nearest,
    resized_with_anchors,
    signed_bar,
)
from metric_depth_ros.drawing.scales import signed_colours, tiled, titled
from metric_depth_ros.types import Anchors, FloatArray, ImageArray, MetricDepth

_MOST_MAPS = 12


def draw_basis(
    image: ImageArray,
    anchors: Anchors,
    metric: MetricDepth,
    relative: FloatArray,
    maps: FloatArray,
    weights: FloatArray,
    *,
    width: int = 400,
) -> ImageArray:
    """Sheet of anchors, depth, ln(depth / network), sigma / depth and, the largest first, the parts w_k E_k.

    Each part is less its median and has a scale of its own; of more than 12 the others are left out.

    Args:
        relative: (H, W) positive relative depth.
        maps: (K, h, w).
        weights: (K,).
        width: of a tile without its scale.
    """
    size = (width, max(1, round(width * image.shape[0] / image.shape[1])))
    low, high = depth_range(metric.depth)
    small, placed = resized_with_anchors(image, anchors, *size)
    with np.errstate(divide="ignore", invalid="ignore"):
        field = np.log(metric.depth / relative)
    field = cv2.resize(field - np.nanmedian(field), size, interpolation=cv2.INTER_AREA)
    parts = weights[:, None, None] * maps
    order = np.argsort(-parts.reshape(len(parts), -1).std(axis=1))
    most = float(np.nanquantile(np.abs(field), 0.98))
    dots = draw_anchors(small, placed, low, high)
    tiles = [
        titled(f"image, {len(anchors)} anchors", beside(dots, depth_bar(size[1], low, high))),
        titled("metric depth", draw_depth(nearest(metric.depth, size), low, high)),
        titled("ln(depth / network), less its median", _signed(field, most)),
    ]
    if metric.sigma is not None:
        share = nearest(metric.sigma / metric.depth, size)
        tiles.append(
            titled(
                "sigma / depth (standard deviation)", draw_share(share, float(np.nanquantile(share, 0.98)))
            )
        )
    for k in order[:_MOST_MAPS].tolist():
        part = cv2.resize(parts[k] - np.median(parts[k]), size, interpolation=cv2.INTER_LINEAR)
        most = float(np.quantile(np.abs(part), 0.98))
        tiles.append(titled(f"part of ln: map {k}, weight {weights[k]:+.2f}", _signed(part, most)))
    return tiled(tiles, 4)


def _signed(values: FloatArray, most: float) -> ImageArray:
    """Signed values (H, W) in colours, beside their scale."""
    most = max(most, 1e-6)
    return beside(signed_colours(values, most), signed_bar(len(values), most, percent=False))

"""Pictures of results: anchors on the image, depth with a scale in metres, the cloud from above.

Every function returns a new RGB picture (H, W, 3) uint8. Depth is coloured by its logarithm, so that
near and far both show: red is near, blue is far, grey is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from metric_depth_ros.geometry import pixel_rays, project
from metric_depth_ros.types import Anchors, Camera, FloatArray, ImageArray, IntArray, MetricDepth

_UNKNOWN = (90, 90, 90)
_PAPER = (24, 24, 28)
_INK = (235, 235, 235)
_GRID = (58, 58, 64)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BAR_WIDTH = 86
_TITLE_HEIGHT = 30
_CEILING_M = 2.0

Range = tuple[float, float]


def depth_range(depth: FloatArray) -> Range:
    """Colour range in metres for a depth map or set of depths: percentiles 2 and 98.

    At least a factor of 1.5 wide; (1, 10) when nothing is known.
    """
    known = depth[np.isfinite(depth) & (depth > 0)]
    if not known.size:
        return 1.0, 10.0
    low, high = (float(value) for value in np.percentile(known, (2, 98)))
    middle = (low * high) ** 0.5
    return min(low, middle / 1.225), max(high, middle * 1.225)


def depth_colours(depth: FloatArray, low: float, high: float) -> ImageArray:
    """Colours (..., 3) of depths in metres; clamped to the range, NaN is grey."""
    table = np.concatenate([_palette(), np.array([_UNKNOWN], np.uint8)])
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.log(np.asarray(depth, np.float32) * np.float32(1 / low)) * np.float32(
            1 / np.log(high / low)
        )
    index = np.where(np.isfinite(level), np.rint(255 * (1 - np.clip(level, 0, 1))), np.float32(256))
    return np.asarray(np.take(table, index.astype(np.intp), axis=0))


def draw_anchors(
    image: ImageArray, anchors: Anchors, low: float | None = None, high: float | None = None
) -> ImageArray:
    """Darkened image with a dot per anchor, coloured by its depth; near ones on top."""
    low, high = _filled_range(anchors.depth, low, high)
    picture = (image * 0.55).astype(np.uint8)
    spacing = (image.shape[0] * image.shape[1] / max(len(anchors), 1)) ** 0.5
    radius = int(np.clip(spacing / 5, 1, max(1, image.shape[1] / 160)))
    order = np.argsort(-anchors.depth, kind="stable")
    colours = depth_colours(anchors.depth, low, high)
    for (u, v), colour in zip(anchors.uv[order], colours[order], strict=True):
        cv2.circle(picture, (round(float(u)), round(float(v))), radius, colour.tolist(), -1, cv2.LINE_AA)
    return picture


def draw_depth(depth: FloatArray, low: float | None = None, high: float | None = None) -> ImageArray:
    """Depth (H, W) in colours, with a scale in metres on its right: (H, W + 86, 3)."""
    low, high = _filled_range(depth, low, high)
    return np.concatenate([depth_colours(depth, low, high), _scale_bar(len(depth), low, high)], axis=1)


def draw_from_above(
    points: FloatArray,
    colours: ImageArray,
    size: tuple[int, int] = (640, 480),
    reach_m: float | None = None,
    ceiling_m: float | None = None,
) -> ImageArray:
    """Cloud seen from above, with a grid in metres; the camera is at the bottom and looks up the picture.

    Args:
        points: (N, 3) metres in the optical frame; rows that are not finite are left out.
        colours: (N, 3) uint8 RGB.
        size: width and height of the picture.
        reach_m: distance shown in front of the camera; None: enough for 98 % of the points.
        ceiling_m: points higher above the camera than this are left out, as they hide those below.
    """
    width, height = size
    known = np.isfinite(points).all(axis=1) & (points[:, 2] > 0)
    if ceiling_m is not None:
        known &= points[:, 1] > -ceiling_m
    points, colours = points[known], colours[known]
    if reach_m is None:
        reach_m = 1.05 * float(np.percentile(points[:, 2], 98)) if len(points) else 10.0
    scale = (height - 40) / reach_m
    origin = (width / 2, height - 20)
    picture = np.full((height, width, 3), _PAPER, np.uint8)
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e9) if reach_m / s <= 8)
    _draw_grid(picture, origin, step * scale)
    order = np.argsort(-points[:, 1], kind="stable")  # y points down: what is higher is painted later
    x = np.rint(origin[0] + points[order, 0] * scale).astype(np.intp)
    y = np.rint(origin[1] - points[order, 2] * scale).astype(np.intp)
    inside = (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1)
    x, y, colours = x[inside], y[inside], colours[order][inside]
    for dx, dy in ((1, 1), (1, 0), (0, 1), (0, 0)):  # four pixels a point: no gaps between rows of points
        picture[y + dy, x + dx] = colours
    _draw_camera(picture, origin)
    for index in range(int(reach_m / step) + 1):
        _text(picture, f"{index * step:g} m", (4, round(origin[1] - index * step * scale) - 4), 0.4)
    return picture


def draw_sheet(
    image: ImageArray,
    anchors: Anchors,
    depth: FloatArray,
    camera: Camera,
    *,
    range_m: Range | None = None,
    title: str = "",
) -> ImageArray:
    """One picture of three: image with anchors, metric depth with its scale, the cloud from above.

    Args:
        image: (H, W, 3) of ``camera``, as is ``depth`` (H, W) in metres.
        range_m: colour range of both; None: that of the depth. Set it to compare frames.
    """
    low, high = range_m or depth_range(depth if np.isfinite(depth).any() else anchors.depth)
    wide = camera.width > 2 * camera.height
    width = 960 if wide else 640
    height = round(width * camera.height / camera.width)
    with_anchors = draw_anchors(*_resized_with_anchors(image, anchors, width, height), low, high)
    nearest = cv2.resize(np.asarray(depth, np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    coloured = draw_depth(nearest, low, high)
    points = (pixel_rays(camera) * depth[..., None]).reshape(-1, 3)
    column = [
        _titled(f"{title}  image, {len(anchors)} anchors".strip(), _padded(with_anchors, width + _BAR_WIDTH)),
        _titled("metric depth", coloured),
    ]
    left = np.concatenate(column, axis=0)
    above_height = len(left) - _TITLE_HEIGHT
    above_size = (min(max(above_height, 480), 720), above_height)
    brighter = (40 + 0.84 * image.reshape(-1, 3)).astype(np.uint8)
    above = draw_from_above(points, brighter, above_size, ceiling_m=_CEILING_M)
    return np.concatenate([left, _titled("from above", above)], axis=1)


# ---- parts -----------------------------------------------------------------------------------


def _palette() -> ImageArray:
    """Colour table (256, 3) RGB from blue (0) to red (255)."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)[:, 0, ::-1], np.uint8)


def _filled_range(depth: FloatArray, low: float | None, high: float | None) -> Range:
    """The given range; missing ends come from the depths."""
    own_low, own_high = depth_range(depth)
    low = own_low if low is None else low
    high = own_high if high is None else high
    return low, high if high > low else low * 1.5


def _resized_with_anchors(
    image: ImageArray, anchors: Anchors, width: int, height: int
) -> tuple[ImageArray, Anchors]:
    scale = np.array([width / image.shape[1], height / image.shape[0]], np.float32)
    resized = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return resized, Anchors((anchors.uv + 0.5) * scale - 0.5, anchors.depth, anchors.sigma)


def _scale_bar(height: int, low: float, high: float) -> ImageArray:
    """Colour bar, far at the top, with round values in metres beside it."""
    bar = np.full((height, _BAR_WIDTH, 3), _PAPER, np.uint8)
    top, bottom = min(14, height // 8), height - min(14, height // 8)
    fractions = np.linspace(1, 0, max(bottom - top, 1))
    bar[top:bottom, 10:28] = depth_colours(low * (high / low) ** fractions, low, high)[:, None]
    for value in round_values(low, high, most=max(2, (bottom - top) // 28)) or (low, high):
        y = round(bottom - (bottom - top) * float(np.log(value / low) / np.log(high / low)))
        cv2.line(bar, (28, y), (33, y), _INK, 1)
        _text(bar, f"{value:.3g} m", (36, y + 4), 0.4)
    return bar


def round_values(low: float, high: float, most: int) -> list[float]:
    """Round numbers within [low, high], evenly spaced in the logarithm, at most ``most`` of them.

    The densest series that fits, from 1-1.5-2-3-4-5-7 times powers of ten down to powers of ten alone.
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    chosen: list[float] = []
    for series in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        values = [m * 10.0**d for d in decades for m in series if low <= m * 10.0**d <= high]
        if len(values) <= most:
            chosen = values
    return chosen


def _draw_grid(picture: ImageArray, origin: tuple[float, float], step_px: float) -> None:
    """Draws grid lines along and across, through the camera's position."""
    height, width = picture.shape[:2]
    for index in range(int(origin[1] / step_px) + 1):
        y = round(origin[1] - index * step_px)
        cv2.line(picture, (0, y), (width - 1, y), _GRID, 1)
    across = int(width / 2 / step_px)
    for index in range(-across, across + 1):
        x = round(origin[0] + index * step_px)
        cv2.line(picture, (x, 0), (x, height - 1), _GRID, 1)


def _draw_camera(picture: ImageArray, origin: tuple[float, float]) -> None:
    x, y = round(origin[0]), round(origin[1])
    corners = np.array([[x, y], [x - 9, y - 14], [x + 9, y - 14]], np.int32)
    cv2.polylines(picture, [corners], True, _INK, 1, cv2.LINE_AA)


def _padded(picture: ImageArray, width: int) -> ImageArray:
    """The picture with empty columns on its right."""
    margin = np.full((len(picture), width - picture.shape[1], 3), _PAPER, np.uint8)
    return np.concatenate([picture, margin], axis=1)


def _titled(title: str, picture: ImageArray) -> ImageArray:
    strip = np.full((_TITLE_HEIGHT, picture.shape[1], 3), _PAPER, np.uint8)
    _text(strip, title, (10, 20), 0.5)
    return np.concatenate([strip, picture], axis=0)


def label(picture: ImageArray, text: str) -> None:
    """Writes a text into the upper left corner of a picture."""
    _text(picture, text, (6, 16), 0.42)


def _text(picture: ImageArray, text: str, at: Sequence[int], size: float) -> None:
    """Draws light text with a dark outline, readable on any background."""
    for colour, thickness in ((_PAPER, 3), (_INK, 1)):
        cv2.putText(picture, text, (at[0], at[1]), _FONT, size, colour, thickness, cv2.LINE_AA)


# ---- ground truth ----------------------------------------------------------------------------


def label_colours(labels: IntArray) -> ImageArray:
    """Colours (H, W, 3) of small numbers: clearly different up to 22, different below 256; 0 is dark."""
    number = np.arange(256)
    place = number * 7 % 22  # neighbours in number are far apart in hue; neighbours in hue differ in tone
    hsv = np.stack(
        [place * 180 // 22, 110 + place % 2 * 110, 255 - place % 3 * 55 - number // 22 * 9], axis=1
    )
    table = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]
    table[0] = _PAPER
    return np.asarray(table[np.asarray(labels, np.intp) % 256], np.uint8)


def normal_colours(normals: FloatArray) -> ImageArray:
    """Colours (H, W, 3) of unit normals in the optical frame: red right, green up, blue to the camera."""
    shown = np.asarray(normals, np.float32) * np.array([127, -127, -127], np.float32) + 128
    shown[~np.any(normals, axis=-1)] = _PAPER
    return np.clip(shown, 0, 255).astype(np.uint8)


def draw_points(
    image: ImageArray, points: FloatArray, camera: Camera, range_m: Range, *, marker: int | None = None
) -> ImageArray:
    """Image with points (N, 3) of the optical frame drawn on it, coloured by depth within a range in metres.

    ``marker``: None draws single pixels, for many points; an OpenCV marker is drawn with a dark outline.
    """
    picture: ImageArray = image.copy()
    uv, depth = project(points, camera)
    seen = (uv > -0.5).all(axis=1) & (uv < [camera.width - 0.5, camera.height - 0.5]).all(axis=1)
    uv, colours = np.rint(uv[seen]).astype(np.intp), depth_colours(depth[seen], *range_m)
    if marker is None:
        picture[uv[:, 1], uv[:, 0]] = colours
        return picture
    for at, colour in zip(uv.tolist(), colours.tolist(), strict=True):
        cv2.drawMarker(picture, at, _PAPER, marker, 9, 3)
        cv2.drawMarker(picture, at, colour, marker, 9, 1)
    return picture


def draw_grid(titles: Sequence[str], rows: Sequence[Sequence[ImageArray]]) -> ImageArray:
    """Grid of pictures with a title above each column; pictures of a row have one height."""
    widths = [max(picture.shape[1] for picture in column) for column in zip(*rows, strict=True)]
    blank = [np.full((0, width, 3), _PAPER, np.uint8) for width in widths]
    head = [_titled(title, part) for title, part in zip(titles, blank, strict=True)]
    padded = [[_padded(part, width) for part, width in zip(row, widths, strict=True)] for row in rows]
    return np.concatenate([np.concatenate(row, axis=1) for row in (head, *padded)], axis=0)


# ---- basis maps ------------------------------------------------------------------------------


def signed_colours(values: FloatArray, most: float) -> ImageArray:
    """Colours (H, W, 3) of signed values: blue below zero, white at zero, red above; full at +-``most``."""
    level = np.clip(np.nan_to_num(values) / max(most, 1e-9), -1, 1)[..., None]
    end = np.where(level < 0, np.array([40, 80, 200]), np.array([205, 50, 40]))
    colours: ImageArray = np.rint(255 + (end - 255) * np.abs(level)).astype(np.uint8)
    colours[np.isnan(values)] = _UNKNOWN
    return colours


def draw_basis(
    image: ImageArray,
    anchors: Anchors,
    metric: MetricDepth,
    relative: FloatArray,
    maps: FloatArray,
    weights: FloatArray,
    *,
    width: int = 240,
) -> ImageArray:
    """Sheet of anchors, depth, log scale, sigma / depth, then each map's part w_k E_k, the largest first.

    Args:
        relative: (H, W) positive relative depth.
        maps: (K, h, w).
        weights: (K,).
    """
    height = max(1, round(width * image.shape[0] / image.shape[1]))
    size = (width, height)
    small, placed = _resized_with_anchors(image, anchors, width, height)
    with np.errstate(divide="ignore", invalid="ignore"):
        field = np.log(metric.depth / relative)
    field = cv2.resize(field - np.nanmedian(field), size, interpolation=cv2.INTER_AREA)
    parts = weights[:, None, None] * maps
    order = np.argsort(-parts.reshape(len(parts), -1).std(axis=1))
    most = float(np.nanquantile(np.abs(field), 0.98))
    tiles = [
        _titled(f"{len(anchors)} anchors", draw_anchors(small, placed)),
        _titled("depth", depth_colours(cv2.resize(metric.depth, size), *depth_range(metric.depth))),
        _titled(f"log scale, +-{most:.2f}", signed_colours(field, most)),
    ]
    if metric.sigma is not None:
        share = cv2.resize(metric.sigma / metric.depth, size, interpolation=cv2.INTER_AREA)
        high = float(np.nanquantile(share, 0.98))
        tiles.append(
            _titled(f"sigma / depth, to {high:.2f}", depth_colours(high - share + 0.05, 0.05, high + 0.05))
        )
    for k in order.tolist():
        part = cv2.resize(parts[k] - np.median(parts[k]), size, interpolation=cv2.INTER_LINEAR)
        tiles.append(_titled(f"E{k}: w {weights[k]:+.2f}", signed_colours(part, most)))
    columns = 4
    blank = np.full_like(tiles[0], _PAPER[0])
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows)

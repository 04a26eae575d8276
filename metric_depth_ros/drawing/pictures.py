"""Pictures of results: anchors on the image, depth with a scale in metres, the cloud from above.

Every function returns a new RGB picture (H, W, 3) uint8. Depth is coloured by its logarithm, so that
near and far both show: red is near, blue is far, grey is unknown. Errors are blue where depth is too near and
red where it is too far; sigma is dark where it is small.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from metric_depth_ros.drawing.scales import (
    INK,
    PAPER,
    TITLE_HEIGHT,
    UNKNOWN,
    bar,
    linear_ticks,
    most_ticks,
    padded,
    palette,
    round_values,
    share_colours,
    signed_colours,
    text_width,
    tiled,
    titled,
    write_right,
)
from metric_depth_ros.geometry import pixel_rays, project
from metric_depth_ros.types import Anchors, Camera, FloatArray, ImageArray

_GRID = (58, 58, 64)
_CEILING_M = 2.0
# Titles of parts.
TRUE_DEPTH, ERROR = "true depth, grey unknown", "error, red too far, blue too near"
_ABOVE = f"cloud from above, up to {_CEILING_M:g} m over the camera"
# Where a cloud from above leaves room for the scales on its left and below it.
_LEFT, _BELOW = 70, 34
# Of a part of a sheet without its scale: usually, and of a wide one with few beside it.
_PART_WIDTHS = (640, 960)
# Points at so many of the pixels, or more, are drawn as an image, fewer as dots.
_DENSE = 0.25
# Errors beyond these parts of them are not told apart by colour.
_LEAST_ERROR, _MOST_ERROR = 0.05, 1.0

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
    table = np.concatenate([palette(cv2.COLORMAP_TURBO), np.array([UNKNOWN], np.uint8)])
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
    order = np.argsort(-anchors.depth, kind="stable")
    return _dotted(image, anchors.uv[order], depth_colours(anchors.depth, low, high)[order])


def draw_depth(depth: FloatArray, low: float | None = None, high: float | None = None) -> ImageArray:
    """Depth (H, W) in colours, with a scale in metres on its right: (H, W + 100, 3)."""
    low, high = _filled_range(depth, low, high)
    return np.concatenate([depth_colours(depth, low, high), depth_bar(len(depth), low, high)], axis=1)


def depth_bar(height: int, low: float, high: float) -> ImageArray:
    """Scale (height, 100, 3) of ``depth_colours``, far above, with round values in metres beside it."""

    def colours(places: FloatArray) -> ImageArray:
        return depth_colours(low * (high / low) ** places, low, high)

    values = round_values(low, high, most=most_ticks(height)) or (low, high)
    return bar(height, colours, [(np.log(v / low) / np.log(high / low), f"{v:.3g} m") for v in values])


def signed_bar(height: int, most: float, *, percent: bool = True) -> ImageArray:
    """Scale (height, 100, 3) of ``signed_colours``."""
    ticks = linear_ticks(-most, most, most_ticks(height), percent=percent, signed=True)
    return bar(height, lambda places: signed_colours(most * (2 * places - 1), most), ticks)


def draw_share(share: FloatArray, most: float) -> ImageArray:
    """Values (H, W) from 0 up, NaN unknown, in colours, with a scale in percent: (H, W + 100, 3)."""
    ticks = linear_ticks(0, most, most_ticks(len(share)), percent=True)
    scale = bar(len(share), lambda places: share_colours(most * places, most), ticks)
    return beside(share_colours(share, most), scale)


def draw_from_above(
    points: FloatArray,
    colours: ImageArray,
    size: tuple[int, int] = (640, 480),
    reach_m: float | None = None,
    ceiling_m: float | None = None,
) -> ImageArray:
    """Cloud seen from above, with scales in metres; the camera is at the bottom and looks up the picture.

    Args:
        points: (N, 3) metres in the optical frame; rows that are not finite are left out.
        colours: (N, 3) uint8 RGB.
        size: width and height of the picture, of which the scales take the left 70 and the lowest 34 pixels.
        reach_m: distance shown in front of the camera; None: enough for 98 % of the points, ahead and aside.
        ceiling_m: points higher above the camera than this are left out, as they hide those below.
    """
    known = np.isfinite(points).all(axis=1) & (points[:, 2] > 0)
    if ceiling_m is not None:
        known &= points[:, 1] > -ceiling_m
    points, colours = points[known], colours[known]
    width, height = max(size[0] - _LEFT, 1), max(size[1] - _BELOW, 1)
    if reach_m is None:
        aside, ahead = np.percentile(np.abs(points[:, ::2]), 98, axis=0) if len(points) else (0.0, 9.5)
        reach_m = 1.05 * float(max(ahead, aside * (height - 40) / (width / 2)))
    scale, origin = (height - 40) / reach_m, (width / 2, height - 20)
    plan = np.full((height, width, 3), PAPER, np.uint8)
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e9) if reach_m / s <= 8)
    _draw_grid(plan, origin, step * scale)
    _draw_cloud(plan, points, colours, origin, scale)
    _draw_camera(plan, origin)
    return _with_axes(plan, origin, step, scale)


def draw_sheet(
    image: ImageArray,
    anchors: Anchors,
    depth: FloatArray,
    camera: Camera,
    *,
    sigma: FloatArray | None = None,
    truth: Anchors | None = None,
    range_m: Range | None = None,
    title: str = "",
) -> ImageArray:
    """One picture of an image's result, each part under its title and beside its scale.

    Image with anchors, metric depth and the cloud from above; sigma relative to depth where there is one;
    true depth and the error where it is known.

    Args:
        image: (H, W, 3) of ``camera``, as are ``depth`` and ``sigma`` (H, W) in metres.
        truth: pixels of known depth; None or empty: none.
        range_m: colour range of all depths; None: that of the depth. Set it to compare frames.
    """
    low, high = range_m or depth_range(depth if np.isfinite(depth).any() else anchors.depth)
    known = truth is not None and len(truth) > 0
    wide = bool(camera.width > 2 * camera.height)
    width = _PART_WIDTHS[wide and not known]
    size = (width, round(width * camera.height / camera.width))
    with_anchors = draw_anchors(*resized_with_anchors(image, anchors, *size), low, high)
    parts = [
        (
            f"{title}  image, {len(anchors)} anchors".strip(),
            beside(with_anchors, depth_bar(size[1], low, high)),
        ),
        ("metric depth", draw_depth(nearest(depth, size), low, high)),
    ]
    if truth is not None and known:
        parts += _truth_parts(image, depth, truth, size, (low, high))
    if sigma is not None:
        share = nearest(sigma / depth, size)
        most = float(np.nanquantile(share, 0.98)) if np.isfinite(share).any() else 1.0
        parts.append(("sigma / depth (standard deviation)", draw_share(share, max(most, 0.01))))
    drawn = [titled(*part) for part in parts]
    points = (pixel_rays(camera) * depth[..., None]).reshape(-1, 3)
    brighter = (40 + 0.84 * image.reshape(-1, 3)).astype(np.uint8)
    return _with_cloud(drawn, points, brighter, wide=wide)


# ---- parts -----------------------------------------------------------------------------------


def _with_cloud(
    drawn: Sequence[ImageArray], points: FloatArray, colours: ImageArray, *, wide: bool
) -> ImageArray:
    """Parts of one size and the cloud from above: one more of them, or beside those that are wide or two."""
    if not wide and len(drawn) > 2:
        size = (drawn[0].shape[1], len(drawn[0]) - TITLE_HEIGHT)
        above = titled(_ABOVE, draw_from_above(points, colours, size, ceiling_m=_CEILING_M))
        return tiled([*drawn, above], 2 if len(drawn) < 4 else 3)
    left = tiled(drawn, 2 if len(drawn) > 3 else 1)
    height = len(left) - TITLE_HEIGHT
    above = draw_from_above(points, colours, (min(max(height, 480), 720), height), ceiling_m=_CEILING_M)
    return np.concatenate([left, titled(_ABOVE, above)], axis=1)


def _truth_parts(
    image: ImageArray, depth: FloatArray, truth: Anchors, size: tuple[int, int], range_m: Range
) -> list[tuple[str, ImageArray]]:
    """Parts of a sheet: true depth, and the error."""
    u, v = np.rint(truth.uv).astype(np.intp).T
    error = depth[v, u] / truth.depth - 1
    known = np.abs(error[np.isfinite(error)])
    most = float(np.clip(np.quantile(known, 0.95), _LEAST_ERROR, _MOST_ERROR)) if known.size else _MOST_ERROR
    mean = f": AbsRel {known.mean():.3f}" if known.size else ""
    title = TRUE_DEPTH if is_dense(truth, image) else f"{len(truth)} held-out points"
    return [
        (title, draw_true_depth(image, truth, size, range_m)),
        (f"{ERROR}{mean}", draw_error(image, truth, error, size, most)),
    ]


def draw_true_depth(image: ImageArray, truth: Anchors, size: tuple[int, int], range_m: Range) -> ImageArray:
    """True depth at the pixels of an image where it is known, in a width and height, beside its scale."""
    known = draw_known(image, truth, depth_colours(truth.depth, *range_m), size)
    return beside(known, depth_bar(size[1], *range_m))


def draw_error(
    image: ImageArray, truth: Anchors, error: FloatArray, size: tuple[int, int], most: float
) -> ImageArray:
    """Relative error (N,) where true depth is known, in a width and height, beside its scale to ``most``."""
    wrong = draw_known(image, truth, signed_colours(error, most), size)
    return beside(wrong, signed_bar(size[1], most))


def is_dense(known: Anchors, image: ImageArray) -> bool:
    """Whether so many pixels of an image (H, W, 3) are known that they are an image in themselves."""
    return bool(len(known) >= _DENSE * image.shape[0] * image.shape[1])


def draw_known(image: ImageArray, at: Anchors, colours: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Picture of a width and height with colours (N, 3) at pixels of an image; dots on it if they are few."""
    if not is_dense(at, image):
        resized, placed = resized_with_anchors(image, at, *size)
        order = np.argsort(-at.depth, kind="stable")
        return _dotted(resized, placed.uv[order], colours[order])
    u, v = np.rint(at.uv).astype(np.intp).T
    picture = np.full_like(image, UNKNOWN)
    picture[v, u] = colours
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _dotted(image: ImageArray, uv: FloatArray, colours: ImageArray) -> ImageArray:
    """Darkened image with dots at pixels (N, 2), as large as there is room, later ones on top."""
    picture = (image * 0.55).astype(np.uint8)
    spacing = (image.shape[0] * image.shape[1] / max(len(uv), 1)) ** 0.5
    radius = int(np.clip(spacing / 5, 1, max(1, image.shape[1] / 100)))
    for (u, v), colour in zip(uv, colours, strict=True):
        cv2.circle(picture, (round(float(u)), round(float(v))), radius, colour.tolist(), -1, cv2.LINE_AA)
    return picture


def beside(picture: ImageArray, scale: ImageArray) -> ImageArray:
    """The picture with its scale on the right."""
    return np.concatenate([picture, scale], axis=1)


def nearest(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Values (H, W) at a width and height, without values in between."""
    return np.asarray(cv2.resize(np.asarray(values, np.float32), size, interpolation=cv2.INTER_NEAREST))


def _filled_range(depth: FloatArray, low: float | None, high: float | None) -> Range:
    """The given range; missing ends come from the depths."""
    own_low, own_high = depth_range(depth)
    low = own_low if low is None else low
    high = own_high if high is None else high
    return low, high if high > low else low * 1.5


def resized_with_anchors(
    image: ImageArray, anchors: Anchors, width: int, height: int
) -> tuple[ImageArray, Anchors]:
    """Image and anchors at another width and height."""
    scale = np.array([width / image.shape[1], height / image.shape[0]], np.float32)
    resized = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return resized, Anchors((anchors.uv + 0.5) * scale - 0.5, anchors.depth, anchors.sigma)


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


def _draw_cloud(
    plan: ImageArray, points: FloatArray, colours: ImageArray, origin: tuple[float, float], scale: float
) -> None:
    height, width = plan.shape[:2]
    order = np.argsort(-points[:, 1], kind="stable")  # y points down: what is higher is painted later
    x = np.rint(origin[0] + points[order, 0] * scale).astype(np.intp)
    y = np.rint(origin[1] - points[order, 2] * scale).astype(np.intp)
    inside = (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1)
    x, y, colours = x[inside], y[inside], colours[order][inside]
    for dx, dy in ((1, 1), (1, 0), (0, 1), (0, 0)):  # four pixels a point: no gaps between rows of points
        plan[y + dy, x + dx] = colours


def _draw_camera(picture: ImageArray, origin: tuple[float, float]) -> None:
    x, y = round(origin[0]), round(origin[1])
    corners = np.array([[x, y], [x - 9, y - 14], [x + 9, y - 14]], np.int32)
    cv2.polylines(picture, [corners], True, INK, 1, cv2.LINE_AA)


def _with_axes(plan: ImageArray, origin: tuple[float, float], step: float, scale: float) -> ImageArray:
    """The plan with distances on its left and below it, at its grid lines; every second if they are close."""
    height, width = plan.shape[:2]
    picture = np.full((height + _BELOW, width + _LEFT, 3), PAPER, np.uint8)
    picture[:height, _LEFT:] = plan
    for index in range(int(origin[1] / (step * scale)) + 1):
        write_right(picture, f"{index * step:g} m", (_LEFT - 8, round(origin[1] - index * step * scale) + 5))
    every = 1 if step * scale >= _LEFT else 2
    across = int(width / 2 / (step * scale)) // every * every
    for index in range(-across, across + 1, every):
        text = f"{index * step:g} m"
        x = round(_LEFT + origin[0] + index * step * scale)
        write_right(picture, text, (min(x + text_width(text) // 2, width + _LEFT), height + 22))
    return picture


# ---- ground truth ----------------------------------------------------------------------------


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
        cv2.drawMarker(picture, at, PAPER, marker, 9, 3)
        cv2.drawMarker(picture, at, colour, marker, 9, 1)
    return picture


def draw_grid(titles: Sequence[str], rows: Sequence[Sequence[ImageArray]]) -> ImageArray:
    """Grid of pictures with a title above each column; pictures of a row have one height."""
    widths = [max(picture.shape[1] for picture in column) for column in zip(*rows, strict=True)]
    blank = [np.full((0, width, 3), PAPER, np.uint8) for width in widths]
    head = [titled(title, part) for title, part in zip(titles, blank, strict=True)]
    whole = [[padded(part, width) for part, width in zip(row, widths, strict=True)] for row in rows]
    return np.concatenate([np.concatenate(row, axis=1) for row in (head, *whole)], axis=0)

"""Colours of numbers, scales beside pictures, and text on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, ImageArray, IntArray

UNKNOWN = (90, 90, 90)
PAPER = (24, 24, 28)
INK = (235, 235, 235)
BAR_WIDTH = 100
TITLE_HEIGHT = 40
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TITLE, _TICK = 0.68, 0.55

# Place on a bar, from 0 (below) to 1 (above), and what stands there.
Tick = tuple[float, str]


# ---- text and scales -------------------------------------------------------------------------


def write(picture: ImageArray, text: str, at: Sequence[int], size: float = _TICK) -> None:
    """Draws light text with a dark outline, readable on any background, from its lower left corner."""
    # Thicker letters would be wider: OpenCV 5 draws them in a bolder face.
    around = [(dx, dy, PAPER) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]
    for dx, dy, colour in (*around, (0, 0, INK)):
        cv2.putText(picture, text, (at[0] + dx, at[1] + dy), _FONT, size, colour, 1, cv2.LINE_AA)


def write_right(picture: ImageArray, text: str, at: Sequence[int], size: float = _TICK) -> None:
    """As ``write``, from the lower right corner."""
    write(picture, text, (at[0] - text_width(text, size), at[1]), size)


def text_width(text: str, size: float = _TICK) -> int:
    """Width of a written text in pixels."""
    return int(cv2.getTextSize(text, _FONT, size, 1)[0][0])


def titled(title: str, picture: ImageArray) -> ImageArray:
    """The picture under a strip with a title, in smaller letters if it is long."""
    strip = np.full((TITLE_HEIGHT, picture.shape[1], 3), PAPER, np.uint8)
    room = max(picture.shape[1] - 20, 1)
    write(strip, title, (10, 27), _TITLE * min(1.0, room / max(text_width(title, _TITLE), 1)))
    return np.concatenate([strip, picture], axis=0)


def padded(picture: ImageArray, width: int, height: int | None = None) -> ImageArray:
    """The picture with empty columns on its right and, up to a height, empty rows below."""
    whole = np.full((height or len(picture), width, 3), PAPER, np.uint8)
    whole[: len(picture), : picture.shape[1]] = picture
    return whole


def tiled(tiles: Sequence[ImageArray], columns: int) -> ImageArray:
    """Pictures of one size side by side, in as many rows as they need."""
    blank = np.full_like(tiles[0], PAPER)
    whole = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.concatenate(whole[i : i + columns], axis=1) for i in range(0, len(whole), columns)]
    return np.concatenate(rows)


def bar(height: int, colours: Callable[[FloatArray], ImageArray], ticks: Sequence[Tick]) -> ImageArray:
    """Scale (height, BAR_WIDTH, 3): a bar of colours with ticks beside it.

    Args:
        colours: from places (N,) on the bar, 0 below and 1 above, to RGB (N, 3).
    """
    drawn = np.full((height, BAR_WIDTH, 3), PAPER, np.uint8)
    top, bottom = min(14, height // 8), height - min(14, height // 8)
    drawn[top:bottom, 10:28] = colours(np.linspace(1, 0, max(bottom - top, 1)))[:, None]
    for place, text in ticks:
        y = round(bottom - (bottom - top) * place)
        cv2.line(drawn, (28, y), (33, y), INK, 1)
        write(drawn, text, (37, y + 6))
    return drawn


def most_ticks(height: int) -> int:
    """Number of ticks that a bar has room for."""
    return max(2, height // 34)


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


def linear_ticks(
    low: float, high: float, most: int, *, percent: bool = False, signed: bool = False
) -> list[Tick]:
    """Ticks of a bar from ``low`` to ``high`` at round numbers, at most ``most`` of them."""
    decade = 10.0 ** np.floor(np.log10((high - low) / most))
    for step in (m * decade for m in (1, 2, 5, 10, 20, 50, 100)):
        first, last = np.ceil(low / step - 1e-6), np.floor(high / step + 1e-6)
        if last - first < most:
            break
    values = step * np.arange(first, last + 1) + 0.0  # no -0
    form = f"{'+' if signed else ''}.3g"
    shown = [(float(v), f"{100 * v if percent else v:{form}}{' %' if percent else ''}") for v in values]
    return [((v - low) / (high - low), text if v else text.replace("+", "")) for v, text in shown]


# ---- colours ---------------------------------------------------------------------------------


def palette(kind: int) -> ImageArray:
    """Colour table (256, 3) RGB of OpenCV, from its first colour to its last."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return np.asarray(cv2.applyColorMap(ramp, kind)[:, 0, ::-1], np.uint8)


def share_colours(values: FloatArray, most: float) -> ImageArray:
    """Colours (..., 3) of values from 0 (dark) to ``most`` and beyond (bright); NaN is grey."""
    table = np.concatenate([palette(cv2.COLORMAP_VIRIDIS), np.array([UNKNOWN], np.uint8)])
    level = np.clip(np.asarray(values, np.float32) / np.float32(max(most, 1e-9)), 0, 1)
    index = np.where(np.isnan(level), np.float32(256), np.rint(255 * level))
    return np.asarray(np.take(table, index.astype(np.intp), axis=0))


def signed_colours(values: FloatArray, most: float) -> ImageArray:
    """Colours (..., 3) of signed values: blue below zero, white at zero, red above; full at +-``most``."""
    level = np.clip(np.nan_to_num(values) / max(most, 1e-9), -1, 1)[..., None]
    end = np.where(level < 0, np.array([40, 80, 200]), np.array([205, 50, 40]))
    colours: ImageArray = np.rint(255 + (end - 255) * np.abs(level)).astype(np.uint8)
    colours[np.isnan(values)] = UNKNOWN
    return colours


def label_colours(labels: IntArray) -> ImageArray:
    """Colours (H, W, 3) of small numbers: clearly different up to 22, different below 256; 0 is dark."""
    number = np.arange(256)
    place = number * 7 % 22  # neighbours in number are far apart in hue; neighbours in hue differ in tone
    hsv = np.stack(
        [place * 180 // 22, 110 + place % 2 * 110, 255 - place % 3 * 55 - number // 22 * 9], axis=1
    )
    table = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]
    table[0] = PAPER
    return np.asarray(table[np.asarray(labels, np.intp) % 256], np.uint8)


def normal_colours(normals: FloatArray) -> ImageArray:
    """Colours (H, W, 3) of unit normals in the optical frame: red right, green up, blue to the camera."""
    shown = np.asarray(normals, np.float32) * np.array([127, -127, -127], np.float32) + 128
    shown[~np.any(normals, axis=-1)] = PAPER
    return np.clip(shown, 0, 255).astype(np.uint8)

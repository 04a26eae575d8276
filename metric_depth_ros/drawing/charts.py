"""Line charts for people, as RGB pictures (H, W, 3) uint8."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, ImageArray

_COLOURS = ((214, 96, 40), (40, 140, 60), (40, 70, 200), (150, 60, 160), (0, 140, 150), (120, 110, 30))
_SIZE, _MARGIN = (620, 300), 46
# Width of a name with its value, and height of a row of them.
_LEGEND, _ROW = 170, 16


def draw_chart(
    title: str,
    lines: Mapping[str, FloatArray],
    *,
    across: str,
    beside: Mapping[str, FloatArray] | None = None,
) -> ImageArray:
    """A chart of lines (N, 2) of x from 0 and y, under their names and last values.

    Args:
        across: what x is; stands before the largest x.
        beside: thin lines, each in the colour of the line of its name. What is not finite is left out.
    """
    width, height = _SIZE
    chart: ImageArray = np.full((height, width, 3), 255, np.uint8)
    columns = (width - _MARGIN) // _LEGEND
    top = _MARGIN + _ROW * max(0, math.ceil(len(lines) / columns) - 1)
    low, high = np.array([_MARGIN, top]), np.array([width - 16, height - 28])
    cv2.rectangle(chart, low.tolist(), high.tolist(), (190, 190, 190), 1)
    _write(chart, title, (_MARGIN, 18), (0, 0, 0))
    known, thin = _known(lines), _known(beside or {})
    points = np.concatenate([*known.values(), *thin.values(), np.zeros((0, 2))])
    points = points if len(points) else np.zeros((1, 2))
    least, most = points.min(axis=0), points.max(axis=0)
    least[0] = 0
    span = np.maximum(most - least, 1e-9)
    for text, at in ((f"{most[1]:.3g}", (2, top + 4)), (f"{least[1]:.3g}", (2, height - 28)),
                     (f"{across} {most[0]:.4g}", (width - 150, height - 10))):  # fmt: skip
        _write(chart, text, at, (90, 90, 90))
    for number, (name, line) in enumerate(known.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        for drawn, thickness in ((thin.get(name), 1), (line, 2)):
            if drawn is not None and len(drawn):
                part = (drawn - least) / span
                pixels = np.column_stack([part[:, 0], 1 - part[:, 1]]) * (high - low) + low
                cv2.polylines(
                    chart, [np.rint(pixels).astype(np.int32)], False, colour, thickness, cv2.LINE_AA
                )
        label = f"{name} {line[-1, 1]:.3f}" if len(line) else name
        at = (_MARGIN + 8 + _LEGEND * (number % columns), 38 + _ROW * (number // columns))
        _write(chart, label, at, colour)
    return chart


def _known(lines: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {name: line[np.isfinite(line).all(axis=1)] for name, line in lines.items()}


def _write(chart: ImageArray, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(chart, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)

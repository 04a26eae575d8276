"""Scale and shift of parts of an image: the analysis of paper 000, section 3.1 (figure 3 and its table)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.depth import positive_depth
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.whole_truth import least_squares
from metric_depth_ros.types import FloatArray, RelativeDepth


@dataclass(frozen=True)
class Patch:
    """Fit of the true depth to the normalised depth of one part of an image.

    Attributes:
        pixels: known ones in it.
        scale, shift: metres; NaN without pixels.
        own_error, global_error: AbsRel in the patch, of its own line and of the whole image's.
    """

    pixels: int
    scale: float
    shift: float
    own_error: float
    global_error: float


def normalised(relative: RelativeDepth) -> FloatArray:
    """Depth (H, W) with zero translation and unit scale (paper 000, equations 2 and 3).

    (D - t) / s with t = median(D), s = mean |D - t|, D the network's positive depth; NaN where it gives none.
    A constant map is 0.
    """
    depth = positive_depth(relative).astype(np.float64)
    if np.isnan(depth).all():
        return depth
    centred = depth - np.nanmedian(depth)
    spread = float(np.nanmean(np.abs(centred)))
    return np.asarray(centred / (spread or 1.0))


def patches(view: KnownView, rows: int, columns: int) -> list[Patch]:
    """Fit of the whole image, then of each of rows x columns equal patches, row by row.

    Raises:
        AnchorError: the network gives no value at any known pixel.
    """
    truth = view.known.pixels
    u, v = np.rint(truth.uv).astype(np.intp).T
    x = normalised(view.relative)[v, u]
    seen = np.isfinite(x)
    if not seen.any():
        raise AnchorError(f"{view.name}: the network gives no value at {len(truth)} known pixels.")
    u, v, x, y = u[seen], v[seen], x[seen], truth.depth[seen].astype(np.float64)
    patch = v * rows // view.known.height * columns + u * columns // view.known.width
    everywhere = np.zeros(len(x), np.intp)
    (scale,), (shift,) = least_squares(x, y, everywhere, 1)
    of_all = np.abs(scale * x + shift - y) / y
    scales, shifts = least_squares(x, y, patch, rows * columns)
    own = np.abs(scales[patch] * x + shifts[patch] - y) / y
    found = [Patch(len(x), float(scale), float(shift), float(of_all.mean()), float(of_all.mean()))]
    for index in range(rows * columns):
        inside = patch == index
        count = int(np.count_nonzero(inside))
        errors = [float(e[inside].mean()) if count else float("nan") for e in (own, of_all)]
        line = (float(scales[index]), float(shifts[index])) if count else (float("nan"), float("nan"))
        found.append(Patch(count, *line, *errors))
    return found


def patch_table(found: Sequence[Patch]) -> str:
    """Markdown table of ``patches``."""
    lines = ["| Patch | Scale (s) | Shift (t) | pixels | AbsRel, own line | AbsRel, image's line |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for index, each in enumerate(found):
        name = f"Patch {index}" if index else "image"
        lines.append(
            f"| {name} | {each.scale:.2f} | {each.shift:.2f} | {each.pixels} | {each.own_error:.3f} "
            f"| {each.global_error:.3f} |"
        )
    return "\n".join(lines)

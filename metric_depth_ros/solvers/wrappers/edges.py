"""Sharp edges for any solver: pixels that hang between two surfaces go to one of them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import BoolArray, FloatArray, IntArray, MetricDepth, SolverInput

# Half the width of the window, in parts of the image's longer side.
_REACH = 1 / 130
# Least step in the window, in log depth, and the least part of the step of inverse depth in a window of twice
# the width; each counts wholly this much further on. On a plane the part is a half, at its end two thirds, at
# an edge all. Ours, of develop frames.
_STEP, _STEP_MORE = 0.05, 0.05
_PART, _PART_MORE = 0.7, 0.2
# How much steeper a step becomes, and sigmas at which a pixel moves half as far.
_STEEPER, _SIGMAS = 4.0, 2.0


class SharpEdges(Solver):
    """Depth of another solver in which pixels between two surfaces go towards the one closer to their depth.

    Toggle mapping of depth (Kramer and Bruckner 1975): towards the least or the greatest in a window, as far
    as there is a step of 5 to 10 % that is no slope, four times as steep as before. Ours: the conditions.
    Inverse depth of a plane is linear over the image, so that no floor and no wall is a step, however
    slanted. Where sigma s is small a move m becomes m / (1 + (m / 2 s)^2), so that anchors keep their depth;
    what a pixel moves is added to its variance.
    """

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self.wants_regions = solver.wants_regions
        self.probabilistic, self.follows_anchors = solver.probabilistic, solver.follows_anchors

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and, if the wrapped solver gives it, sigma (H, W) in metres. Raises what that raises."""
        fitted = self._solver.solve(given)
        depth, sigma = sharpened(fitted.depth, fitted.sigma)
        return replace(fitted, depth=depth, sigma=sigma)


def sharpened(depth: FloatArray, sigma: FloatArray | None = None) -> tuple[FloatArray, FloatArray | None]:
    """Depth (H, W) with sharper edges, metres, and its sigma if there is one.

    What is NaN, infinite or not positive stays as it is; no pixel moves by more than its sigma. Images of up
    to 65 pixels are too small to have edges.
    """
    at, moved = _moves(depth)
    if sigma is not None:
        own, sigma = sigma.ravel()[at], sigma.copy()
        with np.errstate(divide="ignore", invalid="ignore"):
            sure = (moved / (_SIGMAS * own)) ** 2
        moved /= 1 + np.where(np.isnan(sure), 0, sure)
        sigma.ravel()[at] = np.hypot(own, moved)
    sharp = depth.copy()
    sharp.ravel()[at] += moved
    return sharp, sigma


def _moves(depth: FloatArray) -> tuple[IntArray, FloatArray]:
    """Flat indices (N,) of the pixels between two surfaces, and how far each should move in metres (N,)."""
    reach = round(_REACH * max(depth.shape))
    every = max(reach // 2, 1)  # steps are looked for in one pixel of each cell: in half the time
    step, around, near, far = _steps(_sampled(depth, every), round(reach / every))
    with np.errstate(over="ignore", invalid="ignore"):  # where nothing is known
        found = (step > np.expm1(_STEP) * far) & (step > _PART * around)
    at, cell = _pixels(found, every, depth.shape)
    own = depth.ravel()[at]
    known = np.isfinite(own) & (own > 0)
    at, cell, own = at[known], cell[known], own[known]
    part = step.ravel()[cell] / around.ravel()[cell]
    # A thing so thin that no sample has met it stays where it is.
    near, far = np.minimum(1 / near.ravel()[cell], own), np.maximum(1 / far.ravel()[cell], own)
    share = np.minimum((np.log(far / near) - _STEP) / _STEP_MORE, 1)
    share *= np.minimum((part - _PART) / _PART_MORE, 1)
    place = np.clip(_STEEPER * ((own - near) / (far - near) - 0.5) + 0.5, 0, 1)
    return at, own * (((near + place * (far - near)) / own) ** share - 1)


def _sampled(depth: FloatArray, every: int) -> FloatArray:
    """The pixels (h, w) in the middle of cells of ``every`` by ``every`` of an image, or at its border."""
    rows, columns = (np.arange(0, side, every) + every // 2 for side in depth.shape)
    return depth[np.minimum(rows, len(depth) - 1)][:, np.minimum(columns, depth.shape[1] - 1)]


def _steps(depth: FloatArray, reach: int) -> tuple[FloatArray, ...]:
    """Steps of inverse depth in windows and in others twice as wide; greatest and least in the former."""
    known = np.isfinite(depth) & (depth > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.reciprocal(depth)
    window = np.ones((2 * reach + 1,) * 2, np.uint8)
    near = cv2.dilate(_filled(inverse, known, -np.inf), window)
    far = cv2.erode(_filled(inverse, known, np.inf), window)
    with np.errstate(over="ignore", invalid="ignore"):
        return near - far, cv2.dilate(near, window) - cv2.erode(far, window), near, far


def _pixels(found: BoolArray, every: int, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Flat indices (N,) of the pixels of an image (H, W) in cells (h, w) that are found, and of the cells."""
    cells = np.where(found, np.arange(found.size, dtype=np.int32).reshape(found.shape), -1)
    whole = every * found.shape[1], every * found.shape[0]
    cells = cv2.resize(cells, whole, interpolation=cv2.INTER_NEAREST)[: shape[0], : shape[1]].ravel()
    at = np.flatnonzero(cells >= 0)
    return at, cells[at]


def _filled(values: FloatArray, known: BoolArray, other: float) -> FloatArray:
    return values if known.all() else np.asarray(np.where(known, values, np.float32(other)))

"""Scores of relative depth: rank correlation, and AbsRel after a fit of scale and shift.

They measure a depth network by itself. Per image: the rank correlation of its inverse depth with the true
inverse depth, which depends only on the order of depths; and AbsRel at the other pixels after scale and
shift were fitted to 200 known pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from metric_depth_ros.datasets import Frame, FrameFolder
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.known_depth import known_pixels
from metric_depth_ros.evaluation.metrics import abs_rel
from metric_depth_ros.types import Camera, FloatArray, ImageArray, IntArray, RelativeDepth

# A score is the mean over this many draws, each of this many anchors.
_DRAWS = 3
_ANCHORS = 200
# Largest number of known pixels used per image; images with fewer than the smallest are left out.
_MOST_PIXELS = 40_000
_LEAST_PIXELS = 400

# Function from an image (H, W, 3) uint8 RGB to relative inverse depth (H, W).
Predictor = Callable[[ImageArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Truth:
    """One image and its pixels of known depth.

    Attributes:
        name: of the set and the frame; it is the random seed.
        image: (H, W, 3) uint8 RGB.
        uv: (N, 2) whole pixels, right and down.
        depth: (N,) metres.
        camera: None if not given.
    """

    name: str
    image: ImageArray
    uv: IntArray
    depth: FloatArray
    camera: Camera | None = None


@dataclass(frozen=True)
class Score:
    """Score of one image, or the medians over several.

    Attributes:
        rank: correlation from -1 to 1.
        abs_rel: after the fit.
    """

    rank: float
    abs_rel: float


def read_truths(folder: str | Path) -> Iterator[Truth]:
    """Frames of a folder with up to 40000 known pixels each; frames with fewer than 400 are left out.

    Depth is from the depth image, from one of lower resolution, or from LiDAR points visible to the camera.

    Raises:
        InputError: the folder or a frame cannot be read.
    """
    frames = FrameFolder(folder)
    for index, frame in enumerate(frames):
        known = known_pixels(frame)
        uv: IntArray = np.rint(known.uv).astype(np.intp)
        depth = known.depth
        if not len(depth):
            uv, depth = _coarse_pixels(frames, index, frame)
        height, width = frame.image.shape[:2]
        inside = ((uv >= 0) & (uv < np.array([width, height]))).all(axis=1)
        uv, depth = uv[inside], depth[inside]
        if len(depth) >= _LEAST_PIXELS:
            name = f"{frames.path.name}/{frame.id}"
            chosen = _generator(name, 0).permutation(len(depth))[:_MOST_PIXELS]
            yield Truth(name, frame.image, uv[chosen], depth[chosen], frame.camera)


def score(inverse_depth: FloatArray, truth: Truth) -> Score:
    """Score of relative inverse depth (H, W); non-finite values count as farthest.

    AbsRel is the mean of three draws of 200 pixels. The seed is the image's name, so every network is
    evaluated at the same pixels.

    Raises:
        InputError: the map is not of the image's size, or has no finite value.
    """
    if inverse_depth.shape != truth.image.shape[:2]:
        raise InputError(f"{truth.name}: the map is {inverse_depth.shape}; needed {truth.image.shape[:2]}.")
    u, v = truth.uv.T
    values = inverse_depth[v, u].astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        raise InputError(f"{truth.name}: the map has no finite value where depth is known.")
    values = np.where(finite, values, values[finite].min())
    error = _error_of_fits(truth, lambda anchors: fitted_depth(values, values[anchors], truth.depth[anchors]))
    return Score(rank_correlation(values, 1 / truth.depth), error)


def scaled_error(positive: FloatArray, truth: Truth) -> float:
    """AbsRel of a positive relative depth (H, W) with one scale, the median ratio at the same anchors."""
    values = positive[truth.uv[:, 1], truth.uv[:, 0]].astype(np.float64)
    return _error_of_fits(
        truth, lambda anchors: values * np.nanmedian(truth.depth[anchors] / values[anchors])
    )


def _error_of_fits(truth: Truth, depth_of: Callable[[IntArray], FloatArray]) -> float:
    """Mean AbsRel over draws of anchors, at the other pixels; ``depth_of`` fits depth to the anchors."""
    errors = []
    for draw in range(1, _DRAWS + 1):
        order = _generator(truth.name, draw).permutation(len(truth.depth))
        anchors, others = order[:_ANCHORS], order[_ANCHORS:]
        errors.append(abs_rel(depth_of(anchors)[others], truth.depth[others]))
    return float(np.mean(errors))


def fitted_depth(values: FloatArray, anchor_values: FloatArray, anchor_depth: FloatArray) -> FloatArray:
    """Depth (N,) in metres: 1 / (a value + b), with a and b by least squares in inverse depth at anchors.

    Inverse depth is at least half that of the farthest anchor.
    """
    design = np.column_stack([anchor_values, np.ones(len(anchor_values))]).astype(np.float64)
    solution = np.linalg.lstsq(design, 1 / anchor_depth.astype(np.float64), rcond=None)[0]
    depth: FloatArray = 1 / np.maximum(values * solution[0] + solution[1], 0.5 / float(anchor_depth.max()))
    return depth


def rank_correlation(a: FloatArray, b: FloatArray) -> float:
    """Spearman's correlation of values (N,); equal values get their mean rank; 0 if one is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b)[0])


def inverse_values(relative: RelativeDepth) -> FloatArray:
    """Relative inverse depth (H, W) from either kind of relative depth."""
    if relative.kind == "inverse_depth":
        return relative.values
    inverse: FloatArray = 1 / relative.values
    return inverse


def rows_only(image: ImageArray) -> FloatArray:
    """Control (H, W) that ignores the image: lower rows are nearer."""
    height, width = image.shape[:2]
    return np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)


def constant(image: ImageArray) -> FloatArray:
    """Constant control (H, W): the fit gives one depth."""
    return np.ones(image.shape[:2], np.float32)


def median_score(scores: Sequence[Score]) -> Score:
    """Medians of both scores; NaN without scores."""
    if not scores:
        return Score(float("nan"), float("nan"))
    return Score(float(np.median([s.rank for s in scores])), float(np.median([s.abs_rel for s in scores])))


def _coarse_pixels(folder: FrameFolder, index: int, frame: Frame) -> tuple[IntArray, FloatArray]:
    """Pixels at the pixel centres of a depth image of lower resolution, ``lowres_depth``; else none."""
    stored = folder.coarse_depth(index)
    if stored is None:
        return np.empty((0, 2), np.intp), np.empty(0, np.float32)
    v, u = np.nonzero(stored)
    ratio = np.array(frame.image.shape[1::-1]) / stored.shape[::-1]
    uv = (np.column_stack([u, v]) + 0.5) * ratio - 0.5
    return np.rint(uv).astype(np.intp), stored[v, u]


def _generator(name: str, draw: int) -> np.random.Generator:
    return np.random.default_rng([draw, *name.encode()])

"""What the network of ``refined`` looks at: a solver's result, the relative map, the anchors, the image.

All maps are free of scale, so that depths times c give results times c: logarithms less their median,
residuals and sigma as parts of depth. Everything is reduced to the network's size (w, h), stretched as the
depth networks' own input is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.depth import positive_depth
from metric_depth_ros.types import Anchors, FloatArray, ImageArray, MetricDepth, SolverInput

# Deviation of log depth where the solver gives none, and the limits of what is believed.
USUAL_SIGMA, LEAST_SIGMA, MOST_SIGMA = 0.1, 0.01, 1.0
# Cells of so many pixels over which residuals are pooled, so that pixels far from anchors feel them. Sides of
# the network's input are multiples of each.
POOLED = (4, 16, 48)
CHANNELS = 10 + 3 * len(POOLED)
# Channels of log depth and of the log of sigma, the latter less a middle, in units.
LOG_DEPTH, LOG_SIGMA = 3, 4
SIGMA_MIDDLE, SIGMA_UNIT = -3.0, 1.5
# What the channels tell, by the names of `train refinement --without`.
INPUTS = {
    "image": (0, 1, 2),
    "fit": (LOG_DEPTH,),
    "sigma": (LOG_SIGMA,),
    "relative": (5,),
    "residuals": tuple(range(6, CHANNELS - 2)),
    "distance": (CHANNELS - 2,),
    "count": (CHANNELS - 1,),
}
# Residuals of log depth in units of this, and the most of them: an outlier is an outlier.
_RESIDUAL, _MOST = 0.1, 4.0
# Relative sigma at which an anchor counts half.
_HALF = 0.05
# Mean and deviation of 8-bit grey, roughly.
_GREY = 127.5, 64.0
# Nothing is nearer or farther than this in log depth from the middle.
_FARTHEST = 4.0


@dataclass(frozen=True, eq=False)
class Look:
    """A solver's input and result at the network's size.

    Attributes:
        image: (h, w, 3) uint8 RGB; grey without an image.
        maps: (3, h, w) log depth less its median, log of relative sigma, log relative depth less its median.
        uv: (N, 2) the anchors in pixels of the maps.
        residual: (N,) log of an anchor's depth over the solver's depth there.
        sigma: (N,) relative sigma of the anchors.
    """

    image: ImageArray
    maps: FloatArray
    uv: FloatArray
    residual: FloatArray
    sigma: FloatArray


def look_at(given: SolverInput, fitted: MetricDepth, size: tuple[int, int]) -> Look:
    """What the network is shown of a solver's result; ``size`` is its width and height."""
    height, width = fitted.depth.shape
    image = np.full((size[1], size[0], 3), round(_GREY[0]), np.uint8)
    if given.image is not None:
        how = cv2.INTER_AREA if size[0] < width and size[1] < height else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(given.image, size, interpolation=how), np.uint8)
    depth = cv2.resize(fitted.depth, size)
    sigma = None if fitted.sigma is None else cv2.resize(fitted.sigma, size)
    relative = replace(given.relative, values=cv2.resize(given.relative.values, size))
    maps = np.stack(
        [
            _centred_log(depth),
            np.log(relative_sigma(MetricDepth(depth, sigma))),
            _centred_log(positive_depth(relative)),
        ]
    )
    anchors, residual = _residuals(given.anchors, fitted.depth)
    uv = (anchors.uv + 0.5) * (np.array(size) / (width, height)) - 0.5
    return Look(image, maps, uv, residual, anchors.sigma / anchors.depth)


def relative_sigma(fitted: MetricDepth) -> FloatArray:
    """Sigma over depth (H, W), within limits."""
    if fitted.sigma is None:
        return np.full(fitted.depth.shape, USUAL_SIGMA, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(fitted.sigma / fitted.depth, copy=False, nan=USUAL_SIGMA)
    return np.asarray(np.clip(ratio, LEAST_SIGMA, MOST_SIGMA), np.float32)


def channels_of(look: Look) -> FloatArray:
    """The network's input (CHANNELS, h, w) float32, all of it of a size near 1."""
    height, width = look.maps.shape[1:]
    out = np.empty((CHANNELS, height, width), np.float32)
    out[:3] = (look.image.transpose(2, 0, 1) - np.float32(_GREY[0])) / np.float32(_GREY[1])
    out[3:6] = look.maps
    out[LOG_SIGMA] = (out[LOG_SIGMA] - SIGMA_MIDDLE) / SIGMA_UNIT
    column, row = np.clip(np.rint(look.uv), 0, (width - 1, height - 1)).astype(np.intp).T
    residual = np.clip(look.residual / _RESIDUAL, -_MOST, _MOST)
    weight = 1 / (1 + (look.sigma / _HALF) ** 2)
    place = row * width + column
    sums = np.stack(
        [
            np.bincount(place, part, height * width).reshape(height, width)
            for part in (weight, weight * residual, weight * np.abs(residual))
        ]
    ).astype(np.float32)
    out[6] = sums[1] / np.maximum(sums[0], 1e-6)
    out[7] = np.minimum(sums[0], 2)
    at = 8
    for cell in POOLED:
        out[at : at + 3] = _pooled(sums, cell)
        at += 3
    out[at] = _distances(sums[0] == 0)
    out[at + 1] = np.log1p(len(place)) / 4
    return out


def _centred_log(depth: FloatArray) -> FloatArray:
    """Log depth less its median, within limits; 0 where unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(depth)
    known = logarithm[np.isfinite(logarithm)]
    logarithm -= np.median(known) if len(known) else np.float32(0)
    return np.asarray(np.clip(np.nan_to_num(logarithm, copy=False, nan=0.0), -_FARTHEST, _FARTHEST))


def _residuals(anchors: Anchors, depth: FloatArray) -> tuple[Anchors, FloatArray]:
    """The anchors where the solver gives depth, and their log residuals (N,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.log(anchors.depth / sample_bilinear(depth, anchors.uv))
    known = np.isfinite(residual) & np.isfinite(anchors.sigma)
    return anchors.take(known), np.asarray(residual[known], np.float32)


def _pooled(sums: FloatArray, cell: int) -> FloatArray:
    """Means of residual and its absolute value, and weight (3, h, w), over cells and between them."""
    _, height, width = sums.shape
    cells = sums.reshape(3, height // cell, cell, width // cell, cell).sum((2, 4))
    weight = cells[0]
    means = cells[1:] / np.maximum(weight, 1e-6)
    parts = (*means, weight / (weight + 1))
    return np.stack([cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR) for part in parts])


def _distances(empty: FloatArray) -> FloatArray:
    """Log of the distance (h, w) from the nearest anchor, over that of the whole width."""
    if empty.all():
        return np.ones(empty.shape, np.float32)
    pixels = cv2.distanceTransform(empty.astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(np.log1p(pixels) / np.log1p(np.float32(empty.shape[1])), np.float32)

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
from metric_depth_ros.geometry import filled
from metric_depth_ros.types import (
    Anchors,
    BoolArray,
    FloatArray,
    ImageArray,
    IntArray,
    MetricDepth,
    SolverInput,
)

# Deviation of log depth where the solver gives none, and the limits of what is believed.
USUAL_SIGMA, LEAST_SIGMA, MOST_SIGMA = 0.1, 0.01, 1.0
# Cells of so many pixels over which residuals are pooled, so that pixels far from anchors feel them. Sides of
# the network's input are multiples of each (``cells_fit``), and all are of the first.
POOLED = (4, 16, 48)
SIDES = f"sides that are multiples of {', '.join(map(str, POOLED))}"
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


def cells_fit(width: int, height: int) -> bool:
    """Whether the network's input may have this size: cells of residuals fill it, as ``SIDES`` says."""
    return all(side > 0 and side % cell == 0 for side in (width, height) for cell in POOLED)


def look_at(given: SolverInput, fitted: MetricDepth, size: tuple[int, int]) -> Look:
    """What the network is shown of a solver's result; ``size`` is its width and height."""
    height, width = fitted.depth.shape
    image = np.full((size[1], size[0], 3), round(_GREY[0]), np.uint8)
    if given.image is not None:
        image = _reduced(given.image, size)
    depth = cv2.resize(fitted.depth, size)
    sigma = None if fitted.sigma is None else cv2.resize(fitted.sigma, size)
    relative = replace(given.relative, values=cv2.resize(given.relative.values, size))
    maps = np.empty((3, *depth.shape), np.float32)
    _centred_log(depth, out=maps[0])
    np.log(relative_sigma(MetricDepth(depth, sigma)), out=maps[1])
    _centred_log(positive_depth(relative), out=maps[2])
    anchors, residual = _residuals(given.anchors, fitted.depth)
    uv = (anchors.uv + 0.5) * (np.array(size) / (width, height)) - 0.5
    return Look(image, maps, uv, residual, anchors.sigma / anchors.depth)


def _reduced(image: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Image (h, w, 3) of a size; of a larger one the mean over each pixel, nearly so if of more than twice.

    That one is sampled first, for a quarter of the time and less.
    """
    how = cv2.INTER_AREA if size[0] < image.shape[1] and size[1] < image.shape[0] else cv2.INTER_LINEAR
    twice = 2 * size[0], 2 * size[1]
    if twice[0] < image.shape[1] and twice[1] < image.shape[0]:
        image = cv2.resize(image, twice, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def relative_sigma(fitted: MetricDepth) -> FloatArray:
    """Sigma over depth (H, W), within limits; the nearest known one where unknown."""
    if fitted.sigma is None:
        return np.full(fitted.depth.shape, USUAL_SIGMA, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(fitted.sigma, fitted.depth, dtype=np.float32)
    _fill(ratio)
    return np.asarray(np.clip(ratio, LEAST_SIGMA, MOST_SIGMA, out=ratio))


def channels_of(look: Look) -> FloatArray:
    """The network's input (CHANNELS, h, w) float32, all of it of a size near 1."""
    height, width = look.maps.shape[1:]
    out = np.empty((CHANNELS, height, width), np.float32)
    np.multiply(look.image.transpose(2, 0, 1), np.float32(1 / _GREY[1]), out=out[:3])
    out[:3] -= np.float32(_GREY[0] / _GREY[1])
    out[3:6] = look.maps
    out[LOG_SIGMA] -= np.float32(SIGMA_MIDDLE)
    out[LOG_SIGMA] /= np.float32(SIGMA_UNIT)
    pixel = np.clip(np.rint(look.uv[:, ::-1]), 0, (height - 1, width - 1)).astype(np.intp)
    residual = np.clip(look.residual / _RESIDUAL, -_MOST, _MOST)
    weight = 1 / (1 + (look.sigma / _HALF) ** 2)
    parts = np.stack([weight, weight * residual, weight * np.abs(residual)])
    sums = _sums(parts[:2], pixel, (height, width))
    np.divide(sums[1], np.maximum(sums[0], 1e-6), out=out[6])
    np.minimum(sums[0], 2, out=out[7])
    finest = POOLED[0]
    cells = _sums(parts, pixel // finest, (height // finest, width // finest))
    for index, cell in enumerate(POOLED):
        _pool(_gathered(cells, cell // finest), out[8 + 3 * index : 11 + 3 * index])
    out[-2] = _distances(out[7] == 0)
    out[-1] = np.log1p(len(pixel)) / 4
    return out


def _sums(parts: FloatArray, pixel: IntArray, shape: tuple[int, int]) -> FloatArray:
    """Sums (K, h, w) of values (K, N) at the pixels (N, 2), row and column."""
    place = pixel[:, 0] * shape[1] + pixel[:, 1]
    sums = [np.bincount(place, part, shape[0] * shape[1]).reshape(shape) for part in parts]
    return np.stack(sums).astype(np.float32)


def _gathered(sums: FloatArray, step: int) -> FloatArray:
    """Sums (K, h / step, w / step) over cells of ``step`` by ``step`` of sums (K, h, w)."""
    count, height, width = sums.shape
    return np.asarray(sums.reshape(count, height // step, step, width // step, step).sum((2, 4)))


def _pool(cells: FloatArray, out: FloatArray) -> None:
    """Writes means of residual and its absolute value, and weight (3, h, w), of cells and between them."""
    weight = cells[0]
    means = cells[1:] / np.maximum(weight, 1e-6)
    for part, target in zip((*means, weight / (weight + 1)), out, strict=True):
        cv2.resize(part, target.shape[::-1], dst=target, interpolation=cv2.INTER_LINEAR)


def _centred_log(depth: FloatArray, out: FloatArray) -> None:
    """Writes log depth less its median, within limits; the nearest known one where unknown, else 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        np.log(depth, out=out)
    known = out[np.isfinite(out)]
    if len(known):
        known.partition(len(known) // 2)  # in a third of the time of a median
        out -= known[len(known) // 2]
    _fill(out)
    np.clip(out, -_FARTHEST, _FARTHEST, out=out)


def _fill(values: FloatArray) -> None:
    """Writes the nearest known value (h, w) where it is unknown, so that the border is no edge; else 0."""
    known = ~np.isnan(values)
    if not known.any():
        values.fill(0)
    elif not known.all():
        values[:] = filled(values, known)


def _residuals(anchors: Anchors, depth: FloatArray) -> tuple[Anchors, FloatArray]:
    """The anchors where the solver gives depth, and their log residuals (N,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.log(anchors.depth / sample_bilinear(depth, anchors.uv))
    known = np.isfinite(residual) & np.isfinite(anchors.sigma)
    return anchors.take(known), np.asarray(residual[known], np.float32)


def _distances(empty: BoolArray) -> FloatArray:
    """Log of the distance (h, w) from the nearest anchor, over that of the whole width."""
    if empty.all():
        return np.ones(empty.shape, np.float32)
    pixels = cv2.distanceTransform(empty.view(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(np.log1p(pixels, out=pixels) / np.log1p(np.float32(empty.shape[1])))

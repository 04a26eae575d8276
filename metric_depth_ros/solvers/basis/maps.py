"""Basis maps of a log-scale field: learned ones, which come with relative depth, or analytic ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import FloatArray, ImageArray, IntArray, RelativeDepth

# Names of the engine's features that hold a learned generator's outputs; files call the misfit "spread".
BASIS, MISFIT = "basis", "spread"
# Width of the analytic maps in pixels, and number of soft regions among them.
_WIDTH = 80
_REGIONS = 8
# Prior standard deviation of log depth of each part of the analytic field.
_AMPLITUDE = 0.16
# Standard deviation of log depth about the best analytic field.
_MISFIT = 0.1
# Size of a soft region in u, v (image sides), log depth, and lightness or colour / 255.
_REACH = (0.18, 0.18, 0.3, 0.25, 0.15, 0.15)
# Amplitude of the local maps, and their standard deviation in cells.
_BUMP = 0.08
_BUMP_WIDTH = 0.6
# Misfit in log depth at which an anchor has weight 1, however the learned maps are scaled.
UNIT_MISFIT = 0.05


@dataclass(frozen=True, eq=False)
class Maps:
    """K basis maps at a reduced size of the image.

    Attributes:
        values: (K, h, w) float32.
        misfit: (h, w) float32, standard deviation of a pixel's log depth about the best field.
        local: further maps, counted after ``values``.
    """

    values: FloatArray
    misfit: FloatArray
    source: Literal["learned", "analytic"]
    local: Bumps | None = None

    @property
    def count(self) -> int:
        """Number of all maps."""
        return len(self.values) + (0 if self.local is None else self.local.count)

    def at(self, uv: FloatArray, size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
        """Values (N, K) and misfit (N,) float32 at pixels (N, 2) of an image of ``size`` (width, height).

        Bilinear, as ``cv2.resize`` to that size.
        """
        count, height, width = self.values.shape
        low, high, part = _neighbours(uv, size, (width, height))
        index, weight = _corners(low, high, part, width)
        by_place = cv2.transpose(self.values.reshape(count, -1))
        rows = np.einsum("nck,nc->nk", by_place.take(index, axis=0), weight)
        misfit = np.einsum("nc,nc->n", self.misfit.take(index), weight)
        if self.local is not None:
            rows = np.concatenate([rows, self.local.at(low, high, part)], axis=1)
        return rows, misfit

    def field(self, weights: FloatArray) -> FloatArray:
        """Field (h, w): sum of all maps with weights (K,) float32."""
        total = np.tensordot(weights[: len(self.values)], self.values, axes=1)
        return total if self.local is None else total + self.local.field(weights[len(self.values) :])

    def thinned(self, step: int) -> FloatArray:
        """All maps (K, h', w') at every ``step``-th row and column."""
        part = self.values[:, ::step, ::step]
        return part if self.local is None else np.concatenate([part, self.local.thinned(step)])


@dataclass(frozen=True, eq=False)
class Bumps:
    """R x C local maps, each the product of one of R vertical curves and one of C horizontal curves.

    Attributes:
        down: (R, h) float32.
        across: (C, w) float32.
    """

    down: FloatArray
    across: FloatArray

    @property
    def count(self) -> int:
        return len(self.down) * len(self.across)

    def at(self, low: IntArray, high: IntArray, part: FloatArray) -> FloatArray:
        """Values (N, R C) between the grid points of ``_neighbours``: linear in each factor, so bilinear."""
        across, down = (
            curve.take(a, axis=1) * (1 - p) + curve.take(b, axis=1) * p
            for curve, a, b, p in zip((self.across, self.down), low.T, high.T, part.T, strict=True)
        )
        return np.asarray((down[:, None] * across).reshape(-1, len(part)).T)

    def field(self, weights: FloatArray) -> FloatArray:
        """Field (h, w): sum of the maps with weights (R C,)."""
        return np.asarray(self.down.T @ weights.reshape(len(self.down), -1) @ self.across)

    def thinned(self, step: int) -> FloatArray:
        """Maps (R C, h', w') at every ``step``-th row and column."""
        down, across = self.down[:, None, ::step, None], self.across[:, None, ::step]
        return np.asarray((down * across).reshape(self.count, down.shape[2], -1))


def find_maps(relative: RelativeDepth, depth: FloatArray, image: ImageArray | None, wanted: str) -> Maps:
    """Basis maps of an image, learned or analytic.

    Args:
        relative: with the learned maps among its features, where the engine has a generator.
        depth: (H, W) positive relative depth, for analytic maps.
        image: (H, W, 3), for analytic maps; None: they do not use colour.
        wanted: "learned", "analytic", or "auto" for learned ones where there are any.

    Raises:
        InputError: learned maps are required, and the engine gives none, or they are not (K, h, w).
    """
    found = None if wanted == "analytic" else learned_maps(relative)
    if found is None and wanted == "learned":
        raise InputError(
            "basis: the engine gives no basis maps, (K, h, w) under the name 'basis'. Set solver.basis.maps "
            "to auto or analytic, start with the default network, which has maps, or with a generator of "
            "your own (metric_depth train basis)."
        )
    return found or analytic_maps(depth, image)


def learned_maps(relative: RelativeDepth) -> Maps | None:
    """Basis maps among an engine's features, and their misfit; None if it gives none.

    Raises:
        InputError: they are not (K, h, w).
    """
    found = relative.features.get(BASIS)
    if found is None:
        return None
    if found.ndim != 3:
        raise InputError(f"basis: the engine gives maps of shape {found.shape}; needed (K, h, w).")
    values = np.asarray(found, np.float32)
    misfit = relative.features.get(MISFIT)
    if misfit is None:
        misfit = np.full(values.shape[1:], _MISFIT, np.float32)
    return Maps(values, np.asarray(misfit, np.float32).reshape(values.shape[1:]), "learned")


def analytic_maps(depth: FloatArray, image: ImageArray | None) -> Maps:
    """Analytic maps (ours), for engines without a generator: 1, x, u, v, their products, soft regions.

    x is log relative depth minus its median; u, v go from -1 to 1. A soft region is the softmax of the
    closeness of a pixel to one of eight points, far from each other, in the space of u, v, x and colour.
    """
    width = min(_WIDTH, depth.shape[1])
    height = max(1, round(width * depth.shape[0] / depth.shape[1]))
    small = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
    with np.errstate(divide="ignore"):
        x = np.log(small)
    x = np.clip(np.nan_to_num(x - _median(x)), -3, 3)
    u, v = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    products = [np.ones_like(x), x, u, v, x * x, x * u, x * v, u * v, u * u, v * v]
    regions = _soft_regions(_cues(x, u, v, image))
    values = np.concatenate([np.stack(products) * 0.7, regions * 2]).astype(np.float32)
    return Maps(_AMPLITUDE * values, np.full((height, width), _MISFIT, np.float32), "analytic")


def with_local_maps(maps: Maps, columns: int) -> Maps:
    """Appends local maps (ours), Gaussian bumps on a lattice over the image that correct local errors.

    With a ridge of 1e-3 they let the field vary smoothly by about 10 % between them.
    """
    if not columns:
        return maps
    return replace(maps, local=_bumps(columns, *maps.misfit.shape))


@lru_cache(maxsize=4)
def _bumps(columns: int, height: int, width: int) -> Bumps:
    """Gaussian bumps in square cells, ``columns`` across, for maps of this size."""
    rows = max(1, round(columns * height / width))
    down, across = (
        np.exp(-(((np.arange(n) + 0.5) / n * m - np.arange(m)[:, None] - 0.5) ** 2) / (2 * _BUMP_WIDTH**2))
        for n, m in ((height, rows), (width, columns))
    )
    return Bumps((_BUMP * down).astype(np.float32), across.astype(np.float32))


def _median(x: FloatArray) -> float:
    known = x[np.isfinite(x)]
    return float(np.median(known)) if len(known) else 0.0


def _cues(x: FloatArray, u: FloatArray, v: FloatArray, image: ImageArray | None) -> FloatArray:
    """Cues (h, w, 6) float32 of u, v, x and colour, in units of the size of a soft region."""
    cues = np.zeros((*x.shape, 6), np.float32)
    cues[..., 0], cues[..., 1], cues[..., 2] = u / 2, v / 2, x
    if image is not None:
        small = cv2.resize(image, x.shape[::-1], interpolation=cv2.INTER_AREA)
        cues[..., 3:] = cv2.cvtColor(small, cv2.COLOR_RGB2LAB) / np.float32(255)
    return np.asarray(cues / np.array(_REACH, np.float32))


def _soft_regions(cues: FloatArray) -> FloatArray:
    """Soft regions (8, h, w) float32, sum 1: closeness to points, each the farthest from earlier ones."""
    flat = cues.reshape(-1, cues.shape[-1])
    first = int(np.argmin(((flat - flat.mean(axis=0)) ** 2).sum(axis=1)))
    nearest, distances = np.full(len(flat), np.inf, np.float32), []
    for _ in range(_REGIONS):
        distance = ((flat - flat[first]) ** 2).sum(axis=1)
        distances.append(distance)
        np.minimum(nearest, distance, out=nearest)
        first = int(np.argmax(nearest))
    weight = np.exp(-(np.stack(distances) - nearest) / 8)
    return np.asarray((weight / weight.sum(axis=0)).reshape(-1, *cues.shape[:2]))


def _neighbours(
    uv: FloatArray, size: tuple[int, int], grid: tuple[int, int]
) -> tuple[IntArray, IntArray, FloatArray]:
    """Grid points on both sides of pixels (N, 2), and the fraction of the way between them.

    All (N, 2), across and down; sizes are width and height.
    """
    last = np.array(grid) - 1
    place = np.clip((uv + 0.5) * (np.array(grid) / size) - 0.5, 0, last)
    low = np.minimum(place.astype(np.intp), np.maximum(last - 1, 0))
    return low, np.minimum(low + 1, last), (place - low).astype(np.float32)


def _corners(low: IntArray, high: IntArray, part: FloatArray, width: int) -> tuple[IntArray, FloatArray]:
    """Flat indices (N, 4) and bilinear weights (N, 4) of the four grid points around each pixel."""
    (right, down), (left, top) = part.T, 1 - part.T
    index = np.stack(
        [row * width + column for row in (low[:, 1], high[:, 1]) for column in (low[:, 0], high[:, 0])],
        axis=1,
    )
    return index, np.stack([top * left, top * right, down * left, down * right], axis=1)

"""The maps that a log-scale field is a sum of: learned ones, which come with relative depth, or analytic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import FloatArray, ImageArray, IntArray, RelativeDepth

# Names of the features under which an engine gives a learned generator's outputs; files say "spread".
BASIS, MISFIT = "basis", "spread"
# Width of the analytic maps in pixels, and how many soft regions are among them.
_WIDTH = 80
_REGIONS = 8
# Standard deviation of log depth that the ridge expects of each part of the analytic field.
_AMPLITUDE = 0.16
# Standard deviation of log depth that the analytic field misses.
_MISFIT = 0.1
# A region's reach in units of the picture's side, log depth, and lightness or colour / 255.
_REACH = (0.18, 0.18, 0.3, 0.25, 0.15, 0.15)
# Height of the local maps, and their standard deviation in cells.
_BUMP = 0.08
_BUMP_WIDTH = 0.6
# Of the learned maps, whatever they are scaled by: the misfit in log depth at which an anchor counts as one.
UNIT_MISFIT = 0.05


@dataclass(frozen=True, eq=False)
class Maps:
    """K maps at a part of the picture's size.

    Attributes:
        values: (K, h, w) float32.
        misfit: (h, w) float32, how far a pixel's log depth is off the best field, one standard deviation.
        local: further maps, after these.
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
        """(N, K) values and (N,) misfit, float32, at pixels (N, 2) of a picture of ``size`` (width, height).

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
        """(h, w) sum of all maps by weights (K,) float32."""
        total = np.tensordot(weights[: len(self.values)], self.values, axes=1)
        return total if self.local is None else total + self.local.field(weights[len(self.values) :])

    def thinned(self, step: int) -> FloatArray:
        """(K, h', w') all maps at every ``step``-th place."""
        part = self.values[:, ::step, ::step]
        return part if self.local is None else np.concatenate([part, self.local.thinned(step)])


@dataclass(frozen=True, eq=False)
class Bumps:
    """R x C maps that are products of one of R curves down and one of C curves across.

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
        """(N, R C) between places of ``_neighbours``: linear in each factor, so bilinear in both."""
        across, down = (
            curve.take(a, axis=1) * (1 - p) + curve.take(b, axis=1) * p
            for curve, a, b, p in zip((self.across, self.down), low.T, high.T, part.T, strict=True)
        )
        return np.asarray((down[:, None] * across).reshape(-1, len(part)).T)

    def field(self, weights: FloatArray) -> FloatArray:
        """(h, w) sum by weights (R C,)."""
        return np.asarray(self.down.T @ weights.reshape(len(self.down), -1) @ self.across)

    def thinned(self, step: int) -> FloatArray:
        """(R C, h', w') at every ``step``-th place."""
        down, across = self.down[:, None, ::step, None], self.across[:, None, ::step]
        return np.asarray((down * across).reshape(self.count, down.shape[2], -1))


def find_maps(relative: RelativeDepth, depth: FloatArray, image: ImageArray | None, wanted: str) -> Maps:
    """The maps of a picture.

    Args:
        relative: with the learned maps among its features, where the engine has a generator.
        depth: (H, W) positive relative depth, for analytic maps.
        image: (H, W, 3), for the same; may be missing.
        wanted: "learned", "analytic", or "auto" for learned ones where there are any.

    Raises:
        InputError: learned maps are wanted, and the engine gives none, or they are not (K, h, w).
    """
    found = relative.features.get(BASIS)
    if wanted == "analytic" or (wanted == "auto" and found is None):
        return analytic_maps(depth, image)
    if found is None or found.ndim != 3:
        given = "no basis maps" if found is None else f"maps of shape {found.shape}"
        raise InputError(
            f"basis: the engine gives {given}; needed (K, h, w) under the name 'basis'. Set "
            "solver.basis.maps to auto or analytic, or start with engine.manifest empty (the package's "
            "network has maps) or with a generator of your own (metric_depth train basis)."
        )
    values = np.asarray(found, np.float32)
    misfit = relative.features.get(MISFIT)
    if misfit is None:
        misfit = np.full(values.shape[1:], _MISFIT, np.float32)
    return Maps(values, np.asarray(misfit, np.float32).reshape(values.shape[1:]), "learned")


def analytic_maps(depth: FloatArray, image: ImageArray | None) -> Maps:
    """Ours, for engines without a generator: 1, x, u, v, products of these, and soft regions.

    x is log relative depth less its median; u, v go from -1 to 1. A region is the softmax of how near a
    pixel is to one of eight places in the space of u, v, x and colour that lie far from each other.
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
    """The maps, then Gaussian bumps on a lattice over the image: ours, for what is wrong in one place.

    Between them they let the field vary smoothly by some 10 %, as far as the ridge of 1e-3 is concerned.
    """
    if not columns:
        return maps
    return replace(maps, local=_bumps(columns, *maps.misfit.shape))


@lru_cache(maxsize=4)
def _bumps(columns: int, height: int, width: int) -> Bumps:
    """In square cells."""
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
    """(h, w, 6) float32 in units of a region's reach."""
    cues = np.zeros((*x.shape, 6), np.float32)
    cues[..., 0], cues[..., 1], cues[..., 2] = u / 2, v / 2, x
    if image is not None:
        small = cv2.resize(image, x.shape[::-1], interpolation=cv2.INTER_AREA)
        cues[..., 3:] = cv2.cvtColor(small, cv2.COLOR_RGB2LAB) / np.float32(255)
    return np.asarray(cues / np.array(_REACH, np.float32))


def _soft_regions(cues: FloatArray) -> FloatArray:
    """(8, h, w) float32 that sum to 1: nearness to places, each the farthest from those chosen before."""
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
    """The grid's places on both sides of pixels (N, 2), and how far it is from the one to the other.

    All (N, 2), across and down; sizes are width and height.
    """
    last = np.array(grid) - 1
    place = np.clip((uv + 0.5) * (np.array(grid) / size) - 0.5, 0, last)
    low = np.minimum(place.astype(np.intp), np.maximum(last - 1, 0))
    return low, np.minimum(low + 1, last), (place - low).astype(np.float32)


def _corners(low: IntArray, high: IntArray, part: FloatArray, width: int) -> tuple[IntArray, FloatArray]:
    """Flat index (N, 4) and weight (N, 4) of the four places around pixels."""
    (right, down), (left, top) = part.T, 1 - part.T
    index = np.stack(
        [row * width + column for row in (low[:, 1], high[:, 1]) for column in (low[:, 0], high[:, 0])],
        axis=1,
    )
    return index, np.stack([top * left, top * right, down * left, down * right], axis=1)

"""Basis maps of a log-scale field, as an engine's generator gives them: their values, misfit and sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import BASIS, MISFIT, FloatArray, IntArray, RelativeDepth

# Standard deviation of log depth about the best field of maps that state none.
USUAL_MISFIT = 0.1


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


def learned_maps(relative: RelativeDepth, wanted: str, solver: str = "basis") -> Maps | None:
    """Basis maps among an engine's features, and their misfit; None if it gives none, or they are not wanted.

    Args:
        wanted: "learned", "analytic", or "auto" for learned ones where there are any.
        solver: whose error it is.

    Raises:
        InputError: they are no finite (K, h, w), their misfit is not finite and positive, or learned ones
            are required and there are none.
    """
    values = None if wanted == "analytic" else relative.features.get(BASIS)
    if values is None:
        if wanted == "learned":
            raise InputError(_no_maps(relative, solver))
        return None
    if values.ndim != 3 or not values.size or not np.isfinite(values).all():
        raise InputError(f"basis: the engine gives maps {values.shape}; needed (K, h, w), K above 0, finite.")
    misfit = relative.features.get(MISFIT)
    if misfit is None:
        misfit = np.full(values.shape[1:], USUAL_MISFIT, np.float32)
    if misfit.size != values[0].size or not (np.min(misfit) > 0 and np.max(misfit) < np.inf):
        raise InputError(
            f"basis: the engine gives a misfit {misfit.shape} ('spread') of maps {values.shape}; needed "
            "(1, h, w), finite and positive."
        )
    misfit = np.asarray(misfit, np.float32).reshape(values.shape[1:])
    return Maps(np.asarray(values, np.float32), misfit, "learned")


def _no_maps(relative: RelativeDepth, solver: str) -> str:
    """Message that names the network with maps that the solver has by default, and how to make another."""
    from metric_depth_ros.engines import BUNDLED_WITH_BASIS

    usual = BUNDLED_WITH_BASIS.get(solver, BUNDLED_WITH_BASIS["basis"])
    network = relative.network or "the network"
    training, instead = "metric_depth train basis --engine MANIFEST", ""
    if solver == "paper_basis":
        training += " --as-published"
    else:
        instead = " Set solver.basis.maps to auto or analytic to do without."
    return (
        f"{solver}: {network} gives no basis maps, (K, h, w) under the name 'basis'; needed a network with a "
        f"generator behind it. Start with engine.manifest empty, which takes {usual}, or name your own "
        f"({training}, then train basis-export).{instead}"
    )


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

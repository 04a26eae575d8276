"""Which basis maps the solver takes: learned ones, which come with relative depth, or analytic ones."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from metric_depth_ros.solvers.fitting.basis_maps import USUAL_MISFIT, Bumps, Maps, learned_maps
from metric_depth_ros.types import FloatArray, ImageArray, RelativeDepth

# Width of the analytic maps in pixels, and number of soft regions among them.
_WIDTH = 80
_REGIONS = 8
# Prior standard deviation of log depth of each part of the analytic field.
_AMPLITUDE = 0.16
# Size of a soft region in u, v (image sides), log depth, and lightness or colour / 255.
_REACH = (0.18, 0.18, 0.3, 0.25, 0.15, 0.15)
# Amplitude of the local maps, and their standard deviation in cells.
_BUMP = 0.08
_BUMP_WIDTH = 0.6
# Misfit in log depth at which an anchor has weight 1, however the learned maps are scaled.
UNIT_MISFIT = 0.05


def find_maps(
    relative: RelativeDepth, depth: FloatArray, image: ImageArray | None, wanted: str, solver: str = "basis"
) -> Maps:
    """Basis maps of an image, learned or analytic.

    Args:
        relative: with the learned maps among its features, where the engine has a generator.
        depth: (H, W) positive relative depth, for analytic maps.
        image: (H, W, 3), for analytic maps; None: they do not use colour.
        wanted, solver: as in ``learned_maps``, which may raise InputError.
    """
    return learned_maps(relative, wanted, solver) or analytic_maps(depth, image)


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
    return Maps(_AMPLITUDE * values, np.full((height, width), USUAL_MISFIT, np.float32), "analytic")


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

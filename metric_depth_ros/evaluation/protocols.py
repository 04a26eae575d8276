"""Protocols: how anchors are drawn from known depth, and at which pixels the result is evaluated.

A protocol selects anchors; ``draw`` adds the noise and the pixels to evaluate. All randomness depends only
on the image's name, the case and the seed: every solver gets the same draw, and a noisy draw has the pixels
of the clean one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.errors import AnchorError, ConfigError
from metric_depth_ros.evaluation.known_depth import KnownDepth
from metric_depth_ros.evaluation.regimes import DROP_FROM, REGIMES, drop_closest, grid_places, regime_places
from metric_depth_ros.types import Anchors, BoolArray, FloatArray, IntArray

LEAST_EVALUATED, MOST_EVALUATED = 400, 40_000
RANGE_NOISE = 0.02
OUTLIERS = 0.05
OUTLIERS_FAR, OUTLIERS_NEAR = (1.3, 3.0), (0.3, 0.75)
# Pixels between anchors along a row of a depth image: 0.4 degrees for a usual VGA camera.
_ROW_STEP_PX = 4
# Largest difference in elevation within one ring: half the step of a 64-line LiDAR.
_RING_WIDTH = math.radians(0.15)
# Largest offset of a row from the middle of its band, as a fraction of the band.
_ROW_JITTER = 0.25


@dataclass(frozen=True)
class Case:
    """Protocol, number of anchors and noise: one way to draw anchors.

    Attributes:
        protocol: a name in ``PROTOCOLS``.
        count: anchors (random, drop), rows (rows) or cells along each side (grid); 1 for the regimes, 0 for
            none.
        noisy: whether to add range noise and outliers.
    """

    protocol: str
    count: int
    noisy: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"protocol: {self.protocol!r}; needed one of {', '.join(PROTOCOLS)}.")
        if self.protocol == "none" and self.count:
            raise ConfigError(f"none: {self.count} anchors; needed 0.")
        if self.protocol != "none" and self.count < 1:
            raise ConfigError(f"{self.protocol}: {self.count} anchors; needed 1 or more. 0 is protocol none.")

    @property
    def seeds(self) -> int:
        """Default number of draws per image; fewer if one draw is already representative."""
        if self.protocol == "random":
            return 3 if self.count <= 100 else 2 if self.count <= 500 else 1
        return 3 if self.protocol in ("rows", "low", "medium") else 1


@dataclass(frozen=True, eq=False)
class Draw:
    """Anchors for a solver, and the pixels to evaluate.

    Attributes:
        anchors: the solver's input.
        evaluated: (N,) bool, the known pixels that count; none lies on an anchor's pixel.
    """

    anchors: Anchors
    evaluated: BoolArray


def draw(known: KnownDepth, case: Case, seed: int, name: str) -> Draw:
    """Draw number ``seed`` of a case on the image ``name``.

    Raises:
        AnchorError: the image has too few known pixels for the case.
    """
    picks, noise, evaluation = (_generator(name, case, seed, stream) for stream in range(3))
    chosen = PROTOCOLS[case.protocol](known, case.count, picks)
    anchors = known.pixels.take(chosen)
    evaluated = _sampled(_apart(known, chosen), MOST_EVALUATED, evaluation)
    return Draw(disturbed(anchors, noise) if case.noisy else anchors, evaluated)


def none(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
    """No anchor at all: for priors, metric networks and Metric-Solver."""
    return np.empty(0, np.intp)


def random(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
    """Indices (count,) of known pixels, drawn uniformly; the rest of a LiDAR's points is held out.

    Raises:
        AnchorError: fewer than 400 pixels would be left.
    """
    if len(known) < count + LEAST_EVALUATED:
        raise AnchorError(
            f"random: {len(known)} known pixels; needed {count + LEAST_EVALUATED} to draw {count} of them."
        )
    return generator.choice(len(known), count, replace=False)


def rows(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
    """Indices of the known pixels on ``count`` rows, like the points of a LiDAR with that many lines.

    The range of known elevations is divided into equal bands, with a row at a random position near the middle
    of each. For a LiDAR the row is the ring there, with all its points; for a depth image it is the nearest
    image row, every fourth pixel from a random start.

    Raises:
        AnchorError: nothing is known.
    """
    if not len(known):
        raise AnchorError("rows: 0 known pixels; needed 1.")
    low, high = float(known.elevation.min()), float(known.elevation.max())
    jitter = generator.uniform(-_ROW_JITTER, _ROW_JITTER)
    wanted = low + (high - low) * (np.arange(count) + 0.5 + jitter) / count
    present = np.unique(known.elevation)
    nearest = present[np.abs(present[:, None] - wanted).argmin(axis=0)]
    if known.from_lidar:
        return np.flatnonzero(np.abs(known.elevation[:, None] - nearest).min(axis=1) <= _RING_WIDTH)
    on_rows = np.isin(known.elevation, nearest)
    column = known.pixels.uv[:, 0].astype(np.intp)
    stepped = on_rows & (column % _ROW_STEP_PX == generator.integers(_ROW_STEP_PX))
    return np.flatnonzero(stepped if stepped.any() else on_rows)


def grid(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
    """Indices of the known pixel nearest to the centre of each of count x count cells.

    Cells without a known pixel are left out. Nothing is random.

    Raises:
        AnchorError: nothing is known.
    """
    if not len(known):
        raise AnchorError("grid: 0 known pixels; needed 1.")
    place = (known.pixels.uv + 0.5) / np.array([known.width, known.height]) * count
    column, row = np.clip(place.astype(np.intp), 0, count - 1).T
    size = np.array([known.width, known.height]) / count
    offset = (np.mod(place, 1) - 0.5) * size
    order = np.lexsort((np.einsum("ni,ni->n", offset, offset), row * count + column))
    _, first = np.unique((row * count + column)[order], return_index=True)
    return order[first]


def drop(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
    """Indices (count,) for the drop-anchor test of paper 001: nine on a grid, then the closest are removed.

    Nothing is random, so smaller sets of anchors are subsets of the larger ones.

    Raises:
        AnchorError: nothing is known.
    """
    mask, index = _rasterised(known)
    nine = index.ravel()[grid_places(mask, DROP_FROM, np.random.default_rng(0))]
    return np.asarray(nine[drop_closest(known.pixels.uv[nine], count)])


def _regime(name: str) -> Protocol:
    """Protocol of an anchor regime of paper 001; the number of anchors is random."""

    def pick(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
        mask, index = _rasterised(known)
        if len(known) < REGIMES[name][1] + LEAST_EVALUATED:
            raise AnchorError(
                f"{name}: {len(known)} known pixels; needed {REGIMES[name][1] + LEAST_EVALUATED}."
            )
        return np.asarray(index.ravel()[regime_places(mask, name, generator)])

    return pick


def _rasterised(known: KnownDepth) -> tuple[BoolArray, IntArray]:
    """Mask (H, W) of known pixels, and their indices. Raises AnchorError if nothing is known."""
    if not len(known):
        raise AnchorError("anchors: 0 known pixels; needed 1.")
    flat = np.full(known.height * known.width, -1, np.intp)
    flat[pixel_index(known.pixels.uv, known.width)] = np.arange(len(known))
    index = flat.reshape(known.height, known.width)
    return index >= 0, index


# A protocol is one function and one line here.
Protocol = Callable[[KnownDepth, int, np.random.Generator], IntArray]
PROTOCOLS: dict[str, Protocol] = {
    "none": none,
    "random": random,
    "rows": rows,
    "grid": grid,
    "drop": drop,
    **{name: _regime(name) for name in REGIMES},
}


def disturbed(anchors: Anchors, generator: np.random.Generator) -> Anchors:
    """Anchors with 2 % Gaussian range noise, each a gross outlier with probability 5 %.

    An outlier's depth is multiplied by 1.3 to 3 or by 0.3 to 0.75, with equal probability. Sigma is not
    changed: the solver does not know of the noise.
    """
    n = len(anchors)
    factor = 1 + RANGE_NOISE * generator.standard_normal(n)
    wrong = generator.random(n) < OUTLIERS
    far = generator.random(n) < 0.5
    gross = np.where(far, generator.uniform(*OUTLIERS_FAR, n), generator.uniform(*OUTLIERS_NEAR, n))
    depth = anchors.depth * np.where(wrong, factor * gross, factor)
    return Anchors(anchors.uv, depth.astype(np.float32), anchors.sigma)


def pixel_index(uv: FloatArray, width: int) -> IntArray:
    """Flat index (N,) of the pixels nearest to uv (N, 2) in an image of this width."""
    u, v = np.rint(uv).astype(np.intp).T
    return np.asarray(v * width + u)


def _apart(known: KnownDepth, chosen: IntArray) -> BoolArray:
    """Mask (N,) of the known pixels that share no pixel with an anchor."""
    pixel = pixel_index(known.pixels.uv, known.width)
    taken = np.zeros(known.width * known.height, np.bool_)
    taken[pixel[chosen]] = True
    apart: BoolArray = ~taken[pixel]
    return apart


def _sampled(which: BoolArray, most: int, generator: np.random.Generator) -> BoolArray:
    """Random subset of a mask with at most ``most`` entries."""
    found = np.flatnonzero(which)
    if len(found) <= most:
        return which
    kept = np.zeros_like(which)
    kept[generator.choice(found, most, replace=False)] = True
    return kept


def _generator(name: str, case: Case, seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([stream, seed, case.count, *case.protocol.encode(), *name.encode()])

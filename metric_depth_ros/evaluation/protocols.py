"""Protocols: how anchors are drawn from known depth, and at which pixels the result is evaluated.

A protocol selects anchors; ``draw`` adds the noise and the pixels to evaluate. All randomness depends only
on the image's name, the case and the seed: every solver gets the same draw, and a noisy draw has the pixels
of the clean one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from metric_depth_ros.errors import AnchorError, ConfigError
from metric_depth_ros.evaluation.corners import corner_places
from metric_depth_ros.evaluation.known_depth import KnownDepth, pixel_index
from metric_depth_ros.evaluation.regimes import DROP_FROM, REGIMES, drop_closest, grid_places, regime_places
from metric_depth_ros.types import Anchors, BoolArray, IntArray

LEAST_EVALUATED, MOST_EVALUATED = 400, 40_000
RANGE_NOISE = 0.02
OUTLIERS = 0.05
OUTLIERS_FAR, OUTLIERS_NEAR = (1.3, 3.0), (0.3, 0.75)
# Most anchors, and most rows, of a case: more would not fit into memory.
_MOST, _MOST_ROWS = 1_000_000, 1024
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
        count: anchors (random, corners, drop; sensor, 0: all), rows (rows, beams) or cells along each side
            (grid); 1 for the regimes, 0 for none.
        noisy: whether to add range noise and outliers.
    """

    protocol: str
    count: int
    noisy: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"protocol: {self.protocol!r}; needed one of {', '.join(PROTOCOLS)}.")
        least, most = PROTOCOLS[self.protocol].least, PROTOCOLS[self.protocol].most
        if not least <= self.count <= most:
            raise ConfigError(f"{self.protocol}: {self.count} anchors; needed {least} to {most}.")

    @property
    def seeds(self) -> int:
        """Default number of draws per image; fewer if one draw is already representative."""
        if self.protocol == "random":
            return 3 if self.count <= 100 else 2 if self.count <= 500 else 1
        if self.protocol == "sensor":
            return 3 if self.count else 1
        return 3 if self.protocol in ("rows", "beams", "low", "medium") else 1

    @property
    def label(self) -> str:
        """Heading of the case in tables, without its noise."""
        if self.protocol == "sensor":
            return f"sensor, {self.count}" if self.count else "sensor"
        plural = "" if self.count == 1 else "s"
        return PROTOCOLS[self.protocol].label.format(self.count, plural)


def cases_of(text: str, usual: Mapping[str, Sequence[int]], *, noisy: bool = False) -> list[Case]:
    """Cases of a text: names of protocols, each with its counts or without, as "random:250,1000 rows:8 grid".

    Words are separated by commas or spaces; a number belongs to the name before it.

    Args:
        text: as above.
        usual: counts of a name without any, where they are not those of ``PROTOCOLS``.
        noisy: of the cases.

    Raises:
        ConfigError: no or an unknown protocol, or a count that it cannot have.
    """
    counts: dict[str, list[int]] = {}
    name = ""
    for word in filter(None, re.split(r"[\s,]+", text)):
        head, colon, number = word.rpartition(":")
        if not colon and not (name and re.fullmatch(r"-?\d+", word)):
            counts.setdefault(name := word, [])
            continue
        name = head if colon else name
        if not re.fullmatch(r"-?\d{1,9}", number):
            raise ConfigError(f"protocol {name}: {number!r}; needed whole numbers, as in {name}:8,64.")
        counts.setdefault(name, []).append(int(number))
    if not counts:
        raise ConfigError(f"protocol: {text!r}; needed one of {', '.join(PROTOCOLS)}.")
    return [
        Case(name, count, noisy)
        for name, own in counts.items()
        for count in own or usual.get(name) or (PROTOCOLS[name].counts if name in PROTOCOLS else (1,))
    ]


@dataclass(frozen=True, eq=False)
class Draw:
    """Anchors for a solver, and the pixels to evaluate.

    Attributes:
        anchors: the solver's input.
        evaluated: (N,) bool, the known pixels that count; none lies on an anchor's pixel unless
            ``KnownDepth.anchor_pixels``.
    """

    anchors: Anchors
    evaluated: BoolArray


def draw(known: KnownDepth, case: Case, seed: int, name: str) -> Draw:
    """Draw number ``seed`` of a case on the image ``name``.

    Raises:
        AnchorError: the image has too few known pixels for the case.
    """
    picks, noise, evaluation = (_generator(name, case, seed, stream) for stream in range(3))
    chosen = PROTOCOLS[case.protocol].pick(known, case.count, picks)
    anchors = chosen if isinstance(chosen, Anchors) else known.pixels.take(chosen)
    counts = np.ones(len(known), np.bool_) if known.anchor_pixels else _apart(known, anchors)
    if np.count_nonzero(counts) < LEAST_EVALUATED:
        raise AnchorError(
            f"{case.protocol}: {np.count_nonzero(counts)} known pixels beside {len(anchors)} anchors; needed "
            f"{LEAST_EVALUATED}."
        )
    evaluated = _sampled(counts, MOST_EVALUATED, evaluation)
    return Draw(disturbed(anchors, noise) if case.noisy else anchors, evaluated)


def none(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
    """No anchor at all: for priors, metric networks and Metric-Solver."""
    return np.empty(0, np.intp)


def random(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
    """Indices (count,) of known pixels, drawn uniformly; the rest of a LiDAR's points is held out.

    Raises:
        AnchorError: fewer than 400 pixels would be left.
    """
    needed = max(count, LEAST_EVALUATED) if known.anchor_pixels else count + LEAST_EVALUATED
    if len(known) < needed:
        raise AnchorError(f"random: {len(known)} known pixels; needed {needed} to draw {count} of them.")
    return generator.choice(len(known), count, replace=False)


def rows(
    known: KnownDepth, count: int, generator: np.random.Generator, *, step_px: int = _ROW_STEP_PX
) -> IntArray:
    """Indices of the known pixels on ``count`` rows, like the points of a LiDAR with that many lines.

    The range of known elevations is divided into equal bands, with a row at a random position near the middle
    of each. For a LiDAR the row is the ring there, with all its points; for a depth image it is the nearest
    image row, every ``step_px``-th pixel from a random start.

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
    stepped = on_rows & (column % step_px == generator.integers(step_px))
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


def corners(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
    """Indices of up to ``count`` known pixels at corners (``corner_places``); nothing is random.

    Raises:
        AnchorError: no image is given, or it has no corner with known depth.
    """
    mask, index = _rasterised(known)
    if known.image is None:
        raise AnchorError("corners: no image; needed one to find them in.")
    places = corner_places(known.image, mask, count)
    if not len(places):
        raise AnchorError("corners: 0 with known depth; needed 1. The picture is blank there.")
    return np.asarray(index.ravel()[places])


def sensor(known: KnownDepth, count: int, generator: np.random.Generator) -> Anchors:
    """What the dataset's own sensor measured apart from the truth; ``count`` of it at random, 0: all.

    Raises:
        AnchorError: there is nothing of that kind, or less than ``count``.
    """
    found = known.measured
    if found is None or len(found) < max(count, 1):
        told = "nothing" if found is None else f"{len(found)} pixels"
        raise AnchorError(
            f"sensor: {told} measured apart from the true depth; needed {max(count, 1)}. Draw anchors from "
            "the truth instead (random)."
        )
    return found.take(generator.choice(len(found), count, replace=False)) if count else found


def drop(known: KnownDepth, count: int, generator: np.random.Generator) -> IntArray:
    """Indices (count,) for the drop-anchor test of paper 001: nine on a grid, then the closest are removed.

    Nothing is random, so smaller sets of anchors are subsets of the larger ones.

    Raises:
        AnchorError: nothing is known.
    """
    mask, index = _rasterised(known)
    nine = index.ravel()[grid_places(mask, DROP_FROM, np.random.default_rng(0))]
    return np.asarray(nine[drop_closest(known.pixels.uv[nine], count)])


def _regime(known: KnownDepth, count: int, generator: np.random.Generator, *, name: str) -> IntArray:
    """Indices of an anchor regime of paper 001; the number of anchors is random."""
    mask, index = _rasterised(known)
    needed = REGIMES[name][1] + (0 if known.anchor_pixels else LEAST_EVALUATED)
    if len(known) < needed:
        raise AnchorError(f"{name}: {len(known)} known pixels; needed {needed}.")
    return np.asarray(index.ravel()[regime_places(mask, name, generator)])


def _rasterised(known: KnownDepth) -> tuple[BoolArray, IntArray]:
    """Mask (H, W) of known pixels, and their indices. Raises AnchorError if nothing is known."""
    if not len(known):
        raise AnchorError("anchors: 0 known pixels; needed 1.")
    flat = np.full(known.height * known.width, -1, np.intp)
    flat[pixel_index(known.pixels.uv, known.width)] = np.arange(len(known))
    index = flat.reshape(known.height, known.width)
    return index >= 0, index


class Protocol(NamedTuple):
    """A way to select anchors.

    Attributes:
        pick: gives indices of known pixels, or anchors that are none of them.
        counts: the usual ones.
        least, most: that a count may be.
        label: heading in tables, of the count and the ending of its plural.
    """

    pick: Callable[[KnownDepth, int, np.random.Generator], IntArray | Anchors]
    counts: tuple[int, ...] = (1,)
    least: int = 1
    most: int = _MOST
    label: str = "{0}"


# A protocol is one function and one line here.
PROTOCOLS = {
    "none": Protocol(none, (0,), least=0, most=0),
    "random": Protocol(random, (1, 5, 10, 50, 100, 500, 2000)),
    "rows": Protocol(rows, (1, 4, 16), most=_MOST_ROWS, label="{0} row{1}"),
    "grid": Protocol(grid, (8,), most=_MOST_ROWS, label="{0}x{0} grid"),
    "beams": Protocol(partial(rows, step_px=1), (1, 16, 32), most=_MOST_ROWS, label="{0} beam{1}"),
    "corners": Protocol(corners, (150, 500, 1500), label="{0} corner{1}"),
    "sensor": Protocol(sensor, (0,), least=0),
    "drop": Protocol(drop, (9, 7, 5, 3, 1), most=DROP_FROM, label="drop to {0}"),
    **{name: Protocol(partial(_regime, name=name), most=1, label=name) for name in REGIMES},
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


def _apart(known: KnownDepth, anchors: Anchors) -> BoolArray:
    """Mask (N,) of the known pixels that share no pixel with an anchor."""
    pixel = pixel_index(known.pixels.uv, known.width)
    taken = np.zeros(known.width * known.height, np.bool_)
    taken[pixel_index(anchors.uv, known.width)] = True
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

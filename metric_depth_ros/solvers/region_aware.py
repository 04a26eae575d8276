"""A scale, a line or a surface per image region (paper 000: median, SLF and SSF)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.config import RegionAwareConfig, SolverConfig
from metric_depth_ros.errors import InputError
from metric_depth_ros.regions.adjacency import grown, neighbours
from metric_depth_ros.solvers.domain import (
    Domain,
    choose_domain,
    depth_from,
    depth_in,
    limited,
    relative_in,
)
from metric_depth_ros.solvers.fit import (
    Line,
    Observations,
    fit_line,
    fit_surfaces,
    observe,
    weighted_medians,
)
from metric_depth_ros.types import (
    Anchors,
    BoolArray,
    Camera,
    FloatArray,
    ImageArray,
    IntArray,
    MetricDepth,
    RelativeDepth,
)

_PARAMETERS = {"median": 1, "linear": 2, "surface": 4}
_FITS = ("global", "median", "linear", "surface")
# Pixels handled at once: few enough to stay in the processor's cache.
_BLOCK = 40_000


@dataclass(frozen=True, eq=False)
class RegionFits:
    """y = p0 x + p1 u + p2 v + p3 in each of n regions.

    Attributes:
        parameters: (n, 4) float64.
        fit: (n,) index into ("global", "median", "linear", "surface"): what the anchors allowed.
        depth_range: (n, 2) metres, nearest and farthest anchor used.
        grown: (n,) whether the region had to borrow anchors from its neighbours.
    """

    parameters: FloatArray
    fit: IntArray
    depth_range: FloatArray
    grown: BoolArray


class RegionAware:
    """Fits each region by its own anchors, or by its neighbours' too where it has too few.

    Where a region's answer is implausible (not positive, or beyond its anchors' depth range by more
    than ``max_extrapolation``) the pixel takes the global line's: ours, not in the paper. ``info``
    counts regions by fit, those that grew, and implausible pixels.
    """

    uses: frozenset[str] = frozenset({"regions"})

    def __init__(self, config: SolverConfig) -> None:
        self._config = config

    def solve(
        self,
        relative: RelativeDepth,
        anchors: Anchors,
        *,
        image: ImageArray | None = None,
        camera: Camera | None = None,
        regions: IntArray | None = None,
        text: str | None = None,
        focus_m: float | None = None,
        stamp_ns: int | None = None,
    ) -> MetricDepth:
        """Depth (H, W) in metres; NaN where ``relative`` is, and outside the configured range.

        Raises:
            AnchorError: no anchor lies where the network says something.
            InputError: ``regions`` is missing, not whole numbers from 0, or not of the map's size.
        """
        labels = _checked(regions, relative.values.shape)
        options = self._config.region_aware
        domain = choose_domain(options.domain, relative.kind, for_depth="depth")
        x = relative_in(domain, relative)
        seen = observe(x, anchors, domain, options.weighting, "region_aware")
        line = fit_line(seen, domain)
        fits = fit_regions(seen, labels, line, domain, options)
        bounds = _plausible(fits.depth_range, domain, options.max_extrapolation)
        y, implausible = _applied(x, labels, fits.parameters, bounds, line)
        depth = limited(depth_from(domain, y), self._config.min_depth_m, self._config.max_depth_m)
        return MetricDepth(depth, info=_info(domain, seen, fits, implausible))


def _checked(regions: IntArray | None, shape: tuple[int, ...]) -> IntArray:
    """The labels in the type that is looked up fastest: uint8 where it holds them."""
    if regions is None:
        raise InputError(
            "region_aware: no regions; needed a label per pixel. Pass regions, or use global_affine."
        )
    labels = np.asarray(regions)
    if labels.shape != shape or not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
        raise InputError(
            f"region_aware: regions {labels.shape} of {labels.dtype}, lowest {labels.min(initial=0)}; "
            f"needed whole numbers from 0 of shape {shape}. Segment the image the network saw."
        )
    return labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.intp)


def _info(domain: Domain, seen: Observations, fits: RegionFits, implausible: int) -> dict[str, Any]:
    tally = dict(zip(_FITS, np.bincount(fits.fit, minlength=len(_FITS)).tolist(), strict=True))
    return {
        "domain": domain,
        "anchors": len(seen.depth),
        "regions": len(fits.fit),
        "grown": int(fits.grown.sum()),
        "implausible_pixels": implausible,
        **tally,
    }


def fit_regions(
    seen: Observations, labels: IntArray, line: Line, domain: Domain, options: RegionAwareConfig
) -> RegionFits:
    """The configured fit for every region, or the next simpler one where its anchors leave it open.

    The order is surface, linear, median, and last the global ``line``.
    """
    n = int(labels.max()) + 1
    u, v = np.rint(seen.uv).astype(np.intp).T
    group = labels[v, u]
    counts = np.bincount(group, minlength=n)
    needed = options.min_anchors or _PARAMETERS[options.fit] + 1
    reach = grown(neighbours(labels, n), counts, needed)

    parameters = np.tile([line.scale, 0.0, 0.0, line.shift], (n, 1))
    fit = np.zeros(n, np.intp)
    for level in range(_FITS.index(options.fit), 0, -1):
        open_ = np.flatnonzero(fit == 0)
        if level == 1:
            found, solved = _medians(seen, reach[np.ix_(open_, group)], domain)
        else:
            surfaces = fit_surfaces(seen, group, reach[open_], domain, slopes=level == 3)
            found, solved = surfaces.parameters, surfaces.solved
        parameters[open_[solved]] = found[solved]
        fit[open_[solved]] = level
    return RegionFits(parameters, fit, _depth_range(seen.depth, group, reach), counts < needed)


def _medians(seen: Observations, member: BoolArray, domain: Domain) -> tuple[FloatArray, BoolArray]:
    """Parameters (m, 4) of the median scale of depth, and whether a row has one.

    Each anchor's ratio of depths counts by the weight of its relative error, in every domain alike.
    """
    parameters = np.zeros((len(member), 4))
    if domain == "log":
        parameters[:, 0] = 1
        parameters[:, 3] = weighted_medians(seen.y - seen.x, seen.relative_weight, member)
        return parameters, np.isfinite(parameters[:, 3])
    positive = seen.x > 0
    ratio = np.divide(seen.y, seen.x, out=np.ones_like(seen.y), where=positive)
    parameters[:, 0] = weighted_medians(ratio, seen.relative_weight * positive, member)
    return parameters, np.isfinite(parameters[:, 0])


def _depth_range(depth: FloatArray, group: IntArray, reach: BoolArray) -> FloatArray:
    """(m, 2) nearest and farthest of the anchors in the groups that each row reaches."""
    order = np.argsort(group, kind="stable")
    present, start = np.unique(group[order], return_index=True)
    low, high = (f.reduceat(depth[order], start) for f in (np.minimum, np.maximum))
    seen = reach[:, present]
    return np.stack([np.where(seen, low, np.inf).min(axis=1), np.where(seen, high, 0.0).max(axis=1)], axis=1)


def _plausible(depth_range: FloatArray, domain: Domain, factor: float) -> FloatArray:
    """(n, 2) lowest and highest y a region may give; ``factor`` 0 allows all that are a depth."""
    if factor:
        return np.sort(depth_in(domain, depth_range * [1 / factor, factor]), axis=1)
    lowest = -np.inf if domain == "log" else np.finfo(np.float32).tiny
    return np.tile([lowest, np.inf], (len(depth_range), 1))


def _applied(
    x: FloatArray, labels: IntArray, parameters: FloatArray, bounds: FloatArray, line: Line
) -> tuple[FloatArray, int]:
    """y (H, W) float32, and how many pixels took the global line's because theirs was implausible."""
    table = np.hstack([parameters, bounds]).astype(np.float32).T
    height, width = labels.shape
    u, y, implausible = np.arange(width, dtype=np.float32), np.empty_like(x), 0
    step = max(1, _BLOCK // width)
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        v = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        p0, p1, p2, p3, low, high = (_spread(column, labels[rows]) for column in table)
        p1 *= u
        p2 *= v
        value = np.multiply(p0, x[rows], out=y[rows])
        value += p1
        value += p2
        value += p3
        wrong = (value < low) | (value > high)
        if wrong.any():
            value[wrong] = x[rows][wrong] * np.float32(line.scale) + np.float32(line.shift)
            implausible += int(np.count_nonzero(wrong))
    return y, implausible


def _spread(column: FloatArray, labels: IntArray) -> FloatArray:
    """(H, W) float32, each pixel the value (n,) of its label. OpenCV's table look-up is 3 times faster."""
    if labels.dtype != np.uint8:
        return column.take(labels)
    table = np.zeros((1, 256), np.float32)
    table[0, : len(column)] = column
    return np.asarray(cv2.LUT(labels, table), np.float32)

"""Solver with a scale, a line or a surface per image region (paper 000: median, SLF and SSF)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from metric_depth_ros.depth import Domain, depth_in
from metric_depth_ros.errors import InputError
from metric_depth_ros.label_images import compact
from metric_depth_ros.regions.merging import MOST_REGIONS
from metric_depth_ros.solvers.fitting.closed_form import ClosedForm, Problem
from metric_depth_ros.solvers.fitting.observations import Line
from metric_depth_ros.solvers.region_aware.expansion import fit_expanded
from metric_depth_ros.solvers.region_aware.fits import FITS, RegionFits
from metric_depth_ros.solvers.region_aware.pooling import fit_pooled
from metric_depth_ros.types import FloatArray, IntArray

# Pixels handled at once: few enough to stay in the processor's cache.
_BLOCK = 40_000


class RegionAware(ClosedForm):
    """Fits each region to its own anchors, helped by its neighbours if it has few.

    Expansion uses the neighbours' anchors, as the paper does; partial pooling (ours) pulls each region's
    fit to its neighbours' and to the global line. Where a region's result is implausible (not positive,
    or beyond the depths of its anchors by more than ``max_extrapolation``) the pixel takes the global
    line's: ours, not in the paper. ``info`` adds the number of regions, of each fit, of regions without
    enough anchors of their own (grown), and of implausible pixels.
    """

    wants_regions = True

    def _fitted(self, problem: Problem) -> tuple[FloatArray, dict[str, Any]]:
        labels, options = problem.regions, self._config.region_aware
        assert labels is not None  # _checked
        n = int(labels.max()) + 1
        u, v = np.rint(problem.seen.uv).astype(np.intp).T
        group = labels[v, u].astype(np.intp)
        if options.pooling == "partial":
            fits = fit_pooled(problem.seen, labels, group, n, problem.line, problem.domain, options.fit)
        else:
            fits = fit_expanded(
                problem.seen,
                labels,
                group,
                n,
                problem.line,
                problem.domain,
                options,
                median=self._config.median.statistic,
                rising=self._guards,
            )
        bounds = np.tile([-np.inf, np.inf], (n, 1))
        if self._guards:
            bounds = _plausible(fits.depth_range, problem.domain, options.max_extrapolation)
        y, implausible = _applied(problem.x, labels, fits.parameters, bounds, problem.line)
        return y, _info(fits, implausible)

    def _checked(self, regions: IntArray | None, shape: tuple[int, ...]) -> IntArray:
        """Labels in the type that is fastest to look up: uint8 if they fit. Raises InputError."""
        name = self._config.name
        if regions is None:
            raise InputError(
                f"{name}: no regions; needed a label per pixel. Pass regions, or use global_affine."
            )
        labels = np.asarray(regions)
        if labels.shape != shape or not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
            raise InputError(
                f"{name}: regions {labels.shape} of {labels.dtype}, lowest {labels.min(initial=0)}; "
                f"needed whole numbers from 0 of shape {shape}. Segment the image the network saw."
            )
        n = int(labels.max()) + 1
        if n > MOST_REGIONS:  # perhaps there are gaps, which are allowed while the numbers are small
            labels = compact(labels)
            n = int(labels.max()) + 1
        if n > MOST_REGIONS:
            raise InputError(
                f"{name}: {n} regions; needed at most {MOST_REGIONS}. Join small ones, or pass the image as "
                "well, by which they are joined."
            )
        return labels.astype(np.uint8 if n <= 256 else np.intp)


def _info(fits: RegionFits, implausible: int) -> dict[str, Any]:
    tally = dict(zip(FITS, np.bincount(fits.fit, minlength=len(FITS)).tolist(), strict=True))
    return {
        "regions": len(fits.fit),
        "grown": int(fits.grown.sum()),
        "implausible_pixels": implausible,
        **tally,
    }


def _plausible(depth_range: FloatArray, domain: Domain, factor: float) -> FloatArray:
    """Lowest and highest plausible y (n, 2) of each region; ``factor`` 0 allows every valid depth."""
    if factor:
        with np.errstate(divide="ignore"):  # an empty range
            return np.sort(depth_in(domain, depth_range * [1 / factor, factor]), axis=1)
    lowest = -np.inf if domain == "log" else np.finfo(np.float32).tiny
    return np.tile([lowest, np.inf], (len(depth_range), 1))


def _applied(
    x: FloatArray, labels: IntArray, parameters: FloatArray, bounds: FloatArray, line: Line
) -> tuple[FloatArray, int]:
    """y (H, W) float32, and the number of implausible pixels, which took the global line's."""
    table = parameters.astype(np.float32).T
    bounds = bounds.astype(np.float32)
    low, high = bounds[0]
    everywhere = bool((bounds == bounds[0]).all())  # two look-ups less
    height, width = labels.shape
    u, y, implausible = np.arange(width, dtype=np.float32), np.empty_like(x), 0
    step = max(1, _BLOCK // width)
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        v = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        p0, p1, p2, p3 = (_looked_up(column, labels[rows]) for column in table)
        if not everywhere:
            low, high = (_looked_up(column, labels[rows]) for column in bounds.T)
        p1 *= u
        p2 *= v
        value = np.multiply(p0, x[rows], out=y[rows])
        value += p1
        value += p2
        value += p3
        if everywhere and value.min() >= low and value.max() <= high:
            continue
        wrong = (value < low) | (value > high)
        if wrong.any():
            value[wrong] = line.at(x[rows][wrong])
            implausible += int(np.count_nonzero(wrong))
    return y, implausible


def _looked_up(column: FloatArray, labels: IntArray) -> FloatArray:
    """Value (n,) of each pixel's label, (H, W) float32. OpenCV's table look-up is 3 times faster."""
    if labels.dtype != np.uint8:
        return column.take(labels)
    table = np.zeros((1, 256), np.float32)
    table[0, : len(column)] = column
    return np.asarray(cv2.LUT(labels, table), np.float32)

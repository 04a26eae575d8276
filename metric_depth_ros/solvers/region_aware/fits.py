"""Fits of all regions, as expansion and pooling return them, and the choice between fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.types import BoolArray, FloatArray, IntArray

# A richer fit must lower the leave-one-out error by this fraction to be taken.
_WORTH = 0.05
# From simple to rich.
FITS = ("global", "median", "linear", "surface")


@dataclass(frozen=True, eq=False)
class RegionFits:
    """Fits of n regions: y = p0 x + p1 u + p2 v + p3 in each.

    Attributes:
        parameters: (n, 4) float64.
        fit: (n,) index into ("global", "median", "linear", "surface"): the fit that the anchors allowed.
        depth_range: (n, 2) metres, nearest and farthest anchor used; infinity and 0 without any.
        grown: (n,) whether the region had to use anchors of its neighbours.
    """

    parameters: FloatArray
    fit: IntArray
    depth_range: FloatArray
    grown: BoolArray


def depth_ranges(depth: FloatArray, group: IntArray, reach: BoolArray) -> FloatArray:
    """Nearest and farthest depth (m, 2) of the anchors in the groups of each row of ``reach`` (m, n).

    Infinity and 0 for a row without anchors.
    """
    n = reach.shape[1]
    low, high = np.full(n, np.inf), np.zeros(n)
    np.minimum.at(low, group, depth)
    np.maximum.at(high, group, depth)
    return np.stack(
        [np.where(reach, low, np.inf).min(axis=1), np.where(reach, high, 0.0).max(axis=1)], axis=1
    )


def simplest_of_the_best(errors: FloatArray) -> IntArray:
    """Best column (n,) of each row of errors (n, k), columns from simple to rich fits.

    A richer fit must be better by 5 % than the best simpler one.
    """
    best, least = np.zeros(len(errors), np.intp), errors[:, 0].copy()
    for column in range(1, errors.shape[1]):
        better = errors[:, column] < least * (1 - _WORTH)
        best[better], least[better] = column, errors[better, column]
    return best

"""Which regions touch, and how a region grows by its neighbours."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import BoolArray, IntArray


def neighbours(labels: IntArray, n: int) -> BoolArray:
    """(n, n) symmetric, whether two regions share a horizontal or vertical pixel border; no diagonal.

    Args:
        labels: (H, W) integers, 0 to n-1.
        n: number of labels.
    """
    touch: BoolArray = np.zeros((n, n), np.bool_)
    for first, second in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        border = first != second
        touch[first[border], second[border]] = True
    touch |= touch.T.copy()
    return touch


def grown(touch: BoolArray, counts: IntArray, needed: int) -> BoolArray:
    """(n, n) whether region i, grown ring by ring until it holds enough, reaches region j.

    Algorithm 1 of paper 000. A region that cannot get enough reaches all it is connected to.

    Args:
        touch: (n, n) of ``neighbours``.
        counts: (n,) anchors in each region.
        needed: anchors a grown region must hold.
    """
    reach = np.eye(len(counts), dtype=np.bool_)
    step = (touch | reach).astype(np.float32)
    growing = np.flatnonzero(counts < needed)
    while len(growing):
        rings = reach[growing]
        larger = (rings.astype(np.float32) @ step) > 0
        reach[growing] = larger
        stuck = (larger == rings).all(axis=1)
        growing = growing[(larger @ counts < needed) & ~stuck]
    return reach

"""Adjacency of regions, and growth of a region by its neighbours."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import BoolArray, IntArray


def touching(labels: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """Pairs (E,), (E,) of regions that share a horizontal or vertical pixel border, each in both orders.

    Args:
        labels: (H, W) integers, 0 to n-1.
        n: number of labels, which may be large.
    """
    first, second = (side.astype(np.int64) for side in _borders(labels))
    pairs = np.unique(np.concatenate([first * n + second, second * n + first]))
    return pairs // n, pairs % n


def neighbours(labels: IntArray, n: int) -> BoolArray:
    """Adjacency matrix (n, n) of regions that share a horizontal or vertical pixel border; diagonal False.

    Args:
        labels: (H, W) integers, 0 to n-1.
        n: number of labels.
    """
    touch: BoolArray = np.zeros((n, n), np.bool_)
    touch[_borders(labels)] = True
    touch |= touch.T.copy()
    return touch


def _borders(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Labels on both sides of every pixel border between two regions."""
    flat, width = labels.ravel(), labels.shape[1]
    across = np.flatnonzero(flat[1:] != flat[:-1])
    across = across[across % width != width - 1]  # not from the end of a row to the next
    down = np.flatnonzero(flat[width:] != flat[:-width])
    return flat[np.concatenate([across, down])], flat[np.concatenate([across + 1, down + width])]


def grown(touch: BoolArray, counts: IntArray, needed: int) -> BoolArray:
    """Reach (n, n): whether region i, grown ring by ring until it holds enough anchors, includes region j.

    Algorithm 1 of paper 000. A region that cannot get enough includes all that it is connected to.

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

"""Relative maps with errors of many kinds, so that the network serves depth networks that it never saw."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from metric_depth_ros.depth import positive_depth
from metric_depth_ros.geometry import filled
from metric_depth_ros.types import FloatArray, RelativeDepth

# Sky, as a multiple of the largest known depth.
_SKY = 2.0
# Deviation of the log error of a whole blob or level of depth.
_BLOB = 0.15


def disturbed(relative: RelativeDepth, rng: np.random.Generator) -> RelativeDepth:
    """A network's output with more errors, of the same kind; its features stay."""
    log_depth = _wrong(np.log(positive_depth(relative)), rng, smooth=rng.uniform(0, 0.12), power=0.1)
    return replace(relative, values=_of_kind(log_depth, relative.kind))


def made_of_truth(depth: FloatArray, rng: np.random.Generator) -> RelativeDepth:
    """A map of true depth (H, W), inf sky, NaN unknown, as an unknown network might give it.

    Blurred, with another power, wrong smoothly and in blobs; without features.
    """
    log_depth = _filled(depth)
    log_depth = cv2.GaussianBlur(log_depth, (0, 0), float(np.exp(rng.uniform(np.log(0.5), np.log(5)))))
    log_depth = _wrong(log_depth, rng, smooth=rng.uniform(0.03, 0.3), power=0.25)
    if rng.random() < 0.5:
        return RelativeDepth(_of_kind(log_depth, "depth"), "depth")
    inverse = _of_kind(log_depth, "inverse_depth")
    if rng.random() < 0.5:  # up to an offset
        inverse = inverse - np.float32(rng.uniform(0, 0.2)) * np.median(inverse)
    return RelativeDepth(inverse, "inverse_depth")


def smooth_noise(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Smooth noise (H, W) float32 of deviation about 1: a sum of octaves, the finer the weaker."""
    total = np.zeros(shape, np.float32)
    for cells in (3, 6, 12, 24):
        coarse = rng.standard_normal((cells, cells), np.float32) / np.float32(np.sqrt(cells / 3))
        total += cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return total


def _filled(depth: FloatArray) -> FloatArray:
    """Log depth, without gaps: sky far away, unknown as the nearest known."""
    most = float(depth[np.isfinite(depth)].max())
    depth = np.where(np.isinf(depth), np.float32(_SKY * most), depth)
    return np.asarray(np.log(filled(depth, ~np.isnan(depth))))


def _wrong(log_depth: FloatArray, rng: np.random.Generator, *, smooth: float, power: float) -> FloatArray:
    """Log depth to another power, with smooth errors and with wrong blobs that end at levels of depth."""
    middle = np.float32(np.median(log_depth))
    log_depth = (log_depth - middle) * np.float32(np.exp(rng.normal(0, power)))
    log_depth += np.float32(smooth) * smooth_noise(log_depth.shape, rng)
    height, width = log_depth.shape
    v, u = np.ogrid[:height, :width]
    for _ in range(int(rng.integers(0, 6))):
        row, column = int(rng.integers(height)), int(rng.integers(width))
        near = (v - row) ** 2 + (u - column) ** 2 < (rng.uniform(0.05, 0.35) * width) ** 2
        level = np.abs(log_depth - log_depth[row, column]) < rng.uniform(0.03, 0.4)
        log_depth[near & level] += np.float32(rng.normal(0, _BLOB))
    return np.asarray(log_depth, np.float32)


def _of_kind(log_depth: FloatArray, kind: str) -> FloatArray:
    return np.asarray(np.exp(log_depth if kind == "depth" else -log_depth), np.float32)

"""Training batches of basis generators: cached images with random anchors."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from metric_depth_ros.learning.training.basis.cache import BasisCache
from metric_depth_ros.learning.training.basis.draw import MIXED, draw_anchors
from metric_depth_ros.types import IntArray

# Pixels per image for the solve and the dense loss in one step; mixed draws of anchors need this many.
_PIXELS, _PIXELS_MIXED = 1536, 2304


@dataclass(frozen=True, eq=False)
class BasisBatch:
    """Batch of B images with P pixels each: the anchors, then as many of the others as fit.

    Fields are log metric minus log relative depth. Using all pixels would take three times as long.

    Attributes:
        features: (B, C, h, w).
        log_relative: (B, 1, h, w) minus its median.
        pixel: (B, P) flat indices.
        truth: (B, P), NaN unknown.
        target: (B, P) at anchors, with their errors; 0 elsewhere.
        anchor: (B, P) 1 at anchors.
        noise: (B, P) variance of the anchors' log depth.
    """

    features: Tensor
    log_relative: Tensor
    pixel: Tensor
    truth: Tensor
    target: Tensor
    anchor: Tensor
    noise: Tensor

    def to(self, device: str) -> BasisBatch:
        """The batch on a device, "cpu" or "cuda"."""
        return BasisBatch(*(getattr(self, field.name).to(device) for field in fields(self)))


def make_basis_batch(
    cache: BasisCache, index: IntArray, regime: str, rng: np.random.Generator, *, blind: bool = False
) -> BasisBatch:
    """Batch of cached images with anchors of a regime."""
    features, log_relative, log_depth = cache.read(index)
    field = (log_depth - log_relative).reshape(len(index), -1)
    room = _PIXELS_MIXED if regime == MIXED else _PIXELS
    shape = (len(index), min(room, field.shape[1]))
    pixel = np.zeros(shape, np.int64)
    target, anchor, noise = (np.zeros(shape, np.float32) for _ in range(3))
    for row, known in enumerate(np.isfinite(log_depth) & np.isfinite(log_relative)):
        drawn = draw_anchors(known, regime, rng)
        some = rng.permutation(np.setdiff1d(np.flatnonzero(known), drawn.place))
        place = np.resize(np.append(drawn.place, some), shape[1]) if len(drawn.place) else pixel[row]
        count = len(drawn.place)
        pixel[row] = place
        target[row, :count] = field[row, drawn.place] + drawn.error
        anchor[row, :count], noise[row, :count] = 1, drawn.sigma**2
    truth = np.take_along_axis(field, pixel, axis=1)
    median = np.nanmedian(log_relative, axis=(1, 2), keepdims=True)
    centred = np.nan_to_num(log_relative - median)[:, None]
    parts = (features[:, :0] if blind else features, centred, pixel, truth, target, anchor, noise)
    return BasisBatch(*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))

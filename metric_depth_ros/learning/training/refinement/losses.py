"""Losses of the network of ``refined``: log depth, its gradients, and the likelihood of sigma."""

from __future__ import annotations

import torch
from torch import Tensor

# Steps in pixels at which differences of log depth are compared.
_STEPS = (1, 2, 4, 8, 16)
# Weights of gradients and of the likelihood.
_GRADIENTS, _LIKELIHOOD = 0.3, 0.05
# A fit that is off by less than this on average counts as if by so much: there is little to learn from it.
_SMALL = 0.03
# One sigma, which 68.3 % of the errors should be within, over the scale b of the likeliest Laplace
# distribution: 1.149 if errors are so distributed, less as tails are longer. Ours: 1.03 of held-out examples,
# 1.09 of develop frames.
_SIGMAS = 1.05


def objective(found: Tensor, sigma: Tensor, error: Tensor) -> Tensor:
    """Mean loss of what the network found (B, 2, h, w) for fits of relative sigma (B, h, w).

    ``error`` (B, h, w) is log true over fitted depth, NaN unknown.
    Each example counts in parts of how far the fit itself is off, so that dense anchors count as sparse ones.
    """
    known = error.isfinite()
    error = torch.where(known, error, torch.zeros_like(error))
    left = (error - found[:, 0]) * known
    count = known.sum((1, 2)).clamp(min=1)
    share = 1 / (error.abs().sum((1, 2)) / count + _SMALL)
    level = left.abs().sum((1, 2)) / count
    slopes = sum(_differences(left, known, step) for step in _STEPS) / len(_STEPS)
    scale = sigma * found[:, 1].exp() / _SIGMAS
    unlikely = (left.detach().abs() / scale + scale.log()) * known
    return ((level + _GRADIENTS * slopes) * share + _LIKELIHOOD * unlikely.sum((1, 2)) / count).mean()


def _differences(left: Tensor, known: Tensor, step: int) -> Tensor:
    """Mean absolute difference (B,) of what is left between pixels ``step`` apart, both ways."""
    total = torch.zeros(len(left), device=left.device)
    for axis in (1, 2):
        length = max(left.shape[axis] - step, 0)
        ends = [part.narrow(axis, part.shape[axis] - length, length) for part in (left, known)]
        starts = [part.narrow(axis, 0, length) for part in (left, known)]
        both = ends[1] & starts[1]
        apart = (ends[0] - starts[0]).abs() * both
        total = total + apart.sum((1, 2)) / both.sum((1, 2)).clamp(min=1)
    return total

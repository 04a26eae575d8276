"""Losses of Metric-Solver (paper 004, equations 8 to 11) on targets of the near and far codec.

The paper sums over pixels. Here the sum is divided by the number of pixels of known depth, of the whole
batch: the three losses keep their proportions, and the loss is as large for any size and batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metric_depth_ros.learning.models.metric_solver import MetricSolver
from metric_depth_ros.learning.training.depth.losses import resized_like
from metric_depth_ros.near_far import encode
from metric_depth_ros.types import FloatArray

# Lambda of equation 11.
NEAR_WEIGHT, FAR_WEIGHT, MASK_WEIGHT = 1.0, 1.0, 0.05


class Targets(NamedTuple):
    """What is to be predicted, each (B, 1, H, W).

    Attributes:
        near, far: scaled and tapered depth in [0, 1]; 0 where they do not say the depth.
        is_near, is_far: bool, which of them says it; neither where depth is unknown.
    """

    near: Tensor
    far: Tensor
    is_near: Tensor
    is_far: Tensor


def targets_of(depth: FloatArray, focus_m: FloatArray, device: str | torch.device = "cpu") -> Targets:
    """Targets of depth (B, H, W) in metres, inf sky, NaN unknown, for a focus (B,) in metres each.

    The sky's far depth is 0: it is beyond everything.
    """
    coded = [encode(map_, float(focus)) for map_, focus in zip(depth, focus_m, strict=True)]
    near, far = (
        torch.from_numpy(np.stack(maps))[:, None].to(device, non_blocking=True)
        for maps in ([c.near for c in coded], [c.far for c in coded])
    )
    return Targets(near.nan_to_num(), far.nan_to_num(), ~near.isnan(), ~far.isnan())


def near_loss(near: Tensor, targets: Targets) -> Tensor:
    """Scalar: squared error of scaled near depth within the focus (equation 8)."""
    return _mean((near - targets.near) ** 2 * targets.is_near, targets)


def far_loss(far: Tensor, targets: Targets) -> Tensor:
    """Scalar: squared error of tapered far depth beyond the focus (equation 9)."""
    return _mean((far - targets.far) ** 2 * targets.is_far, targets)


def mask_loss(mask_logit: Tensor, targets: Targets) -> Tensor:
    """Scalar: cross entropy of the mask (equation 10), where depth is known."""
    wanted = targets.is_near.to(mask_logit.dtype)
    entropy = functional.binary_cross_entropy_with_logits(mask_logit, wanted, reduction="none")
    return _mean(entropy * (targets.is_near | targets.is_far), targets)


def metric_solver_loss(
    near: Tensor, far: Tensor | None, mask_logit: Tensor | None, targets: Targets
) -> Tensor:
    """Scalar: the three losses by their weights (equation 11), of maps (B, 1, H, W).

    ``far`` and ``mask_logit`` are None of a network without those heads: nothing is asked of them.
    """
    loss = NEAR_WEIGHT * near_loss(near, targets)
    if far is not None:
        loss = loss + FAR_WEIGHT * far_loss(far, targets)
    if mask_logit is not None:
        loss = loss + MASK_WEIGHT * mask_loss(mask_logit, targets)
    return loss


def outputs_loss(
    network: MetricSolver, outputs: Sequence[Tensor], depth: FloatArray, focus_m: Tensor
) -> Tensor:
    """Scalar: what a network's near depth, far depth and mask logit cost, of the heads that it has.

    Args:
        depth: (B, H, W) metres as for ``targets_of``; the outputs are resized to it.
        focus_m: (B,) metres that the network was told.
    """
    targets = targets_of(depth, network.used_focus(focus_m).cpu().numpy(), focus_m.device)
    near, far, logit = (resized_like(map_, targets.near) for map_ in outputs)
    two = network.config.heads == "two"
    return metric_solver_loss(
        near, far if two else None, logit if two and network.config.mask else None, targets
    )


def _mean(values: Tensor, targets: Targets) -> Tensor:
    return values.sum() / (targets.is_near | targets.is_far).sum().clamp_min(1)

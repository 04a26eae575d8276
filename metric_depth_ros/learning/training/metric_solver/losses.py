"""Losses of Metric-Solver (paper 004, equations 8 to 11) on near and far depth targets.

The paper sums over pixels. Here the sum is divided by the number of pixels of known depth in the whole batch:
the three losses keep their proportions, and the loss does not depend on image and batch size.
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
NEAR_WEIGHT = 1.0
FAR_WEIGHT = 1.0
MASK_WEIGHT = 0.05


class Targets(NamedTuple):
    """Targets of the prediction, each (B, 1, H, W).

    Attributes:
        near, far: scaled and tapered depth in [0, 1]; 0 where they do not encode the depth.
        is_near, is_far: bool, which of them encodes it; neither for unknown depth.
    """

    near: Tensor
    far: Tensor
    is_near: Tensor
    is_far: Tensor


def targets_of(depth: FloatArray, focus_m: FloatArray, device: str | torch.device = "cpu") -> Targets:
    """Targets from depth (B, H, W) in metres, inf sky, NaN unknown, and one focus (B,) in metres each.

    The far depth of the sky is 0, the code of infinite depth.
    """
    coded = [encode(map_, float(focus)) for map_, focus in zip(depth, focus_m, strict=True)]
    near, far = (
        torch.from_numpy(np.stack(maps))[:, None].to(device, non_blocking=True)
        for maps in ([c.near for c in coded], [c.far for c in coded])
    )
    return Targets(near.nan_to_num(), far.nan_to_num(), ~near.isnan(), ~far.isnan())


def near_loss(near: Tensor, targets: Targets) -> Tensor:
    """Near loss (equation 8), scalar: squared error of scaled near depth within the focus."""
    return _mean((near - targets.near) ** 2 * targets.is_near, targets)


def far_loss(far: Tensor, targets: Targets) -> Tensor:
    """Far loss (equation 9), scalar: squared error of tapered far depth beyond the focus."""
    return _mean((far - targets.far) ** 2 * targets.is_far, targets)


def mask_loss(mask_logit: Tensor, targets: Targets) -> Tensor:
    """Mask loss (equation 10), scalar: cross entropy of the mask where depth is known."""
    wanted = targets.is_near.to(mask_logit.dtype)
    entropy = functional.binary_cross_entropy_with_logits(mask_logit, wanted, reduction="none")
    return _mean(entropy * (targets.is_near | targets.is_far), targets)


def metric_solver_loss(
    near: Tensor, far: Tensor | None, mask_logit: Tensor | None, targets: Targets
) -> Tensor:
    """Total loss (equation 11), scalar: weighted sum of the three losses, from maps (B, 1, H, W).

    ``far`` and ``mask_logit`` are None for a network without those heads; their losses are left out.
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
    """Total loss of a network's near depth, far depth and mask logit, scalar; missing heads are left out.

    Args:
        depth: (B, H, W) metres as for ``targets_of``; the outputs are resized to it.
        focus_m: (B,) metres, the focus given to the network.
    """
    targets = targets_of(depth, network.used_focus(focus_m).cpu().numpy(), focus_m.device)
    near, far, logit = (resized_like(map_, targets.near) for map_ in outputs)
    two = network.config.heads == "two"
    return metric_solver_loss(
        near, far if two else None, logit if two and network.config.mask else None, targets
    )


def _mean(values: Tensor, targets: Targets) -> Tensor:
    return values.sum() / (targets.is_near | targets.is_far).sum().clamp_min(1)

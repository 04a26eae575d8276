"""Losses of TR2M (paper 003, equations 4 to 9).

Depth (B, 1, H, W) is in metres; inf is sky, NaN unknown. Relative inverse depth D_r is positive; NaN where
the depth network gave none.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

# Lambda of equation 4, and the weights of equation 9.
SI_LAMBDA = 0.15
METRIC_WEIGHT = 1.0
PSEUDO_WEIGHT = 0.5
CONTRAST_WEIGHT = 0.1
SMOOTH_WEIGHT = 0.01
# Share of pixels within 25 % from which on pseudo depth counts (rho of equation 6; not stated there).
PSEUDO_RHO = 0.8
# Classes of depth for contrast (table 12).
CLASSES = 20
# Space in which pseudo depth is fitted.
SPACES = ("inverse_depth", "depth")
# Limits of pseudo depth where a dataset tells none, metres.
LIMITS_M = (0.05, 200.0)


class Losses(NamedTuple):
    """The four losses of equation 9, scalars; one that is left out is 0."""

    metric: Tensor
    pseudo: Tensor
    contrast: Tensor
    smooth: Tensor

    def total(self) -> Tensor:
        """Weighted sum (equation 9)."""
        return (
            METRIC_WEIGHT * self.metric
            + PSEUDO_WEIGHT * self.pseudo
            + CONTRAST_WEIGHT * self.contrast
            + SMOOTH_WEIGHT * self.smooth
        )


def known_maps(relative: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """D_r without gaps, and truth that is unknown where D_r is: what is predicted there counts nowhere."""
    known = relative.isfinite()
    return torch.where(known, relative, 1.0), torch.where(known, truth, torch.nan)


def scale_invariant_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Scale-invariant log loss (equation 4) of each image, (B,): mean e^2 - 0.15 (mean e)^2, e the log error.

    Pixels whose truth is unknown or sky are left out; 0 for an image without any other.
    """
    known = truth.isfinite() & (truth > 0)
    apart = torch.where(known, predicted.log() - torch.where(known, truth, 1.0).log(), 0.0)
    count = known.flatten(1).sum(1).clamp_min(1)
    mean, square = apart.flatten(1).sum(1) / count, apart.square().flatten(1).sum(1) / count
    return square - SI_LAMBDA * mean.square()


def pseudo_depth(
    relative: Tensor, truth: Tensor, space: str = "inverse_depth", limits_m: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Pseudo metric depth (B, 1, H, W) from least squares, and its delta1 (B,) where the truth is known.

    Args:
        relative: D_r, relative inverse depth.
        space: what alpha D_r + beta is fitted to: "inverse_depth", which equation 3 maps it to, or "depth",
            as equation 5 is printed, where D_r would have to be depth.
        limits_m: (B, 2) nearest and farthest depth of each image; None: ``LIMITS_M`` of all.

    NaN where D_r is, and where the fitted depth is not within the limits. An image with fewer than two
    known pixels, or one value of D_r alone, has NaN everywhere and a delta1 of 0.
    """
    known = truth.isfinite() & (truth > 0) & relative.isfinite()
    wanted = torch.where(known, 1 / truth if space == "inverse_depth" else truth, 0.0).flatten(1).double()
    x, weight = torch.where(known, relative, 0.0).flatten(1).double(), known.flatten(1).double()
    # Equation 12 for two unknowns, about the means.
    count = weight.sum(1, keepdim=True).clamp_min(1)
    mean_x, mean_y = x.sum(1, keepdim=True) / count, wanted.sum(1, keepdim=True) / count
    off = (x - mean_x) * weight
    spread = off.square().sum(1, keepdim=True)
    alpha = torch.where(spread > 1e-12, (off * wanted).sum(1, keepdim=True) / spread, torch.nan)
    beta = mean_y - alpha * mean_x
    fitted = alpha[..., None, None] * relative + beta[..., None, None]
    depth = (1 / fitted if space == "inverse_depth" else fitted).to(truth.dtype)
    limits = depth.new_tensor([LIMITS_M]) if limits_m is None else limits_m
    near, far = limits.T[..., None, None, None]
    depth = torch.where((depth >= near) & (depth <= far), depth, torch.nan)
    ratio = depth / truth
    close = known & (torch.maximum(ratio, 1 / ratio) < 1.25)
    return depth, close.flatten(1).sum(1) / known.flatten(1).sum(1).clamp_min(1)


def pseudo_loss(
    predicted: Tensor,
    relative: Tensor,
    truth: Tensor,
    space: str = "inverse_depth",
    limits_m: Tensor | None = None,
) -> Tensor:
    """Loss against pseudo depth (equation 6) of each image, (B,): 0 unless its delta1 exceeds rho.

    Pseudo depth also supervises where the truth is unknown; sky is left out. Limits as of ``pseudo_depth``.
    """
    pseudo, delta1 = pseudo_depth(relative, truth, space, limits_m)
    pseudo = torch.where(truth.isinf(), torch.nan, pseudo)
    return torch.where(delta1 > PSEUDO_RHO, scale_invariant_loss(predicted, pseudo), 0.0)


def depth_classes(depth: Tensor, size: tuple[int, int], classes: int = CLASSES) -> Tensor:
    """Class of each pixel's depth (equation 7), (B, h, w): 0 for the image's farthest to ``classes``.

    -1 where depth is unknown or sky. Depth is brought to ``size`` (h, w) by the nearest pixel.
    """
    depth = functional.interpolate(depth, size=size, mode="nearest-exact")[:, 0]
    known = depth.isfinite() & (depth > 0)
    far = torch.where(known, depth, -torch.inf).amax((1, 2), keepdim=True)
    near = torch.where(known, depth, torch.inf).amin((1, 2), keepdim=True)
    found = ((far - depth) / (far - near).clamp_min(1e-6) * classes).round()
    return torch.where(known, found, -1.0).long()


def contrast_loss(
    query: Tensor, keys: list[Tensor], query_class: Tensor, key_classes: list[Tensor]
) -> Tensor:
    """Scale-oriented contrast (equation 8), scalar.

    S_p is the mean cosine with the keys' pixels of the same class, of all keys together; S_n the sum over
    keys of the mean cosine with those of another. Pixels of unknown depth are left out, and query pixels
    without any positive.

    Args:
        query, keys: features (B, C, h, w): of the trained branch, and of the momentum branch for each key.
        query_class, key_classes: (B, h, w) of ``depth_classes``.
    """
    q = functional.normalize(query.flatten(2), dim=1).transpose(1, 2)
    own = query_class.flatten(1)
    positive = positives = negative = q.new_zeros(())
    for key, its_class in zip(keys, key_classes, strict=True):
        cosine = q @ functional.normalize(key.flatten(2), dim=1)
        theirs = its_class.flatten(1)[:, None]
        same = (own[..., None] == theirs) & (theirs >= 0)
        other = (own[..., None] != theirs) & (theirs >= 0)
        positive = positive + (cosine * same).sum(2)
        positives = positives + same.sum(2)
        negative = negative + (cosine * other).sum(2) / other.sum(2).clamp_min(1)
    counted = (own >= 0) & (positives > 0)
    # -log(exp(p) / (exp(p) + exp(n))) = softplus(n - p)
    loss = functional.softplus(negative - positive / positives.clamp_min(1))
    return (loss * counted).sum() / counted.sum().clamp_min(1)


def smoothness_loss(map_: Tensor, image: Tensor) -> Tensor:
    """Edge-aware smoothness (Godard et al. 2017), scalar: mean |dA| exp(-|dI|) in both directions.

    Args:
        map_: scale or shift map (B, 1, h, w).
        image: (B, 3, h, w) in 0 to 1.
    """
    total = map_.new_zeros(())
    for dim in (2, 3):
        edges = image.diff(dim=dim).abs().mean(1, keepdim=True)
        total = total + (map_.diff(dim=dim).abs() * (-edges).exp()).mean()
    return total

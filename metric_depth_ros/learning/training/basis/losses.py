"""Differentiable ridge solve, and the losses of paper 001, section 3.4."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from metric_depth_ros.solvers.basis.maps import UNIT_MISFIT

# "A small constant on the order of 1e-3" (paper 001, section 4.1).
RIDGE = 1e-3
# The softness is that of the basis solver, the rounds are not: there a first round compares with the median,
# one more follows, and errors are relative to the usual error in the image; here three rounds start from the
# stated weights.
_REWEIGHTINGS = 3
_SOFTNESS = 6.0
# Difference in log depth at which an anchor is an outlier.
_OUTLYING = 0.15
WEIGHTS = {"anchor": 0.1, "decor": 1e-4, "gate": 1e-4}


@dataclass(frozen=True, eq=False)
class Solved:
    """Solved fields of a batch of images, P pixels each.

    Attributes:
        field: (B, P) l = log metric minus log relative depth.
        variance: (B, P) posterior variance of the field; without gradient.
    """

    field: Tensor
    variance: Tensor


def solve_faithfully(basis: Tensor, target: Tensor, weight: Tensor) -> Solved:
    """The paper's ridge solve, w = (M^T M + lambda I)^-1 M^T y (equation 15).

    For basis (B, K, P), target and weight (B, P); ``weight`` is 1 at anchors and 0 elsewhere.
    """
    weighted = basis * weight[:, None]
    system = weighted @ basis.transpose(1, 2) + RIDGE * torch.eye(basis.shape[1], device=basis.device)
    w = torch.linalg.solve(system, (weighted @ target[..., None]))
    field = (basis * w).sum(1)
    with torch.no_grad():
        variance = UNIT_MISFIT**2 * (basis * torch.linalg.solve(system, basis)).sum(1)
    return Solved(field, variance)


def solve_robustly(basis: Tensor, target: Tensor, variance: Tensor, anchor: Tensor) -> Solved:
    """Robust ridge solve, ours, as in ``solvers.basis``: unpenalised offset, weights updated by residuals.

    Args:
        basis: (B, K, P).
        target: (B, P) y at anchors.
        variance: (B, P) of y about the best field.
        anchor: (B, P) 1 at anchors; every image has at least one.
    """
    base = anchor * UNIT_MISFIT**2 / variance
    with torch.no_grad():
        weight = base
        for _ in range(_REWEIGHTINGS):
            mean, centred, system = _centred(basis, weight)
            field = _field(mean, centred, system, target, weight)
            free = 1 - weight * _leverage(centred, system, weight)
            square = (target - field) ** 2 / (variance * free.clamp(min=1e-3))
            weight = base * (1 + square / _SOFTNESS) ** -2
    mean, centred, system = _centred(basis, weight)
    field = _field(mean, centred, system, target, weight)
    with torch.no_grad():
        variance = UNIT_MISFIT**2 * _leverage(centred, system, weight)
    return Solved(field, variance)


def _centred(basis: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    total = weight.sum(1).clamp(min=1e-12)
    mean = (basis * weight[:, None]).sum(2) / total[:, None]
    centred = basis - mean[..., None]
    weighted = centred * weight[:, None]
    system = weighted @ centred.transpose(1, 2) + RIDGE * torch.eye(basis.shape[1], device=basis.device)
    return mean, centred, system


def _field(mean: Tensor, centred: Tensor, system: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    level = (weight * target).sum(1) / weight.sum(1).clamp(min=1e-12)
    right = (centred * weight[:, None]) @ (target - level[:, None])[..., None]
    return level[:, None] + (centred * torch.linalg.solve(system, right)).sum(1)


def _leverage(centred: Tensor, system: Tensor, weight: Tensor) -> Tensor:
    """Leverage (B, P), x^T (A^-1) x, including the offset's."""
    inverse = torch.linalg.inv(system)
    return (centred * (inverse @ centred)).sum(1) + 1 / weight.sum(1, keepdim=True).clamp(min=1e-12)


def dense_loss(field: Tensor, truth: Tensor, known: Tensor, beta: float) -> Tensor:
    """Dense loss (equation 24): SmoothL1 of log depth, mean over an image's known pixels, then over images.

    Args:
        field, truth: (B, P) log metric minus log relative depth.
        known: (B, P) bool.
        beta: transition of SmoothL1 from quadratic to linear; not stated in the paper, 1 is usual.
    """
    loss = functional.smooth_l1_loss(field, torch.where(known, truth, field), reduction="none", beta=beta)
    return _pixel_mean(loss, known)


def anchor_loss(field: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Anchor loss (equation 25): mean squared error at the anchors; ``weight`` (B, P) is 0 elsewhere."""
    square = weight * (field - target) ** 2
    return (square.sum(1) / weight.sum(1).clamp(min=1e-12)).mean()


def decorrelation_loss(basis: Tensor) -> Tensor:
    """Decorrelation loss (equation 26): mean squared cosine of two different maps (B, K, P)."""
    unit = functional.normalize(basis, dim=2)
    gram = unit @ unit.transpose(1, 2)
    count = basis.shape[1]
    off = (gram**2).sum((1, 2)) - (gram.diagonal(dim1=1, dim2=2) ** 2).sum(1)
    return off.mean() / max(count * (count - 1), 1)


def gate_loss(gates: Tensor, pixels: int = 1) -> Tensor:
    """Gate loss (equation 27), the mean over images: negative entropy of the gates (B, K, P).

    Minimising it increases entropy. The P pixels stand for ``pixels`` of the map, over which it is summed, as
    printed; 1 gives the mean, ours: over 4800 pixels the sum is some hundred times the dense loss.
    """
    return pixels * (gates * gates.clamp(min=1e-12).log()).sum(1).mean()


def misfit_loss(solved: Solved, misfit: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Misfit loss, ours: negative log likelihood of the (fixed) errors under a Laplace law of sigma."""
    sigma = (solved.variance + misfit**2).sqrt()
    error = (torch.where(known, truth, solved.field) - solved.field).detach().abs()
    return _pixel_mean(error / sigma + sigma.log(), known)


def without_outliers(anchor: Tensor, target: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Weights of anchors, 0 where the target is off the known truth by .15 or more in log depth; ours.

    The field should not follow outliers.
    """
    return anchor * (~known | ((target - truth).abs() < _OUTLYING))


def _pixel_mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean over known pixels, then over the images that have any."""
    count = known.sum(1)
    of_picture = torch.where(known, values, torch.zeros_like(values)).sum(1) / count.clamp(min=1)
    return of_picture.sum() / (count > 0).sum().clamp(min=1)

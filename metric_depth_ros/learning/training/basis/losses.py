"""The ridge solve inside the graph, and the losses of paper 001, section 3.4."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from metric_depth_ros.solvers.basis.maps import UNIT_MISFIT

# "A small constant on the order of 1e-3" (paper 001, section 4.1).
RIDGE = 1e-3
# The softness is that of solvers.basis_fit, the rounds are not: there a first one compares with the median,
# one follows, and errors count in units of what is usual in the picture; here three start from the stated
# weights.
_REWEIGHTINGS, _SOFTNESS = 3, 6.0
WEIGHTS = {"anchor": 0.1, "decor": 1e-4, "gate": 1e-4}


@dataclass(frozen=True, eq=False)
class Solved:
    """Fields of a batch of pictures, P pixels each.

    Attributes:
        field: (B, P) l = log metric less log relative depth.
        variance: (B, P) of it by the posterior; without gradient.
    """

    field: Tensor
    variance: Tensor


def solve_faithfully(basis: Tensor, target: Tensor, weight: Tensor) -> Solved:
    """Equation 15, w = (M^T M + lambda I)^-1 M^T y, for basis (B, K, P), target and weight (B, P).

    ``weight`` is 1 at anchors and 0 elsewhere.
    """
    weighted = basis * weight[:, None]
    system = weighted @ basis.transpose(1, 2) + RIDGE * torch.eye(basis.shape[1], device=basis.device)
    w = torch.linalg.solve(system, (weighted @ target[..., None]))
    field = (basis * w).sum(1)
    with torch.no_grad():
        variance = UNIT_MISFIT**2 * (basis * torch.linalg.solve(system, basis)).sum(1)
    return Solved(field, variance)


def solve_robustly(basis: Tensor, target: Tensor, variance: Tensor, anchor: Tensor) -> Solved:
    """Ours, as ``solvers.basis``: an offset that no ridge shrinks, weights, and those again by residuals.

    Args:
        basis: (B, K, P).
        target: (B, P) y at anchors.
        variance: (B, P) of y about the best field.
        anchor: (B, P) 1 at anchors, of which there is at least one in every picture.
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
        spread = UNIT_MISFIT**2 * _leverage(centred, system, weight)
    return Solved(field, spread)


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
    """(B, P) x^T (A^-1) x, with that of the offset."""
    inverse = torch.linalg.inv(system)
    return (centred * (inverse @ centred)).sum(1) + 1 / weight.sum(1, keepdim=True).clamp(min=1e-12)


def dense_loss(field: Tensor, truth: Tensor, known: Tensor, beta: float) -> Tensor:
    """Equation 24: SmoothL1 of log depth at known pixels, mean over the pixels of a picture, then pictures.

    Args:
        field, truth: (B, P) log metric less log relative depth.
        known: (B, P) bool.
        beta: where SmoothL1 turns from square to straight; the paper does not say, 1 is usual.
    """
    loss = functional.smooth_l1_loss(field, torch.where(known, truth, field), reduction="none", beta=beta)
    return _pixel_mean(loss, known)


def anchor_loss(field: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Equation 25: mean square at the anchors; ``weight`` (B, P) 0 elsewhere."""
    square = weight * (field - target) ** 2
    return (square.sum(1) / weight.sum(1).clamp(min=1e-12)).mean()


def decorrelation_loss(basis: Tensor) -> Tensor:
    """Equation 26: mean squared cosine of two different maps (B, K, P)."""
    unit = functional.normalize(basis, dim=2)
    gram = unit @ unit.transpose(1, 2)
    count = basis.shape[1]
    off = (gram**2).sum((1, 2)) - (gram.diagonal(dim1=1, dim2=2) ** 2).sum(1)
    return off.mean() / max(count * (count - 1), 1)


def gate_loss(gates: Tensor) -> Tensor:
    """Equation 27, negative entropy of the gates (B, K, P); mean, not sum, over the pixels.

    Minimised, so that entropy rises. Its sum over 4800 pixels would be some hundred times the dense loss.
    """
    return (gates * gates.clamp(min=1e-12).log()).sum(1).mean()


def spread_loss(solved: Solved, spread: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Ours: negative log likelihood of the (given) errors under a Laplace law of the stated size."""
    size = (solved.variance + spread**2).sqrt()
    error = (torch.where(known, truth, solved.field) - solved.field).detach().abs()
    return _pixel_mean(error / size + size.log(), known)


def _pixel_mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean over known pixels, then over the pictures that have any."""
    count = known.sum(1)
    of_picture = torch.where(known, values, torch.zeros_like(values)).sum(1) / count.clamp(min=1)
    return of_picture.sum() / (count > 0).sum().clamp(min=1)

"""Losses of relative inverse depth, for networks that cannot know the scale.

Every loss takes ``value`` (B, 1, H, W), the network's output, and ``depth`` (B, 1, H, W) float32 in metres:
inf is sky, NaN unknown. Each image has its own scale; an image with almost only sky and unknown depth does
not count. Sparse depth, of a LiDAR, does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

# Depth beyond this, or beyond this many times the image's median, counts as far, like the sky.
FAR_M = 200.0
FAR_MEDIANS = 25.0
# Least part of the known pixels, and of all, that are ordinary in an image that counts.
_LEAST_ORDINARY, _LEAST_OF_ALL = 0.05, 0.005
_GRADIENT_SCALES = 4
_GRADIENT_WEIGHT = 0.5
_TRIMMED = 0.2
_ALIGNED = 0.9
_EPSILON = 1e-6


def log_loss(value: Tensor, depth: Tensor) -> Tensor:
    """Log loss, scalar: mean of |r| plus the gradient loss of r, r = ln value - ln(median depth / depth).

    The median is over the ordinary pixels of an image, those nearer than ``far``. Farther pixels and the sky
    must only be at least that far: there r counts only if it is positive, with depth limited to far. The
    network learns to give 1 for the image's median depth.
    """
    residual, known, ordinary = _log_residual(value, depth, 0.0)
    return _with_gradients(residual, known, ordinary)


def log_invariant_loss(value: Tensor, depth: Tensor) -> Tensor:
    """Almost scale-invariant log loss, scalar: as ``log_loss``, but a factor on ``value`` costs little.

    Most of the median of r is subtracted first. Not all of it, since the output would not be bounded
    otherwise: the one-sided loss of the sky would decrease it without end.
    """
    residual, known, ordinary = _log_residual(value, depth, _ALIGNED)
    return _with_gradients(residual, known, ordinary)


def normalised_loss(value: Tensor, depth: Tensor) -> Tensor:
    """Normalised loss, scalar: mean |value - t| and gradient loss, t = (1/depth - median) / mean deviation.

    The value is compared directly: the network learns to give a normalised map.
    """
    known, ordinary, _ = _regions(depth)
    target = _normalised(_inverse(depth), known).clamp(max=6.0)
    return _with_gradients(value - target, known, ordinary)


def trimmed_loss(value: Tensor, depth: Tensor) -> Tensor:
    """Trimmed scale- and shift-invariant loss of MiDaS (Ranftl et al. 2020) plus gradient loss, scalar.

    Both maps are normalised to median 0 and mean deviation 1; the largest fifth of the errors is left out.
    ``value`` may be scaled by a positive factor and shifted.
    """
    known, ordinary, _ = _regions(depth)
    residual = _normalised(value, known) - _normalised(_inverse(depth), known)
    error = torch.where(known, residual.abs(), torch.zeros_like(residual)).flatten(1)
    count = known.flatten(1).sum(1)
    ordered = error.sort(dim=1, descending=True).values
    place = torch.arange(error.shape[1], device=error.device)
    kept = (place >= (_TRIMMED * count)[:, None]) & (place < count[:, None])
    data = (ordered * kept).sum(1) / (2 * count.clamp_min(1))
    enough = _enough(known, ordinary)
    return (data * enough).sum() / enough.sum().clamp_min(1) + _GRADIENT_WEIGHT * gradient_loss(
        residual, known & enough.view(-1, 1, 1, 1)
    )


# Name for --loss -> (loss, output of the network that it needs).
LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str]] = {
    "log": (log_loss, "log"),
    "log_invariant": (log_invariant_loss, "log"),
    "normalised": (normalised_loss, "linear"),
    "trimmed": (trimmed_loss, "linear"),
}


def gradient_loss(residual: Tensor, known: Tensor) -> Tensor:
    """Gradient loss, scalar: mean |difference| of ``residual`` at distances of 1, 2, 4 and 8 pixels.

    Both directions count, but only pairs in which both are ``known``: this keeps edges where the truth has
    them.
    """
    total = residual.new_zeros(())
    for scale in range(_GRADIENT_SCALES):
        r, k = residual[..., :: 2**scale, :: 2**scale], known[..., :: 2**scale, :: 2**scale]
        for one, other in (
            ((..., slice(1, None)), (..., slice(None, -1))),
            (
                (..., slice(1, None), slice(None)),
                (..., slice(None, -1), slice(None)),
            ),
        ):
            pairs = k[one] & k[other]
            difference = torch.where(pairs, (r[one] - r[other]).abs(), 0.0)
            total = total + difference.sum() / pairs.sum().clamp_min(1)
    return total / _GRADIENT_SCALES


def _log_residual(value: Tensor, depth: Tensor, aligned: float) -> tuple[Tensor, Tensor, Tensor]:
    """r of ``log_loss`` minus ``aligned`` times its median, and the masks of known and ordinary pixels."""
    known, ordinary, far = _regions(depth)
    log_depth = torch.minimum(torch.nan_to_num(depth, nan=1.0, posinf=torch.inf), far).log()
    residual = value.clamp_min(1e-12).log() + log_depth - _masked_median(log_depth, ordinary)
    if aligned:
        residual = residual - aligned * _masked_median(residual.detach(), ordinary)
    return torch.where(ordinary, residual, residual.relu()), known, ordinary


def _with_gradients(residual: Tensor, known: Tensor, ordinary: Tensor) -> Tensor:
    enough = _enough(known, ordinary)
    known = known & enough.view(-1, 1, 1, 1)
    residual = torch.where(known, residual, 0.0)
    by_picture = residual.abs().flatten(1).sum(1) / known.flatten(1).sum(1).clamp_min(1)
    data = by_picture.sum() / enough.sum().clamp_min(1)
    return data + _GRADIENT_WEIGHT * gradient_loss(residual, known)


def _regions(depth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Masks of known and of ordinary pixels, and the start of far (B, 1, 1, 1) in metres."""
    known = ~depth.isnan()
    finite = known & depth.isfinite()
    far = (FAR_MEDIANS * _masked_median(depth, finite)).clamp(max=FAR_M)
    return known, finite & (depth < far), far


def _enough(known: Tensor, ordinary: Tensor) -> Tensor:
    """Whether an image counts (B,): it has enough ordinary pixels."""
    near, part = (mask.flatten(1).float().mean(1) for mask in (ordinary, known))
    return (near > _LEAST_ORDINARY * part) & (near > _LEAST_OF_ALL)


def _inverse(depth: Tensor) -> Tensor:
    """Inverse depth; 0 for sky and unknown."""
    return torch.where(depth.isnan(), torch.zeros_like(depth), 1 / depth)


def _normalised(map_: Tensor, known: Tensor) -> Tensor:
    """Map minus its median over known pixels, divided by its mean deviation from it."""
    centred = map_ - _masked_median(map_.detach(), known)
    count = known.sum((1, 2, 3), keepdim=True).clamp_min(1)
    deviation = (
        torch.where(known, centred.abs(), torch.zeros_like(centred)).sum((1, 2, 3), keepdim=True) / count
    )
    return centred / deviation.clamp_min(_EPSILON)


def _masked_median(map_: Tensor, mask: Tensor) -> Tensor:
    """Median (B, 1, 1, 1) over the mask, in every second row and column; 1 if that is empty."""
    if min(map_.shape[2:]) >= 32:
        map_, mask = map_[..., ::2, ::2], mask[..., ::2, ::2]
    median = torch.where(mask, map_, torch.nan).flatten(1).nanmedian(1).values
    return torch.nan_to_num(median, nan=1.0).view(-1, 1, 1, 1)


def resized_like(value: Tensor, depth: Tensor) -> Tensor:
    """``value`` resized to the size of ``depth``."""
    if value.shape[2:] == depth.shape[2:]:
        return value
    return functional.interpolate(value, size=depth.shape[2:], mode="bilinear", align_corners=False)

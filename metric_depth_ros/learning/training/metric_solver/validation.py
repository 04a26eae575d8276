"""Validation of Metric-Solver on held-out samples, for each focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor

from metric_depth_ros.evaluation.metrics import abs_rel, delta
from metric_depth_ros.learning.models.metric_solver import MetricSolver
from metric_depth_ros.learning.training.augment import stretched
from metric_depth_ros.learning.training.depth.losses import resized_like
from metric_depth_ros.learning.training.loader import Samples, evenly
from metric_depth_ros.learning.training.metric_solver.losses import outputs_loss, targets_of
from metric_depth_ros.learning.training.sparse import reduced_depth
from metric_depth_ros.learning.training.workers import normalised
from metric_depth_ros.near_far import decode_far, decode_near, fuse, mask_accuracy
from metric_depth_ros.types import FloatArray

# Most images to validate on, and how many at once.
_MOST = 96
_TOGETHER = 8


@dataclass(frozen=True)
class FocusScore:
    """Scores of one focus: means over the validation images.

    Attributes:
        loss: of equation 11.
        abs_rel, delta1: of fused depth where the truth is within the focus.
        mask: fraction of the pixels with a correct mask, without sky and unknown depth.
    """

    loss: float
    abs_rel: float
    delta1: float
    mask: float


# Field of a score -> title of its panel.
SCORES = {"loss": "validation loss", "abs_rel": "AbsRel", "delta1": "delta1", "mask": "mask accuracy"}


class FocusValidation:
    """Held-out samples, and the validation focuses: the ends and the middle of the pool."""

    def __init__(self, samples: Samples, size: tuple[int, int], focuses: Sequence[float]) -> None:
        """``size``: width and height of the images. Raises InputError for a damaged shard."""
        places = samples.validation
        read = [samples.read(*places[index]) for index in evenly(len(places), _MOST)]
        self._images = [stretched(image, size) for image, _ in read]
        half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        self._depths = [reduced_depth(d, half) for _, d in read]
        self.focuses = tuple(sorted({focuses[0], focuses[len(focuses) // 2], focuses[-1]}))

    def scores(self, network: MetricSolver) -> dict[str, FocusScore]:
        """Score of each focus by name; empty without held-out samples."""
        device = next(network.parameters()).device
        found: dict[float, list[FocusScore]] = {focus: [] for focus in self.focuses}
        with torch.inference_mode():
            for start in range(0, len(self._images), _TOGETHER):
                depth = np.stack(self._depths[start : start + _TOGETHER])
                features = network.encode(
                    normalised(np.stack(self._images[start : start + _TOGETHER]), device)
                )
                for focus, scores in found.items():
                    scores.append(_score(network, features, depth, focus))
        return {
            f"{focus:g} m": FocusScore(*np.nanmean([astuple(s) for s in scores], axis=0).tolist())
            for focus, scores in found.items()
            if scores
        }


def fused_depth(near: Tensor, far: Tensor, mask_logit: Tensor, focus_m: float) -> FloatArray:
    """Fused depth in metres from a network's maps, of their shape; ``focus_m`` is their focus."""
    near_depth = decode_near(near.cpu().numpy(), focus_m)
    far_depth = decode_far(far.cpu().numpy(), focus_m)
    return fuse(near_depth, far_depth, mask_logit.sigmoid().cpu().numpy())


def _score(network: MetricSolver, features: list[Tensor], depth: FloatArray, focus: float) -> FocusScore:
    focuses = torch.full((len(depth),), focus, device=features[0].device)
    outputs = network.decode(features, focuses)
    loss = outputs_loss(network, outputs, depth, focuses)
    used = network.used_focus(focuses)
    targets = targets_of(depth, used.cpu().numpy(), used.device)
    near, far, logit = (resized_like(map_, targets.near) for map_ in outputs)
    fused = fused_depth(near, far, logit, float(used[0]))[:, 0]
    truth = np.where(depth <= focus, depth, np.nan)
    right = mask_accuracy((logit >= 0).cpu().numpy()[:, 0], depth, float(used[0]))
    return FocusScore(float(loss), abs_rel(fused, truth), delta(fused, truth), right)

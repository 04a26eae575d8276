"""Validation of the small depth network: pictures held out of its data, and real frames."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import nn

from metric_depth_ros.evaluation.frames import find_sets
from metric_depth_ros.evaluation.places import place_of
from metric_depth_ros.evaluation.relative import (
    Predictor,
    Score,
    Truth,
    median_score,
    read_truths,
    score,
)
from metric_depth_ros.learning.training.augment import stretched
from metric_depth_ros.learning.training.loader import Samples, evenly
from metric_depth_ros.learning.training.workers import normalised
from metric_depth_ros.types import FloatArray, ImageArray

# Field of a score -> title of its panel.
SCORES = {"rank": "rank correlation", "abs_rel": "AbsRel after a fit"}
_MOST_HELD_OUT = 120


def predictor(network: nn.Module, size: tuple[int, int]) -> Predictor:
    """Function that predicts an image after stretching it to ``size`` (width, height), as in the engine."""

    def predict(image: ImageArray) -> FloatArray:
        small = stretched(image, size)
        device = next(network.parameters()).device
        with torch.inference_mode():
            value, _ = network(normalised(small[None], device))
        map_ = value[0, 0].cpu().numpy()
        return np.asarray(cv2.resize(map_, image.shape[1::-1], interpolation=cv2.INTER_LINEAR))

    return predict


class Validation:
    """Validation images: held-out samples, and real frames."""

    def __init__(self, samples: Samples, real: Sequence[str] = ()) -> None:
        """``real``: datasets, or folders of datasets. Raises InputError for a damaged shard or set."""
        places = samples.validation
        self._truths: dict[str, list[Truth]] = {}
        for index in evenly(len(places), _MOST_HELD_OUT):
            data, _ = places[index]
            image, depth = samples.read(*places[index])
            v, u = np.nonzero(np.isfinite(depth))
            if len(u) > depth.size // 20:
                place = "synthetic" if samples.rendered(data) else "held out"
                truth = Truth(f"{place}/{index}", image, np.column_stack([u, v])[::7], depth[v, u][::7])
                self._truths.setdefault(place, []).append(truth)
        for truth in (t for folder in find_sets(real) for t in read_truths(folder)):
            self._truths.setdefault(place_of(truth.depth), []).append(truth)

    def scores(self, predict: Predictor) -> dict[str, Score]:
        """Median score of every place.

        That is "synthetic" and "held out" (rendered pictures and frames of the data that are not trained
        on), "outdoor" and "indoor" (``real``).
        """
        return {
            place: median_score([score(predict(truth.image), truth) for truth in truths])
            for place, truths in self._truths.items()
        }

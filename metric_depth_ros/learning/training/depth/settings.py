"""What a training of the small depth network is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.learning.training.settings import RunSettings, grown_size


@dataclass(frozen=True, kw_only=True)
class DepthSettings(RunSettings):
    """One run.

    Attributes:
        data: data sets: folders of shards or of frames with depth images.
        size: width and height that the network is for.
        loss: a name in ``losses.LOSSES``.
        threads: parts of a batch that are computed side by side on a processor; 0 is one per core.
        device: "auto", "cpu" or "cuda".
        start: weights to begin with, as depth-export writes them; None begins at random.
        real: real data sets, or folders of such, to look at, never to train on.
    """

    data: tuple[str, ...]
    size: tuple[int, int] = (320, 240)
    loss: str = "normalised"
    optimizer: str = "muon"
    weight_decay: float = 0.02
    device: str = "auto"
    start: str | None = None
    real: tuple[str, ...] = ()
    look_every: int = 2000


def draw_size(size: tuple[int, int], progress: float, rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of one batch: ``grown_size``, half of the time of another shape."""
    return grown_size(size, progress, (1.0, 1.0, 1.0, 1.25, 0.8, 1.5)[int(rng.integers(6))])

"""Settings for training the package's depth networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.learning.training.settings import RunSettings, grown_size

# Usual settings of an imported network: its good weights are to change little.
IMPORTED: dict[str, Any] = {
    "size": (322, 238),
    "loss": "trimmed",
    "optimizer": "adamw",
    "learning_rate": 1e-5,
}


@dataclass(frozen=True, kw_only=True)
class DepthSettings(RunSettings):
    """Settings of one training run of a depth network.

    Attributes:
        data: datasets: folders of shards or of frames with depth images.
        network: a name in ``own_depth.NETWORKS``.
        encoder: of "small": "lite0", "lite1" or "lite2".
        pretrained: whether the encoder of "small" begins with its published weights.
        size: width and height at which the network will be used.
        loss: a name in ``losses.LOSSES``.
        threads: parts of a batch that are computed in parallel on a CPU; 0 is one per core.
        start: initial weights, as written by depth-export, or the checkpoint folder of a network to
            import, which is then what is trained; None starts with random or published weights.
        real: real datasets, or folders of datasets, for validation only.
    """

    data: tuple[str, ...]
    size: tuple[int, int] = (320, 240)
    network: str = "small"
    encoder: str = "lite0"
    pretrained: bool = True
    loss: str = "normalised"
    optimizer: str = "muon"
    weight_decay: float = 0.02
    start: str | None = None
    real: tuple[str, ...] = ()
    look_every: int = 2000

    @property
    def imports(self) -> bool:
        """Whether an imported network is trained."""
        return self.start is not None and Path(self.start).is_dir()


def draw_size(size: tuple[int, int], progress: float, rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of one batch: ``grown_size``, in half of the batches with another aspect ratio."""
    return grown_size(size, progress, (1.0, 1.0, 1.0, 1.25, 0.8, 1.5)[int(rng.integers(6))])

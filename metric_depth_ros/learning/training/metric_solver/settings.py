"""Settings for training Metric-Solver, and random focuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.training.settings import RunSettings
from metric_depth_ros.near_far import FOCUSES
from metric_depth_ros.types import FloatArray

# The paper's settings (section 4.1); it states no batch size.
_PAPER: dict[str, Any] = {
    "size": (518, 518),
    "batch": 64,
    "steps": 205_000,
    "learning_rate": 5e-6,
    "average": 0.9999,
    "look_every": 5000,
    "grows": False,
    "canonical": False,
    "between": 0.0,
}
# Name for --config -> settings that differ from those for encoders of a robot's size.
CONFIGS: dict[str, dict[str, Any]] = {
    "lite0": {},
    "tiny": {},
    "small": _PAPER,
    "base": _PAPER,
    "large": _PAPER,
}


@dataclass(frozen=True, kw_only=True)
class MetricSolverSettings(RunSettings):
    """Settings of one training run of Metric-Solver.

    Attributes:
        data: datasets: folders of shards or of frames with depth images.
        encoder, focuses, heads, mask, canonical: of ``MetricSolverConfig``.
        between: fraction of the focuses drawn anywhere between the ends of the pool, ours; the others are of
            the pool, as all of the paper's.
        size: width and height of the images.
        grows: whether images grow to ``size`` during training: most is learnt at a fraction of the cost.
        batch: images per step, of all GPUs together.
        optimizer: "adamw" (the paper's) or "muon".
        threads: parts of a batch that are computed in parallel on a CPU; 0 is one per core.
        start: folder of a run to fine-tune.
        weights: initial weights without ``start``: for lite0 and tiny the file of depth-export, for the
            others a checkpoint folder (DINOv2 or Depth Anything V2). None starts with random weights.
    """

    data: tuple[str, ...]
    encoder: str = "lite0"
    focuses: tuple[float, ...] = FOCUSES
    heads: str = "two"
    mask: bool = True
    canonical: bool = True
    between: float = 0.5
    minutes: float | None = 40.0
    size: tuple[int, int] = (256, 192)
    grows: bool = True
    start: str | None = None
    weights: str | None = None


def settings_of(config: str, **told: Any) -> MetricSolverSettings:
    """Settings of a configuration, changed by the values of ``told`` that are not None.

    Raises:
        ConfigError: an unknown configuration.
    """
    if config not in CONFIGS:
        raise ConfigError(f"config: {config!r}; known are {', '.join(CONFIGS)}.")
    given = {name: value for name, value in told.items() if value is not None}
    if "minutes" in given:
        given["steps"] = given.get("steps")
    return MetricSolverSettings(**{"encoder": config, **CONFIGS[config], **given})


def draw_focus(
    focuses: Sequence[float], count: int, rng: np.random.Generator, between: float = 0.0
) -> FloatArray:
    """Random focuses (count,) in metres, each of the pool with the same probability (paper 004, section 3.2).

    Ours: a fraction ``between`` of them is log-uniform between the ends of the pool instead; they train the
    interpolation between embeddings.
    """
    nearest, farthest = math.log(min(focuses)), math.log(max(focuses))
    anywhere = np.exp(rng.uniform(nearest, farthest, count))
    focus: FloatArray = np.where(rng.random(count) < between, anywhere, rng.choice(focuses, count))
    return focus.astype(np.float32)

"""What a training of Metric-Solver is told, and the focuses it draws."""

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

# The paper's (section 4.1); it has no batch size.
_PAPER: dict[str, Any] = {
    "size": (518, 518),
    "batch": 64,
    "steps": 205_000,
    "learning_rate": 5e-6,
    "average": 0.9999,
    "look_every": 5000,
    "grows": False,
}
# What --config may name -> settings that differ from the tiny one's.
CONFIGS: dict[str, dict[str, Any]] = {"tiny": {}, "small": _PAPER, "base": _PAPER, "large": _PAPER}
# Of the focuses, so many are of the pool itself; the others lie anywhere between its ends.
_OF_POOL = 0.5


@dataclass(frozen=True, kw_only=True)
class MetricSolverSettings(RunSettings):
    """One run.

    Attributes:
        data: data sets: folders of shards or of frames with depth images.
        encoder, focuses, heads, mask: of ``MetricSolverConfig``.
        size: width and height of the pictures.
        grows: whether pictures grow to ``size`` on the way: most is learnt at a part of the cost.
        batch: pictures a step, of all GPUs together.
        optimizer: "adamw" (the paper's) or "muon".
        threads: parts of a batch that are computed side by side on a processor; 0 is one per core.
        device: "auto", "cpu" or "cuda".
        start: folder of a run to fine-tune.
        weights: to begin with otherwise: of the tiny encoder what depth-export wrote, of the others the
            folder of a checkpoint (DINOv2 or Depth Anything V2). None begins at random.
    """

    data: tuple[str, ...]
    encoder: str = "tiny"
    focuses: tuple[float, ...] = FOCUSES
    heads: str = "two"
    mask: bool = True
    minutes: float | None = 40.0
    size: tuple[int, int] = (256, 192)
    grows: bool = True
    device: str = "auto"
    start: str | None = None
    weights: str | None = None


def settings_of(config: str, **told: Any) -> MetricSolverSettings:
    """The settings of a configuration; of ``told``, what is not None differs from them.

    Raises:
        ConfigError: an unknown configuration.
    """
    if config not in CONFIGS:
        raise ConfigError(f"config: {config!r}; known are {', '.join(CONFIGS)}.")
    given = {name: value for name, value in told.items() if value is not None}
    if "minutes" in given:
        given["steps"] = given.get("steps")
    return MetricSolverSettings(**{"encoder": config, **CONFIGS[config], **given})


def draw_focus(focuses: Sequence[float], count: int, rng: np.random.Generator) -> FloatArray:
    """(count,) metres: half of them of the pool, the others between its ends, even in their logarithm.

    The paper draws of the pool alone; those between train the way from one embedding to the next.
    """
    nearest, farthest = math.log(min(focuses)), math.log(max(focuses))
    between = np.exp(rng.uniform(nearest, farthest, count))
    focus: FloatArray = np.where(rng.random(count) < _OF_POOL, rng.choice(focuses, count), between)
    return focus.astype(np.float32)

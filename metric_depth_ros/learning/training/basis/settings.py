"""Settings for training basis generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.training.basis.draw import MIXED, REGIME_NAMES
from metric_depth_ros.learning.training.checks import check_run
from metric_depth_ros.learning.training.settings import RunSettings

# What paper 001 states (section 4.1), or what follows from its silence: weights are used as they are, not
# averaged. It states no optimizer, learning rate, schedule, batch size or trunk; there ours remain.
PUBLISHED: dict[str, Any] = {"average": 0.0}
PUBLISHED_EPOCHS, PUBLISHED_TUNING_EPOCHS = 25.0, 5.0


def published_regime(maps: int) -> str:
    """Regime in which the paper trains K maps first: ``low`` for K = 8, ``medium`` for more."""
    return "low" if maps <= 8 else "medium"


@dataclass(frozen=True, kw_only=True)
class BasisSettings(RunSettings):
    """Settings of one training run of a basis generator.

    Attributes:
        cache: folder written by ``write_cache``.
        maps: K, the number of basis maps.
        blind: F = 0, the variant for networks without features.
        regime: "low", "medium", "high" (the paper's: exact anchors, only its solve and losses) or
            "mixed" (ours).
        start: folder of a run to fine-tune; None starts with random weights.
        gate_sum: whether the gate loss is summed over the pixels, as equation 27 is printed. The mean, ours,
            is what gives the paper's own statistics of the gates (docs/benchmarks/paper001.md).
    """

    cache: str
    maps: int = 8
    blind: bool = False
    regime: str = MIXED
    start: str | None = None
    gate_sum: bool = False
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    average: float = 0.99
    threads: int = 1
    look_every: int = 200


def check_settings(settings: BasisSettings, resume: bool) -> None:
    """Raises ConfigError for invalid settings, InputError for a folder that cannot be written."""
    if settings.regime not in REGIME_NAMES:
        raise ConfigError(f"regime: {settings.regime!r}; known are {', '.join(REGIME_NAMES)}.")
    for name, least in (("maps", 2), ("threads", 1)):
        if getattr(settings, name) < least:
            raise ConfigError(f"{name}: {getattr(settings, name)}; needed at least {least}.")
    check_run(settings, resume=resume)

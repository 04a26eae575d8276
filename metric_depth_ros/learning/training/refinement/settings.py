"""Settings for training the network of ``refined``."""

from __future__ import annotations

from dataclasses import dataclass

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.training.checks import check_run
from metric_depth_ros.learning.training.settings import RunSettings
from metric_depth_ros.solvers.refined.inputs import INPUTS


@dataclass(frozen=True, kw_only=True)
class RefinementSettings(RunSettings):
    """Settings of one training run of a refinement network.

    Attributes:
        examples: folder written by ``write_examples``.
        without: names of inputs that the network does not see, to learn what they are worth.
        start: file of refinement-export (NPZ) with the first weights; None: random ones.
    """

    examples: str
    without: tuple[str, ...] = ()
    start: str | None = None
    optimizer: str = "muon"
    average: float = 0.995
    threads: int = 1
    look_every: int = 500


def check_settings(settings: RefinementSettings, resume: bool) -> None:
    """Raises ConfigError for invalid settings, InputError for a folder that cannot be written."""
    if unknown := [name for name in settings.without if name not in INPUTS]:
        raise ConfigError(f"without: {', '.join(unknown)}; needed some of {', '.join(INPUTS)}.")
    check_run(settings, resume=resume)

"""Settings for training scale networks."""

from __future__ import annotations

from dataclasses import dataclass

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.models.named_encoders import ENCODERS
from metric_depth_ros.learning.models.scale_network import PLAIN
from metric_depth_ros.learning.training.checks import check_run
from metric_depth_ros.learning.training.settings import RunSettings


@dataclass(frozen=True, kw_only=True)
class ScaleSettings(RunSettings):
    """Settings of one training run of a scale network.

    The paper's: Adam at 1e-3, halved every 10 epochs, clipped gradients, validation every 5 epochs, no weight
    decay. Not stated there, so ours: epochs, batch, size, norm of the clipping, the running average.

    Attributes:
        targets: folder written by ``write_targets``.
        filtered: without factors outside the 5th to 95th percentile.
        encoder: of ``ScaleNetworkConfig``.
        size: width and height of the images.
        weights: file of depth-export with the encoder's initial weights; None: random.
        halved_every: epochs after which the learning rate is halved.
    """

    targets: str
    filtered: bool = True
    encoder: str = "lite0"
    size: tuple[int, int] = (192, 144)
    weights: str | None = None
    halved_every: float = 10.0
    batch: int = 32
    weight_decay: float = 0.0
    average: float = 0.99


def check_settings(settings: ScaleSettings, resume: bool) -> None:
    """Raises ConfigError for invalid settings, InputError for a folder that cannot be written."""
    known = (*ENCODERS, PLAIN)
    if settings.encoder not in known:
        raise ConfigError(f"encoder: {settings.encoder!r}; known are {', '.join(known)}.")
    if settings.encoder == PLAIN and settings.weights:
        raise ConfigError("weights: the plain encoder has none to begin with. Leave --weights out.")
    if min(settings.size) < 32:
        raise ConfigError(f"size: {settings.size[0]}x{settings.size[1]}; needed at least 32x32.")
    if not settings.halved_every > 0:
        raise ConfigError(f"halved_every: {settings.halved_every}; needed a positive number of epochs.")
    check_run(settings, resume=resume)

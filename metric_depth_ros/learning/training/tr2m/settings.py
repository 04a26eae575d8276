"""Settings for training TR2M."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.models.metric_solver import DINO, PATCH
from metric_depth_ros.learning.models.named_encoders import ENCODERS
from metric_depth_ros.learning.training.checks import check_run
from metric_depth_ros.learning.training.ranks import Rank
from metric_depth_ros.learning.training.settings import RunSettings
from metric_depth_ros.learning.training.tr2m.losses import CLASSES, SPACES

# The paper's settings (section 3.4).
PAPER: dict[str, Any] = {
    "encoder": "large",
    "size": (518, 518),
    "learning_rate": 1e-5,
    "frozen": 1.0,
}


@dataclass(frozen=True, kw_only=True)
class TR2MSettings(RunSettings):
    """Settings of one training run of TR2M.

    The paper's: AdamW, the learning rate times 0.9 every epoch, batches of 8, both encoders frozen. Ours for
    a robot's encoder: a higher learning rate, the running average of the weights.

    Attributes:
        examples: folder written by ``write_examples``.
        encoder, inputs, maps, per_pixel: of ``TR2MConfig``.
        weights: initial weights of the image encoder: the file of depth-export, for DINOv2 a checkpoint
            folder (DINOv2 or Depth Anything V2). None: random.
        size: width and height of the images.
        pseudo: whether pseudo metric depth is used (equation 6).
        pseudo_space: space in which it is fitted, see ``pseudo_depth``.
        contrast: whether scale-oriented contrast is used (equation 8).
        classes: of depth for contrast.
        momentum: fraction of the key branch's weights that one step keeps; not stated in the paper.
        neutral: share of the pictures for which the neutral sentence is read: none need be said then (ours).
        dropped: share of the tokens that are left out, so that no word alone counts (ours).
        decay: of the learning rate with each epoch.
    """

    examples: str
    encoder: str = "lite0"
    weights: str | None = None
    size: tuple[int, int] = (192, 144)
    inputs: str = "both"
    maps: str = "both"
    per_pixel: bool = True
    pseudo: bool = True
    pseudo_space: str = SPACES[0]
    contrast: bool = True
    classes: int = CLASSES
    momentum: float = 0.99
    neutral: float = 0.2
    dropped: float = 0.2
    decay: float = 0.9
    batch: int = 8
    frozen: float = 1.0
    average: float = 0.99


def check_settings(settings: TR2MSettings, rank: Rank, resume: bool) -> None:
    """Raises ConfigError for invalid settings, InputError for a folder that cannot be written."""
    known = (*ENCODERS, *DINO)
    if settings.encoder not in known:
        raise ConfigError(f"encoder: {settings.encoder!r}; known are {', '.join(known)}.")
    multiple = PATCH if settings.encoder in DINO else 16
    if min(settings.size) < 2 * multiple or any(side % multiple for side in settings.size):
        raise ConfigError(
            f"size: {settings.size[0]}x{settings.size[1]}; needed multiples of {multiple}, two or more."
        )
    if settings.pseudo_space not in SPACES:
        raise ConfigError(f"pseudo_space: {settings.pseudo_space!r}; known are {', '.join(SPACES)}.")
    if settings.classes < 1:
        raise ConfigError(f"classes: {settings.classes}; needed at least 1.")
    for name in ("momentum", "neutral", "dropped", "decay"):
        if not 0 <= getattr(settings, name) <= 1:
            raise ConfigError(f"{name}: {getattr(settings, name)}; needed 0 to 1.")
    if settings.contrast and settings.batch < 2 * rank.count:
        raise ConfigError(
            f"batch: {settings.batch}; needed 2 for each process, as contrast compares pictures."
        )
    if settings.batch % rank.count:
        raise ConfigError(f"batch: {settings.batch}; needed a multiple of the {rank.count} processes.")
    if rank.count > 1 and settings.steps is None:
        raise ConfigError("minutes: several processes must stop at one step; needed steps or epochs.")
    check_run(settings, resume=resume)

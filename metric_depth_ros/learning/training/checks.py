"""Checks before a training run; their errors name the setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.settings import RunSettings


def check_run(settings: RunSettings, *, resume: bool) -> None:
    """Checks the settings common to all runs, and makes the run's folder.

    Raises:
        ConfigError: a setting is invalid.
        InputError: the folder cannot be made, or holds another run.
    """
    choose_device(settings.device)
    if settings.optimizer not in ("muon", "adamw"):
        raise ConfigError(f"optimizer: {settings.optimizer!r}; known are muon, adamw.")
    for name, least in (("batch", 1), ("seed", 0), ("threads", 0), ("look_every", 1)):
        if getattr(settings, name) < least:
            raise ConfigError(f"{name}: {getattr(settings, name)}; needed at least {least}.")
    for name in ("frozen", "encoder_rate"):
        if not 0 <= getattr(settings, name) <= 1:
            raise ConfigError(f"{name}: {getattr(settings, name)}; needed 0 to 1.")
    if not 0 < settings.learning_rate < float("inf"):
        raise ConfigError(f"learning_rate: {settings.learning_rate}; needed a positive number.")
    if settings.steps is not None and settings.steps < 1:
        raise ConfigError(f"steps: {settings.steps}; needed at least 1.")
    if settings.steps is None and not (settings.minutes or 0) > 0:
        raise ConfigError(f"minutes: {settings.minutes}; needed a positive number, or steps.")
    _check_folder(settings.out, resume=resume)


def _check_folder(out: str, *, resume: bool) -> None:
    """Makes the folder of a run. Raises InputError if that fails, or if it holds another run."""
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}; needed a folder to write to.") from error
    if not resume and (Path(out) / checkpoint.FILE).exists():
        raise InputError(f"{out}: holds a run already. Resume it, or choose another folder.")


def check_same(settings: Any, before: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raises ConfigError if a run is resumed with different values of these settings."""
    for name in names:
        now, then = getattr(settings, name), before.get(name)
        if now != (tuple(then) if isinstance(then, list) else then):
            raise ConfigError(
                f"{name}: {now!r}; the run that is resumed has {then!r}. Keep it, or begin anew."
            )


def choose_device(name: str) -> str:
    """Device to use, "cpu" or "cuda". Raises ConfigError if it is not available."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"device: {name!r}; needed auto, cpu, or cuda where there is one.")
    return name

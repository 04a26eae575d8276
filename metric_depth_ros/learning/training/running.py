"""What every training run does alike: its checks, its optimizer, its steps, what is averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.muon import Muon
from metric_depth_ros.learning.training.settings import Budget


def check_budget(settings: Budget) -> None:
    """Raises ConfigError for a budget that is none."""
    if settings.steps is not None and settings.steps < 1:
        raise ConfigError(f"steps: {settings.steps}; needed at least 1.")
    if settings.steps is None and not (settings.minutes or 0) > 0:
        raise ConfigError(f"minutes: {settings.minutes}; needed a positive number, or steps.")


def check_folder(out: str, *, resume: bool) -> None:
    """Makes the folder of a run. Raises InputError when it cannot be, or holds another run."""
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}; needed a folder to write to.") from error
    if not resume and (Path(out) / checkpoint.FILE).exists():
        raise InputError(f"{out}: holds a run already. Resume it, or choose another folder.")


def check_same(settings: Any, before: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raises ConfigError for a run that is resumed with settings it cannot go on with."""
    for name in names:
        now, then = getattr(settings, name), before.get(name)
        if now != (tuple(then) if isinstance(then, list) else then):
            raise ConfigError(
                f"{name}: {now!r}; the run that is resumed has {then!r}. Keep it, or begin anew."
            )


def check_optimizer(name: str) -> None:
    """Raises ConfigError for one that is not known."""
    if name not in ("muon", "adamw"):
        raise ConfigError(f"optimizer: {name!r}; known are muon, adamw.")


def choose_device(name: str) -> str:
    """The name of what is there: cpu or cuda. Raises ConfigError for what is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"device: {name!r}; needed auto, cpu, or cuda where there is one.")
    return name


class Descent(Protocol):
    """How a run goes down: which optimizer, how far a step goes at most, how weights decay."""

    @property
    def optimizer(self) -> str: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...


def build_optimizer(network: torch.nn.Module, settings: Descent, threads: int) -> torch.optim.Optimizer:
    """Muon on so many threads, or AdamW."""
    if settings.optimizer == "muon":
        groups = _decaying_groups(network, settings.weight_decay)
        return Muon(groups, lr=settings.learning_rate, threads=threads)
    return build_adamw(network, settings.learning_rate, settings.weight_decay)


def build_adamw(network: torch.nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW, for a network's weights with decay and its biases and norms without."""
    groups = _decaying_groups(network, weight_decay)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), foreach=True)


def descend(
    network: torch.nn.Module, optimizer: torch.optim.Optimizer, learning_rate: float, clip: float
) -> None:
    """One step along the gradients, cut at a norm of ``clip``; none where they are not finite."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
    if torch.isfinite(norm):
        optimizer.step()


def _decaying_groups(network: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """An optimizer's groups: weights decay, biases and norms do not."""
    flat = [p for p in network.parameters() if p.ndim < 2]
    deep = [p for p in network.parameters() if p.ndim >= 2]
    return [{"params": deep, "weight_decay": weight_decay}, {"params": flat, "weight_decay": 0.0}]


def keep_average(average: torch.nn.Module, network: torch.nn.Module, step: int, most: float) -> None:
    """Draws the running average to the network; ``most`` of it is kept, of a young one less."""
    kept = min(most, (1 + step) / (10 + step))
    pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
    floats = [(a, b) for a, b in pairs if a.is_floating_point()]
    with torch.no_grad():
        torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - kept)

"""Optimizer, gradient steps, and the running average of the weights."""

from __future__ import annotations

from typing import Any

import torch

from metric_depth_ros.learning.training.muon import Muon
from metric_depth_ros.learning.training.settings import RunSettings


def build_optimizer(
    network: torch.nn.Module,
    settings: RunSettings,
    threads: int,
    *,
    pretrained: torch.nn.Module | None = None,
    share: float = 1.0,
) -> torch.optim.Optimizer:
    """Muon on ``threads`` threads, or AdamW; with weight decay except for biases and norms.

    ``pretrained``, a part of the network, is trained by Adam at a ``share`` of the learning rate, without
    decay: its weights are good, and are to change little.
    """
    gentle = [] if pretrained is None else list(pretrained.parameters())
    known = {id(p) for p in gentle}
    flat = [p for p in network.parameters() if p.ndim < 2 and id(p) not in known]
    deep = [p for p in network.parameters() if p.ndim >= 2 and id(p) not in known]
    groups: list[dict[str, Any]] = [
        {"params": deep, "weight_decay": settings.weight_decay},
        {"params": flat, "weight_decay": 0.0},
    ]
    if gentle:
        groups.append({"params": gentle, "weight_decay": 0.0, "share": share, "orthogonal": False})
    if settings.optimizer == "muon":
        return Muon(groups, lr=settings.learning_rate, threads=threads)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), foreach=True)


def descend(
    network: torch.nn.Module, optimizer: torch.optim.Optimizer, learning_rate: float, clip: float
) -> None:
    """One optimizer step with gradients clipped to the norm ``clip``; no step if they are not finite."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("share", 1.0)
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
    if torch.isfinite(norm):
        optimizer.step()


def keep_average(average: torch.nn.Module, network: torch.nn.Module, step: int, most: float) -> None:
    """Updates the running average of the weights; a step keeps up to ``most`` of it, less at the start."""
    kept = min(most, (1 + step) / (10 + step))
    pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
    floats = [(a, b) for a, b in pairs if a.is_floating_point()]
    with torch.no_grad():
        torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - kept)

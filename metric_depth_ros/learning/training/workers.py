"""Computes loss and gradient of a batch in parallel parts.

On a CPU one thread per part and core is faster than all cores on every operator: the threads synchronise
once per step. On a GPU there is one part.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.learning.models.encoder import MEAN, STD
from metric_depth_ros.learning.training.ranks import Rank, divided_among
from metric_depth_ros.types import ImageArray


class HasImage(Protocol):
    """Part of a batch: image (B, H, W, 3) uint8 RGB, and whatever else the objective needs."""

    @property
    def image(self) -> ImageArray: ...


Part = TypeVar("Part", bound=HasImage)


class Workers(Generic[Part]):
    """Copies of a network that share its parameters and have their own buffers (batch statistics)."""

    def __init__(
        self,
        network: nn.Module,
        objective: Callable[[nn.Module, Part], Tensor],
        parts: int,
        rank: Rank = Rank(),  # noqa: B008 -- frozen
    ) -> None:
        """``objective``: mean loss of a network on a part of a batch, of this rank."""
        self._network, self._objective, self._parts, self._rank = network, objective, parts, rank
        self._pool = ThreadPoolExecutor(parts, thread_name_prefix="part") if parts > 1 else None
        self.renew()

    def renew(self) -> None:
        """Takes note of which parameters are trained; to be called when that has changed."""
        network = divided_among(self._network, self._rank)
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._networks = [network, *(_twin(network) for _ in range(self._parts - 1))]

    def backward(self, parts: Sequence[Part]) -> float:
        """Sets the gradient of every parameter to the mean over the batch; returns the loss."""
        total = sum(len(part.image) for part in parts)
        if self._pool is None:
            return self._backward(parts[0])
        results = list(self._pool.map(self._gradient, self._networks, parts))
        sums: list[Tensor] | None = None
        for part, (_, gradients) in zip(parts, results, strict=True):
            scaled = torch._foreach_mul(gradients, len(part.image) / total)
            sums = scaled if sums is None else torch._foreach_add(sums, scaled)
        for parameter, gradient in zip(self._parameters, sums or [], strict=True):
            parameter.grad = gradient
        return sum(loss * len(part.image) / total for part, (loss, _) in zip(parts, results, strict=True))

    def close(self) -> None:
        """Stops the threads and drops the networks, which hold the connection of the ranks."""
        if self._pool is not None:
            self._pool.shutdown()
        self._networks.clear()

    def _backward(self, batch: Part) -> float:
        # Through the network's own hooks, where several GPUs average their gradients.
        self._networks[0].zero_grad(set_to_none=True)
        loss = self._objective(self._networks[0], batch)
        loss.backward()
        return float(loss.detach())

    def _gradient(self, network: nn.Module, batch: Part) -> tuple[float, list[Tensor]]:
        loss = self._objective(network, batch)
        gradients = torch.autograd.grad(loss, self._parameters)
        return float(loss.detach()), list(gradients)


def settle_threads(device: str, rank: Rank, threads: int, most: int) -> int:
    """Sets the threads of torch and OpenCV, and returns in how many parts a batch is computed.

    On a CPU and without other processes these are ``threads`` (0: one per core), up to ``most``; else one.
    """
    parts = 1
    if device == "cpu":
        if rank.count == 1:
            parts = max(1, min(threads or os.cpu_count() or 1, most))
        torch.set_num_threads(1 if parts > 1 else threads or 1)
        torch.set_flush_denormal(True)
    cv2.setNumThreads(1)
    return parts


def normalised(image: ImageArray, device: Any) -> Tensor:
    """Normalised images (B, 3, H, W) float32, channels last in memory, from (B, H, W, 3) uint8 RGB."""
    pixels = (
        torch.from_numpy(np.ascontiguousarray(image))
        .to(device, non_blocking=True)
        .permute(0, 3, 1, 2)
        .float()
    )
    mean, std = (255 * torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (pixels - mean) / std


def _twin(network: nn.Module) -> nn.Module:
    """Copy of a network that shares its parameters and has its own buffers."""
    twin = copy.deepcopy(network)
    for module, original in zip(twin.modules(), network.modules(), strict=True):
        module._parameters.update(original._parameters)
    return twin

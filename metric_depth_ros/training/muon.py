"""Muon (Jordan et al. 2024): momentum whose matrices are made orthogonal before each step.

A convolution's weight (out, in, h, w) is a matrix of ``out`` rows. Every direction of a layer is learnt at
the same pace, which a small network that sees few steps gains from. Vectors are left to AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# Of the quintic iteration of the paper: it need not converge, singular values near 1 are enough.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """For parameters of two dimensions or more."""

    def __init__(
        self, params: Iterable[Any], *, lr: float = 0.01, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        """``lr``: an update's root mean square is 0.2 of it, that of Adam, so that both may share one."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Moves every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    rows = parameter.shape[0]
                    by_shape.setdefault((rows, parameter.numel() // rows), []).append(parameter)
            for shape, parameters in by_shape.items():
                self._move(parameters, shape, group)

    def _move(self, parameters: list[Tensor], shape: tuple[int, int], group: dict[str, Any]) -> None:
        updates = []
        for parameter in parameters:
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
            ahead = parameter.grad.lerp(state["momentum"], group["momentum"])
            updates.append(ahead.reshape(shape))
        straight = orthogonal(torch.stack(updates)) * (0.2 * max(shape) ** 0.5)
        for parameter, update in zip(parameters, straight, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update.view(parameter.shape), alpha=-group["lr"])


def orthogonal(matrices: Tensor) -> Tensor:
    """(N, rows, columns): each matrix with its singular values brought to about 1 (0.7 to 1.2)."""
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(_ITERATIONS):
        a = x @ x.mT
        x = _A * x + (_B * a + _C * a @ a) @ x
    return x.mT if tall else x

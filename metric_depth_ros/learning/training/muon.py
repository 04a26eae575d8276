"""Muon optimizer (Jordan et al. 2024): momentum with orthogonalised update matrices.

A convolution's weight (out, in, h, w) is a matrix of ``out`` rows. All directions of a layer are learnt at
the same rate, which helps small networks trained for few steps. Vectors (biases, norms) and single rows
use Adam, in the same optimizer.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

# Coefficients of the paper's quintic iteration: it need not converge, singular values near 1 are enough.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
_MOMENTUM = 0.95
_ADAM = (0.9, 0.98, 1e-8)


class Muon(torch.optim.Optimizer):  # type: ignore[misc]  # torch carries no types here
    """Muon for matrices, with weight decay, and Adam for the rest.

    A group's ``lr`` is that of Adam. The root mean square of a matrix's update is ``gain`` x 0.2 x ``lr``;
    with gain 1 that is about the size of Adam's update. A group with ``orthogonal`` False has Adam for all.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 1e-3,
        gain: float = 5.0,
        weight_decay: float = 0.0,
        threads: int = 1,
    ) -> None:
        """Parameters as for any torch optimizer; all matrices of one shape are updated by one thread."""
        super().__init__(params, {"lr": lr, "gain": gain, "weight_decay": weight_decay})
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="muon") if threads > 1 else None

    def step(self, closure: None = None) -> None:
        """Updates every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                rows = parameter.shape[0] if parameter.ndim > 1 else 1
                if rows > 1 and group.get("orthogonal", True):
                    by_shape.setdefault((rows, parameter.numel() // rows), []).append(parameter)
                else:
                    self._move_by_adam(parameter, group["lr"])
            largest_first = sorted(by_shape, key=lambda s: -len(by_shape[s]) * min(s) ** 2 * max(s))
            jobs = [(by_shape[shape], shape, group) for shape in largest_first]
            # list: waits for all, and raises what one raised.
            list(self._pool.map(self._move_together, jobs) if self._pool else map(self._move_together, jobs))

    def close(self) -> None:
        """Stops the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _move_together(self, job: tuple[list[Tensor], tuple[int, int], dict[str, Any]]) -> None:
        """Updates the matrices of one shape together."""
        parameters, shape, group = job
        rate = group["lr"] * group["gain"]
        with torch.no_grad():
            updates = []
            for parameter in parameters:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - _MOMENTUM)
                updates.append(parameter.grad.lerp(state["momentum"], _MOMENTUM).reshape(shape))
            straight = orthogonal(torch.stack(updates)) * (0.2 * rate * max(shape) ** 0.5)
            for parameter, update in zip(parameters, straight, strict=True):
                parameter.mul_(1 - rate * group["weight_decay"]).sub_(update.view(parameter.shape))

    def _move_by_adam(self, parameter: Tensor, rate: float) -> None:
        state = self.state[parameter]
        first, second, epsilon = _ADAM
        with torch.no_grad():
            if not state:
                state["step"] = 0
                state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            state["step"] += 1
            state["mean"].lerp_(parameter.grad, 1 - first)
            state["square"].mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
            mean = state["mean"] / (1 - first ** state["step"])
            deviation = (state["square"] / (1 - second ** state["step"])).sqrt() + epsilon
            parameter.addcdiv_(mean, deviation, value=-rate)


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices (N, rows, columns) float32 with singular values changed to about 1 (0.7 to 1.2)."""
    # bfloat16 is precise enough for a direction, and twice as fast.
    x = (matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)).bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(_ITERATIONS):
        a = x @ x.mT
        x = _A * x + (_B * a + _C * a @ a) @ x
    return (x.mT if tall else x).float()

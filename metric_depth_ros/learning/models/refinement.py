"""Network of the solver ``refined``: what a fit saw and said in, a correction and a new sigma out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from metric_depth_ros.learning.models.layers import start
from metric_depth_ros.learning.models.pyramid import PyramidDecoder
from metric_depth_ros.learning.models.tiny_depth import TinyDepthConfig, TinyEncoder
from metric_depth_ros.solvers.refined.inputs import (
    CHANNELS,
    INPUTS,
    LOG_DEPTH,
    LOG_SIGMA,
    SIGMA_MIDDLE,
    SIGMA_UNIT,
)

# Most change in sigmas of the fit, and most change of the log of sigma.
MOST_SIGMAS, MOST_CHANGE = 3.0, 2.0
# Neighbours (down, right) in pixels of the input whose depth a pixel may take over: so far are edges off.
NEIGHBOURS = (
    (-2, 0), (2, 0), (0, -2), (0, 2),
    (-3, -3), (-3, 3), (3, -3), (3, 3),
    (-6, 0), (6, 0), (0, -6), (0, 6),
)  # fmt: skip
_REACH = max(abs(step) for pair in NEIGHBOURS for step in pair)


@dataclass(frozen=True)
class RefinementConfig(TinyDepthConfig):
    """Sizes of a ``Refinement``: those of a tiny depth network, with another input.

    Attributes:
        without: names of inputs that the layers do not see, to learn what they are worth.
    """

    widths: tuple[int, ...] = (32, 44, 64, 104, 128)
    blocks: tuple[int, ...] = (2, 2, 2, 1)
    context: int = 1
    pyramid: int = 64
    head: int = 32
    output: str = "linear"
    inputs: int = CHANNELS
    without: tuple[str, ...] = ()


class Refinement(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes (B, 2, H, W) from (B, CHANNELS, H, W), H and W even: corrections of log depth and log sigma.

    A pixel's log depth moves towards that of its neighbours, never beyond the nearest and farthest of them,
    and by at most 3 sigmas of the fit besides. A new network changes nothing.
    """

    def __init__(self, config: RefinementConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or RefinementConfig()
        seen = torch.ones(1, c.inputs, 1, 1)
        seen[:, [channel for name in c.without for channel in INPUTS[name]]] = 0
        self.register_buffer("seen", seen if c.without else None, persistent=False)
        self.encoder = TinyEncoder(c)
        # Four pixels of the input's size for each of the decoder's.
        self.decoder = PyramidDecoder(self.encoder.channels, c, outputs=4 * (2 + len(NEIGHBOURS)))
        start(self.encoder)
        self.decoder.start()
        nn.init.zeros_(self.decoder.head[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        """Correction and change of log sigma."""
        seen = x if self.seen is None else x * self.seen
        # Of each map the four pixels that a pixel of the decoder's stands for, as _quarters gives them.
        own, change, weights = self.decoder(self.encoder(seen)).split((4, 4, 4 * len(NEIGHBOURS)), 1)
        sigma = _quarters((x[:, LOG_SIGMA, None] * SIGMA_UNIT + SIGMA_MIDDLE).exp())
        correction = MOST_SIGMAS * torch.tanh(own / MOST_SIGMAS) * sigma
        correction = correction + _towards_neighbours(x[:, LOG_DEPTH, None], weights)
        change = MOST_CHANGE * torch.tanh(change / MOST_CHANGE)
        return functional.pixel_shuffle(torch.cat([correction, change], 1), 2)


def _quarters(x: Tensor) -> Tensor:
    """The pixels (B, 4, H / 2, W / 2) of a map (B, 1, H, W) at even and odd rows and columns."""
    return functional.pixel_unshuffle(x, 2)


def _towards_neighbours(log_depth: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of the differences from the neighbours, within the differences.

    Of log depth (B, 1, H, W) and weights in quarters (B, 4 N, H / 2, W / 2), in quarters (B, 4, H / 2,
    W / 2): so no map of all weights at all pixels is made, which takes a CPU longer than the sum.
    """
    height, width = weights.shape[2:]
    padded = _quarters(functional.pad(log_depth, (_REACH,) * 4, mode="replicate"))

    def at(down: int, right: int) -> Tensor:
        """Quarters of the map that is so many pixels off."""
        parts = []
        for row in (_REACH + down, _REACH + down + 1):
            for column in (_REACH + right, _REACH + right + 1):
                part = padded[:, 2 * (row % 2) + column % 2]
                parts.append(part[:, row // 2 : row // 2 + height, column // 2 : column // 2 + width])
        return torch.stack(parts, 1)

    near = torch.stack([at(*step) for step in NEIGHBOURS], 1)
    differences = near - at(0, 0)[:, None]
    total = (weights.unflatten(1, differences.shape[1:3]) * differences).sum(1)
    low, high = differences.amin(1).clamp(max=0), differences.amax(1).clamp(min=0)
    return torch.minimum(torch.maximum(total, low), high)

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
    last: int = 1
    output: str = "linear"
    inputs: int = CHANNELS
    without: tuple[str, ...] = ()


class Refinement(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes (B, 2, H, W) from (B, CHANNELS, H, W): correction of log depth, change of log sigma.

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
        raw = functional.pixel_shuffle(self.decoder(self.encoder(seen)), 2)
        sigma = (x[:, LOG_SIGMA, None] * SIGMA_UNIT + SIGMA_MIDDLE).exp()
        own = MOST_SIGMAS * torch.tanh(raw[:, :1] / MOST_SIGMAS) * sigma
        change = MOST_CHANGE * torch.tanh(raw[:, 1:2] / MOST_CHANGE)
        return torch.cat([_towards_neighbours(x[:, LOG_DEPTH, None], raw[:, 2:]) + own, change], 1)


def _towards_neighbours(log_depth: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of the differences from the neighbours (B, 1, H, W), within the differences."""
    height, width = log_depth.shape[2:]
    padded = functional.pad(log_depth, (_REACH,) * 4, mode="replicate")
    differences = torch.cat(
        [
            padded[:, :, _REACH + down : _REACH + down + height, _REACH + right : _REACH + right + width]
            - log_depth
            for down, right in NEIGHBOURS
        ],
        1,
    )
    total = (weights * differences).sum(1, keepdim=True)
    low = differences.amin(1, keepdim=True).clamp(max=0)
    return torch.minimum(torch.maximum(total, low), differences.amax(1, keepdim=True).clamp(min=0))

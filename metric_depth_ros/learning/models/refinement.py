"""Network of the solver ``refined``: what a fit saw and said in, a correction and a new sigma out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metric_depth_ros.learning.models.layers import start
from metric_depth_ros.learning.models.pyramid import PyramidDecoder
from metric_depth_ros.learning.models.tiny_depth import TinyDepthConfig, TinyEncoder
from metric_depth_ros.solvers.refined.inputs import CHANNELS

# Most correction in sigmas of the fit, and most change of the log of sigma.
MOST_SIGMAS, MOST_CHANGE = 3.0, 2.0


@dataclass(frozen=True)
class RefinementConfig(TinyDepthConfig):
    """Sizes of a ``Refinement``: those of a tiny depth network, with another input."""

    widths: tuple[int, ...] = (16, 32, 48, 80, 96)
    context: int = 2
    pyramid: int = 48
    output: str = "linear"
    inputs: int = CHANNELS


class Refinement(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes (B, 2, H/2, W/2) from (B, CHANNELS, H, W): correction in sigmas, change of log sigma.

    Both are bounded, so that the fit's sigma is a gate, and start at zero: the fit itself.
    """

    def __init__(self, config: RefinementConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or RefinementConfig()
        self.encoder = TinyEncoder(c)
        self.decoder = PyramidDecoder(self.encoder.channels, c, outputs=2)
        start(self.encoder)
        self.decoder.start()
        nn.init.zeros_(self.decoder.head[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        """Correction and change of log sigma."""
        raw = self.decoder(self.encoder(x))
        most = raw.new_tensor([MOST_SIGMAS, MOST_CHANGE]).view(1, 2, 1, 1)
        return most * torch.tanh(raw / most)

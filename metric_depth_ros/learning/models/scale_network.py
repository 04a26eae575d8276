"""Network that estimates the scale of a picture (paper 002): an encoder, convolutions, linear layers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from metric_depth_ros.learning.models.encoder import Encoder
from metric_depth_ros.learning.models.layers import convolution, start
from metric_depth_ros.learning.models.named_encoders import build_encoder

PLAIN = "plain"


@dataclass(frozen=True)
class ScaleNetworkConfig:
    """Architecture settings of a ``ScaleNetwork``.

    Attributes:
        encoder: "lite0" to "lite2" or "tiny", those of the depth networks (ours), or "plain": convolutions
            alone, as in the paper.
        width: channels of the layers behind it; not stated in the paper.
        canonical: whether the scale is that of a camera with a ``relative_focal`` of 1 (ours).
    """

    encoder: str = "lite0"
    width: int = 128
    canonical: bool = True


class PlainEncoder(Encoder):
    """Five convolutions, each of which halves the picture; the paper gives no numbers."""

    channels, strides = (16, 32, 64, 96, 128), (2, 4, 8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        widths = pairwise((3, *self.channels))
        self.stages = nn.ModuleList(convolution(before, after, stride=2) for before, after in widths)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps (B, channels, h, w), the largest first."""
        maps = []
        for stage in self.stages:
            image = stage(image)
            maps.append(image)
        return maps


class ScaleNetwork(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Estimates the logarithm of the factor that makes a picture's relative depth metric."""

    def __init__(self, config: ScaleNetworkConfig | None = None) -> None:
        """Raises ConfigError for an unknown encoder."""
        super().__init__()
        self.config = c = config or ScaleNetworkConfig()
        self.encoder = PlainEncoder() if c.encoder == PLAIN else build_encoder(c.encoder)
        self.convolutions = nn.Sequential(
            convolution(self.encoder.channels[-1], c.width), convolution(c.width, c.width)
        )
        self.layers = nn.Sequential(
            nn.Linear(2 * c.width, c.width), nn.ReLU(inplace=True), nn.Linear(c.width, 1)
        )
        start(self)

    def forward(self, image: Tensor) -> Tensor:
        """Log factor (B,) of normalised images (B, 3, H, W)."""
        maps = self.convolutions(self.encoder(image)[-1])
        # What there is on average, and whether it is anywhere.
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        return self.layers(pooled)[:, 0]

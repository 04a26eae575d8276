"""Small residual network with a pyramid decoder: image to relative inverse depth and features.

All convolutions are dense 3x3: on a CPU they train and run faster than depthwise ones of the same
accuracy. Most parameters are at 1/16 and 1/32 of the size, where they cost little and attention sees the
whole image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metric_depth_ros.learning.models.encoder import MEAN as MEAN  # re-exported as this network's
from metric_depth_ros.learning.models.encoder import STD as STD
from metric_depth_ros.learning.models.encoder import Encoder
from metric_depth_ros.learning.models.layers import Attention, Residual, convolution, coordinates
from metric_depth_ros.learning.models.pyramid import PyramidConfig, PyramidDepth


@dataclass(frozen=True)
class TinyDepthConfig(PyramidConfig):
    """Sizes of a ``TinyDepth``.

    Attributes:
        widths: channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's size.
        blocks: residual blocks at 1/4, 1/8, 1/16 and 1/32.
        context: attention blocks at 1/32.
        coordinates: whether pixel coordinates are an input of the first convolution.
        inputs: channels of the input beside them.
    """

    widths: tuple[int, ...] = (16, 32, 64, 112, 128)
    blocks: tuple[int, ...] = (1, 2, 2, 0)
    context: int = 3
    coordinates: bool = True
    inputs: int = 3


class TinyEncoder(Encoder):
    """Computes five feature maps, at 1/2 to 1/32 of the image size, the last one with attention."""

    strides = (2, 4, 8, 16, 32)

    def __init__(self, config: TinyDepthConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or TinyDepthConfig()
        self.channels = w = c.widths
        self.stem = convolution(c.inputs + 2 * c.coordinates, w[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(convolution(w[i], w[i + 1], stride=2), *(Residual(w[i + 1]) for _ in range(blocks)))
            for i, blocks in enumerate(c.blocks)
        )
        self.place = nn.Conv2d(2, w[4], 1)
        self.context = nn.Sequential(*(Attention(w[4]) for _ in range(c.context)))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps (B, widths, h, w), the largest first."""
        levels = [self.stem(torch.cat([image, coordinates(image)], 1) if self.config.coordinates else image)]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        levels[-1] = self.context(levels[-1] + self.place(coordinates(levels[-1])))
        return levels


class TinyDepth(PyramidDepth):
    """Depth network with a ``TinyEncoder``."""

    def __init__(self, config: TinyDepthConfig | None = None) -> None:
        encoder = TinyEncoder(config)
        super().__init__(encoder, encoder.config)

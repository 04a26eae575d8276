"""Depth network with an encoder trained on photographs: EfficientNet-Lite, attention, pyramid decoder."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from metric_depth_ros.learning.models.efficientnet_lite import EfficientNetLite, load_published
from metric_depth_ros.learning.models.encoder import Encoder
from metric_depth_ros.learning.models.layers import Attention, coordinates
from metric_depth_ros.learning.models.pyramid import PyramidConfig, PyramidDepth


@dataclass(frozen=True)
class SmallDepthConfig(PyramidConfig):
    """Sizes of a ``SmallDepth``.

    Attributes:
        encoder: "lite0", "lite1" or "lite2".
        context: attention blocks at 1/32.
    """

    encoder: str = "lite0"
    context: int = 2


class SmallEncoder(Encoder):
    """Computes the maps of an EfficientNet-Lite, the last one with attention.

    ``backbone`` is the part with published weights: freeze only this part, since attention must be trained.
    """

    def __init__(self, name: str = "lite0", context: int = 2) -> None:
        super().__init__()
        self.backbone = EfficientNetLite(name)
        self.channels, self.strides = self.backbone.channels, self.backbone.strides
        self.place = nn.Conv2d(2, self.channels[-1], 1)
        self.context = nn.Sequential(*(Attention(self.channels[-1]) for _ in range(context)))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps (B, channels, h, w), the largest first."""
        *levels, last = self.backbone(image)
        return [*levels, self.context(last + self.place(coordinates(last)))]


class SmallDepth(PyramidDepth):
    """Depth network with a ``SmallEncoder``."""

    def __init__(self, config: SmallDepthConfig | None = None, *, pretrained: bool = False) -> None:
        """``pretrained``: whether to load the encoder's published weights, see ``load_published``."""
        c = config or SmallDepthConfig()
        super().__init__(SmallEncoder(c.encoder, c.context), c)
        if pretrained:
            load_published(self.encoder.backbone)

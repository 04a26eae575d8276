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
        width: channels of these blocks, and of the last map.
    """

    encoder: str = "lite0"
    context: int = 3
    width: int = 128


class SmallEncoder(Encoder):
    """Computes the maps of an EfficientNet-Lite, the last one narrowed and with attention.

    ``backbone`` is the part with published weights: freeze only this part, since attention must be trained.
    """

    def __init__(self, name: str = "lite0", context: int = 3, width: int = 128) -> None:
        super().__init__()
        self.backbone = EfficientNetLite(name)
        *levels, last = self.backbone.channels
        self.channels, self.strides = (*levels, width), self.backbone.strides
        self.narrow = nn.Conv2d(last, width, 1)
        self.place = nn.Conv2d(2, width, 1)
        self.context = nn.Sequential(*(Attention(width) for _ in range(context)))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps (B, channels, h, w), the largest first."""
        *levels, last = self.backbone(image)
        return [*levels, self.context(self.narrow(last) + self.place(coordinates(last)))]


class SmallDepth(PyramidDepth):
    """Depth network with a ``SmallEncoder``."""

    def __init__(self, config: SmallDepthConfig | None = None, *, pretrained: bool = False) -> None:
        """``pretrained``: whether to load the encoder's published weights, see ``load_published``."""
        c = config or SmallDepthConfig()
        super().__init__(SmallEncoder(c.encoder, c.context, c.width), c)
        if pretrained:
            load_published(self.encoder.backbone)

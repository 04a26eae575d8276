"""A small residual network with a pyramid decoder: image to relative inverse depth and features.

Dense 3x3 convolutions throughout: on a processor they train and run faster than depthwise ones of
the same accuracy. Most of the parameters sit at 1/16 and 1/32 of the size, where they cost little and
attention sees the whole picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# What an image is normalised with: (pixel / 255 - MEAN) / STD.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# Bound of the logarithm of the output.
_LOG_LIMIT = 12.0


@dataclass(frozen=True)
class TinyDepthConfig:
    """The sizes of a ``TinyDepth``.

    Attributes:
        widths: channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's size.
        blocks: residual blocks at 1/4, 1/8, 1/16 and 1/32.
        context: attention blocks at 1/32.
        pyramid: channels of the decoder at 1/32, 1/16 and 1/8.
        features: channels of the feature map at 1/4.
        head: channels at 1/2, before the output.
        coordinates: whether the first convolution is told where a pixel is.
        output: "log": the network predicts the logarithm of inverse depth, so that the output is
            positive and known up to a factor. "linear": of either sign, known up to a factor and an
            offset.
    """

    widths: tuple[int, ...] = (16, 32, 64, 112, 128)
    blocks: tuple[int, ...] = (1, 2, 2, 0)
    context: int = 3
    pyramid: int = 64
    features: int = 32
    head: int = 16
    coordinates: bool = True
    output: str = "log"


class TinyEncoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Five feature maps, from 1/2 to 1/32 of the size, of normalised images (B, 3, H, W)."""

    def __init__(self, config: TinyDepthConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or TinyDepthConfig()
        w = c.widths
        self.stem = convolution(3 + 2 * c.coordinates, w[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(convolution(w[i], w[i + 1], stride=2), *(Residual(w[i + 1]) for _ in range(blocks)))
            for i, blocks in enumerate(c.blocks)
        )
        self.place = nn.Conv2d(2, w[4], 1)
        self.context = nn.Sequential(*(Attention(w[4]) for _ in range(c.context)))

    def encode(self, image: Tensor) -> list[Tensor]:
        """(B, widths, h, w) each, the largest first."""
        levels = [self.stem(torch.cat([image, coordinates(image)], 1) if self.config.coordinates else image)]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        levels[-1] = self.context(levels[-1] + self.place(coordinates(levels[-1])))
        return levels


class TinyDepth(TinyEncoder):
    """Relative inverse depth (B, 1, H/2, W/2) and features (B, features, H/4, W/4) of normalised images
    (B, 3, H, W).

    Any height and width from 32 on; sizes are rounded up where they do not divide.
    """

    def __init__(self, config: TinyDepthConfig | None = None) -> None:
        super().__init__(config)
        c, w = self.config, self.config.widths
        sizes = (c.pyramid, c.pyramid, c.pyramid, c.features)
        self.laterals = nn.ModuleList(nn.Conv2d(w[4 - i], sizes[i], 1) for i in range(4))
        self.refine = nn.ModuleList(convolution(sizes[i], sizes[i + 1]) for i in range(3))
        self.join = Residual(c.features)
        self.up = convolution(c.features, c.head)
        self.fine = nn.Conv2d(w[0], c.head, 1)
        self.head = nn.Sequential(convolution(c.head, c.head), nn.Conv2d(c.head, 1, 3, padding=1))
        start(self)
        nn.init.normal_(self.head[-1].weight, std=0.01)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Relative inverse depth and features."""
        half, *levels = self.encode(image)
        top = self.laterals[0](levels.pop())
        for lateral, refine in zip(self.laterals[1:], self.refine, strict=True):
            level = levels.pop()
            top = resized(refine(top), level) + lateral(level)
        features = self.join(functional.relu(top))
        value = self.head(functional.relu(resized(self.up(features), half) + self.fine(half))).float()
        if self.config.output == "log":
            value = value.clamp(-_LOG_LIMIT, _LOG_LIMIT).exp()
        return value, features.float()


class Residual(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Two 3x3 convolutions and a way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.layers(x))


class Attention(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """A transformer block over all places of a (B, C, h, w) map."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self._attend(self.norm_1(tokens))
        tokens = tokens + self.mlp(self.norm_2(tokens))
        return tokens.transpose(1, 2).unflatten(2, (height, width))

    def _attend(self, tokens: Tensor) -> Tensor:
        batch, count, channels = tokens.shape
        q, k, v = self.qkv(tokens).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # Written out, so that the exported graph holds plain operators.
        weights = ((q * (channels // self.heads) ** -0.5) @ k.transpose(-1, -2)).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, count, channels))


def convolution(channels: int, out: int, *, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution, normalised and rectified."""
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )


def start(network: nn.Module) -> None:
    """First weights of all convolutions; residual blocks start as the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, Residual):
            nn.init.zeros_(module.layers[-1].weight)


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Maps enlarged or reduced to another's size, bilinear."""
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def coordinates(x: Tensor) -> Tensor:
    """(B, 2, H, W): -1 at the left or upper edge to 1 at the right or lower one."""
    batch, _, height, width = x.shape
    across = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype).view(1, 1, 1, width)
    down = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype).view(1, 1, height, 1)
    return torch.cat([across.expand(batch, 1, height, width), down.expand(batch, 1, height, width)], 1)

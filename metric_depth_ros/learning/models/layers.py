"""Layers shared by several networks, and their initial weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Residual block of two 3x3 convolutions."""

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
    """Transformer block over all positions of a map (B, C, h, w)."""

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
        # In explicit form, so the exported graph has plain operators.
        weights = ((q * (channels // self.heads) ** -0.5) @ k.transpose(-1, -2)).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, count, channels))


def convolution(channels: int, out: int, *, stride: int = 1) -> nn.Sequential:
    """3x3 convolution with normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )


def start(network: nn.Module) -> None:
    """Sets the initial weights of all convolutions; residual blocks start as the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, Residual):
            nn.init.zeros_(module.layers[-1].weight)


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Maps resized bilinearly to the size of others."""
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def coordinates(x: Tensor) -> Tensor:
    """Pixel coordinates (B, 2, H, W), from -1 at the left or upper edge to 1 at the right or lower edge."""
    batch, _, height, width = x.shape
    across = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype).view(1, 1, 1, width)
    down = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype).view(1, 1, height, 1)
    return torch.cat([across.expand(batch, 1, height, width), down.expand(batch, 1, height, width)], 1)

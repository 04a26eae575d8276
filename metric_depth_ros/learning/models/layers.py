"""Layers that several networks share, and their first weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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

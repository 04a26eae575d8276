"""Pyramid decoder for the maps of an encoder, and the depth network made of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from metric_depth_ros.learning.models.encoder import Encoder
from metric_depth_ros.learning.models.layers import Residual, convolution, resized, start

# Limit of the logarithm of the output.
_LOG_LIMIT = 12.0
_PARTS = ("encoder.", "decoder.")


@dataclass(frozen=True)
class PyramidConfig:
    """Sizes and output of a pyramid decoder.

    Attributes:
        pyramid: channels of the decoder at 1/32, 1/16 and 1/8.
        features: channels of the feature map at 1/4.
        head: channels at 1/2, before the output.
        output: "log": the network predicts the logarithm of inverse depth, so the output is positive and
            known up to a factor. "linear": of either sign, known up to a factor and an offset.
    """

    pyramid: int = 64
    features: int = 32
    head: int = 16
    output: str = "log"


class FocusConv(nn.Conv2d):  # type: ignore[misc]  # torch carries no types here
    """1x1 convolution of a map concatenated with an embedding that is constant over the map.

    The embedding's part is the same at every pixel, so it is computed once and added; nothing is expanded.
    """

    def __init__(self, channels: int, out: int, embedding: int = 0) -> None:
        super().__init__(channels, out, 1)
        self.focus = nn.Linear(embedding, out, bias=False) if embedding else None

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        x = super().forward(x)
        return x if self.focus is None else x + self.focus(embedding)[:, :, None, None]


class PyramidDecoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Decodes five maps, at 1/2 to 1/32 of the image size, to maps at 1/2, through features at 1/4.

    If ``embedding`` is a number of channels, an embedding (Metric-Solver's focus) is an input at every level.
    """

    def __init__(
        self, channels: Sequence[int], config: PyramidConfig, *, outputs: int = 1, embedding: int = 0
    ) -> None:
        super().__init__()
        c = config
        sizes = (c.pyramid, c.pyramid, c.pyramid, c.features)
        pairs = zip(channels[:0:-1], sizes, strict=True)
        self.laterals = nn.ModuleList(FocusConv(level, size, embedding) for level, size in pairs)
        self.refine = nn.ModuleList(convolution(size, finer) for size, finer in pairwise(sizes))
        self.join = Residual(c.features)
        self.up = convolution(c.features, c.head)
        self.fine = FocusConv(channels[0], c.head, embedding)
        self.head = nn.Sequential(convolution(c.head, c.head), nn.Conv2d(c.head, outputs, 3, padding=1))

    def start(self) -> None:
        """Sets the initial weights: the outputs start near zero."""
        start(self)
        nn.init.normal_(self.head[-1].weight, std=0.01)

    def forward(self, levels: Sequence[Tensor], embedding: Tensor | None = None) -> Tensor:
        """Maps (B, outputs, H/2, W/2) float32."""
        return self.finish(levels[0], self.features(levels, embedding), embedding)

    def features(self, levels: Sequence[Tensor], embedding: Tensor | None = None) -> Tensor:
        """Features (B, features, H/4, W/4)."""
        top = self.laterals[0](levels[-1], embedding)
        for level, lateral, refine in zip(levels[-2:0:-1], self.laterals[1:], self.refine, strict=True):
            top = resized(refine(top), level) + lateral(level, embedding)
        return self.join(functional.relu(top))

    def finish(self, half: Tensor, features: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Outputs of ``forward``, from the largest map and the features."""
        top = resized(self.up(features), half) + self.fine(half, embedding)
        return self.head(functional.relu(top)).float()


class PyramidDepth(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Depth network: an encoder and a pyramid decoder.

    From normalised images (B, 3, H, W) it computes relative inverse depth (B, 1, H/2, W/2) and features
    (B, features, H/4, W/4). Height and width are at least 32; divided sizes are rounded up. In a state dict
    the weights of encoder and decoder are side by side, without prefixes for the two.
    """

    def __init__(self, encoder: Encoder, config: PyramidConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.decoder = PyramidDecoder(encoder.channels, config)
        start(self.encoder)
        self.decoder.start()
        self.register_state_dict_post_hook(_without_parts)
        self.register_load_state_dict_pre_hook(_with_parts)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Relative inverse depth and features."""
        levels = self.encoder(image)
        features = self.decoder.features(levels)
        value = self.decoder.finish(levels[0], features)
        if self.config.output == "log":
            value = value.clamp(-_LOG_LIMIT, _LOG_LIMIT).exp()
        return value, features.float()


def _without_parts(network: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for part in _PARTS:
        for name in [name for name in state if name.startswith(prefix + part)]:
            state[prefix + name.removeprefix(prefix + part)] = state.pop(name)


def _with_parts(network: PyramidDepth, state: dict[str, Any], prefix: str, *others: Any) -> None:
    of_decoder = tuple(f"{prefix}{name}." for name, _ in network.decoder.named_children())
    for name in [name for name in state if name.startswith(prefix)]:
        part = _PARTS[name.startswith(of_decoder)]
        state[prefix + part + name.removeprefix(prefix)] = state.pop(name)

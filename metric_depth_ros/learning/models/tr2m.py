"""TR2M (paper 003): scale and shift maps that make relative depth metric, from an image and a description."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.models.encoder import Encoder
from metric_depth_ros.learning.models.layers import resized
from metric_depth_ros.learning.models.metric_solver import DINO, DinoEncoder
from metric_depth_ros.learning.models.named_encoders import build_encoder

INPUTS, MAPS = ("both", "image", "text"), ("both", "scale", "shift")
# Channels of the last layer but one of a head, as in DPT.
_LAST = 32
# Limit of the logarithm of an output, in 1/m.
_LOG_LIMIT = 6.0


@dataclass(frozen=True)
class TR2MConfig:
    """Architecture settings of a ``TR2M``. Names in the paper are in brackets; numbers are ours.

    Attributes:
        encoder: frozen image encoder: DINOv2 in the sizes of Depth Anything V2 ("large": the paper's), or one
            of the depth networks ("lite0" to "lite2", "tiny"), whose last two maps are joined.
        text_width: channels of a token of the frozen text encoder [D'].
        width: channels of the features [D]; 0: those of a DINOv2 encoder.
        head: channels of a head, before and after its second resampling.
        inputs: "both", or "image" or "text" alone (table 5).
        maps: "both" maps, or "scale" or "shift" alone (table 11).
        per_pixel: maps; False: two factors for the whole image (table 4).
        projector: channels of the projector for contrast, 0 without contrast.
        canonical: whether its metres are those of a camera with a ``relative_focal`` of 1 (ours).
    """

    encoder: str = "lite0"
    text_width: int = 384
    width: int = 128
    head: tuple[int, int] = (96, 32)
    inputs: str = "both"
    maps: str = "both"
    per_pixel: bool = True
    projector: int = 64
    canonical: bool = True


# The paper's sizes: ViT-L of DINOv2 and of CLIP.
PAPER = TR2MConfig(
    "large", text_width=768, width=0, head=(512, 256), projector=160, canonical=False
)  # fmt: skip


class TR2MOutput(NamedTuple):
    """Output of ``TR2M``.

    Attributes:
        scale, shift: maps (B, 1, 4h, 4w), positive; a map that is left out is 1 or 0.
        levels: maps of the image encoder.
        contrast: projected features (B, C, h', w'), only while training with contrast.
    """

    scale: Tensor
    shift: Tensor
    levels: list[Tensor]
    contrast: Tensor | None


class TR2M(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes scale and shift maps from normalised images and embedded descriptions.

    ``encoder`` is frozen, all else is trained. With h x w tokens of the image (sides are 1/16 of the image's,
    with DINOv2 1/14) the maps have 4h x 4w.
    """

    def __init__(self, config: TR2MConfig | None = None) -> None:
        """Raises ConfigError for settings that are not known."""
        super().__init__()
        self.config = c = config or TR2MConfig()
        for name, value, known in (("inputs", c.inputs, INPUTS), ("maps", c.maps, MAPS)):
            if value not in known:
                raise ConfigError(f"{name}: {value!r}; known are {', '.join(known)}.")
        dino = c.encoder in DINO
        self.encoder: Encoder = DinoEncoder(DINO[c.encoder]) if dino else build_encoder(c.encoder)
        width = self.encoder.channels[-1] if dino else c.width
        self.fusion = Fusion(c, 0 if dino else sum(self.encoder.channels[-2:]), width)
        self.scale = Head(width, c.head) if c.maps != "shift" else None
        self.shift = Head(width, c.head) if c.maps != "scale" else None
        # The tokens of a large image are many: there the paper pools them.
        self.projector = Projector(width, c.projector, pools=2 if dino else 0) if c.projector else None

    def forward(self, image: Tensor, tokens: Tensor, mask: Tensor) -> TR2MOutput:
        """Maps of images (B, 3, H, W).

        Args:
            tokens: (B, T, text_width) of the text encoder.
            mask: (B, T), 1 for tokens and 0 for padding.
        """
        levels = self.encoder(image)
        features = self.fusion(levels, tokens, mask)
        batch, _, height, width = features.shape
        one = features.new_ones(batch, 1, 4 * height, 4 * width, dtype=torch.float32)
        scale = one if self.scale is None else self.scale(features)
        shift = 0 * one if self.shift is None else self.shift(features)
        if not self.config.per_pixel:
            scale, shift = (map_.mean((2, 3), keepdim=True).expand_as(one) for map_ in (scale, shift))
        contrast = self.projector(features) if self.training and self.projector is not None else None
        return TR2MOutput(scale, shift, levels, contrast)

    def start(self, log_depth: float, log_relative: float = 0.0) -> None:
        """Sets the initial outputs: a depth of exp(``log_depth``) where D_r is exp(``log_relative``)."""
        both = self.config.maps == "both"
        for head, share, per in ((self.scale, 0.9, log_relative), (self.shift, 0.1, 0.0)):
            if head is not None:  # its share of the inverse depth
                nn.init.normal_(head.layers[-1].weight, std=1e-3)
                nn.init.constant_(head.layers[-1].bias, math.log(share if both else 1) - log_depth - per)


class Fusion(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Cross-modality attention (equations 1 and 2): F = F_I + Attn_I + Attn_L, queries from the image.

    With the single embedding of a sentence the softmax over it would be 1 everywhere, so every token has one.
    """

    def __init__(self, config: TR2MConfig, joined: int, width: int) -> None:
        """``joined``: channels of the two maps that are joined; 0: the last map is taken as it is."""
        super().__init__()
        self.inputs = config.inputs
        self.join = nn.Conv2d(joined, width, 1) if joined else nn.Identity()
        self.align = nn.Linear(config.text_width, width)
        self.query = nn.Linear(width, width)
        self.image, self.text = KeysAndValues(width), KeysAndValues(width)
        unused = {"both": (), "image": (self.align, self.text), "text": (self.join, self.query, self.image)}
        for part in unused[config.inputs]:
            part.requires_grad_(False)
        self.joins = joined > 0

    def forward(self, levels: list[Tensor], tokens: Tensor, mask: Tensor) -> Tensor:
        """Features (B, width, h, w)."""
        fine = levels[-1]
        if self.joins:
            fine = self.join(torch.cat([levels[-2], resized(levels[-1], levels[-2])], 1))
        image = fine.flatten(2).transpose(1, 2)
        hidden = torch.where(mask[:, None] > 0, 0.0, float("-inf"))
        if self.inputs == "text":  # there is nothing to ask, so every token counts alike
            query = torch.zeros_like(image)
            key, value = self.text(self.align(tokens))
            out = attention(query, key, value, hidden)
        else:
            query = self.query(image)
            out = image + attention(query, *self.image(image))
            if self.inputs == "both":
                key, value = self.text(self.align(tokens))
                out = out + attention(query, key, value, hidden)
        return out.transpose(1, 2).unflatten(2, fine.shape[2:])


class KeysAndValues(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Keys and values (B, T, C) of tokens (B, T, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.key(tokens), self.value(tokens)


def attention(query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None = None) -> Tensor:
    """Attention (B, Q, C) of equation 1; ``hidden`` (B, 1, T) is -inf for keys that are padding, else 0."""
    weights = query @ key.transpose(1, 2) * query.shape[-1] ** -0.5
    if hidden is not None:
        weights = weights + hidden
    return weights.softmax(-1) @ value


class Head(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Head like DPT's for one feature map: projection, two resamplings, a positive map (B, 1, 4h, 4w)."""

    def __init__(self, width: int, channels: tuple[int, int]) -> None:
        super().__init__()
        wide, narrow = channels
        self.layers = nn.Sequential(
            nn.Conv2d(width, wide, 1),
            nn.ConvTranspose2d(wide, wide, 2, stride=2),
            nn.Conv2d(wide, wide, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(wide, wide, 2, stride=2),
            nn.Conv2d(wide, narrow, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(narrow, narrow // 2, 3, padding=1),
            nn.Conv2d(narrow // 2, _LAST, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_LAST, 1, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features).float().clamp(-_LOG_LIMIT, _LOG_LIMIT).exp()


class Projector(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Features for contrast: two 1x1 convolutions, each followed by ReLU and, with ``pools``, max pooling."""

    def __init__(self, width: int, channels: int, pools: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(width, channels, 1), nn.Conv2d(channels, channels, 1)])
        self.pools = pools

    def forward(self, features: Tensor) -> Tensor:
        for k, layer in enumerate(self.layers):
            features = functional.relu(layer(features))
            if k < self.pools:
                features = functional.max_pool2d(features, 2, ceil_mode=True)
        return features


def metric_depth(scale: Tensor, shift: Tensor, relative: Tensor) -> Tensor:
    """Metric depth (equation 3), 1 / (A D_r + B); the maps are resized to D_r, relative inverse depth."""
    scale, shift = (
        resized(map_, relative) if map_.shape != relative.shape else map_ for map_ in (scale, shift)
    )
    return 1 / (scale * relative + shift).clamp_min(1e-6)

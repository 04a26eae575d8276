"""Metric-Solver network (paper 004): an encoder, and two decoders for near and far depth at any focus.

The focus is the paper's sliding anchor; ``near_far`` defines near and far depth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from metric_depth_ros.learning.models.encoder import Encoder
from metric_depth_ros.learning.models.layers import start
from metric_depth_ros.learning.models.named_encoders import build_encoder
from metric_depth_ros.learning.models.pyramid import FocusConv, PyramidConfig, PyramidDecoder
from metric_depth_ros.near_far import FOCUSES

# Largest depth of a single head, in metres (table 3a).
ONE_HEAD_M = 80.0
# Logit of a certain mask, and slope of the mask that replaces a missing mask head.
_CERTAIN, _SLOPE = 20.0, 50.0


@dataclass(frozen=True)
class MetricSolverConfig:
    """Architecture settings of a ``MetricSolver``.

    Attributes:
        encoder: "tiny" (that of ``TinyDepth``), "lite0" to "lite2" (those of ``SmallDepth``), or DINOv2 in
            the sizes of Depth Anything V2: "small", "base", "large".
        focuses: depths of the pool in metres, ascending; a single one is the paper's fixed focus.
        embedding: channels of an embedding; not stated in the paper.
        heads: "two", or "one": a single decoder without focus, a sigmoid times 80 m (table 3a).
        mask: whether there is a mask head. Without it, near depth may exceed the focus, and is used where it
            does not: the paper's naive fusion (table 3a), as we understand it.
        canonical: whether its metres are those of a camera with a ``relative_focal`` of 1 (ours).
    """

    encoder: str = "tiny"
    focuses: tuple[float, ...] = FOCUSES
    embedding: int = 64
    heads: str = "two"
    mask: bool = True
    canonical: bool = False


@dataclass(frozen=True)
class DinoSizes:
    """Sizes of a DINOv2 encoder and of its DPT decoder in Depth Anything V2.

    Attributes:
        hidden, heads, layers: of the encoder.
        taps: layers used by the decoders, counted from 1.
        neck: channels of the four maps after reassembly.
        fusion: channels of the decoder.
    """

    hidden: int
    heads: int
    layers: int
    taps: tuple[int, ...]
    neck: tuple[int, ...]
    fusion: int


DINO = {
    "small": DinoSizes(384, 6, 12, (3, 6, 9, 12), (48, 96, 192, 384), 64),
    "base": DinoSizes(768, 12, 12, (3, 6, 9, 12), (96, 192, 384, 768), 128),
    "large": DinoSizes(1024, 16, 24, (5, 12, 18, 24), (256, 512, 1024, 1024), 256),
}
PATCH, _SIDE = 14, 518


class MetricSolver(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes near depth, far depth and mask logit (B, 1, h, w) of normalised images at given focuses.

    Images are (B, 3, H, W). With a DINOv2 encoder h = H and w = W, multiples of 14; with the others
    h = H / 2 and w = W / 2.
    """

    def __init__(self, config: MetricSolverConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or MetricSolverConfig()
        two = c.heads == "two"
        self.pool = FocusPool(c.focuses, c.embedding) if two else None
        width, outputs = c.embedding * two, 1 + (two and c.mask)
        if c.encoder in DINO:
            sizes = DINO[c.encoder]
            self.encoder: Encoder = DinoEncoder(sizes)
            self.near = DPTDecoder(sizes, width, outputs)
            self.far = DPTDecoder(sizes, width, 1) if two else None
        else:
            self.encoder = build_encoder(c.encoder)
            start(self.encoder)
            self.near = _pyramid(self.encoder, width, outputs)
            self.far = _pyramid(self.encoder, width, 1) if two else None

    def forward(self, image: Tensor, focus: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of ``decode`` for images and focuses."""
        return self.decode(self.encode(image), focus)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Feature maps for the decoders, the same for all focuses."""
        features: list[Tensor] = self.encoder(image)
        return features

    def decode(self, features: Sequence[Tensor], focus: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scaled near depth in (0, 1), tapered far depth in (0, 1), and the logit of the near mask.

        Args:
            features: of B images, or of one image for all focuses.
            focus: (B,) metres; limited to the pool's range, see ``used_focus``.
        """
        if self.pool is None or self.far is None:
            near = self.near(features, None).sigmoid().expand(focus.shape[0], -1, -1, -1)
            return near, torch.ones_like(near), torch.full_like(near, _CERTAIN)
        embedding = self.pool(focus)
        near, far = self.near(features, embedding), self.far(features, embedding).sigmoid()
        if self.config.mask:
            return near[:, :1].sigmoid(), far, near[:, 1:]
        near = functional.softplus(near)
        return near, far, _SLOPE * (1 - near)

    def used_focus(self, focus: Tensor) -> Tensor:
        """Focus (B,) in metres to which near and far depth refer: limited to the pool's range.

        A single head's near depth always refers to 80 m.
        """
        if self.pool is None:
            return torch.full_like(focus, ONE_HEAD_M)
        return focus.clamp(self.config.focuses[0], self.config.focuses[-1])

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Loads the weights of a depth network with this encoder, except its decoder's last layer."""
        own = self.state_dict()
        with torch.no_grad():
            for name, value in weights.items():
                for part in ("encoder", "near", "far"):
                    mine = own.get(f"{part}.{name}")
                    if mine is not None and not name.startswith("head.1."):
                        mine.copy_(value)


class FocusPool(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Learnable embeddings of a few depths (equation 7), interpolated linearly in log depth.

    The interpolation is ours: it makes the focus continuous.
    """

    def __init__(self, focuses: Sequence[float], channels: int) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(torch.randn(len(focuses), channels))
        self.ends = float(focuses[0]), float(focuses[-1])
        self.register_buffer("knots", torch.tensor([math.log(f) for f in focuses]), persistent=False)

    def forward(self, focus: Tensor) -> Tensor:
        """Embeddings (B, channels) of depths (B,) in metres."""
        return self.weights(focus) @ self.embeddings

    def weights(self, focus: Tensor) -> Tensor:
        """Weights (B, N) of the embeddings; at most two are non-zero, and their sum is 1."""
        at = focus[:, None].clamp(self.ends[0], self.ends[1]).log()
        rising = (at - self.knots[:-1]) / (self.knots[1:] - self.knots[:-1])
        one = torch.ones_like(at)
        return torch.cat([one, rising], 1).minimum(torch.cat([1 - rising, one], 1)).clamp(0, 1)


class DinoEncoder(Encoder):
    """DINOv2 of transformers as the encoder of Depth Anything V2: maps of four layers."""

    strides = (PATCH,) * 4

    def __init__(self, sizes: DinoSizes) -> None:
        from transformers import Dinov2Backbone, Dinov2Config

        super().__init__()
        self.channels = (sizes.hidden,) * 4
        self.backbone = Dinov2Backbone(
            Dinov2Config(
                hidden_size=sizes.hidden,
                num_attention_heads=sizes.heads,
                num_hidden_layers=sizes.layers,
                image_size=_SIDE,
                patch_size=PATCH,
                out_indices=list(sizes.taps),
            )
        )
        self._hold_mask_token()

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps (B, hidden, H/14, W/14), the deepest last."""
        return list(self.backbone(image).feature_maps)

    def unfreeze(self, *, statistics: bool = False) -> None:
        """Makes the weights trainable, as in any encoder."""
        super().unfreeze(statistics=statistics)
        self._hold_mask_token()

    def _hold_mask_token(self) -> None:
        # It replaces masked patches; there are none, so it would never get a gradient.
        self.backbone.embeddings.mask_token.requires_grad_(False)


class DPTDecoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Decoder of Depth Anything V2, with the focus embedding added at each of the encoder's maps."""

    def __init__(self, sizes: DinoSizes, embedding: int, outputs: int) -> None:
        from transformers import DepthAnythingConfig
        from transformers.models.depth_anything.modeling_depth_anything import DepthAnythingNeck

        super().__init__()
        config = DepthAnythingConfig(
            reassemble_hidden_size=sizes.hidden,
            neck_hidden_sizes=list(sizes.neck),
            fusion_hidden_size=sizes.fusion,
        )
        self.neck = DepthAnythingNeck(config)
        for layer, channels in zip(self.neck.reassemble_stage.layers, sizes.neck, strict=True):
            layer.projection = FocusConv(sizes.hidden, channels, embedding)
        # The first fusion has no second input, so these weights would never get a gradient.
        self.neck.fusion_stage.layers[0].residual_layer1 = None
        self.reduce = nn.Conv2d(sizes.fusion, sizes.fusion // 2, 3, padding=1)
        self.head = nn.Sequential(
            nn.Conv2d(sizes.fusion // 2, config.head_hidden_size, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(config.head_hidden_size, outputs, 1),
        )

    def forward(self, features: Sequence[Tensor], embedding: Tensor | None) -> Tensor:
        """Maps (B, outputs, H, W) float32."""
        layers = self.neck.reassemble_stage.layers
        maps = [
            layer.resize(layer.projection(x, embedding)) for layer, x in zip(layers, features, strict=True)
        ]
        maps = [convolve(x) for convolve, x in zip(self.neck.convs, maps, strict=True)]
        fine = self.reduce(self.neck.fusion_stage(maps)[-1])
        height, width = features[0].shape[2:]
        fine = functional.interpolate(
            fine, (PATCH * height, PATCH * width), mode="bilinear", align_corners=True
        )
        return self.head(fine).float()


def _pyramid(encoder: Encoder, embedding: int, outputs: int) -> PyramidDecoder:
    """Decoder of a depth network, with the focus embedding at every level."""
    decoder = PyramidDecoder(encoder.channels, PyramidConfig(), outputs=outputs, embedding=embedding)
    decoder.start()
    return decoder

"""ZoeDepth with one metric head (N, K) or two (NK)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from transformers import ZoeDepthForDepthEstimation

from metric_depth_ros.learning.models.depth_network import DepthFacts, DepthNetwork


class ZoeDepth(DepthNetwork):
    """Wraps transformers' network; with two heads both run, and the classifier selects one per image.

    Features: "coarse" is (1, C, H / 8, W / 8), "fine" (1, C, H / 2, W / 2); C is 256.
    """

    loads = ZoeDepthForDepthEstimation

    def __init__(self, model: ZoeDepthForDepthEstimation, features: str = "coarse") -> None:
        super().__init__(features)
        self.model = model
        patch = model.patch_size
        names = "".join(domain["name"][:1].upper() for domain in model.config.bin_configurations)
        self.facts = DepthFacts(
            title=f"ZoeDepth {names}",
            kind="depth",
            size=(512, 384),
            multiple_of=2 * patch,
            metric=True,
            floor=1e-3,
            fixed="its attention has a bias for every place",
            border=3.0,
        )

    def maps(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        model, patch = self.model, self.model.patch_size
        states = model.backbone(image).feature_maps
        fused, bottleneck = model.neck(list(states), image.shape[2] // patch, image.shape[3] // patch)
        relative, last = model.relative_head(fused)
        if len(model.config.bin_configurations) == 1:
            depth, _ = model.metric_head(last, bottleneck, fused, relative)
        else:
            depth = self._routed(last, bottleneck, fused)
        return depth[:, 0], fused

    def _routed(self, last: Tensor, bottleneck: Tensor, fused: list[Tensor]) -> Tensor:
        """Depth of the head that the classifier selects, within the graph; transformers selects in Python."""
        heads = self.model.metric_head
        x = heads.conv2(bottleneck)
        vote = heads.mlp_classifier(heads.patch_transformer(x)[:, 0, :]).argmax(-1)
        first, second = (self._metric(c, x, last, fused) for c in self.model.config.bin_configurations)
        return torch.where(vote[:, None, None, None] == 0, first, second)

    def _metric(self, domain: dict[str, float], x: Tensor, last: Tensor, fused: list[Tensor]) -> Tensor:
        """Depth (1, 1, h, w) in metres by one of several heads."""
        heads, name = self.model.metric_head, domain["name"]
        _, bins = heads.seed_bin_regressors[name](x)
        if heads.bin_centers_type in ("normed", "hybrid2"):
            bins = (bins - domain["min_depth"]) / (domain["max_depth"] - domain["min_depth"])
        embedding = heads.seed_projector(x)
        for projector, attractor, feature in zip(
            heads.projectors, heads.attractors[name], fused, strict=False
        ):
            before, embedding = embedding, projector(feature)
            bins, centres = attractor(embedding, bins, before, interpolate=True)
        size = last.shape[-2:]
        centres = functional.interpolate(centres, size, mode="bilinear", align_corners=True)
        embedding = functional.interpolate(embedding, size, mode="bilinear", align_corners=True)
        return (heads.conditional_log_binomial[name](last, embedding) * centres).sum(1, keepdim=True)

"""Depth Anything V1 and V2 with any encoder (S, B, L), relative or metric."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from transformers import DepthAnythingForDepthEstimation

from metric_depth_ros.learning.models.depth_network import DepthFacts, DepthNetwork

_ENCODERS = {384: "Small", 768: "Base", 1024: "Large"}


class DepthAnything(DepthNetwork):
    """Wraps transformers' network; here its head adapts to the size of the image.

    Features: "coarse" is (1, C, H / 7, W / 7), "fine" (1, C, 4 H / 7, 4 W / 7); C is 64 (S), 128 (B)
    or 256 (L).
    """

    loads = DepthAnythingForDepthEstimation

    def __init__(self, model: DepthAnythingForDepthEstimation, features: str = "coarse") -> None:
        super().__init__(features)
        self.model = model
        config = model.config
        side = config.backbone_config.image_size
        metric = config.depth_estimation_type == "metric"
        encoder = _ENCODERS.get(config.backbone_config.hidden_size, "")
        # V1 uses the last four layers, V2 layers distributed over all.
        first, *_, last = config.backbone_config.out_indices
        version = 1 if last - first == 3 else 2
        self.facts = DepthFacts(
            title=" ".join(f"Depth Anything V{version} {'Metric ' * metric}{encoder}".split()),
            kind="depth" if metric else "inverse_depth",
            size=(side, side),
            multiple_of=config.patch_size,
            metric=metric,
            floor=1e-3 if metric else None,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            licence="CC-BY-NC-4.0" if version == 2 and encoder in ("Base", "Large") else "Apache-2.0",
        )

    def maps(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        patch, head = self.facts.multiple_of, self.model.head
        states = self.model.backbone(image).feature_maps
        fused = self.model.neck(list(states), image.shape[2] // patch, image.shape[3] // patch)
        value = head.conv1(fused[head.head_in_index])
        # Transformers computes this size with int(), which becomes a constant in a traced graph.
        value = functional.interpolate(value, image.shape[2:], mode="bilinear", align_corners=True)
        value = head.conv3(head.activation1(head.conv2(value)))
        return (head.activation2(value) * head.max_depth)[:, 0], fused

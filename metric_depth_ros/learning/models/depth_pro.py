"""Depth Pro, without its field-of-view head."""

from __future__ import annotations

from torch import Tensor
from transformers import DepthProForDepthEstimation

from metric_depth_ros.learning.models.depth_network import DepthFacts, DepthNetwork


class DepthPro(DepthNetwork):
    """Wraps transformers' network without its field-of-view encoder.

    The output is canonical inverse depth, c = (f / W) / depth with the focal length f and the width W of the
    image in pixels: inverse depth up to a factor, which the solver finds. On a robot f is known from
    camera_info, so the estimate of the field-of-view head is not needed.

    Features: "coarse" is (1, C, H / 8, W / 8), "fine" (1, C, H / 2, W / 2); C is 256.
    """

    loads = DepthProForDepthEstimation

    def __init__(self, model: DepthProForDepthEstimation, features: str = "coarse") -> None:
        super().__init__(features)
        model.fov_model = None
        self.model = model
        config = model.config
        side = round(config.patch_size / min(config.scaled_images_ratios))
        self.facts = DepthFacts(
            title="Depth Pro",
            kind="inverse_depth",
            size=(side, side),
            multiple_of=side,
            fixed="it cuts the image into a fixed number of patches",
            only_size=True,
        )

    def maps(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        fused = self.model.fusion_stage(self.model.depth_pro(image).features)
        return self.model.head(fused[-1]), fused

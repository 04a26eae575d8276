"""DPT (MiDaS 3) with the backbones ViT (large), hybrid (BiT and ViT), BEiT, Swin2 and DINOv2."""

from __future__ import annotations

from torch import Tensor
from transformers import DPTForDepthEstimation

from metric_depth_ros.learning.models.depth_network import DepthFacts, DepthNetwork

_FIXED = {
    "bit": "its convolutions pad by the image's size",
    "beit": "its attention has a bias for every place",
    "swinv2": "its attention has windows cut by the image's size",
}

_TITLES = {"": "Large", "bit": "Hybrid", "beit": "BEiT", "swinv2": "Swin2", "dinov2": "DINOv2"}


class DPT(DepthNetwork):
    """Wraps transformers' network; here a ViT too accepts any image size, not only squares.

    Features: "coarse" is (1, C, H / 8, W / 8), "fine" (1, C, H / 2, W / 2); C is 256.
    """

    loads = DPTForDepthEstimation

    def __init__(self, model: DPTForDepthEstimation, features: str = "coarse") -> None:
        super().__init__(features)
        self.model = model
        config = model.config
        backbone = config.backbone_config
        kind = backbone.model_type if backbone is not None else ""
        # The hybrid's backbone_config describes its convolutions; its image is the transformer's.
        of = config if model.backbone is None else backbone
        side = of.image_size if isinstance(of.image_size, int) else of.image_size[0]
        patch = of.patch_size if isinstance(of.patch_size, int) else of.patch_size[0]
        # The pyramid's coarsest level has 1/2 the resolution of the patches, Swin's has 1/8.
        multiple = patch * (8 if kind == "swinv2" else 2)
        self.patch = patch
        self.facts = DepthFacts(
            title=f"DPT {_TITLES.get(kind, kind)}",
            kind="inverse_depth",
            size=(side // multiple * multiple,) * 2,
            multiple_of=multiple,
            fixed=_FIXED.get(kind, ""),
        )

    def maps(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        states = (
            self._states(image) if self.model.backbone is None else self.model.backbone(image).feature_maps
        )
        fused = self.model.neck(list(states), image.shape[2] // self.patch, image.shape[3] // self.patch)
        return self.model.head(fused), fused

    def _states(self, image: Tensor) -> list[Tensor]:
        """Hidden states of DPT's own transformer, as input of the neck."""
        dpt, config = self.model.dpt, self.model.config
        if config.is_hybrid:
            embedded = dpt.embeddings(image, interpolate_pos_encoding=True)
            states, wanted = list(embedded.intermediate_activations), config.backbone_out_indices[2:]
        else:
            embedded = dpt.embeddings(image)
            states, wanted = [], config.backbone_out_indices
        tokens = embedded.last_hidden_states
        for index, layer in enumerate(dpt.encoder.layer):
            tokens = layer(tokens)
            if index in wanted:
                states.append(tokens)
        return states

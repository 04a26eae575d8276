"""SAM and SAM 2 in two parts: image encoder, and decoder from points to masks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import Sam2Model, SamModel


class SamEncoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes embeddings (1, C, h, w) of a normalised image (1, 3, S, S)."""

    def __init__(self, model: SamModel) -> None:
        super().__init__()
        self.model = model
        self.size = model.config.vision_config.image_size
        self.outputs = ("embedding",)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return (self.model.vision_encoder(image).last_hidden_state,)


class Sam2Encoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes embeddings at 1/4, 1/8 and 1/16 of the size of a normalised image (1, 3, S, S)."""

    def __init__(self, model: Sam2Model) -> None:
        super().__init__()
        self.model = model
        self.size = model.config.prompt_encoder_config.image_size
        self.outputs = ("embedding_4", "embedding_8", "embedding_16")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        # Flat, (h w, 1, C): the layout that transformers uses for videos.
        *fine, coarse = self.model.get_image_features(image).fpn_hidden_states
        maps = [*fine, coarse + self.model.no_memory_embedding]
        sizes = self.model.backbone_feature_sizes
        return tuple(m.permute(1, 2, 0).reshape(1, -1, *size) for m, size in zip(maps, sizes, strict=True))


class SamDecoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes mask logits (N, M, h, w) and predicted quality (N, M) for points (N, 2), input pixels."""

    def __init__(self, model: SamModel | Sam2Model) -> None:
        super().__init__()
        self.model = model
        self.outputs = ("masks", "iou")

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        *finer, embedding, points = inputs
        model, n = self.model, points.shape[0]
        sparse, dense = model.prompt_encoder(
            input_points=points[None, :, None],
            input_labels=torch.ones(1, n, 1, dtype=torch.int32),
            input_boxes=None,
            input_masks=None,
        )
        further = {"high_resolution_features": finer} if finer else {}
        masks, quality, *_ = model.mask_decoder(
            image_embeddings=embedding,
            image_positional_embeddings=model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
            **further,
        )
        return masks[0], quality[0]

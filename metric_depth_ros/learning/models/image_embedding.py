"""Images to one vector each, by a frozen image encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.models.checkpoint_folder import load_network, normalisation, open_checkpoint
from metric_depth_ros.learning.models.encoder import MEAN, STD, Encoder
from metric_depth_ros.types import FloatArray, ImageArray

# Normalisation of CLIP's pixels, where a checkpoint states none.
_CLIP_MEAN, _CLIP_STD = (0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)
_SIDE = 224


class ImageEmbedding:
    """Function from an image (H, W, 3) uint8 RGB to a vector (P,) float32."""

    def __init__(
        self,
        encode: Callable[[Tensor], Tensor],
        side: int = _SIDE,
        mean: tuple[float, ...] = MEAN,
        std: tuple[float, ...] = STD,
    ) -> None:
        """``encode``: normalised images (1, 3, side, side) to vectors (1, P)."""
        self._encode, self._side = encode, side
        self._mean, self._std = np.asarray(mean, np.float32), np.asarray(std, np.float32)

    @classmethod
    def of_encoder(cls, encoder: Encoder) -> ImageEmbedding:
        """Means over the image of the channels of an encoder's last map."""
        encoder.eval()
        return cls(lambda image: encoder(image)[-1].mean((2, 3)))

    @classmethod
    def of_clip(cls, folder: Path) -> ImageEmbedding:
        """CLIP's vector of a picture, from a checkpoint folder.

        Raises:
            ModelError: the folder cannot be used, or holds another network.
        """
        from transformers import CLIPVisionModel

        found = open_checkpoint(folder)
        if found.model_type not in ("clip", "clip_vision_model"):
            raise ModelError(f"{folder}: model_type {found.model_type!r}; needed clip.")
        network = load_network(found, CLIPVisionModel)
        mean, std = normalisation(found, _CLIP_MEAN, _CLIP_STD)
        side = int(network.config.image_size)
        return cls(lambda image: network(pixel_values=image).pooler_output, side, mean, std)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def __call__(self, image: ImageArray) -> FloatArray:
        """Vector (P,) of an image. Raises ModelError if it is not finite."""
        small = cv2.resize(image, (self._side, self._side), interpolation=cv2.INTER_AREA)
        pixels = (small.astype(np.float32) / 255 - self._mean) / self._std
        found: FloatArray = self._encode(torch.from_numpy(pixels.transpose(2, 0, 1)[None]))[0].numpy()
        if not np.isfinite(found).all():
            raise ModelError("image encoder: the vector of a picture is not finite. Weights are missing.")
        return found

"""Images to one vector each, by the frozen encoder of a depth network."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.models.encoder import MEAN, STD, Encoder
from metric_depth_ros.types import FloatArray, ImageArray

_SIDE = 224


class ImageEmbedding:
    """Function from an image (H, W, 3) uint8 RGB to the means (P,) float32 of the last map's channels."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder.eval()

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def __call__(self, image: ImageArray) -> FloatArray:
        """Vector (P,) of an image. Raises ModelError if it is not finite."""
        small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        pixels = (small.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        last = self._encoder(torch.from_numpy(pixels.transpose(2, 0, 1)[None]))[-1]
        found: FloatArray = last.mean((2, 3))[0].numpy()
        if not np.isfinite(found).all():
            raise ModelError("image encoder: the vector of a picture is not finite. Weights are missing.")
        return found

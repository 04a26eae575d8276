"""An image as a network wants its input."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from metric_depth_ros.engines.manifest import InputManifest
from metric_depth_ros.types import FloatArray, ImageArray


class ImageInput:
    """The input array of one network, written anew for every image.

    Attributes:
        array: 1 x 3 x height x width or 1 x height x width x 3, float32 or uint8, as the manifest says.
    """

    def __init__(self, manifest: InputManifest) -> None:
        self.manifest = manifest
        shape = (manifest.height, manifest.width, 3)
        self.array: NDArray[Any] = np.zeros(
            (1, *shape) if manifest.layout == "nhwc" else (1, 3, *shape[:2]), manifest.dtype
        )
        # (3, height, width) views of the array's channels, in any layout.
        self._planes = np.moveaxis(self.array[0], -1, 0) if manifest.layout == "nhwc" else self.array[0]
        mean, std = np.array(manifest.mean), np.array(manifest.std)
        self._gain = (1 / (255 * std)).astype(np.float32)
        self._offset = (-mean / std).astype(np.float32)

    def fill(self, image: ImageArray) -> None:
        """Writes an RGB image (H, W, 3)."""
        item = self.manifest
        image = self._bordered(image)
        width, height = self._taken(image.shape[1], image.shape[0])
        if item.resize == "letterbox":
            self.array[:] = 0
        shrinks = width < image.shape[1] or height < image.shape[0]
        small = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        channels = range(3) if item.colour == "rgb" else range(2, -1, -1)
        for to, channel in enumerate(channels):
            plane = self._planes[to, :height, :width]
            if item.dtype == "uint8":
                plane[:] = small[:, :, channel]
                continue
            np.multiply(small[:, :, channel], self._gain[to], out=plane)
            plane += self._offset[to]

    def undone(self, values: FloatArray, width: int, height: int, *, nearest: bool = False) -> FloatArray:
        """(height, width): what an output map (h, w) over the whole input says about an image of that size.

        The padding is cut off, in the proportion the output has of the input, and so is the border.
        ``nearest`` keeps values that must not be mixed.
        """
        across, down = self._border(width), self._border(height)
        full = width + 2 * across, height + 2 * down
        columns, rows = self._taken(*full)
        columns = round(values.shape[1] * columns / self.manifest.width)
        rows = round(values.shape[0] * rows / self.manifest.height)
        resized = cv2.resize(
            values[:rows, :columns],
            full,
            interpolation=cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_LINEAR,
        )
        return np.asarray(resized[down : down + height, across : across + width])

    def _taken(self, width: int, height: int) -> tuple[int, int]:
        """Width and height that an image of this size takes of the input, from the top left."""
        item = self.manifest
        if item.resize == "stretch":
            return item.width, item.height
        scale = min(item.width / width, item.height / height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _border(self, side: int) -> int:
        """Pixels mirrored at each end of a side; no more than there are."""
        return min(int(self.manifest.border * math.sqrt(side / 2)), side - 1)

    def _bordered(self, image: ImageArray) -> ImageArray:
        down, across = self._border(image.shape[0]), self._border(image.shape[1])
        if not down and not across:
            return image
        return np.asarray(
            cv2.copyMakeBorder(image, down, down, across, across, cv2.BORDER_REFLECT_101), np.uint8
        )

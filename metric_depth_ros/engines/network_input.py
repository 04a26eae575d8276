"""Converts an image to a network's input array, and its output maps back to the image."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from metric_depth_ros.engines.manifest import InputManifest
from metric_depth_ros.runtimes.model import Size
from metric_depth_ros.types import FloatArray, ImageArray

# Largest aspect ratio of a variable input, unless the usual size exceeds it; longer images are stretched.
_LONGEST = 4.0


def network_size(manifest: InputManifest, width: int, height: int) -> tuple[int, int]:
    """Width and height of the network's input for an image of this size.

    If the size is variable: the multiples of ``multiple_of`` with the smallest sum of the log ratios to
    the image's aspect ratio and to the manifest's number of pixels.
    """
    n, pixels = manifest.multiple_of, manifest.width * manifest.height
    if not n:
        return manifest.width, manifest.height
    longest = _longest(manifest)
    aspect = min(max(width / height, 1 / longest), longest)
    columns, rows = ({max(1, math.floor(side)), max(1, math.ceil(side))} for side in _steps(manifest, aspect))

    def misfit(size: tuple[int, int]) -> float:
        w, h = size
        return abs(math.log(w / h / aspect)) + abs(math.log(w * h / pixels))

    return min(((n * w, n * h) for w in sorted(columns) for h in sorted(rows)), key=misfit)


def sizes_of(manifest: InputManifest) -> Size:
    """Usual, smallest and largest shape of the input, over images of any size (``network_size``)."""
    n, own = manifest.multiple_of, (manifest.width, manifest.height)
    usual = _shape(manifest, *own)
    if not n:
        return Size(usual, usual, usual)
    longest = _longest(manifest)
    steps = [*_steps(manifest, longest), *_steps(manifest, 1 / longest)]
    least = min(n * max(1, math.floor(min(steps))), *own)
    most = max(n * math.ceil(max(steps)), *own)
    return Size(usual, _shape(manifest, least, least), _shape(manifest, most, most))


def _longest(manifest: InputManifest) -> float:
    """Largest aspect ratio of the input; the smallest is its inverse."""
    return max(_LONGEST, manifest.width / manifest.height, manifest.height / manifest.width)


def _steps(manifest: InputManifest, aspect: float) -> tuple[float, float]:
    """Width and height with the usual number of pixels, in units of ``multiple_of``."""
    n, pixels = manifest.multiple_of, manifest.width * manifest.height
    return math.sqrt(pixels * aspect) / n, math.sqrt(pixels / aspect) / n


def _shape(manifest: InputManifest, width: int, height: int) -> tuple[int, ...]:
    return (1, height, width, 3) if manifest.layout == "nhwc" else (1, 3, height, width)


def _resized(image: ImageArray, width: int, height: int) -> ImageArray:
    """Resizes an image: area averages along sides that shrink, then linear along sides that grow.

    If one side shrinks and the other grows, OpenCV's own area mode does neither, and shifts pixels.
    """
    less = min(width, image.shape[1]), min(height, image.shape[0])
    if less != image.shape[1::-1]:
        image = np.asarray(cv2.resize(image, less, interpolation=cv2.INTER_AREA), np.uint8)
    if less != (width, height):
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return image


class NetworkInput:
    """Input array of one network, filled anew for every image.

    Attributes:
        array: 1 x 3 x height x width or 1 x height x width x 3, float32 or uint8, as the manifest says.
    """

    def __init__(self, manifest: InputManifest) -> None:
        self.manifest = manifest
        mean, std = np.array(manifest.mean), np.array(manifest.std)
        self._gain = (1 / (255 * std)).astype(np.float32)
        self._offset = (-mean / std).astype(np.float32)
        self._resize_to(manifest.width, manifest.height)

    def fill(self, image: ImageArray) -> None:
        """Writes an RGB image (H, W, 3) into ``array``, resized and normalised."""
        item = self.manifest
        image = self._bordered(image)
        self._resize_to(*network_size(item, image.shape[1], image.shape[0]))
        width, height = self.taken(image.shape[1], image.shape[0])
        if item.resize == "letterbox":
            self.array[:] = 0
        small = _resized(image, width, height)
        channels = range(3) if item.colour == "rgb" else range(2, -1, -1)
        for to, channel in enumerate(channels):
            plane = self._planes[to, :height, :width]
            if item.dtype == "uint8":
                plane[:] = small[:, :, channel]
                continue
            np.multiply(small[:, :, channel], self._gain[to], out=plane)
            plane += self._offset[to]

    def undone(self, values: FloatArray, width: int, height: int, *, nearest: bool = False) -> FloatArray:
        """Output map (h, w) resized to the last image, (height, width): undoes what ``fill`` did.

        Pixels are placed exactly, to a fraction of an output pixel; padding and border are removed.
        ``nearest`` is for labels, which must not be interpolated.
        """
        across, down = self._border(width), self._border(height)
        full = width + 2 * across, height + 2 * down
        # Output pixels that the image covers; fractional where sides do not divide.
        part = self.taken(*full)
        taken = [values.shape[1 - axis] * part[axis] / self._size[axis] for axis in range(2)]
        columns, rows = (math.ceil(n - 1e-9) for n in taken)
        resized = cv2.resize(
            values[:rows, :columns],
            None,
            # Factors keep pixels in place; a size would stretch the fraction to a whole pixel.
            fx=full[0] / taken[0],
            fy=full[1] / taken[1],
            interpolation=cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_LINEAR,
        )
        return np.ascontiguousarray(resized[down : down + height, across : across + width])

    def part(self, maps: FloatArray, width: int, height: int) -> FloatArray:
        """Part (..., h, w) of maps (..., H, W) over the input that the last image covers, in whole pixels."""
        across, down = self._border(width), self._border(height)
        full = width + 2 * across, height + 2 * down
        taken = self.taken(*full)

        def reach(axis: int, side: int, border: int) -> slice:
            pixels = maps.shape[-1 - axis] * taken[axis] / self._size[axis] / full[axis]
            return slice(round(border * pixels), round((border + side) * pixels))

        return maps[..., reach(1, height, down), reach(0, width, across)]

    def _resize_to(self, width: int, height: int) -> None:
        """Makes ``array`` for this input size, unless it has that size already."""
        if getattr(self, "_size", None) == (width, height):
            return
        self._size = width, height
        self.array: NDArray[Any] = np.zeros(_shape(self.manifest, width, height), self.manifest.dtype)
        # (3, height, width) views of the array's channels, in any layout.
        nhwc = self.manifest.layout == "nhwc"
        self._planes = np.moveaxis(self.array[0], -1, 0) if nhwc else self.array[0]

    def taken(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the part of the input, from the top left, that an image of this size covers."""
        if self.manifest.resize == "stretch":
            return self._size
        scale = min(self._size[0] / width, self._size[1] / height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _border(self, side: int) -> int:
        """Width in pixels of the mirrored border at each end of a side; at most side - 1."""
        return min(int(self.manifest.border * math.sqrt(side / 2)), side - 1)

    def _bordered(self, image: ImageArray) -> ImageArray:
        down, across = self._border(image.shape[0]), self._border(image.shape[1])
        if not down and not across:
            return image
        return np.asarray(
            cv2.copyMakeBorder(image, down, down, across, across, cv2.BORDER_REFLECT_101), np.uint8
        )

"""Image to relative depth, with any network that a manifest describes."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.engines.manifest import Manifest
from metric_depth_ros.errors import ModelError
from metric_depth_ros.types import FloatArray, ImageArray, RelativeDepth, Runtime


class DepthEngine:
    """A depth network on a runtime. One image at a time; not thread safe."""

    def __init__(self, manifest: Manifest, runtime: Runtime) -> None:
        """Runs the network once: a file that does not fit its manifest raises ModelError here."""
        self.manifest = manifest
        self._runtime = runtime
        item = manifest.input
        self._input = np.zeros((1, 3, item.height, item.width), np.float32)
        mean, std = np.array(item.mean), np.array(item.std)
        self._gain = (1 / (255 * std)).astype(np.float32)
        self._offset = (-mean / std).astype(np.float32)
        self.predict(np.zeros((item.height, item.width, 3), np.uint8))

    def predict(self, image: ImageArray) -> RelativeDepth:
        """Relative depth (H, W) of an RGB image (H, W, 3); NaN where the network gave no number.

        Raises:
            ModelError: the network's output is not as the manifest says, or holds no number at all.
        """
        width, height = self._fill(image)
        outputs = self._runtime.run({self.manifest.input.name: self._input})
        values = self._map(outputs)
        part = self._part(values, width, height)
        values = cv2.resize(part, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
        return RelativeDepth(
            values,
            self.manifest.output.kind,
            self.manifest.output.metric,
            {
                ours: self._part(outputs[theirs][0], width, height)
                for ours, theirs in self.manifest.features.items()
            },
        )

    def _part(self, maps: FloatArray, width: int, height: int) -> FloatArray:
        """The image's part of maps (..., h, w), in the proportion it has of the input: letterbox."""
        rows = round(maps.shape[-2] * height / self._input.shape[2])
        columns = round(maps.shape[-1] * width / self._input.shape[3])
        return maps[..., :rows, :columns]

    def _fill(self, image: ImageArray) -> tuple[int, int]:
        """Writes the image into the input; returns the width and height it takes there."""
        item = self.manifest.input
        width, height = item.width, item.height
        if item.resize == "letterbox":
            scale = min(width / image.shape[1], height / image.shape[0])
            width, height = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
            self._input[:] = 0
        shrinks = width < image.shape[1] or height < image.shape[0]
        small = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        channels = range(3) if item.colour == "rgb" else range(2, -1, -1)
        for to, channel in enumerate(channels):
            plane = self._input[0, to, :height, :width]
            np.multiply(small[:, :, channel], self._gain[to], out=plane)
            plane += self._offset[to]
        return width, height

    def _map(self, outputs: dict[str, FloatArray]) -> FloatArray:
        """The depth output as (h, w) float32, floored as the manifest says."""
        missing = {self.manifest.output.name, *self.manifest.features.values()} - set(outputs)
        if missing:
            raise ModelError(
                f"engine: {self.manifest.name!r} has no output {', '.join(sorted(missing))}; "
                f"it has {', '.join(outputs)}. Correct the manifest."
            )
        raw = np.asarray(outputs[self.manifest.output.name], np.float32)
        if raw.size < 2 or np.prod(raw.shape[-2:]) != raw.size:
            raise ModelError(
                f"engine: {self.manifest.name!r} gave an output of shape {raw.shape}; needed one (h, w) map."
            )
        values = raw.reshape(raw.shape[-2:])
        if self.manifest.output.floor is not None:
            values = np.maximum(values, np.float32(self.manifest.output.floor))
        values = np.where(np.isfinite(values), values, np.float32(np.nan))
        if np.isnan(values).all():
            raise ModelError(
                f"engine: {self.manifest.name!r} gave no finite number. The model file is broken."
            )
        return values

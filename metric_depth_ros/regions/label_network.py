"""Regions by a network that gives every pixel a label."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.config import RegionsConfig
from metric_depth_ros.engines.manifest import LabelManifest
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.errors import ModelError
from metric_depth_ros.regions.merging import rgb, split, tidied
from metric_depth_ros.types import ImageArray, IntArray, RelativeDepth, Runtime


class LabelSegmenter:
    """Segmenter: connected areas of one label, small ones merged into a neighbour. Not thread safe."""

    def __init__(self, manifest: LabelManifest, runtime: Runtime, config: RegionsConfig) -> None:
        """Runs the network once: a file that does not fit its manifest raises ModelError here."""
        self._manifest, self._runtime, self._config = manifest, runtime, config
        self._input = NetworkInput(manifest.input)
        self.labels(np.zeros((manifest.input.height, manifest.input.width, 3), np.uint8))

    def with_config(self, config: RegionsConfig) -> LabelSegmenter:
        """Segmenter with the same network and other settings."""
        other = LabelSegmenter.__new__(LabelSegmenter)
        other.__dict__.update(self.__dict__, _config=config)
        return other

    def segment(self, image: ImageArray, relative: RelativeDepth | None = None) -> IntArray:
        """Region labels (H, W) int32, 0 to n-1, every label used, of an RGB image (H, W, 3).

        Raises:
            InputError: another shape or type, or no pixels.
            ModelError: the network's output is not as in the manifest.
        """
        colour = rgb(image)
        return tidied(split(self.labels(colour)), colour, self._config.min_area)

    def labels(self, image: ImageArray) -> IntArray:
        """The network's own label of every pixel, (H, W) int32. Raises ModelError as ``segment`` does."""
        self._input.fill(image)
        outputs = self._runtime.run({self._manifest.input.name: self._input.array})
        found = _label_map(outputs, self._manifest)
        height, width = image.shape[:2]
        # Class numbers are exact in float32 up to 2^24.
        return self._input.undone(found.astype(np.float32), width, height, nearest=True).astype(np.int32)


def _label_map(outputs: dict[str, np.ndarray], manifest: LabelManifest) -> np.ndarray:
    """Labels (h, w). Raises ModelError when the output is missing or of another shape."""
    name = manifest.output.name
    if name not in outputs:
        raise ModelError(
            f"regions: {manifest.name!r} has no output {name}; it has {', '.join(outputs)}. Correct the "
            "manifest."
        )
    values = np.asarray(outputs[name])
    if manifest.output.kind == "scores" and values.ndim == 4 and values.shape[0] == 1 and values.shape[1] > 1:
        return np.asarray(values[0].argmax(0))
    if manifest.output.kind == "labels" and values.ndim in (3, 4) and np.prod(values.shape[:-2]) == 1:
        return values.reshape(values.shape[-2:])
    wanted = "(1, classes, h, w)" if manifest.output.kind == "scores" else "(1, h, w)"
    raise ModelError(
        f"regions: {manifest.name!r} gave {name} of shape {values.shape}; needed {wanted} for output.kind "
        f"{manifest.output.kind}. Correct the manifest."
    )

"""Pictures as one vector each, by an exported image encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.engines.manifest import ImageManifest, load_manifest_of, model_file
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes import load_portable
from metric_depth_ros.types import FloatArray, ImageArray, Runtime


class ImageEncoder:
    """Function from an image (H, W, 3) uint8 RGB to a vector (P,) float32. Not thread safe."""

    def __init__(self, manifest: ImageManifest, runtime: Runtime) -> None:
        self.manifest, self._runtime = manifest, runtime
        self._input = NetworkInput(manifest.input)

    @classmethod
    def load(cls, path: Path) -> ImageEncoder:
        """The encoder of a manifest. Raises ModelError if it cannot be used."""
        manifest = load_manifest_of(ImageManifest, path)
        file = model_file(path.parent / manifest.file, manifest.sha256, manifest.data)
        return cls(manifest, load_portable(file))

    def __call__(self, image: ImageArray) -> FloatArray:
        """Vector (P,) of an image. Raises ModelError if it is none, or not finite."""
        self._input.fill(image)
        outputs = self._runtime.run({self.manifest.input.name: self._input.array})
        found = np.asarray(outputs.get(self.manifest.vector, ()), np.float32)
        if found.ndim != 2 or len(found) != 1 or not np.isfinite(found).all():
            raise ModelError(
                f"{self.manifest.name}: a vector of shape {found.shape}; needed (1, P), finite. "
                "Export it again."
            )
        return np.array(found[0])

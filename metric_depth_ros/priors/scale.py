"""Prior from a scale network: the depth network's map times one factor (paper 002)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.engines import prior_model
from metric_depth_ros.engines.manifest import ScaleManifest, load_prior_manifest
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.errors import InputError, ModelError
from metric_depth_ros.priors.estimate import UNSEEN, check_network
from metric_depth_ros.runtimes import Request, choose_runtime
from metric_depth_ros.scale import unit_depth
from metric_depth_ros.types import Camera, ImageArray, Prior, PriorInput, Runtime


class ScalePrior:
    """The depth network's map times the factor of a scale network (paper 002). Not thread safe."""

    def __init__(self, manifest: ScaleManifest, runtime: Runtime) -> None:
        """Runs the network once: a file that does not fit its manifest raises ModelError here."""
        self.manifest, self._runtime = manifest, runtime
        self._input = NetworkInput(manifest.input)
        self.log_scale(np.zeros((manifest.input.height, manifest.input.width, 3), np.uint8))

    @classmethod
    def load(cls, path: Path, request: Request | None = None) -> ScalePrior:
        """The network of a manifest. Raises ModelError if the manifest or the file cannot be used."""
        manifest = load_prior_manifest(path)
        if not isinstance(manifest, ScaleManifest):
            raise ModelError(f"{path}: no scale_of; needed the manifest of a scale network.")
        wanted = request or Request("onnxruntime")
        return cls(manifest, choose_runtime(prior_model(manifest, path.parent), wanted).runtime)

    def factor(self, image: ImageArray, camera: Camera | None) -> float:
        """Factor that makes the ``unit_depth`` of an image (H, W, 3) metric.

        Raises:
            InputError: the network is canonical, and there is no camera.
            ModelError: as ``log_scale``.
        """
        scale = float(np.exp(self.log_scale(image)))
        if not self.manifest.canonical:
            return scale
        if camera is None:
            raise InputError(f"prior: no camera; {self.manifest.name} needs the focal length.")
        return scale * camera.relative_focal

    def log_scale(self, image: ImageArray) -> float:
        """Log of the factor for an image (H, W, 3), of the manifest's camera if it is canonical.

        Raises ModelError if the network gives no finite number.
        """
        self._input.fill(image)
        outputs = self._runtime.run({self.manifest.input.name: self._input.array})
        found = outputs.get(self.manifest.output)
        if found is None or found.size != 1 or not np.isfinite(found).all():
            shape = None if found is None else found.shape
            raise ModelError(
                f"prior: {self.manifest.name!r} gave {self.manifest.output} of shape {shape}; needed one "
                "finite number. Correct the manifest, or export the network again."
            )
        return float(found.ravel()[0])

    def __call__(self, given: PriorInput) -> Prior:
        """Prior (H, W) of an image; the focus changes nothing.

        Raises:
            ConfigError: it was trained for another depth network.
            InputError, ModelError: as ``factor``.
        """
        its = self.manifest
        check_network(its.name, its.scale_of, its.metric, given.relative, "scale")
        depth = unit_depth(given.relative) * np.float32(self.factor(given.image, given.camera))
        return Prior(depth, UNSEEN * self.manifest.sigma, self.manifest.name)

"""Prior from TR2M: the depth network's map times a scale map, plus a shift map (paper 003)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from metric_depth_ros.engines import prior_model
from metric_depth_ros.engines.manifest import TR2MManifest, load_prior_manifest
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.errors import InputError, ModelError
from metric_depth_ros.priors.estimate import UNSEEN, check_network
from metric_depth_ros.priors.text import SentenceReader, plain
from metric_depth_ros.runtimes import Request, choose_runtime
from metric_depth_ros.scale import unit_depth
from metric_depth_ros.types import Camera, FloatArray, ImageArray, Prior, PriorInput, Runtime


class TR2MPrior:
    """Metric depth 1 / (A D_r + B) with the maps of a TR2M network (equation 3). Not thread safe."""

    def __init__(self, manifest: TR2MManifest, runtime: Runtime, reader: SentenceReader) -> None:
        """Runs the network once: files that do not fit their manifest raise ModelError here."""
        self.manifest, self._runtime, self._reader = manifest, runtime, reader
        if reader.manifest.width != manifest.width:
            raise ModelError(
                f"{manifest.name}: tokens of {manifest.width} channels; {reader.manifest.name} gives "
                f"{reader.manifest.width}. Name the text encoder that it was trained with."
            )
        self._input = NetworkInput(manifest.input)
        self.maps(np.zeros((manifest.input.height, manifest.input.width, 3), np.uint8), "", None)

    @classmethod
    def load(cls, path: Path, request: Request | None = None) -> TR2MPrior:
        """The network of a manifest. Raises ModelError if the manifest or a file cannot be used."""
        manifest = load_prior_manifest(path)
        if not isinstance(manifest, TR2MManifest):
            raise ModelError(f"{path}: no maps_of; needed the manifest of a TR2M network.")
        reader = SentenceReader.load(path.parent / manifest.text)
        chosen = choose_runtime(prior_model(manifest, path.parent), request or Request("onnxruntime"))
        return cls(manifest, chosen.runtime, reader)

    def maps(
        self, image: ImageArray, description: str, camera: Camera | None
    ) -> tuple[FloatArray, FloatArray]:
        """Scale and shift map (H, W) of an image (H, W, 3), in 1/m for the inverse ``unit_depth``.

        Raises:
            ConfigError: the description needs the package tokenizers.
            ModelError: the network gives nothing that can be used.
        """
        self._input.fill(image)
        tokens, mask = self._reader.read(description)
        outputs = self._runtime.run(
            {self.manifest.input.name: self._input.array, "tokens": tokens, "mask": mask}
        )
        zoom = camera.relative_focal if camera is not None and self.manifest.canonical else 1.0
        size = image.shape[1::-1]
        scale, shift = (self._map(outputs, name, size) for name in ("scale", "shift"))
        return scale / np.float32(zoom), shift / np.float32(zoom)

    def __call__(self, given: PriorInput) -> Prior:
        """Prior (H, W) of an image with its description; the focus changes nothing.

        Its two maps are the shares of A D_r and of B in inverse depth: how log depth changes with each.

        Raises:
            ConfigError: it was trained for another depth network, or as ``maps``.
            InputError: the network is canonical, and there is no camera.
            ModelError: as ``maps``.
        """
        its = self.manifest
        check_network(its.name, its.maps_of, its.metric, given.relative, "tr2m")
        if its.canonical and given.camera is None:
            raise InputError(f"prior: no camera; {its.name} needs the focal length.")
        scale, shift = self.maps(given.image, given.description, given.camera)
        unit = unit_depth(given.relative)
        scaled = scale / np.where((unit > 0) & (unit < np.inf), unit, np.float32(np.nan))
        total = scaled + shift
        sigma = its.sigma if plain(given.description) else its.sigma_undescribed
        share = cv2.resize(scaled / total, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        maps = np.stack([share, 1 - share]) - np.float32(0.5)
        return Prior(1 / total, UNSEEN * sigma, its.name, has_shape=True, maps=maps)

    def _map(self, outputs: dict[str, FloatArray], name: str, size: tuple[int, int]) -> FloatArray:
        """One output, resized to ``size`` (width, height). Raises ModelError."""
        found = np.asarray(outputs.get(name, ()), np.float32)
        if found.ndim != 4 or found.shape[:2] != (1, 1) or not np.isfinite(found).all():
            raise ModelError(
                f"prior: {self.manifest.name!r} gave {name} of shape {found.shape}; needed (1, 1, h, w), "
                "finite. Correct the manifest, or export the network again."
            )
        return np.asarray(cv2.resize(found[0, 0], size, interpolation=cv2.INTER_LINEAR))

"""Priors: metric depth without anchors, from something learned, with the uncertainty of its scale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine, scale_model
from metric_depth_ros.engines.manifest import ScaleManifest, load_prior_manifest
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.errors import ConfigError, ModelError
from metric_depth_ros.runtimes import Request, choose_runtime
from metric_depth_ros.scale import unit_depth
from metric_depth_ros.share import share_path
from metric_depth_ros.types import Camera, Engine, ImageArray, Prior, RelativeDepth, Runtime

# The depth network's own metres, if it has some.
NETWORK = "network"
# The priors that come with the package, by their name in solver.prior.
BUNDLED_PRIORS = {
    "scale_cnn": "config/models/scale.yaml",
    "metric_solver": "config/models/tiny_metric_solver.yaml",
}
# Standard deviation of the log scale of networks whose manifest states none (ours).
UNSTATED_SIGMA = 0.35

# Function from image (H, W, 3), the depth network's output and the camera to a prior.
Estimate = Callable[[ImageArray, RelativeDepth, Camera], Prior]


def build_prior(name: str, config: EngineConfig) -> Estimate | None:
    """The prior that ``solver.prior`` names: a bundled one, a manifest, the network's own metres, or none.

    ``config``: runtime, precision and threads of its network.

    Raises:
        ModelError: the manifest or the model file cannot be used.
    """
    if not name:
        return None
    if name == NETWORK:
        return network_prior
    bundled = BUNDLED_PRIORS.get(name)
    path = share_path(bundled) if bundled else Path(name).expanduser()
    if not bundled and path.suffix == "":
        known = ", ".join((*BUNDLED_PRIORS, NETWORK))
        raise ModelError(f"solver.prior: {name!r}; needed {known} or a manifest.")
    if isinstance(load_prior_manifest(path), ScaleManifest):
        return ScalePrior.load(path, Request(config.runtime, config.precision, config.threads))
    engine = EngineConfig(
        str(path), runtime=config.runtime, precision=config.precision, threads=config.threads
    )
    return MetricNetworkPrior(build_engine(engine))


def network_prior(image: ImageArray, relative: RelativeDepth, camera: Camera) -> Prior:
    """The depth network's own metres; NaN where it gives no depth or an infinite one.

    Raises ConfigError if its depth is relative.
    """
    if not relative.metric:
        raise ConfigError(
            "solver.prior: network, but the network has no metres of its own (metric: false in its "
            "manifest). Name another prior, or take a metric network."
        )
    values = np.array(relative.values, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = 1 / values if relative.kind == "inverse_depth" else values
        depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return Prior(depth, UNSTATED_SIGMA, NETWORK)


class MetricNetworkPrior:
    """The metres of a second network. Not thread safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, image: ImageArray, relative: RelativeDepth, camera: Camera) -> Prior:
        """Prior (H, W) of an image. Raises ConfigError if the network's depth is relative, or ModelError."""
        found = self._engine.predict(image, camera=camera)
        return network_prior(image, found, camera)


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
        return cls(manifest, choose_runtime(scale_model(manifest, path.parent), wanted).runtime)

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

    def __call__(self, image: ImageArray, relative: RelativeDepth, camera: Camera) -> Prior:
        """Prior (H, W) of an image.

        Raises:
            ConfigError: the network gives metres and this one is for relative depth, or the other way round.
            ModelError: as ``log_scale``.
        """
        if relative.metric != self.manifest.metric:
            ours, theirs = (("metric" if m else "relative") for m in (self.manifest.metric, relative.metric))
            raise ConfigError(
                f"solver.prior: {self.manifest.name} is for {ours} depth, but the network gives {theirs} "
                "depth. Train one for this network: metric_depth train scale --engine MANIFEST."
            )
        scale = np.exp(self.log_scale(image))
        if self.manifest.canonical:
            scale *= camera.relative_focal
        return Prior(unit_depth(relative) * np.float32(scale), self.manifest.sigma, self.manifest.name)

"""Priors: metric depth without anchors, from something learned, with the uncertainty of its scale."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.depth import metres_of
from metric_depth_ros.engines import build_engine, scale_model
from metric_depth_ros.engines.manifest import Manifest, ScaleManifest, load_prior_manifest
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.runtimes import Request, choose_runtime
from metric_depth_ros.scale import unit_depth
from metric_depth_ros.share import share_path
from metric_depth_ros.types import Camera, Engine, ImageArray, Prior, RelativeDepth, Runtime

# The depth network's own metres, if it has some.
NETWORK = "network"
# The priors that come with the package, by their name in solver.prior.
BUNDLED_PRIORS = {
    "scale_cnn": "config/models/scale.yaml",
    "metric_solver": "config/models/metric_solver.yaml",
}
# Standard deviation of the log scale of networks whose manifest states none (ours).
UNSTATED_SIGMA = 0.35
# How much larger the error of a scale is on pictures unlike the training's (ours: 1.3 on the indoor develop
# frames, less on the outdoor ones).
_UNSEEN = 1.3


class Estimate(Protocol):
    """Image (H, W, 3), the depth network's output for it, its camera and the focus -> a prior.

    Raises:
        ConfigError: the prior does not fit the depth network.
        InputError: it needs a camera, and there is none.
        ModelError: its network gives nothing that can be used.
    """

    def __call__(
        self,
        image: ImageArray,
        relative: RelativeDepth,
        camera: Camera | None,
        focus_m: float | None = None,
    ) -> Prior: ...


def prior_path(name: str) -> Path | None:
    """Path of the manifest that ``solver.prior`` names; None for none, and for the network's own metres.

    Raises:
        ModelError: it is neither a known name nor a file's.
    """
    if name in ("", NETWORK):
        return None
    if name in BUNDLED_PRIORS:
        return share_path(BUNDLED_PRIORS[name])
    path = Path(name).expanduser()
    if path.suffix == "":
        known = ", ".join((*BUNDLED_PRIORS, NETWORK))
        raise ModelError(f"solver.prior: {name!r}; needed {known} or a manifest.")
    return path


def build_prior(name: str, config: EngineConfig) -> Estimate | None:
    """The prior that ``solver.prior`` names: a bundled one, a manifest, the network's own metres, or none.

    ``config``: runtime, precision and threads of its network.

    Raises:
        ModelError: the manifest or the model file cannot be used, or its network gives no metres.
    """
    path = prior_path(name)
    if path is None:
        return network_prior if name == NETWORK else None
    manifest = load_prior_manifest(path)
    if isinstance(manifest, ScaleManifest):
        return ScalePrior.load(path, Request(config.runtime, config.precision, config.threads))
    if isinstance(manifest, Manifest) and not manifest.output.metric:
        raise ModelError(
            f"solver.prior: {path} is of a network without metres (metric: false); needed a scale network or "
            "a metric one."
        )
    engine = EngineConfig(
        str(path), runtime=config.runtime, precision=config.precision, threads=config.threads
    )
    return MetricNetworkPrior(build_engine(engine))


def network_prior(
    image: ImageArray, relative: RelativeDepth, camera: Camera | None, focus_m: float | None = None
) -> Prior:
    """The depth network's own metres. Raises ConfigError if its depth is relative."""
    if not relative.metric:
        raise ConfigError(
            "solver.prior: network, but the network has no metres of its own (metric: false in its "
            "manifest). Name another prior, or take a metric network."
        )
    return Prior(metres_of(relative), UNSTATED_SIGMA, relative.network or NETWORK)


class MetricNetworkPrior:
    """The metres of a second network. Not thread safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(
        self,
        image: ImageArray,
        relative: RelativeDepth,
        camera: Camera | None,
        focus_m: float | None = None,
    ) -> Prior:
        """Prior (H, W) of an image, most precise at the focus if its network has one. Raises ModelError."""
        found = self._engine.predict(image, camera=camera, focus_m=focus_m)
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

    def __call__(
        self,
        image: ImageArray,
        relative: RelativeDepth,
        camera: Camera | None,
        focus_m: float | None = None,
    ) -> Prior:
        """Prior (H, W) of an image; the focus changes nothing.

        Raises:
            ConfigError: it was trained for another depth network.
            InputError, ModelError: as ``factor``.
        """
        self._check(relative)
        depth = unit_depth(relative) * np.float32(self.factor(image, camera))
        return Prior(depth, _UNSEEN * self.manifest.sigma, self.manifest.name)

    def _check(self, relative: RelativeDepth) -> None:
        """Raises ConfigError if the depth is not of the network that this one was trained for."""
        ours, theirs = self.manifest.scale_of, relative.network
        # A generator of basis maps behind a network leaves its depth as it is.
        same = not theirs or theirs.removesuffix("_basis") == ours.removesuffix("_basis")
        if not same or relative.metric != self.manifest.metric:
            kind = "metres" if self.manifest.metric else "relative depth"
            raise ConfigError(
                f"solver.prior: {self.manifest.name} is for the {kind} of {ours}; the network is "
                f"{theirs or 'another'}. Train one for it: metric_depth train scale --engine MANIFEST."
            )

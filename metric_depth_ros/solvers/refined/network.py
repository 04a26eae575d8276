"""Loads the network of ``refined`` from its manifest."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from metric_depth_ros.config import RefinedConfig
from metric_depth_ros.engines.manifest import RefinementManifest, load_manifest_of, model_file
from metric_depth_ros.errors import ModelError
from metric_depth_ros.files import user_path
from metric_depth_ros.runtimes import Model, Request, Size, choose_runtime
from metric_depth_ros.runtimes.stopping import StoppedError
from metric_depth_ros.share import share_path
from metric_depth_ros.solvers.refined.inputs import CHANNELS, SIDES, Look, cells_fit, channels_of
from metric_depth_ros.types import FloatArray, Runtime

LOOK, CORRECTION = "look", "correction"
BUNDLED = "config/models/refinement.yaml"

_LOG = logging.getLogger(__name__)


class RefinementNetwork:
    """Network on a runtime, which several cameras may share: one image at a time, others wait.

    Attributes:
        manifest: its description.
    """

    def __init__(self, manifest: RefinementManifest, runtime: Runtime) -> None:
        self.manifest, self._runtime, self._alone = manifest, runtime, Lock()

    @classmethod
    def load(cls, path: Path, request: Request | None = None) -> RefinementNetwork:
        """The network of a manifest, by default on ONNX Runtime.

        Raises ModelError if manifest, file or runtime cannot be used.
        """
        manifest = load_manifest_of(RefinementManifest, path)
        if manifest.channels != CHANNELS or not cells_fit(manifest.width, manifest.height):
            raise ModelError(
                f"{path}: {manifest.channels} channels of {manifest.width}x{manifest.height}; needed "
                f"{CHANNELS}, and {SIDES}. Train it anew."
            )
        shape = (1, manifest.channels, manifest.height, manifest.width)
        file = model_file(path.parent / manifest.file, manifest.sha256, manifest.data)
        model = Model(file, None, {LOOK: Size(shape, shape, shape)}, {LOOK: "float32"})
        chosen = choose_runtime(model, request or Request("onnxruntime"))
        _LOG.info("solver.refined: %s; %s, %s", path, chosen.label, chosen.why)
        return cls(manifest, chosen.runtime)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what it looks at."""
        return self.manifest.width, self.manifest.height

    def correction(self, look: Look) -> FloatArray:
        """Correction of log depth and change of log sigma (2, h, w).

        Raises ModelError if it gives anything else, or cannot run, as after the loss of a GPU; who asks for
        it next then gets another.
        """
        channels = channels_of(look)[None]
        try:
            with self._alone:
                outputs = self._runtime.run({LOOK: channels})
        except StoppedError:
            raise
        except ModelError:
            _loaded.cache_clear()
            raise
        found = np.asarray(outputs.get(CORRECTION, ()), np.float32)
        if found.shape != (1, 2, *channels.shape[2:]):
            raise ModelError(
                f"solver.refined: {self.manifest.name!r} gave {CORRECTION} of shape {found.shape}; needed "
                f"{(1, 2, *channels.shape[2:])}. Correct the manifest, or export the network again."
            )
        return np.asarray(found[0])


def load_network(config: RefinedConfig) -> RefinementNetwork:
    """The network of these settings, the same for all who ask for it; warns if it is for another solver.

    Raises ModelError.
    """
    path = user_path(config.network) if config.network else share_path(BUNDLED)
    request = Request(config.runtime, config.precision, config.threads, group="solver.refined")
    with _LOADING:
        network = _loaded(path, request)
    if network.manifest.solver != config.of:
        _warn(config.of, network.manifest.solver)
    return network


@lru_cache
def _warn(chosen: str, learned: str) -> None:
    """Warns, once, of a solver that a network has not seen."""
    _LOG.warning(
        "solver.refined.of: %s, but its network was trained on depth of %s. Train one for it, or leave it.",
        chosen,
        learned,
    )


# Settings may change with every image; the network is loaded once.
_LOADING = Lock()
_loaded = lru_cache(maxsize=2)(RefinementNetwork.load)

"""Loads the network of ``refined`` from its manifest."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from metric_depth_ros.engines.manifest import RefinementManifest, load_manifest_of, model_file
from metric_depth_ros.errors import ModelError
from metric_depth_ros.files import user_path
from metric_depth_ros.runtimes import Model, Request, Size, choose_runtime
from metric_depth_ros.share import share_path
from metric_depth_ros.solvers.refined.inputs import CHANNELS, POOLED, Look, channels_of
from metric_depth_ros.types import FloatArray, Runtime

LOOK, CORRECTION = "look", "correction"
BUNDLED = "config/models/refinement.yaml"
_THREADS = 2


class RefinementNetwork:
    """Network on a runtime, which several cameras may share: one image at a time, others wait."""

    def __init__(self, manifest: RefinementManifest, runtime: Runtime) -> None:
        self.manifest, self._runtime, self._alone = manifest, runtime, Lock()

    @classmethod
    def load(cls, path: Path, request: Request | None = None) -> RefinementNetwork:
        """The network of a manifest. Raises ModelError if the manifest or the file cannot be used."""
        manifest = load_manifest_of(RefinementManifest, path)
        steps = [side for side in (manifest.width, manifest.height) for cell in POOLED if side % cell]
        if manifest.channels != CHANNELS or steps:
            raise ModelError(
                f"{path}: {manifest.channels} channels of {manifest.width}x{manifest.height}; needed "
                f"{CHANNELS}, and sides that are multiples of {', '.join(map(str, POOLED))}. Train it anew."
            )
        shape = (1, manifest.channels, manifest.height, manifest.width)
        file = model_file(path.parent / manifest.file, manifest.sha256, manifest.data)
        model = Model(file, None, {LOOK: Size(shape, shape, shape)}, {LOOK: "float32"})
        wanted = request or Request("onnxruntime", threads=_THREADS)
        return cls(manifest, choose_runtime(model, wanted).runtime)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what it looks at."""
        return self.manifest.width, self.manifest.height

    def correction(self, look: Look) -> FloatArray:
        """Correction of log depth and change of log sigma (2, h, w)."""
        channels = channels_of(look)[None]
        with self._alone:
            found = self._runtime.run({LOOK: channels})[CORRECTION]
        return np.asarray(found[0], np.float32)


def load_network(path: str) -> RefinementNetwork:
    """The network of a manifest, or for an empty path the bundled one. Raises ModelError."""
    return _loaded(user_path(path) if path else share_path(BUNDLED))


# Settings may change with every image; the network is loaded once.
_loaded = lru_cache(maxsize=2)(RefinementNetwork.load)

"""Engine of Metric-Solver (paper 004): metric depth without anchors, at one focus or several at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metric_depth_ros.engines.manifest import MetricSolverManifest
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.errors import ModelError
from metric_depth_ros.near_far import fuse_focuses
from metric_depth_ros.types import Camera, FloatArray, ImageArray, RelativeDepth, Runtime

_OUTPUTS = ("near", "far", "mask")


class MetricSolverEngine:
    """Engine that runs an encoder once per image and the decoders once for all focuses. Not thread safe.

    Attributes:
        manifest: description of the network.
        label: the encoder's runtime, its precision and device.
        why: why this runtime was chosen.
        on_cpu: whether it runs on the CPU.
    """

    def __init__(
        self,
        manifest: MetricSolverManifest,
        encoder: Runtime,
        decoders: Runtime,
        *,
        focuses_m: Sequence[float] = (),
        soft: bool = False,
        label: str = "",
        why: str = "",
        on_cpu: bool = True,
    ) -> None:
        """Runs the network once: files that do not fit their manifest raise ModelError here.

        Args:
            focuses_m: focuses in metres at which every image is decoded; empty: a single one.
            soft: fuse by probability (ours), instead of taking the more probable branch.
        """
        self.manifest = manifest
        self.label, self.why, self.on_cpu = label, why, on_cpu
        self._encoder, self._decoders = encoder, decoders
        self._focuses, self._soft = tuple(focuses_m), soft
        self._input = NetworkInput(manifest.input)
        self.predict(np.zeros((manifest.input.height, manifest.input.width, 3), np.uint8))

    def predict(
        self, image: ImageArray, *, focus_m: float | None = None, camera: Camera | None = None
    ) -> RelativeDepth:
        """Metric depth (H, W) in metres of an RGB image (H, W, 3); NaN where it is infinite.

        Args:
            focus_m: depth at which the result should be most precise; added to ``focuses_m``, or
                replaces the manifest's if there are none. Clamped to the ends of the pool.
            camera: whose image it is; a canonical network takes None for a ``relative_focal`` of 1.

        Raises:
            ModelError: the network's outputs are not as in the manifest, or have no finite value.
        """
        self._input.fill(image)
        features = self._encoder.run({self.manifest.input.name: self._input.array})
        zoom = camera.relative_focal if camera is not None and self.manifest.canonical else 1.0
        focuses = self.used_focuses(focus_m, zoom)
        outputs = self._decoders.run({**features, "focus": np.array(focuses, np.float32)})
        near, far, mask = (self._maps(outputs, name, len(focuses)) for name in _OUTPUTS)
        depth = fuse_focuses(near, far, mask, focuses, taper=self.manifest.taper, soft=self._soft)
        depth = depth * np.float32(zoom)
        depth = np.where(np.isfinite(depth), depth, np.float32(np.nan))
        if np.isnan(depth).all():
            raise ModelError(f"engine: {self.manifest.name!r} gave no finite depth. Its files are broken.")
        values = self._input.undone(depth, image.shape[1], image.shape[0])
        return RelativeDepth(values, "depth", metric=True, network=self.manifest.name)

    def used_focuses(self, focus_m: float | None, zoom: float = 1.0) -> list[float]:
        """Focuses at which an image is decoded, rising, in the network's metres: ``zoom`` of ours each."""
        pool = self.manifest.focuses
        asked = [*self._focuses, *([focus_m] if focus_m else [])] or [self.manifest.focus_m]
        return sorted({min(max(float(focus) / zoom, pool[0]), pool[-1]) for focus in asked})

    def _maps(self, outputs: dict[str, FloatArray], name: str, count: int) -> FloatArray:
        """One output of the decoders, (count, h, w) float32. Raises ModelError."""
        found = np.asarray(outputs.get(name, ()), np.float32)
        if found.ndim != 4 or found.shape[:2] != (count, 1):
            raise ModelError(
                f"engine: the decoders of {self.manifest.name!r} gave {name} of shape {found.shape}; needed "
                f"({count}, 1, h, w). Export the network again."
            )
        return found[:, 0]

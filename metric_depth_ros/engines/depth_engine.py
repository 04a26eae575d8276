"""Image to relative depth, with any network that a manifest describes."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.engines.manifest import Manifest
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.errors import ModelError
from metric_depth_ros.types import Camera, FloatArray, ImageArray, RelativeDepth, Runtime


class DepthEngine:
    """A depth network on a runtime. One image at a time; not thread safe.

    Attributes:
        manifest: description of the network.
        label: the runtime, its precision and device.
        why: why this runtime was chosen.
        on_cpu: whether it runs on the CPU.
    """

    def __init__(
        self, manifest: Manifest, runtime: Runtime, *, label: str = "", why: str = "", on_cpu: bool = True
    ) -> None:
        """Runs the network once: a file that does not fit its manifest raises ModelError here."""
        self.manifest = manifest
        self.label, self.why, self.on_cpu = label, why, on_cpu
        self._runtime = runtime
        item = manifest.input
        self._input = NetworkInput(item)
        self.predict(np.zeros((item.height, item.width, 3), np.uint8))

    def predict(
        self, image: ImageArray, *, focus_m: float | None = None, camera: Camera | None = None
    ) -> RelativeDepth:
        """Relative depth (H, W) of an RGB image (H, W, 3); NaN where the network gives no finite value.

        Focus and camera change nothing here.

        Raises:
            ModelError: the network's output is not as in the manifest, or has no finite value.
        """
        self._input.fill(image)
        outputs = self._runtime.run({self.manifest.input.name: self._input.array})
        values = self._input.undone(self._map(outputs), image.shape[1], image.shape[0])
        return RelativeDepth(
            values,
            self.manifest.output.kind,
            self.manifest.output.metric,
            {
                ours: self._input.part(outputs[theirs][0], image.shape[1], image.shape[0])
                for ours, theirs in self.manifest.features.items()
            },
            self.manifest.depth_of or self.manifest.name,
        )

    def _map(self, outputs: dict[str, FloatArray]) -> FloatArray:
        """Depth output (h, w) float32, raised to the manifest's floor; NaN where not finite."""
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

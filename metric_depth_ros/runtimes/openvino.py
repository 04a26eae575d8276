"""OpenVINO: faster than ONNX Runtime on CPUs that compute in bfloat16."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.fingerprint import processor
from metric_depth_ros.runtimes.model import Model
from metric_depth_ros.runtimes.plan_cache import PlanCache
from metric_depth_ros.types import Array, FloatArray


class OpenVino:
    """Network compiled for the CPU."""

    def __init__(self, model: Model, precision: str, *, threads: int) -> None:
        """``threads`` 0 uses all cores. Raises ModelError if the file cannot be used."""
        import openvino as ov

        file, core = model.full, ov.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            # External weights are only found beside a file.
            with file.opened() as content:
                network = core.read_model(file.path) if file.data else core.read_model(content, b"")
                compiled = core.compile_model(network, "CPU", settings)
        except ModelError:
            raise
        except Exception as error:  # openvino raises RuntimeError and its own exceptions
            raise ModelError(f"{file.path}: OpenVINO cannot load it: {_first_lines(error)}") from error
        self._path = file.path
        # An output is found by each name that its value has in the file.
        self._outputs = [(name, output) for output in compiled.outputs for name in output.get_names()]
        self._request = compiled.create_infer_request()

    def cancel(self) -> None:
        """Ends the run that another thread waits for."""
        self._request.cancel()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, FloatArray]:
        """All outputs by name. Raises ModelError if the inputs do not fit the file."""
        try:
            # The inputs are not copied; the outputs are, since the next run overwrites them.
            found = self._request.infer(dict(inputs), share_inputs=True, share_outputs=False)
        except Exception as error:
            raise ModelError(f"{self._path}: OpenVINO: {_first_lines(error)}") from error
        return {name: np.asarray(found[output]) for name, output in self._outputs}


class OpenVinoBackend:
    """Runs networks with OpenVINO on the CPU."""

    name, device, automatic, any_thread = "openvino", "cpu", True, True

    def missing(self) -> str:
        """Why the backend cannot be used; empty if it can."""
        return "" if find_spec("openvino") else "openvino is not installed: pip install openvino"

    def version(self) -> str:
        """Library version."""
        return version("openvino")

    def hardware(self) -> tuple[str, str]:
        """CPU name; the compute capability is empty."""
        return processor(), ""

    def precisions(self, model: Model) -> tuple[str, ...]:
        """Precisions, best first: bfloat16 if the CPU computes in it."""
        import openvino as ov

        able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return ("bf16", "fp32") if "BF16" in able else ("fp32",)

    def load(self, model: Model, precision: str, *, threads: int, cache: PlanCache) -> OpenVino:
        """Compiled network. Raises ModelError."""
        return OpenVino(model, precision, threads=threads)


def _first_lines(error: Exception) -> str:
    """First lines of an error: OpenVINO appends its C++ call stack."""
    return " ".join(str(error).split())[:300]

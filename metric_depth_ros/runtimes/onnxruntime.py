"""ONNX Runtime: the portable runtime, on the CPU or on a GPU."""

from __future__ import annotations

import functools
import logging
import math
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes import cuda
from metric_depth_ros.runtimes.fingerprint import Fingerprint, processor
from metric_depth_ros.runtimes.model import Model, ModelFile
from metric_depth_ros.runtimes.plan_cache import PlanCache
from metric_depth_ros.runtimes.watchdog import check_size
from metric_depth_ros.types import Array, FloatArray

_LOG = logging.getLogger(__name__)

# Of an arena: how it grows, its first and its largest unused part.
_DEFAULTS = (-1, -1, -1)
_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


def library() -> ModuleType:
    """Imports ONNX Runtime with telemetry off: version 1.31 would store a device id in the user's cache."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is imported
    import onnxruntime

    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    module: ModuleType = onnxruntime
    return module


@functools.cache
def _bound_memory() -> bool:
    """Limits the memory of all sessions on the CPU together to 3/4 of the machine's; False if it cannot.

    A network that needs more fails with an error, where the system would end the program.
    """
    ort = library()
    limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 * 3
    kinds = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    try:
        ort.create_and_register_allocator(
            ort.OrtMemoryInfo("Cpu", *kinds), ort.OrtArenaCfg(limit, *_DEFAULTS)
        )
    except Exception as error:  # onnxruntime's exceptions have no other common parent
        _LOG.warning("engine: the memory of networks has no limit: %s", error)
        return False
    return True


def _stated_size(output: Any) -> tuple[str, int]:
    """Name and bytes of an output; 0 if the file does not state its size."""
    stated = [n for n in output.shape if isinstance(n, int)]
    return output.name, 4 * math.prod(stated) if len(stated) == len(output.shape) else 0


class OnnxRuntime:
    """Network in a session of ONNX Runtime.

    Attributes:
        inputs: name to shape, as stated in the file; text or None for dynamic sizes.
        outputs: the same for the outputs.
    """

    def __init__(
        self,
        file: ModelFile,
        *,
        threads: int,
        provider: str = "cpu",
        options: Mapping[str, str] | None = None,
    ) -> None:
        """``threads`` 0 uses all cores; ``options`` are those of the provider.

        Raises:
            ModelError: the file cannot be used, or the provider does not start.
        """
        ort = library()
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        # Spinning threads would take CPU time from other nodes between two images.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Without these it would read weights from the working directory, and files in its own format.
        folder = str(file.path.parent.resolve())
        settings.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        settings.add_session_config_entry("session.load_model_format", "ONNX")
        if provider == "cpu" and _bound_memory():
            settings.add_session_config_entry("session.use_env_allocators", "1")
        name = _PROVIDERS[provider]
        try:
            with file.opened() as content:
                self._session = ort.InferenceSession(
                    content, settings, providers=[(name, dict(options or {}))], enable_fallback=0
                )
        except ModelError:
            raise
        except Exception as error:  # onnxruntime's exceptions have no other common parent
            raise ModelError(
                f"{file.path}: ONNX Runtime cannot load it: {' '.join(str(error).split())}"
            ) from error
        if name not in self._session.get_providers():  # it continues without a provider that does not start
            raise ModelError(f"ONNX Runtime: {name} does not start; see the lines it printed.")
        self._path, self._options = file.path, ort.RunOptions()
        self.inputs = {item.name: list(item.shape) for item in self._session.get_inputs()}
        self.outputs = {item.name: list(item.shape) for item in self._session.get_outputs()}
        check_size(dict(map(_stated_size, self._session.get_outputs())), str(file.path))

    def cancel(self) -> None:
        """Ends the run that another thread waits for, before its next operator."""
        self._options.terminate = True

    def run(self, inputs: Mapping[str, Array]) -> dict[str, FloatArray]:
        """All outputs by name. Raises ModelError if the inputs do not fit the file."""
        self._options.terminate = False
        try:
            values = self._session.run(None, dict(inputs), self._options)
        except Exception as error:
            raise ModelError(f"{self._path}: {' '.join(str(error).split())}") from error
        return {name: np.asarray(value) for name, value in zip(self.outputs, values, strict=True)}


class OnnxRuntimeBackend:
    """Runs networks with ONNX Runtime through one of its providers."""

    name = "onnxruntime"

    def __init__(self, provider: str = "cpu") -> None:
        self.device = provider
        self.any_thread = provider == "cpu"
        # The TensorRT provider takes minutes to start, and the TensorRT runtime does the same.
        self.automatic = provider != "tensorrt"

    def missing(self) -> str:
        """Why the backend cannot be used; empty if it can."""
        if find_spec("onnxruntime") is None:
            return "onnxruntime is not installed: pip install onnxruntime"
        if self.device == "cpu":
            return ""
        if not _has_library(self.device):
            return f"this onnxruntime has no {_PROVIDERS[self.device]}: pip install onnxruntime-gpu"
        return cuda.missing()

    def version(self) -> str:
        """Library version."""
        for package in ("onnxruntime", "onnxruntime-gpu"):
            try:
                return version(package)
            except PackageNotFoundError:
                continue
        return str(library().__version__)

    def hardware(self) -> tuple[str, str]:
        """Device name and compute capability."""
        return (processor(), "") if self.device == "cpu" else cuda.device()

    def precisions(self, model: Model) -> tuple[str, ...]:
        """Precisions, best first. On CPUs float16 is slower than float32."""
        return ("fp16", "fp32") if self.device != "cpu" and model.half is not None else ("fp32",)

    def load(self, model: Model, precision: str, *, threads: int, cache: PlanCache) -> OnnxRuntime:
        """Session with the network, ready to run. Raises ModelError."""
        file, options = model.at(precision), dict[str, str]()
        if self.device == "cuda":
            options = {"use_tf32": "0"}
        elif self.device == "tensorrt" and (folder := cache.folder(self._plan(file, precision))) is not None:
            options = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}
        runtime = OnnxRuntime(file, threads=threads, provider=self.device, options=options)
        _check_inputs(model, runtime)
        return runtime

    def _plan(self, file: ModelFile, precision: str) -> str:
        """Folder name for the provider's plans of one network: their file names do not identify it."""
        fingerprint = Fingerprint(
            "plans", file.identity, self.name, self.version(), *self.hardware(), precision=precision
        )
        return f"{fingerprint.slot}-{fingerprint.digest[:16]}"


def _check_inputs(model: Model, runtime: OnnxRuntime) -> None:
    """Raises ModelError if the file's inputs differ from the model's inputs."""
    if model.sizes and set(runtime.inputs) != set(model.sizes):
        raise ModelError(
            f"{model.full.path}: takes the inputs {', '.join(runtime.inputs)}; the manifest says "
            f"{', '.join(model.sizes)}. Correct input.name there."
        )
    for name, size in model.sizes.items():
        for shape in (size.smallest, size.usual, size.largest):
            found = runtime.inputs[name]
            fits = len(found) == len(shape) and all(
                not isinstance(n, int) or n == shape[i] for i, n in enumerate(found)
            )
            if not fits:
                raise ModelError(
                    f"{model.full.path}: {name!r} is of shape {found}; the manifest says {list(shape)}. "
                    "Correct its width, height, layout or multiple_of."
                )


def _has_library(provider: str) -> bool:
    """Whether the wheel contains the provider; looks at its files, since importing is slow."""
    spec = find_spec("onnxruntime")
    folder = Path(next(iter((spec and spec.submodule_search_locations) or ["."])))
    return (folder / "capi" / f"libonnxruntime_providers_{provider}.so").is_file()

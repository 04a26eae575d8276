"""Runtimes: libraries that run a model file, with arrays in and arrays out."""

from __future__ import annotations

from pathlib import Path

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.backend import Backend
from metric_depth_ros.runtimes.choice import Chosen, Request, choose
from metric_depth_ros.runtimes.model import Model, ModelFile, Size, unverified
from metric_depth_ros.runtimes.onnxruntime import OnnxRuntimeBackend
from metric_depth_ros.runtimes.openvino import OpenVinoBackend
from metric_depth_ros.runtimes.plan_cache import PlanCache
from metric_depth_ros.runtimes.tensorrt import TensorRtBackend
from metric_depth_ros.runtimes.torch import TorchBackend
from metric_depth_ros.runtimes.watchdog import load_watched
from metric_depth_ros.types import Runtime

# The reference; used if every other runtime fails.
PORTABLE = OnnxRuntimeBackend("cpu")
# In order of preference: without timings, the first that passes the self-test is chosen.
BACKENDS: tuple[Backend, ...] = (
    TensorRtBackend(), TorchBackend("cuda"), OnnxRuntimeBackend("tensorrt"), OnnxRuntimeBackend("cuda"),
    OpenVinoBackend(), PORTABLE, TorchBackend("cpu"),
)  # fmt: skip

__all__ = ["BACKENDS", "PORTABLE", "Chosen", "Model", "ModelFile", "PlanCache", "Request", "Size"]


def choose_runtime(model: Model, request: Request) -> Chosen:
    """Network on the requested or the fastest installed runtime, self-tested (see ``choice.choose``).

    Raises:
        ModelError: the runtime is not installed, or the file cannot be used.
    """
    return choose(model, request, backends=BACKENDS, portable=PORTABLE, cache=PlanCache())


def load_portable(file: ModelFile) -> Runtime:
    """File on ONNX Runtime on the CPU: the reference, so without a self-test. Raises ModelError."""
    return load_watched(PORTABLE, Model(file), "fp32", threads=1, cache=PlanCache())


def build_runtime(name: str, path: Path, *, threads: int) -> Runtime:
    """Runtime on the CPU, in float32 and without a self-test, for a file that this process made.

    Raises:
        ModelError: the runtime is not installed, or the file cannot be used.
    """
    backend = next(b for b in BACKENDS if (b.name, b.device) == (name, "cpu"))
    if reason := backend.missing():
        raise ModelError(f"{name}: {reason}.")
    return load_watched(backend, Model(unverified(path)), "fp32", threads=threads, cache=PlanCache())

"""What runs a model file: arrays in, arrays out."""

from __future__ import annotations

from pathlib import Path

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.choice import Backend, Chosen, Request, choose
from metric_depth_ros.runtimes.model import Model, ModelFile, Size, unverified
from metric_depth_ros.runtimes.onnxruntime import OnnxRuntimeBackend
from metric_depth_ros.runtimes.openvino import OpenVinoBackend
from metric_depth_ros.runtimes.plan_cache import PlanCache
from metric_depth_ros.runtimes.tensorrt import TensorRtBackend
from metric_depth_ros.runtimes.torch import TorchBackend
from metric_depth_ros.types import Runtime

# The reference, and what is left when everything else fails.
PORTABLE = OnnxRuntimeBackend("cpu")
# In order of preference: the first that passes is taken where no timing decides.
BACKENDS: tuple[Backend, ...] = (
    TensorRtBackend(), TorchBackend("cuda"), OnnxRuntimeBackend("tensorrt"), OnnxRuntimeBackend("cuda"),
    OpenVinoBackend(), PORTABLE, TorchBackend("cpu"),
)  # fmt: skip

__all__ = ["BACKENDS", "PORTABLE", "Chosen", "Model", "ModelFile", "PlanCache", "Request", "Size"]


def choose_runtime(model: Model, request: Request) -> Chosen:
    """The network on the runtime asked for, or on the fastest one here; tested (see ``choice.choose``).

    Raises:
        ModelError: the runtime is not here, or the file cannot be used.
    """
    return choose(model, request, backends=BACKENDS, portable=PORTABLE, cache=PlanCache())


def build_runtime(name: str, path: Path, *, threads: int) -> Runtime:
    """A file of this process's own making on the processor, in single precision and without a self-test.

    Raises:
        ModelError: the runtime is not here, or the file cannot be used.
    """
    backend = next(b for b in BACKENDS if (b.name, b.device) == (name, "cpu"))
    if reason := backend.missing():
        raise ModelError(f"{name}: {reason}.")
    return backend.load(Model(unverified(path)), "fp32", threads=threads, cache=PlanCache())

"""PyTorch: runs the ONNX graph itself, on a GPU (as a CUDA graph) or on the CPU.

No checkpoint is loaded, so no pickle is read, and the network's code is not needed.
*Not verified on a GPU.*
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

from metric_depth_ros.runtimes import cuda
from metric_depth_ros.runtimes.fingerprint import processor
from metric_depth_ros.runtimes.model import Model
from metric_depth_ros.runtimes.plan_cache import PlanCache
from metric_depth_ros.types import Runtime


class TorchBackend:
    """Runs networks with PyTorch."""

    name, any_thread = "torch", False

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        # On a CPU it is slower than ONNX Runtime (docs/runtimes.md), and importing it takes seconds.
        self.automatic = device != "cpu"

    def missing(self) -> str:
        """Why the backend cannot be used; empty if it can."""
        absent = [name for name in ("torch", "onnx") if find_spec(name) is None]
        if absent:
            return f"{' and '.join(absent)} not installed: pip install {' '.join(absent)}"
        if self.device == "cpu":
            return ""
        if reason := cuda.missing():
            return reason
        try:
            import torch
        except (ImportError, OSError) as error:
            return f"torch cannot be imported: {error}"
        return "" if torch.cuda.is_available() else "this torch is built without CUDA"

    def version(self) -> str:
        """Library version."""
        return version("torch")

    def hardware(self) -> tuple[str, str]:
        """Device name and compute capability."""
        return (processor(), "") if self.device == "cpu" else cuda.device()

    def precisions(self, model: Model) -> tuple[str, ...]:
        """Precisions, best first. Half precision means a float16 file, which is float32 where needed."""
        return ("fp16", "fp32") if self.device != "cpu" and model.half is not None else ("fp32",)

    def load(self, model: Model, precision: str, *, threads: int, cache: PlanCache) -> Runtime:
        """Network, ready to run. Raises ModelError."""
        from metric_depth_ros.runtimes.torch_program import Torch

        return Torch(model.at(precision), device=self.device, threads=threads)

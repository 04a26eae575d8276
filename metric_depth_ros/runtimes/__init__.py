"""What runs a model file: arrays in, arrays out."""

from __future__ import annotations

from pathlib import Path

from metric_depth_ros.runtimes.onnxruntime import OnnxRuntime

RUNTIMES = {"onnxruntime": OnnxRuntime}


def build_runtime(name: str, path: Path, *, threads: int) -> OnnxRuntime:
    """The named runtime with a model loaded. Raises ModelError when the file cannot be used."""
    return RUNTIMES[name](path, threads=threads)

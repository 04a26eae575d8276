"""Depth engines: a manifest, a runtime, and what lies between an image and relative depth."""

from __future__ import annotations

from pathlib import Path

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.manifest import checked_model_file, load_manifest
from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes import build_runtime


def build_engine(config: EngineConfig) -> DepthEngine:
    """The engine of a manifest, with its model file verified and run once.

    Raises:
        ModelError: no manifest is set, or the manifest or the model file cannot be used.
    """
    if not config.manifest:
        raise ModelError("engine.manifest: empty; needed the YAML file that describes the depth network.")
    path = Path(config.manifest).expanduser()
    manifest = load_manifest(path)
    model = Path(config.model).expanduser() if config.model else path.parent / manifest.file
    runtime = build_runtime(config.runtime, checked_model_file(manifest, model), threads=config.threads)
    return DepthEngine(manifest, runtime)

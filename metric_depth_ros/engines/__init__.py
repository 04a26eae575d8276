"""Depth engines: a manifest, a runtime, and what lies between an image and relative depth."""

from __future__ import annotations

from pathlib import Path

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.manifest import checked_model_file, load_manifest
from metric_depth_ros.runtimes import build_runtime
from metric_depth_ros.share import share_path

# The manifest of the network that comes with the package.
BUNDLED = "config/models/tiny_depth.yaml"
# The same with a generator behind it, for the solvers that need its maps.
BUNDLED_WITH_BASIS = "config/models/tiny_depth_basis.yaml"


def manifest_path(config: EngineConfig) -> Path:
    """Where the network's manifest lies: the one that is set, else the package's own."""
    return Path(config.manifest).expanduser() if config.manifest else share_path(BUNDLED)


def build_engine(config: EngineConfig) -> DepthEngine:
    """The engine of a manifest, or of the network that comes with the package; verified and run once.

    Raises:
        ModelError: the manifest or the model file cannot be used.
    """
    path = manifest_path(config)
    manifest = load_manifest(path)
    model = Path(config.model).expanduser() if config.model else path.parent / manifest.file
    runtime = build_runtime(config.runtime, checked_model_file(manifest, model), threads=config.threads)
    return DepthEngine(manifest, runtime)

"""Depth engines: a manifest, a runtime, and what lies between an image and relative depth."""

from __future__ import annotations

from pathlib import Path

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.image_input import sizes_of
from metric_depth_ros.engines.manifest import Manifest, load_manifest, model_file
from metric_depth_ros.runtimes import Model, Request, choose_runtime
from metric_depth_ros.share import share_path

# The manifest of the network that comes with the package.
BUNDLED = "config/models/tiny_depth.yaml"
# The same with a generator behind it, for the solvers that need its maps.
BUNDLED_WITH_BASIS = "config/models/tiny_depth_basis.yaml"


def manifest_path(config: EngineConfig) -> Path:
    """Where the network's manifest lies: the one that is set, else the package's own."""
    return Path(config.manifest).expanduser() if config.manifest else share_path(BUNDLED)


def build_engine(config: EngineConfig, *, anew: bool = False) -> DepthEngine:
    """The engine of a manifest, or of the network that comes with the package; verified and run once.

    May take minutes when a plan for an accelerator has to be built; the log says so. ``anew`` times the
    runtimes whatever was chosen before.

    Raises:
        ModelError: the manifest or the model file cannot be used, or the runtime is not here.
    """
    path = manifest_path(config)
    manifest = load_manifest(path)
    request = Request(config.runtime, config.precision, config.threads, anew)
    chosen = choose_runtime(depth_model(manifest, path.parent, config.model), request)
    on_cpu = chosen.device == "cpu"
    return DepthEngine(manifest, chosen.runtime, label=chosen.label, why=chosen.why, on_cpu=on_cpu)


def depth_model(manifest: Manifest, folder: Path, file: str = "") -> Model:
    """The files of a manifest that lies in ``folder``; ``file`` takes the place of the one it names.

    Raises ModelError as ``model_file`` does.
    """
    path = Path(file).expanduser() if file else folder / manifest.file
    half = manifest.fp16
    return Model(
        model_file(path, manifest.sha256, manifest.data),
        model_file(path.parent / half.file, half.sha256, half.data) if half is not None else None,
        {manifest.input.name: sizes_of(manifest.input)},
        {manifest.input.name: manifest.input.dtype},
    )

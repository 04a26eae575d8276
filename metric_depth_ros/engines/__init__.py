"""Depth engines: turn an image into relative depth with the network that a manifest describes."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines.averaged import AveragedEngine
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.manifest import (
    TOKENS,
    FileManifest,
    InputManifest,
    Manifest,
    MetricSolverManifest,
    ScaleManifest,
    TR2MManifest,
    load_engine_manifest,
    load_manifest,
    model_file,
)
from metric_depth_ros.engines.metric_solver import MetricSolverEngine
from metric_depth_ros.engines.network_input import sizes_of
from metric_depth_ros.errors import ConfigError, ModelError
from metric_depth_ros.files import user_path
from metric_depth_ros.near_far import focus_of
from metric_depth_ros.runtimes import Model, Request, Size, choose_runtime
from metric_depth_ros.share import share_path
from metric_depth_ros.types import Engine, Runtime

# The networks that come with the package, by their name in engine.manifest; an empty one is the default.
BUNDLED = {
    "": "config/models/small_depth.yaml",
    "small": "config/models/small_depth.yaml",
    "tiny": "config/models/tiny_depth.yaml",
}
# The default network with a generator of basis maps, by the solver that uses them.
BUNDLED_WITH_BASIS = {
    "gaussian_process": "config/models/small_depth_basis.yaml",
    "basis": "config/models/small_depth_basis.yaml",
    "refined": "config/models/small_depth_basis.yaml",
    "paper_basis": "config/models/small_depth_paper_basis.yaml",
}


def manifest_path(config: EngineConfig, setting: str = "engine.manifest") -> Path:
    """Path of the network's manifest: that of a bundled network by name, or the configured path.

    ``setting``: name in messages.

    Raises:
        ModelError: it is neither.
    """
    bundled = BUNDLED.get(config.manifest)
    if bundled:
        return share_path(bundled)
    path = user_path(config.manifest)
    if path.suffix == path.parent.name == "" and not os.path.exists(path):
        known = ", ".join(name for name in BUNDLED if name)
        raise ModelError(f"{setting}: {config.manifest!r}; needed a file, or one of {known}.")
    return path


def build_engine(config: EngineConfig, *, anew: bool = False) -> Engine:
    """Builds the engine of the configured network or, with ``second``, of two whose depths are averaged.

    Raises what ``build_network`` raises.
    """
    manifest_paths(config)  # an unknown second network is known before the first is loaded
    first = build_network(config, anew=anew)
    if not config.second:
        return first
    return AveragedEngine(first, build_second(config, anew=anew))


def build_second(config: EngineConfig, *, anew: bool = False) -> DepthEngine | MetricSolverEngine:
    """Builds the second network. Raises what ``build_network`` raises, in the name of ``engine.second``."""
    manifest_path(_second_of(config), "engine.second")
    return build_network(_second_of(config), anew=anew)


def manifest_paths(config: EngineConfig) -> list[Path]:
    """Paths of the manifests of the network and, if there is one, of the second. Raises ModelError."""
    paths = [manifest_path(config)]
    return [*paths, manifest_path(_second_of(config), "engine.second")] if config.second else paths


def build_network(config: EngineConfig, *, anew: bool = False) -> DepthEngine | MetricSolverEngine:
    """Builds the engine of the configured manifest, else of the package's own network, and runs it once.

    Model files are verified. Building a plan for an accelerator may take minutes; the log says so.
    ``anew`` times the runtimes again and ignores an earlier choice.

    Raises:
        ConfigError: ``focuses`` are not valid, or the network has no focus.
        ModelError: the manifest or the model file cannot be used, or the runtime is not available.
    """
    path = manifest_path(config)
    manifest = load_engine_manifest(path)
    request = Request(config.runtime, config.precision, config.threads, anew, config.timeout_s)
    if isinstance(manifest, MetricSolverManifest):
        return _metric_solver(manifest, path, config, request)
    if config.focuses:
        raise ConfigError(
            f"engine.focuses: {config.focuses!r}, but {path} is no Metric-Solver. Leave it empty, or set "
            "engine.manifest to one."
        )
    return _depth(manifest, path, config, request)


def _second_of(config: EngineConfig) -> EngineConfig:
    """Settings of the second network: its own manifest, what is left of the first one's."""
    return dataclasses.replace(config, manifest=config.second, second="", model="", focuses="")


def build_depth_engine(config: EngineConfig) -> DepthEngine:
    """Builds the engine of a network in one file, as ``build_network``. Raises ModelError for others too."""
    path = manifest_path(config)
    request = Request(config.runtime, config.precision, config.threads, timeout_s=config.timeout_s)
    return _depth(load_manifest(path), path, config, request)


def _depth(manifest: Manifest, path: Path, config: EngineConfig, request: Request) -> DepthEngine:
    chosen = choose_runtime(depth_model(manifest, path.parent, config.model), request)
    on_cpu = chosen.device == "cpu"
    return DepthEngine(manifest, chosen.runtime, label=chosen.label, why=chosen.why, on_cpu=on_cpu)


def _metric_solver(
    manifest: MetricSolverManifest, path: Path, config: EngineConfig, request: Request
) -> MetricSolverEngine:
    if config.model:
        raise ConfigError(f"engine.model: {config.model!r}; {path} names two files. Leave it empty.")
    focuses = [focus_of(text.strip()) for text in config.focuses.split(",")] if config.focuses else []
    item = manifest.input
    encoder = choose_runtime(_model(manifest.encoder, path, {item.name: sizes_of(item)}, item.dtype), request)
    # The decoders' inputs are the encoder's outputs and the focuses.
    sizes = _feature_sizes(encoder.runtime, item)
    sizes["focus"] = Size((len(focuses) or 1,), (1,), (len(focuses) + 1,))
    # In single precision: half precision would round tapered depth by metres.
    single = dataclasses.replace(request, precision="fp32")
    decoders = choose_runtime(_model(manifest.decoders, path, sizes, "float32"), single)
    return MetricSolverEngine(
        manifest, encoder.runtime, decoders.runtime, focuses_m=focuses, soft=config.fusion == "soft",
        label=encoder.label, why=f"{encoder.why}; decoders: {decoders.label}, {decoders.why}",
        on_cpu="cpu" in (encoder.device, decoders.device),
    )  # fmt: skip


def _feature_sizes(encoder: Runtime, item: InputManifest) -> dict[str, Size]:
    """Shapes of the encoder's outputs, by name."""
    size = sizes_of(item)
    shapes = size.usual, size.smallest, size.largest
    given = {shape: encoder.run({item.name: np.zeros(shape, item.dtype)}) for shape in set(shapes)}
    return {name: Size(*(given[shape][name].shape for shape in shapes)) for name in given[size.usual]}


def _model(file: FileManifest, path: Path, sizes: dict[str, Size], dtype: str) -> Model:
    """Model of one file in a manifest. Raises ModelError as ``model_file`` does."""
    model = model_file(path.parent / file.file, file.sha256, file.data)
    return Model(model, None, sizes, dict.fromkeys(sizes, dtype))


def prior_model(manifest: ScaleManifest | TR2MManifest, folder: Path) -> Model:
    """Model of a scale network or a TR2M in ``folder``. Raises ModelError as ``model_file`` does."""
    item = manifest.input
    file = model_file(folder / manifest.file, manifest.sha256, manifest.data)
    sizes = {item.name: sizes_of(item)}
    if isinstance(manifest, TR2MManifest):
        for name, shape in (("tokens", (1, TOKENS, manifest.width)), ("mask", (1, TOKENS))):
            sizes[name] = Size(shape, shape, shape)
    return Model(file, None, sizes, {item.name: item.dtype})


def depth_model(manifest: Manifest, folder: Path, file: str = "") -> Model:
    """Model of a manifest in ``folder``; ``file``, if given, replaces the file that it names.

    Raises ModelError as ``model_file`` does.
    """
    path = user_path(file) if file else folder / manifest.file
    half = manifest.fp16
    return Model(
        model_file(path, manifest.sha256, manifest.data),
        model_file(path.parent / half.file, half.sha256, half.data) if half is not None else None,
        {manifest.input.name: sizes_of(manifest.input)},
        {manifest.input.name: manifest.input.dtype},
    )

"""Exports a depth network with its basis generator as one ONNX file: a run gives relative depth and E.

The network's graph is copied unchanged, so its outputs stay equal to the bit.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metric_depth_ros.engines.manifest import Manifest, load_manifest, model_file
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.learning.export.description import write_manifest
from metric_depth_ros.learning.export.files import Exported, Wanted
from metric_depth_ros.learning.export.graph import check_parity, compared, trace
from metric_depth_ros.learning.models.basis_generator import BasisGenerator, FusedGenerator
from metric_depth_ros.learning.training.basis.cache import FEATURES, reduced_size
from metric_depth_ros.runtimes import build_runtime
from metric_depth_ros.types import BASIS, MISFIT, FloatArray

# The newest opset that torch's older exporter writes.
_NEWEST_OPSET = 20
_PREFIX = "generator_"
# Largest difference of E from torch, in standard deviations of E.
_PARITY = 3e-3
_STEP = "metric_depth train basis"


def export_basis(
    generator: BasisGenerator, engine: str | Path, wanted: Wanted, *, trained_on: str
) -> list[Exported]:
    """Writes NAME.onnx, the network of a manifest followed by the generator, and NAME.yaml.

    If the network already has a generator, it is replaced.

    Args:
        engine: the network's manifest, whose licence and size are kept.
        trained_on: sha256 of the network that the generator was trained with; "" skips this check.

    Raises:
        ConfigError: onnx is not installed.
        InputError: the folder cannot be written.
        ModelError: the generator was trained with another network, or the network lacks its features or has
            no fixed size, or the outputs of ONNX Runtime differ from torch's.
    """
    try:
        import onnx
    except ImportError as error:
        raise ConfigError("basis-export: onnx is not installed. Install it: pip install onnx") from error

    manifest = load_manifest(engine)
    source = Path(engine).parent / manifest.file
    model_file(source, manifest.sha256, manifest.data).verify()
    network = _without_generator(onnx.load(str(source)), onnx)
    digest = network_digest(source)
    if trained_on and trained_on not in (digest, manifest.sha256):
        raise ModelError(
            f"{engine}: its network is {digest[:12]}..., the generator was trained with {trained_on[:12]}..."
            "; needed the same one. Train a generator for this network."
        )
    noise = np.random.default_rng(0).standard_normal((1, 3, manifest.input.height, manifest.input.width))
    image = {manifest.input.name: noise.astype(np.float32)}
    given = build_runtime("onnxruntime", source, threads=1).run(image)
    inputs = _inputs(generator, manifest, given)
    fused = FusedGenerator(generator.eval(), manifest.output.kind, reduced_size(manifest)[::-1]).eval()
    opset = max(item.version for item in network.opset_import if item.domain in ("", "ai.onnx"))
    part = BytesIO()
    trace(fused, part, inputs, (BASIS, MISFIT), opset=min(opset, _NEWEST_OPSET))
    model = _merged(onnx, network, onnx.load_model_from_string(part.getvalue()), manifest)
    path = wanted.folder / f"{wanted.name}.onnx"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed a folder to write to.") from error
    after = build_runtime("onnxruntime", path, threads=1).run(image)
    if not np.array_equal(after[manifest.output.name], given[manifest.output.name]):
        raise ModelError(f"{path}: the network's own depth has changed; needed the same to the bit.")
    with torch.inference_mode():
        maps = [output.numpy() for output in fused(*map(torch.from_numpy, inputs.values()))]
    found = compared((BASIS, MISFIT), [after[BASIS], after[MISFIT]], maps, least=1e-6)
    check_parity(path, found.largest, _PARITY)
    return [Exported(_described(manifest, path, wanted.name), (path,), found)]


def _described(manifest: Manifest, path: Path, name: str) -> Path:
    """Writes the manifest of the network with its generator; returns its path."""
    described = dataclasses.replace(
        manifest,
        name=name,
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        features={**manifest.features, BASIS: BASIS, MISFIT: MISFIT},
        source=_source(manifest.source),
        depth_of=manifest.depth_of or manifest.name,
        # All weights are in one file.
        data={},
        fp16=None,
    )
    outputs = f"{BASIS}, {MISFIT} are for the solvers gaussian_process, basis and paper_basis."
    comment = f"{manifest.name}, and behind it a basis generator: {outputs}"
    write_manifest(described, path.with_suffix(".yaml"), comment)
    return path.with_suffix(".yaml")


def _source(before: str) -> str:
    """Source text of the network with this step added, once."""
    before = before.removesuffix(_STEP).removesuffix(", then ")
    return f"{before}, then {_STEP}" if before else _STEP


def network_digest(model: Path) -> str:
    """sha256 of a network's file without a generator, so replacing the generator does not change it.

    Raises:
        ConfigError: the file has a generator, and onnx is not installed.
    """
    data = model.read_bytes()
    if _PREFIX.encode() not in data:
        return hashlib.sha256(data).hexdigest()
    try:
        import onnx
    except ImportError as error:
        raise ConfigError(
            f"{model}: onnx is needed to look behind its generator: pip install onnx"
        ) from error
    bare = _without_generator(onnx.load_model_from_string(data), onnx)
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def _inputs(generator: BasisGenerator, manifest: Manifest, given: Mapping[str, Any]) -> dict[str, FloatArray]:
    """The network's outputs that are the generator's inputs: depth, features. Raises ModelError."""
    value = np.asarray(given[manifest.output.name], np.float32)
    inputs = {"depth": value.reshape(1, 1, *value.shape[-2:]) if value.ndim != 3 else value}
    channels = generator.config.features
    if channels:
        theirs = manifest.features.get(FEATURES)
        found = given.get(theirs) if theirs else None
        if found is None or found.ndim != 4 or found.shape[1] != channels:
            shape = None if found is None else found.shape
            raise ModelError(
                f"{manifest.name}: features {FEATURES!r} are {shape}; the generator "
                f"needs (1, {channels}, h, w). Name them in the manifest, or train with --blind."
            )
        inputs["features"] = found
    return inputs


def _merged(onnx: Any, network: Any, part: Any, manifest: Manifest) -> Any:
    """Model of the network's graph, then the generator's; the generator's inner names get a prefix."""
    graph = onnx.compose.add_prefix(part, _PREFIX).graph
    renamed = {
        f"{_PREFIX}depth": manifest.output.name,
        f"{_PREFIX}{BASIS}": BASIS,
        f"{_PREFIX}{MISFIT}": MISFIT,
        f"{_PREFIX}features": manifest.features.get(FEATURES, ""),
    }
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    merged = onnx.ModelProto()
    merged.CopyFrom(network)
    merged.graph.node.extend(graph.node)
    merged.graph.initializer.extend(graph.initializer)
    for output in graph.output:
        output.name = renamed[output.name]
        merged.graph.output.append(output)
    onnx.checker.check_model(merged)
    return merged


def _without_generator(model: Any, onnx: Any) -> Any:
    """Model without what ``_merged`` added."""
    graph = model.graph
    for parts, ours in (
        (graph.node, lambda node: node.name.startswith(_PREFIX)),
        (graph.initializer, lambda item: item.name.startswith(_PREFIX)),
        (graph.output, lambda item: item.name in (BASIS, MISFIT)),
    ):
        kept = [part for part in parts if not ours(part)]
        del parts[:]
        parts.extend(kept)
    return model

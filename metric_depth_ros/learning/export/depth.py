"""Exports depth networks to ONNX and manifest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from torch import nn

from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.manifest import (
    InputManifest,
    Manifest,
    OutputManifest,
    load_manifest,
)
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.files import Exported, Size, Wanted, check_sizes
from metric_depth_ros.learning.export.graph import check_parity, difference, write_verified
from metric_depth_ros.learning.export.half import PARITY_HALF, halve_weights, write_half
from metric_depth_ros.learning.models.depth_network import DepthFacts
from metric_depth_ros.runtimes import build_runtime
from metric_depth_ros.types import FloatArray

INPUT, FEATURES = "image", "features"


def export_depth(network: nn.Module, facts: DepthFacts, wanted: Wanted, *, comment: str) -> list[Exported]:
    """Writes NAME.onnx and NAME.yaml for each size, or one pair for all sizes; checked against torch.

    Args:
        network: images (1, 3, H, W) to depth (1, 1, h, w) and, if it has them, features.
        comment: text at the start of the manifest.

    Raises:
        ConfigError: the network does not support a size, or one file for all sizes.
        InputError: the folder cannot be written.
        ModelError: the outputs of ONNX Runtime differ from torch's, or the engine cannot use the file.
    """
    for width, height in wanted.sizes:
        if facts.only_size and (width, height) != facts.size:
            raise ConfigError(
                f"size: {width}x{height}; {facts.title} takes {facts.size[0]}x{facts.size[1]} only, since "
                f"{facts.fixed}."
            )
    step = facts.multiple_of
    check_sizes(wanted, facts.title, step=step, least=step, fixed=facts.fixed)
    each = wanted.each()
    if len(each) == 1:
        return [_export(network, facts, wanted, comment)]
    titled = [dataclasses.replace(facts, title=f"{facts.title} {w}x{h}") for w, h in wanted.sizes]
    return [_export(network, *pair, comment) for pair in zip(titled, each, strict=True)]


def _export(network: nn.Module, facts: DepthFacts, wanted: Wanted, comment: str) -> Exported:
    """Writes the files of one manifest."""
    model = wanted.folder / f"{wanted.name}.onnx"
    outputs: list[str] = (
        [facts.kind] if getattr(network, "features", "") == "none" else [facts.kind, FEATURES]
    )
    axes = {2: "height", 3: "width"}
    dynamic = {INPUT: axes, **{o: {k: f"{o}_{v}" for k, v in axes.items()} for o in outputs}}
    examples = [_noise(size) for size in wanted.compared_at(facts.multiple_of)]
    found = write_verified(network, model, examples, outputs, dynamic=dynamic if wanted.dynamic else None)
    half, half_found = None, None
    if wanted.half:
        half = model.with_name(f"{wanted.name}_fp16.onnx")
        write_half(model, half)
        half_found = difference(network, half, examples, outputs)
        check_parity(half, half_found.rms, PARITY_HALF)

    if wanted.short:
        halve_weights(model)
        found = difference(network, model, examples, outputs)
        check_parity(model, found.rms, PARITY_HALF)

    def use(manifest: Path) -> None:
        DepthEngine(load_manifest(manifest), build_runtime("onnxruntime", model, threads=0))

    manifest = model.with_suffix(".yaml")
    write_manifest(_described(facts, wanted, model, half, outputs), manifest, comment, use)
    return Exported(manifest, (model,), found, half_found)


def _noise(size: Size) -> dict[str, FloatArray]:
    values = np.random.default_rng(0).standard_normal((1, 3, size[1], size[0]))
    return {INPUT: values.astype(np.float32)}


def _described(
    facts: DepthFacts, wanted: Wanted, model: Path, half: Path | None, outputs: list[str]
) -> Manifest:
    file, (width, height) = described_file(model), wanted.sizes[0]
    return Manifest(
        name=facts.title,
        file=file.file,
        licence=wanted.licence or facts.licence,
        source=wanted.source,
        sha256=file.sha256,
        data=file.data,
        fp16=described_file(half) if half else None,
        input=InputManifest(
            name=INPUT,
            width=width,
            height=height,
            mean=facts.mean,
            std=facts.std,
            multiple_of=facts.multiple_of if wanted.dynamic else 0,
            border=facts.border,
        ),
        output=OutputManifest(facts.kind, facts.kind, facts.metric, facts.floor),
        features={"f": FEATURES} if FEATURES in outputs else {},
    )

"""Depth networks to ONNX and manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.manifest import (
    FileManifest,
    InputManifest,
    Manifest,
    OutputManifest,
    load_manifest,
)
from metric_depth_ros.errors import ConfigError, ModelError
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.graph import Difference, difference, write_onnx
from metric_depth_ros.learning.export.half import write_half
from metric_depth_ros.learning.models.checkpoint_folder import CheckpointFolder, load_network, normalisation
from metric_depth_ros.learning.models.depth_network import DepthFacts, DepthNetwork
from metric_depth_ros.runtimes import build_runtime

INPUT, FEATURES = "image", "features"
# How far an ONNX file may be from torch, in standard deviations of an output: in float32 at any place,
# in float16 over all (root mean square).
_PARITY = 1e-3
_PARITY_HALF = 2e-2


@dataclass(frozen=True)
class Wanted:
    """What to export.

    Attributes:
        sizes: (width, height) each; a file for each, or with ``dynamic`` one file for all sizes,
            the first being its usual one.
        half: a float16 file beside the float32 one.
    """

    folder: Path
    name: str
    sizes: Sequence[tuple[int, int]]
    dynamic: bool = False
    half: bool = False
    licence: str = ""
    source: str = ""


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from torch; ``half`` is the float16 file's, if there is one."""

    manifest: Path
    model: Path
    bytes: int
    difference: Difference
    half: Difference | None = None


def load_depth_network(folder: CheckpointFolder, features: str) -> DepthNetwork | None:
    """The depth network of a checkpoint folder, None when it is none that is known.

    ``features``: "coarse", "fine" or "none". Raises ModelError when its weights cannot be used.
    """
    from metric_depth_ros.learning.models.depth_anything import DepthAnything
    from metric_depth_ros.learning.models.depth_pro import DepthPro
    from metric_depth_ros.learning.models.dpt import DPT
    from metric_depth_ros.learning.models.zoedepth import ZoeDepth

    for kind in (DepthAnything, DPT, DepthPro, ZoeDepth):
        if kind.loads.__name__ == folder.architecture:
            network: DepthNetwork = kind(load_network(folder, kind.loads), features).eval()
            return network
    return None


def facts_of(folder: CheckpointFolder, facts: DepthFacts) -> DepthFacts:
    """The facts of a network with what its checkpoint says: usual size, mean and standard deviation.

    Raises ModelError as ``normalisation`` does.
    """
    mean, std = normalisation(folder, facts.mean, facts.std)
    size = folder.processor.get("size", {})
    sides: list[Any] = [size.get(side) for side in ("width", "height")] if isinstance(size, dict) else [None]
    usual: tuple[int, int] = facts.size
    if not facts.only_size and all(isinstance(side, int) and side % facts.multiple_of == 0 for side in sides):
        usual = (sides[0], sides[1])
    return dataclasses.replace(
        facts,
        size=usual,
        mean=mean,
        std=std,
        licence=folder.licence or facts.licence,
    )


def export_network(network: nn.Module, facts: DepthFacts, wanted: Wanted, *, comment: str) -> list[Exported]:
    """Writes an ONNX file and a manifest for every size wanted, or one for all; each checked against torch.

    Args:
        network: images (1, 3, H, W) to depth (1, 1, h, w) and, if it has them, features.
        comment: stands at the head of the manifest.

    Raises:
        ConfigError: a size that the network cannot take, or one file for all sizes where it cannot be.
        InputError: the folder cannot be written.
        ModelError: ONNX Runtime does not give what torch gives, or the engine cannot use the file.
    """
    _check(facts, wanted)
    if wanted.dynamic:
        return [_export(network, facts, wanted, wanted.sizes[0], comment)]
    return [_export(network, facts, wanted, size, comment) for size in wanted.sizes]


def _check(facts: DepthFacts, wanted: Wanted) -> None:
    n = facts.multiple_of
    for width, height in wanted.sizes:
        if facts.only_size and (width, height) != facts.size:
            raise ConfigError(
                f"size: {width}x{height}; {facts.title} takes {facts.size[0]}x{facts.size[1]} only, since "
                f"{facts.fixed}."
            )
        if width % n or height % n or min(width, height) < n:
            near = [max(1, round(side / n)) * n for side in (width, height)]
            raise ConfigError(
                f"size: {width}x{height}; {facts.title} needs multiples of {n}. Nearest: {near[0]}x{near[1]}."
            )
    if wanted.dynamic and facts.fixed:
        raise ConfigError(
            f"dynamic: {facts.title} needs a file for each size, since {facts.fixed}. Give each with --size."
        )


def _export(
    network: nn.Module, facts: DepthFacts, wanted: Wanted, size: tuple[int, int], comment: str
) -> Exported:
    named = len(wanted.sizes) > 1 and not wanted.dynamic
    name = f"{wanted.name}_{size[0]}x{size[1]}" if named else wanted.name
    model, manifest = wanted.folder / f"{name}.onnx", wanted.folder / f"{name}.yaml"
    outputs: list[str] = (
        [facts.kind] if getattr(network, "features", "") == "none" else [facts.kind, FEATURES]
    )
    axes = {2: "height", 3: "width"}
    dynamic = {INPUT: axes, **{o: {k: f"{o}_{v}" for k, v in axes.items()} for o in outputs}}
    write_onnx(network, model, _noise(size), outputs, dynamic=dynamic if wanted.dynamic else None)
    n = facts.multiple_of
    sizes = [*wanted.sizes, (size[0] + n, size[1] + 2 * n)][:2] if wanted.dynamic else [size]
    found = _difference(network, model, sizes, outputs)
    _check_parity(model, found.largest, _PARITY)
    half, half_found = None, None
    if wanted.half:
        half = model.with_name(f"{name}_fp16.onnx")
        write_half(model, half)
        half_found = _difference(network, half, sizes, outputs)
        _check_parity(half, half_found.rms, _PARITY_HALF)
    description = _described(facts, wanted, name, size, described_file(model), half, outputs)
    write_manifest(description, manifest, comment)
    try:  # as the engine will, once
        DepthEngine(load_manifest(manifest), build_runtime("onnxruntime", model, threads=0))
    except ModelError:
        manifest.unlink()
        raise
    return Exported(manifest, model, model.stat().st_size, found, half_found)


def _noise(size: tuple[int, int]) -> dict[str, np.ndarray]:
    values = np.random.default_rng(0).standard_normal((1, 3, size[1], size[0]))
    return {INPUT: values.astype(np.float32)}


def _difference(
    network: nn.Module, model: Path, sizes: Sequence[tuple[int, int]], outputs: list[str]
) -> Difference:
    """The largest difference from torch at any of the sizes."""
    found = [difference(network, model, _noise(size), outputs) for size in sizes]
    return Difference(max(item.largest for item in found), max(item.rms for item in found))


def _check_parity(model: Path, found: float, limit: float) -> None:
    if not found <= limit:
        raise ModelError(f"{model}: differs from torch by {found:.1e} of its spread; needed {limit:.0e}.")


def _described(
    facts: DepthFacts,
    wanted: Wanted,
    name: str,
    size: tuple[int, int],
    file: FileManifest,
    half: Path | None,
    outputs: list[str],
) -> Manifest:
    return Manifest(
        name=f"{facts.title} {size[0]}x{size[1]}" if name != wanted.name else facts.title,
        file=file.file,
        licence=wanted.licence or facts.licence,
        source=wanted.source,
        sha256=file.sha256,
        data=file.data,
        fp16=described_file(half) if half else None,
        input=InputManifest(
            name=INPUT,
            width=size[0],
            height=size[1],
            mean=facts.mean,
            std=facts.std,
            multiple_of=facts.multiple_of if wanted.dynamic else 0,
            border=facts.border,
        ),
        output=OutputManifest(facts.kind, facts.kind, facts.metric, facts.floor),
        features={"f": FEATURES} if FEATURES in outputs else {},
    )

"""Metric-Solver to two ONNX files and a manifest: the encoder, and the decoders for any number of focuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import InputManifest, MetricSolverManifest
from metric_depth_ros.errors import ConfigError, ModelError
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.graph import difference, write_onnx
from metric_depth_ros.learning.models.metric_solver import PATCH, MetricSolver
from metric_depth_ros.learning.models.tiny_depth import MEAN, STD
from metric_depth_ros.near_far import TAPER

_IMAGE, _FOCUS, _FOCUSES = "image", "focus", "focuses"
_OUTPUTS = ("near", "far", "mask")
# Largest difference from torch, in standard deviations of an output.
_PARITY = 1e-3
_COMMENT = "Metric-Solver: metric depth of one picture around a focus. For engine.manifest."


@dataclass(frozen=True)
class ExportedMetricSolver:
    """What was written; ``difference`` is the largest from torch, in standard deviations of an output."""

    manifest: Path
    encoder: Path
    decoders: Path
    bytes: int
    difference: float


class _Encoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    def __init__(self, network: MetricSolver) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.encode(image))


class _Decoders(nn.Module):  # type: ignore[misc]  # torch carries no types here
    def __init__(self, network: MetricSolver) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        near, far, mask = self.network.decode(inputs[:-1], inputs[-1])
        return near, far, mask.sigmoid()


def export_metric_solver(
    network: MetricSolver,
    folder: str | Path,
    sizes: Sequence[tuple[int, int]],
    *,
    name: str = "metric_solver",
    dynamic: bool = False,
    focus_m: float = 10.0,
    licence: str = "Apache-2.0",
    source: str = "",
) -> list[ExportedMetricSolver]:
    """Writes NAME_encoder.onnx, NAME_decoders.onnx and NAME.yaml for every size, or one set for all.

    The features of one image and N focuses give N near, far and mask maps, so that the encoder runs once an
    image. Both files are checked against torch: at one focus and at four, with ``dynamic`` at two sizes.

    Args:
        sizes: (width, height) each; with ``dynamic`` the first is the usual one.
        focus_m: what is used where no focus is asked for; kept within the pool.

    Raises:
        ConfigError: a size that the network cannot take, one file for all sizes of a tiny encoder, or a
            network with a single head, which has no focus.
        InputError: the folder cannot be written.
        ModelError: ONNX Runtime does not give what torch gives, or the engine cannot use the files.
    """
    network = network.cpu().eval()
    _check(network, sizes, dynamic)
    if network.config.encoder != "tiny":
        # Eager attention is written out in plain operators.
        network.encoder.backbone.set_attn_implementation("eager")
    described = {
        "focus_m": focus_m,
        "licence": licence,
        "source": source or "metric_depth train metric-solver",
    }
    if dynamic:
        return [_export(network, Path(folder), name, list(sizes), described, dynamic=True)]
    many = len(sizes) > 1
    return [
        _export(network, Path(folder), f"{name}_{w}x{h}" * many or name, [(w, h)], described, dynamic=False)
        for w, h in sizes
    ]


def _multiple(network: MetricSolver) -> int:
    return 16 if network.config.encoder == "tiny" else PATCH


def _check(network: MetricSolver, sizes: Sequence[tuple[int, int]], dynamic: bool) -> None:
    n = _multiple(network)
    for width, height in sizes:
        if width % n or height % n or min(width, height) < 2 * n:
            raise ConfigError(f"size: {width}x{height}; needed multiples of {n}, at least {2 * n}.")
    if dynamic and network.config.encoder == "tiny":
        raise ConfigError(
            "dynamic: the tiny encoder is told where a pixel is by coordinates that its file holds; needed a "
            "file for each size. Give each with --size."
        )
    if network.pool is None:
        raise ConfigError("export: a single head has no focus; needed two heads. It is for comparisons only.")


def _export(
    network: MetricSolver,
    folder: Path,
    name: str,
    sizes: list[tuple[int, int]],
    described: dict[str, Any],
    *,
    dynamic: bool,
) -> ExportedMetricSolver:
    encoder, decoders = _Encoder(network).eval(), _Decoders(network).eval()
    files = folder / f"{name}_encoder.onnx", folder / f"{name}_decoders.onnx"
    image, features = _example(network, sizes[0])
    axes = {2: "height", 3: "width"} if dynamic else {}
    inner = {key: {axis: f"{key}_{side}" for axis, side in axes.items()} for key in features}
    write_onnx(encoder, files[0], image, list(features), dynamic={_IMAGE: axes, **inner})
    outer = {_FOCUS: {0: _FOCUSES}, **{key: {0: _FOCUSES, **axes} for key in _OUTPUTS}}
    write_onnx(decoders, files[1], {**features, _FOCUS: _focuses(2)}, _OUTPUTS, dynamic={**inner, **outer})

    worst, n = 0.0, _multiple(network)
    for size in [*sizes, (sizes[0][0] + n, sizes[0][1] + 2 * n)][:2] if dynamic else sizes:
        image, features = _example(network, size)
        worst = max(worst, _difference(encoder, files[0], image, list(features)))
        for count in (1, 4):
            inputs = {**features, _FOCUS: _focuses(count)}
            worst = max(worst, _difference(decoders, files[1], inputs, _OUTPUTS))

    pool = network.config.focuses
    manifest = folder / f"{name}.yaml"
    write_manifest(
        MetricSolverManifest(
            name=name,
            licence=described["licence"],
            encoder=described_file(files[0]),
            decoders=described_file(files[1]),
            input=InputManifest(
                name=_IMAGE,
                width=sizes[0][0],
                height=sizes[0][1],
                mean=MEAN,
                std=STD,
                multiple_of=n if dynamic else 0,
            ),
            focuses=pool,
            focus_m=min(max(described["focus_m"], pool[0]), pool[-1]),
            taper=TAPER,
            source=described["source"],
        ),
        manifest,
        _COMMENT,
    )
    try:  # as the node will, once
        build_engine(EngineConfig(manifest=str(manifest), runtime="onnxruntime"))
    except ModelError:
        manifest.unlink()
        raise
    return ExportedMetricSolver(manifest, *files, sum(file.stat().st_size for file in files), worst)


def _example(network: MetricSolver, size: tuple[int, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Noise as the encoder's input, and its features by name."""
    values = np.random.default_rng(0).standard_normal((1, 3, size[1], size[0])).astype(np.float32)
    with torch.inference_mode():
        features = network.encode(torch.from_numpy(values))
    return {_IMAGE: values}, {f"features_{i}": value.numpy() for i, value in enumerate(features)}


def _focuses(count: int) -> np.ndarray[Any, Any]:
    return np.geomspace(3, 90, count).astype(np.float32)


def _difference(network: nn.Module, path: Path, inputs: dict[str, Any], outputs: Sequence[str]) -> float:
    found = difference(network, path, inputs, outputs).largest
    if not found <= _PARITY:
        raise ModelError(f"{path}: differs from torch by {found:.1e} of its spread; needed {_PARITY:.0e}.")
    return found

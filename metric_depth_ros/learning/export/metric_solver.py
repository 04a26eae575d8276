"""Exports Metric-Solver to a manifest and two ONNX files: the encoder, and the decoders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import InputManifest, MetricSolverManifest
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.files import Exported, Size, Wanted, check_sizes
from metric_depth_ros.learning.export.graph import check_parity, difference, write_verified
from metric_depth_ros.learning.export.half import PARITY_HALF, halve_weights
from metric_depth_ros.learning.models.efficientnet_lite import SIZES
from metric_depth_ros.learning.models.encoder import MEAN, STD
from metric_depth_ros.learning.models.metric_solver import DINO, PATCH, MetricSolver
from metric_depth_ros.near_far import TAPER
from metric_depth_ros.types import FloatArray

_IMAGE, _FOCUS, _FOCUSES = "image", "focus", "focuses"
_OUTPUTS = ("near", "far", "mask")
_COMMENT = "Metric-Solver: metric depth of one picture around a focus. For engine.manifest."


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


def export_metric_solver(network: MetricSolver, wanted: Wanted, *, focus_m: float = 10.0) -> list[Exported]:
    """Writes NAME_encoder.onnx, NAME_decoders.onnx and NAME.yaml for each size, or one set for all.

    From the features of one image and N focuses the decoders compute N near, far and mask maps, so the
    encoder runs once per image. Both files are checked against torch: at one focus and at four, with
    ``dynamic`` at two sizes.

    Args:
        focus_m: default focus in metres; limited to the pool's range.

    Raises:
        ConfigError: the network does not support a size, or its encoder is not DINOv2 and one file for all
            sizes is requested, or the network has a single head and therefore no focus.
        InputError: the folder cannot be written.
        ModelError: the outputs of ONNX Runtime differ from torch's, or the engine cannot use the files.
    """
    network = network.cpu().eval()
    ours = network.config.encoder not in DINO
    step = 16 if ours else PATCH
    fixed = "its encoder is told where a pixel is by coordinates that its file holds" if ours else ""
    check_sizes(wanted, "Metric-Solver", step=step, least=2 * step, fixed=fixed)
    if network.pool is None:
        raise ConfigError("export: a single head has no focus; needed two heads. It is for comparisons only.")
    if not ours:
        # Eager attention consists of plain operators.
        network.encoder.backbone.set_attn_implementation("eager")
    return [_export(network, one, focus_m, step) for one in wanted.each()]


def _export(network: MetricSolver, wanted: Wanted, focus_m: float, step: int) -> Exported:
    """Writes the files of one manifest."""
    encoder, decoders = _Encoder(network).eval(), _Decoders(network).eval()
    files = tuple(wanted.folder / f"{wanted.name}_{part}.onnx" for part in ("encoder", "decoders"))
    images, features = zip(*(_example(network, size) for size in wanted.compared_at(step)), strict=True)
    focused = [{**maps, _FOCUS: _focuses(count)} for maps in features for count in (2, 1, 4)]

    axes = {2: "height", 3: "width"} if wanted.dynamic else {}
    inner = {key: {axis: f"{key}_{side}" for axis, side in axes.items()} for key in features[0]}
    outer = {_FOCUS: {0: _FOCUSES}, **{key: {0: _FOCUSES, **axes} for key in _OUTPUTS}}
    found = [
        write_verified(encoder, files[0], images, list(features[0]), dynamic={_IMAGE: axes, **inner}),
        write_verified(decoders, files[1], focused, _OUTPUTS, dynamic={**inner, **outer}),
    ]

    if network.config.encoder in SIZES:  # smaller ones are small already
        halve_weights(files[0])
        found[0] = difference(encoder, files[0], images, list(features[0]))
        check_parity(files[0], found[0].rms, PARITY_HALF)

    def use(manifest: Path) -> None:
        build_engine(EngineConfig(manifest=str(manifest), runtime="onnxruntime"))

    manifest = wanted.folder / f"{wanted.name}.yaml"
    write_manifest(_described(network, wanted, files, focus_m, step), manifest, _COMMENT, use)
    return Exported(manifest, files, max(found, key=lambda item: item.largest))


def _described(
    network: MetricSolver, wanted: Wanted, files: Sequence[Path], focus_m: float, step: int
) -> MetricSolverManifest:
    pool, (width, height) = network.config.focuses, wanted.sizes[0]
    return MetricSolverManifest(
        name=wanted.name,
        licence=wanted.licence or "Apache-2.0",
        encoder=described_file(files[0]),
        decoders=described_file(files[1]),
        input=InputManifest(
            name=_IMAGE,
            width=width,
            height=height,
            mean=MEAN,
            std=STD,
            multiple_of=step if wanted.dynamic else 0,
        ),
        focuses=pool,
        focus_m=min(max(focus_m, pool[0]), pool[-1]),
        taper=TAPER,
        canonical=network.config.canonical,
        source=wanted.source or "metric_depth train metric-solver",
    )


def _example(network: MetricSolver, size: Size) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Noise as input of the encoder, and its features by name."""
    values = np.random.default_rng(0).standard_normal((1, 3, size[1], size[0])).astype(np.float32)
    with torch.inference_mode():
        features = network.encode(torch.from_numpy(values))
    return {_IMAGE: values}, {f"features_{i}": value.numpy() for i, value in enumerate(features)}


def _focuses(count: int) -> FloatArray:
    return np.asarray(np.geomspace(3, 90, count), np.float32)

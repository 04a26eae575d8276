"""Exports TR2M to one ONNX file and its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.engines.manifest import TOKENS, InputManifest, TR2MManifest
from metric_depth_ros.errors import ConfigError, ModelError
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.files import Exported, Wanted, check_sizes
from metric_depth_ros.learning.export.graph import Difference, write_verified
from metric_depth_ros.learning.export.half import halve_weights
from metric_depth_ros.learning.models.encoder import MEAN, STD, folded
from metric_depth_ros.learning.models.metric_solver import DINO, PATCH
from metric_depth_ros.learning.models.tr2m import TR2M
from metric_depth_ros.priors import TR2MPrior
from metric_depth_ros.runtimes import build_runtime
from metric_depth_ros.types import FloatArray

_IMAGE, _OUTPUTS = "image", ["scale", "shift"]
# Largest root-mean-square difference of log depth at D_r = 1 from torch's, with weights in float16.
_PARITY = 0.02


class _Maps(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """The two maps alone."""

    def __init__(self, network: TR2M) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        found = self.network(image, tokens, mask)
        return found.scale, found.shift


def export_tr2m(network: TR2M, wanted: Wanted, about: Mapping[str, Any], text: Path) -> Exported:
    """Writes NAME.onnx, for a robot's encoder with weights in float16, and NAME.yaml.

    Args:
        about: of the run's checkpoint: what its examples are of, and the log scale's deviation.
        text: manifest of the text encoder that it was trained with, in the same folder.

    Raises:
        ConfigError: the size does not fit, or the run was never validated.
        InputError: the folder cannot be written.
        ModelError: the outputs of ONNX Runtime differ from torch's.
    """
    dino = network.config.encoder in DINO
    check_exportable(network, wanted, about)
    if dino:
        # Eager attention consists of plain operators.
        network.encoder.backbone.set_attn_implementation("eager")
    width, height = wanted.sizes[0]
    path = wanted.folder / f"{wanted.name}.onnx"
    maps = _Maps(folded(network.cpu())).eval()
    examples = [_example(network, width, height, count) for count in (5, 12, TOKENS)]
    found = write_verified(maps, path, examples, _OUTPUTS)
    if not dino:
        halve_weights(path)
        found = _log_difference(maps, path, examples)
    examples_of = about["examples"]
    manifest = TR2MManifest(
        name=wanted.name,
        licence=wanted.licence or "Apache-2.0",
        file=path.name,
        sha256=described_file(path).sha256,
        input=InputManifest(name=_IMAGE, width=width, height=height, mean=MEAN, std=STD),
        text=text.name,
        width=network.config.text_width,
        maps_of=examples_of["engine"],
        metric=examples_of["metric"],
        canonical=network.config.canonical,
        sigma=round(about["sigma"][0], 4),
        sigma_undescribed=round(about["sigma"][1], 4),
        source=wanted.source or "metric_depth train tr2m",
    )
    comment = f"Scale and shift maps for {manifest.maps_of} (TR2M, paper 003). For solver.prior."
    write_manifest(manifest, path.with_suffix(".yaml"), comment, TR2MPrior.load)
    return Exported(path.with_suffix(".yaml"), (path,), found)


def _log_difference(maps: _Maps, path: Path, examples: Sequence[Mapping[str, FloatArray]]) -> Difference:
    """Difference of log depth by a file's maps from that by torch's. Raises ModelError if it is above 2 %."""
    runtime, apart = build_runtime("onnxruntime", path, threads=1), []
    for inputs in examples:
        found = runtime.run(inputs)
        with torch.inference_mode():
            told = maps(*(torch.from_numpy(value) for value in inputs.values()))
        theirs = sum(each.numpy() for each in told)
        apart.append(np.log(theirs / sum(found[name] for name in _OUTPUTS)))
    rms = max(float(np.sqrt(np.square(each).mean())) for each in apart)
    if not rms <= _PARITY:
        raise ModelError(f"{path}: depths differ from torch's by {rms:.1%}; needed {_PARITY:.0%}.")
    return Difference(max(float(np.abs(each).max()) for each in apart), rms)


def check_exportable(network: TR2M, wanted: Wanted, about: Mapping[str, Any]) -> None:
    """Raises ConfigError if the size does not fit, or the run was never validated; writes nothing."""
    step = PATCH if network.config.encoder in DINO else 16
    check_sizes(wanted, "TR2M", step=step, least=2 * step, fixed="its attention knows places")
    if about["sigma"] is None:
        raise ConfigError("export: the run was never validated, so its sigma is unknown. Resume it.")


def _example(network: TR2M, width: int, height: int, count: int) -> dict[str, FloatArray]:
    """Noise as image and as ``count`` tokens."""
    rng = np.random.default_rng(count)
    mask = (np.arange(TOKENS) < count).astype(np.float32)[None]
    tokens = rng.standard_normal((1, TOKENS, network.config.text_width), np.float32) * mask[..., None]
    return {_IMAGE: rng.standard_normal((1, 3, height, width), np.float32), "tokens": tokens, "mask": mask}

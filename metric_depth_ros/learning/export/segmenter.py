"""SAM and SAM 2 to ONNX and manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from metric_depth_ros.engines.manifest import InputManifest, SamManifest, load_manifest_of
from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.graph import difference, write_onnx
from metric_depth_ros.learning.models.checkpoint_folder import CheckpointFolder, load_network, normalisation

# Points of one run of the decoder: more need more memory, fewer more runs.
POINTS = 64
_IMAGE, _POINTS = "image", "points"
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_PARITY = 1e-3


@dataclass(frozen=True)
class ExportedSam:
    """What was written; ``difference`` is the largest from torch, in standard deviations of an output."""

    manifest: Path
    encoder: Path
    decoder: Path
    difference: float


def is_sam(folder: CheckpointFolder) -> bool:
    """Whether a checkpoint folder holds SAM or SAM 2 (which is published as a part of its video network)."""
    return folder.model_type in ("sam", "sam2", "sam2_video")


def export_sam(
    folder: CheckpointFolder, to: Path, name: str, *, licence: str, source: str, comment: str
) -> ExportedSam:
    """Writes TO/NAME_encoder.onnx, TO/NAME_decoder.onnx and TO/NAME.yaml, checked against torch.

    Raises:
        InputError: the folder cannot be written.
        ModelError: the weights cannot be used, or ONNX Runtime does not give what torch gives.
    """
    from transformers import Sam2Model, SamModel

    from metric_depth_ros.learning.models.sam import Sam2Encoder, SamDecoder, SamEncoder

    second = folder.model_type != "sam"
    model = load_network(folder, Sam2Model if second else SamModel)
    encoder = (Sam2Encoder(model) if second else SamEncoder(model)).eval()
    decoder = SamDecoder(model).eval()
    item = _input(folder, encoder.size, letterbox=not second)
    random = np.random.default_rng(0)
    image = random.standard_normal((1, 3, encoder.size, encoder.size)).astype(np.float32)
    with torch.inference_mode():
        embeddings = [value.numpy() for value in encoder(torch.from_numpy(image))]
    points = random.uniform(0, encoder.size, (POINTS, 2)).astype(np.float32)
    files = to / f"{name}_encoder.onnx", to / f"{name}_decoder.onnx"
    worst = max(
        _export(encoder, files[0], {_IMAGE: image}),
        _export(decoder, files[1], {**dict(zip(encoder.outputs, embeddings, strict=True)), _POINTS: points}),
    )
    manifest = SamManifest(
        name="SAM 2" if second else "SAM",
        licence=licence or folder.licence or "Apache-2.0",
        encoder=described_file(files[0]),
        decoder=described_file(files[1]),
        points=POINTS,
        input=item,
        source=source,
    )
    write_manifest(manifest, to / f"{name}.yaml", comment)
    load_manifest_of(SamManifest, to / f"{name}.yaml")
    return ExportedSam(to / f"{name}.yaml", *files, worst)


def _export(network: nn.Module, path: Path, inputs: dict[str, Any]) -> float:
    outputs: tuple[str, ...] = network.outputs
    write_onnx(network, path, inputs, outputs)
    found = difference(network, path, inputs, outputs).largest
    if not found <= _PARITY:
        raise ModelError(f"{path}: differs from torch by {found:.1e} of its spread; needed {_PARITY:.0e}.")
    return found


def _input(folder: CheckpointFolder, size: int, *, letterbox: bool) -> InputManifest:
    mean, std = normalisation(folder, _MEAN, _STD)
    return InputManifest(
        name=_IMAGE,
        width=size,
        height=size,
        mean=mean,
        std=std,
        resize="letterbox" if letterbox else "stretch",
    )

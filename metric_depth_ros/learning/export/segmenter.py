"""Exports SAM and SAM 2 to ONNX and manifest."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from metric_depth_ros.engines.manifest import InputManifest, SamManifest, load_manifest_of
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.files import Exported, Wanted
from metric_depth_ros.learning.export.graph import write_verified
from metric_depth_ros.learning.models.checkpoint_folder import CheckpointFolder, load_network, normalisation

# Points per run of the decoder: more points need more memory, fewer points more runs.
POINTS = 64
_IMAGE, _POINTS = "image", "points"
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_COMMENT = "Written by metric_depth export. For regions.source: sam."


def is_sam(folder: CheckpointFolder) -> bool:
    """Whether a checkpoint folder holds SAM or SAM 2 (published as part of its video network)."""
    return folder.model_type in ("sam", "sam2", "sam2_video")


def export_sam(folder: CheckpointFolder, wanted: Wanted) -> list[Exported]:
    """Writes NAME_encoder.onnx, NAME_decoder.onnx and NAME.yaml, checked against torch.

    Raises:
        InputError: the folder cannot be written.
        ModelError: the weights cannot be used, or the outputs of ONNX Runtime differ from torch's.
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
    asked = {**dict(zip(encoder.outputs, embeddings, strict=True)), _POINTS: points}
    files = tuple(wanted.folder / f"{wanted.name}_{part}.onnx" for part in ("encoder", "decoder"))
    found = [
        write_verified(encoder, files[0], [{_IMAGE: image}], encoder.outputs),
        write_verified(decoder, files[1], [asked], decoder.outputs),
    ]
    described = SamManifest(
        name="SAM 2" if second else "SAM",
        licence=wanted.licence or folder.licence or "Apache-2.0",
        encoder=described_file(files[0]),
        decoder=described_file(files[1]),
        points=POINTS,
        input=item,
        source=wanted.source,
    )
    manifest = wanted.folder / f"{wanted.name}.yaml"
    write_manifest(described, manifest, _COMMENT, partial(load_manifest_of, SamManifest))
    return [Exported(manifest, files, max(found, key=lambda each: each.largest))]


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

"""Exports CLIP's two parts, an image encoder and a text encoder, to ONNX and manifests."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from metric_depth_ros.engines.image_encoder import ImageEncoder
from metric_depth_ros.engines.manifest import ImageManifest, InputManifest
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.files import Exported, Wanted
from metric_depth_ros.learning.export.graph import write_verified
from metric_depth_ros.learning.export.text import export_text
from metric_depth_ros.learning.models.checkpoint_folder import CheckpointFolder, load_network, normalisation
from metric_depth_ros.learning.models.text_encoder import load_text_encoder

_MEAN, _STD = (0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)
_IMAGE, _VECTOR = "image", "vector"
# Of the published weights, for checkpoints that do not state it.
_LICENCE = "MIT"


def is_clip(folder: CheckpointFolder) -> bool:
    """Whether a checkpoint folder holds CLIP, with both of its parts."""
    return folder.model_type == "clip"


def export_clip(folder: CheckpointFolder, wanted: Wanted) -> list[Exported]:
    """Writes NAME_image.onnx and NAME_text.onnx with their manifests, checked against torch.

    Raises:
        ConfigError: the package tokenizers is not installed.
        InputError: the folder cannot be written.
        ModelError: the weights cannot be used, or the outputs of ONNX Runtime differ from torch's.
    """
    licence = wanted.licence or folder.licence or _LICENCE
    text = load_text_encoder(folder.path)
    return [
        _export_image(folder, wanted, licence),
        export_text(text, wanted.folder, f"{wanted.name}_text", licence=licence),
    ]


def _export_image(folder: CheckpointFolder, wanted: Wanted, licence: str) -> Exported:
    from transformers import CLIPVisionModel

    network = load_network(folder, CLIPVisionModel)
    side = int(network.config.image_size)
    noise = np.random.default_rng(0).standard_normal((1, 3, side, side)).astype(np.float32)
    path = wanted.folder / f"{wanted.name}_image.onnx"
    found = write_verified(_Pooled(network).eval(), path, [{_IMAGE: noise}], [_VECTOR])
    mean, std = normalisation(folder, _MEAN, _STD)
    file = described_file(path)
    manifest = ImageManifest(
        name=f"{wanted.name}_image",
        licence=licence,
        file=file.file,
        sha256=file.sha256,
        input=InputManifest(name=_IMAGE, width=side, height=side, mean=mean, std=std),
        vector=_VECTOR,
        source=wanted.source,
        data=file.data,
    )
    target = path.with_suffix(".yaml")
    comment = "Image encoder. For metric_depth evaluate --image-encoder."
    write_manifest(manifest, target, comment, ImageEncoder.load)
    return Exported(target, (path,), found)


class _Pooled(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """CLIP's vector (1, P) of a normalised picture."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor]:
        return (self.network(pixel_values=image).pooler_output,)

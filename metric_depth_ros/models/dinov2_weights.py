"""The encoder of published checkpoints, DINOv2's own or Depth Anything's, for Metric-Solver."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import DepthAnythingForDepthEstimation, Dinov2Backbone

from metric_depth_ros.errors import ModelError
from metric_depth_ros.models.checkpoint_folder import load_network, open_checkpoint
from metric_depth_ros.models.metric_solver import DinoEncoder

# Of the encoder, what no output depends on.
_UNUSED = {"embeddings.mask_token"}


def load_encoder(encoder: DinoEncoder, folder: str | Path) -> None:
    """Fills an encoder with the weights of a checkpoint folder (config.json, model.safetensors).

    Raises:
        ModelError: the folder holds neither DINOv2 nor Depth Anything with it, or one of another size, or
            its weights are not whole.
    """
    found = open_checkpoint(Path(folder))
    if found.architecture == "DepthAnythingForDepthEstimation":
        source = load_network(found, DepthAnythingForDepthEstimation).backbone
    elif found.model_type == "dinov2":
        source = load_network(found, Dinov2Backbone)
    else:
        raise ModelError(
            f"{folder}: {found.architecture or 'no architecture named'}; needed DINOv2 (without registers) or "
            "Depth Anything V1 or V2."
        )
    weights = {name: value for name, value in source.state_dict().items() if name not in _UNUSED}
    own = encoder.backbone.state_dict()
    wrong = [
        name for name, value in own.items() if name not in _UNUSED and _misfits(weights.get(name), value)
    ]
    if wrong or set(weights) - set(own):
        shape = lambda value: None if value is None else tuple(value.shape)  # noqa: E731
        name = wrong[0] if wrong else sorted(set(weights) - set(own))[0]
        raise ModelError(
            f"{folder}: {name} is {shape(weights.get(name))} or not finite; needed {shape(own.get(name))}. "
            "Take the checkpoint of this size of encoder."
        )
    encoder.backbone.load_state_dict(weights, strict=False)


def _misfits(found: torch.Tensor | None, own: torch.Tensor) -> bool:
    return found is None or found.shape != own.shape or not bool(torch.isfinite(found).all())

"""Loads published encoder weights, of DINOv2 or Depth Anything, for Metric-Solver."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import DepthAnythingForDepthEstimation, Dinov2Backbone

from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.models.checkpoint_folder import load_network, open_checkpoint
from metric_depth_ros.learning.models.metric_solver import DinoEncoder

# Weights of the encoder on which no output depends.
_UNUSED = {"embeddings.mask_token"}


def load_encoder(encoder: DinoEncoder, folder: str | Path) -> None:
    """Loads the weights of a checkpoint folder (config.json, model.safetensors) into an encoder.

    Raises:
        ModelError: the folder holds neither DINOv2 nor Depth Anything with DINOv2, or one of another size,
            or its weights are incomplete.
    """
    found = open_checkpoint(Path(folder))
    if found.architecture == "DepthAnythingForDepthEstimation":
        source = load_network(found, DepthAnythingForDepthEstimation).backbone
    elif found.model_type == "dinov2":
        source = load_network(found, Dinov2Backbone)
    else:
        raise ModelError(
            f"{folder}: {found.architecture or 'no architecture named'}; needed DINOv2 (without registers), "
            "or Depth Anything V1 or V2."
        )
    own = {name: value for name, value in encoder.backbone.state_dict().items() if name not in _UNUSED}
    weights = {name: value for name, value in source.state_dict().items() if name not in _UNUSED}
    for name in [*own, *(set(weights) - set(own))]:
        if name not in own or name not in weights or weights[name].shape != own[name].shape:
            raise ModelError(
                f"{folder}: {name} is {_shape(weights, name)}; needed {_shape(own, name)}. Take the "
                "checkpoint of this size of encoder."
            )
        if not torch.isfinite(weights[name]).all():
            raise ModelError(f"{folder}: {name} is missing or not finite. Fetch the checkpoint again.")
    encoder.backbone.load_state_dict(weights, strict=False)


def _shape(weights: dict[str, torch.Tensor], name: str) -> str:
    return str(tuple(weights[name].shape)) if name in weights else "not there"

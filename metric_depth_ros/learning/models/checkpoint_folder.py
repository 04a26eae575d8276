"""Reads checkpoint folders in the Hugging Face layout, without running code from them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from metric_depth_ros.documents import parse_yaml, read_json
from metric_depth_ros.errors import ModelError, shown
from metric_depth_ros.files import open_regular

# Pickled files: reading one runs the code in it.
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
# Bytes of a model card that are looked at, and characters of a licence.
_CARD, _LICENCE = 1 << 16, 100


@dataclass(frozen=True)
class CheckpointFolder:
    """Folder with config.json and safetensors, which cannot run code.

    Attributes:
        architecture: class of the network in config.json; "" if not stated.
        model_type: from config.json.
        processor: content of preprocessor_config.json; empty without the file.
        licence: from the model card (README.md); "" if not stated.
    """

    path: Path
    architecture: str
    model_type: str
    processor: dict[str, Any]
    licence: str


def open_checkpoint(path: Path) -> CheckpointFolder:
    """Reads a folder's description; no weights are read.

    Raises:
        ModelError: it is no checkpoint folder, or its weights are only in a format that can run code.
    """
    if not path.is_dir():
        raise ModelError(
            f"{path}: no such folder; needed a local checkpoint: config.json and model.safetensors. "
            "Download it first (docs/engines.md); nothing is fetched here."
        )
    config = _json(path / "config.json", needed=True)
    _check_weights(path)
    if (path / "adapter_config.json").exists():
        raise ModelError(f"{path}: holds an adapter (adapter_config.json); needed the merged checkpoint.")
    named = config.get("architectures")
    architecture = named[0] if isinstance(named, list) and named else ""
    return CheckpointFolder(
        path,
        architecture if isinstance(architecture, str) else "",
        str(config.get("model_type", "")),
        _json(path / "preprocessor_config.json", needed=False),
        _licence(path / "README.md"),
    )


def load_network(folder: CheckpointFolder, kind: Any) -> torch.nn.Module:
    """Network of the transformers class ``kind`` with the folder's weights, float32, in eval mode.

    Missing weights become NaN, so the outputs show if one is needed: published checkpoints lack some weights
    on which no output depends.

    Raises:
        ModelError: the weights are damaged or of another network.
    """
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # Eager attention consists of plain operators.
        network, loaded = kind.from_pretrained(
            folder.path,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation="eager",
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # transformers, safetensors and torch have their own exceptions
        raise ModelError(
            f"{folder.path}: cannot be loaded as {kind.__name__}: {' '.join(str(error).split())[:300]}"
        ) from error
    if loaded["mismatched_keys"]:
        raise ModelError(
            f"{folder.path}: weights of another shape than config.json says, as "
            f"{sorted(map(str, loaded['mismatched_keys']))[0]}. The files do not belong together."
        )
    network.eval().requires_grad_(False)
    for name, value in network.state_dict().items():  # the tensors themselves, not copies
        if name in loaded["missing_keys"] and value.is_floating_point():
            value.fill_(float("nan"))
    return network


def normalisation(
    folder: CheckpointFolder, mean: Sequence[float], std: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of pixels scaled to 0..1; the given values if the checkpoint has none.

    Raises:
        ModelError: a manifest cannot express preprocessor_config.json, or its values are invalid.
    """
    path = folder.path / "preprocessor_config.json"
    said = {key: value for key, value in folder.processor.items() if value is not None}
    for key, known in (("do_rescale", True), ("do_flip_channel_order", False)):
        if said.get(key, known) is not known:
            raise ModelError(f"{path}: {key} {repr(said[key])[:60]}; only {known} is known here.")
    (factor,) = _numbers(path, "rescale_factor", [said.get("rescale_factor", 1 / 255)], 1)
    if abs(factor - 1 / 255) > 1e-6:
        raise ModelError(f"{path}: rescale_factor {factor:g}; only 1/255 is known here.")
    normalise = said.get("do_normalize", True)
    if not isinstance(normalise, bool):
        raise ModelError(f"{path}: do_normalize {repr(normalise)[:60]}; needed true or false.")
    if not normalise:
        return (0.0,) * 3, (1.0,) * 3
    means = _numbers(path, "image_mean", said.get("image_mean", mean), 3)
    stds = _numbers(path, "image_std", said.get("image_std", std), 3)
    if min(stds) <= 0:
        raise ModelError(f"{path}: image_std {stds}; needed positive numbers.")
    return means, stds


def _numbers(path: Path, key: str, value: Any, count: int) -> tuple[float, ...]:
    """``count`` finite numbers from a setting. Raises ModelError."""
    numbers = isinstance(value, (list, tuple)) and all(
        type(v) in (int, float) and abs(v) < 1e6 for v in value
    )
    if not numbers or len(value) != count:
        raise ModelError(f"{path}: {key} {repr(value)[:60]}; needed {count} numbers.")
    return tuple(map(float, value))


def _check_weights(path: Path) -> None:
    """Raises ModelError unless the weights are safetensors in this folder itself."""
    index = path / "model.safetensors.index.json"
    if index.exists():
        told = _json(index, needed=True).get("weight_map", {})
        for shard in told.values() if isinstance(told, dict) else [told]:
            if not (isinstance(shard, str) and Path(shard).name == shard and os.path.isfile(path / shard)):
                raise ModelError(f"{index}: names {shown(shard)}; needed files in this folder. Fetch them.")
        return
    if (path / "model.safetensors").is_file():
        return
    pickled = sorted(file.name for pattern in _PICKLED for file in path.glob(pattern))
    if pickled:
        raise ModelError(
            f"{path}: holds {pickled[0]}, a pickle: reading it could run any code, so it is not read; needed "
            "model.safetensors. Download the checkpoint's safetensors file."
        )
    raise ModelError(f"{path}: no model.safetensors; needed the checkpoint's weights. Download them.")


def _json(path: Path, *, needed: bool) -> dict[str, Any]:
    if not needed and not path.exists():
        return {}
    tree = read_json(path, ModelError, "a checkpoint folder in the layout of Hugging Face")
    if not isinstance(tree, dict):
        raise ModelError(f"{path}: no JSON object. Fetch it again.")
    return tree


def _licence(card: Path) -> str:
    """Licence in a model card's YAML header; "" if it has none."""
    try:
        with open_regular(card) as file:
            header = file.read(_CARD).decode("utf-8", "replace").split("---")
        tree = (
            parse_yaml(header[1], str(card), ModelError)
            if len(header) > 2 and not header[0].strip()
            else None
        )
    except (OSError, ModelError):
        return ""
    if not isinstance(tree, dict):
        return ""
    given = tree.get("license_name") or tree.get("license")
    return given[:_LICENCE] if isinstance(given, str) else ""

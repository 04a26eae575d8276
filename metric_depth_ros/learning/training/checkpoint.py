"""Checkpoints: the state of a training run on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from metric_depth_ros.array_files import read_npz
from metric_depth_ros.errors import InputError, ModelError
from metric_depth_ros.files import need_regular, open_regular
from metric_depth_ros.learning.models.encoder import Encoder
from metric_depth_ros.learning.models.named_encoders import depth_network_with

Network = TypeVar("Network", bound=nn.Module)

FILE = "checkpoint.pt"
_KEYS = frozenset(
    {
        "step", "elapsed_s", "settings", "architecture", "network", "average", "best", "best_loss",
        "optimizer", "about", "finished",
    }
)  # fmt: skip


def save(folder: str | Path, state: dict[str, Any]) -> None:
    """Writes the state atomically: readers find either the old or the new checkpoint, complete.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    path = Path(folder) / FILE
    growing = path.with_suffix(".tmp")
    try:
        torch.save(state, growing)
        os.replace(growing, path)
    except (OSError, RuntimeError) as error:  # torch raises its own error for a full disk
        growing.unlink(missing_ok=True)
        raise InputError(f"{path}: {error}; needed room and leave to write it.") from error


def load(folder: str | Path) -> dict[str, Any]:
    """Reads the state of a run. Raises ModelError if it is missing or damaged."""
    path = Path(folder) / FILE
    try:
        # Tensors and plain values only: reading a checkpoint runs no code.
        need_regular(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        missing = path if Path(folder).exists() else folder
        raise ModelError(f"{missing}: does not exist; needed the folder of a run. Train first.") from error
    except Exception as error:  # torch raises many exceptions, whose text may advise to trust the file
        raise ModelError(
            f"{path}: cannot be read ({type(error).__name__}): broken, or not written by metric_depth train."
        ) from error
    if not isinstance(state, dict) or set(state) != _KEYS:
        raise ModelError(f"{path}: not the state of a run of this version. Train anew, in another folder.")
    return state


def save_weights(network: nn.Module, path: str | Path) -> None:
    """Writes only the weights, in float16 where the values fit, for ``load_weights``.

    Raises:
        InputError: the file cannot be written.
    """
    arrays: dict[str, Any] = {
        name: _shortened(value.detach().cpu().numpy()) for name, value in network.state_dict().items()
    }
    try:
        with Path(path).open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed a file to write to.") from error


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Loads stored weights into a network. Raises ModelError if they are missing or do not fit."""
    try:
        with open_regular(path) as file:
            stored = read_npz(file)
        state = {name: torch.from_numpy(values) for name, values in stored.items()}
        if not all(torch.isfinite(value).all() for value in state.values()):
            raise ValueError("some are not finite")
        network.load_state_dict(state)
    except OSError as error:
        raise ModelError(
            f"{path}: {error.strerror or error}; needed weights (NPZ) that a `train ...-export` wrote."
        ) from error
    except Exception as error:  # zipfile, NumPy and torch raise different exceptions for a damaged file
        raise ModelError(
            f"{path}: no weights of this network ({' '.join(str(error).split())[:400]})."
        ) from error


def load_depth_encoder(encoder: Encoder, name: str, path: str | Path) -> None:
    """Loads the encoder of stored depth network weights; ``name`` is the encoder's. Raises ModelError."""
    depth = depth_network_with(name)
    load_weights(depth, path)
    encoder.load_state_dict(depth.encoder.state_dict())


def _shortened(values: NDArray[Any]) -> NDArray[Any]:
    """Array as float16 if all its values fit, which a variance's may not."""
    largest = float(np.finfo(np.float16).max)
    fits = values.dtype.kind == "f" and float(np.abs(values).max(initial=0)) <= largest
    return values.astype(np.float16) if fits else values


def rebuilt(build: Callable[[], Network], weights: Mapping[str, Any], what: str) -> Network:
    """Network made by ``build``, with these weights. Raises ModelError if they do not fit."""
    try:
        network = build()
        network.load_state_dict(weights)
    except (TypeError, RuntimeError) as error:
        raise ModelError(f"checkpoint: its weights are of another {what} ({error}). Train anew.") from error
    network.to(memory_format=torch.channels_last)
    return network

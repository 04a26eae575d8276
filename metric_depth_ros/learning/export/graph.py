"""Torch modules to ONNX files, and how much these differ from torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from metric_depth_ros.errors import InputError, ModelError
from metric_depth_ros.runtimes.onnxruntime import library
from metric_depth_ros.types import FloatArray

OPSET = 17
# An ONNX file is one protocol buffer, which cannot be larger; weights beyond go into a file beside it.
_LARGEST = 2**31 - 2**20


def write_onnx(
    network: nn.Module,
    path: Path,
    examples: Mapping[str, FloatArray],
    outputs: Sequence[str],
    *,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> None:
    """Writes ``path`` (and ``path``.data when the weights are above 2 GB), of a network in eval mode.

    Args:
        examples: one array per input, in the order of ``forward``; fixes all sizes but ``dynamic``.
        outputs: names of what ``forward`` returns.
        dynamic: of inputs and outputs, axis to name, where a size may vary.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    large = 4 * sum(p.numel() for p in network.parameters()) > _LARGEST
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings(), torch.inference_mode():
            # Of the older exporter, which needs no further package and writes a plainer graph.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                tuple(torch.from_numpy(array) for array in examples.values()),
                str(path),
                input_names=list(examples),
                output_names=list(outputs),
                dynamic_axes=dynamic,
                opset_version=OPSET,
                dynamo=False,
            )
        if large:
            _gather_weights(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed a folder to write to.") from error


def _gather_weights(path: Path) -> None:
    """One file of weights instead of the many that the exporter leaves beside a large graph."""
    graph = onnx.load(str(path), load_external_data=False).graph
    many = {e.value for tensor in graph.initializer for e in tensor.external_data if e.key == "location"}
    onnx.save_model(onnx.load(str(path)), str(path), save_as_external_data=True, location=f"{path.name}.data")
    for name in many - {f"{path.name}.data"}:
        (path.parent / name).unlink()


@dataclass(frozen=True)
class Difference:
    """How far a file's outputs are from torch's, in standard deviations of the output farthest off."""

    largest: float
    rms: float


def difference(
    network: nn.Module, path: Path, inputs: Mapping[str, FloatArray], outputs: Sequence[str]
) -> Difference:
    """How much the outputs of an ONNX file differ from torch's; infinity where a shape does.

    Raises:
        ModelError: ONNX Runtime does not take the file, or torch's outputs are not finite.
    """
    with torch.inference_mode():
        wanted = [value.numpy() for value in network(*(torch.from_numpy(v) for v in inputs.values()))]
    found = _run(path, inputs, outputs)
    largest, rms = 0.0, 0.0
    for name, ours, theirs in zip(outputs, found, wanted, strict=True):
        if not np.isfinite(theirs).all():
            raise ModelError(f"{name}: torch gave values that are not finite. The checkpoint is not whole.")
        if ours.shape != theirs.shape or not np.isfinite(ours).all():
            return Difference(float("inf"), float("inf"))
        apart = (ours - theirs) / max(theirs.std(), 1e-12)
        largest = max(largest, float(np.abs(apart).max()))
        rms = max(rms, float(np.sqrt(np.square(apart).mean())))
    return Difference(largest, rms)


def _run(path: Path, inputs: Mapping[str, FloatArray], outputs: Sequence[str]) -> list[FloatArray]:
    """The outputs by ONNX Runtime on the processor, weights beside the file included."""
    ort = library()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return [np.asarray(value) for value in session.run(list(outputs), dict(inputs))]
    except Exception as error:  # onnxruntime's exceptions share no parent but this
        raise ModelError(f"{path}: ONNX Runtime: {' '.join(str(error).split())}") from error

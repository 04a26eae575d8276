"""Exports torch modules to ONNX files, and measures the difference from torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import nn

from metric_depth_ros.errors import InputError, ModelError
from metric_depth_ros.runtimes.onnxruntime import library
from metric_depth_ros.types import Array, FloatArray

OPSET = 17
# Largest difference of a float32 file from torch at any element, in standard deviations of an output.
PARITY = 1e-3
# Size limit of a protocol buffer, which an ONNX file is; larger weights go into a file beside it.
_LARGEST = 2**31 - 2**20


def write_onnx(
    network: nn.Module,
    path: Path,
    examples: Mapping[str, Array],
    outputs: Sequence[str],
    *,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> None:
    """Writes a network in eval mode as ``path`` (and ``path``.data if the weights are above 2 GB).

    Args:
        examples: one array per input, in the order of ``forward``; they fix all sizes but ``dynamic``.
        outputs: names of the outputs of ``forward``.
        dynamic: for inputs and outputs, axis to name, if a size may vary.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    large = 4 * sum(p.numel() for p in network.parameters()) > _LARGEST
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trace(network, str(path), examples, outputs, dynamic=dynamic)
        if large:
            _gather_weights(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed a folder to write to.") from error


def trace(
    network: nn.Module,
    to: str | BytesIO,
    examples: Mapping[str, Array],
    outputs: Sequence[str],
    *,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    opset: int = OPSET,
) -> None:
    """Writes the graph of a network with torch's exporter; arguments as for ``write_onnx``."""
    with warnings.catch_warnings(), torch.inference_mode():
        # The older exporter needs no other package and writes a simpler graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(torch.from_numpy(array) for array in examples.values()),
            to,
            input_names=list(examples),
            output_names=list(outputs),
            dynamic_axes=dynamic,
            opset_version=opset,
            dynamo=False,
        )


def _gather_weights(path: Path) -> None:
    """Joins the many weight files that the exporter leaves beside a large graph into one."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    many = {e.value for tensor in graph.initializer for e in tensor.external_data if e.key == "location"}
    onnx.save_model(onnx.load(str(path)), str(path), save_as_external_data=True, location=f"{path.name}.data")
    for name in many - {f"{path.name}.data"}:
        (path.parent / name).unlink()


@dataclass(frozen=True)
class Difference:
    """Difference of a file's outputs from torch's, in standard deviations, for the worst output."""

    largest: float
    rms: float


def write_verified(
    network: nn.Module,
    path: Path,
    examples: Sequence[Mapping[str, FloatArray]],
    outputs: Sequence[str],
    *,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> Difference:
    """Calls ``write_onnx`` with the first example; returns the file's difference from torch at all examples.

    Raises:
        InputError: as ``write_onnx``.
        ModelError: as ``difference``; or the difference is above 1e-3 at any element.
    """
    write_onnx(network, path, examples[0], outputs, dynamic=dynamic)
    found = difference(network, path, examples, outputs)
    check_parity(path, found.largest, PARITY)
    return found


def difference(
    network: nn.Module, path: Path, examples: Sequence[Mapping[str, FloatArray]], outputs: Sequence[str]
) -> Difference:
    """Largest difference of an ONNX file's outputs from torch's; infinite if a shape differs.

    Raises:
        ModelError: ONNX Runtime rejects the file, or torch's outputs are not finite.
    """
    with torch.inference_mode():
        wanted = [
            [value.numpy() for value in network(*(torch.from_numpy(v) for v in inputs.values()))]
            for inputs in examples
        ]
    found = _run(path, examples, outputs)
    each = [compared(outputs, *pair) for pair in zip(found, wanted, strict=True)]
    return Difference(max(item.largest for item in each), max(item.rms for item in each))


def compared(
    names: Sequence[str], found: Sequence[FloatArray], wanted: Sequence[FloatArray], *, least: float = 1e-12
) -> Difference:
    """Difference of a file's outputs from torch's; infinite if a shape differs.

    Args:
        least: lower limit of an output's standard deviation.

    Raises:
        ModelError: torch's outputs are not finite.
    """
    largest, rms = 0.0, 0.0
    for name, ours, theirs in zip(names, found, wanted, strict=True):
        if not np.isfinite(theirs).all():
            raise ModelError(f"{name}: torch gave values that are not finite. The checkpoint is not whole.")
        if ours.shape != theirs.shape or not np.isfinite(ours).all():
            return Difference(float("inf"), float("inf"))
        apart = (ours - theirs) / max(theirs.std(), least)
        largest = max(largest, float(np.abs(apart).max()))
        rms = max(rms, float(np.sqrt(np.square(apart).mean())))
    return Difference(largest, rms)


def check_parity(path: Path, found: float, limit: float) -> None:
    """Raises ModelError if the difference from torch is above ``limit``, in standard deviations."""
    if not found <= limit:
        raise ModelError(f"{path}: differs from torch by {found:.1e} of its deviation; needed {limit:.0e}.")


def _run(
    path: Path, examples: Sequence[Mapping[str, FloatArray]], outputs: Sequence[str]
) -> list[list[FloatArray]]:
    """Outputs of ONNX Runtime on the CPU for each example, with the weights beside the file."""
    ort = library()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return [
            [np.asarray(value) for value in session.run(list(outputs), dict(inputs))] for inputs in examples
        ]
    except Exception as error:  # onnxruntime's exceptions have no other common parent
        raise ModelError(f"{path}: ONNX Runtime: {' '.join(str(error).split())}") from error

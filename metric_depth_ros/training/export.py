"""A trained network to ONNX, with its manifest, checked against torch."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from metric_depth_ros.errors import InputError, ModelError
from metric_depth_ros.models.tiny_depth import MEAN, STD, TinyDepth
from metric_depth_ros.runtimes import build_runtime
from metric_depth_ros.types import FloatArray

OPSET = 17
_INPUT, _OUTPUT, _FEATURES = "image", "inverse_depth", "features"
# Of the standard deviation of an output.
_PARITY = 1e-4


@dataclass(frozen=True)
class Exported:
    """What was written. ``difference``: from torch, in standard deviations of the depth output."""

    manifest: Path
    model: Path
    bytes: int
    difference: float


def export_depth(
    network: TinyDepth, out: str | Path, size: tuple[int, int], *, name: str = "tiny_depth"
) -> Exported:
    """Writes OUT/name.onnx for one size (width, height), batch normalisation folded in, and OUT/name.yaml.

    Raises:
        InputError: the folder cannot be written.
        ModelError: ONNX Runtime does not give what torch gives.
    """
    folder = Path(out)
    model, manifest = folder / f"{name}.onnx", folder / f"{name}.yaml"
    network = network.cpu().eval()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(network, model, size)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; needed a folder to write to.") from error
    difference = _difference(network, model, size)
    if not difference <= _PARITY:
        raise ModelError(
            f"{model}: differs from torch by {difference:.1e} of its spread; needed {_PARITY:.0e}."
        )
    manifest.write_text(_described(model, name, size, network.config.output), encoding="utf-8")
    return Exported(manifest, model, model.stat().st_size, difference)


def _write(network: nn.Module, path: Path, size: tuple[int, int]) -> None:
    example = torch.zeros(1, 3, size[1], size[0])
    with warnings.catch_warnings(), path.open("wb") as file:
        # Of the older exporter, which needs no further package and writes a plainer graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            file,
            input_names=[_INPUT],
            output_names=[_OUTPUT, _FEATURES],
            opset_version=OPSET,
            dynamo=False,
        )


def _difference(network: nn.Module, path: Path, size: tuple[int, int]) -> float:
    """The largest difference of both outputs from torch, by their standard deviation."""
    image = np.random.default_rng(0).standard_normal((1, 3, size[1], size[0])).astype(np.float32)
    with torch.inference_mode():
        wanted = [output.numpy() for output in network(torch.from_numpy(image))]
    found: Mapping[str, FloatArray] = build_runtime("onnxruntime", path, threads=1).run({_INPUT: image})
    worst = 0.0
    for name, values in zip((_OUTPUT, _FEATURES), wanted, strict=True):
        if found[name].shape != values.shape:
            return float("inf")
        worst = max(worst, float(np.abs(found[name] - values).max() / max(values.std(), 1e-12)))
    return worst


def _described(model: Path, name: str, size: tuple[int, int], output: str) -> str:
    """The manifest's text."""
    tree: dict[str, Any] = {
        "name": name,
        "file": model.name,
        "licence": "Apache-2.0",
        "source": "metric_depth train depth",
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "input": {
            "name": _INPUT,
            "width": size[0],
            "height": size[1],
            "colour": "rgb",
            "mean": list(MEAN),
            "std": list(STD),
            "resize": "stretch",
        },
        "output": {"name": _OUTPUT, "kind": "inverse_depth", "metric": False},
        "features": {"f": _FEATURES},
    }
    known = "positive and known up to a factor" if output == "log" else "known up to a factor and an offset"
    return f"# Trained on synthetic scenes alone. Its inverse depth is {known}.\n" + yaml.safe_dump(
        tree, sort_keys=False
    )

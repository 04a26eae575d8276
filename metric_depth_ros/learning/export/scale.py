"""Exports a scale network to one ONNX file and its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metric_depth_ros.engines.manifest import InputManifest, ScaleManifest
from metric_depth_ros.errors import ConfigError, ModelError
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.files import Exported, Wanted, check_sizes
from metric_depth_ros.learning.export.graph import Difference, write_onnx
from metric_depth_ros.learning.export.half import halve_weights
from metric_depth_ros.learning.models.encoder import MEAN, STD, folded
from metric_depth_ros.learning.models.scale_network import ScaleNetwork
from metric_depth_ros.priors import ScalePrior
from metric_depth_ros.runtimes import build_runtime
from metric_depth_ros.types import FloatArray

_IMAGE, _LOG_SCALE = "image", "log_scale"
# Largest difference of the log factor from torch's: two percent of the factor, with weights in float16.
_PARITY = 2e-2
_COMPARED = 8


def export_scale(network: ScaleNetwork, wanted: Wanted, about: Mapping[str, Any]) -> Exported:
    """Writes NAME.onnx, weights in float16, and NAME.yaml.

    Args:
        about: of the run's checkpoint: what its targets are of, and the log factor's deviation.

    Raises:
        ConfigError: the size is too small, or the run was never validated.
        InputError: the folder cannot be written.
        ModelError: the outputs of ONNX Runtime differ from torch's.
    """
    check_sizes(wanted, "a scale network", step=1, least=32, fixed="its encoder knows places")
    if about["sigma"] is None:
        raise ConfigError("export: the run has not been validated yet, so its sigma is unknown. Resume it.")
    width, height = wanted.sizes[0]
    path = wanted.folder / f"{wanted.name}.onnx"
    rng = np.random.default_rng(0)
    shape = (_COMPARED, 1, 3, height, width)
    noise = rng.standard_normal(shape, np.float32) * rng.uniform(0.2, 2, (_COMPARED, 1, 1, 1, 1))
    images = noise.astype(np.float32)
    network = folded(network.cpu())
    write_onnx(network, path, {_IMAGE: images[0]}, [_LOG_SCALE])
    halve_weights(path)
    with torch.inference_mode():
        told = [float(network(torch.from_numpy(image))[0]) for image in images]
    found = _difference(path, images, told)
    manifest = ScaleManifest(
        name=wanted.name,
        licence=wanted.licence or "Apache-2.0",
        file=path.name,
        sha256=described_file(path).sha256,
        input=InputManifest(name=_IMAGE, width=width, height=height, mean=MEAN, std=STD),
        output=_LOG_SCALE,
        scale_of=about["targets"]["engine"],
        metric=about["targets"]["metric"],
        canonical=network.config.canonical,
        sigma=round(about["sigma"], 4),
        source=wanted.source or "metric_depth train scale",
    )
    comment = f"Scale of a picture for {manifest.scale_of} (paper 002). For solver.prior."
    write_manifest(manifest, path.with_suffix(".yaml"), comment, ScalePrior.load)
    return Exported(path.with_suffix(".yaml"), (path,), found)


def _difference(path: Path, images: FloatArray, told: list[float]) -> Difference:
    """Difference of the file's log factors from torch's. Raises ModelError if it is too large."""
    runtime = build_runtime("onnxruntime", path, threads=1)
    found = [float(runtime.run({_IMAGE: image})[_LOG_SCALE].ravel()[0]) for image in images]
    apart = np.abs(np.subtract(found, told))
    if not apart.max() <= _PARITY:
        raise ModelError(f"{path}: log factors differ from torch's by {apart.max():.1e}; needed {_PARITY}.")
    return Difference(float(apart.max()), float(np.sqrt(np.square(apart).mean())))

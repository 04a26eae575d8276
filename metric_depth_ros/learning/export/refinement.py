"""Exports the network of ``refined`` to one ONNX file and its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from metric_depth_ros.engines.manifest import RefinementManifest
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.files import Exported
from metric_depth_ros.learning.export.graph import check_parity, difference, write_verified
from metric_depth_ros.learning.export.half import halve_weights
from metric_depth_ros.learning.models.encoder import folded
from metric_depth_ros.learning.models.refinement import Refinement
from metric_depth_ros.solvers.refined.inputs import CHANNELS
from metric_depth_ros.solvers.refined.network import CORRECTION, LOOK, RefinementNetwork

# Largest difference from torch with weights in float16, in standard deviations of the output.
_PARITY = 0.1


class _Tupled(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """The network with a tuple of its one output, as exports are compared."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, look: Tensor) -> tuple[Tensor]:
        return (self.network(look),)


def export_refinement(
    network: Refinement,
    folder: Path,
    name: str,
    about: dict[str, Any],
    *,
    licence: str = "",
    source: str = "",
) -> Exported:
    """Writes NAME.onnx, weights in float16, and NAME.yaml.

    Args:
        about: of the run's checkpoint: what its examples are of.

    Raises:
        InputError: the folder cannot be written.
        ModelError: the outputs of ONNX Runtime differ from torch's.
    """
    examples = about["examples"]
    path = folder / f"{name}.onnx"
    network = _Tupled(folded(network.cpu())).eval()
    rng = np.random.default_rng(0)
    shape = (1, CHANNELS, examples["height"], examples["width"])
    looks = [{LOOK: rng.standard_normal(shape, np.float32)} for _ in range(3)]
    write_verified(network, path, looks, [CORRECTION])
    halve_weights(path)
    found = difference(network, path, looks, [CORRECTION])
    check_parity(path, found.largest, _PARITY)
    manifest = RefinementManifest(
        name=name,
        licence=licence or "Apache-2.0",
        file=path.name,
        sha256=described_file(path).sha256,
        channels=CHANNELS,
        width=examples["width"],
        height=examples["height"],
        solver=examples["solver"],
        source=source or "metric_depth train refinement",
    )
    comment = f"Corrects the depth of {manifest.solver}. For solver.refined.network."
    write_manifest(manifest, path.with_suffix(".yaml"), comment, RefinementNetwork.load)
    return Exported(path.with_suffix(".yaml"), (path,), found)

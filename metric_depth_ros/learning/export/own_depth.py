"""Exports trained depth networks to ONNX and manifest."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from metric_depth_ros.learning.export.depth import export_depth
from metric_depth_ros.learning.export.files import Exported, Wanted
from metric_depth_ros.learning.models.depth_network import DepthFacts
from metric_depth_ros.learning.models.encoder import MEAN, STD
from metric_depth_ros.learning.models.pyramid import PyramidDepth

if TYPE_CHECKING:
    from metric_depth_ros.learning.models.imported_depth import ImportedDepth


def export_trained(network: PyramidDepth | ImportedDepth, wanted: Wanted) -> list[Exported]:
    """Writes the network of a training run; raises as ``export_own_depth`` and ``export_depth`` do."""
    if isinstance(network, PyramidDepth):
        return export_own_depth(network, wanted)
    comment = f"Written by metric_depth train depth-export: {network.facts.title}, fine-tuned."
    wanted = dataclasses.replace(wanted, source=wanted.source or "metric_depth train depth")
    return export_depth(network.network.cpu().eval(), network.facts, wanted, comment=comment)


def export_own_depth(network: PyramidDepth, wanted: Wanted) -> list[Exported]:
    """Writes NAME.onnx, batch normalisation folded, weights float16, and NAME.yaml, as ``export_depth``.

    Raises:
        ConfigError: the network does not support a size.
        InputError: the folder cannot be written.
        ModelError: the outputs of ONNX Runtime differ from torch's.
    """
    facts = DepthFacts(
        title=wanted.name,
        kind="inverse_depth",
        size=wanted.sizes[0],
        multiple_of=16,
        mean=MEAN,
        std=STD,
        licence="Apache-2.0",
        fixed="it is told where a pixel is by coordinates that its file holds",
    )
    log = network.config.output == "log"
    known = "positive and known up to a factor" if log else "known up to a factor and an offset"
    comment = f"Written by metric_depth train depth-export. Its inverse depth is {known}."
    wanted = dataclasses.replace(wanted, short=True, source=wanted.source or "metric_depth train depth")
    return export_depth(network.cpu().eval(), facts, wanted, comment=comment)

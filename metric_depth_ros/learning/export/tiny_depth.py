"""The package's own depth network to ONNX and manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metric_depth_ros.learning.export.depth import Exported, Wanted, export_network
from metric_depth_ros.learning.models.depth_network import DepthFacts
from metric_depth_ros.learning.models.tiny_depth import MEAN, STD, TinyDepth


def export_tiny_depth(
    network: TinyDepth,
    folder: str | Path,
    sizes: Sequence[tuple[int, int]],
    *,
    name: str = "tiny_depth",
    dynamic: bool = False,
    half: bool = False,
    licence: str = "",
    source: str = "",
) -> list[Exported]:
    """Writes FOLDER/name.onnx, batch normalisation folded in, and FOLDER/name.yaml, as ``export_network``.

    Raises:
        ConfigError: a size that the network cannot take.
        InputError: the folder cannot be written.
        ModelError: ONNX Runtime does not give what torch gives.
    """
    facts = DepthFacts(
        title=name,
        kind="inverse_depth",
        size=sizes[0],
        multiple_of=16,
        mean=MEAN,
        std=STD,
        licence="Apache-2.0",
        fixed="it is told where a pixel is by coordinates that its file holds",
    )
    wanted = Wanted(Path(folder), name, sizes, dynamic, half, licence, source or "metric_depth train depth")
    log = network.config.output == "log"
    known = "positive and known up to a factor" if log else "known up to a factor and an offset"
    comment = f"Trained on synthetic scenes alone. Its inverse depth is {known}."
    return export_network(network.cpu().eval(), facts, wanted, comment=comment)

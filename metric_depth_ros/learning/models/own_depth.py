"""The package's own depth networks, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metric_depth_ros.learning.models.pyramid import PyramidDepth
from metric_depth_ros.learning.models.small_depth import SmallDepth, SmallDepthConfig
from metric_depth_ros.learning.models.tiny_depth import TinyDepth, TinyDepthConfig

# Name -> network and its sizes.
NETWORKS: dict[str, tuple[Callable[[Any], PyramidDepth], type[Any]]] = {
    "small": (SmallDepth, SmallDepthConfig),
    "tiny": (TinyDepth, TinyDepthConfig),
}


def name_of(architecture: dict[str, Any]) -> str:
    """Name of the network whose sizes these are, as a checkpoint stores them."""
    return "small" if "encoder" in architecture else "tiny"


def build_own_depth(architecture: dict[str, Any]) -> PyramidDepth:
    """Network with random weights from its sizes. Raises TypeError if they are of another version."""
    network, config = NETWORKS[name_of(architecture)]
    return network(config(**architecture))

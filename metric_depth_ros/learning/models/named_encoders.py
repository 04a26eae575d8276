"""Encoders by name, and their first weights: those of the package's depth networks."""

from __future__ import annotations

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.models.efficientnet_lite import SIZES
from metric_depth_ros.learning.models.encoder import Encoder
from metric_depth_ros.learning.models.pyramid import PyramidDepth
from metric_depth_ros.learning.models.small_depth import SmallDepth, SmallDepthConfig, SmallEncoder
from metric_depth_ros.learning.models.tiny_depth import TinyDepth, TinyEncoder

ENCODERS = (*SIZES, "tiny")


def build_encoder(name: str) -> Encoder:
    """Encoder of a depth network with random weights. Raises ConfigError for an unknown name."""
    if name == "tiny":
        return TinyEncoder()
    if name not in SIZES:
        raise ConfigError(f"encoder: {name!r}; known are {', '.join(ENCODERS)}.")
    return SmallEncoder(name)


def depth_network_with(name: str) -> PyramidDepth:
    """The depth network whose encoder has this name, to load its weights into."""
    return TinyDepth() if name == "tiny" else SmallDepth(SmallDepthConfig(encoder=name))

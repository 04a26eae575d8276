"""Interface of exported depth networks: image in; depth and optional features out."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.types import Kind

# Name -> index of the decoder's feature map F(x) that is output.
FEATURES = {"coarse": 1, "fine": -1, "none": None}


@dataclass(frozen=True)
class DepthFacts:
    """Facts about a network for its export and manifest.

    Attributes:
        title: the network's name.
        kind, metric, floor: as in ``OutputManifest``.
        size: width and height of its usual input.
        multiple_of: both sides of any input are multiples of this.
        fixed: reason why a file supports only one size; empty if it supports several.
        only_size: whether ``size`` is the only size, even with one file per size.
        mean, std, border: as in ``InputManifest``, for checkpoints that do not state them.
        licence: of the published weights, for checkpoints that do not state it.
    """

    title: str
    kind: Kind
    size: tuple[int, int]
    multiple_of: int
    metric: bool = False
    floor: float | None = None
    fixed: str = ""
    only_size: bool = False
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    border: float = 0.0
    licence: str = "see its model card"


def check_size(size: tuple[int, int], title: str, *, step: int, least: int) -> None:
    """Raises ConfigError unless width and height are multiples of ``step`` and at least ``least``."""
    if any(side % step for side in size) or min(size) < least:
        width, height = (max(least, step * round(side / step)) for side in size)
        raise ConfigError(
            f"size: {size[0]}x{size[1]}; {title} needs multiples of {step}. Nearest: {width}x{height}."
        )


class DepthNetwork(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes depth (1, 1, h, w) and, unless ``features`` is "none", features (1, C, h', w')."""

    facts: DepthFacts

    def __init__(self, features: str = "coarse") -> None:
        super().__init__()
        self.features = features

    def maps(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Depth (1, h, w) and the decoder's feature maps, from coarse to fine, of a normalised image."""
        raise NotImplementedError

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Depth and the chosen features of a normalised image (1, 3, H, W)."""
        depth, fused = self.maps(image)
        which = FEATURES[self.features]
        return (depth[:, None],) if which is None else (depth[:, None], fused[which])

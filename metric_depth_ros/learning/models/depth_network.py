"""What every exported depth network is: one image in; depth, and features where wanted, out."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from metric_depth_ros.types import Kind

# Which of the decoder's feature maps F(x) is given out, by how it is called.
FEATURES = {"coarse": 1, "fine": -1, "none": None}


@dataclass(frozen=True)
class DepthFacts:
    """What a manifest says of a network, and export must know.

    Attributes:
        title: the network's name.
        kind, metric, floor: as in ``OutputManifest``.
        size: width and height of its usual input.
        multiple_of: both sides of any input are multiples of this.
        fixed: why its file cannot take several sizes; empty when it can.
        only_size: it takes no other size than ``size``, not even in a file of its own.
        mean, std, border: as in ``InputManifest``, where the checkpoint does not say.
        licence: of the published weights, where the checkpoint does not say.
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


class DepthNetwork(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Depth (1, 1, h, w) and, unless ``features`` is "none", features (1, C, h', w') of normalised images."""

    facts: DepthFacts

    def __init__(self, features: str = "coarse") -> None:
        super().__init__()
        self.features = features

    def maps(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Depth (1, h, w) and the decoder's feature maps, from coarse to fine."""
        raise NotImplementedError

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Depth and the chosen features of (1, 3, H, W)."""
        depth, fused = self.maps(image)
        which = FEATURES[self.features]
        return (depth[:, None],) if which is None else (depth[:, None], fused[which])

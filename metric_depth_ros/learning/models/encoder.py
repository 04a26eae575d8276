"""What every image encoder is, whatever stands on it: depth, basis maps, Metric-Solver, learned scale."""

from __future__ import annotations

import copy
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# What an image is normalised with: (pixel / 255 - MEAN) / STD. An encoder whose weights want another range
# changes to it itself, so that one image, and one manifest, does for all.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Feature maps of normalised images (B, 3, H, W), the largest first.

    Attributes:
        channels: of every map.
        strides: of every map, whose sides are those of the image divided by its stride, rounded up. (With
            patches, the image's sides are multiples of it.)
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    _keeps_statistics = False

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, channels, h, w) each."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Keeps weights and batch statistics as they are, through ``train`` too, until ``unfreeze``."""
        self.requires_grad_(False)
        self._keeps_statistics = True
        self.eval()

    def unfreeze(self, *, statistics: bool = False) -> None:
        """Lets the weights learn, and from the next ``train`` on the batch statistics too, if so told."""
        self.requires_grad_(True)
        self._keeps_statistics = not statistics

    def train(self, mode: bool = True) -> Encoder:
        """As of any module; batch statistics that are kept stay so."""
        super().train(mode and not self._keeps_statistics)
        return self


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode, every batch normalisation folded into the convolution before it."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        layers = list(pairwise(module)) if isinstance(module, nn.Sequential) else []
        for i, (convolution, norm) in enumerate(layers):
            if isinstance(norm, nn.BatchNorm2d):
                module[i], module[i + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network

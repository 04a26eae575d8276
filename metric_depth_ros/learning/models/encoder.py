"""Interface of image encoders, for depth, basis maps, Metric-Solver and learned scale."""

from __future__ import annotations

import copy
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Normalisation of images: (pixel / 255 - MEAN) / STD. An encoder whose weights need another range converts
# to it itself, so the same image and the same manifest serve all.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes feature maps of normalised images (B, 3, H, W), the largest first.

    Attributes:
        channels: channels of each map.
        strides: stride of each map; its sides are the image's sides divided by the stride, rounded up. (For
            encoders with patches, the image's sides are multiples of it.)
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    _keeps_statistics = False

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps (B, channels, h, w)."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Fixes weights and batch statistics, even after ``train``, until ``unfreeze``."""
        self.requires_grad_(False)
        self._keeps_statistics = True
        self.eval()

    def unfreeze(self, *, statistics: bool = False) -> None:
        """Makes the weights trainable and, if requested, the batch statistics from the next ``train`` on."""
        self.requires_grad_(True)
        self._keeps_statistics = not statistics

    def train(self, mode: bool = True) -> Encoder:
        """Sets training mode as in any module; fixed batch statistics stay fixed."""
        super().train(mode and not self._keeps_statistics)
        return self


def folded(network: nn.Module) -> nn.Module:
    """Copy in eval mode, with each batch normalisation folded into the convolution before it."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        layers = list(pairwise(module)) if isinstance(module, nn.Sequential) else []
        for i, (convolution, norm) in enumerate(layers):
            if isinstance(norm, nn.BatchNorm2d):
                module[i], module[i + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network

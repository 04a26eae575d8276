"""Generator of basis maps for the log-scale field of an image (paper 001, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from metric_depth_ros.depth import BEYOND, FARTHEST, far_end_shift
from metric_depth_ros.learning.models.layers import Residual, convolution, coordinates, resized

# Limits of a pixel's misfit, in log depth.
LEAST_MISFIT = 0.01
MOST_MISFIT = 1.0
# Log relative depth is limited to this distance from its median; sky lies beyond.
_MOST_LOG = 4.0
# Limit of a gate before the softmax.
_MOST_GATE = 20.0


@dataclass(frozen=True)
class BasisGeneratorConfig:
    """Sizes of a ``BasisGenerator``.

    Attributes:
        maps: K, basis maps; the paper has 8, 30 and 50.
        features: channels of F(x); 0 is the variant for networks without features.
        width, deep: channels of the trunk at the input's size, and at 1/2 and 1/4 of it.
    """

    maps: int = 8
    features: int = 32
    width: int = 24
    deep: int = 48


class BasisGenerator(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes basis maps E = G * B from X = [F, log D, grad log D, x] (equations 17 to 19).

    D is a relative depth up to a scale. B_0 = 1, so a global scale can be represented; G is a softmax over
    the K channels. The trunk is fully convolutional, so it accepts any size; the paper does not describe it
    further. Ours has two coarser levels, which see the layout of the whole image. The median is subtracted
    from log D, since its scale has no meaning.

    Ours: a third head predicts each pixel's deviation from the best field, its misfit (``spread`` in files).
    """

    def __init__(self, config: BasisGeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or BasisGeneratorConfig()
        # Normalisation of the features, and the factor that calibrates the misfit.
        self.register_buffer("mean", torch.zeros(c.features))
        self.register_buffer("deviation", torch.ones(c.features))
        self.register_buffer("gain", torch.ones(()))
        self.mix = nn.Conv2d(c.features + 5, c.width, 1)
        self.fine = convolution(c.width, c.width)
        self.coarse = nn.Sequential(convolution(c.width, c.deep, stride=2), Residual(c.deep))
        self.coarser = nn.Sequential(
            convolution(c.deep, c.deep, stride=2), Residual(c.deep), Residual(c.deep)
        )
        self.lift = nn.Conv2d(c.deep, c.width, 1)
        self.join = convolution(c.width, c.width)
        self.basis = nn.Conv2d(c.width, c.maps - 1, 1)
        self.gates = nn.Conv2d(c.width, c.maps, 1)
        self.spread = nn.Conv2d(c.width, 1, 1)
        # Features start with weight zero: 32 of them, each as large as log D, would dominate the five others.
        with torch.no_grad():
            self.mix.weight[:, : c.features] = 0
            nn.init.kaiming_uniform_(self.mix.weight[:, c.features :], a=5**0.5)
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)
        nn.init.zeros_(self.spread.weight)
        nn.init.constant_(self.spread.bias, -2.0)

    def forward(self, features: Tensor, log_relative: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Basis maps E and gates G (B, K, h, w), and the misfit in log depth (B, 1, h, w).

        Args:
            features: F (B, C, h, w) from the engine; C = 0 for the variant without features.
            log_relative: (B, 1, h, w) log of a positive depth, finite, minus its median over the image.
        """
        return self.maps(self.trunk(features, log_relative))

    def trunk(self, features: Tensor, log_relative: Tensor) -> Tensor:
        """Shared features H (B, width, h, w)."""
        x = functional.relu(self.mix(self.cues(features, log_relative)))
        x = self.fine(x)
        half = self.coarse(x)
        deep = half + resized(self.coarser(half), half)
        return self.join(x + resized(self.lift(deep), x))

    def maps(self, shared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of ``forward`` from H, for each pixel separately."""
        primitive = self.basis(shared).float()
        primitive = torch.cat([torch.ones_like(primitive[:, :1]), primitive], 1)
        # A softmax; in this form it takes a tenth of the time in ONNX Runtime.
        weights = self.gates(shared).float().clamp(-_MOST_GATE, _MOST_GATE).exp()
        gates = weights / weights.sum(1, keepdim=True)
        misfit = self.gain * self.spread(shared).float().exp()
        return gates * primitive, gates, misfit.clamp(LEAST_MISFIT, MOST_MISFIT)

    def cues(self, features: Tensor, log_relative: Tensor) -> Tensor:
        """Input X (B, C + 5, h, w) of the trunk."""
        centred = log_relative.clamp(-_MOST_LOG, _MOST_LOG)
        padded = functional.pad(centred, (1, 1, 1, 1), mode="replicate")
        across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
        down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
        maps = [centred, across, down, coordinates(centred)]
        if self.config.features:
            maps.insert(0, (features - self.mean[:, None, None]) / self.deviation[:, None, None])
        return torch.cat(maps, 1)


class FusedGenerator(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Generator that follows a depth network: from the network's outputs to E and misfit, for one size.

    ``positive_depth`` is applied here to the map reduced to (height, width), not to the whole map.
    """

    def __init__(self, generator: BasisGenerator, kind: str, size: tuple[int, int]) -> None:
        """``kind``: of the network, "depth" or "inverse_depth". ``size``: height and width of the maps."""
        super().__init__()
        self.generator, self._kind, self._size = generator, kind, size

    def forward(self, value: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """E (1, K, h, w) and misfit (1, 1, h, w) from depth (1, 1, H, W) or (1, H, W) and features."""
        if value.ndim == 3:
            value = value[:, None]
        value = functional.interpolate(value, size=self._size, mode="bilinear", align_corners=False)
        if features is None:
            features = value[:, :0]
        elif features.shape[2:] != value.shape[2:]:
            features = resized(features, value)
        basis, _, misfit = self.generator(features, self._log_depth(value))
        return basis, misfit

    def _log_depth(self, value: Tensor) -> Tensor:
        """Log of the ``positive_depth`` of a map (1, 1, h, w), minus its median."""
        ordered = value.flatten().topk(value.numel(), largest=False).values
        middle = len(ordered) // 2
        median = (ordered[middle] + ordered[(len(ordered) - 1) // 2]) / 2
        if self._kind == "depth":
            return value.clamp(min=1e-6).log() - median.clamp(min=1e-6).log()
        place = BEYOND * (len(ordered) - 1)
        first = int(place)
        low = ordered[first] + (place - first) * (ordered[first + 1] - ordered[first])
        shift = torch.where(ordered[0] < 0, far_end_shift(low, median), torch.zeros_like(low))
        near = (median - shift).clamp(min=1e-30)
        return near.log() - torch.maximum(value - shift, near / FARTHEST).log()

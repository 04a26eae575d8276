"""Basis maps for the log-scale field of one picture (paper 001, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from metric_depth_ros.depth import BEYOND, FARTHEST, far_end_shift
from metric_depth_ros.learning.models.layers import Residual, convolution, coordinates, resized

# Bounds of what a pixel's misfit may be, in log depth.
LEAST_SPREAD, MOST_SPREAD = 0.01, 1.0
# Log relative depth is cut so many units from its median: beyond is the sky.
_MOST_LOG = 4.0
# Bound of a gate before the softmax.
_MOST_GATE = 20.0


@dataclass(frozen=True)
class BasisGeneratorConfig:
    """The sizes of a ``BasisGenerator``.

    Attributes:
        maps: K, basis maps; the paper has 8, 30 and 50.
        features: channels of F(x); 0 is the variant without, for networks that give none.
        width, deep: channels of the trunk at its input's size, and at 1/2 and 1/4 of it.
    """

    maps: int = 8
    features: int = 32
    width: int = 24
    deep: int = 48


class BasisGenerator(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """E = G * B of X = [F, log D, grad log D, x], D a relative depth up to a scale (equations 17 to 19).

    B_0 = 1, so that a global scale is representable; G is a softmax over the K channels. The trunk is
    fully convolutional, so any size will do; the paper says no more of it, and this one, with two
    coarser levels that see the whole picture's layout, is ours. Log D comes less its median: its
    scale means nothing.

    Ours: a third head says how far a pixel will be off the best field, the ``spread``.
    """

    def __init__(self, config: BasisGeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or BasisGeneratorConfig()
        # What the features are normalised with, and what makes stated errors as large as seen ones.
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
        # Features begin without a say: 32 of them, each as large as log D, would drown the five others.
        with torch.no_grad():
            self.mix.weight[:, : c.features] = 0
            nn.init.kaiming_uniform_(self.mix.weight[:, c.features :], a=5**0.5)
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)
        nn.init.zeros_(self.spread.weight)
        nn.init.constant_(self.spread.bias, -2.0)

    def forward(self, features: Tensor, log_relative: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Basis maps E and gates G (B, K, h, w), and the spread in log depth (B, 1, h, w).

        Args:
            features: F (B, C, h, w) as the engine gives them; C = 0 for the variant without.
            log_relative: (B, 1, h, w) log of a positive depth, finite, less its median over the picture.
        """
        return self.maps(self.trunk(features, log_relative))

    def trunk(self, features: Tensor, log_relative: Tensor) -> Tensor:
        """The shared features H (B, width, h, w)."""
        x = functional.relu(self.mix(self.cues(features, log_relative)))
        x = self.fine(x)
        half = self.coarse(x)
        deep = half + resized(self.coarser(half), half)
        return self.join(x + resized(self.lift(deep), x))

    def maps(self, shared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What ``forward`` gives, of H, pixel by pixel."""
        primitive = self.basis(shared).float()
        primitive = torch.cat([torch.ones_like(primitive[:, :1]), primitive], 1)
        # A softmax; written out it takes a tenth of the time in ONNX Runtime.
        weights = self.gates(shared).float().clamp(-_MOST_GATE, _MOST_GATE).exp()
        gates = weights / weights.sum(1, keepdim=True)
        spread = self.gain * self.spread(shared).float().exp()
        return gates * primitive, gates, spread.clamp(LEAST_SPREAD, MOST_SPREAD)

    def cues(self, features: Tensor, log_relative: Tensor) -> Tensor:
        """X (B, C + 5, h, w)."""
        centred = log_relative.clamp(-_MOST_LOG, _MOST_LOG)
        padded = functional.pad(centred, (1, 1, 1, 1), mode="replicate")
        across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
        down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
        maps = [centred, across, down, coordinates(centred)]
        if self.config.features:
            maps.insert(0, (features - self.mean[:, None, None]) / self.deviation[:, None, None])
        return torch.cat(maps, 1)


class FusedGenerator(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """A generator behind a depth network: the network's own outputs to E and spread, for one size.

    What ``positive_depth`` does to the whole map is done here to the map reduced to (height, width).
    """

    def __init__(self, generator: BasisGenerator, kind: str, size: tuple[int, int]) -> None:
        """``kind``: "depth" or "inverse_depth", of the network. ``size``: height and width of the maps."""
        super().__init__()
        self.generator, self._kind, self._size = generator, kind, size

    def forward(self, value: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """E (1, K, h, w) and spread (1, 1, h, w) of a depth output (1, 1, H, W) or (1, H, W) and features."""
        if value.ndim == 3:
            value = value[:, None]
        value = functional.interpolate(value, size=self._size, mode="bilinear", align_corners=False)
        if features is None:
            features = value[:, :0]
        elif features.shape[2:] != value.shape[2:]:
            features = resized(features, value)
        basis, _, spread = self.generator(features, self._log_depth(value))
        return basis, spread

    def _log_depth(self, value: Tensor) -> Tensor:
        """Of a map (1, 1, h, w), as ``positive_depth`` has it, less its median."""
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

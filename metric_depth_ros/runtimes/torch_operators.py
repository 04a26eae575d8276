"""The ONNX operators that depth networks use, in PyTorch.

Definitions: onnx.ai/onnx/operators, opsets 13 to 20.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from metric_depth_ros.errors import ModelError

Attributes = Mapping[str, Any]
Operator = Callable[..., Any]  # (attributes, *inputs) -> one or several tensors; an omitted input is None

# Inputs of these operators after the first are parameters (axes, sizes), not data.
TOLD_BY_NUMBERS = frozenset({
    "Clip", "ConstantOfShape", "CumSum", "Expand", "Pad", "Range", "ReduceL2", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceSum", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Tile", "TopK", "Trilu",
    "Unsqueeze",
})  # fmt: skip

# torch types by ONNX type number (TensorProto.DataType).
TYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip


def _numbers(x: Tensor | None) -> list[Any]:
    return [] if x is None else x.flatten().tolist()


def _axes(a: Attributes, x: Tensor | None) -> list[int]:
    """Axes from the second input (newer opsets) or the attribute (older ones)."""
    return _numbers(x) if x is not None else list(a.get("axes", ()))


def _reduce(of: Callable[..., Tensor]) -> Operator:
    def reduce(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        wanted = _axes(a, axes)
        if not wanted and a.get("noop_with_empty_axes", 0):
            return x
        return of(x, dim=wanted or list(range(x.ndim)), keepdim=bool(a.get("keepdims", 1)))

    return reduce


def _sides(pads: Sequence[int]) -> list[int]:
    """Pads in torch's order: begin and end of the last axis first; ONNX has all begins, then all ends."""
    half = len(pads) // 2
    return [n for axis in reversed(range(half)) for n in (pads[axis], pads[axis + half])]


def _paddings(a: Attributes, x: Tensor, value: float = 0.0) -> tuple[Tensor, tuple[int, ...] | int]:
    """Input and symmetric padding for torch; the input is padded here if the two sides differ."""
    if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ModelError(f"auto_pad {a['auto_pad'].decode()} is not supported")
    pads = list(a.get("pads", ()))
    half = len(pads) // 2
    if pads[:half] == pads[half:]:
        return x, tuple(pads[:half]) or 0
    return functional.pad(x, _sides(pads), value=value), 0


def _convolution(a: Attributes, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    run = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}[w.ndim]
    x, padding = _paddings(a, x)
    return run(
        x, w, b, tuple(a.get("strides", (1,))), padding, tuple(a.get("dilations", (1,))), a.get("group", 1)
    )


def _transposed_convolution(a: Attributes, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    run = {3: functional.conv_transpose1d, 4: functional.conv_transpose2d}[w.ndim]
    ones = (1,) * (w.ndim - 2)
    pads = list(a.get("pads", (0, 0) * len(ones)))
    if pads[: len(ones)] != pads[len(ones) :] or "output_shape" in a:
        raise ModelError("ConvTranspose with uneven pads or output_shape is not supported")
    return run(
        x, w, b, tuple(a.get("strides", ones)), tuple(pads[: len(ones)]),
        tuple(a.get("output_padding", [0] * len(ones))), a.get("group", 1), tuple(a.get("dilations", ones)),
    )  # fmt: skip


def _max_pool(a: Attributes, x: Tensor) -> Tensor:
    x, padding = _paddings(a, x, float("-inf"))
    return functional.max_pool2d(
        x, tuple(a["kernel_shape"]), tuple(a.get("strides", (1, 1))), padding,
        tuple(a.get("dilations", (1, 1))), bool(a.get("ceil_mode", 0)),
    )  # fmt: skip


def _average_pool(a: Attributes, x: Tensor) -> Tensor:
    counts_padding = bool(a.get("count_include_pad", 0))
    padded, padding = _paddings(a, x)
    if padded is not x and not counts_padding:
        raise ModelError("AveragePool with uneven pads is not supported")
    kernel, strides = tuple(a["kernel_shape"]), tuple(a.get("strides", (1, 1)))
    return functional.avg_pool2d(
        padded, kernel, strides, padding, bool(a.get("ceil_mode", 0)), counts_padding
    )


def _resize(
    a: Attributes,
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    how = (
        a.get("mode", b"nearest").decode(),
        a.get("coordinate_transformation_mode", b"half_pixel").decode(),
    )
    known: dict[tuple[str, str], dict[str, Any]] = {
        ("nearest", "asymmetric"): {"mode": "nearest"},
        ("nearest", "half_pixel"): {"mode": "nearest-exact"},
        ("linear", "half_pixel"): {"mode": "bilinear", "align_corners": False},
        ("linear", "pytorch_half_pixel"): {"mode": "bilinear", "align_corners": False},
        ("linear", "align_corners"): {"mode": "bilinear", "align_corners": True},
        ("cubic", "half_pixel"): {"mode": "bicubic", "align_corners": False},
        ("cubic", "pytorch_half_pixel"): {"mode": "bicubic", "align_corners": False},
        ("cubic", "align_corners"): {"mode": "bicubic", "align_corners": True},
    }
    if x.ndim == 3 and how[0] == "linear" and how in known:
        known = {how: {**known[how], "mode": "linear"}}
    elif x.ndim != 4:
        known = {}
    if how not in known or a.get("antialias", 0) or "axes" in a:
        raise ModelError(f"Resize {how[0]}, {how[1]} of {x.ndim} axes is not supported")
    if sizes is not None and sizes.numel():
        return functional.interpolate(x, tuple(_numbers(sizes)[2:]), **known[how])
    return functional.interpolate(x, scale_factor=tuple(_numbers(scales)[2:]), **known[how])


def _slice(
    a: Attributes, x: Tensor, starts: Tensor, ends: Tensor, axes: Any = None, steps: Any = None
) -> Tensor:
    begin, end = _numbers(starts), _numbers(ends)
    for at, axis in enumerate(_numbers(axes) or range(len(begin))):
        step = (_numbers(steps) or [1] * len(begin))[at]
        index = [slice(None)] * x.ndim
        if step > 0:
            index[axis] = slice(begin[at], end[at], step)
            x = x[tuple(index)]
        else:  # torch does not allow negative steps
            chosen = range(x.shape[axis])[begin[at] : end[at] if end[at] >= -x.shape[axis] else None : step]
            index[axis] = slice(chosen[-1], chosen[0] + 1, -step) if chosen else slice(0)
            x = x[tuple(index)].flip(axis)
    return x


def _cumulated(a: Attributes, x: Tensor, axis: Tensor) -> Tensor:
    along = int(axis)
    if a.get("reverse", 0):
        x = x.flip(along)
    found = x.cumsum(along) - (x if a.get("exclusive", 0) else 0)
    return found.flip(along) if a.get("reverse", 0) else found


def _gather(a: Attributes, x: Tensor, index: Tensor) -> Tensor:
    axis = a.get("axis", 0) % x.ndim
    index = torch.where(index < 0, index + x.shape[axis], index)
    return x.index_select(axis, index.flatten()).reshape(
        (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    )


def _scatter_nd(a: Attributes, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    if a.get("reduction", b"none") != b"none":
        raise ModelError(f"ScatterND {a['reduction'].decode()} is not supported")
    return x.index_put(tuple(index.unbind(-1)), updates)


def _reshape(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    keep_zero = a.get("allowzero", 0)
    return x.reshape([x.shape[i] if n == 0 and not keep_zero else n for i, n in enumerate(_numbers(shape))])


def _squeeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    wanted = _axes(a, axes)
    return x.squeeze(tuple(wanted)) if wanted else x.squeeze()


def _unsqueeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    wanted = _axes(a, axes)
    for axis in sorted(n % (x.ndim + len(wanted)) for n in wanted):
        x = x.unsqueeze(axis)
    return x


def _split(a: Attributes, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = a.get("axis", 0)
    lengths = _numbers(sizes) or list(a.get("split", ()))
    count = a.get("num_outputs", a["outputs"])
    return tuple(x.split(lengths or -(-x.shape[axis] // count), axis))


def _pad(a: Attributes, x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Any = None) -> Tensor:
    mode = a.get("mode", b"constant").decode()
    if axes is not None:
        raise ModelError("Pad with axes is not supported")
    sides = _sides(_numbers(pads))
    if mode == "constant":
        return functional.pad(x, sides, value=float(_numbers(value)[0]) if value is not None else 0.0)
    while len(sides) > 2 * (x.ndim - 2) and sides[-2:] == [0, 0]:  # torch needs the image axes only
        sides = sides[:-2]
    return functional.pad(x, sides, mode={"reflect": "reflect", "edge": "replicate"}[mode])


def _layer_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.layer_norm(x, x.shape[a.get("axis", -1) :], scale, bias, a.get("epsilon", 1e-5))


def _gemm(a: Attributes, x: Tensor, y: Tensor, c: Tensor | None = None) -> Tensor:
    product = (x.T if a.get("transA", 0) else x) @ (y.T if a.get("transB", 0) else y) * a.get("alpha", 1.0)
    return product if c is None else product + a.get("beta", 1.0) * c


def _divide(a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def _top_k(a: Attributes, x: Tensor, k: Tensor) -> tuple[Tensor, ...]:
    return tuple(x.topk(int(k), a.get("axis", -1), bool(a.get("largest", 1)), bool(a.get("sorted", 1))))


def _clip(a: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    limits = [a.get(key) if limit is None else limit.item() for key, limit in (("min", low), ("max", high))]
    return x if limits == [None, None] else x.clamp(*limits)


def _depth_to_space(a: Attributes, x: Tensor) -> Tensor:
    n, (batch, channels, height, width) = a["blocksize"], x.shape
    if a.get("mode", b"DCR") == b"CRD":
        return functional.pixel_shuffle(x, n)
    blocks = x.reshape(batch, n, n, channels // n**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(batch, channels // n**2, height * n, width * n)


def _constant_of_shape(a: Attributes, shape: Tensor) -> Tensor:
    value = a.get("value", torch.zeros(1))
    return torch.full(_numbers(shape), value.item(), dtype=value.dtype)


def _folded(of: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """Operator with any number of inputs, from an operator with two."""

    def fold(a: Attributes, x: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            x = of(x, other)
        return x

    return fold


def _plain(of: Callable[..., Any]) -> Operator:
    """Operator from a torch function that needs no attributes."""
    return lambda a, *inputs: of(*inputs)


OPERATORS: dict[str, Operator] = {
    **{name: _plain(of) for name, of in {
        "Abs": torch.abs, "Add": torch.add, "And": torch.logical_and, "Ceil": torch.ceil, "Cos": torch.cos,
        "Equal": torch.eq, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor, "Greater": torch.gt,
        "GreaterOrEqual": torch.ge, "HardSwish": functional.hardswish, "Identity": lambda x: x,
        "Less": torch.lt, "LessOrEqual": torch.le, "Log": torch.log, "MatMul": torch.matmul, "Mul": torch.mul,
        "Neg": torch.neg, "Not": torch.logical_not, "Or": torch.logical_or, "Pow": torch.pow,
        "PRelu": lambda x, slope: torch.where(x < 0, x * slope, x), "Reciprocal": torch.reciprocal,
        "Relu": torch.relu, "Round": torch.round, "Sigmoid": torch.sigmoid, "Sign": torch.sign,
        "Sin": torch.sin, "Softplus": functional.softplus, "Sqrt": torch.sqrt, "Sub": torch.sub,
        "Tanh": torch.tanh,
        "Where": torch.where,
    }.items()},
    "ArgMax": lambda a, x: x.argmax(a.get("axis", 0), keepdim=bool(a.get("keepdims", 1))),
    "AveragePool": _average_pool,
    "BatchNormalization": lambda a, x, w, b, mean, var: functional.batch_norm(
        x, mean, var, w, b, eps=a.get("epsilon", 1e-5)
    ),
    "Cast": lambda a, x: x.to(TYPES[a["to"]]),
    "Clip": _clip,
    "Concat": lambda a, *inputs: torch.cat(inputs, a["axis"]),
    "ConstantOfShape": _constant_of_shape,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "CumSum": _cumulated,
    "DepthToSpace": _depth_to_space,
    "Div": _divide,
    "Einsum": lambda a, *inputs: torch.einsum(a["equation"].decode(), *inputs),
    "Elu": lambda a, x: functional.elu(x, a.get("alpha", 1.0)),
    "Expand": lambda a, x, shape: x.expand(torch.broadcast_shapes(x.shape, tuple(_numbers(shape)))),
    "Flatten": lambda a, x: x.reshape(x.shape[: a.get("axis", 1)].numel(), -1),
    "Gather": _gather,
    "Gelu": lambda a, x: functional.gelu(x, approximate=a.get("approximate", b"none").decode()),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True),
    "HardSigmoid": lambda a, x: (a.get("alpha", 0.2) * x + a.get("beta", 0.5)).clamp(0, 1),
    "InstanceNormalization": lambda a, x, w, b: functional.instance_norm(
        x, None, None, w, b, eps=a.get("epsilon", 1e-5)
    ),
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda a, x: functional.leaky_relu(x, a.get("alpha", 0.01)),
    "Max": _folded(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _folded(torch.minimum),
    "Mod": lambda a, x, y: torch.fmod(x, y) if a.get("fmod", 0) else torch.remainder(x, y),
    "Pad": _pad,
    "Range": lambda a, start, end, step: torch.arange(
        start.item(), end.item(), step.item(), dtype=start.dtype
    ),
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMin": _reduce(torch.amin),
    "ReduceSum": _reduce(torch.sum),
    "Reshape": _reshape,
    "Resize": _resize,
    "ScatterND": _scatter_nd,
    "Shape": lambda a, x: torch.tensor(x.shape[a.get("start", 0) : a.get("end", x.ndim)], dtype=torch.int64),
    "Slice": _slice,
    "Softmax": lambda a, x: x.softmax(a.get("axis", -1)),
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": lambda a, x, repeats: x.tile(_numbers(repeats)),
    "TopK": _top_k,
    "Transpose": lambda a, x: x.permute(a.get("perm", tuple(reversed(range(x.ndim))))),
    "Trilu": lambda a, x, k=None: (torch.triu if a.get("upper", 1) else torch.tril)(x, int(k or 0)),
    "Unsqueeze": _unsqueeze,
}  # fmt: skip

"""Converts an ONNX network, or only its stored weights, from float32 to float16 or to bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from metric_depth_ros.errors import InputError, ModelError

# Operators with sums of many terms or steep functions: in float16 they overflow or lose precision.
KEPT = {
    "Softmax", "LayerNormalization", "InstanceNormalization", "GroupNormalization",
    "ReduceMean", "ReduceSum", "ReduceL2", "Exp", "Log", "Pow", "Sqrt", "Softplus", "Range", "CumSum",
}  # fmt: skip
# Inputs that the standard requires in float32 for any type of the others: region and scales of a resize.
_KEPT_INPUTS = {"Resize": (1, 2)}
_LARGEST = float(np.finfo(np.float16).max)
# Largest root-mean-square difference of a file with float16 weights from torch, in standard deviations of an
# output.
PARITY_HALF = 2e-2
# Weights of fewer values are not worth a conversion.
_LARGE = 256
# Smaller values would become zero, among them those that prevent a division by zero.
_SMALLEST = float(np.finfo(np.float16).smallest_subnormal)


def write_half(path: Path, to: Path) -> None:
    """Writes the float32 network in ``path`` to ``to`` with float16 weights and activations.

    Inputs, outputs and the operators in ``KEPT`` stay float32, with casts around them, so the types of all
    tensors are explicit, as strongly typed runtimes require.

    Raises:
        ModelError: the graph has control flow, or is above 2 GB even in float16.
    """
    model = onnx.load(str(path))
    _Halving(model).run()
    try:
        onnx.save_model(model, str(to))
    except ValueError as error:  # of the protocol buffer
        raise ModelError(f"{to}: above 2 GB even in float16; use the float32 file.") from error


def halve_weights(path: Path) -> None:
    """Stores the large float32 weights of the network in ``path`` in float16, to half the size, in place.

    It computes in float32 as before, and as fast: runtimes convert the weights once, when they load it.

    Raises:
        InputError: the file cannot be written.
    """
    model = onnx.load(str(path))
    _hoist_constants(model)
    casts = []
    for tensor in _large(model):
        name = tensor.name
        tensor.CopyFrom(_copied(tensor, f"{name}__short", half=True))
        casts.append(_cast(tensor.name, name, TensorProto.FLOAT))
    _save(model, casts, path)


def byte_weights(path: Path) -> None:
    """Stores the large float32 matrices of the network in ``path`` in bytes, to a quarter of the size.

    Each row of a table, and each column of a matrix that is multiplied, has its own step. It computes in
    float32, as ``halve_weights`` says.

    Raises:
        InputError: the file cannot be written.
    """
    model = onnx.load(str(path))
    _hoist_constants(model)
    tables = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    restored = []
    for tensor in _large(model):
        if len(tensor.dims) != 2:
            continue
        name, axis = tensor.name, 0 if tensor.name in tables else 1
        values = numpy_helper.to_array(tensor)
        step = np.maximum(np.abs(values).max(1 - axis) / 127, 1e-12).astype(np.float32)
        codes = np.rint(values / np.expand_dims(step, 1 - axis)).astype(np.int8)
        tensor.CopyFrom(numpy_helper.from_array(codes, f"{name}__bytes"))
        model.graph.initializer.append(numpy_helper.from_array(step, f"{name}__step"))
        inputs = [f"{name}__bytes", f"{name}__step"]
        restored.append(
            helper.make_node("DequantizeLinear", inputs, [name], name=f"{name}__restored", axis=axis)
        )
    _save(model, restored, path)


def _large(model: ModelProto) -> list[TensorProto]:
    """The large float32 weights of a network."""
    return [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= _LARGE
    ]


def _save(model: ModelProto, first: list[NodeProto], path: Path) -> None:
    """Writes a network with some nodes before all others. Raises InputError."""
    nodes = [*first, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    try:
        onnx.save_model(model, str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed room to write it.") from error


class _Halving:
    """Conversion of one graph. ``_single`` and ``_half`` name the float32 and float16 form of a tensor."""

    def __init__(self, model: ModelProto) -> None:
        self._graph = model.graph
        _hoist_constants(model)
        self._floats = _float_tensors(model)
        self._weights = {item.name: item for item in model.graph.initializer if item.name in self._floats}
        self._nodes: list[NodeProto] = []
        self._single: dict[str, str] = {}
        self._half: dict[str, str] = {}

    def run(self) -> None:
        """Rewrites the graph."""
        outputs = [item.name for item in self._graph.output if item.name in self._floats]
        for item in self._graph.input:
            if item.name in self._floats:
                self._single[item.name] = item.name
        for node in self._graph.node:
            if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
                raise ModelError(f"{node.op_type}: control flow; a float16 file of it cannot be written.")
            self._rewrite(node)
        for name in outputs:
            # Outputs keep their names, in float32.
            made = self._single.get(name) or self._half[name]
            self._nodes.append(_cast(made, name, TensorProto.FLOAT))
        others = [item for item in self._graph.initializer if item.name not in self._floats]
        used = {name for node in self._nodes for name in node.input}
        del self._graph.initializer[:], self._graph.node[:], self._graph.value_info[:]
        self._graph.initializer.extend(
            [*others, *(item for item in self._weights.values() if item.name in used)]
        )
        self._graph.node.extend(_alive(self._nodes, {item.name for item in self._graph.output}))

    def _rewrite(self, node: NodeProto) -> None:
        kept = node.op_type in KEPT
        single = range(len(node.input)) if kept else _KEPT_INPUTS.get(node.op_type, ())
        for index, name in enumerate(node.input):
            if name in self._floats:
                node.input[index] = self._in(name, half=index not in single)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
            if node.op_type == "ConstantOfShape" and attribute.t.data_type == TensorProto.FLOAT:
                attribute.t.CopyFrom(_copied(attribute.t, attribute.t.name, half=True))
        for index, name in enumerate(node.output):
            if name in self._floats:
                node.output[index] = f"{name}__{'single' if kept else 'half'}"
                (self._single if kept else self._half)[name] = node.output[index]
        self._nodes.append(node)

    def _in(self, name: str, *, half: bool) -> str:
        """Name of the tensor in this precision; adds a cast from its other form if needed."""
        here, there = (self._half, self._single) if half else (self._single, self._half)
        if name not in here:
            here[name] = f"{name}__{'half' if half else 'single'}"
            if name in self._weights:
                self._weights[here[name]] = _copied(self._weights[name], here[name], half=half)
            else:
                to = TensorProto.FLOAT16 if half else TensorProto.FLOAT
                self._nodes.append(_cast(there[name], here[name], to))
        return here[name]


def _hoist_constants(model: ModelProto) -> None:
    """Replaces constant nodes that hold tensors by weights."""
    kept = []
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = node.attribute[0].t
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _float_tensors(model: ModelProto) -> set[str]:
    """Names of the float32 tensors, inferred on a copy without weights: types need no values."""
    skeleton = ModelProto()
    skeleton.CopyFrom(onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import))
    graph = skeleton.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for item in model.graph.initializer:
        if item.data_type == TensorProto.FLOAT:
            graph.input.append(helper.make_tensor_value_info(item.name, item.data_type, list(item.dims)))
        else:
            graph.initializer.append(item)
    known = shape_inference.infer_shapes(skeleton).graph
    types = {
        item.name: item.type.tensor_type.elem_type
        for item in (*known.input, *known.value_info, *known.output)
    }
    missing = {name for node in graph.node for name in node.output if name} - set(types)
    if missing:
        raise ModelError(f"{sorted(missing)[0]}: of no known type; a float16 file cannot be written.")
    return {name for name, kind in types.items() if kind == TensorProto.FLOAT}


def _copied(tensor: TensorProto, name: str, *, half: bool) -> TensorProto:
    """Copy of a weight under another name, in float16 or unchanged."""
    values = numpy_helper.to_array(tensor)
    if half:
        size = np.clip(np.abs(values), _SMALLEST, _LARGEST)
        values = np.where(values == 0, values, np.copysign(size, values)).astype(np.float16)
    return numpy_helper.from_array(values, name)


def _cast(name: str, to: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [name], [to], name=f"{to}__cast", to=kind)


def _alive(nodes: list[NodeProto], wanted: set[str]) -> list[NodeProto]:
    """Nodes on which an output depends."""
    wanted, kept = set(wanted), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]

"""Small networks that do harm: endless loops, outputs without measure."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml


def save(path: Path, nodes: list[Any], outputs: dict[str, Any]) -> Path:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
    )
    opset = helper.make_opsetid("", 17)
    path.write_bytes(helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString())
    return path


def endless(path: Path, *, empty: bool = False) -> Path:
    """A loop without end; with an empty body ONNX Runtime never looks whether it is to stop."""
    from onnx import TensorProto, helper

    ends = ("c", "v") if empty else ("c2", "v2")
    body = helper.make_graph(
        []
        if empty
        else [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Add", ["v", "v"], ["v2"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info(ends[0], TensorProto.BOOL, []),
            helper.make_tensor_value_info(ends[1], TensorProto.FLOAT, None),
        ],
    )
    true = helper.make_tensor("t", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("Constant", [], ["t"], value=true),
        helper.make_node("Loop", ["", "t", "x"], ["y"], body=body),
    ]
    return save(path, nodes, {"y": None})


def expanding(path: Path, shape: list[int], stated: Any, *, reduced: bool = False) -> Path:
    """A network that computes an array of that shape, its output unless it is ``reduced`` to a number."""
    from onnx import TensorProto, helper

    wanted = helper.make_tensor("s", TensorProto.INT64, [4], shape)
    nodes = [
        helper.make_node("Constant", [], ["s"], value=wanted),
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=1),
        helper.make_node("Expand", ["m", "s"], ["e"]),
        helper.make_node("ReduceMax" if reduced else "Neg", ["e"], ["y"]),
    ]
    return save(path, nodes, {"y": stated})


def slow(path: Path, steps: int = 100) -> Path:
    """A network without loops that takes seconds."""
    from onnx import TensorProto, helper

    wanted = helper.make_tensor("s", TensorProto.INT64, [4], [1, 1, 1500, 1500])
    nodes = [
        helper.make_node("Constant", [], ["s"], value=wanted),
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=1),
        helper.make_node("Expand", ["m", "s"], ["0"]),
    ]
    nodes += [helper.make_node("MatMul", [str(n), "0"], [str(n + 1)]) for n in range(steps)]
    nodes.append(helper.make_node("ReduceMax", [str(steps)], ["y"]))
    return save(path, nodes, {"y": None})


def manifest_of(network: Path, **changes: Any) -> Path:
    """Manifest of a network with the input x and the output y."""
    tree = {
        "name": "made",
        "file": network.name,
        "licence": "none",
        "sha256": hashlib.sha256(network.read_bytes()).hexdigest(),
        "input": {"name": "x", "width": 8, "height": 8},
        "output": {"name": "y", "kind": "depth", "floor": 1e-3},
    }
    path = network.with_suffix(".yaml")
    path.write_text(yaml.safe_dump({**tree, **changes}))
    return path

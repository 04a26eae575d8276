"""Networks that fail or hang, made from the toy network, mostly only while they run and for white images.

A runtime that a GPU or its driver leaves in the lurch raises at a run in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import yaml
from onnx import TensorProto, helper


def fails_on_white(manifest: Path) -> None:
    """Changes the network: for a white image it looks up a place beyond the end of an array."""

    def change(graph: Any) -> None:
        graph.initializer.append(helper.make_tensor("array", TensorProto.FLOAT, [1], [1.0]))
        _sees_white(graph)
        graph.node.extend(
            [
                helper.make_node("Cast", ["white"], ["place"], to=TensorProto.INT64),
                helper.make_node("Gather", ["array", "place"], ["one"]),
                helper.make_node("Mul", ["before", "one"], ["depth"]),
            ]
        )

    _changed(manifest, change)


def hangs_on_white(manifest: Path) -> None:
    """Changes the network: for a white image it has a loop without end."""

    def change(graph: Any) -> None:
        _sees_white(graph)
        graph.node.append(_loop("white"))

    _changed(manifest, change)


def hangs(manifest: Path) -> None:
    """Changes the network: it never ends, whatever the image."""

    def change(graph: Any) -> None:
        graph.initializer.append(helper.make_tensor("go", TensorProto.BOOL, [], [True]))
        graph.node.append(_loop("go"))

    _changed(manifest, change)


def _sees_white(graph: Any) -> None:
    """Adds whether the darkest value is above .95; a self-test's noise is never white."""
    graph.initializer.append(helper.make_tensor("limit", TensorProto.FLOAT, [], [0.95]))
    graph.node.extend(
        [
            helper.make_node("ReduceMin", ["image"], ["darkest"], keepdims=0),
            helper.make_node("Greater", ["darkest", "limit"], ["white"]),
        ]
    )


def _loop(condition: str) -> Any:
    """A loop from "before" to "depth" that goes on for ever if the condition holds, and else does nothing."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_in"], ["go_out"]), helper.make_node("Add", ["in", "in"], ["out"])],
        "body",
        [
            helper.make_tensor_value_info("at", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("in", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("out", TensorProto.FLOAT, None),
        ],
    )
    return helper.make_node("Loop", ["", condition, "before"], ["depth"], body=body)


def _changed(manifest: Path, change: Callable[[Any], None]) -> None:
    """Lets ``change`` add the nodes from "before", which was the output, to "depth"; signs the manifest."""
    network = onnx.load(manifest.with_suffix(".onnx"))
    network.graph.node[-1].output[0] = "before"
    change(network.graph)
    content = network.SerializeToString()
    manifest.with_suffix(".onnx").write_bytes(content)
    tree = yaml.safe_load(manifest.read_text())
    tree["sha256"] = hashlib.sha256(content).hexdigest()
    manifest.write_text(yaml.safe_dump(tree))

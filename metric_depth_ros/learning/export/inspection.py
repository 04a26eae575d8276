"""Drafts a manifest for any ONNX file, for the user to complete: reads the graph, runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metric_depth_ros.engines.manifest_file import TO_COMPLETE
from metric_depth_ros.errors import InputError, ModelError
from metric_depth_ros.learning.export.description import described_file

_TYPES = {1: "float32", 2: "uint8", 6: "int32", 7: "int64", 10: "float16"}
_ONNX_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}


@dataclass(frozen=True)
class _Value:
    """Input or output of a graph; its shape has text or None for variable sizes."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    @property
    def text(self) -> str:
        return f"{self.name}: {self.dtype} {' x '.join(str(side or '?') for side in self.shape)}"


def write_draft(path: Path, to: Path) -> list[str]:
    """Writes a draft manifest for an ONNX file, with "COMPLETE" for unknown values; returns notes on it.

    Raises:
        InputError: the manifest exists or cannot be written.
        ModelError: the file is missing or not ONNX, or has no image input.
    """
    inputs, outputs = _read(path)
    image = _image(path, inputs)
    tree, notes = _draft(path, image, outputs)
    notes = [f"input {image.text}", *(f"output {item.text}" for item in outputs), *notes]
    lines = "".join(f"# {note}\n" for note in notes)
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(lines + yaml.safe_dump(tree, sort_keys=False))
    except OSError as error:
        raise InputError(f"{to}: {error.strerror}; needed a new file. Move the old one away.") from error
    return notes


def _read(path: Path) -> tuple[list[_Value], list[_Value]]:
    """Inputs and outputs of the graph; weights are not read. Raises ModelError."""
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
        graph = model.graph
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; needed an ONNX file.") from error
    except Exception as error:  # of the protocol buffer, whose class is not exported
        raise ModelError(
            f"{path}: no ONNX file ({type(error).__name__}). Checkpoints are exported: metric_depth export "
            "FOLDER."
        ) from error
    if not graph.node:
        raise ModelError(f"{path}: an empty graph, or no ONNX file. Fetch it again.")
    foreign = {item.domain for item in model.opset_import} - _ONNX_DOMAINS
    if foreign:
        raise ModelError(f"{path}: operators of {', '.join(sorted(foreign))}; needed standard ONNX only.")
    weights = {item.name for item in graph.initializer}
    inputs = [_value(item) for item in graph.input if item.name not in weights]
    return inputs, [_value(item) for item in graph.output]


def _value(item: Any) -> _Value:
    kind = item.type.tensor_type
    shape = tuple(
        side.dim_value if side.HasField("dim_value") else side.dim_param or None for side in kind.shape.dim
    )
    return _Value(item.name, _TYPES.get(kind.elem_type, f"type {kind.elem_type}"), shape)


def _image(path: Path, inputs: list[_Value]) -> _Value:
    images = [item for item in inputs if len(item.shape) == 4 and 3 in (item.shape[1], item.shape[3])]
    if len(inputs) != 1 or not images:
        found = "; ".join(item.text for item in inputs)
        raise ModelError(f"{path}: inputs {found}; needed one image, 1 x 3 x height x width.")
    if images[0].dtype not in ("float32", "uint8"):
        raise ModelError(f"{path}: {images[0].text}; needed float32 or uint8. Export it with float32 inputs.")
    return images[0]


def _draft(path: Path, image: _Value, outputs: list[_Value]) -> tuple[dict[str, Any], list[str]]:
    file = described_file(path)
    tree: dict[str, Any] = {"name": path.stem, "file": file.file, "licence": TO_COMPLETE}
    tree["sha256"] = file.sha256
    if file.data:
        tree["data"] = file.data
    tree["input"], notes = _input(image)
    maps = [item for item in outputs if _is_map(item) and item.dtype.startswith("float")]
    if maps:
        tree["output"] = {"name": maps[0].name, "kind": TO_COMPLETE, "metric": False}
        further = [o for o in outputs if o not in maps and len(o.shape) == 4 and o.dtype.startswith("float")]
        if further:
            tree["features"] = {f"f{i or ''}": item.name for i, item in enumerate(further)}
        notes.append(
            "output.kind: inverse_depth when larger is nearer; depth, which needs a floor above 0, else."
        )
        if len(maps) > 1:
            notes.append(f"output.name: one of {', '.join(item.name for item in maps)}.")
    else:
        scores = [item for item in outputs if len(item.shape) == 4 and item.dtype.startswith("float")]
        labels = [item for item in outputs if item.dtype.startswith("int") and len(item.shape) in (3, 4)]
        if not scores and not labels:
            raise ModelError(f"{path}: no output is a map of depth, of scores or of labels.")
        chosen, kind = (labels[0], "labels") if labels else (scores[0], "scores")
        tree["output"] = {"name": chosen.name, "kind": kind}
        notes.append("No map of depth: a draft for regions.source: labels.")
    notes.append(f"Replace every {TO_COMPLETE}; check colour, mean, std and resize.")
    return {**tree, "source": ""}, notes


def _input(image: _Value) -> tuple[dict[str, Any], list[str]]:
    """Input section of the manifest, and notes on it."""
    nchw = image.shape[1] == 3
    height, width = (image.shape[2], image.shape[3]) if nchw else (image.shape[1], image.shape[2])
    tree: dict[str, Any] = {"name": image.name}
    notes = []
    for name, side in (("width", width), ("height", height)):
        tree[name] = side if isinstance(side, int) and side > 0 else TO_COMPLETE
    if TO_COMPLETE in tree.values():
        tree["multiple_of"] = TO_COMPLETE
        notes.append(
            "input: sizes vary; width x height is the usual one, multiple_of its step (patch size: 14, 32)."
        )
    tree |= {
        "colour": "rgb",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "resize": "stretch",
    }
    if not nchw:
        tree["layout"] = "nhwc"
    if image.dtype == "uint8":
        tree["dtype"] = "uint8"
    return tree, notes


def _is_map(item: _Value) -> bool:
    """Whether an output can be one map (h, w): all sizes but the last two are 1 or unknown."""
    return len(item.shape) >= 2 and all(side == 1 or not isinstance(side, int) for side in item.shape[:-2])

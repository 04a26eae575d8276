"""Runs an ONNX graph in PyTorch, operator by operator (why not onnx2torch: docs/runtimes.md)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.model import ModelFile
from metric_depth_ros.runtimes.torch_operators import OPERATORS, TOLD_BY_NUMBERS
from metric_depth_ros.types import Array, FloatArray

_LOG = logging.getLogger(__name__)

_WARM_UP = 3


class Torch:
    """ONNX graph in PyTorch.

    Values that depend only on the inputs' sizes are computed once per size; on a GPU the rest becomes one
    CUDA graph. Only the last size is kept.
    """

    cancel = None

    def __init__(self, file: ModelFile, *, device: str, threads: int) -> None:
        """``threads`` is set for the whole process; 0 keeps PyTorch's number.

        Raises:
            ModelError: the file cannot be used, or has an operator that is not in ``OPERATORS``.
        """
        if threads:
            torch.set_num_threads(threads)
        if device == "cuda":  # TF32 has 10 bits of mantissa: not single precision
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        self._path, self._device = file.path, torch.device(device)
        self._graph = graph = _read(file)
        known = {*OPERATORS, "Constant"}
        unknown = {_name(node) for node in graph.node if _name(node) not in known}
        if unknown:
            raise ModelError(f"{file.path}: the torch runtime has no operator {', '.join(sorted(unknown))}.")
        self._constants = {item.name: _tensor(item) for item in graph.initializer}
        self._inputs = [item.name for item in graph.input if item.name not in self._constants]
        self._outputs = [item.name for item in graph.output]
        self._program: _Program | None = None

    def run(self, inputs: Mapping[str, Array]) -> dict[str, FloatArray]:
        """All outputs by name. Raises ModelError if the inputs do not fit the file."""
        if set(inputs) != set(self._inputs):
            raise ModelError(f"{self._path}: inputs {', '.join(inputs)}; needed {', '.join(self._inputs)}.")
        tensors = {name: torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in self._inputs}
        try:
            with torch.inference_mode():
                shapes = {name: tensor.shape for name, tensor in tensors.items()}
                if self._program is None or self._program.shapes != shapes:
                    self._program = None  # frees the memory of the last size
                    self._program = _Program(self._graph, self._constants, tensors, self._device)
                found = self._program.run(tensors)
                return {name: _array(found[name]) for name in self._outputs}
        except (RuntimeError, IndexError, KeyError, ModelError) as error:
            words = " ".join(str(error).split())[:300]
            raise ModelError(f"{self._path}: PyTorch: {words}") from error


class _Program:
    """Graph for inputs of one size."""

    def __init__(
        self,
        graph: Any,
        constants: Mapping[str, torch.Tensor],
        inputs: Mapping[str, torch.Tensor],
        device: torch.device,
    ) -> None:
        self.shapes = {name: tensor.shape for name, tensor in inputs.items()}
        self._device = device
        self._outputs = [item.name for item in graph.output]
        self._steps: list[tuple[Any, dict[str, Any], list[torch.Tensor | str | None], list[str]]] = []
        # Clones: every run writes its inputs here.
        self._static = {name: tensor.to(device, copy=True) for name, tensor in inputs.items()}
        self._values: dict[str, torch.Tensor] = {}
        self._fixed = self._fold(graph, constants)
        self._recording = self._record() if device.type == "cuda" else None

    def run(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Outputs, on the device."""
        for name, tensor in inputs.items():
            self._static[name].copy_(tensor, non_blocking=True)
        if self._recording is None:
            return self._run_steps()
        self._recording.replay()
        return self._values

    def _fold(self, graph: Any, constants: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Runs the graph once; keeps only the operators that depend on the inputs' values as steps."""
        known = dict(constants)
        values: dict[str, torch.Tensor] = dict(self._static)
        moved: dict[str, torch.Tensor] = {}
        for node in graph.node:
            attributes = _attributes(node)
            if node.op_type == "Constant":
                known[node.output[0]] = attributes["value"]
                continue
            folds = node.op_type == "Shape" or all(name in known for name in node.input if name)
            run = OPERATORS[node.op_type]
            arguments: list[torch.Tensor | str | None] = []
            for position, name in enumerate(node.input):
                if not name:
                    arguments.append(None)
                elif name in known:
                    is_data = position == 0 or node.op_type not in TOLD_BY_NUMBERS
                    if is_data and not folds and name not in moved:
                        moved[name] = known[name].to(self._device)
                    arguments.append(moved[name] if is_data and not folds else known[name])
                else:
                    arguments.append(name)
            resolved = [values[a] if isinstance(a, str) else a for a in arguments]
            found = _several(run(attributes, *resolved))
            if folds:
                known.update(zip(node.output, found, strict=False))
            else:
                values.update(zip(node.output, found, strict=False))
                self._steps.append((run, attributes, arguments, list(node.output)))
        return {name: known[name].to(self._device) for name in self._outputs if name in known}

    def _run_steps(self) -> dict[str, torch.Tensor]:
        values = {**self._static, **self._fixed}
        for run, attributes, arguments, outputs in self._steps:
            found = run(attributes, *[values[a] if isinstance(a, str) else a for a in arguments])
            values.update(zip(outputs, _several(found), strict=False))
        return {name: values[name] for name in self._outputs}

    def _record(self) -> torch.cuda.CUDAGraph | None:
        """All steps as one CUDA graph; None if a step cannot be recorded. Not verified on a GPU."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._run_steps()
        torch.cuda.current_stream().wait_stream(stream)
        recording = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(recording):
                self._values = self._run_steps()
        except RuntimeError as error:
            _LOG.info("torch: runs without a CUDA graph: %s", " ".join(str(error).split())[:300])
            return None
        return recording


def _name(node: Any) -> str:
    """Operator name, with its domain if it is not a standard ONNX operator."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def _array(found: torch.Tensor) -> Array:
    """Copy on the host, since the next run overwrites the output; floats as float32."""
    dtype = torch.float32 if found.is_floating_point() else found.dtype
    return np.asarray(found.to("cpu", dtype, copy=True).numpy())


def _several(found: Any) -> tuple[torch.Tensor, ...]:
    return (found,) if isinstance(found, torch.Tensor) else tuple(found)


def _read(file: ModelFile) -> Any:
    """Graph of the file. Raises ModelError if it is not an ONNX file."""
    import onnx

    try:
        with file.opened() as content:
            model = onnx.load_model_from_string(content)
            if file.data:
                onnx.load_external_data_for_model(model, str(file.path.parent))
    except ModelError:
        raise
    except Exception as error:  # protobuf's and onnx' own exceptions
        raise ModelError(f"{file.path}: no ONNX file: {' '.join(str(error).split())[:200]}") from error
    return model.graph


def _tensor(item: Any) -> torch.Tensor:
    from onnx import numpy_helper

    return torch.from_numpy(np.array(numpy_helper.to_array(item)))


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import TensorProto, helper

    values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    values["outputs"] = len(node.output)
    for name, value in values.items():
        if isinstance(value, TensorProto):
            values[name] = _tensor(value)
    if node.op_type == "Constant" and "value" not in values:
        (value,) = [value for name, value in values.items() if name != "outputs"]
        values["value"] = torch.tensor(value)
    return values

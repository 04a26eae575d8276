"""ONNX Runtime: the portable runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from metric_depth_ros.errors import ModelError
from metric_depth_ros.types import FloatArray


class OnnxRuntime:
    """Runs an ONNX file on the processor.

    Attributes:
        inputs: name to shape, as the file states it; text or None where a size is dynamic.
        outputs: the same for the outputs.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        """``threads`` 0 takes all processors. Raises ModelError when the file cannot be used."""
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads would take the processor from the other nodes between two images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}; needed a readable ONNX file.") from error
        except Exception as error:  # onnxruntime's exceptions share no parent but this
            raise ModelError(
                f"{path}: ONNX Runtime cannot load it: {' '.join(str(error).split())}"
            ) from error
        self._path = path
        self.inputs = {item.name: list(item.shape) for item in self._session.get_inputs()}
        self.outputs = {item.name: list(item.shape) for item in self._session.get_outputs()}

    def run(self, inputs: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """All outputs by name. Raises ModelError when the inputs do not fit the file."""
        try:
            values = self._session.run(None, dict(inputs))
        except Exception as error:
            raise ModelError(f"{self._path}: {' '.join(str(error).split())}") from error
        return {name: np.asarray(value) for name, value in zip(self.outputs, values, strict=True)}

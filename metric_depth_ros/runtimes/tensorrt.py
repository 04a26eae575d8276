"""TensorRT 10.3 to 11 on an NVIDIA GPU. *Not verified on a GPU*; docs/runtimes.md lists what is verified.

All versions share the same code: the network is strongly typed, so the ONNX file itself states what is
float16, and buffers are bound by name. The GPU is checked first: without one the library ends the process
instead of raising.
"""

from __future__ import annotations

import ctypes
import logging
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes import cuda
from metric_depth_ros.runtimes.fingerprint import Fingerprint
from metric_depth_ros.runtimes.model import Model
from metric_depth_ros.runtimes.plan_cache import PlanCache, PlanError
from metric_depth_ros.runtimes.stopping import go_on, stop_event
from metric_depth_ros.types import Array, FloatArray

_LOG = logging.getLogger(__name__)
OLDEST, TOO_NEW = (10, 3), (12,)


class TensorRt:
    """Plan on the GPU with its own stream, and pinned buffers and a CUDA graph for the last input size."""

    cancel = None

    def __init__(self, plan: bytes, trt: ModuleType, driver: cuda.Driver) -> None:
        """Raises ModelError if the plan cannot be used."""
        self._driver = driver
        self._graph = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._buffers: dict[str, _Buffer] = {}
        self._stream = driver.stream()
        self._messages = _messages(trt)
        self._runtime = runtime = trt.Runtime(self._messages)
        self._engine = engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise PlanError(f"TensorRT: the plan cannot be loaded. {self._messages.last_error}")
        self._context = engine.create_execution_context()
        if self._context is None:
            raise ModelError(f"TensorRT: no execution context. {self._messages.last_error}")
        self._types, self._inputs = {}, []
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            self._types[name] = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
            if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
                self._inputs.append(name)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, FloatArray]:
        """All outputs by name. Raises ModelError if the inputs do not fit, or CUDA fails."""
        missing = [name for name in self._inputs if name not in inputs]
        if missing or len(inputs) != len(self._inputs):
            raise ModelError(f"TensorRT: inputs {', '.join(inputs)}; needed {', '.join(self._inputs)}.")
        self._driver.use()
        shapes = {name: inputs[name].shape for name in self._inputs}
        if shapes != self._shapes:
            self._prepare(shapes)
        for name in self._inputs:
            np.copyto(self._buffers[name].array, inputs[name], casting="same_kind")
        self._queue()
        self._driver.wait(self._stream)
        return {name: b.array.copy() for name, b in self._buffers.items() if name not in self._inputs}

    def close(self) -> None:
        """Frees the GPU memory; deleting the object does so too."""
        self._driver.use()
        self._forget_size()
        if self._stream:
            self._driver.free_stream(self._stream)
        self._stream = 0

    def __del__(self) -> None:
        with suppress(Exception):  # partly built, or the driver has ended before the process
            self.close()

    def _prepare(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Makes buffers and graph for inputs of this size."""
        self._forget_size()
        context = self._context
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise ModelError(f"TensorRT: {name!r} of shape {shape} does not fit the plan.")
        if unknown := context.infer_shapes():
            raise ModelError(f"TensorRT: the size of {', '.join(unknown)} is not known before the run.")
        for name, dtype in self._types.items():
            shape = tuple(context.get_tensor_shape(name))
            if min(shape, default=1) < 1:
                raise ModelError(
                    f"TensorRT: {name!r} is of shape {shape}: its size depends on the image's values, or it "
                    "is empty. Use another runtime."
                )
            buffer = self._buffers[name] = _Buffer(self._driver, shape, dtype)
            if not context.set_tensor_address(name, buffer.device):
                raise ModelError(f"TensorRT: {name!r} cannot be bound. {self._messages.last_error}")
        self._shapes = shapes
        self._queue()  # the first run loads kernels, which cannot be recorded
        self._driver.wait(self._stream)
        self._graph = self._recorded()

    def _recorded(self) -> int:
        """Copies and run as one CUDA graph; 0 if the plan has operations that cannot be recorded."""
        try:
            self._driver.begin_graph(self._stream)
            try:
                self._queue()
            finally:
                graph = self._driver.end_graph(self._stream)
        except ModelError as error:
            _LOG.info("TensorRT: runs without a CUDA graph: %s", error)
            return 0
        return graph

    def _queue(self) -> None:
        """Queues copies in, run and copies out on the stream."""
        if self._graph:
            self._driver.launch(self._graph, self._stream)
            return
        for name in self._inputs:
            b = self._buffers[name]
            self._driver.upload(b.device, b.host, b.array.nbytes, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise ModelError(f"TensorRT: the run failed. {self._messages.last_error}")
        for name, b in self._buffers.items():
            if name not in self._inputs:
                self._driver.download(b.host, b.device, b.array.nbytes, self._stream)

    def _forget_size(self) -> None:
        if self._graph:
            self._driver.free_graph(self._graph)
        for buffer in self._buffers.values():
            buffer.free(self._driver)
        self._graph, self._shapes, self._buffers = 0, {}, {}


class _Buffer:
    """Memory of one tensor: on the GPU, and page-locked on the host, where it is ``array``."""

    def __init__(self, driver: cuda.Driver, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        size = math.prod(shape) * dtype.itemsize
        self.host = driver.pinned(size)
        try:
            self.device = driver.memory(size)
        except ModelError:
            driver.free_pinned(self.host)
            raise
        memory = (ctypes.c_byte * size).from_address(self.host)
        self.array: Array = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)

    def free(self, driver: cuda.Driver) -> None:
        driver.free_memory(self.device)
        driver.free_pinned(self.host)


class TensorRtBackend:
    """Builds, stores and runs TensorRT plans."""

    name, device, automatic, any_thread = "tensorrt", "cuda", True, False

    def missing(self) -> str:
        """Why the backend cannot be used; empty if it can."""
        if find_spec("tensorrt") is None:
            return "tensorrt is not installed (on a Jetson: apt install python3-libnvinfer)"
        return cuda.missing()

    def version(self) -> str:
        """Library version. Raises ModelError if it is not supported."""
        return str(_library().__version__)

    def hardware(self) -> tuple[str, str]:
        """GPU name and compute capability."""
        return cuda.device()

    def precisions(self, model: Model) -> tuple[str, ...]:
        """Precisions, best first."""
        return ("fp16", "fp32") if model.half is not None else ("fp32",)

    def load(self, model: Model, precision: str, *, threads: int, cache: PlanCache) -> TensorRt:
        """Network of the stored plan or of a new one, which takes minutes. Raises ModelError."""
        trt, driver = _library(), cuda.Driver()
        device, capability = self.hardware()
        fingerprint = Fingerprint(
            "plan",
            model.at(precision).identity,
            self.name,
            self.version(),
            device,
            capability,
            precision=precision,
            shapes=str({name: (s.smallest, s.usual, s.largest) for name, s in model.sizes.items()}),
            flags="no TF32",
        )
        plan = cache.load_or_build(fingerprint, lambda: build_plan(trt, model, precision))
        return TensorRt(plan, trt, driver)


def build_plan(trt: ModuleType, model: Model, precision: str) -> bytes:
    """Builds a serialised plan for this GPU in minutes. Raises ModelError if TensorRT cannot build one."""
    file, messages = model.at(precision), _messages(trt)
    builder = trt.Builder(messages)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, messages)
    with file.opened() as content:
        # TensorRT looks for external weights beside this path.
        parsed = parser.parse(content, str(file.path)) if file.data else parser.parse(content)
    if not parsed:
        errors = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise ModelError(f"{file.path}: TensorRT cannot read it: {errors}")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # TF32 has 10 bits of mantissa: not single precision
    # Kept in a variable: the configuration does not keep it alive.
    config.progress_monitor = monitor = _monitor(trt, lambda words: _LOG.info("building engine: %s", words))
    if model.varies:
        profile = builder.create_optimization_profile()
        for name, size in model.sizes.items():
            profile.set_shape(name, size.smallest, size.usual, size.largest)
        if config.add_optimization_profile(profile) < 0:
            raise ModelError(f"{file.path}: TensorRT refuses its sizes. {messages.last_error}")
    plan = builder.build_serialized_network(network, config)
    del monitor
    go_on()
    file.verify_again()  # external weights are read as late as here
    if plan is None:
        raise ModelError(f"{file.path}: TensorRT cannot build a plan. {messages.last_error}")
    return bytes(plan)


def _library() -> ModuleType:
    """Imports TensorRT. Raises ModelError if it cannot be imported or its version is not supported."""
    try:
        import tensorrt as trt
    except (ImportError, OSError) as error:
        raise ModelError(f"TensorRT: cannot be imported: {error}. Install its libraries too.") from error
    version = tuple(int(part) for part in trt.__version__.split(".")[:2])
    if not OLDEST <= version < TOO_NEW:
        raise ModelError(f"TensorRT: version {trt.__version__}; needed 10.3 or newer, below 12.")
    module: ModuleType = trt
    return module


def _messages(trt: ModuleType) -> Any:
    """TensorRT logger that writes to this package's log and keeps the last error."""

    class Messages(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last_error = ""

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.last_error = msg
                _LOG.warning("TensorRT: %s", msg)
            else:
                _LOG.debug("TensorRT: %s", msg)

    return Messages()


def _monitor(trt: ModuleType, say: Callable[[str], None]) -> Any:
    """Progress monitor: reports the outermost phases of a build in tenths, and stops it on request."""
    stop = stop_event()  # TensorRT calls the monitor from its own threads

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                self.steps[phase_name] = num_steps

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            steps = self.steps.get(phase_name, 0)
            if steps and 10 * (step + 1) // steps != 10 * step // steps:
                say(f"{phase_name}, {100 * (step + 1) // steps} %")
            return not stop.is_set()

    return Monitor()

"""TensorRT without a GPU.

Every name we use exists in the real bindings, and the calls do what they should on a made-up library and
driver whose GPU memory is this machine's.
"""

import ast
import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import write_toy_model

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes import Model, ModelFile, PlanCache, Size, cuda, tensorrt
from metric_depth_ros.runtimes.plan_cache import PlanError
from metric_depth_ros.runtimes.stopping import StoppedError, stoppable_by

SHAPE = (1, 3, 8, 12)

# ---- names --------------------------------------------------------------------------------------

# What the variables of runtimes/tensorrt.py hold.
CLASSES = {
    "builder": "Builder", "network": "INetworkDefinition", "parser": "OnnxParser", "config": "IBuilderConfig",
    "profile": "IOptimizationProfile", "runtime": "Runtime", "engine": "ICudaEngine",
    "context": "IExecutionContext",
}  # fmt: skip
# A folder with tensorrt_cu13_bindings-*.whl of several versions; pip download --no-deps fetches them.
WHEELS = "METRIC_DEPTH_TENSORRT_WHEELS"
STUB = """
#define STUB(name) void *name(void) { return 0; }
STUB(createInferBuilder_INTERNAL) STUB(createInferRefitter_INTERNAL) STUB(createInferRuntime_INTERNAL)
STUB(createNvOnnxParserRefitter_INTERNAL) STUB(createNvOnnxParser_INTERNAL) STUB(getBuilderPluginRegistry)
STUB(getNvOnnxParserVersion) STUB(getPluginRegistry) STUB(initLibNvInferPlugins)
"""
ASK = """
import json, sys
import tensorrt_bindings as trt
def has(name):
    value = trt
    for part in name.split("."):
        if not hasattr(value, part): return False
        value = getattr(value, part)
    return True
print(json.dumps({"version": trt.__version__, "missing": [n for n in json.load(sys.stdin) if not has(n)]}))
"""


def used_names():
    """Dotted names of TensorRT that runtimes/tensorrt.py uses."""
    tree = ast.parse(Path(tensorrt.__file__).read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts, value = [node.attr], node.value
            while isinstance(value, ast.Attribute):
                parts, value = [value.attr, *parts], value.value
            if not isinstance(value, ast.Name):
                continue
            parts = [value.id, *parts]
            owner, name = (parts[1].lstrip("_"), parts[2:]) if parts[0] == "self" else (parts[0], parts[1:])
            if owner == "trt":
                names.add(".".join(name))
            if owner in CLASSES and name:
                names.add(f"{CLASSES[owner]}.{name[0]}")
        if isinstance(node, ast.ClassDef) and node.bases and isinstance(node.bases[0], ast.Attribute):
            base = node.bases[0].attr
            methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
            names |= {f"{base}.{name}" for name in methods if not name.startswith("__")}
    return names


def wheels():
    folder = os.environ.get(WHEELS, "")
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}-"
    return (
        sorted(path for path in Path(folder).glob("tensorrt*_bindings-*.whl") if tag in path.name)
        if folder
        else []
    )


def test_the_names_we_use_are_found_in_our_source():
    names = used_names()
    assert {
        "Builder", "NetworkDefinitionCreationFlag.STRONGLY_TYPED", "OnnxParser.parse",
        "IExecutionContext.execute_async_v3", "IExecutionContext.set_tensor_address",
        "ICudaEngine.get_tensor_mode", "IProgressMonitor.step_complete", "ILogger.log",
        "Builder.build_serialized_network", "Runtime.deserialize_cuda_engine",
    } <= names  # fmt: skip
    assert len(names) > 30


@pytest.mark.skipif(not wheels(), reason=f"no TensorRT bindings for this Python ({WHEELS})")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("wheel", wheels(), ids=[path.name.split("-")[1] for path in wheels()])
def test_every_name_exists_in_the_real_bindings(wheel, tmp_path):
    """The bindings are loaded over empty libraries: enough to look at what they define."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "stub.c").write_text(STUB)
    major = wheel.name.split("-")[1].split(".")[0]
    for name in ("nvinfer", "nvonnxparser", "nvinfer_plugin"):
        library = f"lib{name}.so.{major}"
        source = "stub.c" if name == "nvinfer" else os.devnull
        subprocess.run(
            ["cc", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", library, "-x", "c", source],
            cwd=tmp_path, check=True,
        )  # fmt: skip
    env = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        env=env,
        input=json.dumps(sorted(used_names())),
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["missing"] == [], answer["version"]
    version = tuple(int(part) for part in answer["version"].split(".")[:2])
    assert tensorrt.OLDEST <= version < tensorrt.TOO_NEW


# ---- a made-up library and driver ---------------------------------------------------------------


class MadeUpDriver:
    """Does what is queued when it is waited for, on this machine's memory; counts what is still held."""

    def __init__(self):
        self.full = False
        self.held, self.queue, self.recorded, self.graphs, self.launches = {}, [], None, {}, 0

    def use(self):
        pass

    def _new(self, size):
        memory = ctypes.create_string_buffer(size)
        self.held[ctypes.addressof(memory)] = memory
        return ctypes.addressof(memory)

    def pinned(self, size):
        return self._new(size)

    def memory(self, size):
        if self.full:
            raise ModelError("CUDA: cuMemAlloc_v2: out of memory (2).")
        return self._new(size)

    def free_pinned(self, address):
        del self.held[address]

    free_memory = free_pinned

    def stream(self):
        return 5

    def free_stream(self, stream):
        assert stream == 5

    def put(self, job):
        (self.queue if self.recorded is None else self.recorded).append(job)

    def upload(self, device, host, size, stream):
        assert {device, host} <= self.held.keys() and stream == 5
        self.put(lambda: ctypes.memmove(device, host, size))

    def download(self, host, device, size, stream):
        self.upload(host, device, size, stream)

    def wait(self, stream):
        while self.queue:
            self.queue.pop(0)()

    def begin_graph(self, stream):
        self.recorded = []

    def end_graph(self, stream):
        self.graphs[9] = self.recorded
        self.recorded = None
        return 9

    def launch(self, graph, stream):
        self.launches += 1
        self.queue += self.graphs[graph]

    def free_graph(self, graph):
        del self.graphs[graph]


def made_up_library(
    driver, *, version="10.9.0.34", varies=False, breaks="", while_building=lambda step: None
):
    """TensorRT's interface as far as we use it; a "plan" doubles its input and sums over the channels."""
    log = types.SimpleNamespace(calls=[], profile=None)

    class Logger:
        class Severity:
            INTERNAL_ERROR, ERROR, WARNING = range(3)

        def __init__(self):
            pass

    class Context:
        def __init__(self):
            self.shape, self.addresses = None, {}

        def set_input_shape(self, name, shape):
            self.shape = tuple(shape)
            return varies or self.shape == SHAPE

        def infer_shapes(self):
            return []

        def get_tensor_shape(self, name):
            if breaks == "size" and name == "depth":
                return (1, 1, -1)
            return self.shape if name == "image" else (1, 1, *self.shape[2:])

        def set_tensor_address(self, name, address):
            self.addresses[name] = address
            return breaks != "address"

        def execute_async_v3(self, stream):
            if breaks == "run":
                return False
            if breaks == "graph" and driver.recorded is not None:
                raise ModelError("CUDA: operation not permitted when stream is capturing (900).")

            def compute():
                image, depth = (
                    np.ctypeslib.as_array(
                        (ctypes.c_float * int(np.prod(self.get_tensor_shape(name)))).from_address(
                            self.addresses[name]
                        )
                    ).reshape(self.get_tensor_shape(name))
                    for name in ("image", "depth")
                )
                depth[:] = 2 * image.sum(axis=1, keepdims=True)

            driver.put(compute)
            return True

    class Engine:
        num_io_tensors = 2

        def get_tensor_name(self, index):
            return ("image", "depth")[index]

        def get_tensor_dtype(self, name):
            return "FLOAT"

        def get_tensor_mode(self, name):
            return name == "image"

        def create_execution_context(self):
            return None if breaks == "context" else Context()

    class Runtime:
        def __init__(self, logger):
            self.logger = logger

        def deserialize_cuda_engine(self, plan):
            if plan != b"a plan":
                self.logger.log(Logger.Severity.ERROR, "the plan is of another version")
                return None
            return Engine()

    class Builder:
        def __init__(self, logger):
            self.logger = logger

        def create_network(self, flags):
            log.calls.append(("flags", flags))
            return "network"

        def create_builder_config(self):
            return types.SimpleNamespace(
                progress_monitor=None,
                add_optimization_profile=lambda profile: -1 if breaks == "profile" else 0,
                clear_flag=lambda flag: log.calls.append(("cleared", flag)),
            )

        def create_optimization_profile(self):
            return types.SimpleNamespace(set_shape=lambda *shapes: log.calls.append(("profile", *shapes)))

        def build_serialized_network(self, network, config):
            monitor = config.progress_monitor
            monitor.phase_start("Building", None, 4)
            monitor.phase_start("Tactics", "Building", 100)
            for step in range(4):
                log.calls.append("step")
                while_building(step)
                if not (monitor.step_complete("Tactics", step) and monitor.step_complete("Building", step)):
                    return None
            monitor.phase_finish("Building")
            log.calls.append("built")
            if breaks == "build":
                self.logger.log(Logger.Severity.ERROR, "out of memory")
                return None
            return bytearray(b"a plan")

    class Parser:
        num_errors = 1

        def __init__(self, network, logger):
            pass

        def parse(self, content, path=None):
            log.calls.append(("parsed", hashlib.sha256(content).hexdigest()))
            return breaks != "parse"

        def get_error(self, index):
            return "node 3: no such operator"

    library = types.ModuleType("tensorrt")
    library.__version__, library.ILogger, library.IProgressMonitor = version, Logger, Logger
    library.Runtime, library.Builder, library.OnnxParser = Runtime, Builder, Parser
    library.NetworkDefinitionCreationFlag = types.SimpleNamespace(STRONGLY_TYPED=1)
    library.BuilderFlag = types.SimpleNamespace(TF32="TF32")
    library.TensorIOMode = types.SimpleNamespace(INPUT=True)
    library.nptype = {"FLOAT": np.float32}.get
    return library, log


@pytest.fixture
def model(tmp_path):
    path = write_toy_model(tmp_path, width=12, height=8).with_suffix(".onnx")
    file = ModelFile(path, hashlib.sha256(path.read_bytes()).hexdigest())
    return Model(file, sizes={"image": Size(SHAPE, SHAPE, SHAPE)})


@pytest.fixture
def gpu(monkeypatch):
    """Installs the made-up library and driver; returns them and the library's log."""

    def install(**options):
        driver = MadeUpDriver()
        library, log = made_up_library(driver, **options)
        monkeypatch.setitem(sys.modules, "tensorrt", library)
        monkeypatch.setattr(cuda, "Driver", lambda: driver)
        monkeypatch.setattr(cuda, "device", lambda: ("made-up GPU", "8.7"))
        return driver, library, log

    return install


def load(model, cache, precision="fp32"):
    return tensorrt.TensorRtBackend().load(model, precision, threads=1, cache=cache)


def image(seed, shape=SHAPE):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def doubled(values):
    return 2 * values.sum(axis=1, keepdims=True)


def test_a_plan_is_built_strongly_typed_stored_and_run(gpu, model, tmp_path, caplog):
    caplog.set_level("INFO")
    driver, _, log = gpu()
    cache = PlanCache(tmp_path / "cache")
    runtime = load(model, cache)
    assert log.calls == [
        ("flags", 2), ("parsed", model.full.sha256), ("cleared", "TF32"), *["step"] * 4, "built",
    ]  # fmt: skip
    assert [line for line in caplog.text.splitlines() if "Building" in line][-1].endswith("Building, 100 %")
    first = runtime.run({"image": image(0)})["depth"]
    np.testing.assert_allclose(first, doubled(image(0)), rtol=1e-6)
    for seed in (1, 2):
        np.testing.assert_allclose(
            runtime.run({"image": image(seed)})["depth"], doubled(image(seed)), rtol=1e-6
        )
    np.testing.assert_allclose(first, doubled(image(0)), rtol=1e-6)  # later runs leave it alone
    assert driver.launches == 3  # everything but the warm-up through the graph
    load(model, cache)
    assert log.calls.count("built") == 1
    runtime.close()
    assert driver.held == {} and driver.graphs == {}
    runtime = load(model, cache)
    runtime.run({"image": image(0)})
    assert len(driver.held) == 4
    del runtime
    assert driver.held == {} and driver.graphs == {}


def test_a_plan_of_another_version_or_precision_is_built_anew(gpu, model, tmp_path):
    cache = PlanCache(tmp_path / "cache")
    model = Model(model.full, model.full, model.sizes)
    for version, precision in (("10.3.0", "fp32"), ("10.3.0", "fp16"), ("11.4.0.106", "fp32")):
        _, _, log = gpu(version=version)
        load(model, cache, precision)
        load(model, cache, precision)
        assert log.calls.count("built") == 1


def test_sizes_that_vary_get_a_profile_and_new_buffers(gpu, model, tmp_path):
    driver, _, log = gpu(varies=True)
    smallest, largest = (1, 3, 4, 4), (1, 3, 16, 16)
    varying = Model(model.full, sizes={"image": Size(SHAPE, smallest, largest)})
    runtime = load(varying, PlanCache(tmp_path / "cache"))
    assert ("profile", "image", smallest, SHAPE, largest) in log.calls
    for shape in (SHAPE, smallest, largest, SHAPE, SHAPE):
        values = image(0, shape)
        np.testing.assert_allclose(runtime.run({"image": values})["depth"], doubled(values), rtol=1e-6)
    assert len(driver.held) == 4 and len(driver.graphs) == 1  # those of the last size
    assert driver.launches == 5


def test_what_cannot_be_recorded_runs_without_a_graph(gpu, model, tmp_path):
    driver, _, _ = gpu(breaks="graph")
    runtime = load(model, PlanCache(tmp_path / "cache"))
    for seed in range(2):
        np.testing.assert_allclose(
            runtime.run({"image": image(seed)})["depth"], doubled(image(seed)), rtol=1e-6
        )
    assert driver.launches == 0


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        ("parse", "node 3: no such operator"), ("build", "out of memory"),
        ("context", "no execution context"), ("run", "the run failed"), ("size", r"shape \(1, 1, -1\)"),
        ("address", "cannot be bound"),
    ],
)  # fmt: skip
def test_failures_are_told_in_the_library_s_words(gpu, model, tmp_path, breaks, words):
    gpu(breaks=breaks)
    with pytest.raises(ModelError, match=words):
        load(model, PlanCache(tmp_path / "cache")).run({"image": image(0)})


def test_sizes_that_are_refused_are_told(gpu, model, tmp_path):
    gpu(varies=True, breaks="profile")
    varying = Model(model.full, sizes={"image": Size(SHAPE, (1, 3, 4, 4), (1, 3, 16, 16))})
    with pytest.raises(ModelError, match="refuses its sizes"):
        load(varying, PlanCache(tmp_path / "cache"))


def test_a_gpu_that_is_full_holds_nothing_back(gpu, model, tmp_path):
    driver, _, _ = gpu()
    runtime = load(model, PlanCache(tmp_path / "cache"))
    driver.full = True
    with pytest.raises(ModelError, match="out of memory"):
        runtime.run({"image": image(0)})
    assert driver.held == {}
    driver.full = False
    np.testing.assert_allclose(runtime.run({"image": image(0)})["depth"], doubled(image(0)), rtol=1e-6)


def test_a_build_ends_soon_after_it_is_asked_to(gpu, model, tmp_path):
    stop, cache = threading.Event(), PlanCache(tmp_path / "cache")
    _, _, log = gpu(while_building=lambda step: stop.set() if step == 1 else None)
    with stoppable_by(stop), pytest.raises(StoppedError):
        load(model, cache)
    assert log.calls.count("step") == 2
    assert "built" not in log.calls
    assert not cache.root.exists()
    load(model, cache)  # the next one is none of its business
    assert "built" in log.calls


def test_a_new_driver_means_a_new_plan(gpu, model, tmp_path, monkeypatch):
    cache = PlanCache(tmp_path / "cache")
    _, _, log = gpu()
    for driver, built in (("550.54", 1), ("550.54", 1), ("570.86", 2)):
        monkeypatch.setattr(cuda, "device", lambda driver=driver: (f"made-up GPU, driver {driver}", "8.7"))
        load(model, cache)
        assert log.calls.count("built") == built


def test_a_plan_that_does_not_load_is_told(gpu):
    driver, library, _ = gpu()
    with pytest.raises(PlanError, match="the plan is of another version"):
        tensorrt.TensorRt(b"another plan", library, driver)


@pytest.mark.parametrize(
    "inputs",
    [{"pixels": image(0)}, {}, {"image": image(0), "more": image(0)}, {"image": image(0, (1, 3, 8, 8))}],
)
def test_inputs_that_do_not_fit_are_told(gpu, model, tmp_path, inputs):
    gpu()
    runtime = load(model, PlanCache(tmp_path / "cache"))
    with pytest.raises(ModelError, match="image"):
        runtime.run(inputs)


@pytest.mark.parametrize("version", ["8.6.1", "10.0.1.6", "10.2.0", "12.0.0"])
def test_versions_that_are_not_supported_are_refused(gpu, model, tmp_path, version):
    gpu(version=version)
    with pytest.raises(ModelError, match=r"needed 10\.3 or newer, below 12"):
        load(model, PlanCache(tmp_path / "cache"))


def test_half_precision_needs_its_own_file(model):
    backend = tensorrt.TensorRtBackend()
    assert backend.precisions(model) == ("fp32",)
    assert backend.precisions(Model(model.full, model.full)) == ("fp16", "fp32")


# ---- the driver ---------------------------------------------------------------------------------


class Library:
    """libcuda as far as the probe goes."""

    def __init__(self, code=0, count=1):
        self.cuInit = lambda flags: code
        self.cuDeviceGetCount = lambda pointer: setattr(pointer._obj, "value", count) or 0


@pytest.mark.parametrize(
    ("library", "words"),
    [
        (None, "no NVIDIA driver"), (Library(code=100), "cuInit gave 100"),
        (Library(count=0), "no GPU"), (Library(), ""),
    ],
)  # fmt: skip
def test_cuda_is_probed_before_anything_else(monkeypatch, library, words):
    def open_library(name):
        if library is None:
            raise OSError(name)
        return library

    monkeypatch.setattr(cuda.ctypes, "CDLL", open_library)
    cuda.missing.cache_clear()
    try:
        assert (words in cuda.missing()) and bool(cuda.missing()) == bool(words)
        if words:
            with pytest.raises(ModelError, match="CUDA"):
                cuda.Driver()
    finally:
        cuda.missing.cache_clear()


class Device(Library):
    """libcuda as far as names go."""

    def __init__(self):
        super().__init__()
        for name in ("cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent", "cuDeviceGetAttribute"):
            setattr(self, name, lambda *_: 0)
        self.cuDeviceGetName = lambda text, size, device: setattr(text, "value", b"Orin") or 0
        self.cuDriverGetVersion = lambda pointer: setattr(pointer._obj, "value", 12080) or 0


def test_the_gpu_is_told_with_its_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: Device())
    (tmp_path / "version").write_text("570.86.15\n")
    try:
        for release, words in (("version", "Orin, driver 12080 570.86.15"), ("none", "Orin, driver 12080")):
            monkeypatch.setattr(cuda, "_RELEASE", tmp_path / release)
            cuda.missing.cache_clear()
            cuda.device.cache_clear()
            assert cuda.device() == (words, "0.0")
    finally:
        cuda.missing.cache_clear()
        cuda.device.cache_clear()


@pytest.mark.skipif(not cuda.missing(), reason="there is a GPU")
def test_without_a_gpu_tensorrt_is_missing_and_never_imported(monkeypatch):
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: "installed")
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # an import would raise
    assert "NVIDIA driver" in tensorrt.TensorRtBackend().missing()

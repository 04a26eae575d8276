"""Every runtime that is installed gives what ONNX Runtime gives, and files that are no good are refused."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from importlib.util import find_spec
from unittest.mock import MagicMock

import numpy as np
import pytest
import yaml
from conftest import write_toy_model

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine, depth_model, load_manifest, manifest_path
from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes import (
    BACKENDS,
    PORTABLE,
    Model,
    ModelFile,
    PlanCache,
    Request,
    Size,
    build_runtime,
    choose_runtime,
    cuda,
    onnxruntime,
)
from metric_depth_ros.runtimes.choice import choose
from metric_depth_ros.runtimes.model import unverified
from metric_depth_ros.runtimes.onnx_file import references
from metric_depth_ros.runtimes.onnxruntime import OnnxRuntimeBackend
from metric_depth_ros.runtimes.self_test import compare, reference, run_all, stored_inputs
from metric_depth_ros.runtimes.torch import TorchBackend

OTHERS = [backend for backend in BACKENDS if backend is not PORTABLE]


def loaded(backend, model, precision, tmp_path):
    if reason := backend.missing():
        pytest.skip(reason)
    return backend.load(model, precision, threads=1, cache=PlanCache(tmp_path / "cache"))


@pytest.fixture(scope="module")
def bundled():
    path = manifest_path(EngineConfig())
    return depth_model(load_manifest(path), path.parent)


# ---- the same numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("backend", OTHERS, ids=lambda b: f"{b.name} {b.device}")
def test_the_bundled_network_gives_the_same_everywhere(backend, bundled, tmp_path):
    runtime = loaded(backend, bundled, "fp32", tmp_path)
    inputs = stored_inputs(bundled)
    kept = [{name: values.copy() for name, values in each.items()} for each in inputs]
    wanted = run_all(PORTABLE.load(bundled, "fp32", threads=1, cache=PlanCache(tmp_path / "cache")), inputs)
    first = run_all(runtime, inputs)
    assert compare(first, wanted, "fp32") < (1e-4 if backend.device == "cpu" else 1e-2)
    assert compare(run_all(runtime, inputs), first, "fp32") < 1e-6  # again the same
    for before, after in zip(kept, inputs, strict=True):
        np.testing.assert_array_equal(before["image"], after["image"])  # inputs are left alone
    for precision in backend.precisions(bundled):
        compare(run_all(loaded(backend, bundled, precision, tmp_path), inputs), wanted, precision)


@pytest.mark.parametrize("backend", OTHERS, ids=lambda b: f"{b.name} {b.device}")
def test_outputs_of_one_run_survive_the_next(backend, bundled, tmp_path):
    runtime = loaded(backend, bundled, "fp32", tmp_path)
    one, other = stored_inputs(bundled)
    first = runtime.run(one)
    kept = {name: values.copy() for name, values in first.items()}
    runtime.run(other)
    for name, values in first.items():
        np.testing.assert_array_equal(values, kept[name])


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_each_can_be_asked_for_by_name(name, toy_manifest):
    backend = next(b for b in BACKENDS if (b.name, b.device) == (name, "cpu"))
    if reason := backend.missing():
        pytest.skip(reason)
    engine = build_engine(EngineConfig(manifest=str(toy_manifest), runtime=name, precision="fp32"))
    assert engine.label == f"{name} fp32 on cpu"
    image = np.full((48, 64, 3), 51, np.uint8)
    np.testing.assert_allclose(engine.predict(image).values, 0.2, rtol=1e-5)


def test_one_that_is_not_here_is_an_error_with_the_remedy(toy_manifest):
    if find_spec("tensorrt"):
        pytest.skip("TensorRT is installed")
    with pytest.raises(ModelError, match=r"engine\.runtime: tensorrt: tensorrt is not installed .*auto"):
        build_engine(EngineConfig(manifest=str(toy_manifest), runtime="tensorrt"))


# ---- operators in torch -------------------------------------------------------------------------


def graph_of(nodes, constants, shape, dtype=None):
    """An ONNX file of these nodes: input "x", output "y"."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node(op, inputs, outputs, **attributes) for op, inputs, outputs, attributes in nodes],
        "graph",
        [helper.make_tensor_value_info("x", dtype or TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def f(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def i(*values):
    return np.array(values, np.int64)


# Operators whose meaning is easy to get wrong: (operator, inputs after x, attributes, shape of x).
CASES = [
    ("Conv", {"w": f(4, 2, 3, 3), "b": f(4)}, dict(pads=[1, 1, 1, 1], strides=[2, 2], group=2), (1, 4, 9, 8)),
    ("Conv", {"w": f(4, 3, 3, 3)}, dict(pads=[0, 0, 1, 2]), (1, 3, 9, 8)),
    ("Conv", {"w": f(4, 3, 3, 3)}, dict(dilations=[2, 2]), (1, 3, 9, 8)),
    ("ConvTranspose", {"w": f(3, 4, 4, 4)}, dict(strides=[2, 2], pads=[1, 1, 1, 1]), (1, 3, 5, 6)),
    ("ConvTranspose", {"w": f(3, 4, 2, 2)}, dict(strides=[2, 2]), (1, 3, 5, 6)),
    ("MaxPool", {}, dict(kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]), (1, 3, 8, 8)),
    ("AveragePool", {}, dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), (1, 3, 8, 8)),
    ("Resize", {"": None, "s": np.float32([1, 1, 2, 1.5])}, dict(mode="linear"), (1, 2, 6, 8)),
    ("Resize", {"": None, "_": None, "n": i(1, 2, 13, 9)},
     dict(mode="linear", coordinate_transformation_mode="align_corners"), (1, 2, 6, 8)),
    ("Resize", {"": None, "_": None, "n": i(1, 2, 13, 9)},
     dict(mode="cubic", coordinate_transformation_mode="pytorch_half_pixel"), (1, 2, 6, 8)),
    ("Resize", {"": None, "s": np.float32([1, 1, 2, 2])},
     dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"), (1, 2, 6, 8)),
    ("Resize", {"": None, "_": None, "n": i(1, 2, 13)}, dict(mode="linear"), (1, 2, 6)),
    ("ScatterND", {"n": np.array([[0, 3], [1, -1]]), "u": f(2, 8)}, {}, (2, 6, 8)),
    ("ReduceL2", {"n": i(1, 2)}, {}, (2, 4, 3)),
    ("Slice", {"a": i(-1), "b": i(-9), "c": i(2), "d": i(-2)}, {}, (1, 2, 6, 8)),
    ("Slice", {"a": i(1, -3), "b": i(99, -1), "c": i(2, 3)}, {}, (1, 2, 6, 8)),
    ("Slice", {"a": i(4), "b": i(0), "c": i(2), "d": i(-3)}, {}, (1, 2, 6, 8)),
    ("Slice", {"a": i(0), "b": i(4), "c": i(2), "d": i(-1)}, {}, (1, 2, 6, 8)),
    ("CumSum", {"n": np.array(1)}, {}, (2, 4, 3)),
    ("CumSum", {"n": np.array(-1)}, dict(exclusive=1), (2, 4, 3)),
    ("CumSum", {"n": np.array(1)}, dict(exclusive=1, reverse=1), (2, 4, 3)),
    ("Gather", {"n": np.array([[0, -1], [2, 1]])}, dict(axis=2), (1, 2, 6, 8)),
    ("Gather", {"n": np.array(-1)}, dict(axis=1), (1, 2, 6, 8)),
    ("Reshape", {"n": i(0, -1, 4)}, {}, (3, 2, 6)),
    ("Expand", {"n": i(2, 1, 6)}, {}, (3, 1)),
    ("Pad", {"n": i(0, 0, 1, 2, 0, 0, 3, 0)}, dict(mode="reflect"), (1, 2, 6, 8)),
    ("Pad", {"n": i(0, 0, 1, 2, 0, 0, 3, 0)}, dict(mode="edge"), (1, 2, 6, 8)),
    ("Pad", {"n": i(0, 1, 1, 2, 0, 0, 3, 0), "v": np.float32(7)}, {}, (1, 2, 6, 8)),
    ("LayerNormalization", {"w": f(6), "b": f(6)}, dict(axis=-1, epsilon=1e-3), (1, 4, 6)),
    ("BatchNormalization", {"w": f(4), "b": f(4), "m": f(4), "v": f(4)**2}, dict(epsilon=0.1), (2, 4, 3, 3)),
    ("InstanceNormalization", {"w": f(4), "b": f(4)}, {}, (2, 4, 3, 3)),
    ("Gemm", {"w": f(5, 6), "b": f(5)}, dict(transB=1, alpha=0.5, beta=2.0), (3, 6)),
    ("ReduceMean", {"n": i(-1, 1)}, dict(keepdims=0), (2, 4, 3, 3)),
    ("ReduceMax", {"n": i(2)}, {}, (2, 4, 3, 3)),
    ("Softmax", {}, dict(axis=1), (2, 4, 3)),
    ("DepthToSpace", {}, dict(blocksize=2), (1, 8, 3, 3)),
    ("DepthToSpace", {}, dict(blocksize=2, mode="CRD"), (1, 8, 3, 3)),
    ("Clip", {"a": np.float32(-0.5)}, {}, (2, 4)),
    ("PRelu", {"a": f(4, 1, 1)}, {}, (2, 4, 3, 3)),
    ("HardSigmoid", {}, dict(alpha=0.3), (2, 4)),
    ("Transpose", {}, {}, (2, 4, 3)),
    ("Squeeze", {"n": i(-1)}, {}, (2, 4, 1)),
    ("Unsqueeze", {"n": i(-1, 0)}, {}, (2, 4)),
    ("Tile", {"n": i(2, 3)}, {}, (2, 4)),
    ("Max", {"a": f(4), "b": f(2, 4)}, {}, (2, 4)),
    ("Mod", {"a": np.float32([0.5, -0.5])}, dict(fmod=1), (3, 2)),
    ("Flatten", {}, dict(axis=2), (2, 4, 3, 3)),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda n: f"{CASES[n][0]}-{n}")
def test_operators_of_the_torch_runtime_are_onnx_s(case, tmp_path):
    pytest.importorskip("torch")
    operator, inputs, attributes, shape = CASES[case]
    names = ["x", *("" if value is None else name for name, value in inputs.items())]
    constants = {name: value for name, value in inputs.items() if value is not None}
    same_on_all(
        graph_of([(operator, names, ["y"], attributes)], constants, shape), {"x": f(*shape)}, tmp_path
    )


def test_sizes_that_a_graph_computes_follow_the_input(tmp_path):
    """Shape, Gather, Div, Cast, ConstantOfShape, Range, Where: as exporters write them; at two sizes."""
    pytest.importorskip("torch")
    nodes = [
        ("Shape", ["x"], ["shape"], {}), ("Gather", ["shape", "two"], ["h"], {}),
        ("Div", ["h", "two"], ["half"], {}), ("Cast", ["half"], ["half_f"], dict(to=1)),
        ("Range", ["zero", "h", "one"], ["rows"], {}), ("Cast", ["rows"], ["rows_f"], dict(to=1)),
        ("Less", ["rows_f", "half_f"], ["upper"], {}), ("Unsqueeze", ["upper", "last"], ["mask"], {}),
        ("Split", ["x", "parts"], ["a", "b"], dict(axis=1)),
        ("Where", ["mask", "a", "b"], ["y"], {}),
    ]  # fmt: skip
    constants = {
        "two": np.array(2), "zero": np.array(0), "one": np.array(1), "last": i(-1), "parts": i(1, 2),
    }  # fmt: skip
    content = graph_of(nodes, constants, (1, 3, "h", "w"))
    for height in (7, 10):
        same_on_all(content, {"x": f(1, 3, height, 4)}, tmp_path)


def same_on_all(content, inputs, tmp_path):
    path = tmp_path / "graph.onnx"
    path.write_bytes(content)
    wanted = build_runtime("onnxruntime", path, threads=1).run(inputs)["y"]
    found = build_runtime("torch", path, threads=1).run(inputs)["y"]
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_half_precision_in_torch_is_the_file_s(tmp_path):
    """Where the file says float32 it is: a square of 300 is too large for float16."""
    pytest.importorskip("torch")
    nodes = [
        ("Cast", ["x"], ["half"], dict(to=10)), ("Mul", ["half", "w"], ["scaled"], {}),
        ("Cast", ["scaled"], ["single"], dict(to=1)), ("Pow", ["single", "two"], ["square"], {}),
        ("ReduceMean", ["square", "axes"], ["mean"], {}), ("Sqrt", ["mean"], ["y"], {}),
    ]  # fmt: skip
    constants = {"w": np.float16([300, 301, 302]), "two": np.float32(2), "axes": i(1)}
    content = graph_of(nodes, constants, (4, 3))
    same_on_all(content, {"x": np.ones((4, 3), np.float32)}, tmp_path)
    file = ModelFile(tmp_path / "graph.onnx", hashlib.sha256(content).hexdigest())
    other = ModelFile(tmp_path / "none.onnx", "0" * 64)
    backend = TorchBackend("cuda")
    assert backend.precisions(Model(other)) == ("fp32",)
    assert backend.precisions(Model(other, file)) == ("fp16", "fp32")
    backend.device = "cpu"
    runtime = backend.load(Model(other, file), "fp16", threads=1, cache=PlanCache(tmp_path / "cache"))
    np.testing.assert_allclose(runtime.run({"x": np.ones((4, 3), np.float32)})["y"], 301, rtol=1e-3)


def test_torch_does_without_a_cuda_graph_where_none_can_be_recorded(tmp_path, monkeypatch, caplog):
    torch = pytest.importorskip("torch")
    from metric_depth_ros.runtimes.torch_program import Torch

    @contextmanager
    def capture(recording):
        yield
        raise RuntimeError("operation not permitted when stream is capturing")

    caplog.set_level("INFO")
    stream = MagicMock()
    for name in ("Stream", "current_stream", "stream", "CUDAGraph"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: stream)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    path = tmp_path / "graph.onnx"
    path.write_bytes(graph_of([("Neg", ["x"], ["y"], {})], {}, (3, 3)))
    runtime = Torch(unverified(path), device="cpu", threads=1)
    runtime.run({"x": f(3, 3)})
    assert runtime._program._record() is None
    assert "runs without a CUDA graph: operation not permitted" in caplog.text
    np.testing.assert_array_equal(runtime.run({"x": f(3, 3)})["y"], -f(3, 3))


def test_an_operator_of_another_domain_is_not_onnx_s_of_that_name(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "graph.onnx"
    path.write_bytes(one_node("Gelu", "com.microsoft"))
    with pytest.raises(ModelError, match=r"no operator com\.microsoft::Gelu"):
        build_runtime("torch", path, threads=1)


def test_an_operator_that_torch_has_not_is_named(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "graph.onnx"
    path.write_bytes(graph_of([("Det", ["x"], ["y"], {})], {}, (3, 3)))
    with pytest.raises(ModelError, match="no operator Det"):
        build_runtime("torch", path, threads=1)


# ---- files that are no good ---------------------------------------------------------------------


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (os.mkdir, (str(self.trace),))


def archive(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        writer.writestr(name, content)
    return file.getvalue()


def opset(number):
    return one_node("Identity", "", number)


def in_a_branch(content):
    """The same behind an If, where it would run."""
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto.FromString(content)
    branch = onnx.GraphProto(name="branch", node=model.graph.node, output=model.graph.output)
    model.graph.ClearField("node")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(
        onnx.helper.make_node("If", ["yes"], ["depth"], then_branch=branch, else_branch=branch)
    )
    return model.SerializeToString()


def one_node(operator, domain, number=18):
    onnx = pytest.importorskip("onnx")
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node(operator, ["image"], ["depth"], domain=domain)],
            "new",
            [onnx.helper.make_tensor_value_info("image", 1, [1, 3, 48, 64])],
            [onnx.helper.make_tensor_value_info("depth", 1, [1, 3, 48, 64])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", number)],
    )
    return model.SerializeToString()


def bad_files(trace):
    """Name: content and words of the error."""
    bomb = pickle.dumps(Bomb(trace))
    return {
        "a pickle": (bomb, "pickle"),
        "a checkpoint": (archive("archive/data.pkl", bomb), "zip archive"),
        "an array of objects": (b"\x93NUMPY" + bomb, "not an ONNX file"),
        "safetensors": ((2).to_bytes(8, "little") + b'{"w": {}}', "safetensors"),
        "a page": (b"<!DOCTYPE html><html>404</html>", "page of text"),
        "an LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS"),
        "nothing": (b"", "not an ONNX file"),
        "noise": (np.random.default_rng(0).bytes(1000), "not an ONNX file"),
        "ONNX Runtime's own format": (b"\x1c\x00\x00\x00ORTM" + bytes(100), "flatbuffer"),
        "that behind ONNX": (b"\x08\x09\x12\x40ORTM" + opset(18)[2:], "flatbuffer"),
        "OpenVINO's own format": (b"\n<?xml version='1.0'?><net/>", "not an ONNX file"),
        "a compiled engine": (one_node("EPContext", "com.microsoft"), "com.microsoft::EPContext"),
        "an operator of nobody's": (one_node("Run", "my.plugins"), "my.plugins::Run"),
        "one in a branch": (in_a_branch(one_node("Run", "my.plugins")), "my.plugins::Run"),
        "a later opset": (opset(999), "cannot load"),
    }


RUNTIMES = [b.name for b in BACKENDS if b.device == "cpu" and not b.missing()]


@pytest.mark.parametrize("runtime", ["auto", *RUNTIMES])
@pytest.mark.parametrize("which", list(bad_files("")))
def test_bad_files_are_refused_and_nothing_in_them_runs(which, runtime, tmp_path):
    content, words = bad_files(tmp_path / "trace")[which]
    path = write_toy_model(tmp_path)
    (tmp_path / "toy.onnx").write_bytes(content)
    rewrite(path, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError) as error:
        build_engine(EngineConfig(manifest=str(path), runtime=runtime))
    assert words in str(error.value)
    assert "toy.onnx" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "trace").exists()


def rewrite(path, **changes):
    """Changes keys of a manifest; a mapping changes the keys inside."""
    tree = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        tree[key] = {**tree[key], **value} if isinstance(tree.get(key), dict) else value
    path.write_text(yaml.safe_dump(tree))


@pytest.mark.parametrize("runtime", ["auto", *RUNTIMES])
@pytest.mark.parametrize("damage", ["corrupt", "truncated"])
def test_a_damaged_file_is_refused_before_any_runtime_sees_it(damage, runtime, tmp_path):
    path = write_toy_model(tmp_path)
    model = tmp_path / "toy.onnx"
    content = model.read_bytes()
    flipped = content[:50] + bytes([content[50] ^ 1]) + content[51:]
    model.write_bytes(flipped if damage == "corrupt" else content[:-10])
    with pytest.raises(ModelError, match=r"toy\.onnx: sha256 .*corrupt or another one"):
        build_engine(EngineConfig(manifest=str(path), runtime=runtime))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input": {"name": "pixels"}}, "takes the inputs image; the manifest says pixels"),
        (
            {"input": {"width": 32}},
            r"'image' is of shape \[1, 3, 48, 64\]; the manifest says \[1, 3, 48, 32\]",
        ),
        ({"input": {"layout": "nhwc"}}, r"the manifest says \[1, 48, 64, 3\]"),
        ({"input": {"multiple_of": 16}}, "multiple_of"),
        ({"output": {"name": "disparity"}}, "has no output disparity; it has depth"),
    ],
)
def test_a_manifest_that_does_not_fit_its_file_is_told_how(change, words, tmp_path):
    path = write_toy_model(tmp_path)
    rewrite(path, **change)
    with pytest.raises(ModelError, match=words):
        build_engine(EngineConfig(manifest=str(path)))


@pytest.fixture
def outside_weights(tmp_path):
    """A network that keeps its weights in a second file, and its manifest without a word of that."""
    onnx = pytest.importorskip("onnx")
    path = write_toy_model(tmp_path)
    model = onnx.load(tmp_path / "toy.onnx")
    for tensor in model.graph.initializer[1:]:  # only raw bytes are put elsewhere; the axes stay
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name))
    where = {"save_as_external_data": True, "location": "toy.data", "size_threshold": 0}
    onnx.save(model, tmp_path / "toy.onnx", **where)
    rewrite(path, sha256=digest(tmp_path / "toy.onnx"))
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_that_the_manifest_does_not_list_are_refused(outside_weights):
    with pytest.raises(ModelError, match=r"keeps weights in toy\.data"):
        build_engine(EngineConfig(manifest=str(outside_weights)))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_weights_that_it_lists_are_read_once_verified(outside_weights, runtime):
    weights = outside_weights.parent / "toy.data"
    rewrite(outside_weights, data={"toy.data": digest(weights)})
    settings = EngineConfig(manifest=str(outside_weights), runtime=runtime)
    image = np.full((48, 64, 3), 51, np.uint8)
    np.testing.assert_allclose(build_engine(settings).predict(image).values, 0.2, rtol=1e-2)
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelError, match=r"toy\.data: sha256"):
        build_engine(settings)


def moved_weights(content, where):
    """A tensor's values put into a file, at each place of the graph that can hold a tensor."""
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto.FromString(content)
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="other.data")
    node = onnx.helper.make_node("Identity", ["image"], ["unused"])
    if where == "initializer":
        model.graph.initializer.append(tensor)
    elif where == "sparse":
        model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=tensor, indices=tensor))
    elif where == "attribute":
        node.attribute.append(onnx.helper.make_attribute("value", tensor))
    elif where == "attributes":
        node.attribute.append(onnx.helper.make_attribute("values", [tensor]))
    else:
        graph = onnx.GraphProto(name="inner", initializer=[tensor])
        node.attribute.append(onnx.helper.make_attribute("body", graph))
    if where == "function":
        model.functions.add(name="F", domain="mine", node=[node])
    elif node.attribute:
        model.graph.node.append(node)
    return model.SerializeToString()


@pytest.mark.parametrize(
    "where", ["initializer", "sparse", "attribute", "attributes", "subgraph", "function"]
)
def test_weights_in_other_files_are_found_wherever_they_are_named(where):
    assert references(opset(18)).files == frozenset()
    assert references(moved_weights(opset(18), where)).files == {"other.data"}


LOCATION = b"\x0a\x08location"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_weights_are_found_in_whatever_order_the_file_names_them(outside_weights, runtime, monkeypatch):
    """Protocol buffers may hold the fields of a message in any order."""
    graph = outside_weights.parent / "toy.onnx"
    content, plain = graph.read_bytes(), LOCATION + b"\x12\x08toy.data"
    assert plain in content
    graph.write_bytes(content.replace(plain, b"\x12\x08toy.data" + LOCATION))
    rewrite(outside_weights, sha256=digest(graph))
    monkeypatch.chdir(outside_weights.parent)
    with pytest.raises(ModelError, match=r"keeps weights in toy\.data"):
        build_engine(EngineConfig(manifest=str(outside_weights), runtime=runtime))


def field(number, content):
    return bytes([8 * number + 2, len(content)]) + content


@pytest.mark.parametrize(
    "key",
    [
        field(1, b"location") + b"\x08\x00",  # of another type the second time: passed over
        b"\x08\x00" + field(1, b"location"),
        b"\x8a\x80\x80\x80\x10" + field(1, b"location")[1:],  # a number beyond 32 bits: cut to 32 by some
        b"\x0b\x0c" + field(1, b"location"),  # a group
    ],
)
def test_what_readers_of_protocol_buffers_may_take_in_two_ways_is_refused(key):
    tensor = field(13, key + field(2, b"other.data")) + b"\x70\x01"
    content = opset(18) + field(7, field(5, tensor))
    with pytest.raises(ModelError):
        references(content)
    assert references(opset(18) + field(7, field(5, field(13, field(1, b"location") + field(2, b"w"))))).files


@pytest.mark.parametrize("name", ["../up.data", "/etc/passwd", "sub/toy.data", "..", "x" * 200])
def test_weights_lie_in_the_model_s_own_folder(outside_weights, name):
    onnx = pytest.importorskip("onnx")
    graph = outside_weights.parent / "toy.onnx"
    model = onnx.load(graph, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = name if entry.key == "location" else entry.value
    graph.write_bytes(model.SerializeToString())
    rewrite(outside_weights, sha256=digest(graph), data={name: "0" * 64})
    with pytest.raises(ModelError, match="own folder" if len(name) < 200 else "x{200}: No such"):
        build_engine(EngineConfig(manifest=str(outside_weights)))


def test_files_that_the_network_does_not_name_are_not_listed(toy_manifest, tmp_path):
    path = write_toy_model(tmp_path)
    (tmp_path / "more").write_bytes(b"x")
    rewrite(path, data={"more": digest(tmp_path / "more")})
    with pytest.raises(ModelError, match=r"keeps weights in no other file.*more"):
        build_engine(EngineConfig(manifest=str(path)))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("changed", ["toy.data", "toy.onnx"])
def test_files_that_change_once_they_are_verified_are_not_used(outside_weights, runtime, changed):
    """What a library reads by path is verified again when it has been read."""
    folder = outside_weights.parent
    file = unverified(folder / "toy.onnx")
    file.verify()
    content = (folder / changed).read_bytes()
    (folder / changed).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    backend = next(b for b in BACKENDS if (b.name, b.device) == (runtime, "cpu"))
    with pytest.raises(ModelError, match=rf"{changed}: sha256"):
        backend.load(Model(file), "fp32", threads=1, cache=PlanCache(folder / "cache"))


def test_what_changed_weights_give_is_no_reference(outside_weights, tmp_path):
    """They may be read as late as the first run."""
    folder = outside_weights.parent
    file = unverified(folder / "toy.onnx")
    model, cache = Model(file, sizes={"image": Size(*[(1, 3, 48, 64)] * 3)}), PlanCache(tmp_path / "cache")

    class Late(OnnxRuntimeBackend):
        def load(self, *args, **kwargs):
            runtime = super().load(*args, **kwargs)
            (folder / "toy.data").write_bytes(b"other")
            return runtime

    with pytest.raises(ModelError, match=r"toy\.data: sha256"):
        reference(model, stored_inputs(model), Late(), cache)
    assert not cache.root.exists()


def test_onnx_runtime_s_own_plans_have_a_folder_for_each_network_and_precision(tmp_path, monkeypatch):
    """Its TensorRT provider names them by the graph; networks of one exporter share that name."""
    cache, folders = PlanCache(tmp_path / "cache"), []

    class Session:
        def __init__(self, *_, options, **__):
            self.inputs = {}
            folders.append(options["trt_engine_cache_path"])

    monkeypatch.setattr(onnxruntime, "OnnxRuntime", Session)
    monkeypatch.setattr(cuda, "device", lambda: ("made-up GPU", "8.7"))
    backend = OnnxRuntimeBackend("tensorrt")
    first, second = (ModelFile(tmp_path / "net.onnx", letter * 64) for letter in "ab")
    for model, precision in ((Model(first), "fp32"), (Model(second), "fp32"), (Model(first, second), "fp16")):
        for _ in range(2):
            backend.load(model, precision, threads=1, cache=cache)
    monkeypatch.setattr(backend, "version", lambda: "2")
    backend.load(Model(first), "fp32", threads=1, cache=cache)
    assert len(set(folders)) == 4
    assert all(os.path.isdir(folder) for folder in folders)


@pytest.mark.skipif("onnxruntime" not in RUNTIMES, reason="no ONNX Runtime")
def test_onnx_runtime_leaves_nothing_of_its_own_in_the_cache_directory(toy_manifest, tmp_path):
    """From 1.31 on it would keep an id of the device there, to report with."""
    network = toy_manifest.with_suffix(".onnx")
    code = "import sys; from pathlib import Path; from metric_depth_ros.runtimes import build_runtime; "
    code += "build_runtime('onnxruntime', Path(sys.argv[1]), threads=1)"
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    env |= {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code, str(network)], env=env, check=True)
    assert list(tmp_path.rglob("*")) == []


def test_half_precision_that_is_missing_or_another_leaves_single(tmp_path, caplog):
    """The float16 file is verified too, by what would run it."""
    path = write_toy_model(tmp_path)
    file = ModelFile(tmp_path / "toy.onnx", digest(tmp_path / "toy.onnx"))
    for half in (ModelFile(tmp_path / "absent.onnx", "0" * 64), ModelFile(tmp_path / "toy.onnx", "0" * 64)):
        with pytest.raises(ModelError, match=r"No such file|sha256"):
            Model(file, half).at("fp16").verify()
    rewrite(path, fp16={"file": "absent.onnx", "sha256": "0" * 64})
    manifest = load_manifest(path)
    model = depth_model(manifest, tmp_path)

    class Gpu(OnnxRuntimeBackend):
        """The real one under another name, which offers half precision as on a GPU."""

        name = "gpu"

        def precisions(self, model):
            return ("fp16", "fp32")

    cache, backends = PlanCache(tmp_path / "cache"), (Gpu(), PORTABLE)
    chosen = choose(model, Request("gpu", threads=1), backends=backends, portable=PORTABLE, cache=cache)
    assert (chosen.label, chosen.why) == ("gpu fp32 on cpu", "as set; refused: gpu fp16 on cpu")
    assert "absent.onnx: No such file" in caplog.text


def test_the_choice_of_the_bundled_network_is_told(bundled):
    chosen = choose_runtime(bundled, Request("auto", "fp32", 1))
    assert " fp32 on " in chosen.label
    assert chosen.why == "the only one here" or "ms" in chosen.why
    json.dumps([chosen.label, chosen.why])  # plain text for diagnostics

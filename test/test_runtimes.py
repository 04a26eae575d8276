"""Every runtime that is installed gives what ONNX Runtime gives, and files that are no good are refused."""

import hashlib
import io
import json
import os
import pickle
import zipfile
from importlib.util import find_spec

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
    build_runtime,
    choose_runtime,
)
from metric_depth_ros.runtimes.self_test import compare, run_all, stored_inputs

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
    onnx = pytest.importorskip("onnx")
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["image"], ["depth"])],
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
        "an array of objects": (b"\x93NUMPY" + bomb, "cannot load"),
        "safetensors": ((2).to_bytes(8, "little") + b'{"w": {}}', "safetensors"),
        "a page": (b"<!DOCTYPE html><html>404</html>", "page of text"),
        "an LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS"),
        "nothing": (b"", "cannot load"),
        "noise": (np.random.default_rng(0).bytes(1000), "cannot load"),
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


def test_half_precision_that_is_missing_or_another_leaves_single(tmp_path, caplog):
    """The float16 file is verified too, by what would run it."""
    path = write_toy_model(tmp_path)
    file = ModelFile(tmp_path / "toy.onnx", digest(tmp_path / "toy.onnx"))
    for half in (ModelFile(tmp_path / "absent.onnx", "0" * 64), ModelFile(tmp_path / "toy.onnx", "0" * 64)):
        with pytest.raises(ModelError, match=r"No such file|sha256"):
            Model(file, half).at("fp16").verify()
    rewrite(path, fp16={"file": "absent.onnx", "sha256": "0" * 64})
    assert build_engine(EngineConfig(manifest=str(path))).label.endswith("on cpu")


def test_the_choice_of_the_bundled_network_is_told(bundled):
    chosen = choose_runtime(bundled, Request("auto", "fp32", 1))
    assert " fp32 on " in chosen.label
    assert chosen.why == "the only one here" or "ms" in chosen.why
    json.dumps([chosen.label, chosen.why])  # plain text for diagnostics

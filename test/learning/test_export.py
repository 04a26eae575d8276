"""Checkpoints of every architecture to ONNX and manifest: what the files give is what torch gives."""

import dataclasses
import json
import pickle
import shutil
import socket

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[export]'")
pytest.importorskip(
    "transformers", reason="transformers is not installed: pip install 'metric_depth_ros[export]'"
)
pytest.importorskip("onnx")

import onnx
import tiny_checkpoints
import torch

from metric_depth_ros.cli.main import main
from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import load_manifest
from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.export.depth import export_depth
from metric_depth_ros.learning.export.files import Wanted
from metric_depth_ros.learning.export.half import KEPT
from metric_depth_ros.learning.models.checkpoint_folder import (
    CheckpointFolder,
    normalisation,
    open_checkpoint,
)
from metric_depth_ros.learning.models.published_depth import facts_of, load_published

# Of each architecture: what the manifest must say, two sizes, and the features of the first, coarse and fine.
EXPECTED = {
    "depth_anything": ("inverse_depth", False, [(70, 70), (98, 84)], (16, 10, 10), (16, 40, 40)),
    "dpt_large": ("inverse_depth", False, [(64, 64), (96, 128)], (16, 8, 8), (16, 32, 32)),
    "dpt_hybrid": ("inverse_depth", False, [(64, 64), (96, 128)], (16, 8, 8), (16, 32, 32)),
    "dpt_swin2": ("inverse_depth", False, [(64, 64), (96, 128)], (16, 8, 8), (16, 32, 32)),
    "dpt_beit": ("inverse_depth", False, [(64, 64), (96, 128)], (16, 8, 8), (16, 32, 32)),
    "depth_pro": ("inverse_depth", False, [(256, 256)], (16, 32, 32), (16, 128, 128)),
    "zoedepth": ("depth", True, [(96, 64), (128, 128)], (16, 8, 12), (16, 32, 48)),
    "zoedepth_nk": ("depth", True, [(96, 64), (128, 128)], (16, 8, 12), (16, 32, 48)),
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Folder of an architecture's checkpoint, made once."""
    made = {}

    def folder(name):
        if name not in made:
            torch.manual_seed(0)
            made[name] = getattr(tiny_checkpoints, name)(tmp_path_factory.mktemp(name))
        return made[name]

    return folder


def exported(folder, to, sizes, *, features="coarse", **wanted):
    opened = open_checkpoint(folder)
    network = load_published(opened, features)
    facts = facts_of(opened, network.facts)
    files = export_depth(network, facts, Wanted(to, "net", sizes, **wanted), comment="A test.")
    return network, files


def noise(size):
    return np.random.default_rng(1).standard_normal((1, 3, size[1], size[0])).astype(np.float32)


def apart(found, wanted):
    """Largest difference in standard deviations."""
    assert found.shape == wanted.shape
    return np.abs(found - wanted).max() / wanted.std()


def torch_outputs(network, image):
    with torch.inference_mode():
        return [value.numpy() for value in network(torch.from_numpy(image))]


@pytest.fixture(scope="module")
def networks(checkpoints, tmp_path_factory):
    """Network and files of an architecture at its sizes, exported once."""
    made = {}

    def network(name):
        if name not in made:
            made[name] = exported(checkpoints(name), tmp_path_factory.mktemp(name), EXPECTED[name][2])
        return made[name]

    return network


@pytest.mark.parametrize("name", EXPECTED)
def test_every_architecture_runs_as_torch_does(networks, name):
    kind, metric, sizes, coarse, _ = EXPECTED[name]
    network, files = networks(name)
    assert len(files) == len(sizes)
    for size, file in zip(sizes, files, strict=True):
        assert file.difference.largest <= 1e-3
        manifest = load_manifest(file.manifest)
        assert (manifest.input.width, manifest.input.height) == size
        assert (manifest.output.kind, manifest.output.metric) == (kind, metric)
        image = noise(size)
        wanted = torch_outputs(network, image)
        assert wanted[0].shape == (1, 1, size[1], size[0])
        assert min(value.std() for value in wanted) > 0.01
    assert torch_outputs(network, noise(sizes[0]))[1].shape[1:] == coarse
    relative = build_engine(EngineConfig(manifest=str(files[0].manifest), runtime="onnxruntime")).predict(
        np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    )
    assert relative.values.shape == (48, 64)
    # The border that is cut off again: 16 of 96 columns at each end, 14 of 76 rows.
    assert relative.features["f"].shape == ((16, 6, 8) if manifest.input.border else coarse)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_architecture_runs_in_openvino(networks, name):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    network, files = networks(name)
    for size, file in zip(EXPECTED[name][2], files, strict=True):
        image = noise(size)
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        found = openvino.Core().compile_model(str(file.models[0]), "CPU", options)(image).values()
        assert max(apart(a, b) for a, b in zip(found, torch_outputs(network, image), strict=True)) <= 1e-3


@pytest.mark.parametrize("name", EXPECTED)
def test_the_wrappers_give_what_transformers_gives(checkpoints, name):
    size, fine = EXPECTED[name][2][0], EXPECTED[name][4]
    network = load_published(open_checkpoint(checkpoints(name)), "fine")
    image = torch.from_numpy(noise(size))
    with torch.inference_mode():
        wanted = (
            network.model(image).predicted_depth if name != "depth_pro" else _depth_pro(checkpoints, image)
        )
        depth, features = network(image)
    assert float((depth[:, 0] - wanted).abs().max()) <= 1e-5 * float(wanted.std())
    assert features.shape[1:] == fine


def _depth_pro(checkpoints, image):
    from transformers import DepthProForDepthEstimation

    return DepthProForDepthEstimation.from_pretrained(checkpoints("depth_pro")).eval()(image).predicted_depth


@pytest.mark.parametrize("name", ["depth_anything", "dpt_large"])
def test_one_file_takes_every_size(checkpoints, tmp_path, name):
    sizes = EXPECTED[name][2]
    network, (file,) = exported(checkpoints(name), tmp_path, sizes, dynamic=True)
    manifest = load_manifest(file.manifest)
    assert manifest.input.multiple_of == network.facts.multiple_of
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file.models[0]))
    # The size that was traced, a second, and one that nobody named.
    for size in (*sizes, (2 * sizes[0][0], sizes[0][1])):
        image = noise(size)
        found = session.run(None, {"image": image})
        assert max(apart(a, b) for a, b in zip(found, torch_outputs(network, image), strict=True)) <= 1e-3


@pytest.mark.parametrize("name", ["depth_anything", "dpt_swin2", "zoedepth"])
def test_float16_files_keep_what_needs_float32(checkpoints, tmp_path, name):
    _, (file,) = exported(checkpoints(name), tmp_path, EXPECTED[name][2][:1], half=True)
    assert file.half.rms <= 2e-2
    manifest = load_manifest(file.manifest)
    path = tmp_path / manifest.fp16.file
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output, *graph.input)}
    float32, float16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
    for node in graph.node:
        if node.op_type in KEPT and types[node.output[0]] in (float32, float16):
            assert types[node.output[0]] == float32
        if node.op_type in ("MatMul", "Conv"):
            assert types[node.output[0]] == float16
    assert {types[v.name] for v in (*graph.input, *graph.output)} == {float32}
    count = {
        t: sum(np.prod(w.dims) for w in graph.initializer if w.data_type == t) for t in (float32, float16)
    }
    assert count[float32] < 0.1 * count[float16]


def test_a_control_flow_graph_has_no_float16_file(tmp_path):
    from onnx import TensorProto, helper

    from metric_depth_ros.learning.export.half import write_half

    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["b"])], "b", [], [helper.make_tensor_value_info("b", 1, [1])]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info("x", 1, [1]),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", 1, [1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="control flow"):
        write_half(tmp_path / "m.onnx", tmp_path / "h.onnx")


def test_depth_anything_says_which_it_is():
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    from metric_depth_ros.learning.models.depth_anything import DepthAnything

    def facts(hidden, out_indices, **changes):
        backbone = tiny_checkpoints._dinov2(
            hidden_size=hidden, num_hidden_layers=12, out_indices=out_indices, num_attention_heads=6
        )
        config = DepthAnythingConfig(backbone_config=backbone, reassemble_hidden_size=hidden, **changes)
        with torch.device("meta"):
            return DepthAnything(DepthAnythingForDepthEstimation(config)).facts

    small, base = facts(384, [3, 6, 9, 12]), facts(768, [3, 6, 9, 12])
    assert (small.title, small.licence) == ("Depth Anything V2 Small", "Apache-2.0")
    assert (base.title, base.licence) == ("Depth Anything V2 Base", "CC-BY-NC-4.0")
    first = facts(384, [9, 10, 11, 12])
    assert (first.title, first.kind, first.floor) == ("Depth Anything V1 Small", "inverse_depth", None)
    metric = facts(384, [3, 6, 9, 12], depth_estimation_type="metric", max_depth=20)
    assert (metric.title, metric.kind, metric.metric) == ("Depth Anything V2 Metric Small", "depth", True)
    assert metric.floor > 0


# ---- the verb --------------------------------------------------------------------------------


def test_the_verb_exports_without_network(checkpoints, tmp_path, capsys, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("reached for the network")

    folder = checkpoints("depth_anything")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Card\n")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    arguments = ["export", str(folder), "--to", str(tmp_path), "--size", "84x70", "--name", "mine"]
    assert main([*arguments, "--precision", "fp16", "--features", "none", "--source", "a shop"]) == 0
    assert "mine.yaml" in capsys.readouterr().out
    manifest = load_manifest(tmp_path / "mine.yaml")
    assert (manifest.licence, manifest.source, manifest.features) == ("apache-2.0", "a shop", {})
    assert (manifest.input.width, manifest.input.height) == (84, 70)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("depth_anything", ["--size", "80x70"], "multiples of 14. Nearest: 84x70"),
        ("dpt_beit", ["--dynamic"], "a file for each size"),
        ("depth_pro", ["--size", "128x128"], "256x256 only"),
        ("depth_anything", ["--size", "80"], "WIDTHxHEIGHT"),
        ("sam", ["--dynamic"], "SAM has one size"),
        (
            "sam",
            ["--features", "fine"],
            "leave out --size, --pictures, --dynamic, --precision and",
        ),
        ("clip", ["--pictures", "64x48"], "CLIP has one size"),
        ("depth_anything", ["--pictures", "64"], "WIDTHxHEIGHT"),
    ],
)
def test_what_a_network_cannot_do_is_said(checkpoints, tmp_path, capsys, name, arguments, words):
    assert main(["export", str(checkpoints(name)), "--to", str(tmp_path), *arguments]) == 1
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_several_checkpoints_are_named_by_their_folders(checkpoints, tmp_path, capsys):
    """Options of depth networks are for those among them."""
    large, small = (tmp_path / name for name in ("Depth-Large", "Depth-Small"))
    for folder in (large, small):
        shutil.copytree(checkpoints("depth_anything"), folder)
    words = ["export", str(large), str(small), str(checkpoints("sam")), "--to", str(tmp_path / "out")]
    assert main([*words, "--size", "84x70"]) == 1
    assert "--name and --size are of one checkpoint" in capsys.readouterr().err
    assert main([*words, "--features", "none"]) == 0
    names = sorted(path.stem for path in (tmp_path / "out").glob("*.yaml"))
    assert names[:2] == ["depth_large", "depth_small"] and len(names) == 3
    assert load_manifest(tmp_path / "out/depth_large.yaml").features == {}


@pytest.mark.parametrize(
    ("pictures", "size"),
    [((640, 480), (98, 70)), ((480, 640), (70, 98)), ((70, 60), (70, 56)), (None, (70, 70))],
)
def test_the_input_keeps_the_aspect_ratio_of_the_pictures(checkpoints, tmp_path, pictures, size):
    """As the checkpoint's own preprocessing does: 640x480 becomes 686x518 where the usual size is 518x518."""
    from transformers import DPTImageProcessor

    told = {"size": {"height": 70, "width": 70}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}
    folder = copied(checkpoints("depth_anything"), tmp_path / "kept")
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    opened = open_checkpoint(folder)
    facts = load_published(opened, "none").facts
    assert facts_of(opened, facts, pictures).size == size
    if pictures is not None:
        picture = np.zeros((*pictures[::-1], 3), np.uint8)
        theirs = DPTImageProcessor(**told)(picture, return_tensors="np")["pixel_values"]
        assert theirs.shape[2:] == size[::-1]
        (folder / "preprocessor_config.json").write_text(json.dumps({**told, "keep_aspect_ratio": False}))
        assert facts_of(open_checkpoint(folder), facts, pictures).size == (70, 70)


# ---- folders that are not to be trusted --------------------------------------------------------


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def refused(folder, tmp_path, capsys):
    assert main(["export", str(folder), "--to", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
    return capsys.readouterr().err


def copied(folder, to):
    to.mkdir()
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (to / name).write_bytes((folder / name).read_bytes())
    return to


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "checkpoint.pt", "model.safetensors"])
def test_a_pickle_is_refused_and_nothing_in_it_runs(checkpoints, tmp_path, capsys, name):
    folder = copied(checkpoints("depth_anything"), tmp_path / "bad")
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "trace")))
    message = refused(folder, tmp_path, capsys)
    assert ("a pickle" in message and name in message) or name == "model.safetensors"
    assert "cannot be loaded" in message or "needed model.safetensors" in message
    assert not (tmp_path / "trace").exists()


def test_a_checkpoint_of_another_s_is_not_taken_for_a_run(checkpoints, tmp_path, capsys):
    folder = copied(checkpoints("depth_anything"), tmp_path / "whole")
    bomb = pickle.dumps(Bomb(tmp_path / "trace"), protocol=2)
    for name in ("checkpoint.pt", "loss.csv"):
        (folder / name).write_bytes(bomb)
    assert main(["export", str(folder), "--to", str(tmp_path / "fine")]) == 0
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "checkpoint.pt").write_bytes(bomb)
    assert "config.json" in refused(tmp_path / "bare", tmp_path, capsys)
    (tmp_path / "bare" / "loss.csv").write_text("")
    assert "is a run of metric_depth train" in refused(tmp_path / "bare", tmp_path, capsys)
    # As a run it is read by torch's loader for tensors, which refuses it and advises to trust the file.
    assert main(["train", "depth-export", str(tmp_path / "bare"), "--to", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert "cannot be read (UnpicklingError)" in message and "weights_only" not in message
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"do_rescale": False}, "do_rescale False"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order True"),
        ({"do_normalize": "no"}, "do_normalize 'no'"),
        ({"rescale_factor": 1}, "rescale_factor 1; only 1/255"),
        ({"rescale_factor": "x"}, "rescale_factor ['x']"),
        ({"image_mean": 0.5}, "image_mean 0.5; needed 3 numbers"),
        ({"image_mean": "abc"}, "image_mean 'abc'"),
        ({"image_mean": [0.5]}, "image_mean [0.5]"),
        ({"image_mean": [float("nan")] * 3}, "image_mean [nan, nan, nan]"),
        ({"image_std": [0.5, 0.5, "y"]}, "image_std [0.5, 0.5, 'y']"),
        ({"image_std": [1, 0, 1]}, "needed positive"),
    ],
)
@pytest.mark.parametrize("name", ["depth_anything", "sam"])
def test_preprocessing_no_manifest_can_say_is_refused(checkpoints, tmp_path, capsys, name, said, words):
    folder = copied(checkpoints(name), tmp_path / "odd")
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    assert words in refused(folder, tmp_path, capsys)


@pytest.mark.parametrize(
    ("said", "mean", "std"),
    [
        ({"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 2, 3]}, (0.1, 0.2, 0.3), (1, 2, 3)),
        ({"do_normalize": False, "image_mean": [0.1, 0.2, 0.3]}, (0, 0, 0), (1, 1, 1)),
        ({"image_mean": None, "image_std": None, "rescale_factor": None}, (0.4,) * 3, (0.6,) * 3),
    ],
)
def test_preprocessing_is_taken_over(tmp_path, said, mean, std):
    folder = CheckpointFolder(tmp_path, "", "", said, "")
    assert normalisation(folder, [0.4] * 3, [0.6] * 3) == (mean, std)


def test_a_manifest_that_the_engine_refuses_is_not_left(checkpoints, tmp_path):
    opened = open_checkpoint(checkpoints("depth_anything"))
    network = load_published(opened, "none")
    facts = dataclasses.replace(network.facts, kind="depth", floor=float("inf"))
    with pytest.raises(ModelError, match="floor"):
        export_depth(network, facts, Wanted(tmp_path, "net", [(70, 70)]), comment="A test.")
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_code_beside_the_weights_is_not_run(checkpoints, tmp_path):
    folder = copied(checkpoints("depth_anything"), tmp_path / "bad")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForDepthEstimation": "modeling.Net", "AutoConfig": "modeling.Config"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')")
    assert main(["export", str(folder), "--to", str(tmp_path / "out"), "--features", "none"]) == 0
    assert not (tmp_path / "trace").exists()


def test_broken_folders_are_named(checkpoints, tmp_path, capsys):
    whole = checkpoints("depth_anything")
    assert "no such folder" in refused(tmp_path / "nothing", tmp_path, capsys)
    (tmp_path / "empty").mkdir()
    assert "config.json" in refused(tmp_path / "empty", tmp_path, capsys)
    folder = copied(whole, tmp_path / "cut")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "cannot be loaded" in refused(folder, tmp_path, capsys)
    folder = copied(whole, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "fusion_hidden_size": 24}))
    assert "cannot be loaded" in (m := refused(folder, tmp_path, capsys)) or "another shape" in m
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    assert "BertModel; needed one of" in refused(folder, tmp_path, capsys)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "../other.safetensors"}})
    )
    assert "in this folder" in refused(folder, tmp_path, capsys)


def test_missing_weights_are_refused_where_they_matter(checkpoints, tmp_path, capsys):
    from safetensors.torch import load_file, save_file

    folder = copied(checkpoints("dpt_large"), tmp_path / "less")
    weights = load_file(folder / "model.safetensors")
    # No output depends on this one, and published checkpoints lack it.
    unused = "neck.fusion_stage.layers.0.residual_layer1.convolution1.weight"
    save_file(
        {k: v for k, v in weights.items() if k != unused}, folder / "model.safetensors", {"format": "pt"}
    )
    assert main(["export", str(folder), "--to", str(tmp_path / "fine")]) == 0
    used = "head.head.2.weight"
    save_file({k: v for k, v in weights.items() if k != used}, folder / "model.safetensors", {"format": "pt"})
    assert main(["export", str(folder), "--to", str(tmp_path / "out")]) == 1
    assert "not whole" in capsys.readouterr().err


# ---- manifests for files of others -------------------------------------------------------------


def test_a_draft_is_completed_and_used(checkpoints, tmp_path, capsys):
    _, (file,) = exported(checkpoints("depth_anything"), tmp_path, [(70, 70)])
    file.manifest.unlink()
    assert main(["export", "--manifest-for", str(file.models[0])]) == 0
    assert "output inverse_depth: float32 1 x 1 x 70 x 70" in capsys.readouterr().out
    draft = file.models[0].with_suffix(".yaml")
    for key, words in (("licence", "mine"), ("kind", "inverse_depth")):
        with pytest.raises(ModelError, match=f"{key}: 'COMPLETE'"):
            load_manifest(draft)
        draft.write_text(draft.read_text().replace(f"{key}: COMPLETE", f"{key}: {words}"))
    image = cv2.resize(np.eye(8, dtype=np.uint8) * 255, (70, 70))[..., None].repeat(3, 2)
    relative = build_engine(EngineConfig(manifest=str(draft), runtime="onnxruntime")).predict(image)
    assert relative.values.std() > 0
    assert relative.features["f"].shape == (16, 10, 10)
    assert main(["export", "--manifest-for", str(file.models[0])]) == 1  # what was completed is not lost
    assert "needed a new file" in capsys.readouterr().err


def _graph(tmp_path, shape, output, *, kind=1, domain="", inputs=1):
    from onnx import helper

    value = helper.make_tensor_value_info
    node = helper.make_node("Identity", ["x0"], ["y"], domain=domain)
    graph = helper.make_graph(
        [node], "g", [value(f"x{i}", 1, shape) for i in range(inputs)], [value("y", kind, output)]
    )
    imports = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(graph, opset_imports=imports), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def draft_of(path):
    assert main(["export", "--manifest-for", str(path)]) == 0
    return yaml.safe_load(path.with_suffix(".yaml").read_text())


def test_a_draft_says_what_varies(tmp_path):
    tree = draft_of(_graph(tmp_path, [1, 3, "h", "w"], [1, "h", "w"]))
    assert tree["input"]["width"] == tree["input"]["multiple_of"] == "COMPLETE"
    assert tree["output"]["kind"] == "COMPLETE"


def test_label_networks_get_a_draft_of_their_own(tmp_path):
    assert draft_of(_graph(tmp_path, [1, 8, 9, 3], [1, 21, 8, 9]))["output"] == {
        "name": "y",
        "kind": "scores",
    }
    (tmp_path / "m.yaml").unlink()
    tree = draft_of(_graph(tmp_path, [1, 8, 9, 3], [1, 8, 9], kind=7))
    assert tree["output"] == {"name": "y", "kind": "labels"}
    assert (tree["input"]["layout"], tree["input"]["width"], tree["input"]["height"]) == ("nhwc", 9, 8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": [1, 4, 8, 8]}, "one image"),
        ({"inputs": 2}, "one image"),
        ({"domain": "evil"}, "operators of evil"),
        ({"output": [7]}, "no output is a map"),
    ],
)
def test_files_that_are_no_image_network_are_refused(tmp_path, capsys, changes, words):
    path = _graph(tmp_path, **{"shape": [1, 3, 8, 8], "output": [1, 8, 8], **changes})
    assert main(["export", "--manifest-for", str(path)]) == 1
    assert words in capsys.readouterr().err


def test_a_file_that_is_no_onnx_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / "m.onnx"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "trace")))
    assert main(["export", "--manifest-for", str(path)]) == 1
    assert "no ONNX file" in capsys.readouterr().err
    assert not (tmp_path / "trace").exists()
    assert main(["export", "--manifest-for", str(tmp_path / "none.onnx")]) == 1
    assert main(["export"]) == 1


def test_large_weights_lie_beside_the_graph_and_are_verified(checkpoints, tmp_path, monkeypatch):
    from metric_depth_ros.learning.export import graph

    monkeypatch.setattr(graph, "_LARGEST", 0)
    _, (file,) = exported(checkpoints("depth_anything"), tmp_path, [(70, 70)])
    manifest = load_manifest(file.manifest)
    assert list(manifest.data) == ["net.onnx.data"]
    assert (tmp_path / "net.onnx.data").stat().st_size > file.bytes
    config = EngineConfig(manifest=str(file.manifest), runtime="onnxruntime")
    assert build_engine(config).predict(np.zeros((70, 70, 3), np.uint8)).values.shape == (70, 70)
    with (tmp_path / "net.onnx.data").open("r+b") as data:
        data.write(b"x")
    with pytest.raises(ModelError, match=r"net\.onnx\.data: sha256"):
        build_engine(config)


def test_halved_weights_take_half_the_room_and_compute_in_float32(tmp_path):
    import onnx
    from onnx import TensorProto

    from metric_depth_ros.learning.export.graph import difference, write_onnx
    from metric_depth_ros.learning.export.half import halve_weights

    class Network(torch.nn.Sequential):
        def forward(self, image):
            return (super().forward(image),)

    torch.manual_seed(0)
    network = Network(
        torch.nn.Conv2d(3, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(64, 64, 3)
    ).eval()
    path, examples = tmp_path / "m.onnx", {"image": np.ones((1, 3, 12, 12), np.float32)}
    write_onnx(network, path, examples, ["out"])
    before = path.stat().st_size
    halve_weights(path)
    assert path.stat().st_size < 0.55 * before
    assert 0 < difference(network, path, [examples], ["out"]).largest < 5e-3
    graph = onnx.load(str(path)).graph
    onnx.checker.check_model(onnx.load(str(path)))
    types = {tuple(item.dims): item.data_type for item in graph.initializer}
    assert types[(64, 64, 3, 3)] == TensorProto.FLOAT16 and types[(64,)] == TensorProto.FLOAT
    (output,) = graph.output
    assert output.type.tensor_type.elem_type == TensorProto.FLOAT

"""The small network: shapes, scale, what it costs, and its way to ONNX."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")

import torch

from metric_depth_ros.cli.main import main
from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import load_manifest
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.learning.export import graph
from metric_depth_ros.learning.export.files import Wanted
from metric_depth_ros.learning.export.graph import Difference
from metric_depth_ros.learning.export.own_depth import export_own_depth
from metric_depth_ros.learning.models.tiny_depth import MEAN, STD, TinyDepth, TinyDepthConfig
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.depth.trainer import build_depth_network
from metric_depth_ros.learning.training.depth.validation import predictor


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = TinyDepth()
    # As if trained: other statistics than 0 and 1, and an output that varies.
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2.0)
                module.weight.uniform_(0.5, 1.5)
        network.decoder.head[-1].weight.normal_(0, 0.01)
    return network.eval()


@pytest.mark.parametrize(("width", "height"), [(320, 240), (160, 128), (96, 32), (32, 32), (100, 70)])
def test_the_depth_is_at_a_half_and_the_features_at_a_quarter_of_any_size(network, width, height):
    with torch.inference_mode():
        value, features = network(torch.randn(2, 3, height, width))
    assert value.shape == (2, 1, -(-height // 2), -(-width // 2))
    assert features.shape == (2, network.config.features, -(-height // 4), -(-width // 4))
    assert value.dtype == features.dtype == torch.float32
    assert (value > 0).all() and torch.isfinite(value).all() and torch.isfinite(features).all()


def test_a_linear_output_takes_either_sign():
    torch.manual_seed(0)
    network = TinyDepth(TinyDepthConfig(output="linear")).eval()
    with torch.inference_mode():
        value, _ = network(torch.randn(4, 3, 64, 64))
    assert value.min() < 0 < value.max()


def test_the_file_stays_within_its_limit():
    # float32 weights; 6 MB in the file, of which the graph takes little.
    assert 4 * sum(p.numel() for p in TinyDepth().parameters()) < 5.8e6


def test_every_parameter_learns(network):
    value, _ = network(torch.randn(1, 3, 64, 64))
    gradients = torch.autograd.grad(value.log().square().sum(), list(network.parameters()))
    # What stands before a softmax may be shifted without effect: the bias of the keys.
    assert all(torch.isfinite(g).all() and g.abs().max() > 0 for g in gradients)


def test_a_place_sees_the_whole_picture(network):
    image = torch.randn(1, 3, 128, 160)
    changed = image.clone()
    changed[..., :16, :16] += 1
    with torch.inference_mode():
        difference = (network(image)[0] - network(changed)[0]).abs()[0, 0]
    assert difference[-4:, -4:].max() > 1e-5


def test_pictures_of_a_batch_do_not_meet(network):
    images = torch.randn(3, 3, 64, 96)
    with torch.inference_mode():
        together, alone = network(images)[0], network(images[1:2])[0]
    assert torch.allclose(together[1:2], alone, rtol=1e-4, atol=1e-5)


# ---- export ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(320, 240), (96, 64)])
def test_the_exported_file_gives_what_torch_gives(network, tmp_path, size):
    (found,) = export_own_depth(network, Wanted(tmp_path, "tiny_depth", [size]))
    assert found.difference.rms <= 5e-3
    assert found.bytes <= 3_000_000
    manifest = load_manifest(found.manifest)
    assert (manifest.input.width, manifest.input.height) == size
    assert (manifest.input.mean, manifest.input.std) == (MEAN, STD)
    assert manifest.output.kind == "inverse_depth" and not manifest.output.metric
    # Through the engine, with its own way of preparing a picture.
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    config = EngineConfig(manifest=str(found.manifest), runtime="onnxruntime")
    relative = build_engine(config).predict(image)
    wanted = predictor(network, size)(image)
    assert relative.values.shape == (120, 160)
    assert np.square(relative.values - wanted).mean() <= (5e-3 * wanted.std()) ** 2
    assert next(iter(relative.features.values())).shape == (32, size[1] // 4, size[0] // 4)


def test_the_exported_graph_holds_no_batch_normalisation(network, tmp_path):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(
        export_own_depth(network, Wanted(tmp_path, "tiny_depth", [(96, 64)]))[0].models[0]
    ).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    assert {output.name for output in graph.output} == {"inverse_depth", "features"}


def test_the_verb_exports_a_run_with_the_licence_it_is_told(network, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    state = dict.fromkeys(checkpoint._KEYS, 0) | {
        "settings": {"size": [96, 64]},
        "architecture": dataclasses.asdict(network.config),
        "best": network.state_dict(),
    }
    checkpoint.save(run, state)
    (run / "loss.csv").write_text("")
    arguments = ["train", "depth-export", str(run), "--to", str(tmp_path), "--name", "mine"]
    assert main([*arguments, "--licence", "MIT", "--source", "my lab"]) == 0
    manifest = load_manifest(tmp_path / "mine.yaml")
    assert (manifest.licence, manifest.source) == ("MIT", "my lab")
    assert main(["export", str(run), "--to", str(tmp_path)]) == 1
    assert "metric_depth train depth-export" in capsys.readouterr().err


def test_a_file_for_each_size_and_another_in_float16(network, tmp_path):
    found = export_own_depth(network, Wanted(tmp_path, "tiny_depth", [(96, 64), (64, 64)], half=True))
    assert [item.models[0].name for item in found] == ["tiny_depth_96x64.onnx", "tiny_depth_64x64.onnx"]
    assert max(item.half.rms for item in found) <= 1e-2
    assert load_manifest(found[0].manifest).fp16.file == "tiny_depth_96x64_fp16.onnx"
    with pytest.raises(ConfigError, match="a file for each size"):
        export_own_depth(network, Wanted(tmp_path, "tiny_depth", [(96, 64)], dynamic=True))
    with pytest.raises(ConfigError, match="Nearest: 96x64"):
        export_own_depth(network, Wanted(tmp_path, "tiny_depth", [(100, 64)]))


def test_a_file_that_differs_from_torch_is_refused(network, tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "difference", lambda *args: Difference(2e-3, 1e-3))
    with pytest.raises(ModelError, match="differs from torch"):
        export_own_depth(network, Wanted(tmp_path, "tiny_depth", [(96, 64)]))
    assert not list(tmp_path.glob("*.yaml"))


def test_where_nothing_can_be_written_the_export_says_so(network, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="folder to write to"):
        export_own_depth(network, Wanted(tmp_path / "file", "tiny_depth", [(96, 64)]))


# ---- checkpoints -----------------------------------------------------------------------------


def state_of(network):
    weights = network.state_dict()
    return {
        "step": 1, "elapsed_s": 1.0, "settings": {}, "architecture": dataclasses.asdict(network.config),
        "network": weights, "average": weights, "best": weights, "best_loss": 1.0,
        "optimizer": {}, "about": {}, "finished": False,
    }  # fmt: skip


def test_a_checkpoint_brings_the_network_back(network, tmp_path):
    checkpoint.save(tmp_path, state_of(network))
    again = build_depth_network(checkpoint.load(tmp_path)).eval()
    assert again.config == network.config
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(again(image)[0], network(image)[0], rtol=1e-4)


def test_a_checkpoint_of_another_architecture_is_refused(network, tmp_path):
    state = state_of(network)
    state["architecture"]["pyramid"] = 32
    checkpoint.save(tmp_path, state)
    with pytest.raises(ModelError, match="another network"):
        build_depth_network(checkpoint.load(tmp_path))
    state["architecture"]["depth"] = 3
    with pytest.raises(ModelError, match="another network"):
        build_depth_network(state)


def test_no_broken_or_foreign_checkpoint(tmp_path):
    with pytest.raises(ModelError, match="Train first"):
        checkpoint.load(tmp_path)
    (tmp_path / checkpoint.FILE).write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match="cannot be read"):
        checkpoint.load(tmp_path)
    checkpoint.save(tmp_path, {"step": 1})
    with pytest.raises(ModelError, match="not the state"):
        checkpoint.load(tmp_path)


def test_a_checkpoint_runs_no_code(tmp_path):
    # A pickled object other than tensors and plain values.
    torch.save({"step": TinyDepthConfig()}, tmp_path / checkpoint.FILE)
    with pytest.raises(ModelError, match="cannot be read"):
        checkpoint.load(tmp_path)

"""The depth network on a pretrained encoder, and what it shares with the tiny one."""

import copy

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")

import torch

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import load_manifest
from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.export.files import Wanted
from metric_depth_ros.learning.export.own_depth import export_own_depth
from metric_depth_ros.learning.models import small_depth
from metric_depth_ros.learning.models.efficientnet_lite import SIZES
from metric_depth_ros.learning.models.encoder import Encoder, folded
from metric_depth_ros.learning.models.metric_solver import MetricSolver, MetricSolverConfig
from metric_depth_ros.learning.models.small_depth import SmallDepth, SmallDepthConfig
from metric_depth_ros.learning.models.tiny_depth import TinyDepth
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.depth.validation import predictor


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = SmallDepth()
    with torch.no_grad():
        network.decoder.head[-1].weight.normal_(0, 0.05)  # as if trained: the output varies
        for module in network.modules():  # and so do the statistics
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum, module.before = 1.0, module.momentum
        network(torch.randn(2, 3, 64, 96))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = module.before
    return network.eval()


@pytest.mark.parametrize("name", SIZES)
def test_every_size_of_encoder_will_do(name):
    torch.manual_seed(0)
    network = SmallDepth(SmallDepthConfig(encoder=name, output="linear")).eval()
    with torch.inference_mode():
        value, features = network(torch.randn(2, 3, 81, 100))
    assert value.shape == (2, 1, 41, 50) and features.shape == (2, 32, 21, 25)
    assert value.min() < 0 < value.max()


def test_the_depth_is_positive(network):
    with torch.inference_mode():
        value, features = network(torch.randn(2, 3, 64, 96))
    assert (value > 0).all() and value.std() > 0 and value.dtype == features.dtype == torch.float32


@pytest.mark.parametrize("kind", [TinyDepth, SmallDepth])
def test_an_encoder_tells_what_its_maps_are(kind):
    encoder = kind().encoder.eval()
    assert isinstance(encoder, Encoder)
    with torch.inference_mode():
        maps = encoder(torch.randn(1, 3, 64, 96))
    wanted = zip(encoder.channels, encoder.strides, strict=True)
    assert [tuple(map_.shape[1:]) for map_ in maps] == [(c, 64 // s, 96 // s) for c, s in wanted]


def test_what_is_not_published_learns_while_the_backbone_is_frozen(network):
    network = copy.deepcopy(network)
    network.encoder.backbone.freeze()
    network.train()
    before = copy.deepcopy(network.encoder.backbone.state_dict())
    value, _ = network(torch.randn(2, 3, 64, 96))
    value.log().square().mean().backward()
    frozen = {id(p) for p in network.encoder.backbone.parameters()}
    for parameter in network.parameters():
        assert (parameter.grad is not None) == (id(parameter) not in frozen)
    assert all(torch.equal(v, before[k]) for k, v in network.encoder.backbone.state_dict().items())


def test_pretrained_takes_the_published_weights_or_says_what_is_missing(monkeypatch):
    given = []
    monkeypatch.setattr(small_depth, "load_published", given.append)
    network = SmallDepth(pretrained=True)
    assert given == [network.encoder.backbone]

    def missing(encoder):
        raise ModelError("not installed")

    monkeypatch.setattr(small_depth, "load_published", missing)
    SmallDepth()
    with pytest.raises(ModelError, match="not installed"):
        SmallDepth(pretrained=True)


# ---- weights ---------------------------------------------------------------------------------


def test_stored_weights_bring_it_back(network, tmp_path):
    checkpoint.save_weights(network, tmp_path / "w.npz")
    other = SmallDepth().eval()
    checkpoint.load_weights(other, tmp_path / "w.npz")
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        one, two = network(image)[0].log(), other(image)[0].log()
    assert (one - two).square().mean().sqrt() < 2e-2 * one.std()  # stored in half precision
    with pytest.raises(ModelError, match="no weights of this network"):
        checkpoint.load_weights(TinyDepth(), tmp_path / "w.npz")


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (TinyDepth, {"stem", "stages", "place", "context"}),
        (SmallDepth, {"backbone", "narrow", "place", "context"}),
    ],
)
def test_names_of_weights_hold_for_files_written_before(kind, parts):
    network = kind()
    names = list(network.state_dict())
    assert {name.split(".")[0] for name in names} == parts | {
        "laterals",
        "refine",
        "join",
        "up",
        "fine",
        "head",
    }
    # In the order of the parameters, which optimizers count on.
    shapes = [tuple(p.shape) for p in network.parameters()]
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    stored = [tuple(v.shape) for k, v in network.state_dict().items() if not k.endswith(buffers)]
    assert stored == shapes
    # Inside another network too.
    outer = torch.nn.Sequential(network)
    assert list(outer.state_dict()) == [f"0.{name}" for name in names]
    torch.nn.Sequential(kind()).load_state_dict(outer.state_dict())


def test_metric_solver_starts_from_it(network):
    solver = MetricSolver(MetricSolverConfig(encoder="lite0")).eval()
    solver.start_from(network.state_dict())
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        for one, other in zip(solver.encode(image), network.encoder(image), strict=True):
            torch.testing.assert_close(one, other)
    torch.testing.assert_close(solver.far.refine[0][0].weight, network.decoder.refine[0][0].weight)
    assert not torch.equal(solver.near.head[-1].weight, network.decoder.head[-1].weight)
    near, far, mask = solver.train()(torch.randn(2, 3, 64, 96), torch.tensor([3.0, 25.0]))
    assert near.shape == far.shape == mask.shape == (2, 1, 32, 48)
    (near.sum() + far.sum() + mask.sum()).backward()
    assert all(parameter.grad is not None for parameter in solver.parameters())


# ---- export ----------------------------------------------------------------------------------


def test_the_exported_file_gives_what_torch_gives(network, tmp_path):
    onnx = pytest.importorskip("onnx")
    sizes = [(128, 96), (96, 80)]
    found = export_own_depth(network, Wanted(tmp_path, "small", sizes, half=True))
    for size, item in zip(sizes, found, strict=True):
        assert item.difference.rms < 1e-2 and item.half.rms < 2e-2
        operators = {node.op_type for node in onnx.load(item.models[0]).graph.node}
        assert not operators & {"BatchNormalization", "Pad"}
        # Through the engine, with its own way of preparing a picture.
        image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        relative = build_engine(EngineConfig(manifest=str(item.manifest), runtime="onnxruntime")).predict(
            image
        )
        wanted = predictor(network, size)(image)
        assert np.square(relative.values - wanted).mean() <= (1e-2 * wanted.std()) ** 2
    assert load_manifest(found[0].manifest).fp16.file == "small_128x96_fp16.onnx"


@pytest.mark.parametrize("kind", [TinyDepth, SmallDepth])
def test_folding_keeps_depth_and_features(kind, network):
    made = network if kind is SmallDepth else TinyDepth().eval()
    image = torch.randn(1, 3, 65, 96)
    without = folded(made)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in without.modules())
    with torch.inference_mode():
        for one, other in zip(without(image), made(image), strict=True):
            assert (one - other).abs().max() < 1e-4 * other.std()

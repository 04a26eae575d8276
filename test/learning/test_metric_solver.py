"""Metric-Solver's network: its pool of focuses, its decoders for many focuses, its encoders."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from metric_depth_ros.errors import ModelError  # noqa: E402
from metric_depth_ros.learning.models.metric_solver import (  # noqa: E402
    DINO,
    FOCUSES,
    DinoSizes,
    FocusConv,
    FocusPool,
    MetricSolver,
    MetricSolverConfig,
)
from metric_depth_ros.learning.models.tiny_depth import TinyDepth  # noqa: E402


def made(**options):
    torch.manual_seed(0)
    network = MetricSolver(MetricSolverConfig(**options)).eval()
    for module in network.modules():  # as large as trained ones, so that the outputs vary
        if isinstance(module, torch.nn.Conv2d) and module.out_channels <= 2:
            torch.nn.init.normal_(module.weight, std=0.2)
    return network


def picture(height=64, width=96, count=1):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(count, 3, height, width))).float()


@pytest.fixture
def dino(monkeypatch):
    """A DINOv2 encoder in the layout of the published ones, small."""
    pytest.importorskip("transformers")
    monkeypatch.setitem(DINO, "micro", DinoSizes(32, 2, 4, (1, 2, 3, 4), (8, 16, 24, 32), 16))
    return "micro"


@pytest.fixture(params=["tiny", "dinov2"])
def encoder(request):
    return "tiny" if request.param == "tiny" else request.getfixturevalue("dino")


def test_the_pool_gives_its_embeddings_and_what_lies_between():
    pool = FocusPool(FOCUSES, 5)
    with torch.inference_mode():
        at_knots = pool(torch.tensor(FOCUSES))
        between = pool(torch.tensor([np.sqrt(4 * 6), 1.0, 500.0]).float())
    torch.testing.assert_close(at_knots, pool.embeddings.detach())
    halves = (pool.embeddings[1] + pool.embeddings[2]).detach() / 2
    wanted = torch.stack([halves, pool.embeddings[0].detach(), pool.embeddings[-1].detach()])
    torch.testing.assert_close(between, wanted)


def test_shares_add_up_and_are_continuous():
    weights = FocusPool(FOCUSES, 1).weights(torch.logspace(-1, 3, 4001))
    torch.testing.assert_close(weights.sum(1), torch.ones(4001))
    assert ((weights > 1e-6).sum(1) <= 2).all() and (weights.diff(dim=0).abs() < 0.01).all()


def test_a_focus_convolution_is_one_of_the_concatenated_maps():
    layer, x, embedding = FocusConv(3, 4, 5), torch.randn(2, 3, 6, 7), torch.randn(2, 5)
    weight = torch.cat([layer.weight, layer.focus.weight[:, :, None, None]], 1)
    joined = torch.cat([x, embedding[:, :, None, None].expand(2, 5, 6, 7)], 1)
    torch.testing.assert_close(layer(x, embedding), torch.nn.functional.conv2d(joined, weight, layer.bias))


def test_many_focuses_of_one_image_are_those_of_many_images(encoder):
    network, image, focus = made(encoder=encoder), picture(56, 84), torch.tensor([2.0, 13.0, 120.0])
    with torch.inference_mode():
        together = network.decode(network.encode(image), focus)
        apart = network(image.expand(3, -1, -1, -1), focus)
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    near, far, mask = together
    assert near.shape == far.shape == mask.shape
    assert near.shape[2:] == ((28, 42) if encoder == "tiny" else (56, 84))
    for value in (near, far):
        assert value.min() > 0 and value.max() < 1
    assert (near[0] - near[2]).abs().max() > 1e-3, "the focus is not heard"


def test_the_focus_is_kept_within_the_pool():
    network, image = made(), picture()
    with torch.inference_mode():
        near, *_ = network(image.expand(2, -1, -1, -1), torch.tensor([120.0, 900.0]))
    torch.testing.assert_close(near[0], near[1])
    assert network.used_focus(torch.tensor([0.5, 7.0, 900.0])).tolist() == [2, 7, 120]


def test_one_head_ends_at_80_m_and_hears_no_focus():
    network, image = made(heads="one"), picture()
    with torch.inference_mode():
        near, far, mask = network.decode(network.encode(image), torch.tensor([2.0, 120.0]))
    torch.testing.assert_close(near[0], near[1])
    assert far.min() == 1 and (mask.sigmoid() > 0.999).all()
    assert network.used_focus(torch.tensor([2.0])).tolist() == [80]


def test_without_a_mask_head_the_focus_cuts():
    network, image = made(mask=False), picture()
    with torch.inference_mode():
        near, _, mask = network(image, torch.tensor([10.0]))
    assert ((mask > 0) == (near < 1)).all() and (near > 1).any() and (near < 1).any()


def test_a_fixed_focus_is_a_pool_of_one():
    network = made(focuses=(10.0,))
    assert network.used_focus(torch.tensor([3.0, 80.0])).tolist() == [10, 10]
    torch.testing.assert_close(network.pool(torch.tensor([3.0])), network.pool.embeddings)


@pytest.mark.parametrize("options", [{}, {"mask": False}, {"heads": "one"}], ids=str)
def test_every_weight_that_is_trained_gets_a_gradient(encoder, options):
    network = made(encoder=encoder, **options).train()
    near, far, mask = network(picture(56, 84, 2), torch.tensor([3.0, 25.0]))
    (near.sum() + far.sum() + mask.sum()).backward()
    without = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


def test_it_starts_from_the_tiny_depth_network():
    torch.manual_seed(1)
    start, network = TinyDepth().eval(), made()
    network.start_from(start.state_dict())
    image = picture()
    with torch.inference_mode():
        for one, other in zip(network.encode(image), start.encoder(image), strict=True):
            torch.testing.assert_close(one, other)
    torch.testing.assert_close(network.near.refine[0][0].weight, start.decoder.refine[0][0].weight)
    torch.testing.assert_close(network.far.laterals[2].weight, start.decoder.laterals[2].weight)
    assert not torch.equal(network.far.head[-1].weight, start.decoder.head[-1].weight)


def dinov2_folder(folder, kind, **changes):
    """A checkpoint of random weights in the published layout."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, Dinov2Model

    sizes = dict(hidden_size=32, num_attention_heads=2, num_hidden_layers=4, image_size=518) | changes
    torch.manual_seed(3)
    if kind == "dinov2":
        model = Dinov2Model(Dinov2Config(**sizes))
    else:
        backbone = Dinov2Config(**sizes, out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
        model = DepthAnythingForDepthEstimation(
            DepthAnythingConfig(backbone_config=backbone, reassemble_hidden_size=32)
        )
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("kind", ["dinov2", "depth_anything"])
def test_published_encoders_load(tmp_path, dino, kind):
    from metric_depth_ros.learning.models.dinov2_weights import load_encoder

    model, network, image = dinov2_folder(tmp_path, kind), made(encoder=dino), picture(56, 84)
    load_encoder(network.encoder, tmp_path)
    with torch.inference_mode():
        found = network.encode(image)[-1]
        if kind == "dinov2":
            tokens = model(image).last_hidden_state
        else:
            tokens = model.backbone(image).feature_maps[-1]
    wanted = tokens[:, 1:].transpose(1, 2).unflatten(2, (4, 6))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 48}, r"is \(1, 1, 48\); needed \(1, 1, 32\)"),
        ({"num_hidden_layers": 5}, "needed not there"),
    ],
)
def test_another_size_of_encoder_is_refused(tmp_path, dino, changes, words):
    from metric_depth_ros.learning.models.dinov2_weights import load_encoder

    dinov2_folder(tmp_path, "dinov2", **changes)
    with pytest.raises(ModelError, match=words):
        load_encoder(made(encoder=dino).encoder, tmp_path)


def test_another_kind_of_encoder_is_refused(tmp_path, dino):
    from metric_depth_ros.learning.models.dinov2_weights import load_encoder

    (tmp_path / "config.json").write_text('{"architectures": ["Dinov2WithRegistersModel"]}')
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelError, match="without registers"):
        load_encoder(made(encoder=dino).encoder, tmp_path)

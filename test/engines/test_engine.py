import hashlib
import os

import cv2
import numpy as np
import pytest
import yaml
from conftest import write_toy_model
from hypothesis import example, given
from hypothesis import strategies as st

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.manifest import (
    ImageManifest,
    InputManifest,
    LabelManifest,
    Manifest,
    RefinementManifest,
    SamManifest,
    TextManifest,
    load_any_manifest,
    load_manifest,
    load_manifest_of,
)
from metric_depth_ros.engines.network_input import network_size, sizes_of
from metric_depth_ros.errors import ModelError
from metric_depth_ros.share import share_path


def gradient(height, width):
    image = np.zeros((height, width, 3), np.uint8)
    image[:] = np.linspace(0, 255, width).astype(np.uint8)[None, :, None]
    return image


def test_relative_depth_has_the_size_of_the_image_and_the_network_s_values(toy_manifest):
    engine = build_engine(EngineConfig(manifest=str(toy_manifest)))
    image = gradient(96, 128)
    relative = engine.predict(image)
    assert relative.values.shape == (96, 128)
    assert relative.values.dtype == np.float32
    assert relative.kind == "depth"
    np.testing.assert_allclose(relative.values[:, 8:-8], image[:, 8:-8, 0] / 255.0, atol=0.01)


def test_the_floor_keeps_a_depth_positive(toy_manifest):
    black = np.zeros((48, 64, 3), np.uint8)
    assert build_engine(EngineConfig(manifest=str(toy_manifest))).predict(black).values.min() == np.float32(
        1e-3
    )


class Recorder:
    """A runtime that keeps its input and answers with a map."""

    def __init__(self, answer):
        self.answer = answer

    def run(self, inputs):
        (self.input,) = (value.copy() for value in inputs.values())
        return {"depth": self.answer(self.input), "F": np.ones((1, 4, 2, 2), np.float32)}


def manifest(tmp_path, **changes):
    tree = {
        "name": "net", "file": "net.onnx", "licence": "none", "sha256": "0" * 64,
        "input": {"name": "image", "width": 64, "height": 48},
        "output": {"name": "depth", "kind": "depth", "floor": 1e-3},
    }  # fmt: skip
    for key, value in changes.items():
        tree[key] = {**tree[key], **value} if isinstance(tree.get(key), dict) else value
    path = tmp_path / "net.yaml"
    path.write_text(yaml.safe_dump(tree))
    return load_manifest(path)


def test_normalisation_and_colour_order_by_hand(tmp_path):
    runtime = Recorder(lambda x: np.ones((1, 1, 12, 16), np.float32))
    settings = manifest(tmp_path, input={"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 1.0], "colour": "bgr"})
    image = np.full((48, 64, 3), (255, 51, 0), np.uint8)  # red 1, green 0.2, blue 0
    DepthEngine(settings, runtime).predict(image)
    # channel 0 is blue: (0 - 0.1) / 0.5; 1 green: (0.2 - 0.2) / 0.25; 2 red: (1 - 0.3) / 1
    np.testing.assert_allclose(runtime.input[0, :, 5, 5], [-0.2, 0.0, 0.7], atol=1e-6)


def test_letterbox_keeps_the_aspect_pads_with_zeros_and_is_undone(tmp_path):
    runtime = Recorder(lambda x: x[:, :1] + 1)
    engine = DepthEngine(
        manifest(tmp_path, input={"resize": "letterbox", "width": 64, "height": 64}), runtime
    )
    image = gradient(48, 128)  # becomes 64 x 24 at the top left
    relative = engine.predict(image)
    assert np.all(runtime.input[0, :, 24:] == 0)
    np.testing.assert_allclose(relative.values[:, 4:-4], 1 + image[:, 4:-4, 0] / 255.0, atol=0.02)


def test_features_come_out_by_our_name(tmp_path):
    engine = DepthEngine(manifest(tmp_path, features={"F": "F"}), Recorder(lambda x: np.ones((1, 12, 16))))
    assert engine.predict(gradient(48, 64)).features["F"].shape == (4, 2, 2)


def test_non_finite_outputs_are_unknown_and_all_of_them_an_error(tmp_path):
    def partly(x):
        values = np.ones((1, 1, 48, 64), np.float32)
        values[..., :8] = np.nan
        return values

    values = DepthEngine(manifest(tmp_path), Recorder(partly)).predict(gradient(48, 64)).values
    assert np.isnan(values[:, :8]).all()
    assert np.isfinite(values[:, 8:]).all()
    with pytest.raises(ModelError, match="no finite number"):
        DepthEngine(manifest(tmp_path), Recorder(lambda x: np.full((1, 1, 48, 64), np.inf)))


@pytest.mark.parametrize("shape", [(1, 2, 48, 64), (1,), (1, 1, 1, 1)])
def test_an_output_that_is_no_map_is_refused(tmp_path, shape):
    with pytest.raises(ModelError, match="shape"):
        DepthEngine(manifest(tmp_path), Recorder(lambda x: np.ones(shape, np.float32)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": {"colour": "hsv"}}, "rgb or bgr"),
        ({"input": {"width": "64"}}, "input.width"),
        ({"input": {"with": 64}}, "Did you mean input.width?"),
        ({"input": {"std": [1, 0, 1]}}, "std positive"),
        ({"input": {"std": [-1, 1, 1]}}, "std positive"),
        ({"input": {"std": [1, 1]}}, "three finite numbers"),
        ({"input": {"mean": [float("nan")] * 3}}, "finite numbers"),
        ({"input": {"mean": ["a", "b", "c"]}}, "input.mean: ['a', 'b', 'c']; needed finite numbers"),
        ({"input": {"mean": [10**400, 0, 0]}}, "input.mean"),
        ({"input": {"width": 10**7}}, "of 1 to 8192"),
        ({"input": {"name": "COMPLETE"}}, "input.name: 'COMPLETE'"),
        ({"licence": "COMPLETE"}, "licence: 'COMPLETE'"),
        ({"features": {"f": "COMPLETE"}}, "features: 'COMPLETE'"),
        ({"features": {"f": ["x"]}}, "features"),
        ({"features": {"f": 3}}, "features"),
        ({"data": {5: "0" * 64}}, "data"),
        ({"data": {"w": "0"}}, "64 hexadecimal digits"),
        ({"data": {"../w": "0" * 64}}, "in the model's own folder"),
        ({"file": "../out/x.onnx"}, "file: '../out/x.onnx'; needed the name of a file"),
        ({"file": "/tmp/x.onnx"}, "file: '/tmp/x.onnx'"),
        ({"file": ".."}, "file: '..'"),
        ({"file": ""}, "file: ''"),
        ({"file": "a\0b"}, "file"),
        ({"name": ["x" * 1000] * 1000}, "name"),
        ({"x" * 1000: 1}, "unknown key"),
        ({"output": {"kind": "disparity"}}, "depth or inverse_depth"),
        ({"output": {"floor": None}}, "floor"),
        ({"outputs": {}}, "Did you mean output?"),
        ({"sha256": 5}, "sha256"),
        ({"input": {"multiple_of": 14}}, "divisor"),
        ({"input": {"border": -1}}, "border"),
        ({"input": {"layout": "hwc"}}, "nhwc"),
        ({"input": {"dtype": "float16"}}, "uint8"),
        ({"fp16": {"file": "net_fp16.onnx"}}, "fp16.sha256: missing"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path, changes, words):
    with pytest.raises(ModelError) as error:
        manifest(tmp_path, **changes)
    assert words in str(error.value)
    assert "net.yaml" in str(error.value)
    assert len(str(error.value)) < 450 + len(str(tmp_path))


@pytest.mark.parametrize("name", sorted(path.name for path in share_path("config/models").glob("*.yaml")))
def test_a_manifest_of_another_kind_is_told_apart(name):
    """Every bundled manifest loads as its own kind, and as none of the others."""
    path = share_path(f"config/models/{name}")
    kinds = {Manifest, LabelManifest, SamManifest, RefinementManifest, TextManifest, ImageManifest}
    for kind in kinds - {type(load_any_manifest(path))}:
        with pytest.raises(ModelError, match=r"this describes .*; needed an? "):
            load_manifest_of(kind, path)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1]\nb: *a",
        "a: &a {x: 1}\nb: {<<: [*a, *a]}",
        "[" * 5_000,
        "day: 2020-99-99",
        "width: " + "9" * 5000,
        "- 1",
        "",
    ],
)
def test_yaml_that_is_no_manifest_is_refused(tmp_path, text):
    path = tmp_path / "net.yaml"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"net\.yaml: (not valid YAML|manifest)") as error:
        load_manifest(path)
    assert len(str(error.value)) < 450 + len(str(tmp_path))


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("which", ["model", "weights"])
def test_what_could_be_read_for_ever_is_not_read(tmp_path, kind, which):
    path = write_toy_model(tmp_path)
    odd = tmp_path / ("toy.onnx" if which == "model" else "toy.data")
    odd.unlink(missing_ok=True)
    {"pipe": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](odd)
    if which == "weights":
        tree = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**tree, "data": {odd.name: "0" * 64}}))
    with pytest.raises(ModelError, match=f"{odd.name}: not a regular file"):
        build_engine(EngineConfig(manifest=str(path)))


def test_a_hash_may_be_written_in_capitals(tmp_path):
    path = write_toy_model(tmp_path)
    tree = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**tree, "sha256": tree["sha256"].upper()}))
    assert build_engine(EngineConfig(manifest=str(path))).predict(gradient(48, 64)).values.std() > 0


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.yaml"):
        build_engine(EngineConfig(manifest=str(tmp_path / "nothing.yaml")))
    path = write_toy_model(tmp_path)
    (tmp_path / "toy.onnx").unlink()
    with pytest.raises(ModelError, match=r"toy\.onnx"):
        build_engine(EngineConfig(manifest=str(path)))


def test_a_corrupt_or_truncated_model_is_refused_before_it_is_loaded(tmp_path):
    path = write_toy_model(tmp_path)
    model = tmp_path / "toy.onnx"
    model.write_bytes(model.read_bytes()[:-10])
    with pytest.raises(ModelError, match="sha256"):
        build_engine(EngineConfig(manifest=str(path)))


def test_a_file_that_is_no_onnx_is_refused(tmp_path):
    path = write_toy_model(tmp_path)
    (tmp_path / "toy.onnx").write_bytes(b"not a network")
    tree = yaml.safe_load(path.read_text())
    tree["sha256"] = hashlib.sha256(b"not a network").hexdigest()
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(ModelError, match="not an ONNX file"):
        build_engine(EngineConfig(manifest=str(path)))


@pytest.mark.parametrize(
    "change", [{"input": {"name": "pixels"}}, {"input": {"width": 32}}, {"output": {"name": "disp"}}]
)
def test_a_manifest_that_does_not_fit_its_model_is_refused(tmp_path, change):
    path = write_toy_model(tmp_path)
    tree = yaml.safe_load(path.read_text())
    for part, values in change.items():
        tree[part].update(values)
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(ModelError):
        build_engine(EngineConfig(manifest=str(path)))


@pytest.mark.parametrize(
    ("network", "size", "frame"),
    [("kitti", "192x640", "kitti_object/000008"), ("nyu", "192x256", "nyu_metric3d/00000")],
)
def test_the_real_networks_give_their_stored_outputs(model_dir, data_dir, network, size, frame):
    from metric_depth_ros.share import share_path

    engine = build_engine(
        EngineConfig(
            manifest=str(share_path(f"config/models/meter_xxs_{network}.yaml")),
            model=str(model_dir / f"meter_xxs_{network}_{size}.onnx"),
        )
    )
    (picture,) = data_dir.glob(f"{frame}_rgb.*")
    image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
    stored = np.load(data_dir / "relative_meter" / f"{frame}.npz")["relative"]
    expected = cv2.resize(np.maximum(stored, engine.manifest.output.floor), image.shape[1::-1])
    relative = engine.predict(image).values
    assert np.abs(relative - expected).max() < 1e-3 * stored.std()


def test_a_border_is_mirrored_outwards_and_cut_off_again(tmp_path):
    # ZoeDepth's: int(3 * sqrt(48 / 2)) = 14 rows above and below, int(3 * sqrt(64 / 2)) = 16 columns beside.
    runtime = Recorder(lambda x: x[:, :1] + 1)
    engine = DepthEngine(manifest(tmp_path, input={"border": 3.0, "width": 96, "height": 76}), runtime)
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    relative = engine.predict(image)
    padded = np.pad(image, ((14, 14), (16, 16), (0, 0)), mode="reflect")
    np.testing.assert_allclose(runtime.input[0], np.moveaxis(padded, 2, 0) / 255.0, atol=1e-6)
    np.testing.assert_allclose(relative.values, 1 + image[:, :, 0] / 255.0, atol=1e-6)


def test_bytes_and_channels_last_by_hand(tmp_path):
    runtime = Recorder(lambda x: np.ones((1, 48, 64), np.float32))
    engine = DepthEngine(manifest(tmp_path, input={"layout": "nhwc", "dtype": "uint8"}), runtime)
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    engine.predict(image)
    assert runtime.input.dtype == np.uint8
    np.testing.assert_array_equal(runtime.input[0], image)


# ---- where pixels lie -----------------------------------------------------------------------------


class Pooled:
    """A runtime whose output pixel is the mean of the input pixels it covers: it lies between them."""

    def __init__(self, times):
        self.times, self.shapes = times, []

    def run(self, inputs):
        (image,) = inputs.values()
        self.shapes.append(image.shape[2:])
        n = self.times
        height, width = image.shape[2] // n, image.shape[3] // n
        return {"depth": image[:, :1].reshape(1, 1, height, n, width, n).mean((3, 5)) + 1}


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("size", [(301, 97), (97, 301), (640, 480), (1242, 375), (130, 129)])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_every_pixel_of_the_output_lies_where_it_lay_in_the_image(tmp_path, resize, size, times):
    """A ramp comes back as itself, to a hundredth of a pixel of the output, in both directions."""
    width, height = size
    item = {"resize": resize, "width": 128, "height": 96, "mean": [0.0] * 3, "std": [1.0] * 3}
    fitting = DepthEngine(manifest(tmp_path, input=item), Pooled(times))._input
    for axis, side in ((0, width), (1, height)):
        # What a network gives whose output is the place itself, in pixels of the image.
        columns, rows = fitting.taken(width, height)
        part = (columns, rows)[axis]
        n = (128, 96)[axis] // times
        place = ((np.arange(n) + 0.5) * times * side / part - 0.5).astype(np.float32)
        values = np.broadcast_to(place[None, :] if axis == 0 else place[:, None], (96 // times, 128 // times))
        found = fitting.undone(np.ascontiguousarray(values), width, height)
        assert found.shape == (height, width)
        line = found[0] if axis == 0 else found[:, 0]
        step = times * side / part  # pixels of the image in one of the output
        inner = slice(int(np.ceil(step)), side - int(np.ceil(step)))
        assert np.abs(line - np.arange(side))[inner].max() < 0.01 * step
    assert np.allclose(found, found[:, :1])


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("size", [(300, 100), (97, 211), (640, 480), (400, 150), (240, 400)])
def test_what_goes_in_comes_out_in_the_same_place(tmp_path, size, resize):
    """The whole way: a smooth picture through a network that only blurs is that picture, unshifted."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    smooth = 127 + 100 * np.sin(5 * x) * np.cos(4 * y)
    image = np.repeat(np.round(smooth).astype(np.uint8)[:, :, None], 3, axis=2)
    item = {"resize": resize, "width": 256, "height": 192}
    engine = DepthEngine(manifest(tmp_path, input=item), Pooled(2))
    difference = ((engine.predict(image).values - 1) * 255 - smooth)[6:-6, 6:-6]
    for rise in np.gradient(smooth):  # how far it moved in pixels, by least squares
        rise = rise[6:-6, 6:-6]
        assert abs((difference * rise).sum() / (rise**2).sum()) < 0.03


# ---- sizes that vary ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ((640, 480), (518, 392)), ((1242, 375), (812, 252)), ((480, 640), (392, 518)),
        ((500, 500), (448, 448)), ((5000, 500), (896, 224)), ((518, 392), (518, 392)),
    ],
)  # fmt: skip
def test_the_size_follows_the_image_and_keeps_the_number_of_pixels(tmp_path, image, wanted):
    item = manifest(tmp_path, input={"width": 518, "height": 392, "multiple_of": 14}).input
    width, height = network_size(item, *image)
    assert (width, height) == wanted
    assert width % 14 == height % 14 == 0
    assert abs(width * height / (518 * 392) - 1) < 0.08
    aspect = min(image[0] / image[1], 4)
    assert abs(width / height / aspect - 1) < 0.04


def test_a_size_that_does_not_vary_stays(tmp_path):
    item = manifest(tmp_path).input
    assert network_size(item, 1000, 10) == (64, 48)
    assert not sizes_of(item).varies


@given(
    layout=st.sampled_from(["nchw", "nhwc"]),
    step=st.sampled_from([1, 8, 14, 16, 32]),
    usual=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    image=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
)
@example(layout="nchw", step=16, usual=(19, 14), image=(117, 492))
@example(layout="nchw", step=14, usual=(50, 10), image=(640, 480))
def test_every_size_lies_between_the_smallest_and_the_largest(layout, step, usual, image):
    own = step * usual[0], step * usual[1]
    item = InputManifest("image", *own, multiple_of=step, layout=layout)
    sizes = sizes_of(item)
    assert network_size(item, *own) == own
    for width, height in (network_size(item, *image), own):
        assert width % step == height % step == 0
        shape = (1, height, width, 3) if layout == "nhwc" else (1, 3, height, width)
        assert all(a <= n <= b for a, n, b in zip(sizes.smallest, shape, sizes.largest, strict=True))


def test_an_engine_runs_at_the_image_s_own_shape(tmp_path):
    runtime = Pooled(2)
    item = {"width": 64, "height": 48, "multiple_of": 8}
    engine = DepthEngine(manifest(tmp_path, input=item), runtime)
    for height, width in ((96, 128), (128, 96), (64, 256), (96, 128)):
        values = engine.predict(gradient(height, width)).values
        assert values.shape == (height, width)
        np.testing.assert_allclose(values[:, 8:-8], 1 + gradient(height, width)[:, 8:-8, 0] / 255, atol=0.02)
    assert runtime.shapes[1:] == [(48, 64), (64, 48), (24, 104), (48, 64)]


def test_a_real_file_of_many_sizes_runs(tmp_path):
    path = write_toy_model(tmp_path, width="w", height="h")
    tree = yaml.safe_load(path.read_text())
    tree["input"] |= {"width": 64, "height": 48, "multiple_of": 8}
    path.write_text(yaml.safe_dump(tree))
    engine = build_engine(EngineConfig(manifest=str(path)))
    for height, width in ((48, 64), (200, 100)):
        image = gradient(height, width)
        np.testing.assert_allclose(engine.predict(image).values[:, 8:-8], image[:, 8:-8, 0] / 255, atol=0.02)


def test_a_file_with_further_outputs_gives_the_depth_of_its_network():
    for name in ("small_depth_basis", "small_depth_paper_basis"):
        path = share_path(f"config/models/{name}.yaml")
        engine = build_engine(EngineConfig(str(path), runtime="onnxruntime"))
        assert engine.manifest.name == name
        assert engine.predict(np.zeros((48, 64, 3), np.uint8)).network == "small_depth"

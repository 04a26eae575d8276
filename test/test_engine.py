import hashlib

import cv2
import numpy as np
import pytest
import yaml
from conftest import write_toy_model

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.manifest import load_manifest
from metric_depth_ros.errors import ModelError


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
        ({"input": {"std": [1, 0, 1]}}, "std not zero"),
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
    with pytest.raises(ModelError, match="cannot load"):
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


def test_weights_beside_the_model_are_checked_too(tmp_path):
    path = write_toy_model(tmp_path)
    tree = yaml.safe_load(path.read_text())
    tree["data"] = {"toy.weights": hashlib.sha256(b"weights").hexdigest()}
    path.write_text(yaml.safe_dump(tree))
    (tmp_path / "toy.weights").write_bytes(b"other weights")
    with pytest.raises(ModelError, match=r"toy\.weights: sha256"):
        build_engine(EngineConfig(manifest=str(path)))
    tree["data"] = {"../toy.weights": "0"}
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(ModelError, match="in the model's folder"):
        build_engine(EngineConfig(manifest=str(path)))

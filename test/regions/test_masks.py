"""Regions by networks: SAM's masks as transformers makes them, overlaps and holes, label networks."""

import dataclasses
import hashlib

import cv2
import numpy as np
import pytest
import yaml

from metric_depth_ros.config import Config, RegionsConfig, SamConfig, updated
from metric_depth_ros.engines.manifest import InputManifest, LabelManifest, LabelOutputManifest
from metric_depth_ros.errors import ConfigError, ModelError
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.regions.label_network import LabelSegmenter
from metric_depth_ros.regions.masks import boxes, point_grid, regions_of, stability, suppressed

# ---- what becomes of masks ---------------------------------------------------------------------


def test_the_grid_lies_in_the_middles_by_hand():
    assert point_grid(2, 8, 4).tolist() == [[2, 1], [6, 1], [2, 3], [6, 3]]


def test_stability_by_hand():
    logits = np.array([[-3.0, -0.5, 0.5, 3.0]])
    assert stability(logits, 1.0) == pytest.approx(1 / 3)
    assert np.isnan(stability(logits - 9, 1.0))


def test_boxes_by_hand():
    masks = np.zeros((2, 5, 6), bool)
    masks[0, 1:3, 2:6] = True
    assert boxes(masks).tolist() == [[2, 1, 5, 2], [0, 0, 0, 0]]


def test_of_boxes_that_overlap_the_best_is_kept():
    corners = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [0, 0, 10, 5]], float)
    scores = np.array([0.5, 0.9, 0.7, 0.6])
    # 0 overlaps 1 by .9; 3 overlaps 1 by 5/9.
    assert suppressed(corners, scores, 0.7).tolist() == [1, 2, 3]
    assert suppressed(corners, scores, 0.5).tolist() == [1, 2]
    assert suppressed(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


def plainly_suppressed(corners, scores, most_overlap):
    """Non-maximum suppression as torchvision, which transformers calls, defines it."""

    def overlap(a, b):
        sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
        shared = max(sides[0], 0) * max(sides[1], 0)
        return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)

    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if all(not overlap(corners[i], corners[j]) > most_overlap for j in kept):
            kept.append(i)
    return kept


def test_suppression_is_that_of_a_plain_loop():
    random = np.random.default_rng(0)
    low = random.uniform(0, 50, (60, 2))
    corners = np.hstack([low, low + random.uniform(0, 40, (60, 2))])
    scores = random.permutation(60) / 60
    assert suppressed(corners, scores, 0.3).tolist() == plainly_suppressed(corners, scores, 0.3)


def test_a_part_stays_apart_from_its_whole_and_holes_are_regions():
    masks = np.zeros((2, 6, 9), bool)
    masks[0, 2:4, 2:4] = True  # the part comes first, and is not painted over
    masks[1, 1:5, 1:6] = True
    masks[1, :, 6] = True  # the whole reaches down to both edges: two holes left
    labels = regions_of(masks, 6, 9)
    assert len(np.unique(labels)) == 4
    part, whole, left, right = labels[2, 2], labels[1, 1], labels[0, 0], labels[0, 8]
    assert len({part, whole, left, right}) == 4
    assert (labels[2:4, 2:4] == part).all() and (labels == part).sum() == 4
    assert (labels[masks[1] & ~masks[0]] == whole).all()
    assert (labels[:, 7:] == right).all()


def test_without_masks_the_picture_is_one_region():
    assert np.unique(regions_of(np.zeros((0, 4, 5), bool), 4, 5)).size == 1


# ---- SAM as transformers runs it ----------------------------------------------------------------


@pytest.fixture(scope="module")
def sams(tmp_path_factory):
    """Checkpoint folder and exported manifest of both."""
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: pip install 'metric_depth_ros[export]'"
    )
    pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("PIL", reason="pillow is not installed")
    pytest.importorskip("onnx")
    import tiny_checkpoints

    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.export.segmenter import export_sam
    from metric_depth_ros.learning.models.checkpoint_folder import open_checkpoint

    made = {}
    for name in ("sam", "sam2"):
        torch.manual_seed(3)
        folder = tiny_checkpoints.ALL[name](tmp_path_factory.mktemp(name))
        (found,) = export_sam(open_checkpoint(folder), Wanted(folder, name))
        assert found.difference.largest <= 1e-3
        made[name] = folder, found
    return made


def reference(name, folder, image, sam):
    """Transformers' processor, its input, and the logits (N, 3, H, W) and qualities (N, 3) at the grid.

    Its processor of SAM 2 needs torchvision, which is not here: what that does is written out.
    """
    import torch
    from PIL import Image
    from transformers import Sam2Model, SamModel
    from transformers.models.sam import image_processing_pil_sam as processing

    height, width = image.shape[:2]
    model = (SamModel if name == "sam" else Sam2Model).from_pretrained(folder).eval()
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    processor = processing.SamImageProcessorPil(
        size={"longest_edge": 128},
        pad_size={"height": 128, "width": 128},
        image_mean=mean.tolist(),
        image_std=std.tolist(),
    )
    grid = processing._build_point_grid(sam.points_per_side)
    if name == "sam":
        given = processor(image, return_tensors="pt")
        pixels, reshaped = given["pixel_values"], given["reshaped_input_sizes"][0].tolist()
        points = processing._normalize_coordinates(128, grid * [[width, height]], (height, width))
    else:
        small = np.asarray(Image.fromarray(image).resize((128, 128), Image.Resampling.BILINEAR))
        pixels = torch.from_numpy(np.moveaxis((small / 255 - mean) / std, 2, 0)[None].astype(np.float32))
        points = grid * 128
    with torch.inference_mode():
        out = model(
            pixel_values=pixels,
            input_points=torch.from_numpy(points.astype(np.float32))[None, :, None],
            input_labels=torch.ones(1, len(points), 1, dtype=torch.int32),
            multimask_output=True,
        )
    if name == "sam":
        (full,) = processor.post_process_masks(out.pred_masks, [(height, width)], [reshaped], binarize=False)
    else:
        full = torch.nn.functional.interpolate(out.pred_masks[0], (height, width), mode="bilinear")
    return processor, pixels.numpy(), full, out.iou_scores[0]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("sam", (96, 128)), ("sam", (128, 100)), ("sam", (75, 100)), ("sam", (240, 320)),
        ("sam2", (128, 128)), ("sam2", (75, 100)), ("sam2", (240, 320)),
    ],
)  # fmt: skip
def test_the_masks_are_those_of_transformers(sams, name, shape):
    import torch
    from transformers.models.sam.image_processing_pil_sam import _rle_to_mask

    folder, found = sams[name]
    image = np.random.default_rng(5).integers(0, 256, (*shape, 3)).astype(np.uint8)
    sam = SamConfig(points_per_side=6, min_quality=0.0, min_stability=0.3, most_overlap=0.9)
    processor, pixels, full, quality = reference(name, folder, image, sam)
    # Thresholds amid what random weights give, so that each of them has something to do.
    some = float(np.quantile(quality.numpy(), 0.3))
    sam = SamConfig(**{**vars(sam), "min_quality": max(some, 0.0)})
    box = [0, 0, shape[1], shape[0]]
    kept, scores, corners = processor.filter_masks(
        full, quality, shape, box, sam.min_quality, sam.min_stability, 0.0, sam.stability_offset
    )
    order = plainly_suppressed(corners.float().numpy(), scores.numpy(), sam.most_overlap)
    wanted = np.array([_rle_to_mask(kept[i]) for i in order])
    config = RegionsConfig(source="sam", manifest=str(found.manifest), sam=sam)
    segmenter = build_segmenter(config)
    resize = segmenter._input.fill

    def fill(image):  # how the two resize differs a little: the next test
        resize(image)
        segmenter._input.array[:] = pixels

    segmenter._input.fill = fill
    masks, ours = segmenter.masks(image)
    assert 0 < len(order) < full.shape[0] * full.shape[1]
    assert len(masks) == len(wanted)
    np.testing.assert_allclose(ours, scores.numpy()[order], atol=1e-4)
    # A pixel whose logit is zero to rounding may fall on either side.
    assert (masks != wanted).mean() < 1e-4
    labels = segmenter.segment(image)
    assert labels.shape == shape and labels.dtype == np.int32
    assert np.unique(labels).tolist() == list(range(labels.max() + 1))
    assert torch.isfinite(full).all()


@pytest.mark.parametrize("name", ["sam", "sam2"])
@pytest.mark.parametrize("shape", [(96, 128), (75, 100), (240, 320)])
def test_the_input_is_that_of_transformers(sams, name, shape):
    """Rounding of bytes apart; shrunk, it is a mean over areas here and a wider, weighted one there."""
    folder, found = sams[name]
    image = np.random.default_rng(5).integers(0, 256, (8, 10, 3)).astype(np.uint8)
    image = np.ascontiguousarray(cv2.resize(image, shape[::-1]))
    _, pixels, _, _ = reference(name, folder, image, SamConfig(points_per_side=1))
    segmenter = build_segmenter(RegionsConfig(source="sam", manifest=str(found.manifest)))
    segmenter._input.fill(image)
    apart = segmenter._input.array - pixels  # in standard deviations of ImageNet
    resized = name == "sam2" or max(shape) != 128
    assert np.sqrt(np.square(apart).mean()) < (0.01 if resized else 1e-5)


def test_settings_change_and_the_network_stays(sams):
    config = RegionsConfig(source="sam", manifest=str(sams["sam2"][1].manifest), min_area=0.0)
    before = build_segmenter(config)
    other = RegionsConfig(source="sam", manifest="not read again", sam=SamConfig(points_per_side=2))
    after = build_segmenter(other, before)
    assert after._encoder is before._encoder and after._config.sam.points_per_side == 2


@pytest.mark.parametrize(("name", "runtime"), [("sam", "openvino"), ("sam2", "openvino"), ("sam", "torch")])
def test_both_parts_run_on_the_runtime_that_is_set(sams, name, runtime, caplog):
    pytest.importorskip(runtime)
    image = np.random.default_rng(5).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    sam = SamConfig(points_per_side=3, min_quality=0.0, min_stability=0.0, most_overlap=1.0)
    config = RegionsConfig(source="sam", manifest=str(sams[name][1].manifest), sam=sam)
    wanted, quality = build_segmenter(config).masks(image)
    masks, found = build_segmenter(dataclasses.replace(config, runtime=runtime)).masks(image)
    assert not caplog.records  # nothing was refused
    np.testing.assert_allclose(found, quality, atol=1e-3)
    assert masks.shape == wanted.shape and (masks != wanted).mean() < 1e-3


def test_a_wrong_file_of_sam_is_refused(sams, tmp_path):
    _, found = sams["sam"]
    for path in (found.manifest, *found.models):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    decoder = found.models[1]
    (tmp_path / decoder.name).write_bytes(decoder.read_bytes()[:-1])
    with pytest.raises(ModelError, match="sha256"):
        build_segmenter(RegionsConfig(source="sam", manifest=str(tmp_path / found.manifest.name)))


# ---- label networks ------------------------------------------------------------------------------


class Answer:
    """A runtime that gives one output, whatever it is asked."""

    def __init__(self, values):
        self.values = values

    def run(self, inputs):
        (self.input,) = inputs.values()
        return {"out": self.values}


def labelled(values, kind, **options):
    manifest = LabelManifest(
        "net", "net.onnx", "none", "0", InputManifest("image", 8, 6), LabelOutputManifest("out", kind)
    )
    return LabelSegmenter(manifest, Answer(values), RegionsConfig(**options))


BANDS = np.repeat([[1, 7, 7, 1]], 6, axis=0).repeat(2, axis=1)


def test_connected_areas_of_a_label_are_regions():
    image = np.zeros((12, 16, 3), np.uint8)
    segmenter = labelled(BANDS[None].astype(np.int64), "labels", min_area=0.0)
    np.testing.assert_array_equal(segmenter.labels(image), BANDS.repeat(2, 0).repeat(2, 1))
    labels = segmenter.segment(image)
    # Label 1 is there twice, apart from itself.
    assert [len(np.unique(labels[:, u : u + 4])) for u in (0, 4, 12)] == [1, 1, 1]
    assert labels.max() == 2 and labels[0, 0] != labels[0, 15]


def test_the_highest_score_is_the_label():
    scores = np.stack([value == BANDS for value in range(8)])[None].astype(np.float32)
    found = labelled(scores, "scores").labels(np.zeros((6, 8, 3), np.uint8))
    np.testing.assert_array_equal(found, BANDS)


def test_small_areas_join_the_neighbour_of_their_colour():
    values = np.zeros((1, 6, 8), np.int64)
    values[0, 2, 3] = 5
    segmenter = labelled(values, "labels", min_area=0.1)
    assert segmenter.segment(np.zeros((6, 8, 3), np.uint8)).max() == 0


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        (np.zeros((1, 1, 6, 8)), "scores", "needed (1, classes, h, w)"),
        (np.zeros((1, 4, 6, 8)), "labels", "needed (1, h, w)"),
        (np.zeros(4), "labels", "needed (1, h, w)"),
    ],
)
def test_another_output_is_refused(values, kind, words):
    with pytest.raises(ModelError) as error:
        labelled(values, kind)
    assert words in str(error.value)


def test_a_label_network_by_its_manifest(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx import helper

    # Brighter than half: label 1.
    nodes = [
        helper.make_node("Slice", ["image", "zero", "one", "axis"], ["red"]),
        helper.make_node("Greater", ["red", "half"], ["bright"]),
        helper.make_node("Cast", ["bright"], ["labels"], to=onnx.TensorProto.INT64),
    ]
    constants = [
        *(
            helper.make_tensor(n, onnx.TensorProto.INT64, [1], [v])
            for n, v in (("zero", 0), ("one", 1), ("axis", 1))
        ),
        helper.make_tensor("half", onnx.TensorProto.FLOAT, [], [0.5]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("image", 1, [1, 3, 6, 8])], [value("labels", 7, [1, 1, 6, 8])], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    manifest = {
        "name": "bright", "file": "net.onnx", "licence": "none",
        "sha256": hashlib.sha256(model.SerializeToString()).hexdigest(),
        "input": {"name": "image", "width": 8, "height": 6}, "output": {"name": "labels", "kind": "labels"},
    }  # fmt: skip
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(manifest))
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, 40:] = 255
    labels = build_segmenter(RegionsConfig(source="labels", manifest=str(tmp_path / "net.yaml"))).segment(
        image
    )
    assert (labels == (image[..., 0] > 0)).all() or (labels == (image[..., 0] == 0)).all()


def test_a_network_without_a_manifest_is_refused():
    config = updated(Config(), {"regions.source": "sam"}).regions
    with pytest.raises(ConfigError, match=r"regions\.manifest"):
        build_segmenter(config)


def test_a_real_label_network(data_dir):
    """DeepLab (int8, TensorFlow Lite) on a street: a car is a region of its own."""
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    path = data_dir.parent / "models" / "deeplab_int8" / "deeplabv3_mnv2_pascal_quant.tflite"
    if not path.is_file():
        pytest.skip("no label network beside METRIC_DEPTH_DATA")
    network = openvino.Core().compile_model(str(path), "CPU")

    class Runtime:
        def run(self, inputs):
            return {"labels": network(list(inputs.values()))[0]}

    item = InputManifest("image", 513, 513, layout="nhwc", dtype="uint8")
    manifest = LabelManifest(
        "DeepLab", path.name, "Apache-2.0", "0", item, LabelOutputManifest("labels", "labels")
    )
    (picture,) = data_dir.glob("kitti_object/000008_rgb.*")
    image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
    segmenter = LabelSegmenter(manifest, Runtime(), RegionsConfig())
    classes, regions = segmenter.labels(image), segmenter.segment(image)
    # Pascal VOC: 0 background, 7 car. Cars fill much of this picture.
    assert (classes == 7).mean() > 0.05 and (classes == 0).mean() > 0.3
    assert 2 <= regions.max() + 1 < 50
    # A region is of one label, but for the specks that joined it.
    for value in range(regions.max() + 1):
        assert np.bincount(classes[regions == value]).max() > 0.8 * (regions == value).sum()

"""Metric-Solver as an engine: what it does with the decoders' outputs, with focuses, and as exported."""

import dataclasses
import hashlib

import cv2
import numpy as np
import pytest
import yaml

from metric_depth_ros.config import Config, EngineConfig, updated
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import (
    FileManifest,
    InputManifest,
    MetricSolverManifest,
    load_engine_manifest,
)
from metric_depth_ros.engines.metric_solver import MetricSolverEngine
from metric_depth_ros.errors import AnchorError, ConfigError, ModelError
from metric_depth_ros.near_far import encode
from metric_depth_ros.pipeline import MetricDepthPipeline
from metric_depth_ros.types import Camera, Sample

WIDTH, HEIGHT = 64, 48
FILE = FileManifest("none.onnx", "0" * 64)
MANIFEST = MetricSolverManifest(
    "made", "none", FILE, FILE, InputManifest("image", WIDTH, HEIGHT), focuses=(2.0, 10.0, 40.0)
)
TRUTH = np.geomspace(0.5, 150, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)


class Encoder:
    """Counts its runs and gives one map."""

    runs = 0

    def run(self, inputs):
        self.runs += 1
        return {"features_0": inputs["image"][:, :1]}


class Decoders:
    """What a perfect network would say of ``TRUTH``; keeps the focuses it was asked at."""

    def __init__(self, sure=1.0, truth=TRUTH):
        self.sure, self.truth, self.asked = sure, truth, []

    def run(self, inputs):
        self.asked.append(inputs["focus"].tolist())
        parts = [encode(self.truth, focus) for focus in inputs["focus"]]
        mask = [np.where(part.mask, self.sure, 1 - self.sure) for part in parts]
        maps = {"near": [p.near for p in parts], "far": [p.far for p in parts], "mask": mask}
        return {k: np.nan_to_num(np.stack(v)[:, None], nan=0.7).astype(np.float32) for k, v in maps.items()}


def engine_of(decoders, manifest=MANIFEST, **options):
    return MetricSolverEngine(manifest, Encoder(), decoders, **options)


IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("focuses", [(), (2.0, 10.0, 40.0)])
@pytest.mark.parametrize("soft", [False, True])
def test_a_perfect_network_gives_metres_at_any_focus(focuses, soft):
    for focus_m in (None, 2.0, 7.0, 40.0):
        engine = engine_of(Decoders(), focuses_m=focuses, soft=soft)
        relative = engine.predict(IMAGE, focus_m=focus_m)
        assert relative.metric and relative.kind == "depth" and relative.values.dtype == np.float32
        np.testing.assert_allclose(relative.values, TRUTH, rtol=1e-5, atol=1e-4)


def test_an_image_is_encoded_once_and_decoded_once_for_all_focuses():
    decoders = Decoders()
    engine = engine_of(decoders, focuses_m=(10.0, 2.0))
    before = engine._encoder.runs
    engine.predict(IMAGE, focus_m=20.0)
    assert engine._encoder.runs == before + 1 and decoders.asked[-1] == [2, 10, 20]


def test_the_focus_asked_for_takes_the_place_of_the_manifest_s_and_stays_within_the_pool():
    engine = engine_of(Decoders())
    assert [engine.used_focuses(f) for f in (None, 0.5, 7.0, 900.0)] == [[10], [2], [7], [40]]
    several = engine_of(Decoders(), focuses_m=(1.0, 2.0, 40.0))
    assert several.used_focuses(None) == [2, 40] and several.used_focuses(7.0) == [2, 7, 40]


def test_a_canonical_network_gives_metres_for_any_camera():
    """Its metres are those of a camera with a focal length of one mean side; a third of it is a wide lens."""
    engine = engine_of(Decoders(), manifest=dataclasses.replace(MANIFEST, canonical=True), focuses_m=(6.0,))
    for size in ((WIDTH, HEIGHT), (4 * WIDTH, 2 * HEIGHT)):  # stretched: another fx and fy, the same lens
        mean = np.sqrt(WIDTH * HEIGHT)
        K = np.diag([mean / 3 * size[0] / WIDTH, mean / 3 * size[1] / HEIGHT, 1])
        camera = Camera(*size, K)
        assert camera.relative_focal == pytest.approx(1 / 3)
        near = engine.predict(IMAGE, focus_m=2.0, camera=camera)
        np.testing.assert_allclose(near.values, TRUTH / 3, rtol=1e-5, atol=1e-4)
        assert engine._decoders.asked[-1] == pytest.approx([6, 18])
    np.testing.assert_allclose(engine.predict(IMAGE).values, TRUTH, rtol=1e-5, atol=1e-4)
    assert engine._decoders.asked[-1] == [6]
    plain = engine_of(Decoders())
    np.testing.assert_array_equal(plain.predict(IMAGE, camera=camera).values, plain.predict(IMAGE).values)


def test_infinite_depth_is_unknown_and_nothing_else_is_an_error():
    sky = np.where(TRUTH > 40, np.float32(np.inf), TRUTH)
    values = engine_of(Decoders(truth=sky)).predict(IMAGE).values
    np.testing.assert_array_equal(np.isnan(values), np.isinf(sky))
    with pytest.raises(ModelError, match="no finite depth"):
        engine_of(Decoders(truth=np.full_like(TRUTH, np.inf)))


def test_soft_fusion_weighs_both_branches():
    soft, hard = (engine_of(Decoders(sure=0.8), soft=s).predict(IMAGE, focus_m=10.0).values for s in (1, 0))
    np.testing.assert_allclose(hard, TRUTH, rtol=1e-5, atol=1e-4)
    far_of_unasked = 10 - np.log(0.7) / 0.025
    near = TRUTH < 10
    np.testing.assert_allclose(soft[near], 0.8 * TRUTH[near] + 0.2 * far_of_unasked, rtol=1e-4)


def test_decoders_that_give_something_else_are_refused():
    class Others:
        def run(self, inputs):
            return {"near": np.ones((1, 1, 4, 4), np.float32), "far": np.ones((4, 4), np.float32)}

    with pytest.raises(ModelError, match=r"gave far of shape \(4, 4\); needed \(1, 1, h, w\)"):
        engine_of(Others())


# ---- in the pipeline -------------------------------------------------------------------------


def pipeline_of(engine, **settings):
    return MetricDepthPipeline(engine, updated(Config(), {"solver.name": "global_affine", **settings}))


def sample_of(count):
    """``count`` points on twice the depth that the network says."""
    camera = Camera(WIDTH, HEIGHT, np.array([[60.0, 0, 32], [0, 60.0, 24], [0, 0, 1]]))
    v, u = np.divmod(np.random.default_rng(0).choice(WIDTH * HEIGHT, count, replace=False), WIDTH)
    z = 2 * TRUTH[v, u]
    points = np.column_stack([(u - 32) / 60 * z, (v - 24) / 60 * z, z]).astype(np.float32)
    return Sample(IMAGE, camera, points)


def test_a_solver_makes_the_most_of_it_with_anchors():
    result = pipeline_of(engine_of(Decoders()), **{"solver.max_depth_m": 1000.0}).process(sample_of(300))
    np.testing.assert_allclose(result.metric.depth, 2 * TRUTH, rtol=1e-3)


def test_without_anchors_its_own_metres_are_given_where_that_is_allowed():
    pipeline = pipeline_of(engine_of(Decoders()), **{"anchors.min_count": 0, "solver.max_depth_m": 100.0})
    result = pipeline.process(sample_of(0))
    near = TRUTH <= 100
    np.testing.assert_allclose(result.metric.depth[near], TRUTH[near], rtol=1e-5, atol=1e-4)
    assert np.isnan(result.metric.depth[~near]).all() and result.metric.info["anchors"] == 0
    assert pipeline.needs_no_points
    slid = pipeline.with_config(updated(pipeline.config, {"solver.focus_m": 4.0})).process(sample_of(0))
    assert slid.metric.info == {"scale_from": "prior", "anchors": 0, "prior": "made"}
    with pytest.raises(AnchorError, match="usable"):
        pipeline_of(engine_of(Decoders())).process(sample_of(0))


def test_without_anchors_its_edges_are_sharp_too_where_that_is_chosen():
    wall = np.where(np.arange(320) < 100, 2.0, 4.0) * np.ones((240, 1))
    engine = engine_of(Decoders(truth=cv2.GaussianBlur(wall, (0, 0), 1.3).astype(np.float32)))
    camera = Camera(320, 240, np.array([[300.0, 0, 160], [0, 300.0, 120], [0, 0, 1]]))
    sample = dataclasses.replace(sample_of(0), image=np.zeros((240, 320, 3), np.uint8), camera=camera)
    between = {}
    for edges in ("keep", "sharp"):
        pipeline = pipeline_of(engine, **{"anchors.min_count": 0, "solver.edges": edges})
        depth = pipeline.process(sample).metric.depth
        between[edges] = int(((depth > 2.2) & (depth < 3.6)).sum())
    assert between["sharp"] <= between["keep"] / 2


def test_a_network_without_metres_needs_anchors_all_the_same(toy_manifest):
    engine = build_engine(EngineConfig(manifest=str(toy_manifest)))
    with pytest.raises(AnchorError, match=r"prior: none.*solver\.prior.*metres of its own"):
        pipeline_of(engine, **{"anchors.min_count": 0}).process(sample_of(0))


def test_the_focus_reaches_the_engine_with_the_next_image():
    decoders = Decoders()
    pipeline = pipeline_of(engine_of(decoders))
    pipeline.process(sample_of(50))
    pipeline = pipeline.with_config(updated(pipeline.config, {"solver.focus_m": 4.0}))
    pipeline.process(sample_of(50))
    assert decoders.asked[-2:] == [[10], [4]]


# ---- exported --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Of a tiny network, at two sizes."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.export.metric_solver import export_metric_solver
    from metric_depth_ros.learning.models.metric_solver import MetricSolver

    torch.manual_seed(0)
    network = MetricSolver().eval()
    for decoder in (network.near, network.far):
        # Larger ones reach where ONNX Runtime's sigmoid ends, at exp(-18): 720 m beyond the focus.
        torch.nn.init.normal_(decoder.head[-1].weight, std=0.05)
    folder = tmp_path_factory.mktemp("exported")
    found = export_metric_solver(network, Wanted(folder, "ms", [(96, 64), (64, 96)]))
    return network, found


def test_two_sizes_equal_torch(exported):
    _, found = exported
    assert [item.manifest.name for item in found] == ["ms_96x64.yaml", "ms_64x96.yaml"]
    assert all(item.difference.largest < 1e-3 for item in found)


def test_the_engine_of_the_files_gives_what_torch_gives(exported):
    import torch

    from metric_depth_ros.learning.models.tiny_depth import MEAN, STD
    from metric_depth_ros.near_far import decode_far, decode_near, fuse

    network, found = exported
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    config = EngineConfig(manifest=str(found[0].manifest), runtime="onnxruntime")
    values = build_engine(config).predict(image, focus_m=30.0).values
    scaled = ((image / 255 - MEAN) / STD).astype(np.float32)
    with torch.inference_mode():
        near, far, mask = network(torch.from_numpy(scaled).permute(2, 0, 1)[None], torch.tensor([30.0]))
    depth = fuse(decode_near(near, 30), decode_far(far, 30), mask.sigmoid())[0, 0]
    depth = np.where(np.isfinite(depth), depth, np.float32(np.nan))
    wanted = cv2.resize(depth, (96, 64), interpolation=cv2.INTER_LINEAR)
    # Where a mask is undecided to rounding, either branch may be taken.
    assert np.isclose(values, wanted, rtol=1e-3, equal_nan=True).mean() > 0.99


def test_openvino_gives_what_onnx_runtime_gives(exported):
    pytest.importorskip("openvino")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    settings = dict(manifest=str(exported[1][0].manifest), precision="fp32", focuses="2,20", fusion="soft")
    ours, reference = (build_engine(EngineConfig(runtime=r, **settings)) for r in ("openvino", "onnxruntime"))
    assert ours.label.startswith("openvino") and "decoders: openvino" in ours.why
    for focus_m in (None, 50.0):
        found, wanted = (engine.predict(image, focus_m=focus_m).values for engine in (ours, reference))
        np.testing.assert_allclose(found, wanted, rtol=1e-2)


def test_several_focuses_in_settings(exported):
    manifest = str(exported[1][0].manifest)
    engine = build_engine(EngineConfig(manifest=manifest, runtime="onnxruntime", focuses="manipulation, 20"))
    assert engine.used_focuses(None) == [2, 20]
    with pytest.raises(ConfigError, match="'near'; needed positive"):
        build_engine(EngineConfig(manifest=manifest, focuses="2, near"))
    with pytest.raises(ConfigError, match="'off'; needed positive"):
        build_engine(EngineConfig(manifest=manifest, focuses="off, 2"))
    with pytest.raises(ConfigError, match="names two files"):
        build_engine(EngineConfig(manifest=manifest, model="other.onnx"))


def test_focuses_are_for_networks_that_have_some(toy_manifest):
    with pytest.raises(ConfigError, match="no Metric-Solver"):
        build_engine(EngineConfig(manifest=str(toy_manifest), focuses="10"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"focuses": [10, 2]}, "focuses: needed positive numbers that rise"),
        ({"focus_m": 500}, "focus_m: 500; needed 2 to 120"),
        ({"taper": 0}, "taper: 0"),
        ({"decoders": {"file": "other.onnx", "sha256": "0" * 64}}, "other.onnx"),
        ({"focus": 3}, "Did you mean focus"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(exported, tmp_path, changes, words):
    source = exported[1][0].manifest
    path = source.with_name(f"{hashlib.sha256(words.encode()).hexdigest()[:8]}.yaml")
    path.write_text(yaml.safe_dump({**yaml.safe_load(source.read_text()), **changes}))
    with pytest.raises(ModelError, match=words):
        build_engine(EngineConfig(manifest=str(path), runtime="onnxruntime"))


def test_its_manifest_is_told_from_others(exported, toy_manifest):
    assert isinstance(load_engine_manifest(exported[1][0].manifest), MetricSolverManifest)
    assert load_engine_manifest(toy_manifest).output.name == "depth"


def test_one_set_of_files_for_all_sizes_of_a_dinov2_encoder(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    pytest.importorskip("transformers")
    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.export.metric_solver import export_metric_solver
    from metric_depth_ros.learning.models import metric_solver as module

    monkeypatch.setitem(module.DINO, "micro", module.DinoSizes(32, 2, 4, (1, 2, 3, 4), (8, 16, 24, 32), 16))
    torch.manual_seed(0)
    network = module.MetricSolver(module.MetricSolverConfig(encoder="micro"))
    (found,) = export_metric_solver(network, Wanted(tmp_path, "ms", [(70, 56)], dynamic=True))
    assert found.difference.largest < 1e-3
    engine = build_engine(EngineConfig(manifest=str(found.manifest), runtime="onnxruntime", focuses="2,20"))
    for shape in ((56, 70), (90, 30)):
        assert engine.predict(np.zeros((*shape, 3), np.uint8)).values.shape == shape
    with pytest.raises(ConfigError, match="multiples of 14"):
        export_metric_solver(network, Wanted(tmp_path, "ms", [(70, 60)]))


def test_what_has_no_files_is_refused(exported, tmp_path):
    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.export.metric_solver import export_metric_solver
    from metric_depth_ros.learning.models.metric_solver import MetricSolver, MetricSolverConfig

    with pytest.raises(ConfigError, match="told where a pixel is"):
        export_metric_solver(exported[0], Wanted(tmp_path, "ms", [(64, 64)], dynamic=True))
    with pytest.raises(ConfigError, match="single head"):
        export_metric_solver(
            MetricSolver(MetricSolverConfig(heads="one")), Wanted(tmp_path, "ms", [(64, 64)])
        )

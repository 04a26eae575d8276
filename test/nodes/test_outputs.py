"""Outputs made of results, on a real graph: what subscribers get, and nothing without them."""

import dataclasses
import re
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from diagnostic_msgs.msg import DiagnosticArray
from peer import CAMERA, scene
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from metric_depth_ros import messages
from metric_depth_ros.config import SOLVERS, from_flat, updated
from metric_depth_ros.depth_info import depth_info
from metric_depth_ros.drawing.pictures import depth_colours
from metric_depth_ros.errors import AnchorError, ConfigError
from metric_depth_ros.nodes.outputs import TOPICS, Outputs
from metric_depth_ros.pipeline import MetricDepthPipeline, build_pipeline
from metric_depth_ros.types import BASIS, Sample

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]
KEYS = {
    "scale_from", "solver", "runtime", "scale", "anchors", "anchors_used", "anchors_rejected", "cloud_age_s",
    "scale_age_s",
    "residual_median", "residual_rms", "sigma_relative", "known", "left_out",
}  # fmt: skip
SOLVED = {name: {"solver.name": name} for name in SOLVERS} | {
    "spread": {"solver.name": "median", "solver.residuals": "spread"},
    "focus": {"solver.name": "global_affine", "solver.focus_m": 5.0},
    "memory": {"solver.temporal.memory_s": 1.0},
    "left out": {"output.max_relative_sigma": 0.02},
}
PROBABILISTIC = {"gaussian_process", "basis", "refined", "spread", "memory", "left out"}


class WithMaps:
    """The toy network with three basis maps, which paper_basis needs."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def predict(self, image, **more):
        found = self._engine.predict(image, **more)
        across = np.linspace(-1, 1, 16, dtype=np.float32)[None].repeat(12, axis=0)
        maps = np.stack([np.ones_like(across), across, across**2])
        return dataclasses.replace(found, features={BASIS: maps})


@pytest.fixture(scope="module")
def engine(toy_manifest):
    return build_pipeline(config_of(toy_manifest)).engine


def config_of(toy_manifest, **more):
    return from_flat({"engine.manifest": str(toy_manifest), "anchors.grid_px": 0, **more})


def sample_of(stamp_ns=1_000_000_000):
    image, _, points = scene()
    return Sample(image, CAMERA, points, stamp_ns, "camera", (stamp_ns - 20_000_000,))


# ---- depth/info ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOLVED)
def test_info_has_the_same_keys_of_every_solver(engine, toy_manifest, name):
    config = config_of(toy_manifest, **SOLVED[name])
    engine = WithMaps(engine) if name == "paper_basis" else engine
    result = MetricDepthPipeline(engine, config).process(sample_of())
    told = depth_info(result)
    assert {key for key in told if not key.startswith("solver ")} == KEYS
    assert told["scale_from"] == "anchors"
    assert told["solver"] == config.solver.chosen
    assert told["runtime"] == engine.label
    assert told["scale"] == pytest.approx(20.0, rel=0.05)  # metres per unit of relative depth
    assert told["anchors"] == len(result.anchors)
    assert told["anchors_used"] + told["anchors_rejected"] <= len(result.anchors)
    assert told["anchors_used"] > 300
    assert told["cloud_age_s"] == pytest.approx(0.02)
    assert told["residual_median"] < 0.02 and told["residual_rms"] < 0.05
    assert np.isfinite(told["sigma_relative"]) == (name in PROBABILISTIC)
    assert 0 <= told["left_out"] < 1 and told["known"] == np.isfinite(result.metric.depth).mean()
    assert all(isinstance(value, (str, int, float, np.generic)) for value in told.values())


def test_the_keys_are_those_of_the_reference():
    section = (ROOT / "docs" / "node.md").read_text().partition("### depth/info")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == KEYS


def test_info_tells_what_the_line_of_a_solver_is_and_where_sigma_and_residuals_stand(engine, toy_manifest):
    pipeline = MetricDepthPipeline(engine, config_of(toy_manifest, **{"solver.name": "global_affine"}))
    result = pipeline.process(sample_of())
    told = depth_info(result)
    assert {"solver scale", "solver shift", "solver domain"} <= set(told)
    far = dataclasses.replace(result.anchors, depth=result.anchors.depth * np.float32(1.1))
    off = depth_info(dataclasses.replace(result, anchors=far))
    assert off["residual_median"] == pytest.approx(np.log(1.1), abs=0.02)
    metric = dataclasses.replace(result.metric, sigma=result.metric.depth * np.float32(0.07))
    assert depth_info(dataclasses.replace(result, metric=metric))["sigma_relative"] == pytest.approx(0.07)


def test_info_of_depth_without_anchors_has_all_keys_and_the_age_of_what_is_remembered(engine, toy_manifest):
    pipeline = MetricDepthPipeline(engine, config_of(toy_manifest, **{"solver.temporal.memory_s": 1.0}))
    pipeline.process(sample_of())
    empty = np.empty((0, 3), np.float32)
    for later_ns in (1_100_000_000, 1_200_000_000):
        # A cloud of which nothing can be used makes the scale no younger.
        sample = dataclasses.replace(sample_of(later_ns), points_camera=empty, sources=())
        told = depth_info(pipeline.process(sample))
    assert set(told) >= KEYS
    assert told["scale_from"] == "earlier images" and told["anchors"] == told["anchors_used"] == 0
    assert told["cloud_age_s"] == pytest.approx(0.02)
    assert told["scale_age_s"] == pytest.approx(0.22)
    assert np.isnan([told["residual_median"], told["residual_rms"]]).all()
    assert told["scale"] == pytest.approx(20.0, rel=0.05)


# ---- on a graph ------------------------------------------------------------------------------


class Listener(Node):
    """Subscribes outputs, and publishes results as the node's worker does."""

    def __init__(self):
        super().__init__("listener")
        self.heard = {}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def hear(self, kind, topic):
        got = self.heard[topic] = []
        self.create_subscription(kind, topic, got.append, 10)
        return got

    def until(self, condition, timeout_s=10.0):
        deadline = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.02)
        return condition()

    def close(self):
        self._executor.shutdown()
        self.destroy_node()


@pytest.fixture
def listener(ros):
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def talker(ros):
    node = Node("talker")
    yield node
    node.destroy_node()


def test_every_output_is_offered_as_the_recipes_say(talker):
    """Reliable, volatile, 5 kept: what costmaps and mapping subscribe to, best-effort or reliable."""
    Outputs(talker)
    for publisher in talker.publishers:
        if "/depth/" in publisher.topic_name:
            offered = publisher.qos_profile
            assert offered.reliability == ReliabilityPolicy.RELIABLE and offered.depth == 5
            assert offered.durability == DurabilityPolicy.VOLATILE
    assert {*TOPICS} <= {publisher.topic_name.lstrip("/") for publisher in talker.publishers}


def test_image_preview_and_info_come_to_subscribers_beside_the_depth(
    listener, talker, engine, toy_manifest, monkeypatch
):
    config = config_of(
        toy_manifest, **{"output.scale": 0.5, "preview.width": 16, "preview.max_depth_m": 20.0}
    )
    result = MetricDepthPipeline(engine, config).process(sample_of())
    outputs = Outputs(talker)
    depths, infos = listener.hear(Image, "depth/image_rect"), listener.hear(CameraInfo, "depth/camera_info")
    assert listener.until(lambda: outputs._depth.get_subscription_count() == 1)

    # Nothing but depth and its camera_info is made for nobody.
    made = []
    for name in ("fill_info", "fill_jpeg", "fill_cloud", "messages.image_fields"):
        monkeypatch.setattr(f"metric_depth_ros.nodes.outputs.{name}", lambda *_, **__: made.append(1))
    outputs.publish(result, config)
    assert listener.until(lambda: depths and infos) and not made
    monkeypatch.undo()

    colours = listener.hear(Image, "depth/image_rect_color")
    previews = listener.hear(CompressedImage, "depth/preview/compressed")
    told = listener.hear(DiagnosticArray, "depth/info")
    wanted = (outputs._colour, outputs._preview, outputs._info)
    assert listener.until(lambda: all(each.get_subscription_count() == 1 for each in wanted))
    outputs.publish(result, config)
    assert listener.until(lambda: colours and previews and told and len(depths) == 2)

    # The pair that a coloured cloud is made of: equal size, stamp, frame and calibration.
    depth, colour, info = depths[-1], colours[-1], infos[-1]
    assert depth.header == colour.header == info.header and colour.encoding == "rgb8"
    assert (
        (depth.width, depth.height) == (colour.width, colour.height) == (info.width, info.height) == (32, 24)
    )
    np.testing.assert_array_equal(messages.read_image(colour), result.image)

    preview = previews[-1]
    assert preview.header == depth.header and preview.format == "jpeg"
    picture = cv2.imdecode(np.frombuffer(preview.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (12, 16, 3)
    reduced = cv2.resize(result.metric.depth, (16, 12), interpolation=cv2.INTER_NEAREST)
    wanted_bgr = depth_colours(reduced, 0.3, 20.0)[..., ::-1].astype(int)
    assert np.abs(picture - wanted_bgr).mean() < 12

    (status,) = told[-1].status
    values = {pair.key: pair.value for pair in status.values}
    assert set(values) >= KEYS and status.message == values["scale_from"] == "anchors"
    assert float(values["scale"]) == pytest.approx(20.0, rel=0.05)

    # At most so many previews a second, by the images' stamps.
    for later_ms in (100, 190, 200, 300, 400):
        sample = dataclasses.replace(result.sample, stamp_ns=result.stamp_ns + later_ms * 1_000_000)
        outputs.publish(dataclasses.replace(result, sample=sample), config)
    assert listener.until(lambda: len(depths) == 7)
    assert not listener.until(lambda: len(previews) > 3, 0.5) and len(previews) == 3

    outputs.destroy()
    outputs.publish(result, config)  # a worker that is late
    with pytest.raises(AnchorError), outputs.saying_nothing(depth):
        raise AnchorError("none")
    assert not listener.until(lambda: len(depths) > 7, 0.3)
    assert not any("/depth/" in publisher.topic_name for publisher in talker.publishers)


def test_outputs_can_be_made_again(talker, toy_manifest):
    for _ in range(2):
        outputs = Outputs(talker)
        assert sum("/depth/" in publisher.topic_name for publisher in talker.publishers) == 7
        outputs.destroy()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preview.min_depth_m": 5.0, "preview.max_depth_m": 5.0}, "less than preview.max_depth_m"),
        ({"preview.quality": 0}, "from 1 to 100"),
    ],
)
def test_previews_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        updated(from_flat({}), changes)

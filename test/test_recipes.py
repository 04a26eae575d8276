"""Recipes: each runs on a small rendered drive, and its depth beats both controls."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("embreex")

from rosbags.highlevel import AnyReader

from metric_depth_ros.bags import BagReader
from metric_depth_ros.bags.recording import Recording
from metric_depth_ros.cli.frames_to_bag import CAMERA_INFO, IMAGE
from metric_depth_ros.cli.main import main
from metric_depth_ros.config import Config, from_flat
from metric_depth_ros.config.parameter_file import load
from metric_depth_ros.errors import AnchorError, InputError
from metric_depth_ros.evaluation.held_out import held_out_error
from metric_depth_ros.evaluation.interpolation import interpolate_anchors
from metric_depth_ros.pipeline import MetricDepthPipeline, build_pipeline
from metric_depth_ros.types import Sample

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "config" / "recipes"
# By the sensor, with the topics of a rendered bag; for a driver, with its own topics.
SENSORS = ("lidar", "vio", "range_finder", "depth_camera", "scan_2d", "lidar_vio_range")
DRIVERS = ("realsense", "zed", "oak", "lidar_16", "open_vins", "vins_fusion")
OTHERS = ("two_cameras", "nav2_depth", "nav2_costmap")
RECIPES = [FOLDER / f"{name}.yaml" for name in SENSORS]
HELD_OUT = "/lidar/points_held_out"
# What a rendered bag has in place of a driver's topics.
LIKE = {
    "depth": {"topic": "/depth_camera/image_raw", "camera_info": "/depth_camera/camera_info"},
    "lidar": {"topic": "/lidar/points"},
    "vio": {"topic": "/vio/points"},
}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A walk through a room, with all sensors."""
    path = tmp_path_factory.mktemp("drive") / "drive.mcap"
    sensors = "lidar,radar,range_finder,scan_2d,vio,depth_camera"
    options = ("--seconds", "2.4", "--rate", "10", "--size", "200x150", "--family", "room", "--seed", "1")
    made = main(
        [
            "synthesize",
            str(path),
            "--bag",
            *options,
            "--textures",
            "70",
            "--workers",
            "1",
            "--sensors",
            sensors,
        ]
    )
    assert made == 0
    return path


@pytest.fixture(scope="module")
def pipeline() -> MetricDepthPipeline:
    return build_pipeline(Config())


def errors(
    pipeline: MetricDepthPipeline, bag: Path, config: Config, anchors: str | None = None
) -> np.ndarray:
    """AbsRel of the solver, of it on a constant map and of interpolated anchors, for the later images."""
    pipeline = pipeline.with_config(config)
    rows = []
    with BagReader(bag, sources=config.sources, anchors=anchors, anchors_held_out=HELD_OUT) as reader:
        for _, sample in list(reader.samples(config))[16::2]:
            assert isinstance(sample, Sample), sample
            perceived = pipeline.perceive(sample)
            flat = replace(perceived.relative, values=np.ones_like(perceived.relative.values), features={})
            result, control = (pipeline.solve(p) for p in (perceived, replace(perceived, relative=flat)))
            plain = interpolate_anchors(result.anchors, result.camera.width, result.camera.height)
            assert not result.doubts
            assert set(result.anchors_by_source) == set(config.sources or ["anchors"])
            rows.append(
                [
                    held_out_error(depth, result.camera, sample.points_held_out, config.anchors)[0]
                    for depth in (result.metric.depth, control.metric.depth, plain)
                ]
            )
        assert not reader.skipped
    return np.mean(rows, axis=0)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_and_beats_its_controls(path: Path, bag: Path, pipeline: MetricDepthPipeline) -> None:
    found, constant, plain = errors(pipeline, bag, load(path))
    assert found < constant
    assert found < plain


@pytest.mark.parametrize(("recipe", "topic"), [("vio", "/vio/points"), ("range_finder", "/range")])
def test_a_sensor_s_model_beats_the_defaults_of_the_one_topic(
    recipe: str, topic: str, bag: Path, pipeline: MetricDepthPipeline
) -> None:
    config = load(RECIPES[0].with_name(f"{recipe}.yaml"))
    with_model = errors(pipeline, bag, config)[0]
    plain = from_flat({"anchors.min_count": config.anchors.min_count})
    assert with_model < 0.8 * errors(pipeline, bag, plain, topic)[0]


def test_several_sensors_are_better_than_each_alone(bag: Path, pipeline: MetricDepthPipeline) -> None:
    together, *alone = (
        errors(pipeline, bag, load(RECIPES[0].with_name(f"{name}.yaml")))[0]
        for name in ("lidar_vio_range", "lidar", "vio", "range_finder")
    )
    assert together < min(alone)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_without_its_sensor_a_recipe_says_what_is_missing(
    path: Path, bag: Path, pipeline: MetricDepthPipeline
) -> None:
    config = load(path)
    first, *others = config.sources
    unplugged = {first: replace(config.sources[first], topic="/unplugged")}
    reader = BagReader(bag, sources={**config.sources, **unplugged})
    named = f"source {first}: /unplugged is not in the bag; it has "
    if not others:
        with pytest.raises(InputError, match=named), reader:
            pass
        return
    with reader:
        sample = [outcome for _, outcome in reader.samples(config)][-1]
        assert [named in reason for reason in reader.skipped] == [True]
    assert isinstance(sample, Sample), sample
    assert {*pipeline.with_config(config).process(sample).anchors_by_source} == {*others}


def test_one_range_is_too_few_without_the_recipe_s_min_count(bag: Path) -> None:
    config = from_flat({"anchors.sources": ["a"], "sources.a.topic": "/range"})
    with BagReader(bag, sources=config.sources) as reader:
        sample = next(outcome for _, outcome in reader.samples(config))
    with pytest.raises(AnchorError, match="of 1 points, need 3"):
        build_pipeline(config).process(sample)


def test_recipes_are_short_and_commented() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*SENSORS, *DRIVERS, *OTHERS}
    for name in (*SENSORS, *DRIVERS):
        text = (FOLDER / f"{name}.yaml").read_text()
        assert text.startswith("# ") and len(text.splitlines()) < 25
        assert [*yaml.safe_load(text)] == ["/**"]


# ---- pages -----------------------------------------------------------------------------------


def printed() -> list[list[str]]:
    """Words of every `metric_depth run` that a page of recipes prints."""
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "recipes").glob("*.md"))
    return [line.split() for line in re.findall(r"^    metric_depth (run BAG .*)$", pages, re.MULTILINE)]


def renamed(bag: Path, out: Path, names: dict[str, str]) -> Path:
    """Writes a bag with some topics called otherwise, and all others of points left out."""
    with AnyReader([bag]) as reader, contextlib.closing(Recording(out)) as written:
        kept = {}
        for each in reader.connections:
            if each.topic in names or each.topic in ("/tf", "/tf_static", HELD_OUT):
                topic = names.get(each.topic, each.topic)
                kept[each.id] = written.add_connection(topic, each.msgtype, typestore=reader.typestore)
        for connection, stamp_ns, raw in reader.messages():
            if connection.id in kept:
                written.write(kept[connection.id], stamp_ns, raw)
    return out


@pytest.mark.parametrize("argv", printed(), ids=lambda argv: argv[argv.index("--config") + 1])
def test_a_printed_command_runs_on_a_bag_with_its_topics(
    argv: list[str],
    bag: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)  # outside the checkout
    image = argv[argv.index("--image") + 1]
    names = {IMAGE: image, CAMERA_INFO: f"{image.rpartition('/')[0]}/camera_info"}
    recipe = argv[argv.index("--config") + 1]
    for name, source in load(recipe).sources.items():
        like = LIKE.get(name, {"topic": source.topic})
        names |= {topic: getattr(source, key) for key, topic in like.items()}
    drive = renamed(bag, tmp_path / "drive", names)
    argv = [str(drive) if word == "BAG" else word for word in argv]
    assert main([*argv, "--out", str(tmp_path / "out"), "--held-out", HELD_OUT]) == 0
    said = capsys.readouterr().out
    answered, images = map(int, re.search(r"depth for (\d+) of (\d+) images", said).groups())
    assert images == 24 and answered >= 20, said  # odometry begins with the first image
    assert float(re.search(r"AbsRel ([\d.]+)", said)[1]) < (0.4 if recipe == "range_finder" else 0.2), said


def test_every_sensor_s_recipe_has_its_command() -> None:
    shown = {argv[argv.index("--config") + 1] for argv in printed()}
    assert shown == {*DRIVERS, *SENSORS}


def test_a_costmap_takes_the_cloud_of_the_node() -> None:
    """Every source of Nav2's layers is the node's cloud, within what the node sends."""
    ours = load(FOLDER / "nav2_depth.yaml").cloud
    costmap = yaml.safe_load((FOLDER / "nav2_costmap.yaml").read_text())["local_costmap"]["local_costmap"]
    for name in ("voxel_layer", "stvl_layer"):
        layer = costmap["ros__parameters"][name]
        for source in layer["observation_sources"].split():
            assert layer[source]["topic"] == "/depth/points" and layer[source]["data_type"] == "PointCloud2"
            reach = layer[source].get("obstacle_max_range", layer[source].get("obstacle_range", 0))
            assert reach <= ours.max_depth_m


def test_each_of_two_cameras_has_its_own_settings() -> None:
    path = FOLDER / "two_cameras.yaml"
    both, rear = yaml.safe_load(path.read_text())
    assert (both, rear) == ("/**", "/rear/metric_depth_node")
    assert load(path).solver.max_depth_m == 15.0  # the more exactly named counts

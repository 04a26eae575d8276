"""Recipes: each runs on a small rendered drive, and its depth beats both controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("embreex")

from metric_depth_ros.bags import BagReader
from metric_depth_ros.cli.main import main
from metric_depth_ros.config import Config, from_flat
from metric_depth_ros.config.parameter_file import load
from metric_depth_ros.errors import AnchorError, InputError
from metric_depth_ros.evaluation.held_out import held_out_error
from metric_depth_ros.evaluation.interpolation import interpolate_anchors
from metric_depth_ros.pipeline import MetricDepthPipeline, build_pipeline
from metric_depth_ros.types import Sample

RECIPES = sorted((Path(__file__).parents[1] / "config" / "recipes").glob("*.yaml"))
HELD_OUT = "/lidar/points_held_out"


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
    assert {path.stem for path in RECIPES} >= {
        "lidar", "vio", "range_finder", "depth_camera", "scan_2d", "lidar_vio_range",
    }  # fmt: skip
    for path in RECIPES:
        text = path.read_text()
        assert text.startswith("# ") and len(text.splitlines()) < 25
        assert [*yaml.safe_load(text)] == ["/**"]

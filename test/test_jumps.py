"""A range that is wrong for one cloud gives no wrong depth; a scene that changes is followed at once."""

from dataclasses import replace

import numpy as np
import pytest

from metric_depth_ros.config import from_flat
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.geometry import unproject
from metric_depth_ros.pipeline import build_pipeline
from metric_depth_ros.types import Sample, SourcePoints

MS = 1_000_000


@pytest.fixture
def shot(camera):
    """Function to a sample of a wall 2 to 8 m away at a time, by the factors of its sources' points."""
    gray = np.linspace(60, 200, camera.width).astype(np.uint8)
    image = np.repeat(np.broadcast_to(gray, (camera.height, camera.width))[:, :, None], 3, axis=2).copy()
    truth = image[:, :, 0] / 25.0
    u, v = (a.ravel() for a in np.meshgrid(np.arange(0, 64, 3), np.arange(0, 48, 3)))
    points = unproject(np.stack([u, v], 1), truth[v, u], camera).astype(np.float32)

    def make(at_ms, picture=image, cloud_ms=None, **factors):
        newest_ns = (at_ms if cloud_ms is None else cloud_ms) * MS
        models = {name: "" if name == "anchors" else "lidar" for name in factors}
        sources = tuple(
            SourcePoints(name, points * np.float32(factor), models[name], newest_ns=newest_ns)
            for name, factor in factors.items()
        )
        return Sample(picture, camera, sources[0].points, at_ms * MS, "camera", (newest_ns,), sources=sources)

    make.truth, make.image = truth, image
    return make


@pytest.fixture
def solved(toy_manifest, shot):
    """Function to the depth of a sample over the truth, or None; and the pipeline behind it."""

    def start(**settings):
        given = {"engine.manifest": str(toy_manifest), "anchors.grid_px": 0, **settings}
        pipeline = build_pipeline(from_flat(given))

        def solve(sample):
            try:
                solve.result = pipeline.process(sample)
            except AnchorError as error:
                solve.error = str(error)
                return None
            return round(float(np.median(solve.result.metric.depth / shot.truth)), 2)

        return solve

    return start


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.9])
def test_every_fifth_cloud_of_another_range_gives_no_depth_and_is_named(shot, solved, factor):
    """A camera of 30 Hz with a LiDAR of 10 Hz: three images have one cloud."""
    solve = solved()
    for turn in range(15):
        wrong = turn % 5 == 4
        for third in range(3):
            sample = shot(100 * turn + 33 * third, cloud_ms=100 * turn, anchors=factor if wrong else 1.0)
            assert solve(sample) == (None if wrong else 1)
            if wrong:
                assert f"range jump: {factor:.2g} times as deep" in solve.error


@pytest.mark.parametrize("factor", [1.5, 2.0, 0.5, 4.0])
def test_a_true_step_is_followed_from_its_second_cloud_on(shot, solved, factor):
    solve = solved()
    assert [solve(shot(100 * turn, anchors=1)) for turn in range(3)] == [1, 1, 1]
    later = [solve(shot(100 * turn, anchors=factor)) for turn in range(3, 7)]
    assert later[1:] == [factor] * 3
    assert later[0] in (None, factor)
    assert [solve(shot(100 * turn, anchors=1)) for turn in range(7, 10)][1:] == [1, 1]  # and back


def test_a_sensor_that_says_something_else_each_time_is_never_believed(shot, solved):
    solve = solved()
    assert solve(shot(0, anchors=1)) == 1
    told = [solve(shot(100 * (1 + turn), anchors=factor)) for turn, factor in enumerate([2, 4, 8, 3, 6])]
    assert told == [None] * 5
    assert solve(shot(600, anchors=1)) == 1


def test_what_has_passed_long_ago_or_looks_different_says_nothing(shot, solved):
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    solve = solved()
    assert solve(shot(0, anchors=1)) == 1
    assert solve(shot(1_500, anchors=2)) == 2
    assert solve(shot(1_600, picture=picture, anchors=1)) is not None
    unstamped = replace(shot(1_700, anchors=8), sources=())
    assert solve(replace(unstamped, image=picture)) is not None  # folders of frames have no clouds


def test_a_source_that_jumps_is_left_out_and_named_and_the_others_serve(shot, solved):
    settings = {"anchors.sources": ["a", "b"], "sources.a.topic": "/a", "sources.b.topic": "/b"}
    solve = solved(**settings)
    assert solve(shot(0, a=1, b=1)) == 1
    assert solve(shot(100, a=2, b=1)) == 1
    (doubt,) = solve.result.doubts
    assert doubt.startswith("source a: range jump: 2 times as deep as 0.10 s before")
    assert solve.result.anchors_by_source["a"] == 0 and solve.result.metric.info["doubts"] == doubt
    assert solve(shot(200, a=1, b=1)) == 1
    assert not solve.result.doubts and solve.result.anchors_by_source["a"] > 0
    assert "doubts" not in solve.result.metric.info


def test_with_a_memory_depth_goes_on_without_the_cloud_that_jumps(shot, solved):
    solve = solved(**{"solver.temporal.memory_s": 1.0})
    for turn in range(3):
        assert solve(shot(100 * turn, anchors=1)) == 1
    assert solve(shot(300, anchors=2)) == pytest.approx(1, abs=0.05)
    assert "range jump" in solve.result.metric.info["doubts"]
    solve(shot(400, anchors=2))
    assert solve(shot(500, anchors=2)) == pytest.approx(2, abs=0.2)


def test_a_robot_s_own_motion_is_no_jump(shot, solved):
    """Towards a wall at 3 m/s, and away from one nearby."""
    solve = solved()
    for turn in range(12):
        assert solve(shot(100 * turn, anchors=1 - 0.06 * turn)) is not None
    assert solve(shot(1_200, anchors=0.5)) == 0.5


def test_a_jump_survives_new_settings_and_not_a_reset(toy_manifest, shot):
    pipeline = build_pipeline(from_flat({"engine.manifest": str(toy_manifest)}))
    pipeline.process(shot(0, anchors=1))
    changed = pipeline.with_config(from_flat({"engine.manifest": str(toy_manifest), "solver.focus_m": 3.0}))
    with pytest.raises(AnchorError, match="range jump"):
        changed.process(shot(100, anchors=2))
    changed.reset()
    changed.process(shot(200, anchors=3))

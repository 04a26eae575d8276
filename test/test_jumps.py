"""A range that is wrong for one cloud gives no wrong depth; a scene that changes is followed at once."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from metric_depth_ros.config import from_flat
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.geometry import unproject
from metric_depth_ros.health.jumps import JumpWatch
from metric_depth_ros.pipeline import build_pipeline
from metric_depth_ros.types import Anchors, Sample, SourcePoints

MS = 1_000_000


@pytest.fixture
def shot(camera):
    """Function to a sample of a wall 2 to 8 m away at a time, by the factors of its sources' points."""
    gray = np.linspace(60, 200, camera.width).astype(np.uint8)
    image = np.repeat(np.broadcast_to(gray, (camera.height, camera.width))[:, :, None], 3, axis=2).copy()
    truth = image[:, :, 0] / 25.0
    u, v = (a.ravel() for a in np.meshgrid(np.arange(0, 64, 3), np.arange(0, 48, 3)))
    points = unproject(np.stack([u, v], 1), truth[v, u], camera).astype(np.float32)

    def make(at_ms, picture=image, cloud_ms=None, some=slice(None), **factors):
        newest_ns = (at_ms if cloud_ms is None else cloud_ms) * MS
        models = {name: "" if name == "anchors" else "lidar" for name in factors}
        sources = tuple(
            SourcePoints(name, points[some] * np.float32(factor), models[name], newest_ns=newest_ns)
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


def test_a_sensor_of_few_points_says_the_same_each_time_or_is_not_believed(shot, solved):
    solve, some = solved(), slice(None, None, 59)
    told = [solve(shot(100 * turn, some=some, anchors=2.0 if turn % 5 == 4 else 1)) for turn in range(15)]
    assert told == ([1] * 4 + [None]) * 3
    assert "range jump: 2 times" in solve.error


@pytest.mark.parametrize("factor", [2.0, 0.5])
@pytest.mark.parametrize(("count", "wrong"), [(3, True), (6, True), (9, True), (352, True), (2, False)])
def test_any_number_of_points_from_three_is_judged(shot, factor, count, wrong):
    found = judged(shot, np.linspace(0, 351, count).astype(int), factor * np.ones(count))
    assert bool(found) == wrong


@pytest.mark.parametrize("few", [3, 6, 9])
def test_few_points_that_differ_among_themselves_are_no_jump(shot, few):
    """Those of many count most: a quarter may be off."""
    some = np.linspace(0, 351, few).astype(int)
    scattered = np.where(np.arange(few) % 3 == 0, 6.0, 1.4)
    assert not judged(shot, some, scattered)
    assert not judged(shot, some, np.where(np.arange(few) == 0, 1.0, 2.0))
    assert judged(shot, slice(None), np.where(np.arange(352) % 5 == 0, 1.0, 2.0))


def judged(shot, some, factors):
    """What a watch says of some points, each with a factor, 0.1 s after the truth."""
    uv = np.stack([each.ravel() for each in np.meshgrid(np.arange(0, 64, 3), np.arange(0, 48, 3))], 1)[some]
    depth = shot.truth[uv[:, 1], uv[:, 0]]
    watch, sigma = JumpWatch(), np.full(len(uv), 0.03)
    watch.keep(shot.truth, shot.image, Anchors(uv.astype(float), depth, sigma), 0)
    anchors = Anchors(uv.astype(float), depth * factors, sigma)
    return watch.found({"anchors": anchors}, {"anchors": 100 * MS}, shot.image, 100 * MS)


def noisy(picture, turn, sigma=2.0):
    noise = np.random.default_rng(turn).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("some", [slice(None), slice(None, None, 59)], ids=["dense", "six points"])
@pytest.mark.parametrize("period_ms", [100, 500, 5_000])
@pytest.mark.parametrize("near", [1.0, 0.16], ids=["2 to 8 m", ".4 to 1.3 m"])
@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_picture_that_stays_lets_nothing_move(shot, solved, factor, near, period_ms, some):
    """However near the scene is and however long ago: nothing of it can have moved."""
    solve = solved()
    for turn in range(4):
        wrong = turn % 3 == 2
        sample = shot(
            turn * period_ms, noisy(shot.image, turn), some=some, anchors=near * (factor if wrong else 1)
        )
        assert solve(sample) == (None if wrong else pytest.approx(near, rel=0.05)), turn
        assert not wrong or f"range jump: {factor:.2g}" in solve.error


@pytest.mark.parametrize("factor", [2.0, 0.5])
@pytest.mark.parametrize("metres", [0.6, 3.0])
@pytest.mark.parametrize("period_ms", [100, 500])
def test_a_plain_wall_is_the_same_picture_but_for_noise(camera, shot, solved, period_ms, metres, factor):
    solve, plain = solved(), np.full((camera.height, camera.width, 3), 150.0)
    u, v = (a.ravel() for a in np.meshgrid(np.arange(0, 64, 3), np.arange(0, 48, 3)))
    wall = unproject(np.stack([u, v], 1), np.full(u.shape, metres), camera).astype(np.float32)
    for turn in range(4):
        wrong = turn % 3 == 2
        sample = shot(turn * period_ms, noisy(plain, turn), anchors=1)
        points = wall * np.float32(factor if wrong else 1)
        sources = tuple(replace(source, points=points) for source in sample.sources)
        told = solve(replace(sample, points_camera=points, sources=sources))
        assert (told is None) == wrong, turn
        assert not wrong or f"range jump: {factor:.2g}" in solve.error


def textured(camera, zoom, right=0.0):
    """Picture of a wall with blotches, seen by zoom larger and moved right by pixels."""
    blotches = np.random.default_rng(3).integers(40, 220, (24, 32)).astype(np.float32)
    wall = cv2.resize(blotches, (4 * camera.width, 4 * camera.height), interpolation=cv2.INTER_CUBIC)
    centre = np.array([camera.width, camera.height]) / 2
    matrix = np.hstack([np.eye(2) * zoom, (centre - zoom * 4 * centre + [right, 0])[:, None]])
    gray = cv2.warpAffine(wall, matrix, (camera.width, camera.height), flags=cv2.INTER_LINEAR)
    return np.clip(gray, 0, 255).astype(np.uint8)[:, :, None].repeat(3, 2)


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_robot_that_moves_near_a_wall_hides_no_jump(camera, shot, solved, factor):
    """The picture has moved by a pixel and grown by 2 %: not what a range that doubles would do to it."""
    solve = solved()
    for turn in range(7):
        wrong = turn % 3 == 2
        zoom = 1.02**turn
        sample = shot(
            100 * turn, textured(camera, zoom, turn), anchors=0.15 / zoom * (factor if wrong else 1)
        )
        assert (solve(sample) is None) == wrong, turn
        assert not wrong or "range jump" in solve.error


@pytest.mark.parametrize("zoom", [1.45, 0.68])
def test_a_picture_that_grows_as_the_range_shrinks_is_motion(camera, shot, solved, zoom):
    """At 5 m/s; the same range with the same picture is a jump."""
    solve = solved()
    assert solve(shot(0, textured(camera, 1), anchors=1)) is not None
    assert solve(shot(100, textured(camera, zoom), anchors=1 / zoom)) is not None
    assert solve(shot(200, textured(camera, zoom), anchors=1)) is None


def test_what_has_passed_long_ago_in_another_picture_says_nothing(camera, shot, solved):
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    solve = solved()
    assert solve(shot(0, anchors=1)) == 1
    assert solve(shot(1_600, picture=picture, anchors=2)) is not None
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


def test_a_robot_s_own_motion_is_no_jump(camera, shot, solved):
    """Towards a wall at 3 m/s and more, and away from one nearby, with the pictures that it sees."""
    solve = solved()
    for turn in range(12):
        metres = 1 - 0.06 * turn
        assert solve(shot(100 * turn, textured(camera, 1 / metres), anchors=metres)) is not None
    assert solve(shot(1_200, textured(camera, 1 / 0.47), anchors=0.47)) is not None


def test_a_jump_survives_new_settings_and_not_a_reset(toy_manifest, shot):
    pipeline = build_pipeline(from_flat({"engine.manifest": str(toy_manifest)}))
    pipeline.process(shot(0, anchors=1))
    changed = pipeline.with_config(from_flat({"engine.manifest": str(toy_manifest), "solver.focus_m": 3.0}))
    with pytest.raises(AnchorError, match="range jump"):
        changed.process(shot(100, anchors=2))
    changed.reset()
    changed.process(shot(200, anchors=3))

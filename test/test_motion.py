"""Clouds are moved from when and where they were measured to the image's time and frame."""

from types import SimpleNamespace as Namespace

import numpy as np
import pytest

from metric_depth_ros.config import from_flat
from metric_depth_ros.errors import TransformError
from metric_depth_ros.geometry import rigid_transform, transform_points
from metric_depth_ros.motion import Places, deskewed
from metric_depth_ros.samples import Picture, build_sample
from metric_depth_ros.sync import Source, gather_points, gather_sources
from metric_depth_ros.transforms import TransformTree, interpolate
from metric_depth_ros.types import Cloud

MS = 1_000_000
T = np.eye(4)


def at(x=0.0, turn=0.0):
    return rigid_transform([x, 0, 0], [0, 0, np.sin(turn / 2), np.cos(turn / 2)])


def grown(*edges):
    """Tree of "parent child"; a moving edge has a * behind it, and moves 1 m/s from 0 to 10 s."""
    tree = TransformTree()
    for edge in edges:
        parent, child, *moving = edge.split()
        for tenth in range(101 if moving else 1):
            tree.add(parent, child, at(tenth / 10), 100 * tenth * MS, static=not moving)
    return tree


def cloud(stamp_ms, frame="lidar", x=0.0, **more):
    return Cloud(np.array([[x, 0, 1]], np.float32), frame, stamp_ms * MS, **more)


def config(frame="auto", **more):
    return from_flat({"sync.fixed_frame": frame, **more})


# ---- the fixed frame -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "expected", "merges"),
    [
        (["map odom *", "odom base *", "base camera"], "odom", True),
        (["map base *", "base camera"], "map", True),
        (["r1/map r1/odom", "r1/odom r1/base *", "r1/base camera"], "r1/odom", True),
        (["odom map", "map base *", "base camera"], "odom", True),
        (["earth base *", "base camera"], "earth", False),
        (["base mast *", "mast camera"], "base", False),  # the robot's body moves, too
        (["map odom *", "odom base", "base camera"], "map", True),  # odom does not move against the camera
        (["odom base", "base camera"], "", False),
        (["base camera"], "", False),
        (["camera other *"], "", False),
        ([], "", False),
    ],
)
def test_the_fixed_frame_is_that_of_tf(edges, expected, merges):
    places = Places("camera", 5_000 * MS, grown(*edges), config())
    assert (places.fixed_frame, places.merges) == (expected, merges)


@pytest.mark.parametrize("frame", ["none", ""])
def test_nothing_is_moved_where_no_fixed_frame_is_wanted(frame):
    tree = grown("odom camera *")
    places = Places("camera", 5_000 * MS, tree, config(frame))
    np.testing.assert_array_equal(gather_points([cloud(4_900, "camera")], places), [[0, 0, 1]])
    assert places.words == "no motion known" and places.in_full


def test_parameters_leave_tf_alone():
    by_hand = config(**{"extrinsics.source": "parameters", "solver.temporal.memory_s": 1.0})
    places = Places("camera", 5_000 * MS, grown("odom camera *"), by_hand)
    assert places.fixed_frame == "" and places.T_fixed_camera is None


@pytest.mark.parametrize(
    ("image_ms", "cloud_ms", "moved_by", "words"),
    [
        (9_900, 9_800, 0.1, "odom"),
        (10_050, 9_800, 0.2, "odom, 50 ms before the image"),  # of 0.25 m
        (10_050, 10_030, 0.0, "odom, 50 ms before the image"),  # less is left out than with a pose before it
        (10_305, 10_000, 0.0, "odom, but not known at the image's time: clouds are not moved"),
        (9_900, 9_905, -0.005, "odom"),  # the cloud is newer
        (10_000, 10_005, 0.0, "odom"),
    ],
)
def test_without_a_name_nothing_waits_and_what_is_not_known_yet_is_left_out(
    image_ms, cloud_ms, moved_by, words
):
    tree, remembers = grown("odom camera *"), {"solver.temporal.memory_s": 1.0}
    places = Places("camera", image_ms * MS, tree, config(**remembers))
    points = gather_points([cloud(cloud_ms, "camera")], places)
    np.testing.assert_allclose(points[0, 0], -moved_by, atol=1e-6)
    assert places.words == words and places.in_full == (words == "odom")
    assert (places.T_fixed_camera is not None) == (words == "odom")
    if words != "odom":
        with pytest.raises(TransformError, match="outside"):
            gather_points([cloud(cloud_ms, "camera")], Places("camera", image_ms * MS, tree, config("odom")))


@pytest.mark.parametrize(
    ("image_ms", "cloud_ms", "moved_by"),
    [(10_000, 10_005, 0.0), (9_990, 9_995, -0.005), (10_000, 9_900, 0.1)],
)
def test_a_cloud_hardly_newer_than_the_image_needs_no_transform_of_its_own(image_ms, cloud_ms, moved_by):
    """A LiDAR of 100 Hz with odometry of 10 Hz, which is known at the image's time and no later."""
    places = Places("camera", image_ms * MS, grown("odom camera *"), config("odom"))
    points = gather_points([cloud(cloud_ms, "camera")], places)
    np.testing.assert_allclose(points[0, 0], -moved_by, atol=1e-6)
    for image_ms, cloud_ms in ((10_001, 10_010), (10_000, 10_050)):  # its place is missing; a newer cloud
        places = Places("camera", image_ms * MS, grown("odom camera *"), config("odom"))
        with pytest.raises(TransformError, match="outside"):
            gather_points([cloud(cloud_ms, "camera")], places)


def test_a_name_that_is_not_there_is_told():
    with pytest.raises(TransformError, match="'vodom' does not exist"):
        gather_points([cloud(5_000)], Places("camera", 5_000 * MS, grown("camera lidar"), config("vodom")))


def test_a_cloud_from_before_the_transforms_began_is_used_if_it_is_not_too_old():
    tree = TransformTree()
    for stamp in (5_000, 6_000):
        tree.add("odom", "camera", at(stamp / 1_000), stamp * MS)
    near, far = (Places("camera", stamp * MS, tree, config()) for stamp in (5_100, 5_400))
    np.testing.assert_array_equal(gather_points([cloud(4_900, "camera")], near), [[0, 0, 1]])
    with pytest.raises(TransformError, match="outside"):
        gather_points([cloud(4_900, "camera")], far)


# ---- how many clouds are merged, and look-ups -----------------------------------------------------

FRONT = {"anchors.sources": ["front"], "sources.front.topic": "/range", "sources.front.type": "range"}


@pytest.mark.parametrize(
    ("edges", "image_ms", "expected"),
    [
        (["odom camera *"], 9_900, 4),
        (["odom camera *"], 10_100, 4),  # odometry comes late
        (["odom camera *"], 10_600, 1),  # and has ended
        (["base camera *"], 9_900, 1),
        (["camera mast *"], 9_900, 1),
    ],
)
def test_a_sensor_s_older_points_are_merged_where_their_motion_is_known(edges, image_ms, expected):
    settings, told = config(**FRONT), []
    source = Source("front", "range", settings)
    for late in (1_500, 800, 300, 0):
        source.ring.add(cloud(image_ms - late, "camera"))
    clouds = source.ring.select(image_ms * MS)
    places = Places("camera", image_ms * MS, grown(*edges), settings)
    (found,) = gather_sources([(source, clouds)], places, lambda name, error: told.append(name))
    assert len(found.points) == expected and not told
    assert found.newest_ns == image_ms * MS
    old = Source("front", "range", settings)
    if expected == 1:
        with pytest.raises(TransformError, match=r"sync\.fixed_frame"):
            gather_sources([(old, [cloud(image_ms - 500, "camera")])], places, print)


class Counting(TransformTree):
    """Counts what is looked up."""

    looked_up = 0

    def lookup(self, *where, **how):
        self.looked_up += 1
        return super().lookup(*where, **how)


def test_a_scan_whose_end_is_not_known_yet_is_looked_up_once(camera):
    settings, tree = config(), Counting()
    tree.add("base", "camera", T, 0, static=True)
    tree.add("base", "lidar", T, 0, static=True)
    for stamp in (0, 2_000):
        tree.add("odom", "base", at(stamp), stamp * MS)
    scan = cloud(2_000, offset_s=np.array([0.1], np.float32))
    source = Source("anchors", "point_cloud2", settings)
    picture = Picture(np.zeros((48, 64, 3), np.uint8), camera, None, None)
    sample = build_sample(
        picture, [(source, [scan])], None, Places("camera", 2_000 * MS, tree, settings), print
    )
    assert len(sample.points_camera) == 1 and sample.points_up is not None
    assert tree.looked_up == 2 + 11  # image and cloud in odom, and the poses over the scan


def test_one_image_looks_nothing_up_twice():
    names = {"anchors.sources": ["a", "b"], "sources.a.topic": "/a", "sources.b.topic": "/b"}
    settings = config(**names, **{"solver.temporal.memory_s": 1.0})
    tree = Counting()
    tree.add("base", "camera", T, 0, static=True)
    tree.add("base", "lidar", T, 0, static=True)
    for stamp in (0, 5_000):
        tree.add("odom", "base", at(stamp), stamp * MS)
    sources = [(Source(name, "point_cloud2", settings), [cloud(2_000)]) for name in "ab"]
    places = Places("camera", 2_100 * MS, tree, settings)
    found = gather_sources(sources, places, print)
    assert all(each.up is not None for each in found) and places.T_fixed_camera is not None
    assert tree.looked_up == 3  # the image in odom, and each of two clouds
    tree.looked_up = 0
    gather_sources(sources, Places("camera", 2_200 * MS, tree, settings), print)
    assert tree.looked_up == 1
    tree.looked_up = 0
    unknown = [(Source(name, "point_cloud2", settings), [cloud(2_000, "moon")]) for name in "ab"]
    places = Places("camera", 2_100 * MS, tree, config("none", **names))
    with pytest.raises(TransformError, match="moon"):
        gather_sources(unknown, places, print)
    assert tree.looked_up == 1  # which may wait


# ---- points with times of their own ---------------------------------------------------------------


def spun(moving=True, seconds=0.1):
    """A scan of a room by a LiDAR that drives and turns, and where its points are in the room."""
    tree = TransformTree()
    tree.add("base", "camera", T, 0, static=True)
    tree.add("base", "lidar", at(0.2), 0, static=True)
    for step in range(41):  # odometry at 50 Hz: 2 m/s and 1.5 rad/s, both growing
        time_s = 0.02 * step
        pose = at(2 * time_s + time_s**2, 1.5 * time_s + time_s**2) if moving else T
        tree.add("odom", "base", pose, step * 20 * MS)
    columns, lines = np.linspace(0, 1, 900), np.radians(np.linspace(-14, 15, 16))
    azimuth, up = (a.ravel() for a in np.meshgrid(0.01 + 2 * np.pi * columns, lines))
    offset_s = np.tile(seconds * columns, 16).astype(np.float32)
    rays = np.stack([np.cos(azimuth) * np.cos(up), np.sin(azimuth) * np.cos(up), np.sin(up)], 1)
    points, true = np.empty_like(rays), np.empty_like(rays)
    for time_s in np.unique(offset_s):
        rows = offset_s == time_s
        pose = tree.lookup("odom", "lidar", 300 * MS + round(float(time_s) * 1e9))
        turned = rays[rows] @ pose[:3, :3].T
        # Walls at 8 m, floor and ceiling at 2 m.
        range_m = np.min((np.sign(turned) * [8, 8, 2] - pose[:3, 3]) / turned, axis=1)
        points[rows], true[rows] = rays[rows] * range_m[:, None], turned * range_m[:, None] + pose[:3, 3]
    return tree, points.astype(np.float32), offset_s, true


def error_m(tree, points, offset_s, true, image_ms=420, **settings):
    places = Places("camera", image_ms * MS, tree, config(**settings))
    found = gather_points([Cloud(points, "lidar", 300 * MS, offset_s=offset_s)], places)
    true = transform_points(tree.lookup("camera", "odom", image_ms * MS), true)
    return np.linalg.norm(found - true, axis=1).max()


def test_points_of_a_spinning_lidar_are_moved_from_their_own_times():
    tree, points, offset_s, true = spun()
    assert error_m(tree, points, offset_s, true, frame="none") > 2
    assert error_m(tree, points, None, true) > 1
    assert error_m(tree, points, offset_s, true) < 0.003
    shifted = Cloud(points, "lidar", 400 * MS, offset_s=offset_s - np.float32(0.1))  # the stamp of the end
    found = gather_points([shifted], Places("camera", 420 * MS, tree, config()))
    expected = transform_points(tree.lookup("camera", "odom", 420 * MS), true)
    assert np.linalg.norm(found - expected, axis=1).max() < 0.003


def test_a_scan_without_times_or_motion_stays_as_it_is_to_the_bit():
    (moving, points, offset_s, _), (still, *_) = spun(), spun(moving=False)
    for tree, times in ((moving, None), (still, offset_s), (moving, offset_s)):
        places = Places("camera", 420 * MS, tree, config())
        placed = places.of(Cloud(points, "lidar", 300 * MS, offset_s=times))
        plain = transform_points(placed.T, points)
        assert np.array_equal(placed.points, plain) == (tree is still or times is None)
        assert (placed.path is None) == (tree is still or times is None)  # nothing is computed


def test_what_of_a_scan_s_motion_is_not_known_yet_is_left_out():
    tree, points, offset_s, true = spun()
    cut = TransformTree()
    cut.add("base", "camera", T, 0, static=True)
    cut.add("base", "lidar", at(0.2), 0, static=True)
    for step in range(18):  # up to 340 ms
        cut.add("odom", "base", tree.lookup("odom", "base", step * 20 * MS), step * 20 * MS)
    given = Cloud(points, "lidar", 300 * MS, offset_s=offset_s)
    places = Places("camera", 420 * MS, cut, config())
    found = places.of(given).points
    expected = transform_points(tree.lookup("camera", "odom", 340 * MS), true)
    known = offset_s <= 0.03
    assert np.linalg.norm(found - expected, axis=1)[known].max() < 0.003
    assert not given.paths  # the next image looks again
    assert Places("camera", 420 * MS, tree, config()).of(given).path is not None and given.paths


def test_each_point_is_moved_as_by_the_pose_at_its_time():
    rng = np.random.default_rng(0)
    path = np.stack([at(step, 0.02 * step) for step in range(4)])
    points, time_s = rng.normal(size=(500, 3)).astype(np.float32), rng.uniform(5, 8, 500).astype(np.float32)
    time_s[:2] = 5, 8
    moved = deskewed(points, time_s, path)
    for point, time, found in zip(points, time_s - 5, moved, strict=True):
        step = min(int(time), 2)
        pose = interpolate(path[step], path[step + 1], float(time) - step)
        np.testing.assert_allclose(found, (pose @ [*point, 1])[:3], atol=3e-4)


@pytest.mark.parametrize(
    ("settings", "timed"),
    [
        ({}, True),
        ({"sync.deskew": "none"}, False),
        ({"sync.fixed_frame": "none"}, False),
        ({**FRONT, "sources.front.deskew": "none"}, False),
        (FRONT, True),
    ],
)
def test_times_of_points_are_read_where_they_are_used(settings, timed):
    name = "front" if "anchors.sources" in settings else "anchors"
    source = Source(name, "laser_scan", from_flat(settings))
    scan = Namespace(
        header=Namespace(stamp=Namespace(sec=1, nanosec=0), frame_id="laser"),
        angle_min=0.0, angle_increment=0.1, time_increment=0.01, range_min=0.1, range_max=9.0,
        ranges=np.array([1, np.inf, 2], np.float32),
    )  # fmt: skip
    read = source.read(scan).offset_s
    assert (read is not None) == timed
    if timed:
        np.testing.assert_allclose(read, [0, 0.02])

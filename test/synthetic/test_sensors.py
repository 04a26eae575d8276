"""Simulated sensors against ranges worked out by hand in a room of slabs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("embreex")

from metric_depth_ros.geometry import pixel_rays, project, transform_points
from metric_depth_ros.types import Camera
from metric_depth_synthetic.lidars import LIDARS, LidarNoise, SolidStateLidar, SpinningLidar
from metric_depth_synthetic.mesh import slab
from metric_depth_synthetic.render import View, look_at
from metric_depth_synthetic.scene import Material, Scene
from metric_depth_synthetic.sensors import DepthCamera, Radar, RangeFinder, VioPoints, mounted
from metric_depth_synthetic.world import World

WHITE = Material(0, (0.9, 0.9, 0.9), (0.9, 0.9, 0.9), 1.0)
BLACK = replace(WHITE, colour=(0.02, 0.02, 0.02), colour_2=(0.02, 0.02, 0.02))
MIRROR = replace(WHITE, mirror=1.0)
QUIET = LidarNoise(0, 0, 0, 0, 0, 0, 0)

# Things by number: 1 floor, 2 to 5 walls, 6 ceiling, 7 whatever a test adds.
HALF, HEIGHT = 5.0, 3.0


def room(material: Material = WHITE, *extra: Any) -> Scene:
    """10 x 10 x 3 m about the origin, with walls of 0.1 m outside that."""
    scene = Scene("room")
    h, out = HALF, HALF + 0.1
    scene.add("floor", [(slab((-out, -out, -0.1), (out, out, 0)), material)])
    for low, high in (
        ((h, -out, 0), (out, out, HEIGHT)),
        ((-out, -out, 0), (-h, out, HEIGHT)),
        ((-out, h, 0), (out, out, HEIGHT)),
        ((-out, -out, 0), (out, -h, HEIGHT)),
    ):
        scene.add("wall", [(slab(low, high), material)])
    scene.add("ceiling", [(slab((-out, -out, HEIGHT), (out, out, HEIGHT + 0.1)), material)])
    for label, part in extra:
        scene.add(label, [part])
    return scene


def looking_along_x(z: float = 1.5) -> Any:
    return look_at(np.array([0.0, 0.0, z]), np.array([1.0, 0.0, z]))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def to_walls(directions: Any, z: float) -> Any:
    """Ranges in the empty room from (0, 0, z) along world directions, by formula."""
    with np.errstate(divide="ignore"):
        across = HALF / np.abs(directions[:, :2]).max(axis=1)
        upright = np.where(directions[:, 2] > 0, HEIGHT - z, z) / np.abs(directions[:, 2])
    return np.minimum(across, upright)


def quiet(lidar: Any, **changes: Any) -> Any:
    return replace(lidar, noise=QUIET, **changes)


# ---- mounting --------------------------------------------------------------------------------


def test_a_mounted_sensor_looks_the_cameras_way() -> None:
    T = mounted(0.1, -0.2, 0.3)
    ahead, left, up = T[:3, :3].T
    np.testing.assert_allclose(T @ [0, 0, 0, 1], [0.1, -0.2, 0.3, 1])
    np.testing.assert_allclose(T[:3, :3] @ [1, 0, 0], [0, 0, 1])  # x: the optical axis
    np.testing.assert_allclose(T[:3, :3] @ [0, 1, 0], [-1, 0, 0])  # y: to the left
    np.testing.assert_allclose(T[:3, :3] @ [0, 0, 1], [0, -1, 0])  # z: up
    assert np.linalg.det(np.stack([ahead, left, up])) == pytest.approx(1)


def test_a_mounted_sensor_turns_as_ros_says() -> None:
    R = mounted()[:3, :3].T @ mounted(yaw_deg=90)[:3, :3]
    np.testing.assert_allclose(R @ [1, 0, 0], [0, 1, 0], atol=1e-12)  # positive yaw is to the left
    R = mounted()[:3, :3].T @ mounted(pitch_deg=30)[:3, :3]
    assert (R @ [1, 0, 0])[2] == pytest.approx(-0.5)  # positive pitch is down


# ---- LiDAR -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIDARS)
def test_a_spinning_lidar_measures_planes_exactly(name: str) -> None:
    lidar = replace(LIDARS[name], T_camera_sensor=mounted())
    scan = lidar.scan(World(room()), looking_along_x(), rng(), noise=False)
    expected = lidar.directions * to_walls(lidar.directions, 1.5)[:, None]
    np.testing.assert_allclose(scan.points, expected, atol=2e-5)
    assert set(np.unique(scan.thing)) <= set(range(1, 7)) and not scan.outlier.any()


def test_lines_and_steps_are_where_they_should_be() -> None:
    for name, lines in (("VLP-16", 16), ("HDL-64", 64), ("OS1-32", 32), ("single-line", 1)):
        lidar = LIDARS[name]
        elevations = np.degrees(np.arcsin(lidar.directions[:, 2])).reshape(lines, -1)
        np.testing.assert_allclose(np.ptp(elevations, axis=1), 0, atol=1e-9)
        low = lidar.fov_down_deg if lines > 1 else 0
        assert (elevations[0, 0], elevations[-1, 0]) == pytest.approx((low, lidar.fov_up_deg))
    azimuths = np.degrees(np.arctan2(lidar.directions[:, 1], lidar.directions[:, 0]))
    np.testing.assert_allclose(np.diff(azimuths), 0.25, atol=1e-9)
    assert len(LIDARS["VLP-16"].directions) == 16 * 1800


def test_ranges_outside_the_limits_are_not_reported() -> None:
    lidar = quiet(SpinningLidar(T_camera_sensor=mounted()), min_range_m=5.2, max_range_m=6.0)
    range_m = np.linalg.norm(lidar.scan(World(room()), looking_along_x(), rng()).points, axis=1)
    every = to_walls(lidar.directions, 1.5)
    assert len(range_m) == np.sum((every >= 5.2) & (every <= 6.0)) > 1000
    assert range_m.min() >= 5.2 and range_m.max() <= 6.0


def test_the_lidars_offset_lets_it_see_behind_an_edge() -> None:
    """A post hides part of the wall from the camera; a LiDAR on the left sees part of that, and no more."""
    post = ("pole", (slab((2.0, -0.2, 0), (2.1, 0.2, HEIGHT)), WHITE))
    world, T = World(room(WHITE, post)), looking_along_x()
    camera = Camera(160, 120, np.array([[100.0, 0, 79.5], [0, 100.0, 59.5], [0, 0, 1]]))
    lidar = SpinningLidar(32, azimuth_deg=(-45, 45), T_camera_sensor=mounted(-0.5, 0, 0))
    scan = lidar.scan(world, T, rng(), noise=False)
    points = transform_points(scan.T_camera_sensor, scan.points)
    uv, depth = project(points, camera)
    seen = np.isfinite(uv).all(1) & (uv > 0).all(1) & (uv[:, 0] < 159) & (uv[:, 1] < 119)
    uv, depth, points = uv[seen], depth[seen], points[seen]
    rays = pixel_rays(camera).reshape(-1, 3) @ T[:3, :3].T.astype(np.float32)
    visible = world.cast(T[:3, 3], rays).range_m.reshape(120, 160)
    nearest = visible[np.rint(uv[:, 1]).astype(int), np.rint(uv[:, 0]).astype(int)]
    hidden = depth > nearest + 0.5
    # By similar triangles: on the wall the camera misses y from -0.5 to 0.5, and the LiDAR, from
    # y = 0.5, misses -0.7 * 5 / 2 + 0.5 = -1.25 to -0.25 (post face at 2 m, wall at 5 m).
    on_wall = points[hidden & (np.abs(points[:, 2] - HALF) < 1e-3)]
    assert len(on_wall) > 50
    assert -on_wall[:, 0].min() == pytest.approx(0.5, abs=0.06)
    assert -on_wall[:, 0].max() == pytest.approx(-0.25, abs=0.06)
    same = lidar.scan(world, T, rng(), noise=False)
    np.testing.assert_array_equal(same.points, scan.points)
    central = replace(lidar, T_camera_sensor=mounted()).scan(world, T, rng(), noise=False)
    uv, depth = project(transform_points(central.T_camera_sensor, central.points), camera)
    inside = np.isfinite(uv).all(1) & (uv > 0).all(1) & (uv[:, 0] < 159) & (uv[:, 1] < 119)
    uv, depth = uv[inside], depth[inside]
    nearest = visible[np.rint(uv[:, 1]).astype(int), np.rint(uv[:, 0]).astype(int)]
    edge = np.abs(np.abs(uv[:, 0] - 79.5) - 10) < 1.5  # the post's edges fall within a pixel
    assert not (depth > nearest + 0.5)[~edge].any()


def test_range_noise_has_the_sigma_it_says() -> None:
    noise = replace(QUIET, range_sigma_m=0.02, range_sigma_part=0.01)
    lidar = SpinningLidar(noise=noise, T_camera_sensor=mounted())
    scan = lidar.scan(World(room()), looking_along_x(), rng())
    truth = to_walls(lidar.directions, 1.5)
    errors = np.linalg.norm(scan.points, axis=1) - truth
    sigma = 0.02 + 0.01 * truth
    assert np.std(errors / sigma) == pytest.approx(1, abs=0.02)
    assert abs(np.mean(errors / sigma)) < 0.02
    np.testing.assert_allclose(  # along the beam only
        scan.points / np.linalg.norm(scan.points, axis=1, keepdims=True), lidar.directions, atol=1e-5
    )


def returned(scene: Scene, noise: LidarNoise, **changes: Any) -> float:
    lidar = SpinningLidar(8, -2, 2, noise=noise, T_camera_sensor=mounted(), **changes)
    return len(lidar.scan(World(scene), looking_along_x(), rng())) / len(lidar.directions)


def test_dropouts_have_their_rate_and_weak_returns_are_lost() -> None:
    assert returned(room(), replace(QUIET, dropout=0.2)) == pytest.approx(0.8, abs=0.01)
    faint = replace(QUIET, faint=1.0)
    white, black = (returned(room(m), faint, max_range_m=10.0) for m in (WHITE, BLACK))
    far_black = returned(room(BLACK), faint, max_range_m=8.0)
    assert white > 0.97 > 0.6 > black > far_black
    # Of a wall at 5 m with 10 m as the limit: strength 0.02 * cos * 4, lost with exp(-strength / 0.15).
    azimuths = np.radians(np.arange(-45, 45, 0.2))
    strength = 0.02 * np.cos(azimuths) * (10 / (HALF / np.cos(azimuths))) ** 2
    assert black == pytest.approx(np.mean(1 - np.exp(-strength / 0.15)), abs=0.02)


def test_outliers_lie_on_their_beams_and_are_marked() -> None:
    lidar = SpinningLidar(noise=replace(QUIET, outliers=0.05), T_camera_sensor=mounted())
    scan = lidar.scan(World(room()), looking_along_x(), rng())
    assert scan.outlier.mean() == pytest.approx(0.05, abs=0.006)
    exact = lidar.directions * to_walls(lidar.directions, 1.5)[:, None]
    found = {tuple(np.round(p, 3)) for p in exact.astype(np.float32)}
    inliers = scan.points[~scan.outlier]
    assert np.mean([tuple(np.round(p, 3)) in found for p in inliers]) > 0.95
    assert np.linalg.norm(scan.points[scan.outlier], axis=1).max() <= 5 * 2**0.5 / np.cos(0.27)


def test_beams_at_edges_lie_between_the_surfaces() -> None:
    post = ("pole", (slab((2.0, -0.2, 0), (2.1, 0.2, HEIGHT)), WHITE))
    lidar = SpinningLidar(
        16, azimuth_deg=(-20, 20), noise=replace(QUIET, edges=1.0), T_camera_sensor=mounted()
    )
    scan = lidar.scan(World(room(WHITE, post)), looking_along_x(), rng())
    assert scan.outlier.sum() == 2 * 16  # two edges a line
    depth = scan.points[scan.outlier, 0]
    assert 2.0 < depth.min() < 3 and 4 < depth.max() < 5.1


def test_mirrors_show_what_they_reflect_or_nothing() -> None:
    lidar = SpinningLidar(1, 0, 0, noise=replace(QUIET, mirrors=1.0), T_camera_sensor=mounted())
    scene = room()
    wall = scene.things[1]  # the one ahead, at x = 5
    scene.things[1] = replace(wall, parts=((wall.parts[0][0], MIRROR),))
    scan = lidar.scan(World(scene), looking_along_x(), rng())
    mirrored = scan.points[scan.outlier]
    at_wall = np.abs(np.degrees(np.arctan2(lidar.directions[:, 1], lidar.directions[:, 0]))) < 45
    assert len(mirrored) == pytest.approx(at_wall.sum() / 2, rel=0.15)
    assert mirrored[:, 0].min() > HALF and mirrored[:, 0].max() <= 3 * HALF + 0.01


@pytest.mark.parametrize("pattern", ["rosette", "lissajous"])
def test_a_solid_state_pattern_fills_its_field_and_does_not_repeat(pattern: Any) -> None:
    lidar = SolidStateLidar(pattern, (60.0, 40.0), points=8000)
    first, second = (lidar.directions(start) for start in (0.0, 1.0))
    assert np.abs(first - second).max() > 0.1
    azimuth = np.degrees(np.arctan2(first[:, 1], first[:, 0]))
    elevation = np.degrees(np.arcsin(first[:, 2]))
    assert azimuth.max() == pytest.approx(30, abs=0.5) and elevation.max() == pytest.approx(20, abs=0.5)
    u, v = azimuth / 30, elevation / 20
    inside = np.hypot(u, v) < 0.95 if pattern == "rosette" else np.maximum(abs(u), abs(v)) < 0.95
    cells = np.unique(np.floor(np.stack([u, v], 1)[inside] * 10), axis=0)
    assert len(cells) > (250 if pattern == "rosette" else 330)  # of 314 and 400 cells


def test_a_solid_state_lidar_measures_planes_exactly() -> None:
    lidar = SolidStateLidar(T_camera_sensor=mounted())
    scan = lidar.scan(World(room()), looking_along_x(), rng(), noise=False)
    range_m = np.linalg.norm(scan.points, axis=1)
    np.testing.assert_allclose(range_m, to_walls(scan.points / range_m[:, None], 1.5), atol=2e-5)


# ---- few points ------------------------------------------------------------------------------


def chequered_view(depth_m: float = 4.0) -> View:
    """A slanted wall: depth grows to the right, from ``depth_m``."""
    camera = Camera(320, 240, np.array([[250.0, 0, 159.5], [0, 250.0, 119.5], [0, 0, 1]]))
    v, u = np.mgrid[0:240, 0:320]
    image = np.where(((u // 16 + v // 16) % 2 == 0)[..., None], 220, 30).astype(np.uint8).repeat(3, axis=2)
    depth = (depth_m * (1 + u / 320)).astype(np.float32)
    instances = np.full((240, 320), 3, np.uint16)
    normals = np.zeros((240, 320, 3), np.float32)
    return View(image, depth, instances, np.zeros((240, 320), np.uint8), normals, camera, np.eye(4))


def test_vio_points_lie_on_corners_and_are_exact_without_noise() -> None:
    view = chequered_view()
    scan = VioPoints(200).scan(view, rng(), noise=False)
    uv, depth = project(scan.points, view.camera)
    assert 100 < len(scan) <= 200 and (scan.thing == 3).all()
    assert (np.abs((uv + 8) % 16 - 8) < 2).all()
    np.testing.assert_allclose(depth, 4 * (1 + np.rint(uv[:, 0]) / 320), rtol=1e-5)


def test_vio_noise_grows_with_the_square_of_depth() -> None:
    spreads = []
    for depth_m in (2.0, 4.0):
        view = chequered_view(depth_m)
        view.depth[:] = depth_m
        sensor = VioPoints(400, noise=0.01, outliers=0.0, pixel_sigma=0.0)
        z = np.concatenate([sensor.scan(view, rng(seed)).points[:, 2] for seed in range(5)])
        spreads.append(np.std(z - depth_m))
    assert spreads[0] == pytest.approx(0.01 * 2.0**2, rel=0.1)
    assert spreads[1] == pytest.approx(0.01 * 4.0**2, rel=0.1)


def test_vio_outliers_have_their_rate_and_are_marked() -> None:
    view = chequered_view()
    sensor = VioPoints(400, noise=0.0, outliers=0.2, pixel_sigma=0.0)
    scans = [sensor.scan(view, rng(seed)) for seed in range(5)]
    outlier = np.concatenate([s.outlier for s in scans])
    assert outlier.mean() == pytest.approx(0.2, abs=0.04)
    for scan in scans:
        uv, depth = project(scan.points[~scan.outlier], view.camera)
        np.testing.assert_allclose(depth, 4 * (1 + np.rint(uv[:, 0]) / 320), rtol=1e-5)


def test_vio_maps_no_sky_and_nothing_too_far() -> None:
    view = chequered_view()
    view.depth[:, :160] = np.inf
    view.depth[:, 240:] = 50.0
    uv, _ = project(VioPoints().scan(view, rng()).points, view.camera)
    assert uv[:, 0].min() >= 157 and uv[:, 0].max() < 242
    view.image[:] = 128
    assert len(VioPoints().scan(view, rng())) == 0


def test_radar_is_exact_without_noise_and_prefers_metal() -> None:
    car = ("vehicle", (slab((3.0, 0.5, 0), (4.0, 2.0, 2.0)), WHITE))
    world = World(room(WHITE, car))
    radar = Radar(T_camera_sensor=mounted(), flat=False, elevation_deg=4.0)
    scan = radar.scan(world, looking_along_x(), rng(), noise=False)
    assert len(scan) == 48
    on_car = scan.thing == 7
    front = scan.points[on_car & (scan.points[:, 0] < 3.001)]
    assert (on_car.mean() > 0.2) and len(front) and (np.abs(front[:, 0] - 3.0) < 1e-4).all()
    wall = scan.points[scan.thing == 2]
    np.testing.assert_allclose(wall[:, 0], HALF, atol=1e-4)
    assert np.abs(np.degrees(np.arctan2(scan.points[:, 1], scan.points[:, 0]))).max() <= 55
    flat = replace(radar, flat=True).scan(world, looking_along_x(), rng(), noise=False)
    assert (flat.points[:, 2] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(flat.points, axis=1), np.linalg.norm(scan.points, axis=1), 1e-5)


def test_radar_noise_and_ghosts() -> None:
    world = World(room())
    radar = Radar(400, fov_deg=60.0, T_camera_sensor=mounted(), elevation_deg=0.0, azimuth_sigma_deg=0.0)
    scan = radar.scan(world, looking_along_x(), rng())
    assert len(scan) == pytest.approx(360, abs=25)  # a tenth is lost
    assert scan.outlier.mean() == pytest.approx(0.08, abs=0.04)
    range_m = np.linalg.norm(scan.points, axis=1)
    truth = HALF / np.cos(np.arctan2(scan.points[:, 1], scan.points[:, 0]))
    assert np.std((range_m - truth)[~scan.outlier]) == pytest.approx(0.15, rel=0.15)
    assert (range_m[scan.outlier] > 1.2 * truth[scan.outlier]).all()


def test_a_range_finder_reports_one_range_on_its_axis() -> None:
    post = ("pole", (slab((2.0, 0.3, 0), (2.1, 0.5, HEIGHT)), WHITE))
    world, T = World(room(WHITE, post)), looking_along_x()
    wide = RangeFinder(cone_deg=30.0, T_camera_sensor=mounted())
    median = wide.scan(world, T, rng(), noise=False)
    assert 5.0 <= median.points[0, 0] < 5.2 and (median.points[0, 1:] == 0).all() and median.thing == [2]
    nearest = replace(wide, answer="nearest").scan(world, T, rng(), noise=False)
    assert 2.0 <= nearest.points[0, 0] < 2.15 and nearest.thing == [7]
    narrow = RangeFinder(cone_deg=0.0, T_camera_sensor=mounted())
    assert narrow.scan(world, T, rng(), noise=False).points[0, 0] == pytest.approx(5.0, abs=1e-5)
    scans = [narrow.scan(world, T, rng(seed)) for seed in range(400)]
    heard = np.array([s.points[0, 0] for s in scans if len(s)])
    assert 0.95 < len(heard) / 400 < 1.0
    assert np.std(heard) == pytest.approx(0.01 + 0.002 * 5, rel=0.12)
    assert len(replace(narrow, max_range_m=4.0).scan(world, T, rng(), noise=False)) == 0


@pytest.mark.parametrize("sensor", [LIDARS["VLP-16"], SolidStateLidar(), Radar(), RangeFinder()])
def test_a_seed_decides_everything(sensor: Any) -> None:
    world, T = World(room()), looking_along_x()
    a, b, c = (sensor.scan(world, T, rng(seed)) for seed in (1, 1, 2))
    for part in a.PARTS:
        np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
    assert a.points.shape != c.points.shape or not np.array_equal(a.points, c.points)
    assert a.points.dtype == np.float32 and np.isfinite(a.points).all()
    assert len(a.points) == len(a.thing) == len(a.outlier)


def test_open_sky_returns_nothing() -> None:
    scene = Scene("street")
    scene.add("ground", [(slab((-1, -1, -0.1), (1, 1, 0)), WHITE)])
    up = look_at(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.1, 9.0]))
    for sensor in (SpinningLidar(azimuth_deg=(-45, 45)), SolidStateLidar(), Radar(), RangeFinder()):
        scan = sensor.scan(World(scene), up, rng())
        assert len(scan) <= 0.01 * 10_000  # but for strays
        assert scan.outlier.all()


# ---- depth camera --------------------------------------------------------------------------------


def test_a_depth_camera_sees_depth_along_its_axis_from_its_own_place() -> None:
    camera = DepthCamera(max_depth_m=20.0)
    depth = camera.image(World(room()), looking_along_x(), rng(), noise=False)
    assert depth.shape == (camera.camera.height, camera.camera.width)
    # The wall ahead fills the middle, at one depth whatever the angle.
    middle = depth[40:80, 80:130]
    np.testing.assert_allclose(middle, HALF - camera.T_camera_sensor[2, 3], rtol=1e-5)
    assert np.isfinite(depth).all()


def test_a_depth_camera_has_holes_a_short_range_and_noise_that_grows() -> None:
    world, pose = World(room()), looking_along_x()
    measured = DepthCamera(max_depth_m=20.0).image(world, pose, rng())
    exact = DepthCamera(max_depth_m=20.0).image(world, pose, rng(), noise=False)
    holes = np.isnan(measured)
    assert 0.15 <= holes.mean() < 0.4
    error = (measured - exact)[~holes] / exact[~holes] ** 2
    assert error.std() == pytest.approx(0.004, rel=0.1)
    assert np.isnan(DepthCamera(max_depth_m=4.0).image(world, pose, rng(), noise=False)[40:80, 80:130]).all()


def test_map_points_may_be_some_of_the_corners() -> None:
    view = chequered_view()
    some, everything = (VioPoints(mapped=n).scan(view, rng(), noise=False) for n in (20, None))
    assert len(some) == 20 < len(everything)
    assert {tuple(p) for p in some.points.tolist()} <= {tuple(p) for p in everything.points.tolist()}

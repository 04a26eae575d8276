import numpy as np
import pytest

from metric_depth_ros.anchors import (
    anchors_by_source,
    build_anchors,
    fuse_anchors,
    occluded,
    sample_bilinear,
    thinned,
)
from metric_depth_ros.config import MODELS, AnchorsConfig, Config, from_flat
from metric_depth_ros.geometry import project, unproject
from metric_depth_ros.types import Camera, SourcePoints

KEEP_ALL = AnchorsConfig(occlusion_window_px=0, grid_px=0)


def grid_points(camera, depth, step=4):
    u, v = np.meshgrid(np.arange(0, camera.width, step), np.arange(0, camera.height, step))
    uv = np.stack([u.ravel(), v.ravel()], axis=1)
    return unproject(uv, np.full(len(uv), depth), camera)


def fused(sources, camera, config):
    return fuse_anchors(anchors_by_source(sources, camera, config), camera, config)


def test_points_become_pixels_with_depth(camera):
    anchors = build_anchors(np.array([[0.0, 0, 2], [0.2, -0.1, 1]], np.float32), camera, KEEP_ALL)
    np.testing.assert_allclose(anchors.uv, [[31.5, 23.5], [41.5, 18.5]], atol=1e-4)
    np.testing.assert_allclose(anchors.depth, [2, 1])
    np.testing.assert_allclose(anchors.sigma, 0.03)


def test_outside_behind_near_far_and_broken_points_are_dropped(camera):
    points = np.array(
        [
            [0, 0, 1],
            [0, 0, -1],
            [5, 0, 1],
            [0, 0, 0.05],
            [0, 0, 500],
            [np.nan, 0, 1],
            [0, 0, np.inf],
            [0, 0, np.nan],
        ],
        np.float32,
    )
    assert len(build_anchors(points, camera, KEEP_ALL)) == 1
    assert len(build_anchors(np.empty((0, 3), np.float32), camera, AnchorsConfig())) == 0


def test_the_range_of_depths_holds_its_ends(camera):
    config = AnchorsConfig(min_depth_m=0.5, max_depth_m=8.0, occlusion_window_px=0, grid_px=0)
    points = np.array([[0, 0, z] for z in (0.49, 0.5, 8.0, 8.01)], np.float32)
    assert build_anchors(points, camera, config).depth.tolist() == [0.5, 8.0]


def test_points_are_not_modified(camera):
    points = grid_points(camera, 3.0)
    before = points.copy()
    build_anchors(points, camera, AnchorsConfig())
    np.testing.assert_array_equal(points, before)


def test_distortion_moves_anchors():
    K = np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]])
    bent = Camera(64, 48, K, "plumb_bob", (-0.2, 0.0, 0.0, 0.0, 0.0))
    points = np.array([[0.4, 0.0, 1.0]], np.float32)
    anchors = build_anchors(points, bent, KEEP_ALL)
    # radial factor 1 - 0.2 * 0.16
    np.testing.assert_allclose(anchors.uv, [[31.5 + 50 * 0.4 * (1 - 0.2 * 0.16), 23.5]], rtol=1e-5)


def test_a_box_before_a_wall_hides_what_the_lidar_sees_behind_it():
    """A LiDAR 0.5 m above the camera sees the wall over the top of a box; the camera does not."""
    camera = Camera(640, 480, np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]))
    offset = np.array([0.0, -0.5, 0.0])  # y is down
    azimuth, elevation = np.meshgrid(np.linspace(-0.4, 0.4, 400), np.linspace(-0.3, 0.3, 120))
    rays = np.stack(
        [np.tan(azimuth), np.tan(elevation) / np.cos(azimuth), np.ones_like(azimuth)], -1
    ).reshape(-1, 3)
    at_box = offset + rays * 3.0
    on_box = (np.abs(at_box[:, 0]) < 0.5) & (np.abs(at_box[:, 1]) < 0.3)
    points = np.where(on_box[:, None], at_box, offset + rays * 10.0).astype(np.float32)
    # Truth: a wall point is hidden when the straight line from the camera to it passes the box.
    crossing = points * (3.0 / points[:, 2:])
    hidden = ~on_box & (np.abs(crossing[:, 0]) < 0.5) & (np.abs(crossing[:, 1]) < 0.3)
    assert hidden.sum() > 100
    uv, depth = project(points, camera)
    inside = (uv >= 0).all(axis=1) & (uv[:, 0] <= 639) & (uv[:, 1] <= 479)
    found = occluded(uv[inside], depth[inside], camera, 16, 0.15)
    truth, near = hidden[inside], depth[inside] < 5
    assert found[truth].mean() > 0.95  # what is hidden is found
    assert not found[near].any()  # the box itself stays
    assert found[~truth].mean() < 0.02  # of the visible wall, only a rim may go


def test_the_ground_and_a_slanted_wall_hide_nothing():
    camera = Camera(640, 480, np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]))
    v = np.arange(260, 480, 4.0)
    u, v = (a.ravel() for a in np.meshgrid(np.arange(0, 640, 4.0), v))
    ground = 1.5 * 500 / (v - 239.5)
    assert not occluded(np.stack([u, v], 1), ground.astype(np.float32), camera, 16, 0.15).any()
    wall = 2 + 20 * u / 640
    assert not occluded(np.stack([u, v], 1), wall.astype(np.float32), camera, 16, 0.15).any()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("middle", "aside", "window_px", "hides"),
    [((30, 20), 0, 16, True), ((30, 20), 0, 8, False), ((10, 10), 0, 16, True),
     ((30, 20), 2, 16, True), ((30, 20), -2, 16, True), ((30, 20), 6, 16, False), ((30, 20), -6, 16, False)],
)  # fmt: skip
def test_the_window_is_how_far_away_what_hides_may_lie(camera, axis, middle, aside, window_px, hides):
    """A far point between two near ones, 10 px from each, straight or nearly straight across."""
    uv = np.array([middle] * 3, np.float64)
    uv[:2, axis] += (-10, 10)
    uv[:2, 1 - axis] += aside
    points = unproject(uv, np.array([2.0, 2, 8]), camera)
    config = AnchorsConfig(occlusion_window_px=window_px, occlusion_ratio=0.15, grid_px=0)
    assert len(build_anchors(points, camera, config)) == (2 if hides else 3)


def test_thinning_keeps_the_point_nearest_to_each_square_s_centre(camera):
    uv = np.array([[2.5, 2.5], [5.0, 5.0], [7.0, 7.0], [20.0, 20.0]])
    kept = thinned(uv, np.ones(4, np.float32), camera, 8)
    assert sorted(kept) == [1, 3]


def test_thinning_does_not_depend_on_order(camera):
    rng = np.random.default_rng(1)
    uv, depth = rng.uniform([0, 0], [63, 47], (500, 2)), rng.uniform(1, 9, 500).astype(np.float32)
    shuffle = rng.permutation(500)
    kept, again = thinned(uv, depth, camera, 8), thinned(uv[shuffle], depth[shuffle], camera, 8)
    np.testing.assert_array_equal(uv[kept], uv[shuffle][again])
    assert len(kept) == 48


def test_sigma_follows_the_sensor_model(camera):
    config = AnchorsConfig(
        sigma_base_m=0.3, sigma_relative=0.1, sigma_quadratic=0.05, occlusion_window_px=0, grid_px=0
    )
    anchors = build_anchors(np.array([[0, 0, 4.0]], np.float32), camera, config)
    np.testing.assert_allclose(anchors.sigma, np.sqrt(0.3**2 + 0.4**2 + 0.8**2), rtol=1e-6)


def test_bilinear_sampling_by_hand():
    values = np.array([[0.0, 1.0], [2.0, 5.0]], np.float32)
    uv = np.array([[0, 0], [1, 1], [0.5, 0.0], [0.5, 0.5], [1.01, 0], [-0.01, 0], [np.nan, 0]])
    # the middle: (0 + 1 + 2 + 5) / 4
    np.testing.assert_allclose(sample_bilinear(values, uv), [0, 5, 0.5, 2.0, np.nan, np.nan, np.nan])


def test_bilinear_sampling_of_a_plane_is_the_plane():
    v, u = np.mgrid[0:5, 0:7]
    uv = np.random.default_rng(0).uniform(0, [6, 4], (50, 2))
    np.testing.assert_allclose(sample_bilinear((u + 10 * v).astype(np.float32), uv), uv @ [1, 10], rtol=1e-5)


def test_bilinear_sampling_next_to_unknown():
    values = np.array([[1.0, np.nan], [3.0, 5.0]], np.float32)
    sampled = sample_bilinear(values, np.array([[0.0, 0.5], [0.5, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(sampled, [2.0, np.nan, 5.0])


# ---- several sources -----------------------------------------------------------------------------


def at(camera, uv, depth):
    return unproject(np.array(uv, np.float64), np.array(depth), camera)


def test_of_several_sources_the_surest_stays_in_each_square(camera):
    lidar = SourcePoints("lidar", at(camera, [[10, 10], [50, 10]], [4.0, 4.0]), "lidar")
    vio = SourcePoints("vio", at(camera, [[11, 11], [30, 30]], [4.4, 5.0]), "vio")
    anchors, counts = fused((vio, lidar), camera, Config())
    assert counts == {"vio": 1, "lidar": 2}
    np.testing.assert_allclose(sorted(anchors.depth), [4, 4, 5], rtol=1e-6)
    model = MODELS["vio"]
    expected = {
        4.0: MODELS["lidar"].sigma_base_m,
        5.0: np.hypot(model.sigma_base_m, 25 * model.sigma_quadratic),
    }
    for depth, sigma in zip(anchors.depth, anchors.sigma, strict=True):
        assert sigma == pytest.approx(expected[round(float(depth), 3)], rel=1e-5)
    everything, counts = fused((vio, lidar), camera, from_flat({"anchors.grid_px": 0}))
    assert counts == {"vio": 2, "lidar": 2} and len(everything) == 4


def test_what_a_message_tells_of_its_error_adds_to_the_model_s(camera):
    beam = SourcePoints("front", at(camera, [[30, 20]], [3.0]), "range_finder", np.array([0.4], np.float32))
    anchors, _ = fused((beam,), camera, Config())
    np.testing.assert_allclose(anchors.sigma, np.hypot(0.4, np.hypot(0.02, 0.01 * 3.0)), rtol=1e-5)


def test_points_of_one_source_hide_none_of_another(camera):
    far, near = at(camera, [[30, 20]], [8.0]), at(camera, [[20, 20], [40, 20]], [2.0, 2.0])
    alone = SourcePoints("lidar", np.concatenate([far, near]), "lidar")
    assert fused((alone,), camera, Config())[1] == {"lidar": 2}
    apart = SourcePoints("a", far, "lidar"), SourcePoints("b", near, "lidar")
    assert fused(apart, camera, Config())[1] == {"a": 1, "b": 2}


def test_a_source_s_settings_beat_its_model_s(camera):
    points = SourcePoints("vio", at(camera, [[30, 20]], [2.0]), "vio")
    settings = {"anchors.sources": ["vio"], "sources.vio.topic": "/v", "sources.vio.sigma_quadratic": 0.1}
    anchors, _ = fused((points,), camera, from_flat(settings))
    np.testing.assert_allclose(anchors.sigma, np.hypot(MODELS["vio"].sigma_base_m, 0.4), rtol=1e-5)

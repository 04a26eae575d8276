import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import (
    Rectifier,
    pixel_rays,
    possibly_seen,
    project,
    quaternion,
    resize_camera,
    rigid_transform,
    transform_points,
    unproject,
    veils,
)
from metric_depth_ros.types import Camera, Rectification

K = np.array([[400.0, 0, 320], [0, 410, 240], [0, 0, 1]])
CAMERAS = {
    "pinhole": Camera(640, 480, K),
    "plumb_bob": Camera(640, 480, K, "plumb_bob", (-0.3, 0.1, 0.001, -0.002, 0.0)),
    "rational": Camera(640, 480, K, "rational_polynomial", (0.1, 0.02, 0, 0, 0.01, 0.2, 0.01, 0.005)),
    "equidistant": Camera(640, 480, K, "equidistant", (0.01, -0.005, 0.002, 0.0003)),
    "equidistant, D = 0": Camera(640, 480, K, "equidistant", (0, 0, 0, 0)),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_project_undoes_unproject(name):
    rng = np.random.default_rng(0)
    uv, depth = rng.uniform([0, 0], [639, 479], (500, 2)), rng.uniform(0.5, 50, 500)
    back, z = project(unproject(uv, depth, CAMERAS[name]), CAMERAS[name])
    np.testing.assert_allclose(back, uv, atol=2e-3)
    np.testing.assert_allclose(z, depth, rtol=1e-5)


def test_a_point_is_projected_where_the_formula_says():
    # x/z = 0.5, y/z = -0.25: u = 400 * 0.5 + 320, v = 410 * -0.25 + 240
    uv, z = project(np.array([[2.0, -1.0, 4.0]]), CAMERAS["pinhole"])
    np.testing.assert_allclose(uv, [[520.0, 137.5]])
    assert z[0] == 4.0


def test_plumb_bob_by_hand():
    # r^2 = 0.25, radial = 1 - 0.3 * 0.25 + 0.1 * 0.0625
    # tangential x = p2 (r^2 + 2 x^2), y = p1 (r^2 + 2 y^2)
    camera = CAMERAS["plumb_bob"]
    radial = 1 - 0.3 * 0.25 + 0.1 * 0.0625
    x, y = 0.5 * radial - 0.002 * (0.25 + 0.5), 0.001 * 0.25
    uv, _ = project(np.array([[0.5, 0.0, 1.0]]), camera)
    np.testing.assert_allclose(uv, [[400 * x + 320, 410 * y + 240]], rtol=1e-6)


def test_equidistant_bends_even_with_zero_coefficients():
    # theta = atan(1) = pi / 4 lies at fx * pi / 4, not at fx * 1
    uv, _ = project(np.array([[1.0, 0.0, 1.0]]), CAMERAS["equidistant, D = 0"])
    np.testing.assert_allclose(uv[0, 0], 400 * np.pi / 4 + 320, rtol=1e-6)


def test_points_behind_or_not_finite_have_no_pixel():
    points = np.array([[0, 0, -1], [0, 0, 0], [np.nan, 0, 1], [0, 0, np.inf], [0, 0, 1]])
    for camera in CAMERAS.values():
        uv, _ = project(points, camera)
        assert np.isnan(uv[:3]).any(axis=1).all()
        assert np.isfinite(uv[4]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e38, 3e38, 1e300, np.inf])
@pytest.mark.parametrize("position_m", [(0.0, 0, 0), (-1.0, 2, -3)])
def test_points_out_of_all_proportion_are_outside_without_a_warning(size, position_m):
    far = np.array([[size, 1, 1], [1, -size, 1], [size, size, 1], [size, 0, 1e-38], [size, 1, size]])
    with np.errstate(over="ignore"):
        kinds = far, far.astype(np.float32)
    for points, camera in itertools.product(kinds, CAMERAS.values()):
        uv, _ = project(points, replace(camera, position_m=position_m))
        assert not inside_image(uv[:3], 640, 480).any()


def test_points_beyond_the_fold_of_the_polynomial_do_not_come_back_in():
    # 1 - 0.3 r^2 + 0.1 r^4 turns the image inside out far off axis
    camera = Camera(640, 480, K, "plumb_bob", (-0.5, 0.0, 0.0, 0.0, 0.0))
    uv, _ = project(np.array([[1.4, 0.0, 1.0]]), camera)
    assert np.isnan(uv).all()


def test_a_pixel_near_the_fold_has_the_right_ray_or_none():
    # 1 - 0.5 r^2 reaches farthest at r^2 = 2 / 3: 400 * 0.544 px from the centre.
    camera = Camera(640, 480, K, "plumb_bob", (-0.5, 0.0, 0.0, 0.0, 0.0))
    uv = np.stack([np.arange(320, 640, 0.5), np.full(640, 240.0)], axis=1)
    back, _ = project(unproject(uv, np.ones(640), camera), camera)
    known = np.isfinite(back).all(axis=1)
    assert known[uv[:, 0] < 320 + 400 * 0.5].all() and not known[uv[:, 0] > 320 + 400 * 0.545].any()
    np.testing.assert_allclose(back[known], uv[known], atol=2e-3)


@pytest.mark.parametrize(
    ("model", "D", "fold"),
    [("rational_polynomial", (0, 0, 0, 0, 0, 0.5, 0, 0), 2**0.5),  # r / (1 + r^2 / 2)
     ("equidistant", (0, 0, 0, -0.05), np.tan((1 / 0.45) ** (1 / 8)))],  # a - a^9 / 20
)  # fmt: skip
def test_the_fold_of_every_model(model, D, fold):
    camera = Camera(640, 480, K, model, D)
    uv, _ = project(np.array([[0.97 * fold, 0, 1], [1.03 * fold, 0, 1]]), camera)
    assert np.isfinite(uv[0]).all() and np.isnan(uv[1]).all()


def test_a_skewed_camera_projects_with_its_whole_K():
    camera = Camera(640, 480, K + np.array([[0, 8, 0], [0, 0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(project(np.array([[2.0, -1.0, 4.0]]), camera)[0], [[520.0 - 2, 137.5]])


def test_resizing_keeps_the_pixel_grid_aligned():
    half = resize_camera(CAMERAS["pinhole"], 320, 240)
    # The centre of the left image edge, u = -0.5, stays at -0.5.
    np.testing.assert_allclose(half.K[0, 2], (320 + 0.5) / 2 - 0.5)
    point = np.array([[0.3, -0.2, 2.0]])
    full_uv, half_uv = project(point, CAMERAS["pinhole"])[0], project(point, half)[0]
    np.testing.assert_allclose(half_uv, (full_uv + 0.5) / 2 - 0.5, rtol=1e-6)
    back = resize_camera(half, 640, 480)
    np.testing.assert_allclose(back.K, K, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 3])
def test_pixel_rays_are_unproject_at_depth_one(stride):
    camera = CAMERAS["plumb_bob"]
    rays = pixel_rays(camera, stride)
    assert rays.shape == (-(-480 // stride), -(-640 // stride), 3)
    expected = unproject(np.array([[2 * stride, 5 * stride]]), np.ones(1), camera)[0]
    np.testing.assert_allclose(rays[5, 2], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["plumb_bob", "rational", "equidistant"])
def test_the_rectified_image_shows_a_point_where_its_pinhole_does(name):
    raw = CAMERAS[name]
    rectifier = Rectifier(raw)
    point = np.array([[0.25, 0.15, 1.0]])
    (u, v), _ = project(point, raw)[0][0], None
    image = np.zeros((480, 640, 3), np.uint8)
    image[round(v) - 2 : round(v) + 3, round(u) - 2 : round(u) + 3] = 255
    rows, columns = np.nonzero(rectifier.rectify(image)[:, :, 0] > 128)
    expected = project(point, rectifier.rectified)[0][0]
    np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=1.0)


@pytest.mark.parametrize("name", ["pinhole", "plumb_bob"])
def test_a_stereo_camera_is_turned_into_its_rectified_frame(name):
    """A point of the rectified frame shows where P projects it; the raw camera is turned by R."""
    raw, K = CAMERAS[name], np.array([[380.0, 0, 310], [0, 380.0, 235], [0, 0, 1]])
    R = rigid_transform([0, 0, 0], [0.02, -0.03, 0.01, 1.0])[:3, :3]
    rectifier = Rectifier(raw, Rectification(K, R))
    point = np.array([[0.25, 0.15, 1.0]])
    u, v = project(point @ R, raw)[0][0]  # R takes raw to rectified, so its transpose takes back
    image = np.zeros((480, 640, 3), np.uint8)
    image[round(v) - 2 : round(v) + 3, round(u) - 2 : round(u) + 3] = 255
    rows, columns = np.nonzero(rectifier.rectify(image)[:, :, 0] > 128)
    np.testing.assert_allclose(
        [columns.mean(), rows.mean()], project(point, rectifier.rectified)[0][0], atol=1.0
    )
    assert rectifier.fits(raw, Rectification(K.copy(), R.copy()))
    assert not rectifier.fits(raw, Rectification(K, np.eye(3)))
    assert not rectifier.fits(raw, None)


def test_a_straight_camera_needs_no_rectifying():
    assert not Rectifier(CAMERAS["pinhole"]).changes
    assert not Rectifier(CAMERAS["pinhole"], Rectification(K, np.eye(3))).changes
    assert Rectifier(CAMERAS["pinhole"], Rectification(K + np.diag([9, 9, 0]), np.eye(3))).changes
    turned = rigid_transform([0, 0, 0], [0.02, -0.03, 0.01, 1.0])[:3, :3]
    assert Rectifier(CAMERAS["pinhole"], Rectification(K, turned)).changes
    assert Rectifier(CAMERAS["equidistant, D = 0"]).changes


def test_labels_move_with_the_image_and_what_was_not_seen_is_a_region_of_its_own():
    """Of a camera whose centre lies 100.25 px further right: a pixel is 100 px further right."""
    moved = K + np.array([[0, 0, 100.25], [0, 0, 0], [0, 0, 0]])
    labels = np.array([[2, 0, 1, 2]]).repeat(480, axis=0).repeat(160, axis=1).astype(np.int32)
    found = Rectifier(CAMERAS["pinhole"], Rectification(moved, np.eye(3))).rectify_labels(labels)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found[:, 100:], labels[:, :-100])
    assert (found[:, :100] == 3).all()


@pytest.mark.parametrize("D", [(1e9, 0, 0, 0, 0), (0, 0, 50.0, 0, 0)])
def test_a_calibration_that_shows_nothing_is_refused(D):
    with pytest.raises(InputError, match="of the rectified image"):
        Rectifier(Camera(640, 480, K, "plumb_bob", D))


@pytest.mark.parametrize("shift", [(600, 0), (-600, 0), (0, 450), (0, -450)])
def test_a_rectified_camera_that_looks_elsewhere_is_refused(shift):
    elsewhere = K.copy()
    elsewhere[:2, 2] += shift
    with pytest.raises(InputError, match="6 % of the rectified image"):
        Rectifier(CAMERAS["pinhole"], Rectification(elsewhere, np.eye(3)))


def test_rectify_refuses_an_image_of_another_size():
    with pytest.raises(InputError, match="320x240"):
        Rectifier(CAMERAS["plumb_bob"]).rectify(np.zeros((240, 320, 3), np.uint8))


@pytest.mark.parametrize(
    ("K", "model", "D"),
    [
        (np.zeros((3, 3)), "none", ()),
        (np.full((3, 3), np.nan), "none", ()),
        (K, "thin_plate", ()),
        (K, "plumb_bob", (1.0,)),
        (K, "equidistant", (0, 0, 0, np.inf)),
    ],
)
def test_an_unusable_camera_is_refused(K, model, D):
    with pytest.raises(InputError, match="camera"):
        Camera(640, 480, K, model, D)


unit = st.floats(-1, 1)


@given(st.tuples(unit, unit, unit, unit).filter(lambda q: sum(x * x for x in q) > 0.01))
def test_quaternion_and_matrix_round_trip(q):
    q = np.array(q) / np.linalg.norm(q)
    R = rigid_transform([0, 0, 0], q)[:3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)
    back = quaternion(R)
    assert back[3] >= 0
    assert abs(back @ q) == pytest.approx(1, abs=1e-9)


def test_quaternion_of_a_matrix_that_is_slightly_off():
    R = rigid_transform([0, 0, 0], [0.02, -0.03, 0.01, 1.0])[:3, :3]
    off = R + np.random.default_rng(0).normal(scale=1e-5, size=(3, 3))
    np.testing.assert_allclose(quaternion(off), quaternion(R), atol=3e-5)
    np.testing.assert_allclose(np.linalg.norm(quaternion(off)), 1, rtol=1e-12)


@pytest.mark.parametrize("R", [np.diag([1.0, 1, -1]), np.zeros((3, 3)), np.full((3, 3), np.nan)])
def test_what_is_no_rotation_has_no_quaternion(R):
    with pytest.raises(InputError, match="needed determinant 1"):
        quaternion(R)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(
    "q", [[0, 0, 0, 0], [0, 0, 0, 1e-7], [0, 0, np.nan, 1], [0, np.inf, 0, 1], [1e200] * 4]
)
def test_a_quaternion_without_a_direction_is_refused(q):
    with pytest.raises(InputError, match="needed finite numbers and a unit quaternion"):
        rigid_transform([0, 0, 0], q)


def test_a_quarter_turn_about_z():
    T = rigid_transform([1, 2, 3], [0, 0, np.sin(np.pi / 4), np.cos(np.pi / 4)])
    np.testing.assert_allclose(transform_points(T, np.array([[1.0, 0, 0]])), [[1, 3, 3]], atol=1e-6)


def test_points_of_a_map_keep_their_millimetres():
    T = rigid_transform([-691603.37, -5335823.81, -519.2], [0, 0, 0, 1])
    moved = transform_points(T, np.array([[691603.371, 5335823.812, 522.203]]))
    np.testing.assert_allclose(moved, [[0.001, 0.002, 3.003]], atol=1e-6)
    assert moved.dtype == np.float32
    with np.errstate(all="raise"):
        assert np.isposinf(transform_points(np.eye(4), np.full((1, 3), 1e300))).all()


@pytest.mark.filterwarnings("error")
def test_points_that_are_not_finite_are_nowhere_and_no_warning():
    points = np.array([[np.inf, 0, 2], [0, -np.inf, 2], [0, 0, np.inf], [np.nan] * 3, [0, 0, 0], [0, 0, 2]])
    uv, _ = project(points.astype(np.float32), Camera(64, 48, np.diag([50.0, 50, 1])))
    assert np.isfinite(uv).all(axis=1)[[3, 4, 5]].tolist() == [False, False, True]


SKEWED = np.array([[90.0, 6.0, 31.5], [0, 80.0, 23.5], [0, 0, 1]])


@pytest.mark.parametrize(
    "camera",
    [
        Camera(64, 48, SKEWED, "plumb_bob", (-0.1, 0.02, 0.001, 0.002)),
        Camera(64, 48, SKEWED, "equidistant", (0.05, -0.01, 0, 0)),
    ],
)
def test_skew_is_part_of_the_projection(camera):
    uv = np.array([[5.0, 7], [31.5, 40], [60, 3]])
    points = unproject(uv, np.array([2.0, 3, 4]), camera)
    np.testing.assert_allclose(project(points, camera)[0], uv, atol=1e-3)
    # The rectified image shows at each pixel what the raw one has where the ray falls.
    u = np.broadcast_to(np.arange(64) * 3, (48, 64)).astype(np.uint8)
    v = np.broadcast_to(np.arange(48)[:, None] * 4, (48, 64)).astype(np.uint8)
    rectifier = Rectifier(
        camera, Rectification(np.array([[90.0, 0, 31.5], [0, 80, 23.5], [0, 0, 1]]), np.eye(3))
    )
    seen = rectifier.rectify(np.stack([u, v, v], axis=2))
    at = np.array([[20, 10], [40, 30], [31, 24]])
    raw, _ = project(unproject(at, np.ones(3), rectifier.rectified), camera)
    np.testing.assert_allclose(seen[at[:, 1], at[:, 0], :2], raw * [3, 4], atol=1.5)


def test_a_rectified_camera_stays_where_it_is():
    raw = Camera(64, 48, np.diag([50.0, 50, 1]), position_m=(0.4, 0.0, 0.0))
    wanted = Rectification(np.diag([40.0, 40, 1]), np.eye(3), (0.4, 0.0, 0.0))
    rectifier = Rectifier(raw, wanted)
    assert rectifier.rectified.position_m == resize_camera(raw, 32, 24).position_m == (0.4, 0.0, 0.0)
    assert rectifier.fits(raw, wanted)
    assert not rectifier.fits(raw, Rectification(wanted.K, wanted.R))
    assert Rectifier(raw).rectified.position_m == raw.position_m


# ---- veils -----------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_a_veil_is_what_is_seen_at_too_small_an_angle(turned):
    """A floor at 1 m under the camera, f = 100: it is seen at an angle of atan(y), y the slope of the ray."""
    camera = Camera(200, 200, np.array([[100.0, 0, 100], [0, 100.0, 20], [0, 0, 1]]))
    y = np.maximum(np.arange(200) - 20, 1)[:, None] / 100
    depth = np.broadcast_to(1 / y, (200, 200)).astype(np.float32)
    if turned:  # a wall to the right
        camera, depth = Camera(200, 200, camera.K[[1, 0, 2]][:, [1, 0, 2]]), depth.T.copy()
    found = veils(depth, camera, 10.0)
    found = found.T if turned else found
    assert (found == found[:, :1]).all()
    angle = np.degrees(np.arctan(y[:, 0]))
    assert found[23:31, 0].all() and not found[angle > 11, 0].any()


def test_a_veil_is_one_from_either_side_and_thin_images_have_none():
    depth = np.array([[2, 2, 2.3, 2.7, 3.2, 3.8, 4.5, 4.5]] * 6, np.float32)
    camera = Camera(8, 6, np.array([[40.0, 0, 3.5], [0, 40.0, 2.5], [0, 0, 1]]))
    found = veils(depth, camera, 10.0)
    assert found.any()
    np.testing.assert_array_equal(veils(depth[:, ::-1], camera, 10.0), found[:, ::-1])
    np.testing.assert_array_equal(veils(depth.T[:6, :6], camera, 10.0), veils(depth[:6, :6], camera, 10.0).T)
    for shape in ((1, 1), (1, 9), (9, 1), (2, 4), (2, 2)):
        assert not veils(np.ones(shape, np.float32), camera, 10.0).any()


def test_a_step_from_one_pixel_to_the_next_and_unknown_depth_are_no_veils():
    camera = Camera(8, 6, np.array([[8.0, 0, 3.5], [0, 8.0, 2.5], [0, 0, 1]]))
    step = np.where(np.arange(8) < 4, 2.0, 6.0) * np.ones((6, 1))
    assert not veils(step.astype(np.float32), camera, 20.0).any()
    lonely = np.full((6, 8), 2.0, np.float32)
    lonely[3, 4] = 5.0
    assert np.argwhere(veils(lonely, camera, 20.0)).tolist() == [[3, 4]]
    lonely[3, 3] = lonely[2, 4] = np.nan
    assert not veils(lonely, camera, 20.0).any()


@pytest.mark.parametrize("D", [(), (0.1, -0.05, 0, 0, 0)])
@pytest.mark.parametrize("skew", [0.0, 3.0])
def test_no_point_of_the_image_is_left_out_as_not_seen(D, skew):
    K = np.array([[50.0, skew, 31.5], [0, 50.0, 23.5], [0, 0, 1]])
    camera = Camera(64, 48, K, "plumb_bob" if D else "none", D)
    rng = np.random.default_rng(0)
    points = rng.normal(0, 3, (5000, 3)).astype(np.float32)
    border = unproject(np.array([[0, 0], [63, 47], [0, 47], [63, 0]], np.float64), np.full(4, 2.0), camera)
    points = np.concatenate([points, border])
    near = possibly_seen(points, camera)
    uv, _ = project(points, camera)
    inside = np.flatnonzero((uv >= 0).all(1) & (uv <= [63, 47]).all(1))
    assert len(inside) > 100 and set(inside) <= set(near)
    assert len(near) < (0.6 if D else 0.15) * len(points)
    assert not len(possibly_seen(np.zeros((0, 3), np.float32), camera))


@pytest.mark.parametrize("D", [(), (0.1, -0.05, 0, 0, 0)])
def test_what_is_not_finite_or_huge_is_not_seen_and_warns_of_nothing(D):
    camera = Camera(
        64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]), "plumb_bob" if D else "none", D
    )
    inf, nan = np.inf, np.nan
    odd = [
        [inf, 0, 1],
        [0, -inf, 1],
        [0, 0, inf],
        [inf] * 3,
        [nan] * 3,
        [0, 0, 0],
        [0, nan, 1],
        [3e38, 0, 1e-38],
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near = possibly_seen(np.array([*odd, [0, 0, 2]], np.float32), camera)
    assert 8 in near and not {*range(7)} & {*near.tolist()}


def test_a_camera_without_distortion_needs_no_maps(camera):
    rectifier = Rectifier(camera)
    assert not rectifier.changes and rectifier._maps is None
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    np.testing.assert_array_equal(rectifier.rectify(image), image)
    np.testing.assert_array_equal(rectifier.rectify_labels(image[..., 0]), image[..., 0])

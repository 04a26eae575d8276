import numpy as np
import pytest

from metric_depth_ros.errors import TransformError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.transforms import TransformTree, interpolate


def turn(angle, x=0.0):
    return rigid_transform([x, 0, 0], [0, 0, np.sin(angle / 2), np.cos(angle / 2)])


@pytest.fixture
def tree():
    """map -> base moves, base -> camera and base -> lidar are fixed."""
    tree = TransformTree()
    tree.add("map", "base", turn(0.0), 1_000)
    tree.add("map", "base", turn(1.0, x=2.0), 2_000)
    tree.add("base", "camera", turn(0.0, x=0.5), 0, static=True)
    tree.add("base", "lidar", turn(np.pi, x=-1.0), 0, static=True)
    return tree


def test_static_transforms_chain_over_the_common_parent(tree):
    T = tree.lookup("camera", "lidar", 123_456)
    # The lidar's origin is at x = -1 in base, so at x = -1.5 in camera.
    np.testing.assert_allclose(T, turn(np.pi, x=-1.5), atol=1e-12)
    np.testing.assert_allclose(tree.lookup("lidar", "camera", 0) @ T, np.eye(4), atol=1e-12)


def test_a_moving_edge_is_interpolated(tree):
    np.testing.assert_allclose(tree.lookup("map", "base", 1_500), turn(0.5, x=1.0), atol=1e-12)
    np.testing.assert_allclose(tree.lookup("map", "base", 2_000), turn(1.0, x=2.0), atol=1e-12)


@pytest.mark.parametrize("stamp", [999, 2_001])
def test_a_moving_edge_is_not_extrapolated(tree, stamp):
    with pytest.raises(TransformError, match="outside"):
        tree.lookup("map", "camera", stamp)


@pytest.mark.parametrize(("at_s", "off"), [(2.5, r"-1\.500"), (7.25, r"\+1\.250")])
def test_how_far_outside_is_said(at_s, off):
    tree = TransformTree()
    for second in (4, 6):
        tree.add("map", "base", np.eye(4), second * 10**9)
    words = rf"from 4\.000 to 6\.000 s; needed {at_s:.3f} s \({off} s outside"
    with pytest.raises(TransformError, match=words):
        tree.lookup("map", "base", round(at_s * 1e9))


def test_the_newest_common_time_is_that_of_the_edge_that_lags(tree):
    assert tree.latest_common_ns("map", "camera") == 2_000
    assert tree.latest_common_ns("camera", "lidar") is None
    tree.add("map", "other", np.eye(4), 1_500)
    assert tree.latest_common_ns("other", "lidar") == 1_500
    assert tree.latest_common_ns("camera", "other") == 1_500


def test_a_circle_of_frames_has_no_way_out():
    tree = TransformTree()
    tree.add("a", "b", np.eye(4), 0, static=True)
    tree.add("b", "a", np.eye(4), 0, static=True)
    with pytest.raises(TransformError, match="not exist"):
        tree.lookup("a", "radar", 0)


@pytest.mark.parametrize("again", [1_000, 2_000, 3_000])
def test_a_transform_of_the_same_time_takes_the_other_s_place(again):
    tree = TransformTree()
    for stamp in (1_000, 2_000, 3_000):
        tree.add("map", "base", turn(0, x=stamp), stamp)
    tree.add("map", "base", turn(0, x=again + 500), again)
    known = {stamp: stamp + 500 * (stamp == again) for stamp in (1_000, 2_000, 3_000)}
    for stamp in (1_000, 1_500, 2_000, 2_500, 3_000):
        expected = np.interp(stamp, [*known], [*known.values()])
        assert tree.lookup("map", "base", stamp)[0, 3] == pytest.approx(expected)


def test_missing_and_unconnected_frames_are_named(tree):
    with pytest.raises(TransformError, match="'radar' does not exist"):
        tree.lookup("camera", "radar", 1_000)
    tree.add("other_root", "radar", np.eye(4), 0, static=True)
    with pytest.raises(TransformError, match="not connected"):
        tree.lookup("camera", "radar", 1_000)


def test_a_slash_in_front_does_not_matter(tree):
    np.testing.assert_allclose(tree.lookup("/camera", "lidar", 0), tree.lookup("camera", "/lidar", 0))


def test_clear_keeps_what_is_static(tree):
    tree.clear()
    tree.lookup("camera", "lidar", 0)
    with pytest.raises(TransformError):
        tree.lookup("map", "camera", 1_500)


def test_old_transforms_are_forgotten():
    tree = TransformTree(keep_s=1.0)
    for second in range(10):
        tree.add("map", "base", np.eye(4), second * 10**9)
    tree.lookup("map", "base", 8_500_000_000)
    with pytest.raises(TransformError, match="outside"):
        tree.lookup("map", "base", 6_900_000_000)


def test_stamps_may_come_out_of_order():
    tree = TransformTree()
    for stamp in (3_000, 1_000, 2_000):
        tree.add("map", "base", turn(0, x=stamp / 1_000), stamp)
    assert tree.lookup("map", "base", 1_500)[0, 3] == pytest.approx(1.5)


def test_interpolation_takes_the_short_way_round():
    np.testing.assert_allclose(interpolate(turn(3.0), turn(-3.0), 0.5), turn(np.pi), atol=1e-9)


def test_interpolation_is_linear_in_place_and_slerp_in_rotation():
    """Shoemake 1985: sin((1 - f) a) / sin(a) q0 + sin(f a) / sin(a) q1, a the angle between q0 and q1."""
    rng = np.random.default_rng(0)
    for nearness in (1, 1e-2, 1e-4):
        q0 = rng.normal(size=4)
        q1 = q0 / np.linalg.norm(q0) + nearness * rng.normal(size=4)
        q0, q1 = (q / np.linalg.norm(q) for q in (q0, q1))
        q1 = q1 if q0 @ q1 > 0 else -q1
        t0, t1, f = rng.normal(size=3), rng.normal(size=3), rng.uniform()
        a = np.arccos(q0 @ q1)
        between = (np.sin((1 - f) * a) * q0 + np.sin(f * a) * q1) / np.sin(a)
        found = interpolate(rigid_transform(t0, q0), rigid_transform(t1, q1), f)
        np.testing.assert_allclose(found, rigid_transform((1 - f) * t0 + f * t1, between), atol=1e-11)

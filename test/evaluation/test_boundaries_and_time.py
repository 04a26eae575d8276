"""Boundary F1 and temporal metrics, worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from metric_depth_ros.evaluation.boundaries import boundary_f1
from metric_depth_ros.evaluation.measures import Solved, errors_of
from metric_depth_ros.evaluation.temporal import Moment, flicker, scale_jitter, tae
from metric_depth_ros.types import Camera

# ---- boundaries ------------------------------------------------------------------------------


def board(centre, *, corner=2.0):
    """A pixel in front of a wall at 2 m: one edge in each of the four directions."""
    depth = np.full((3, 3), 2.0)
    depth[1, 1], depth[0, 0] = centre, corner
    return depth


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (board(1), 1.0),
        (3 * board(1), 1.0),  # whatever the scale
        (board(2), 0.0),
        # 2 / 1.6 is 1.25: above nine of the ten ratios, whose weights are 10.25 of 11.5.
        (board(1.6), 0.8913043),
        # Two wrong edges, to the right and down: precision (1/2 + 1 + 1/2 + 1) / 4, recall 1.
        (board(1, corner=1), 0.8571429),
        # The far side in front: four edges, all the wrong way round.
        (board(4), 0.0),
        (board(np.nan), 0.0),
        (board(0), 0.0),
        (board(1, corner=np.nan), 1.0),
    ],
)
def test_boundary_f1_by_hand(depth, expected):
    assert boundary_f1(depth, board(1)) == pytest.approx(expected, rel=1e-6)


def test_a_missed_edge_lowers_the_recall():
    """Of two boards one is missed: precision 1, recall 1/2 in each direction: 2/3."""
    truth = np.hstack([board(1), board(1)])
    assert boundary_f1(np.hstack([board(1), board(2)]), truth) == pytest.approx(2 / 3)


def test_a_direction_without_edges_counts_as_nothing():
    """As the authors' code does: a single step to the right is a quarter, though it is all right."""
    step = np.array([[1.0, 1, 2, 2]] * 2)
    assert boundary_f1(step, step) == pytest.approx(0.25)


def test_unknown_true_depth_is_no_boundary():
    truth = board(1)
    truth[0, 0] = np.nan
    assert boundary_f1(board(1, corner=1), truth) == 1
    assert math.isnan(boundary_f1(board(1), board(2))) and math.isnan(boundary_f1(board(1), board(2.08)))


def test_points_of_a_lidar_have_no_boundaries():
    moment = Moment(board(1), board(1))
    solved = Solved(np.ones(1), np.ones(1), moment=moment)
    assert errors_of(solved, ["boundary_f1"]) == {"boundary_f1": 1}
    sparse = dataclasses.replace(solved, moment=dataclasses.replace(moment, from_lidar=True))
    assert math.isnan(errors_of(sparse, ["boundary_f1"])["boundary_f1"])


def test_sparse_depth_has_no_boundaries_but_depth_below_a_sky_has():
    """One pixel of 16, as of a sweep, and a dense half: what is known of neighbours tells them apart."""
    dense = np.ones((40, 40))
    dense[:, 20:] = 2
    gaps = np.full_like(dense, np.nan)
    sparse, below = gaps.copy(), gaps.copy()
    sparse[::4, ::4], below[30:] = dense[::4, ::4], dense[30:]
    sparse[8], sparse[20] = dense[8], dense[20]  # whole lines have neighbours on one side alone
    found = [
        errors_of(Solved(np.ones(1), np.ones(1), moment=Moment(dense, truth)), ["boundary_f1"])["boundary_f1"]
        for truth in (dense, below, sparse, gaps)
    ]
    assert found[:2] == [0.25, 0.25] and np.isnan(found[2:]).all()


# ---- time ------------------------------------------------------------------------------------

WALL = Camera(5, 3, np.array([[4.0, 0, 2], [0, 4, 1], [0, 0, 1]]))


def moment(depth, truth, *, at=(0, 0, 0), camera=WALL, scene="a"):
    shape = (camera.height, camera.width) if camera else (3, 5)
    pose = np.eye(4)
    pose[:3, 3] = at
    filled = (np.broadcast_to(np.asarray(each, float), shape) for each in (depth, truth))
    return Moment(*filled, camera, pose, scene)


# 1 m towards a wall at 5 m. Depth is 10 % too large, then 10 % too small: ln 1.1 + ln 1/.9 = .2006707.
BEFORE, NOW = moment(5.5, 5), moment(3.6, 4, at=(0, 0, 1))


def test_a_change_of_scale_by_hand():
    assert scale_jitter(BEFORE, NOW) == pytest.approx(0.2006707, rel=1e-5)
    assert flicker(BEFORE, NOW) == pytest.approx(0.2006707, rel=1e-5)
    # 5.5 moves to 4.5 beside 3.6: .25; 3.6 moves to 4.6 beside 5.5: .9 / 5.5 = .1636364.
    assert tae(BEFORE, NOW) == pytest.approx(0.2068182, rel=1e-5)
    assert scale_jitter(NOW, BEFORE) == scale_jitter(BEFORE, NOW) and tae(NOW, BEFORE) == tae(BEFORE, NOW)


def test_true_depth_has_no_change_though_the_camera_moves():
    exact = moment(5, 5), moment(4, 4, at=(0, 0, 1))
    assert [metric(*exact) for metric in (scale_jitter, flicker, tae)] == pytest.approx([0, 0, 0], abs=1e-6)
    # A wrong scale that stays is no jitter; moved with the camera it does not fit.
    double = moment(10, 5), moment(8, 4, at=(0, 0, 1))
    assert [metric(*double) for metric in (scale_jitter, flicker)] == pytest.approx([0, 0], abs=1e-6)
    assert tae(*double) == pytest.approx((1 / 8 + 1 / 10) / 2, rel=1e-5)  # 10 moves to 9, 8 to 9


def test_scale_is_a_median_and_flicker_a_mean():
    """One of three rows 20 % farther than before."""
    row = np.array([[1.0], [1.0], [1.2]])
    changed = moment(5 * row, 5)
    assert scale_jitter(moment(5, 5), changed) == 0
    assert flicker(moment(5, 5), changed) == pytest.approx(0.1823216 / 3, rel=1e-5)


@pytest.mark.parametrize(("metric", "lost"), [(scale_jitter, math.log(2)), (flicker, math.log(2)), (tae, 1)])
def test_no_depth_is_a_change_by_factor_two(metric, lost):
    for pair in ((moment(np.nan, 5), moment(5, 5)), (moment(5, 5), moment(np.nan, 5))):
        assert metric(*pair) == pytest.approx(lost)
    assert metric(moment(np.nan, 5), moment(np.nan, 5)) == pytest.approx(lost)


def test_a_lost_point_counts_among_the_others():
    part = np.full((3, 5), 5.0)
    part[0] = np.nan  # a third
    assert scale_jitter(moment(5, 5), moment(part, 5)) == 0
    assert flicker(moment(5, 5), moment(part, 5)) == pytest.approx(0.6931472 / 3, rel=1e-5)
    assert tae(moment(5, 5), moment(part, 5)) == pytest.approx(1 / 3)


# One row: a post at 2 m before a wall at 4 m; the camera moves 1 m to the right, the wall by one pixel to the
# left and the post by two, so it hides what was the pixel beside it.
ROW = Camera(5, 1, np.array([[4.0, 0, 2], [0, 4, 0], [0, 0, 1]]))
POST_BEFORE, POST_NOW = [4, 4, 2, 4, 4], [2, 4, 4, 4, 4]


def test_what_is_hidden_does_not_count():
    now = moment(POST_NOW, POST_NOW, at=(1, 0, 0), camera=ROW)
    exact = moment(POST_BEFORE, POST_BEFORE, camera=ROW)
    assert tae(exact, now) == pytest.approx(0, abs=1e-6) and flicker(exact, now) == pytest.approx(0, abs=1e-6)
    wrong = moment([4, 8, 2, 4, 4], POST_BEFORE, camera=ROW)  # at the pixel that the post hides
    assert flicker(wrong, now) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("apart", "same"), [(0.015, True), (-0.015, True), (0.03, False), (-0.03, False)])
def test_a_point_is_the_same_if_its_true_depth_agrees_to_two_percent(apart, same):
    now = moment(6, 5 * (1 + apart))
    change = flicker(moment(5, 5), now)
    assert change == pytest.approx(math.log(6 / 5 / (1 + apart))) if same else math.isnan(change)


def test_what_is_not_known_is_no_metric():
    for unlike in (
        dataclasses.replace(NOW, scene="b"),
        dataclasses.replace(NOW, truth=np.full((3, 5), np.nan)),
    ):
        assert all(math.isnan(metric(BEFORE, unlike)) for metric in (scale_jitter, flicker, tae))
    unposed = dataclasses.replace(NOW, T_world_camera=None)
    assert math.isnan(flicker(BEFORE, unposed)) and math.isnan(tae(BEFORE, unposed))
    assert scale_jitter(BEFORE, unposed) == pytest.approx(0.2006707, rel=1e-5)
    elsewhere = moment(4, 4, at=(100, 0, 0))
    assert math.isnan(flicker(BEFORE, elsewhere)) and math.isnan(tae(BEFORE, elsewhere))
    first = errors_of(Solved(np.ones(1), np.ones(1), moment=NOW), ["flicker", "tae", "scale_jitter"])
    assert all(math.isnan(value) for value in first.values())

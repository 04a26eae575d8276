"""How anchors are drawn: counts, what is held out, seeds, disturbance."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from metric_depth_ros.datasets import Frame
from metric_depth_ros.datasets.driving_files import projected_depth
from metric_depth_ros.errors import AnchorError, ConfigError, InputError
from metric_depth_ros.evaluation import known_depth as k
from metric_depth_ros.evaluation.known_depth import (
    KnownDepth,
    TruthRules,
    known_pixels,
    unusable_border_px,
)
from metric_depth_ros.evaluation.protocols import (
    MOST_EVALUATED,
    Case,
    cases_of,
    disturbed,
    draw,
    pixel_index,
    rows,
)
from metric_depth_ros.evaluation.regimes import drop_closest
from metric_depth_ros.geometry import transform_points
from metric_depth_ros.types import Anchors, Camera

HEIGHT, WIDTH = 120, 160
CAMERA = Camera(WIDTH, HEIGHT, np.array([[100.0, 0, 79.5], [0, 100.0, 59.5], [0, 0, 1]]))
# Axes of a LiDAR (x ahead, z up) to those of a camera that looks the same way, 0.2 m below it.
T_CAMERA_LIDAR = np.array([[0, -1, 0, 0], [0, 0, -1, -0.2], [1, 0, 0, 0], [0, 0, 0, 1.0]])


def known_depth(frame: Frame, **limits) -> KnownDepth:
    return k.known_depth(frame, known_pixels(frame), **limits)


def picture(**given) -> Frame:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return Frame("a", 0, image, given.pop("camera", CAMERA), **given)


@pytest.fixture
def dense() -> KnownDepth:
    """Every pixel but those of a hole in the middle."""
    depth = np.random.default_rng(0).uniform(1, 5, (HEIGHT, WIDTH)).astype(np.float32)
    depth[50:70, 70:90] = np.nan
    return known_depth(picture(depth=depth), limits_m=(0, 10))


def lidar_frame(lines: int = 20) -> Frame:
    """A ring every 2 degrees of elevation at 10 m range, from 19 below to 19 above, every 0.2 degrees."""
    elevation = np.radians(np.linspace(-19, 19, lines))[:, None]
    azimuth = np.radians(np.arange(-30, 30, 0.2))[None]
    rings = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    points = 10 * np.stack([part + 0 * azimuth for part in rings], axis=-1).reshape(-1, 3)
    return picture(points_lidar=points.astype(np.float32), T_camera_lidar=T_CAMERA_LIDAR)


@pytest.fixture
def lidar() -> KnownDepth:
    return known_depth(lidar_frame(), limits_m=(0, 80))


@pytest.fixture
def checked() -> KnownDepth:
    """A chessboard with squares of 20 pixels: its corners are where four squares meet."""
    v, u = np.indices((HEIGHT, WIDTH)) // 20
    image = np.repeat((200 * ((u + v) % 2) + 20).astype(np.uint8)[..., None], 3, axis=2)
    depth = np.random.default_rng(0).uniform(1, 5, (HEIGHT, WIDTH)).astype(np.float32)
    return known_depth(Frame("a", 0, image, CAMERA, depth=depth), limits_m=(0, 10))


ALL = [
    Case("random", 1),
    Case("random", 500),
    Case("rows", 1),
    Case("rows", 4),
    Case("rows", 16),
    Case("beams", 2),
    Case("grid", 8),
    Case("grid", 16),
    Case("low", 1),
    Case("high", 1),
    Case("drop", 9),
]


# ---- known depth -----------------------------------------------------------------------------


def test_known_depth_ends_at_the_cap_and_the_border():
    depth = np.full((HEIGHT, WIDTH), 2, np.float32)
    depth[:, 100:] = 12
    frame = picture(depth=depth)
    assert len(known_depth(frame, limits_m=(0, 10))) == HEIGHT * 100
    inner = known_depth(frame, limits_m=(0, 80), border_px=12)
    assert inner.pixels.uv.min(axis=0).tolist() == [12, 12]
    assert inner.pixels.uv.max(axis=0).tolist() == [WIDTH - 13, HEIGHT - 13]
    assert np.allclose(inner.pixels.sigma, 0.02 * inner.pixels.depth) and not inner.from_lidar


def test_a_white_frame_around_a_picture_does_not_count():
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    image[0], image[-1], image[:, 0] = 255, 255, 255  # a white sky, a table, a wall: no frame
    assert unusable_border_px(image) == 0
    image[:, -1] = 245
    assert unusable_border_px(image) == 12


def test_elevation_of_rows_and_of_rings(dense, lidar):
    # Row 59.5 is the horizon; the one 100 pixels below it would be at 45 degrees.
    v = dense.pixels.uv[:, 1]
    np.testing.assert_allclose(np.tan(dense.elevation), (59.5 - v) / 100, atol=1e-6)
    degrees = np.degrees(lidar.elevation)
    assert lidar.from_lidar and len(lidar) > 1000
    assert np.abs(degrees - (2 * np.rint((degrees - 1) / 2) + 1)).max() < 0.01


def test_a_picture_without_intrinsics_has_rows_all_the_same():
    depth = np.full((HEIGHT, WIDTH), 2, np.float32)
    known = known_depth(picture(camera=None, depth=depth), limits_m=(0, 10))
    assert len(np.unique(known.elevation)) == HEIGHT
    assert len(known_depth(picture(camera=None, points_lidar=np.ones((5, 3))), limits_m=(0, 10))) == 0


def test_points_that_the_camera_cannot_see_are_neither_anchors_nor_truth():
    """A wall at 12 m right behind a dense board at 4 m: rays of a LiDAR above pass over the board."""
    y, x = np.mgrid[-1:1:0.02, -1:1:0.02]
    board = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, 4.0)])
    hidden = np.array([[0.0, 0, 12], [0.5, 0.5, 12]])
    lidar_axes = (np.vstack([board, hidden]) - T_CAMERA_LIDAR[:3, 3]) @ T_CAMERA_LIDAR[:3, :3]
    frame = picture(points_lidar=lidar_axes.astype(np.float32), T_camera_lidar=T_CAMERA_LIDAR)
    known = known_depth(frame, limits_m=(0, 80))
    assert len(known) == len(board) and known.pixels.depth.max() < 5


# ---- protocols -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ALL, ids=str)
@pytest.mark.parametrize("kind", ["dense", "lidar"])
def test_no_pixel_is_anchor_and_evaluated(kind, case, request):
    known = request.getfixturevalue(kind)
    drawn = draw(known, case, 0, "set/a")
    held = known.pixels.take(drawn.evaluated)
    assert len(drawn.anchors) >= 1 and len(held) > 400
    assert not np.isin(pixel_index(held.uv, WIDTH), pixel_index(drawn.anchors.uv, WIDTH)).any()
    # Every anchor is a known pixel, with its depth.
    at = {tuple(uv): depth for uv, depth in zip(known.pixels.uv, known.pixels.depth, strict=True)}
    assert all(at[tuple(uv)] == d for uv, d in zip(drawn.anchors.uv, drawn.anchors.depth, strict=True))


@pytest.mark.parametrize(
    "case", [Case("random", 50), Case("rows", 4), Case("random", 50, noisy=True)], ids=str
)
def test_a_draw_follows_from_its_seed_and_name_alone(case, dense):
    first, again = draw(dense, case, 1, "set/a"), draw(dense, case, 1, "set/a")
    np.testing.assert_array_equal(first.anchors.uv, again.anchors.uv)
    np.testing.assert_array_equal(first.anchors.depth, again.anchors.depth)
    np.testing.assert_array_equal(first.evaluated, again.evaluated)
    for other in (draw(dense, case, 2, "set/a"), draw(dense, case, 1, "set/b")):
        assert (
            other.anchors.uv.shape != first.anchors.uv.shape or (other.anchors.uv != first.anchors.uv).any()
        )


def test_random_draws_as_many_as_asked_all_over(dense):
    drawn = draw(dense, Case("random", 500), 0, "set/a")
    assert len(drawn.anchors) == 500
    assert len(np.unique(drawn.anchors.uv, axis=0)) == 500
    assert np.count_nonzero(drawn.evaluated) == len(dense) - 500
    halves = (drawn.anchors.uv > [WIDTH / 2, HEIGHT / 2]).mean(axis=0)
    assert (np.abs(halves - 0.5) < 0.1).all()


def test_at_most_so_many_pixels_are_evaluated():
    frame = Frame("a", 0, np.zeros((300, 400, 3), np.uint8), None, depth=np.ones((300, 400), np.float32))
    drawn = draw(known_depth(frame, limits_m=(0, 10)), Case("random", 10), 0, "set/a")
    assert np.count_nonzero(drawn.evaluated) == MOST_EVALUATED == 40_000


def test_rows_of_a_depth_image_are_at_equal_elevation_steps(dense):
    drawn = draw(dense, Case("rows", 4), 0, "set/a")
    v, u = np.unique(drawn.anchors.uv[:, 1]), drawn.anchors.uv[:, 0]
    assert len(v) == 4
    steps = np.diff(np.arctan((59.5 - v) / 100))
    assert np.abs(steps / steps.mean() - 1).max() < 0.05
    assert len(np.unique(u % 4)) == 1
    assert 4 * 30 < len(drawn.anchors) <= 4 * 40


def test_a_row_lies_near_the_middle_of_its_band(dense):
    """Four bands of elevation, and a quarter of one either way; which row, is drawn."""
    low, high = dense.elevation.min(), dense.elevation.max()
    off = []
    for seed in range(30):
        v = np.unique(draw(dense, Case("rows", 4), seed, "set/a").anchors.uv[:, 1])[::-1]
        place = (np.arctan((59.5 - v) / 100) - low) / (high - low) * 4
        off.append(place - np.arange(4) - 0.5)
    assert np.abs(off).max() < 0.25 + 4 * 0.005 / (high - low) and np.ptp(off) > 0.4


def test_rows_of_a_lidar_that_looks_down_are_below(lidar):
    below = np.flatnonzero(lidar.elevation < np.radians(-8))
    known = KnownDepth(lidar.pixels.take(below), WIDTH, HEIGHT, lidar.elevation[below], True)
    assert len(np.unique(draw(known, Case("rows", 2), 0, "set/a").anchors.uv[:, 1])) > 2


def test_a_row_has_anchors_though_no_fourth_pixel_of_it_is_known():
    depth = np.full((600, WIDTH), np.nan, np.float32)
    depth[:, 41] = 2
    known = known_depth(
        Frame("a", 0, np.zeros((600, WIDTH, 3), np.uint8), None, depth=depth), limits_m=(0, 10)
    )
    assert all(len(draw(known, Case("rows", 4), seed, "set/a").anchors) == 4 for seed in range(8))


def test_rows_of_a_lidar_are_its_rings_with_all_their_points(lidar):
    drawn = draw(lidar, Case("rows", 4), 0, "set/a")
    chosen = np.isin(lidar.pixels.uv, drawn.anchors.uv).all(axis=1)
    rings = np.unique(np.rint(np.degrees(lidar.elevation[chosen])))
    assert len(rings) == 4 and (np.abs(np.diff(rings) - 10) <= 2).all()
    for ring in rings:
        on_ring = np.rint(np.degrees(lidar.elevation)) == ring
        assert chosen[on_ring].all() and on_ring.sum() > 50


def test_the_grid_is_one_pixel_for_each_cell_with_any(dense):
    anchors = draw(dense, Case("grid", 8), 0, "set/a").anchors
    cell = (anchors.uv // [WIDTH / 8, HEIGHT / 8]).astype(int)
    assert len(anchors) == 64 and len(np.unique(cell, axis=0)) == 64
    # Cells are 20 x 15 pixels: the centre of the first lies between pixels 9 and 10, at row 7.
    assert np.abs(anchors.uv[np.lexsort(cell.T)][0] - [9.5, 7]).max() <= 0.5
    # The hole covers the cell with u 80 to 99 and v 60 to 74 in part: its anchor lies outside the hole.
    ((u, v),) = anchors.uv[(cell == [4, 4]).all(axis=1)]
    assert not (70 <= u < 90 and 50 <= v < 70)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Case("random", 20_000), "18800 known pixels; needed 20400"),
        (Case("rows", 4), None),
        (Case("grid", 8), None),
    ],
    ids=str,
)
def test_too_few_known_pixels(case, message, dense):
    empty = KnownDepth(dense.pixels.take(np.zeros(0, int)), WIDTH, HEIGHT, np.empty(0), False)
    with pytest.raises(AnchorError, match="0 known pixels"):
        draw(empty, case, 0, "set/a")
    if message:
        with pytest.raises(AnchorError, match=message):
            draw(dense, case, 0, "set/a")


@pytest.mark.parametrize(("case", "needed"), [(Case("random", 20), 420), (Case("high", 1), 930)], ids=str)
def test_400_known_pixels_are_left_to_evaluate(case, needed, dense):
    def first(count):
        some = np.arange(count)
        return KnownDepth(dense.pixels.take(some), WIDTH, HEIGHT, dense.elevation[some], False)

    assert np.count_nonzero(draw(first(needed), case, 0, "set/a").evaluated) >= 400
    with pytest.raises(AnchorError, match=f"{needed - 1} known pixels; needed {needed}"):
        draw(first(needed - 1), case, 0, "set/a")


@pytest.mark.parametrize(
    ("name", "least", "most"), [("low", 10, 15), ("medium", 100, 120), ("high", 500, 530)]
)
@pytest.mark.parametrize("kind", ["dense", "lidar"])
def test_regimes_lie_all_over_the_known_pixels(kind, name, least, most, request):
    known = request.getfixturevalue(kind)
    uv = draw(known, Case(name, 1), 0, "a").anchors.uv
    assert least <= len(uv) <= most
    quarter = (uv[:, 0] >= WIDTH / 2) * 2 + (uv[:, 1] >= HEIGHT / 2)
    assert np.bincount(quarter.astype(int), minlength=4).min() >= len(uv) // 8


def test_fewer_anchors_of_the_drop_test_are_some_of_the_more(dense):
    kept = [{*map(tuple, draw(dense, Case("drop", n), 0, "a").anchors.uv.tolist())} for n in (9, 7, 5, 3, 1)]
    assert [len(each) for each in kept] == [9, 7, 5, 3, 1]
    assert all(few < many for many, few in pairwise(kept))
    again = draw(dense, Case("drop", 9), 5, "b").anchors.uv
    assert {*map(tuple, again.tolist())} == kept[0]


def test_beams_are_whole_rows(dense):
    sparse, whole = (draw(dense, Case(name, 1), 0, "set/a").anchors for name in ("rows", "beams"))
    assert len(np.unique(whole.uv[:, 1])) == 1
    assert len(whole) >= WIDTH - 20 and len(sparse) <= WIDTH / 4


def test_corners_are_those_of_the_picture_strongest_first_and_spread(checked):
    uv = draw(checked, Case("corners", 35), 0, "a").anchors.uv
    # Between pixels 19 and 20 of both directions, and so on: 7 x 5 of them.
    off = np.abs(np.mod(uv + 0.5, 20) - 0.5)
    assert len(uv) == 35 and np.minimum(off, 20 - off).max() <= 1.5
    few = draw(checked, Case("corners", 6), 0, "a").anchors.uv
    gaps = np.linalg.norm(few[:, None] - few, axis=2) + 1e3 * np.eye(6)
    assert gaps.min() >= 39  # an even spread would be 57 pixels apart, corners are 20
    np.testing.assert_array_equal(draw(checked, Case("corners", 6), 9, "b").anchors.uv, few)


def test_corners_without_depth_have_that_of_a_lidar_point_beside_them(checked):
    """Known are pixels two beside each corner, and others far from any."""
    v, u = np.mgrid[18:HEIGHT:20, 18:WIDTH:20].reshape(2, -1)
    far_v, far_u = np.mgrid[0:HEIGHT, 8:12].reshape(2, -1)
    flat = np.concatenate([v * WIDTH + u, far_v * WIDTH + far_u])
    known = dataclasses.replace(checked, pixels=checked.pixels.take(flat), elevation=checked.elevation[flat])
    uv = draw(known, Case("corners", 500), 0, "a").anchors.uv
    assert {*map(tuple, uv.tolist())} <= {*zip(u.tolist(), v.tolist(), strict=True)} and len(uv) >= 35


def test_a_blank_picture_has_no_corners(dense):
    with pytest.raises(AnchorError, match="corners: 0 with known depth"):
        draw(dense, Case("corners", 10), 0, "a")
    with pytest.raises(AnchorError, match="corners: no image"):
        draw(dataclasses.replace(dense, image=None), Case("corners", 10), 0, "a")


def test_what_a_sensor_measured_is_evaluated_on_the_true_depth():
    true = np.full((HEIGHT, WIDTH), 2, np.float32)
    sparse = np.full_like(true, np.nan)
    sparse[::10, ::10] = 2.5
    sparse[0, 0] = 11  # beyond the limits
    known = known_depth(picture(depth=true, sparse_depth=sparse), limits_m=(0, 10))
    everything, some = (draw(known, Case("sensor", n), 0, "a") for n in (0, 50))
    assert len(everything.anchors) == 12 * 16 - 1 and (everything.anchors.depth == 2.5).all()
    assert len(some.anchors) == 50 and (np.mod(some.anchors.uv, 10) == 0).all()
    held = known.pixels.take(everything.evaluated)
    assert (held.depth == 2).all() and len(held) == HEIGHT * WIDTH - (12 * 16 - 1)
    assert Case("sensor", 0).seeds == 1 and Case("sensor", 50).seeds == 3
    with pytest.raises(
        AnchorError, match="sensor: 191 pixels measured apart from the true depth; needed 500"
    ):
        draw(known, Case("sensor", 500), 0, "a")


def test_a_sweep_is_a_sensor_where_there_is_a_depth_image_beside_it(lidar, dense):
    frame = dataclasses.replace(lidar_frame(), depth=np.full((HEIGHT, WIDTH), 3, np.float32))
    known = known_depth(frame, limits_m=(0, 80))
    found = draw(known, Case("sensor", 0), 0, "a").anchors
    np.testing.assert_array_equal(found.uv, lidar.pixels.uv)
    np.testing.assert_array_equal(found.depth, lidar.pixels.depth)
    for known in (lidar, dense):
        with pytest.raises(AnchorError, match="sensor: nothing measured apart"):
            draw(known, Case("sensor", 0), 0, "a")
    small = dataclasses.replace(frame, sparse_depth=np.ones((4, 4), np.float32))
    with pytest.raises(InputError, match=r"frame a: sparse depth \(4, 4\)"):
        known_depth(small, limits_m=(0, 80))


# Half a pixel is 0.3 degrees here: less than two rings of a LiDAR with 64 lines.
def swept(lines: int = 96, **given) -> Frame:
    """A frame whose depth image is its sweep, as in KITTI raw."""
    frame = lidar_frame(lines)
    depth = projected_depth(transform_points(T_CAMERA_LIDAR, frame.points_lidar), CAMERA)
    return dataclasses.replace(frame, depth=depth, depth_is_sweep=True, **given)


@pytest.mark.parametrize("count", [1, 4])
def test_lines_of_a_sweep_s_image_are_the_lidar_s_rings(count):
    known = known_depth(swept(), limits_m=(0, 80))
    assert known.from_lidar and len(known) == np.isfinite(swept().depth).sum()
    step = 38 / 95
    ring = np.rint((np.degrees(known.elevation) + 19) / step)
    np.testing.assert_allclose(np.degrees(known.elevation), ring * step - 19, atol=1e-3)
    drawn = draw(known, Case("rows", count), 0, "a").anchors
    chosen = np.isin(pixel_index(known.pixels.uv, WIDTH), pixel_index(drawn.uv, WIDTH))
    assert len(np.unique(ring[chosen])) == count
    assert np.count_nonzero(chosen) == np.isin(ring, ring[chosen]).sum() > 80 * count


def test_of_points_on_one_pixel_the_nearest_tells_the_ring():
    frame = swept()
    behind = 2 * frame.points_lidar + np.float32([0, 0, 0.04])
    both = dataclasses.replace(frame, points_lidar=np.concatenate([frame.points_lidar, behind]))
    alone, covered = (known_depth(each, limits_m=(0, 80)) for each in (frame, both))
    np.testing.assert_array_equal(alone.elevation, covered.elevation)


def test_a_sweep_s_image_has_no_other_sensor():
    known = known_depth(swept(), limits_m=(0, 80))
    with pytest.raises(AnchorError, match="sensor: nothing measured apart"):
        draw(known, Case("sensor", 0), 0, "a")
    sparse = np.where(np.arange(WIDTH) % 10 == 0, swept().depth, np.nan)
    known = known_depth(swept(sparse_depth=sparse), limits_m=(0, 80))
    assert len(draw(known, Case("sensor", 0), 0, "a").anchors) == np.isfinite(sparse).sum()


@pytest.mark.parametrize(("apart", "whole"), [(0.1, True), (0.25, False)])
def test_a_ring_is_as_wide_as_half_the_step_of_64_lines(apart, whole):
    """Points of two elevations in turn: one line if they are at most 0.15 degrees apart."""
    known = known_depth(swept(20), limits_m=(0, 80))
    middle = np.flatnonzero(np.abs(np.degrees(known.elevation) - 1) < 0.1)
    elevation = known.elevation.copy()
    elevation[middle[::2]] += np.radians(apart)
    found = rows(dataclasses.replace(known, elevation=elevation), 19, np.random.default_rng(0))
    assert np.isin(middle, found).all() == whole and np.isin(middle, found).any()


def test_of_the_closest_pair_the_one_with_the_closer_second_neighbour_is_dropped():
    uv = np.array([[10.0, 0], [11, 0], [6, 0], [30, 0]])
    assert drop_closest(uv, 3).tolist() == [1, 2, 3]
    assert drop_closest(uv[[1, 0, 2, 3]], 3).tolist() == [0, 2, 3]
    even = np.array([[9.0, 0], [10, 0], [4, 0], [15, 0]])  # second neighbours equally far
    assert drop_closest(even, 3).tolist() == [0, 2, 3]


@pytest.mark.parametrize("case", [Case("random", 500), Case("grid", 8), Case("low", 1)], ids=str)
def test_pixels_with_an_anchor_count_if_they_are_to(case, dense):
    counted = dataclasses.replace(dense, anchor_pixels=True)
    apart, together = draw(dense, case, 0, "a"), draw(counted, case, 0, "a")
    np.testing.assert_array_equal(apart.anchors.uv, together.anchors.uv)
    assert together.evaluated.all()
    assert np.count_nonzero(apart.evaluated) == len(dense) - len(apart.anchors)


def test_all_known_pixels_may_be_anchors_if_they_count_too(dense):
    few = dataclasses.replace(
        dense, pixels=dense.pixels.take(np.arange(450)), elevation=dense.elevation[:450], anchor_pixels=True
    )
    drawn = draw(few, Case("random", 450), 0, "a")
    assert len(drawn.anchors) == 450 and drawn.evaluated.all()
    with pytest.raises(AnchorError, match="450 known pixels; needed 451"):
        draw(few, Case("random", 451), 0, "a")


def test_too_little_beside_the_anchors_is_no_evaluation(dense):
    some = np.arange(600)
    few = dataclasses.replace(dense, pixels=dense.pixels.take(some), elevation=dense.elevation[some])
    with pytest.raises(AnchorError, match=r"beams: \d+ known pixels beside \d+ anchors; needed 400"):
        draw(few, Case("beams", 1000), 0, "a")


# ---- limits, masks, the sky ------------------------------------------------------------------


def test_both_limits_count_and_a_mask_and_the_sky():
    depth = np.full((HEIGHT, WIDTH), 2, np.float32)
    depth[:, :10], depth[:, 150:] = 0.1, 6
    sky = np.zeros((HEIGHT, WIDTH), np.bool_)
    sky[:20] = True
    mask = np.zeros_like(sky)
    mask[:100] = True
    frame = picture(depth=depth, sky=sky)
    assert len(known_depth(frame, limits_m=(0, 10))) == 100 * WIDTH
    assert len(known_depth(frame, limits_m=(0.2, 5))) == 100 * 140
    assert len(known_depth(frame, limits_m=(2, 6))) == 100 * 150  # both included
    found = known_depth(frame, limits_m=(0.2, 5), mask=mask)
    assert len(found) == 80 * 140 and found.pixels.uv.min(axis=0).tolist() == [10, 20]
    with pytest.raises(InputError, match=r"frame a: mask \(4, 4\); needed \(120, 160\)"):
        known_depth(frame, limits_m=(0, 10), mask=np.ones((4, 4), np.bool_))


@pytest.mark.parametrize("limits", [(5, 2), (-1, 5), (0, float("inf")), (float("nan"), 5), (2, 2)])
def test_limits_that_are_no_range(limits):
    with pytest.raises(ConfigError, match="needed a range from 0"):
        TruthRules(limits)


# ---- cases in words --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("random:250,1000 rows:8,64 grid:16", "250; 1000; 8 rows; 64 rows; 16x16 grid"),
        ("random:250,1000,rows:8,64", "250; 1000; 8 rows; 64 rows"),
        ("random,rows,grid", "1; 5; 1 row; 4 rows; 16 rows; 8x8 grid"),
        ("random 7, rows:1", "7; 1 row"),
        ("sensor:0,500", "sensor; sensor, 500"),
        ("beams,corners", "1 beam; 16 beams; 32 beams; 150 corners; 500 corners; 1500 corners"),
        ("low drop:3,1", "low; drop to 3; drop to 1"),
    ],
)
def test_cases_in_words(text, labels):
    assert [case.label for case in cases_of(text, {"random": (1, 5)})] == labels.split("; ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needed one of none, random"),
        ("spiral:3", "'spiral'; needed one of none"),
        ("random:few", "protocol random: 'few'; needed whole numbers"),
        ("random:", "protocol random: ''; needed whole numbers"),
        ("rows:0", "rows: 0 anchors; needed 1 to 1024"),
        ("rows:99999", "rows: 99999 anchors; needed 1 to 1024"),
        ("grid:1234567890123", "needed whole numbers"),
        ("drop:20", "drop: 20 anchors; needed 1 to 9"),
        ("low:5", "low: 5 anchors; needed 1 to 1"),
        ("5,random", "protocol: '5'"),
    ],
)
def test_words_that_are_no_cases(text, message):
    with pytest.raises(ConfigError, match=message):
        cases_of(text, {})


def test_a_case_that_is_none():
    with pytest.raises(ConfigError, match="'spiral'; needed one of none, random, rows, grid"):
        Case("spiral", 4)
    with pytest.raises(ConfigError, match="rows: 0"):
        Case("rows", 0)
    with pytest.raises(ConfigError, match=r"random: 0 anchors; needed 1 to 1000000"):
        Case("random", 0)
    with pytest.raises(ConfigError, match="none: 5 anchors; needed 0 to 0"):
        Case("none", 5)


def test_without_anchors_all_known_pixels_count(dense):
    drawn = draw(dense, Case("none", 0), 0, "set/a")
    assert len(drawn.anchors) == 0 and drawn.evaluated.all() and Case("none", 0).seeds == 1


def test_seeds_by_count():
    counts = {1: 3, 100: 3, 101: 2, 500: 2, 501: 1, 2000: 1}
    assert {count: Case("random", count).seeds for count in counts} == counts
    assert Case("rows", 16).seeds == 3 and Case("grid", 8).seeds == 1


# ---- disturbance -----------------------------------------------------------------------------


def test_two_percent_noise_and_five_percent_outliers_half_of_them_near():
    n = 100_000
    given = Anchors(np.zeros((n, 2)), np.full(n, 4, np.float32), np.full(n, 0.03, np.float32))
    found = disturbed(given, np.random.default_rng(0))
    factor = found.depth / 4
    near, far = factor < 0.85, factor > 1.15
    # Three standard deviations of a binomial at n = 100000 and p = 0.025 are 0.0015.
    assert near.mean() == pytest.approx(0.025, abs=0.0015)
    assert far.mean() == pytest.approx(0.025, abs=0.0015)
    inlying = factor[~near & ~far]
    assert inlying.std() == pytest.approx(0.02, abs=0.0005) and inlying.mean() == pytest.approx(1, abs=0.0005)
    # Uniform, so the means are those of the ends: 0.525 and 2.15; noise comes on top.
    assert factor[near].mean() == pytest.approx(0.525, abs=0.02)
    assert factor[far].mean() == pytest.approx(2.15, abs=0.06)
    assert factor.min() > 0.27 and factor.max() < 3.3
    np.testing.assert_array_equal(found.sigma, given.sigma)
    assert (given.depth == 4).all()


def test_a_noisy_draw_has_the_pixels_of_the_clean_one(dense):
    clean, noisy = (draw(dense, Case("random", 500, flag), 0, "set/a") for flag in (False, True))
    np.testing.assert_array_equal(clean.anchors.uv, noisy.anchors.uv)
    np.testing.assert_array_equal(clean.evaluated, noisy.evaluated)
    ratio = noisy.anchors.depth / clean.anchors.depth
    assert 0.01 < np.median(np.abs(ratio - 1)) < 0.02  # 0.67 of 2 %, and a little more

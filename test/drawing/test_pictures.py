"""Pictures: sizes, colours in the right order and place, and nothing modified."""

from __future__ import annotations

import numpy as np
import pytest

from metric_depth_ros.drawing.pictures import (
    depth_colours,
    depth_range,
    draw_anchors,
    draw_depth,
    draw_from_above,
    draw_grid,
    draw_sheet,
    round_values,
)
from metric_depth_ros.types import Anchors, Camera

CAMERA = Camera(64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]))


def anchors_at(*uvz: tuple[float, float, float]) -> Anchors:
    values = np.array(uvz, np.float32).reshape(-1, 3)
    return Anchors(values[:, :2], values[:, 2], np.full(len(values), 0.1, np.float32))


def test_near_is_red_far_is_blue_unknown_is_grey() -> None:
    near, far, unknown, nothing = depth_colours(np.array([1.2, 18, np.nan, 0]), 1, 20).astype(int)
    assert near[0] > near[2] + 50
    assert far[2] > far[0] + 50
    assert unknown[0] == unknown[1] == unknown[2]
    np.testing.assert_array_equal(nothing, unknown)


def test_colours_go_with_the_logarithm() -> None:
    """sqrt(low * high) is the middle of the palette; beyond the range are the ends."""
    colours = depth_colours(np.array([0.5, 1, 10, 100, 1000]), 1, 100)
    np.testing.assert_array_equal(colours[0], colours[1])
    np.testing.assert_array_equal(colours[3], colours[4])
    other = depth_colours(np.array([4.0]), 1, 16)
    np.testing.assert_array_equal(colours[2], other[0])


def test_the_range_shows_most_of_the_depths() -> None:
    depth = np.linspace(1, 101, 101, dtype=np.float32)
    depth[:1] = np.nan
    low, high = depth_range(depth)
    assert 3 < low < 5
    assert 98 < high < 100
    assert depth_range(np.array([np.nan, 0, -1])) == (1, 10)
    low, high = depth_range(np.full(5, 4.0))
    assert low < 4 < high


def test_anchors_are_drawn_where_they_are_nearest_on_top() -> None:
    image = np.full((48, 64, 3), 200, np.uint8)
    picture = draw_anchors(image, anchors_at((10, 5, 2), (40, 30, 8), (40, 30, 3)), 1, 10)
    np.testing.assert_array_equal(picture[5, 10], depth_colours(np.float32(2), 1, 10))
    np.testing.assert_array_equal(picture[30, 40], depth_colours(np.float32(3), 1, 10))
    np.testing.assert_array_equal(picture[40, 5], [110, 110, 110])
    assert (image == 200).all()


def test_depth_is_drawn_beside_its_scale() -> None:
    depth = np.full((96, 64), 3, np.float32)
    depth[:10] = np.nan
    picture = draw_depth(depth, 1, 10)
    assert picture.shape == (96, 64 + 86, 3)
    np.testing.assert_array_equal(picture[50, 5], depth_colours(np.float32(3), 1, 10))
    np.testing.assert_array_equal(picture[2, 5], depth_colours(np.float32(np.nan), 1, 10))
    np.testing.assert_array_equal(picture[83, 64 + 15], depth_colours(np.float32(1), 1, 10))
    np.testing.assert_array_equal(picture[12, 64 + 15], depth_colours(np.float32(10), 1, 10))


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.9, 11, 2, [1, 10]),
        (0.9, 11, 3, [1, 3, 10]),
        (0.9, 11, 4, [1, 2, 5, 10]),
        (4.2, 4.8, 5, []),
        (3.9, 52, 9, [4, 5, 7, 10, 15, 20, 30, 40, 50]),
    ],
)
def test_scale_values_are_round(low: float, high: float, most: int, expected: list[float]) -> None:
    assert round_values(low, high, most) == pytest.approx(expected)


def test_from_above_forward_is_up_and_right_is_right() -> None:
    """480 high, 20 below the camera: (480 - 40) px for 11 m are 40 px a metre."""
    points = np.array([[0, 0, 5], [2, 0, 5], [-1, 0, 8], [np.nan, 0, 1], [0, 0, -3]], np.float32)
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9], [9, 9, 9]], np.uint8)
    picture = draw_from_above(points, colours, (640, 480), reach_m=11)
    np.testing.assert_array_equal(picture[460 - 200, 320], [255, 0, 0])
    np.testing.assert_array_equal(picture[460 - 200, 400], [0, 255, 0])
    np.testing.assert_array_equal(picture[460 - 320, 280], [0, 0, 255])
    assert not (picture == 9).all(axis=2).any()


def test_from_above_what_is_higher_hides_what_is_lower_up_to_the_ceiling() -> None:
    points = np.array([[0, -5, 4], [0, -1, 4], [0, 1, 4]], np.float32)
    colours = np.array([[1, 1, 1], [2, 2, 2], [3, 3, 3]], np.uint8)
    assert draw_from_above(points, colours, reach_m=11)[460 - 160, 320, 0] == 1
    assert draw_from_above(points, colours, reach_m=11, ceiling_m=2)[460 - 160, 320, 0] == 2


@pytest.mark.parametrize("known", [True, False])
def test_a_sheet_is_drawn_whatever_is_known(known: bool) -> None:
    depth = np.full((48, 64), 3.0 if known else np.nan, np.float32)
    image = np.full((48, 64, 3), 99, np.uint8)
    before = depth.copy()
    sheet = draw_sheet(image, anchors_at(*[(3.0, 4.0, 5.0)] * known), depth, CAMERA, title="one")
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] == 2 * (480 + 30)
    assert sheet.shape[1] > 640 + 86
    np.testing.assert_array_equal(depth, before)


def test_a_grid_takes_pictures_of_any_width() -> None:
    rows = [[np.full((h, w, 3), 200, np.uint8)] * 2 for h, w in ((40, 90), (30, 120))]
    grid = draw_grid(("one", "two"), rows)
    assert grid.shape[1] == 240
    assert (
        (grid[-30:] == 200).all()
        and (grid[-70:-30, :90] == 200).all()
        and (grid[-70:-30, 90:120] < 200).all()
    )

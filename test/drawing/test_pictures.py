"""Pictures: sizes, colours in the right order and place, and nothing modified."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from metric_depth_ros.drawing.pictures import (
    depth_colours,
    depth_range,
    draw_anchors,
    draw_depth,
    draw_error,
    draw_from_above,
    draw_grid,
    draw_sheet,
)
from metric_depth_ros.drawing.scales import BAR_WIDTH, linear_ticks, round_values, write
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
    assert picture.shape == (96, 64 + BAR_WIDTH, 3)
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


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 0.43, 9, {0: "0 %", 0.5 / 4.3: "5 %", 4 / 4.3: "40 %"}),
        (-0.2, 0.2, 5, {0: "-20 %", 0.25: "-10 %", 0.5: "0 %", 0.75: "+10 %", 1: "+20 %"}),
        (-1, 1, 3, {0: "-100 %", 0.5: "0 %", 1: "+100 %"}),
    ],
)
def test_ticks_of_percent_are_round(low: float, high: float, most: int, expected: dict[float, str]) -> None:
    ticks = linear_ticks(low, high, most, percent=True, signed=low < 0)
    assert len(ticks) <= most
    for place, text in expected.items():
        assert min(abs(at - place) for at, said in ticks if said == text) < 1e-6


def test_the_scale_of_an_error_ends_in_the_colours_of_its_range() -> None:
    error = np.full((96, 64), 0.1, np.float32)
    error[0], error[1], error[2] = -0.5, 0.5, np.nan
    picture = draw_error(error, 0.2)
    top, bottom = picture[12, 64 + 15].astype(int), picture[83, 64 + 15].astype(int)
    np.testing.assert_array_equal(top, picture[1, 5])
    assert np.abs(bottom - picture[0, 5]).max() < 8
    assert top[0] > top[2] and bottom[2] > bottom[0]
    assert (picture[2, 5] == 90).all()


def test_from_above_forward_is_up_and_right_is_right() -> None:
    """480 high without the scales, 20 below the camera: (480 - 40) px for 11 m are 40 px a metre."""
    points = np.array([[0, 0, 5], [2, 0, 5], [-1, 0, 8], [np.nan, 0, 1], [0, 0, -3]], np.float32)
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9], [9, 9, 9]], np.uint8)
    picture = draw_from_above(points, colours, (640 + 70, 480 + 34), reach_m=11)[:, 70:]
    np.testing.assert_array_equal(picture[460 - 200, 320], [255, 0, 0])
    np.testing.assert_array_equal(picture[460 - 200, 400], [0, 255, 0])
    np.testing.assert_array_equal(picture[460 - 320, 280], [0, 0, 255])
    assert not (picture == 9).all(axis=2).any()


def test_from_above_what_is_higher_hides_what_is_lower_up_to_the_ceiling() -> None:
    points = np.array([[0, -5, 4], [0, -1, 4], [0, 1, 4]], np.float32)
    colours = np.array([[1, 1, 1], [2, 2, 2], [3, 3, 3]], np.uint8)
    size = (640 + 70, 480 + 34)
    assert draw_from_above(points, colours, size, reach_m=11)[460 - 160, 70 + 320, 0] == 1
    assert draw_from_above(points, colours, size, reach_m=11, ceiling_m=2)[460 - 160, 70 + 320, 0] == 2


def test_from_above_nothing_covers_the_scales() -> None:
    points = np.random.default_rng(0).uniform((-9, -1, 0), (9, 1, 12), (20000, 3)).astype(np.float32)
    white = np.full((20000, 3), 255, np.uint8)
    with_points = draw_from_above(points, white, reach_m=11)
    without = draw_from_above(points[:0], white[:0], reach_m=11)
    np.testing.assert_array_equal(with_points[:, :70], without[:, :70])
    np.testing.assert_array_equal(with_points[-34:], without[-34:])
    assert (without[:-34, :70] > 200).any() and (without[-34:, 70:] > 200).any()


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("sigma", [True, False])
@pytest.mark.parametrize("truth", ["none", "dots", "image", "nothing known"])
def test_a_sheet_shows_what_is_known(wide: bool, sigma: bool, truth: str) -> None:
    """Image and depth; true depth and error; sigma; the cloud from above: below each other, or in a grid."""
    camera = Camera(128, 48, CAMERA.K) if wide else CAMERA
    depth = np.full((48, camera.width), 3, np.float32)
    image = np.full((48, camera.width, 3), 99, np.uint8)
    u, v = (axis.ravel() for axis in np.meshgrid(np.arange(camera.width), np.arange(48)))
    every = {"none": 0, "dots": 50, "image": 1, "nothing known": 1}[truth]
    known = (
        None if not every else anchors_at(*[(a, b, 4) for a, b in zip(u[::every], v[::every], strict=True)])
    )
    if truth == "nothing known":
        depth[:] = np.nan
    uncertain = np.full_like(depth, 0.1) if sigma else None
    sheet = draw_sheet(image, anchors_at((3, 4, 5)), depth, camera, sigma=uncertain, truth=known)
    parts = 2 + (2 if truth != "none" else 0) + sigma
    height = 40 + round((960 if wide and parts < 4 else 640) * 48 / camera.width)
    rows = {2: 2, 3: 3 if wide else 2, 4: 2, 5: 3 if wide else 2}[parts]
    assert sheet.shape[0] == rows * height
    blue = (sheet.astype(int)[..., 2] - sheet.astype(int)[..., 0]) > 100
    assert blue[: 2 * height].any() if truth in ("dots", "image") else True


def test_an_error_of_a_sheet_is_where_it_is() -> None:
    """3 m in place of 4 m on the left, right on the right."""
    depth = np.full((48, 64), 3, np.float32)
    depth[:, 32:] = 4
    u, v = (axis.ravel() for axis in np.meshgrid(np.arange(64), np.arange(48)))
    truth = Anchors(np.stack([u, v], 1).astype(np.float32), np.full(len(u), 4, np.float32), np.ones(len(u)))
    sheet = draw_sheet(np.zeros((48, 64, 3), np.uint8), anchors_at((3, 4, 5)), depth, CAMERA, truth=truth)
    row, column = 520 + 40 + 240, 0  # the second row of three columns
    np.testing.assert_array_equal(sheet[row, column + 160], [40, 80, 200])
    np.testing.assert_array_equal(sheet[row, column + 480], [255, 255, 255])


@pytest.mark.parametrize("known", [True, False])
def test_a_sheet_is_drawn_whatever_is_known(known: bool) -> None:
    depth = np.full((48, 64), 3.0 if known else np.nan, np.float32)
    image = np.full((48, 64, 3), 99, np.uint8)
    before = depth.copy()
    sheet = draw_sheet(image, anchors_at(*[(3.0, 4.0, 5.0)] * known), depth, CAMERA, title="one")
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] == 2 * (480 + 40)
    assert sheet.shape[1] > 640 + BAR_WIDTH
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


def test_the_outline_of_a_text_stays_beside_its_letters() -> None:
    """Within two pixels of the light letters, along the whole text."""
    picture = np.full((40, 500, 3), 128, np.uint8)
    write(picture, "metric depth, 2026 anchors, sigma / depth", (10, 27))
    dark, light = (picture < 100).all(axis=2), (picture > 180).all(axis=2)
    near = cv2.dilate(light.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    assert dark.any() and not (dark & ~near).any()

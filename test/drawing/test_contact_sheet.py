"""Contact sheets: the colours say where depth is unknown and where it is wrong."""

import numpy as np

from metric_depth_ros.drawing.contact_sheet import SheetRow, draw_contact_sheet, error_colours
from metric_depth_ros.drawing.scales import TITLE_HEIGHT
from metric_depth_ros.types import Anchors, RelativeDepth


def test_error_is_black_at_zero_white_beyond_and_grey_where_unknown():
    truth = np.array([[1.0, 1.0, 1.0, np.nan, 1.0]], np.float32)
    depth = np.array([[1.0, 1.1, 2.0, 1.0, np.nan]], np.float32)
    colours = error_colours(depth, truth)[0]
    assert colours[0].max() < 16 and colours[2].min() > 240
    assert colours[1, 0] > 200 > colours[1, 2]  # red
    assert (colours[3:] == 90).all()


def test_a_row_has_five_pictures_and_a_single_point_of_truth_stays():
    truth = np.full((100, 200), np.nan, np.float32)
    truth[33, 77] = 3.0
    depth = np.full((100, 200), 3.0, np.float32)
    anchors = Anchors(np.array([[77, 33]], np.float32), np.array([3.0], np.float32), np.ones(1, np.float32))
    row = SheetRow(
        "a", np.zeros((100, 200, 3), np.uint8), anchors, RelativeDepth(depth, "depth"), depth, truth
    )
    picture = draw_contact_sheet([row, row], width=50)
    assert picture.shape == (TITLE_HEIGHT + 2 * 25, 5 * 50, 3)
    of_truth, of_error = (
        picture[TITLE_HEIGHT : TITLE_HEIGHT + 25, start : start + 50] for start in (150, 200)
    )
    assert (of_truth != 90).any(axis=2).sum() == 1
    assert (of_error.max(axis=2) < 16).sum() == 1 and ((of_error == 90).all(axis=2)).sum() == 50 * 25 - 1


def test_inverse_depth_and_nothing_known_are_drawn():
    nothing = np.full((20, 30), np.nan, np.float32)
    none = np.empty(0, np.float32)
    anchors = Anchors(np.empty((0, 2), np.float32), none, none)
    near_left = np.repeat(np.linspace(1, 0.1, 30, dtype=np.float32)[None], 20, axis=0)
    row = SheetRow(
        "",
        np.zeros((20, 30, 3), np.uint8),
        anchors,
        RelativeDepth(near_left, "inverse_depth"),
        nothing,
        nothing,
    )
    network = draw_contact_sheet([row], width=30)[TITLE_HEIGHT:, 30:60].astype(int)
    assert network[0, 1, 0] > network[0, 1, 2] and network[0, 28, 2] > network[0, 28, 0]  # red near, blue far

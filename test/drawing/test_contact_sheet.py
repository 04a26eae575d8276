"""Contact sheets: every part of a frame, what is unknown is grey, and a point of truth stays."""

import numpy as np
import pytest

from metric_depth_ros.drawing.contact_sheet import SheetRow, draw_contact_sheet
from metric_depth_ros.drawing.scales import BAR_WIDTH, TITLE_HEIGHT, UNKNOWN
from metric_depth_ros.types import Anchors, RelativeDepth


def part(sheet, width, height, number):
    """The picture of a part, without title and scale."""
    row, column = divmod(number, 3)
    top, left = row * (height + TITLE_HEIGHT) + TITLE_HEIGHT, column * (width + BAR_WIDTH)
    return sheet[top : top + height, left : left + width].astype(int)


@pytest.mark.parametrize("sigma", [False, True])
def test_a_frame_has_all_its_parts_and_a_single_point_of_truth_stays(sigma):
    truth = np.full((100, 200), np.nan, np.float32)
    truth[33, 77] = 3.0
    depth = np.full((100, 200), 4.0, np.float32)
    anchors = Anchors(np.array([[77, 33]], np.float32), np.array([3.0], np.float32), np.ones(1, np.float32))
    image = np.zeros((100, 200, 3), np.uint8)
    row = SheetRow(
        "a", image, anchors, RelativeDepth(depth, "depth"), depth, truth, 0.8 * depth if sigma else None
    )
    sheet = draw_contact_sheet([row, row], width=50)
    assert sheet.shape == (2 * 2 * (TITLE_HEIGHT + 25), 3 * (50 + BAR_WIDTH), 3)
    of_truth, of_error, of_sigma = (part(sheet, 50, 25, number) for number in (2, 4, 5))
    assert (of_truth != UNKNOWN).any(axis=2).sum() == 1
    wrong = of_error[(of_error != UNKNOWN).any(axis=2)]
    assert len(wrong) == 1 and wrong[0, 0] > wrong[0, 2] + 100  # red: too far
    assert (np.ptp(of_sigma, axis=2) > 150).all() == sigma  # yellow, or nothing


def test_inverse_depth_and_nothing_known_are_drawn():
    nothing = np.full((20, 30), np.nan, np.float32)
    none = np.empty(0, np.float32)
    anchors = Anchors(np.empty((0, 2), np.float32), none, none)
    near_left = np.repeat(np.linspace(1, 0.1, 30, dtype=np.float32)[None], 20, axis=0)
    image = np.zeros((20, 30, 3), np.uint8)
    row = SheetRow("", image, anchors, RelativeDepth(near_left, "inverse_depth"), nothing, nothing, nothing)
    sheet = draw_contact_sheet([row], width=30)
    network = part(sheet, 30, 20, 3)
    assert network[0, 1, 0] > network[0, 1, 2] and network[0, 28, 2] > network[0, 28, 0]  # red near, blue far
    assert (part(sheet, 30, 20, 4) == UNKNOWN).all() and (part(sheet, 30, 20, 5) == UNKNOWN).all()


def test_wide_and_narrow_frames_have_one_sheet():
    def row(shape):
        depth, none = np.ones(shape, np.float32), np.empty(0, np.float32)
        anchors = Anchors(np.empty((0, 2), np.float32), none, none)
        return SheetRow(
            "", np.zeros((*shape, 3), np.uint8), anchors, RelativeDepth(depth, "depth"), depth, depth
        )

    sheet = draw_contact_sheet([row((10, 40)), row((30, 40))], width=40)
    assert sheet.shape == (4 * TITLE_HEIGHT + 2 * 10 + 2 * 30, 3 * (40 + BAR_WIDTH), 3)

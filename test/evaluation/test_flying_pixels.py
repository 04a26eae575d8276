"""Flying pixels, worked out by hand: pixels that hang between the two surfaces of a true depth edge."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest

from metric_depth_ros.evaluation.boundaries import flying_pixels
from metric_depth_ros.evaluation.measures import Solved, errors_of
from metric_depth_ros.evaluation.report import summary
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.temporal import Moment

# A surface at 1 m before one at 2 m, 60 rows of 40 pixels: lines of 8 pixels from column 16 to 23.
ROWS, EDGE = 60, 20
NEAR, FAR = np.ones(EDGE), np.full(EDGE, 2.0)


def rows(row, count=ROWS):
    return np.tile(np.asarray(row, float), (count, 1))


def across(*shares):
    """Depth that has gone these parts of the way, in ln, at the 6 pixels between a line's ends."""
    row = np.concatenate([NEAR, FAR])
    row[EDGE - 3 : EDGE + 3] = 2.0 ** np.array(shares)
    return rows(row)


TRUTH = across(0, 0, 0, 1, 1, 1)


@pytest.mark.parametrize(
    ("shares", "flying"),
    [
        ((0, 0, 0, 1, 1, 1), 0),
        ((0, 0, 0.5, 0.5, 1, 1), 2),
        ((0.1, 0.3, 0.5, 0.5, 0.7, 0.9), 4),
        ((0.19, 0.21, 0, 1, 0.79, 0.81), 2),
        ((1, 0.5, 0, 1, 0.5, 0), 2),  # the order on the line does not count
        ((-0.5, 0, 0, 1, 1, 1.5), 0),  # nearer or farther than both is wrong, but no veil
        ((np.nan, 0, 0, 1, 1, 1), 1),  # no depth
    ],
)
def test_pixels_between_the_surfaces_by_hand(shares, flying):
    assert flying_pixels(across(*shares), TRUTH) == pytest.approx(flying / 8)
    assert flying_pixels(across(*shares).T, TRUTH.T) == pytest.approx(flying / 8)
    mirrored = across(*shares)[:, ::-1], TRUTH[:, ::-1]
    assert flying_pixels(*mirrored) == pytest.approx(flying / 8)


def test_neither_scale_nor_contrast_nor_place_is_a_veil():
    """A prediction is measured between its own surfaces, not between the true ones."""
    columns = np.linspace(0.8, 1.2, ROWS)[:, None]
    for depth in (3 * TRUTH, columns * TRUTH, TRUTH**0.6, TRUTH**2, np.where(TRUTH == 1, 1.3, 2)):
        assert flying_pixels(depth, TRUTH) == 0
    blurred = across(0, 0.25, 0.5, 0.5, 0.75, 1)
    assert flying_pixels(3 * blurred, TRUTH) == flying_pixels(blurred**0.6, TRUTH) == pytest.approx(4 / 8)
    assert flying_pixels(np.roll(TRUTH, 3, axis=1), TRUTH) == 0  # still on the line


@pytest.mark.parametrize(
    "depth",
    [
        np.full_like(TRUTH, 1.4),  # the control: a constant map finds no edge
        np.full_like(TRUTH, 9.0),
        np.full_like(TRUTH, np.nan),
        np.zeros_like(TRUTH),
        1 / TRUTH,  # the far side in front
        TRUTH**0.49,
        np.roll(TRUTH, 4, axis=1),  # off the line
        np.where(np.arange(40) == 16, np.nan, TRUTH),  # one end
        np.where(np.arange(40) == 23, 0, TRUTH),
    ],
)
def test_an_edge_that_is_not_found_flies_as_a_whole(depth):
    assert flying_pixels(depth, TRUTH) == 1


def test_a_sharp_edge_of_half_the_step_is_found():
    assert flying_pixels(TRUTH**0.51, TRUTH) == 0


def test_more_blur_flies_more():
    """The figures of docs/evaluation.md."""
    truth = rows(np.where(np.arange(640) < 320, 1.0, 2.0))
    found = [flying_pixels(cv2.GaussianBlur(truth, (0, 0), pixels), truth) for pixels in (1, 2, 4, 8)]
    assert found == [2 / 32, 3 / 32, 7 / 32, 13 / 32]  # .06, .09, .22, .41


def test_edges_of_both_directions_count():
    """A step to the right, 60 long, and one down, 80 long, of which a prediction has the first alone."""
    right = rows(np.where(np.arange(80) < 40, 1.0, 2.0))
    truth = np.where(np.arange(ROWS)[:, None] < 30, right, 3 * right)
    assert flying_pixels(truth, truth) == 0
    assert flying_pixels(right, truth) == pytest.approx(80 / 140)


@pytest.mark.parametrize("columns", [[16], [23], [19], [20], range(17, 23)])
def test_a_line_with_a_hole_in_the_truth_does_not_count(columns):
    truth = np.vstack([TRUTH, TRUTH])
    truth[:ROWS, list(columns)] = np.nan
    depth = truth.copy()
    depth[:ROWS] = 1.4
    assert flying_pixels(depth, truth) == 0
    truth[:, list(columns)] = 0
    assert math.isnan(flying_pixels(depth, truth))
    beside = TRUTH.copy()
    beside[:, [15, 24]] = np.nan
    assert flying_pixels(beside, beside) == 0


def test_fewer_than_fifty_edges_are_no_measure():
    assert flying_pixels(TRUTH[:50], TRUTH[:50]) == 0
    assert math.isnan(flying_pixels(TRUTH[:49], TRUTH[:49]))
    assert math.isnan(flying_pixels(TRUTH, np.ones_like(TRUTH)))
    assert flying_pixels(TRUTH, TRUTH ** (math.log(1.16) / math.log(2))) == 0
    assert math.isnan(flying_pixels(TRUTH, TRUTH ** (math.log(1.14) / math.log(2))))


@pytest.mark.parametrize(("width", "counts"), [(3, False), (4, True)])
def test_an_edge_beside_the_border_does_not_count(width, counts):
    """Nor does its line go on at the other side of the image, where depth is the same."""
    border = np.minimum(np.arange(40), np.arange(40)[::-1])
    truth = rows(np.where(border < width, 1.0, 2.0))
    assert math.isnan(flying_pixels(truth, truth)) is not counts


@pytest.mark.parametrize(
    "row",
    [
        np.where(abs(np.arange(40) - 20) < 2, 1.0, 2.0),  # a thin post
        np.concatenate([NEAR, [1.4], FAR[1:]]),  # the truth's own flying pixel
        np.concatenate([NEAR, [1.4, 1.4], FAR[2:]]),
        np.concatenate([NEAR[:-4], NEAR[-4:] * 2 ** np.array([0, 0, 0, 0.21]), FAR * 2**0.21]),
        np.concatenate([NEAR, FAR * 2 ** np.array([0, 0, 0, 0.21, *[0.21] * 16])]),
    ],
)
def test_true_depth_without_two_surfaces_has_no_edge(row):
    assert math.isnan(flying_pixels(rows(row), rows(row)))


def test_the_truth_never_flies():
    """Surfaces that bend as much as they may, up and down, on either side: ends are then least far apart."""
    bends = np.concatenate([[0, s, -s] for s in (0.199, 0.1)])
    for near in bends:
        for far in bends:
            row = np.concatenate([NEAR, FAR])
            row[16:20] *= 2 ** np.linspace(0, near, 4) / 2**near
            row[20:24] *= 2 ** np.linspace(0, far, 4)
            assert flying_pixels(rows(row), rows(row)) == 0
    noisy = np.vstack([TRUTH] * 5) * np.exp(np.random.default_rng(0).normal(0, 0.03, (300, 40)))
    assert flying_pixels(noisy, noisy) == 0


@pytest.mark.parametrize("blur", [1, 2, 3])
def test_lines_grow_with_the_image(blur):
    """The same picture at twice the size: lines of 16 pixels at 320, of 32 at 640."""
    truth = rows(np.where(np.arange(320) < 160, 1.0, 2.0))
    small = cv2.GaussianBlur(truth, (0, 0), blur)
    large = cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    twice = np.repeat(np.repeat(truth, 2, 0), 2, 1)
    assert flying_pixels(large, twice) == pytest.approx(flying_pixels(small, truth), abs=1 / 32)


def test_inputs_stay_as_they_are():
    depth, truth = across(0.3, 0, 0, np.nan, 1, 1), TRUTH.astype(np.float32)
    before = depth.copy(), truth.copy()
    assert flying_pixels(depth, truth) == pytest.approx(2 / 8)
    np.testing.assert_array_equal([depth, truth], before)


def test_sparse_true_depth_has_no_flying_pixels():
    """Nor has one whose lines would be enough: 60 whole rows of 240."""

    def measured(truth, **changes):
        moment = dataclasses.replace(Moment(truth, truth), **changes)
        return errors_of(Solved(np.ones(1), np.ones(1), moment=moment), ["flying_pixels"])["flying_pixels"]

    assert measured(TRUTH) == 0
    assert math.isnan(measured(TRUTH, from_lidar=True))
    sparse = np.where(np.arange(4 * ROWS)[:, None] % 4, np.nan, rows(TRUTH[0], 4 * ROWS))
    assert flying_pixels(sparse, sparse) == 0 and math.isnan(measured(sparse))
    assert math.isnan(errors_of(Solved(np.ones(1), np.ones(1)), ["flying_pixels"])["flying_pixels"])


def test_records_without_it_stand_beside_those_with_it():
    """Records that an earlier version wrote: the mean is of those that have it."""

    def record(frame, **errors):
        return Record("auto", False, "indoor", "desk", frame, "random", 100, False, 0, 100, errors)

    old, new = record("0", abs_rel=0.1), record("1", abs_rel=0.2, flying_pixels=0.3)
    assert "flying pixels" not in summary([old])
    table = summary([old, new]).partition("| flying pixels |")[2]
    assert "| auto | 0.300 |" in table.replace("**", "") and "0.150" in summary([old, new])
    undefined = summary([record("0", abs_rel=0.1, flying_pixels=math.nan)])
    assert "- flying pixels: not defined here; needed dense true depth with edges." in undefined

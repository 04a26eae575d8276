"""Charts: lines where their values put them, thin ones beside, nothing that is not finite."""

from __future__ import annotations

import numpy as np
import pytest

from metric_depth_ros.drawing.charts import draw_chart

RISING = np.array([[0, 0.0], [1, 1.0]])


def coloured(chart):
    """Where the chart is neither white, grey nor black."""
    return np.ptp(chart.astype(int), axis=2) > 60


def test_a_line_rises_from_bottom_left_to_top_right():
    inside = coloured(draw_chart("", {"": RISING}, across="x"))[50:270, 50:600]
    rows, columns = np.nonzero(inside)
    assert rows[columns < 50].min() > 150
    assert rows[columns > 500].max() < 60


def test_a_thin_line_has_its_partners_colour():
    alone = draw_chart("", {"a": RISING}, across="x")
    both = draw_chart("", {"a": RISING}, across="x", beside={"a": RISING[:, ::-1] * [1, 0.5]})
    assert coloured(both).sum() > 1.2 * coloured(alone).sum()


@pytest.mark.parametrize(
    "lines",
    [{}, {"a": np.zeros((0, 2))}, {"a": np.full((3, 2), np.nan)}, {"a": np.array([[0, np.inf], [1, 2]])}],
)
def test_nothing_to_draw_is_an_empty_chart(lines):
    assert draw_chart("none", lines, across="step").shape == (300, 620, 3)


def test_many_names_take_more_rows():
    lines = {f"line {n}": RISING * n for n in range(1, 8)}
    assert coloured(draw_chart("", lines, across="x"))[60:90].any()

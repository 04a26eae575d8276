"""Charts: lines where their values put them, named axes, only what is finite; matplotlib may be missing."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from metric_depth_ros.drawing import charts
from metric_depth_ros.drawing.charts import Panel, save_chart

RISING = np.array([[0, 0.0], [1, 1.0]])


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is made."""
    from matplotlib import figure

    made = []

    class Kept(figure.Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(figure, "Figure", Kept)
    return made


def drawn(figure, panel=0):
    """Label -> (N, 2) of the lines of one pair of axes."""
    return {line.get_label(): np.column_stack(line.get_data()) for line in figure.axes[panel].lines}


def test_axes_lines_and_last_values_are_named(figures, tmp_path):
    panels = [Panel("loss", {"training": RISING}), Panel("AbsRel", {"a": RISING / 4, "b": RISING}, "indoor")]
    save_chart(tmp_path / "chart.png", "step", panels)
    (figure,) = figures
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "AbsRel"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "step"]
    for axes in figure.axes:
        assert axes.get_xticklabels()  # those that show: each chart can be read alone
    assert figure.axes[1].get_title(loc="left") == "indoor"
    legend = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert legend == ["a: 0.250", "b: 1.00"]
    np.testing.assert_array_equal(drawn(figure, 1)["a: 0.250"], RISING / 4)
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_the_file_is_a_picture_with_the_line_in_it(tmp_path):
    save_chart(tmp_path / "chart.png", "x", [Panel("y", {"": RISING})])
    picture = cv2.imread(str(tmp_path / "chart.png"))
    height, width = picture.shape[:2]
    rows, columns = np.nonzero(np.ptp(picture.astype(int), axis=2) > 60)  # neither white, grey nor black
    assert rows[columns < 0.2 * width].min() > 0.5 * height
    assert rows[columns.argmin()] > rows[columns.argmax()]


def test_a_dashed_line_has_its_partners_colour(figures, tmp_path):
    panel = Panel("y", {"a": RISING, "b": RISING}, dashed={"b": RISING[:, ::-1]}, dashed_name="oracle")
    save_chart(tmp_path / "chart.png", "x", [panel])
    a, b, dashed, named = figures[0].axes[0].lines
    assert dashed.get_color() == b.get_color() != a.get_color()
    assert dashed.get_linestyle() == named.get_linestyle() == "--"
    assert figures[0].axes[0].get_legend().get_texts()[-1].get_text() == "oracle"


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ({}, 0), ({"a": np.zeros((0, 2))}, 0), ({"a": np.full((3, 2), np.nan)}, 0),
        ({"a": np.array([[0, np.inf], [1, 2]])}, 1),
    ],
)  # fmt: skip
def test_what_is_not_finite_is_left_out(figures, tmp_path, lines, kept):
    save_chart(tmp_path / "chart.png", "step", [Panel("y", lines)])
    assert sum(map(len, drawn(figures[0]).values())) == kept
    assert (tmp_path / "chart.png").is_file()


def test_without_matplotlib_nothing_is_drawn_and_one_line_says_so(monkeypatch, tmp_path, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    charts._warn_once.cache_clear()
    for _ in range(2):
        save_chart(tmp_path / "chart.png", "step", [Panel("y", {"a": RISING})])
    (record,) = caplog.records
    assert "charts: not drawn" in record.message and "metric_depth_ros[plots]" in record.message
    assert not list(tmp_path.iterdir())


def test_logarithmic_axes_many_lines_and_single_points(figures, tmp_path):
    lines = {f"line {number}": RISING + number + 1 for number in range(12)}
    save_chart(tmp_path / "chart.png", "x", [Panel("y", lines), Panel("y", {"a": RISING})], logarithmic=True)
    (figure,) = figures
    assert [(axes.get_xscale(), axes.get_yscale()) for axes in figure.axes] == [("log", "log")] * 2
    assert len({tuple(line.get_color()) for line in figure.axes[0].lines}) == 12
    assert figure.get_figheight() > 2.8 * 2  # room for the legend
    save_chart(tmp_path / "chart.png", "x", [Panel("y", {"alone": RISING[1:] + 1})], logarithmic=True)
    assert [text.get_text() for text in figures[1].axes[0].texts] == ["alone"]

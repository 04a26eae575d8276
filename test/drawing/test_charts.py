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
    assert legend == ["b: 1.00", "a: 0.250"]  # as their ends lie
    np.testing.assert_array_equal(drawn(figure, 1)["a: 0.250"], RISING / 4)
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_the_file_is_a_picture_with_the_line_in_it(tmp_path):
    save_chart(tmp_path / "chart.png", "x", [Panel("y", {"a": RISING})])
    picture = cv2.imread(str(tmp_path / "chart.png"))
    height, width = picture.shape[:2]
    rows, columns = np.nonzero(np.ptp(picture.astype(int), axis=2) > 60)  # neither white, grey nor black
    assert rows[columns < 0.2 * width].min() > 0.5 * height
    assert rows[columns.argmin()] > rows[columns.argmax()]


def test_a_dotted_line_has_its_partners_colour(figures, tmp_path):
    panel = Panel("y", {"b": RISING, "a": RISING}, dotted={"b": RISING[:, ::-1]}, dotted_name="oracle")
    save_chart(tmp_path / "chart.png", "x", [panel])
    b, a, dotted, named = figures[0].axes[0].lines
    assert dotted.get_color() == b.get_color() != a.get_color()
    assert dotted.get_linestyle() == named.get_linestyle() == ":"
    assert figures[0].axes[0].get_legend().get_texts()[-1].get_text() == "oracle"


def test_families_have_colours_and_their_lines_markers_and_controls_are_dashed(figures, tmp_path):
    names = ("lwlr", "paper_lwlr", "control: lwlr", "grid", "control: none", *map(str, range(8)))
    families = {"paper_lwlr": "lwlr", "control: lwlr": "lwlr", "control: none": ""}
    panel = Panel("y", dict.fromkeys(names, RISING), families=families, controls=names[2:5:2])
    save_chart(tmp_path / "chart.png", "x", [panel])
    drawn = {line.get_label().removesuffix(": 1.00"): line for line in figures[0].axes[0].lines}
    ours, paper, control, other, common = (drawn[name] for name in names[:5])
    assert ours.get_color() == paper.get_color() == control.get_color()
    assert len({ours.get_marker(), paper.get_marker(), control.get_marker()}) == 3
    assert len({ours.get_color(), other.get_color(), common.get_color()}) == 3
    assert [n for n in names if drawn[n].get_linestyle() == "--"] == ["control: lwlr", "control: none"]


def test_few_lines_have_a_colour_each_but_common_ones_grey(figures, tmp_path):
    families = {"a": "basis", "b": "basis", "c": "", "d": ""}
    save_chart(tmp_path / "chart.png", "x", [Panel("y", dict.fromkeys("abcd", RISING), families=families)])
    a, b, c, d = figures[0].axes[0].lines
    assert len({line.get_color() for line in (a, b, c, d)}) == 3 and c.get_color() == d.get_color()


def test_thirty_lines_all_look_different(figures, tmp_path):
    save_chart(tmp_path / "chart.png", "x", [Panel("y", {f"line {n}": RISING + n for n in range(30)})])
    lines = figures[0].axes[0].lines
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 30
    assert figures[0].get_figheight() > 30 * 0.23  # room for the legend


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


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (4, ["1", "1.5", "2", "3"]),
        (50, ["1", "2", "5", "10", "20", "50"]),
        (1e4, ["1", "10", "100", "1000", "10000"]),
    ],
)
def test_logarithmic_axes_have_plain_numbers(figures, tmp_path, most, ticks):
    line = np.array([[1.0, 1.0], [most, most]])
    save_chart(tmp_path / "chart.png", "x", [Panel("y", {"a": line})], logarithmic=True)
    (axes,) = figures[0].axes
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        ticked = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
        assert [label.get_text() for at, label in ticked if low <= at <= high] == ticks


def test_single_points_have_their_names_beside_them_and_none_hides_another(figures, tmp_path):
    close = {f"method number {n}": np.array([[10, 0.1 + n / 1000]]) for n in range(10)}
    close |= {"fast": np.array([[1, 1.0]]), "slow": np.array([[100, 0.01]])}
    save_chart(tmp_path / "chart.png", "x", [Panel("y", close)], logarithmic=True)
    (axes,) = figures[0].axes
    assert axes.get_legend() is None
    names = [text for text in axes.texts if text.get_text()]
    boxes = [text.get_window_extent() for text in names]
    assert {text.get_text() for text in names} == set(close)
    assert len(axes.texts) > len(names)  # lines to those that are far from their points
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_a_dotted_line_of_its_own_is_grey_and_named(figures, tmp_path):
    panel = Panel("y", {"a": RISING[1:]}, dotted={"front": RISING}, dotted_name="front")
    save_chart(tmp_path / "chart.png", "x", [panel])
    (axes,) = figures[0].axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["front"]
    assert axes.lines[0].get_color() != axes.lines[1].get_color() == axes.lines[2].get_color()

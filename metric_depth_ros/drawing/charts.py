"""Line charts as PNG files, drawn by matplotlib (optional: the extra ``plots``)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.types import FloatArray

_LOG = logging.getLogger(__name__)
# Size of a panel in inches, and dots per inch.
_WIDTH_IN = 9.0
_PANEL_HEIGHT_IN, _POINTS_HEIGHT_IN = 2.8, 4.4
_DOTS_PER_IN = 110
# Height of a name in a legend, inches.
_LEGEND_LINE_IN = 0.23
# A colour for each family of lines, grey for those without, and a marker for each line of one colour.
_COLOURS = [f"C{number}" for number in (0, 1, 2, 3, 4, 5, 6, 8, 9)]
_GREY = "0.35"
_MARKERS = "os^DvPX<>*"
# About as many markers has a line of more points, if it needs any.
_MARKED = 30
# Ticks of a logarithmic axis whose ends are less than this factor apart, as multiples of powers of ten.
_BETWEEN = ((10, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)), (300, (1.0, 2.0, 5.0)))
# Room around the name of a point, and between it and the middle of its point, pixels.
_APART_PX = 2.0
_BESIDE_PX = 9.0


@dataclass(frozen=True, eq=False)
class Panel:
    """Lines in one chart of a figure.

    Attributes:
        y: label of the vertical axis, with the unit.
        lines: points (N, 2), x and y, by name; non-finite points are left out.
        title: above the axes.
        dotted: points (N, 2) of a thin line in the same colour, by the name of the line; of no line: grey.
        dotted_name: name of the thin lines in the legend.
        families: names of lines -> what they belong to, none: to itself. "" is grey; a family has one colour
            where there are more lines than colours.
        controls: names of lines that are dashed.
    """

    y: str
    lines: Mapping[str, FloatArray]
    title: str = ""
    dotted: Mapping[str, FloatArray] = field(default_factory=dict)
    dotted_name: str = ""
    families: Mapping[str, str] = field(default_factory=dict)
    controls: Collection[str] = ()


def save_chart(path: Path, x: str, panels: Sequence[Panel], *, logarithmic: bool = False) -> None:
    """Draws panels below each other with a common axis ``x``.

    Legends stand beside the axes, in the order of the lines' last values. A line of one point has its name
    beside it.

    ``logarithmic``: whether both axes are; values that are not positive are then left out.
    Without matplotlib nothing is written, and a warning is logged once.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        _warn_once(f"charts: not drawn ({error}). pip install 'metric_depth_ros[plots]'")
        return
    heights = [_height(panel) for panel in panels]
    figure = Figure(figsize=(_WIDTH_IN, sum(heights)), dpi=_DOTS_PER_IN, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel in zip(rows, panels, strict=True):
        _draw(axes, panel)
    rows[-1].set_xlabel(x)
    if logarithmic:
        for axes in rows:
            _make_logarithmic(axes)
    else:
        rows[-1].set_xlim(left=0)
    figure.draw_without_rendering()  # sets where everything is
    for axes, panel in zip(rows, panels, strict=True):
        _name_points(axes, panel)
    figure.savefig(path)


def _height(panel: Panel) -> float:
    """Inches for a panel and its legend."""
    if any(len(line) == 1 for line in panel.lines.values()):
        return _POINTS_HEIGHT_IN
    return max(_PANEL_HEIGHT_IN, _LEGEND_LINE_IN * (len(panel.lines) + 3))


def _make_logarithmic(axes: Any) -> None:
    """Both axes, with plain numbers at 1, 10, 100, and between them where few decades show."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        between = next((subs for decade, subs in _BETWEEN if high < decade * low), (1.0,))
        axis.set_major_locator(LogLocator(subs=between))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _draw(axes: Any, panel: Panel) -> None:
    axes.set_title(panel.title, loc="left", fontsize="medium")
    axes.set_ylabel(panel.y)
    axes.grid(alpha=0.3)
    axes.tick_params(labelbottom=True)
    looks = _looks(panel)
    lines = {name: _finite(line) for name, line in panel.lines.items()}
    order = sorted(lines, key=lambda name: -lines[name][-1, 1] if len(lines[name]) else np.inf)
    for name in order:
        line = lines[name]
        label = f"{name}: {line[-1, 1]:#.3g}" if len(line) else name
        look = looks[name]
        if len(line) > _MARKED and look["marker"] == _MARKERS[0]:
            look = {**look, "marker": ""}  # its colour tells it from the others
        every = -(-len(line) // _MARKED) or 1
        axes.plot(*line.T, label=label if len(line) != 1 else None, markevery=every, **look)
    for name, line in panel.dotted.items():
        colour = looks[name]["color"] if name in looks else _GREY
        axes.plot(*_finite(line).T, ":", linewidth=1.2, color=colour)
    if panel.dotted_name:
        axes.plot([], [], ":", linewidth=1.2, color=_GREY, label=panel.dotted_name)
    points_alone = all(len(line) == 1 for line in lines.values())
    if not points_alone or (lines and panel.dotted_name):
        title = None if points_alone else "last value"
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, title=title)


def _looks(panel: Panel) -> dict[str, dict[str, Any]]:
    """Colour, marker and kind of each line: lines of one colour differ by their markers.

    As long as there are colours for all, each line has one of its own.
    """
    owners = {name: panel.families.get(name, name) for name in panel.lines}
    if sum(owner != "" for owner in owners.values()) <= len(_COLOURS):
        owners = {name: owner and name for name, owner in owners.items()}
    colours = dict(zip(dict.fromkeys(filter(None, owners.values())), cycle(_COLOURS), strict=False))
    looks, used = {}, Counter[str]()
    for name, owner in owners.items():
        colour = colours.get(owner, _GREY)
        looks[name] = {
            "color": colour,
            "marker": _MARKERS[used[colour] % len(_MARKERS)],
            "markersize": 4.5,
            "linestyle": "--" if name in panel.controls else "-",
        }
        used[colour] += 1
    return looks


def _name_points(axes: Any, panel: Panel) -> None:
    """Writes its name beside each line of one point, where nothing else is written or drawn."""
    points = {name: _finite(line) for name, line in panel.lines.items()}
    at = {name: axes.transData.transform(line[0]) for name, line in points.items() if len(line) == 1}
    taken = [_box(place[0], place[1], 0.0, 0.0) for place in at.values()]
    looks = _looks(panel)
    for name, place in sorted(at.items(), key=lambda each: -each[1][1]):
        text = axes.annotate(
            name, place, xycoords="figure pixels", fontsize="small", color=looks[name]["color"]
        )
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5})
        size = text.get_window_extent()
        free = _free(place, (size.width, size.height), axes.bbox, taken)
        taken.append(free)
        text.set_position(free[:2] + _APART_PX)
        near = np.clip(place, free[:2], free[2:])
        if np.linalg.norm(near - place) > size.height:  # else it is clear whose name it is
            line = {"arrowstyle": "-", "linewidth": 0.7, "color": looks[name]["color"]}
            ends = {"xy": place, "xytext": near, "xycoords": "figure pixels", "textcoords": "figure pixels"}
            axes.annotate("", **ends, arrowprops=line)


def _free(
    place: FloatArray, size: tuple[float, float], inside: Any, taken: Sequence[FloatArray]
) -> FloatArray:
    """The box (left, bottom, right, top) in pixels nearest to a place that meets none of those taken."""
    width, height = size
    across, along = (
        (-width - _BESIDE_PX, -width / 2, _BESIDE_PX),
        (-height - _BESIDE_PX, -height / 2, _BESIDE_PX),
    )
    sides = [(across[2], along[1]), (across[0], along[1]), (across[1], along[2]), (across[1], along[0])]
    steps = sorted(range(-16, 17), key=abs)
    boxes = [
        _box(place[0] + x, place[1] + y + step * height / 2, width, height)
        for step in steps
        for x, y in sides
    ]
    boxes.sort(key=lambda box: int(np.linalg.norm(place - np.clip(place, box[:2], box[2:])) / height))
    fits = [
        b
        for b in boxes
        if b[0] >= inside.x0 and b[2] <= inside.x1 and inside.y0 <= b[1] and b[3] <= inside.y1
    ]
    return next((b for b in fits if not any(_meet(b, other) for other in taken)), boxes[0])


def _box(left: float, bottom: float, width: float, height: float) -> FloatArray:
    """A box with room around it."""
    return np.array([left, bottom, left + width, bottom + height]) + _APART_PX * np.array([-1, -1, 1, 1])


def _meet(a: FloatArray, b: FloatArray) -> bool:
    return bool((a[:2] < b[2:]).all() and (b[:2] < a[2:]).all())


def _finite(line: FloatArray) -> FloatArray:
    return line[np.isfinite(line).all(axis=1)]


@cache
def _warn_once(words: str) -> None:
    _LOG.warning(words)

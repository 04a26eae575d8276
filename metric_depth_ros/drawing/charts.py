"""Line charts as PNG files, drawn by matplotlib (optional: the extra ``plots``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.types import FloatArray

_LOG = logging.getLogger(__name__)
# Size of a panel in inches, and dots per inch.
_WIDTH_IN = 9.0
_PANEL_HEIGHT_IN = 2.8
_DOTS_PER_IN = 110
# Height of a name in a legend, inches; and a map of as many colours as lines may need.
_LEGEND_LINE_IN = 0.23
_USUAL_COLOURS, _MANY_COLOURS = 10, "tab20"
# Lines with fewer points than this show each point.
_FEW_POINTS = 30


@dataclass(frozen=True, eq=False)
class Panel:
    """Lines in one chart of a figure.

    Attributes:
        y: label of the vertical axis, with the unit.
        lines: points (N, 2), x and y, by name; non-finite points are left out.
        title: above the axes.
        dashed: points (N, 2) of a thin line in the same colour, by the name of the line.
        dashed_name: name of the thin lines in the legend.
    """

    y: str
    lines: Mapping[str, FloatArray]
    title: str = ""
    dashed: Mapping[str, FloatArray] = field(default_factory=dict)
    dashed_name: str = ""


def save_chart(path: Path, x: str, panels: Sequence[Panel], *, logarithmic: bool = False) -> None:
    """Draws panels below each other with a common axis ``x``; legends show each line's last value.

    ``logarithmic``: whether both axes are; values that are not positive are then left out.
    Without matplotlib nothing is written, and a warning is logged once.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        _warn_once(f"charts: not drawn ({error}). pip install 'metric_depth_ros[plots]'")
        return
    heights = [max(_PANEL_HEIGHT_IN, _LEGEND_LINE_IN * (len(panel.lines) + 3)) for panel in panels]
    figure = Figure(figsize=(_WIDTH_IN, sum(heights)), dpi=_DOTS_PER_IN, layout="constrained")
    rows = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel in zip(rows, panels, strict=True):
        _draw(axes, panel)
    rows[-1].set_xlabel(x)
    if logarithmic:
        for axes in rows:
            _make_logarithmic(axes)
    else:
        rows[-1].set_xlim(left=0)
    figure.savefig(path)


def _make_logarithmic(axes: Any) -> None:
    """Both axes, with plain numbers at a few ticks."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _draw(axes: Any, panel: Panel) -> None:
    if len(panel.lines) > _USUAL_COLOURS:
        from matplotlib import colormaps

        axes.set_prop_cycle(color=colormaps[_MANY_COLOURS](np.arange(2 * _USUAL_COLOURS)))
    axes.set_title(panel.title, loc="left", fontsize="medium")
    axes.set_ylabel(panel.y)
    axes.grid(alpha=0.3)
    axes.tick_params(labelbottom=True)
    for name, line in panel.lines.items():
        line = _finite(line)
        label = f"{name}: {line[-1, 1]:#.3g}" if len(line) else name
        if len(line) == 1:
            axes.annotate(name, line[0], xytext=(4, 2), textcoords="offset points", fontsize="x-small")
        (drawn,) = axes.plot(*line.T, label=label, marker="." if len(line) < _FEW_POINTS else "")
        if name in panel.dashed:
            axes.plot(*_finite(panel.dashed[name]).T, "--", linewidth=1, color=drawn.get_color())
    if panel.dashed_name:
        axes.plot([], [], "--", linewidth=1, color="grey", label=panel.dashed_name)
    if panel.lines:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, title="last value")


def _finite(line: FloatArray) -> FloatArray:
    return line[np.isfinite(line).all(axis=1)]


@cache
def _warn_once(words: str) -> None:
    _LOG.warning(words)

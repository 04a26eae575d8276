"""Where the views of a Rerun recording are, and how each is seen."""

from __future__ import annotations

from typing import Any

from metric_depth_ros.drawing.scales import PAPER
from metric_depth_ros.types import FloatArray

# Curves: where their values are logged, and the title with the unit. Each has an axis of its own.
CURVES = {
    "scale": "scale: metric / network",
    "residual": "off at the anchors, %",
    "expected": "expected: sigma / depth, %",
    "anchors": "points in the image, by source",
    "stages": "stages, ms",
}


def layout(picture: str, eye: FloatArray) -> Any:
    """Blueprint: pictures on the left, the cloud beside them, curves below.

    Args:
        picture: where the image is logged.
        eye: (3, 3) the cloud's first view: place, what is looked at, up.
    """
    from rerun import blueprint as rrb

    place, target, up = eye.tolist()
    pictures = rrb.Vertical(
        rrb.Spatial2DView(origin=picture, name="image, anchors by source", background=PAPER),
        rrb.Spatial2DView(origin="depth", name="metric depth", background=PAPER),
        rrb.Spatial2DView(origin="sigma", name="sigma / depth", background=PAPER),
    )
    cloud = rrb.Spatial3DView(
        origin="world",
        name="cloud",
        background=PAPER,
        eye_controls=rrb.EyeControls3D(position=place, look_target=target, eye_up=up),
    )
    # A curve alone is named by its title.
    names = {"anchors": rrb.PlotLegend(rrb.Corner2D.LeftTop), "stages": rrb.PlotLegend(rrb.Corner2D.LeftTop)}
    curves = [
        rrb.TimeSeriesView(
            origin=name, name=title, plot_legend=names.get(name, rrb.PlotLegend(visible=False))
        )
        for name, title in CURVES.items()
    ]
    rows = rrb.Vertical(rrb.Horizontal(*curves[:3]), rrb.Horizontal(*curves[3:]), row_shares=[2, 3])
    return rrb.Blueprint(
        rrb.Horizontal(pictures, rrb.Vertical(cloud, rows, row_shares=[5, 4]), column_shares=[2, 5]),
        collapse_panels=True,
    )

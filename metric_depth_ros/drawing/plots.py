"""Plots of results in a notebook, by matplotlib (optional: the extra ``plots``).

Each function draws into ``axes``, or into a new figure, and returns the axes, to go on with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from metric_depth_ros.drawing.pictures import Range, depth_range
from metric_depth_ros.drawing.scales import palette, round_values
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.types import Anchors, FloatArray

# Width of a panel in inches, of which the picture takes so much, and what title and axis add to its height.
_PANEL_IN, _PICTURE, _AROUND_IN = 5.2, 0.72, 0.9
_GREY = "0.35"


def plot_anchors(
    image: ArrayLike, anchors: Anchors, *, range_m: Range | None = None, axes: Any = None
) -> Any:
    """Axes with the image (H, W, 3) and its anchors, coloured by their depth in metres."""
    picture = np.asarray(image)
    axes = _axes(axes, picture.shape)
    axes.imshow(picture, cmap="gray" if picture.ndim == 2 else None)
    axes.autoscale(False)  # anchors beyond the edge do not widen it
    near_last = np.argsort(-anchors.depth, kind="stable")
    low, high = range_m or depth_range(anchors.depth)
    drawn = axes.scatter(
        *anchors.uv[near_last].T, c=anchors.depth[near_last], s=9, edgecolors="k", linewidths=0.2,
        **_depth_colours(low, high),
    )  # fmt: skip
    return _finished(axes, drawn, f"image, {len(anchors)} anchors", "depth (m)", round_values(low, high, 9))


def plot_depth(
    depth: ArrayLike, *, range_m: Range | None = None, title: str = "metric depth", axes: Any = None
) -> Any:
    """Axes with depth (H, W) in metres, coloured by its logarithm, near red; grey where unknown.

    Args:
        range_m: the nearest and the farthest that are told apart; None: percentiles 2 and 98.
    """
    values = _map(depth, "depth")
    axes = _axes(axes, values.shape)
    low, high = range_m or depth_range(values)
    drawn = axes.imshow(values, interpolation="nearest", **_depth_colours(low, high))
    return _finished(axes, drawn, title, "depth (m)", round_values(low, high, 9))


def plot_sigma(depth: ArrayLike, sigma: ArrayLike, *, axes: Any = None) -> Any:
    """Axes with sigma (H, W) as a part of depth (H, W), both in metres, in percent."""
    share = 100 * _map(sigma, "sigma") / _map(depth, "depth")
    axes = _axes(axes, share.shape)
    most = float(np.nanquantile(share, 0.98)) if np.isfinite(share).any() else 1.0
    drawn = axes.imshow(share, cmap=_over_grey("viridis"), vmin=0, vmax=most, interpolation="nearest")
    return _finished(axes, drawn, "sigma / depth", "standard deviation (%)")


def plot_error(
    depth: ArrayLike, truth: ArrayLike, *, most_percent: float | None = None, axes: Any = None
) -> Any:
    """Axes with the relative error of depth (H, W) against the truth (H, W), both in metres, NaN unknown.

    Red is too far, blue too near; the title has AbsRel, the mean of |d - d*| / d*.

    Args:
        most_percent: end of the colours; None: 95 % of the errors are below it.
    """
    true = _map(truth, "truth")
    axes = _axes(axes, true.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(true > 0, 100 * (_map(depth, "depth") / true - 1), np.nan)
    known = np.abs(error[np.isfinite(error)])
    most = most_percent or (max(float(np.quantile(known, 0.95)), 1.0) if known.size else 100.0)
    drawn = axes.imshow(error, cmap=_over_grey("RdBu_r"), vmin=-most, vmax=most, interpolation="nearest")
    mean = f": AbsRel {known.mean() / 100:.3f}" if known.size else ""
    return _finished(axes, drawn, f"error{mean}", "red too far, blue too near (%)")


def plot_result(
    depth: ArrayLike,
    *,
    image: ArrayLike | None = None,
    anchors: Anchors | None = None,
    sigma: ArrayLike | None = None,
    truth: ArrayLike | None = None,
) -> Any:
    """Figure with all that is known of a result: anchors on the image, depth, sigma, truth and error.

    Raises:
        ConfigError: matplotlib is not installed.
        InputError: an array is not (H, W), or their shapes differ.
    """
    found = _map(depth, "depth")
    for name, other in (("sigma", sigma), ("truth", truth)):
        if other is not None and np.shape(other) != found.shape:
            raise InputError(f"plots: {name} is {np.shape(other)}; needed {found.shape}, that of depth.")
    range_m = depth_range(found)
    parts: list[Callable[[Any], Any]] = []
    if image is not None and anchors is not None:
        parts.append(lambda axes: plot_anchors(image, anchors, range_m=range_m, axes=axes))
    parts.append(lambda axes: plot_depth(depth, range_m=range_m, axes=axes))
    if truth is not None:
        parts.append(lambda axes: plot_depth(truth, range_m=range_m, title="true depth", axes=axes))
        parts.append(lambda axes: plot_error(depth, truth, axes=axes))
    if sigma is not None:
        parts.append(lambda axes: plot_sigma(depth, sigma, axes=axes))
    columns = min(len(parts), 3 if len(parts) != 4 else 2)
    if _is_wide(found.shape):
        columns = 1 if len(parts) < 4 else 2
    rows = -(-len(parts) // columns)
    figure = _figure(found.shape, rows, columns)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, draw in zip(grid, parts, strict=False):
        draw(axes)
    for axes in grid[len(parts) :]:
        axes.axis("off")
    return figure


# ---- parts -----------------------------------------------------------------------------------


def _map(values: ArrayLike, name: str) -> FloatArray:
    """Values (H, W) as float32. Raises InputError for another shape."""
    found = np.asarray(values, np.float32)
    if found.ndim != 2 or not found.size:
        raise InputError(f"plots: {name} is {found.shape}; needed (H, W).")
    return found


def _figure(shape: tuple[int, ...], rows: int = 1, columns: int = 1) -> Any:
    """A new figure for pictures (H, W), known to a notebook. Raises ConfigError without matplotlib."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ConfigError(
            f"plots: not drawn ({error}); needed matplotlib. pip install 'metric_depth_ros[plots]'"
        ) from error
    width_in = _PANEL_IN * (1.5 if _is_wide(shape) else 1)
    height_in = _AROUND_IN + width_in * _PICTURE * shape[0] / shape[1]
    return pyplot.figure(figsize=(columns * width_in, rows * height_in), layout="constrained")


def _is_wide(shape: tuple[int, ...]) -> bool:
    return shape[1] > 2 * shape[0]


def _axes(axes: Any, shape: tuple[int, ...]) -> Any:
    return _figure(shape).subplots() if axes is None else axes


def _depth_colours(low: float, high: float) -> dict[str, Any]:
    from matplotlib.colors import ListedColormap, LogNorm

    colours = ListedColormap(palette(cv2.COLORMAP_TURBO)[::-1] / 255)
    return {"cmap": colours.with_extremes(bad=_GREY), "norm": LogNorm(low, high, clip=True)}


def _over_grey(name: str) -> Any:
    from matplotlib import colormaps

    return colormaps[name].with_extremes(bad=_GREY)


def _finished(axes: Any, drawn: Any, title: str, label: str, ticks: list[float] | None = None) -> Any:
    """Axes with title, axes in pixels and a scale with a name and round numbers."""
    axes.set(title=title, xlabel="u (px)", ylabel="v (px)")
    bar = axes.figure.colorbar(drawn, ax=axes, label=label, ticks=ticks or None)
    if ticks:
        bar.ax.minorticks_off()
        bar.ax.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])
    return axes

"""Plots: every part with title, axes, a scale and its unit; what is unknown is grey."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import metric_depth_ros
from metric_depth_ros import plot_anchors, plot_depth, plot_error, plot_result, plot_sigma, solve
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.types import Anchors

DEPTH = np.geomspace(1, 20, 48 * 64).reshape(48, 64).astype(np.float32)
UV = np.array([[5, 5], [40, 20], [60, 40]], np.float32)
ANCHORS = Anchors(UV, np.array([2, 5, 9], np.float32), np.full(3, 0.1, np.float32))
IMAGE = np.full((48, 64, 3), 120, np.uint8)


@pytest.fixture(autouse=True)
def _no_windows() -> Any:
    import matplotlib
    from matplotlib import pyplot

    matplotlib.use("Agg")
    yield
    pyplot.close("all")


def pixels(axes: Any) -> Any:
    """Colours (H, W, 4) of what an axes shows."""
    [shown] = axes.get_images()
    return shown.to_rgba(shown.get_array())


def test_depth_is_coloured_by_its_logarithm_and_grey_where_unknown() -> None:
    depth = DEPTH.copy()
    depth[0] = np.nan
    axes = plot_depth(depth, range_m=(1, 16))
    colours = pixels(axes)
    assert len({*colours[0, 0, :3]}) == 1  # grey
    near, far = colours[1, 0], colours[-1, -1]
    assert near[0] > near[2] and far[2] > far[0]
    middle = np.nanargmin(np.abs(depth - 4))
    value = axes.get_images()[0].norm(depth.ravel()[middle])
    assert value == pytest.approx(0.5, abs=0.01)
    bar = axes.figure.axes[1]
    assert bar.get_ylabel() == "depth (m)"
    assert "1" in [text.get_text() for text in bar.get_yticklabels()]
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("metric depth", "u (px)", "v (px)")


def test_an_error_is_red_where_depth_is_too_far() -> None:
    depth = DEPTH.copy()
    depth[:, :20] *= 1.2
    depth[:, 20:40] *= 0.8
    depth[:, 40] = np.nan
    axes = plot_error(depth, DEPTH)
    colours = pixels(axes)
    assert colours[5, 5, 0] > colours[5, 5, 2] and colours[5, 30, 2] > colours[5, 30, 0]
    assert colours[5, 50, :3].min() > 0.9
    assert axes.get_title() == f"error: AbsRel {0.2 * 40 / 63:.3f}"
    assert axes.get_images()[0].norm.vmax == pytest.approx(20, rel=1e-3)
    unknown = plot_error(depth, np.zeros_like(depth))
    assert unknown.get_title() == "error"


def test_sigma_is_a_part_of_the_depth() -> None:
    axes = plot_sigma(DEPTH, 0.1 * DEPTH)
    np.testing.assert_allclose(axes.get_images()[0].get_array(), 10, rtol=1e-5)
    assert axes.figure.axes[1].get_ylabel() == "standard deviation (%)"


def test_anchors_lie_at_their_pixels_nearest_on_top() -> None:
    axes = plot_anchors(IMAGE, ANCHORS)
    [dots] = axes.collections
    np.testing.assert_array_equal(dots.get_offsets(), UV[::-1])
    assert axes.get_title() == "image, 3 anchors"


@pytest.mark.parametrize("with_anchors", [True, False])
@pytest.mark.parametrize("with_sigma", [True, False])
@pytest.mark.parametrize("with_truth", [True, False])
def test_a_result_shows_what_is_known(with_anchors: bool, with_sigma: bool, with_truth: bool) -> None:
    figure = plot_result(
        DEPTH,
        image=IMAGE if with_anchors else None,
        anchors=ANCHORS if with_anchors else None,
        sigma=0.1 * DEPTH if with_sigma else None,
        truth=DEPTH if with_truth else None,
    )
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    wanted = ["image, 3 anchors"] * with_anchors + ["metric depth"]
    wanted += ["true depth", "error: AbsRel 0.000"] * with_truth + ["sigma / depth"] * with_sigma
    assert titles == wanted


def test_what_solve_returns_plots_itself() -> None:
    rng = np.random.default_rng(0)
    v, u = rng.integers(0, DEPTH.shape, (50, 2)).T
    result = solve(1 / DEPTH, np.column_stack([u, v]), DEPTH[v, u], image=IMAGE)
    titles = {axes.get_title() for axes in result.plot(DEPTH).axes}
    assert {"image, 50 anchors", "metric depth", "true depth", "sigma / depth"} <= titles
    assert not any("anchors" in axes.get_title() for axes in solve(1 / DEPTH, UV, ANCHORS.depth).plot().axes)


def test_wide_maps_stand_below_each_other_and_fill_their_panels() -> None:
    wide = DEPTH[:16]
    figure = plot_result(wide, image=IMAGE[:16], anchors=ANCHORS, sigma=wide)
    width_in, height_in = figure.get_size_inches()
    assert height_in < 1.5 * width_in  # three panels of about 1 to 2
    figure.draw_without_rendering()
    shown = [axes for axes in figure.axes if axes.get_images()]
    assert len(shown) == 3 and len({round(axes.get_position().x0, 2) for axes in shown}) == 1


def test_anchors_beyond_the_image_do_not_widen_it() -> None:
    axes = plot_anchors(IMAGE[:8], ANCHORS)
    assert axes.get_ylim() == (7.5, -0.5) and axes.get_xlim() == (-0.5, 63.5)


def test_plots_go_into_axes_of_the_caller() -> None:
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2)
    assert plot_depth(DEPTH, axes=left) is left
    assert plot_sigma(DEPTH, DEPTH, axes=right).figure is figure


@pytest.mark.parametrize("call", [lambda: plot_depth(UV[0]), lambda: plot_depth(np.empty((0, 3)))])
def test_what_is_no_map_is_refused(call: Any) -> None:
    with pytest.raises(InputError, match=r"plots: depth is .*; needed \(H, W\)"):
        call()


@pytest.mark.parametrize("name", ["sigma", "truth"])
def test_maps_of_another_size_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"plots: {name} is \(24, 32\); needed \(48, 64\)"):
        plot_result(DEPTH, **{name: DEPTH[:24, :32]})


def test_a_map_without_any_depth_is_drawn() -> None:
    nothing = np.full((48, 64), np.nan, np.float32)
    figure = plot_result(nothing, sigma=nothing, truth=DEPTH)
    figure.canvas.draw()


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'metric_depth_ros\[plots\]'"):
        plot_depth(DEPTH)


def test_the_package_has_all_plots() -> None:
    assert {name for name in metric_depth_ros.__all__ if name.startswith("plot_")} == {
        "plot_anchors", "plot_depth", "plot_error", "plot_result", "plot_sigma",
    }  # fmt: skip

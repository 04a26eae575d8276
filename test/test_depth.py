"""The spaces that depth is fitted in, positive depth of any network, and the limits of metric depth."""

import numpy as np
import pytest

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.depth import choose_domain, positive_depth, relative_in, within_limits
from metric_depth_ros.types import MetricDepth, RelativeDepth


def inverse(values):
    return RelativeDepth(np.array([values], np.float32), "inverse_depth")


def test_positive_inverse_depth_is_inverted():
    np.testing.assert_allclose(positive_depth(inverse([0.5, 1, 2])), [[2, 1, 0.5]])


@pytest.mark.parametrize("n", [101, 76])
def test_the_equation_of_positive_depth(n):
    """r = 1 / max(v - shift, (median - shift) / 100), shift = 2 low - median, 2 % of the values below low."""
    values = np.random.default_rng(0).normal(0.5, 1, n).astype(np.float32)
    median, low = np.median(values.astype(np.float64)), np.quantile(values.astype(np.float64), 0.02)
    shift = 2 * low - median
    expected = 1 / np.maximum(values - shift, (median - shift) / 100)
    np.testing.assert_allclose(positive_depth(inverse(values))[0], expected, rtol=1e-5)


def test_known_pixels_that_a_coarse_grid_misses_have_a_depth():
    values = np.full((200, 200), np.nan, np.float32)
    values[1::2, 1::2] = 2
    depth = positive_depth(RelativeDepth(values, "inverse_depth"))
    assert (depth[1::2, 1::2] == 0.5).all() and np.isnan(depth).sum() == 30_000


def test_negative_values_are_shifted_so_that_the_far_end_is_at_two_medians():
    values = np.linspace(-1, 3, 101)
    depth = positive_depth(inverse(values))[0]
    low, median = np.quantile(values, 0.02), np.median(values)
    assert np.interp(low, values, depth) == pytest.approx(2 * np.interp(median, values, depth), rel=1e-3)
    assert (np.diff(depth) < 0).all()


def test_a_normalised_map_comes_back_within_what_its_far_end_allows():
    """Depths of a room, less the median inverse depth: the shift is lost, the order of magnitude not."""
    true = np.random.default_rng(0).uniform(1, 4, 2000).astype(np.float32)
    value = 1 / true - np.median(1 / true)
    depth = positive_depth(inverse(value))[0]
    assert np.mean(np.abs(depth * np.median(true / depth) - true) / true) < 0.35


def test_an_offset_of_the_input_changes_nothing():
    values = np.random.default_rng(0).uniform(-3, -1, 50)
    np.testing.assert_allclose(
        positive_depth(inverse(values)), positive_depth(inverse(values - 5)), rtol=1e-4
    )


def test_far_depths_end_at_a_hundred_medians():
    assert positive_depth(inverse([1e-9, 1, 2])).max() == pytest.approx(100)


def test_unknown_stays_unknown():
    depth = positive_depth(inverse([np.nan, 1, 2]))
    assert np.isnan(depth[0, 0])
    assert np.isfinite(depth[0, 1:]).all()
    assert np.isnan(positive_depth(inverse([np.nan, np.inf]))).all()


def test_a_scale_of_the_input_is_a_scale_of_the_output():
    values = np.random.default_rng(0).uniform(0, 3, 50)
    np.testing.assert_allclose(
        positive_depth(inverse(values)) / 7, positive_depth(inverse(values * 7)), rtol=1e-5
    )


def test_a_depth_network_is_taken_as_it_is():
    relative = RelativeDepth(np.array([[3, 0, -1, np.nan]], np.float32), "depth")
    np.testing.assert_array_equal(positive_depth(relative), [[3, np.nan, np.nan, np.nan]])


def test_all_zero_has_a_depth_and_no_warning():
    assert np.isfinite(positive_depth(inverse([0, 0]))).all()


def test_the_input_is_not_modified():
    relative = inverse([-1, 0, 2])
    positive_depth(relative)
    np.testing.assert_array_equal(relative.values, [[-1, 0, 2]])


# ---- spaces and limits -----------------------------------------------------------------------


def test_the_space_to_fit_in_follows_from_the_network_unless_told():
    told = {
        ("auto", "inverse_depth"): "inverse_depth",
        ("auto", "depth"): "log",
        ("depth", "inverse_depth"): "depth",
    }
    assert {words: choose_domain(*words) for words in told} == told


@pytest.mark.parametrize(
    ("kind", "domain", "expected"),
    [("depth", "depth", [2, 5]), ("depth", "log", np.log([2, 5])), ("depth", "inverse_depth", [0.5, 0.2]),
     ("inverse_depth", "inverse_depth", [2, 5]), ("inverse_depth", "log", -np.log([2, 5])),
     ("inverse_depth", "depth", [0.5, 0.2])],
)  # fmt: skip
def test_relative_depth_in_every_space(kind, domain, expected):
    for more in ([], [np.nan]):
        x = relative_in(domain, RelativeDepth(np.array([[2, 5, *more]], np.float32), kind))
        np.testing.assert_allclose(x, [[*expected, *more]], rtol=1e-6)


@pytest.mark.parametrize("domain", ["inverse_depth", "log", "depth"])
def test_inverse_depth_with_negative_values_is_made_positive_in_every_space(domain):
    relative = inverse([-1, 0, 2, np.inf, -np.inf, np.nan])
    positive = positive_depth(relative)
    assert (positive[0, :3] > 0).all() and np.isnan(positive[0, 3:]).all()
    wanted = {"inverse_depth": 1 / positive, "log": np.log(positive), "depth": positive}[domain]
    np.testing.assert_allclose(relative_in(domain, relative), wanted, rtol=1e-6)


@pytest.mark.parametrize("domain", ["inverse_depth", "log", "depth"])
def test_an_unknown_pixel_changes_no_other_and_zeros_are_far(domain):
    values = [0, 0, *range(2, 40)]
    whole, part = (relative_in(domain, inverse(v))[0] for v in (values, [*values, np.nan]))
    np.testing.assert_array_equal(part[:-1], whole)
    assert np.isfinite(whole).all() and np.isnan(part[-1])


def test_a_positive_map_is_not_copied():
    relative = inverse([1.0, 2.0, 3.0])
    assert relative_in("inverse_depth", relative) is relative.values
    np.testing.assert_allclose(positive_depth(relative), [[1, 0.5, 1 / 3]])
    np.testing.assert_array_equal(relative.values, [[1, 2, 3]])


@pytest.mark.parametrize("values", [[-1, -1, -1, -1], [0, 0, 0, 0], [-1, -1, -1, 5], [0, 0, 0, 7]])
def test_a_map_that_is_mostly_its_far_end_stays_finite(values):
    with np.errstate(all="raise"):
        depth = positive_depth(inverse(values))
    assert (depth > 0).all() and depth.max() <= 1e4 * depth.min() * 1.001


@pytest.mark.parametrize(
    "depths", [[0.4, 0.5, 3, 8, 8.1, np.nan], [0.5, 8], [0.5, 8.1], [0.4, 8], [np.inf, -1]]
)
def test_depth_outside_the_limits_and_its_sigma_are_unknown(depths):
    depth = np.array([depths], np.float32)
    metric = MetricDepth(depth.copy(), np.ones_like(depth))
    found = within_limits(metric, SolverConfig(min_depth_m=0.5, max_depth_m=8.0))
    expected = [[d if 0.5 <= d <= 8 else np.nan for d in depth[0].tolist()]]
    np.testing.assert_array_equal(found.depth, expected)
    np.testing.assert_array_equal(np.isnan(found.sigma), np.isnan(expected))

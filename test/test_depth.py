"""Positive depth up to a scale, of any network."""

import numpy as np
import pytest

from metric_depth_ros.depth import positive_depth
from metric_depth_ros.types import RelativeDepth


def inverse(values):
    return RelativeDepth(np.array([values], np.float32), "inverse_depth")


def test_positive_inverse_depth_is_inverted():
    np.testing.assert_allclose(positive_depth(inverse([0.5, 1, 2])), [[2, 1, 0.5]])


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

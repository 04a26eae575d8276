"""The factor of a whole depth map (paper 002): against a bounded minimiser, at its bounds, by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import wasserstein_distance

from metric_depth_ros.errors import InputError
from metric_depth_ros.scale import METRIC_BOUNDS, best_scale, bounds_of, unit_depth, wasserstein
from metric_depth_ros.types import RelativeDepth


@pytest.mark.parametrize("seed", range(6))
def test_the_best_scale_is_that_of_a_bounded_minimiser(seed):
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(0.5, 8, (40, 30)) ** rng.uniform(0.7, 1.5)
    truth = rng.uniform(0.3, 1.7) * predicted * np.exp(rng.normal(0, 0.3, predicted.shape))
    predicted[rng.random(predicted.shape) < 0.1] = np.nan
    truth[rng.random(truth.shape) < 0.1] = 0
    both = np.isfinite(predicted) & (truth > 0)

    def distance(scale):
        return wasserstein_distance(scale * predicted[both], truth[both])

    found = best_scale(predicted, truth)
    wanted = minimize_scalar(distance, bounds=METRIC_BOUNDS, method="bounded", options={"xatol": 1e-9})
    assert distance(found) <= wanted.fun + 1e-12
    assert found == pytest.approx(wanted.x, rel=1e-3)
    assert wasserstein(found * predicted, truth) == pytest.approx(distance(found))


def test_the_scale_stays_within_its_bounds():
    depth = np.linspace(1, 4, 12).reshape(3, 4)
    assert best_scale(depth, 5 * depth) == 2.0 and best_scale(depth, depth / 50) == 0.1
    assert best_scale(depth, 5 * depth, (0.1, 80.0)) == pytest.approx(5)


def test_an_exact_factor_is_found_and_outliers_do_not_move_it():
    depth = np.linspace(1, 4, 101)
    truth = 1.3 * depth
    assert best_scale(depth, truth) == pytest.approx(1.3)
    truth[:3] = 60.0  # sorted, they are the largest: the others move up by three places
    assert best_scale(depth, truth) == pytest.approx(1.3, rel=0.06)


@pytest.mark.parametrize(
    ("predicted", "truth", "said"),
    [(np.ones((2, 3)), np.ones((3, 2)), "one shape"), (np.full(4, np.nan), np.ones(4), "no pixel")],
)
def test_what_cannot_be_compared_is_named(predicted, truth, said):
    with pytest.raises(InputError, match=said):
        best_scale(predicted, truth)


def test_unitless_maps_are_divided_by_their_median_and_metres_are_not():
    values = np.array([[0.5, 1.0, 2.0, np.nan]], np.float32)
    metric = RelativeDepth(values, "depth", metric=True)
    np.testing.assert_array_equal(unit_depth(metric), values)
    inverse = RelativeDepth(1 / values, "inverse_depth")
    np.testing.assert_allclose(unit_depth(inverse), values)
    np.testing.assert_allclose(unit_depth(RelativeDepth(7 * values, "depth")), values, rtol=1e-6)
    assert bounds_of(metric) == (0.1, 2.0) and bounds_of(inverse) == (0.1, 80.0)
    assert np.isnan(unit_depth(RelativeDepth(np.full((2, 2), np.nan, np.float32), "depth"))).all()


def test_metres_of_an_inverse_network_are_kept_whatever_one_pixel_says():
    inverse = np.full((20, 20), 0.25, np.float32)
    inverse[0, :3] = -0.001, 0.0, np.nan
    found = unit_depth(RelativeDepth(inverse, "inverse_depth", metric=True))
    assert np.isnan(found[0, :3]).all() and (found.ravel()[3:] == 4).all()

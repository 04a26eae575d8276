"""Paired bootstrap over frames in sets."""

import math

import numpy as np
import pytest

from metric_depth_ros.evaluation.bootstrap import interval


def plain(sets, resamples, seed):
    """The same, one draw after the other."""
    generator = np.random.default_rng(seed)
    means = []
    for _ in range(resamples):
        drawn = [sets[number] for number in generator.integers(len(sets), size=len(sets))]
        means.append(np.concatenate([generator.choice(each, len(each)) for each in drawn]).mean())
    return np.percentile(means, (2.5, 97.5))


def test_it_equals_the_plain_loop():
    generator = np.random.default_rng(3)
    sets = [generator.normal(middle, 0.5, count) for middle, count in ((0, 3), (1, 9), (2, 5), (0.5, 1))]
    np.testing.assert_allclose(interval(sets, resamples=8000), plain(sets, 8000, 1), atol=0.05)


def test_frames_of_one_set_are_no_independent_frames():
    """Ten sets of ten equal frames tell as much as ten frames."""
    middles = np.random.default_rng(0).normal(size=10)
    low, high = interval([np.full(10, middle) for middle in middles])
    one_each = interval([np.array([middle]) for middle in middles])
    assert (low, high) == pytest.approx(one_each, abs=0.1)
    pooled = interval([np.repeat(middles, 10)])
    assert high - low > 2 * (pooled[1] - pooled[0])


def test_it_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        sets = [generator.normal(0, 1) + generator.normal(size=4) for _ in range(20)]
        low, high = interval(sets, resamples=300)
        inside += low <= 0 <= high
    assert 0.88 <= inside / 200 <= 1


def test_equal_runs_differ_by_nothing_and_none_by_nan():
    assert interval([np.zeros(4), np.zeros(2)]) == (0, 0)
    assert all(map(math.isnan, interval([])))
    assert interval([np.array([0.5])]) == (0.5, 0.5)

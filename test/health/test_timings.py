"""Percentiles of what takes time."""

import pytest

from metric_depth_ros.health.timings import Timings


def test_percentiles_by_stage_over_the_last_images():
    timings = Timings(kept=101)
    for _ in range(50):
        timings.add({"engine": 9.0})  # too long ago
    for ms in range(101):
        timings.add({"engine": ms / 1e3, "solver": 0.002})
    assert timings.percentiles()["engine"] == pytest.approx((50, 95, 99))
    assert timings.values() == {
        "engine_ms p50/p95/p99": "50.0 / 95.0 / 99.0",
        "solver_ms p50/p95/p99": "2.0 / 2.0 / 2.0",
    }


def test_nothing_measured_has_no_percentiles():
    assert Timings().values() == {}


def test_a_stage_that_fails_took_time_too():
    timings = Timings()
    with pytest.raises(ZeroDivisionError), timings.measuring("engine"):
        raise ZeroDivisionError
    assert timings.percentiles()["engine"][0] >= 0

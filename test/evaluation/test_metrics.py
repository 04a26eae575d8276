"""Metrics worked out by hand on 2x2, and the interpolation control."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from metric_depth_ros.config import AnchorsConfig
from metric_depth_ros.errors import AnchorError, ConfigError, InputError
from metric_depth_ros.evaluation import metrics
from metric_depth_ros.evaluation.held_out import held_out_error
from metric_depth_ros.evaluation.interpolation import interpolate_anchors
from metric_depth_ros.evaluation.measures import DEFAULT, METRICS, Solved, chosen_metrics, errors_of
from metric_depth_ros.types import Anchors, Camera

DEPTH = np.array([[2.0, 3.0], [4.0, 10.0]], np.float32)
TRUTH = np.array([[1.0, 3.0], [5.0, 8.0]], np.float32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("abs_rel", 0.3625),  # 1 + 0 + .2 + .25 = 1.45
        ("sq_rel", 0.425),  # 1 + 0 + .2 + .5 = 1.7
        ("mae", 1.0),  # 1 + 0 + 1 + 2
        ("rmse", 1.2247449),  # 1 + 0 + 1 + 4, root of 1.5
        ("rmse_log", 0.3808015),  # ln 2 = .6931472, ln 1.25 = .2231436: .4804530 + 2 .0497930 = .5800391
        ("log10", 0.1237125),  # .3010300 + 2 .0969100 = .4948500
        ("log10_squared", 0.02735054),  # .09061906 + 2 .009391551 = .1094022
        ("irmse", 251.55765),  # .5, 0, .05, .025: .25 + .0025 + .000625 = .253125, root of .06328125
        ("imae", 143.75),  # .5 + .05 + .025 = .575
        ("silog", 33.908916),  # logs .6931472, 0, -.2231436, .2231436: .1450098 - .1732868^2 = .1149815
        ("delta1", 1 / 4),  # 1.25 itself is not below 1.25
        ("delta2", 3 / 4),
        ("delta3", 3 / 4),
        ("coverage", 1.0),
        ("count", 4.0),
    ],
)
def test_by_hand(name, expected):
    assert metrics.all_metrics(DEPTH, TRUTH)[name] == pytest.approx(expected, rel=1e-6)


def test_each_delta_has_its_threshold():
    """1.25, 1.5625 and 1.953: of ratios 1.2, 1.5, 1.9 and 2, near or far, one, two and three are below."""
    for depth in ([1.2, 1.5, 1.9, 2.0], [1 / 1.2, 1 / 1.5, 1 / 1.9, 1 / 2.0]):
        found = metrics.all_metrics(np.array(depth), np.ones(4))
        assert [found["delta1"], found["delta2"], found["delta3"]] == [0.25, 0.5, 0.75]


# One pixel of 4 m without depth counts as 8 m.
CHARGED = {
    "abs_rel": 1, "sq_rel": 4, "rmse": 4, "rmse_log": 0.6931472, "log10": 0.3010300,
    "log10_squared": 0.09061906, "mae": 4, "irmse": 125, "imae": 125, "silog": 69.31472,
    "delta1": 0, "delta2": 0, "delta3": 0,
}  # fmt: skip
# With an exact one beside it: half of a mean, and of a root of a mean .7071068.
ROOTS = ("rmse", "rmse_log", "irmse", "silog")


@pytest.mark.parametrize("missing", [np.nan, 0.0, -1.0, np.inf])
@pytest.mark.parametrize("name", metrics.OF_PIXELS)
def test_a_pixel_without_depth_counts_alike_in_every_metric(name, missing):
    alone = errors_of(Solved(np.array([missing]), np.array([4.0])), [name])
    assert alone == {name: pytest.approx(CHARGED[name], rel=1e-6)}
    # A pixel whose true depth is not known does not count at all.
    beside = Solved(np.array([4.0, missing, missing]), np.array([4.0, 4.0, np.nan]))
    part = CHARGED[name] * 0.7071068 if name in ROOTS else CHARGED[name] / 2
    expected = 0.5 if name.startswith("delta") else part
    assert errors_of(beside, [name]) == {name: pytest.approx(expected, rel=1e-6)}


def test_silog_does_not_see_a_common_factor_but_what_is_missing():
    depth, truth = np.array([6.0, 12.0, 3.0]), np.array([2.0, 4.0, 1.0])
    assert errors_of(Solved(depth, truth), ["silog"])["silog"] == pytest.approx(0, abs=1e-6)
    depth[0] = np.nan  # a third is missing: ln 2 of one in three
    assert errors_of(Solved(depth, truth), ["silog"])["silog"] == pytest.approx(40.018870, rel=1e-6)


@pytest.mark.parametrize("name", ["scale_mae", "scale_rmse"])
def test_the_error_of_the_scale_is_that_of_the_best_factor(name):
    """Ratios .5, 1, 1.25, .8 of weights 2, 3, 4, 10: their weighted median is .8, its ln -.2231436."""
    assert errors_of(Solved(DEPTH, TRUTH), [name]) == {name: pytest.approx(0.2231436, rel=1e-6)}
    # A network's depth times a wrong factor: the error of its logarithm, whatever the bounds of the paper.
    assert errors_of(Solved(30 * TRUTH, TRUTH), [name]) == {name: pytest.approx(math.log(30), rel=1e-6)}
    nothing = Solved(np.full(4, np.nan), TRUTH.ravel())
    assert errors_of(nothing, [name]) == {name: pytest.approx(0.6931472, rel=1e-6)}
    assert math.isnan(metrics.scale_error(DEPTH, np.zeros((2, 2))))


@pytest.mark.parametrize(("focus_m", "expected"), [(2.0, 1.0), (3.0, 1.0), (4.0, 0.75), (9.0, 0.75)])
def test_the_accuracy_of_the_mask_at_several_focuses(focus_m, expected):
    """Depths 2, 3, 4, 10 of truths 1, 3, 5, 8: at 4 m the third is wrong, at 9 m the last."""
    solved = Solved(DEPTH, TRUTH, focus_m=focus_m)
    assert errors_of(solved, ["mask_accuracy"]) == {"mask_accuracy": expected}


def test_a_pixel_without_depth_has_no_mask():
    """Near or far; and a truth that is not known is none."""
    for missing in (np.nan, 0.0, np.inf):
        depth, truth = np.array([missing, 3, missing, 10]), np.array([1.0, 3.0, 5.0, np.nan])
        found = errors_of(Solved(depth, truth, focus_m=4.0), ["mask_accuracy"])["mask_accuracy"]
        assert found == pytest.approx(1 / 3)
    assert math.isnan(errors_of(Solved(DEPTH, TRUTH), ["mask_accuracy"])["mask_accuracy"])


def test_every_metric_is_told_by_name():
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text()
    assert all(f"`{name}`" in page for name in METRICS) and f"`{','.join(DEFAULT)}`" in page
    assert set(metrics.OF_PIXELS) < set(METRICS) and set(DEFAULT) < set(METRICS)
    assert METRICS["irmse"].heading == "iRMSE, 1/km" and METRICS["abs_rel"].heading == "AbsRel"
    assert {name for name, metric in METRICS.items() if metric.lower_is_better is False} == {
        "delta1", "delta2", "delta3", "boundary_f1", "mask_accuracy",
    }  # fmt: skip
    assert {name for name, metric in METRICS.items() if metric.lower_is_better is None} == {
        "within_1_sigma", "within_2_sigma",
    }  # fmt: skip
    assert chosen_metrics(["rmse", "abs_rel", "rmse"], sequences=False) == ("rmse", "abs_rel")
    assert chosen_metrics(["all"], sequences=True) == tuple(METRICS)
    assert "flicker" not in chosen_metrics(["all"], sequences=False)
    with pytest.raises(ConfigError, match=r"flicker of single frames; needed frames in a row\. Add --all"):
        chosen_metrics(["rmse", "flicker"], sequences=False)


def test_unknown_in_either_is_left_out():
    depth = np.array([[np.nan, 3, 4], [0, 2, np.inf]])
    truth = np.array([[1, 0, 5], [2, np.nan, 1]])
    found = metrics.all_metrics(depth, truth)
    assert found["count"] == 1
    assert found["abs_rel"] == pytest.approx(0.2)
    assert found["coverage"] == pytest.approx(1 / 4)


def test_cap_leaves_out_far_truth():
    assert metrics.all_metrics(DEPTH, TRUTH, cap_m=5.0)["count"] == 3
    assert metrics.all_metrics(DEPTH, TRUTH, cap_m=5.0)["abs_rel"] == pytest.approx(1.2 / 3)


def test_nothing_known_is_nan_without_a_warning():
    found = metrics.all_metrics(np.full((2, 2), np.nan), TRUTH)
    assert found["count"] == 0
    assert found["coverage"] == 0
    assert math.isnan(found["rmse"])
    assert math.isnan(metrics.coverage(DEPTH, np.zeros((2, 2))))


def test_shapes_must_agree():
    with pytest.raises(InputError, match="shape"):
        metrics.abs_rel(DEPTH, TRUTH[:1])


def test_inputs_are_unmodified():
    depth, truth = DEPTH.copy(), TRUTH.copy()
    metrics.all_metrics(depth, truth, cap_m=5.0)
    np.testing.assert_array_equal(depth, DEPTH)
    np.testing.assert_array_equal(truth, TRUTH)


def anchors_at(uv, depth):
    return Anchors(np.array(uv, np.float32), np.array(depth, float), np.ones(len(depth)))


def test_interpolation_is_exact_on_a_plane_and_nearest_outside():
    rng = np.random.default_rng(0)
    uv = np.concatenate([rng.integers([10, 5], [50, 35], (60, 2)), [[10, 5], [50, 5], [10, 35], [50, 35]]])
    plane = interpolate_anchors(anchors_at(uv, 3 + 0.1 * uv[:, 0] + 0.2 * uv[:, 1]), 64, 48)
    v, u = np.mgrid[0:48, 0:64]
    inside = (u >= 10) & (u <= 50) & (v >= 5) & (v <= 35)
    error = np.abs(plane - (3 + 0.1 * u + 0.2 * v))[inside]
    assert (error < 1e-4).mean() > 0.99
    assert error.max() < 0.3  # a pixel on a triangle's edge is off by a pixel's step at most
    assert plane.dtype == np.float32
    assert plane[0, 0] == pytest.approx(3 + 1 + 1)
    assert plane[47, 63] == pytest.approx(3 + 5 + 7)


@pytest.mark.parametrize(
    ("uv", "depth", "probes"),
    [
        ([[5, 5]], [4], {(0, 0): 4, (9, 9): 4}),
        ([[2, 5], [7, 5]], [4, 8], {(5, 0): 4, (5, 9): 8}),
        ([[1, 5], [4, 5], [8, 5]], [4, 6, 8], {(5, 1): 4, (5, 4): 6, (0, 9): 8}),
        ([[5, 5], [5, 5]], [4, 8], {(0, 0): 6}),
    ],
)
def test_interpolation_of_few_or_collinear_anchors(uv, depth, probes):
    found = interpolate_anchors(anchors_at(uv, depth), 10, 10)
    assert np.isfinite(found).all()
    for (v, u), expected in probes.items():
        assert found[v, u] == pytest.approx(expected)


def test_interpolation_needs_an_anchor():
    with pytest.raises(AnchorError, match="0 of 1"):
        interpolate_anchors(anchors_at([[20, 5]], [4]), 10, 10)


def test_the_held_out_error_is_the_mean_over_the_points() -> None:
    """Truth 2, 4 and 5 m; depth 2.2 m, unknown and 4 m: errors 0.1 and 0.2, coverage 2/3."""
    camera = Camera(8, 6, np.array([[10.0, 0, 0], [0, 10, 0], [0, 0, 1]]))
    depth = np.full((6, 8), 100, np.float32)
    depth[1, 2], depth[3, 4], depth[5, 6] = 2.2, np.nan, 4
    truth = ((2, 1, 2), (4, 3, 4), (6, 5, 5), (50, 5, 5), (2, 1, -2))
    points = np.array([[(u * z) / 10, (v * z) / 10, z] for u, v, z in truth], np.float32)
    error, covered = held_out_error(depth, camera, points, AnchorsConfig(occlusion_window_px=0))
    assert error == pytest.approx(0.15, abs=1e-6)
    assert covered == pytest.approx(2 / 3)


# Errors |d - d*| / d* are 0.1, 0.4, 0.2; |d - d*| are 0.2, 0.4, 1 metres.
SPARSE_TRUTH = np.array([2.0, 1.0, 5.0])
SPARSE_DEPTH = np.array([2.2, 1.4, 6.0])


def test_ause_by_hand():
    """Perfect order leaves .1 .2 .4 -> means (.7/3, .15, .1); removing .1, .2 first leaves (.7/3, .3, .4)."""
    right = SPARSE_DEPTH * [0.01, 0.03, 0.02]
    wrong = SPARSE_DEPTH * [0.03, 0.01, 0.02]
    assert metrics.ause(SPARSE_DEPTH, SPARSE_TRUTH, right) == pytest.approx(0, abs=1e-12)
    expected = (0 + (0.3 - 0.15) + (0.4 - 0.1)) / 3 / (0.7 / 3)
    assert metrics.ause(SPARSE_DEPTH, SPARSE_TRUTH, wrong) == pytest.approx(expected)
    # A constant relative sigma says nothing: every mean is 0.7 / 3.
    flat = (0 + (0.7 / 3 - 0.15) + (0.7 / 3 - 0.1)) / 3 / (0.7 / 3)
    assert metrics.ause(SPARSE_DEPTH, SPARSE_TRUTH, SPARSE_DEPTH / 4) == pytest.approx(flat)


def test_sparsification_by_hand():
    """Removing a third, then another, in the wrong order: .7/3, .3, .4; the oracle: .7/3, .15, .1."""
    wrong = SPARSE_DEPTH * [0.03, 0.01, 0.02]
    found = metrics.sparsification(SPARSE_DEPTH, SPARSE_TRUTH, wrong, steps=3)
    np.testing.assert_allclose(found, [[0.7 / 3, 0.3, 0.4], [0.7 / 3, 0.15, 0.1]])
    assert metrics.sparsification(SPARSE_DEPTH, np.full(3, np.nan), wrong, steps=3).shape == (2, 3)


def test_ause_looks_only_where_depth_truth_and_sigma_are_known():
    right = np.abs(SPARSE_DEPTH - SPARSE_TRUTH)[::-1]
    unknown = np.array([[np.nan, 2, 0, 2, 2, 2], [2, np.nan, 2, 0, 2, 2], [1, 1, 1, 1, np.nan, -1]])
    given = np.array([SPARSE_DEPTH, SPARSE_TRUTH, right])
    assert metrics.ause(*np.hstack([given, unknown])) == metrics.ause(*given)


def test_ause_is_the_mean_gap_of_the_curves():
    rng = np.random.default_rng(1)
    truth = rng.uniform(1, 5, 400)
    depth, sigma = truth * rng.uniform(0.8, 1.2, 400), rng.uniform(0.1, 1, 400)
    left, best = metrics.sparsification(depth, truth, sigma, steps=400)
    assert metrics.ause(depth, truth, sigma) == pytest.approx((left - best).mean() / left[0])


def test_ause_of_rmse_goes_by_sigma_in_metres():
    """Squares .04 .16 1: the oracle leaves 1.2/3, .1, .04; sigma 3 2 1 leaves 1.2/3, 1.16/2, 1."""
    sigma = np.array([3.0, 2.0, 1.0])
    roots = np.sqrt([[1.2 / 3, 1.16 / 2, 1.0], [1.2 / 3, 0.1, 0.04]])
    expected = (roots[0] - roots[1]).mean() / roots[0, 0]
    assert metrics.ause(SPARSE_DEPTH, SPARSE_TRUTH, sigma, "rmse") == pytest.approx(expected)
    assert metrics.ause(SPARSE_DEPTH, SPARSE_TRUTH, sigma[::-1], "rmse") == pytest.approx(0, abs=1e-12)


def test_pixels_of_equal_sigma_count_alike_whatever_their_order():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 5, 500)
    depth, sigma = truth * rng.uniform(0.8, 1.2, 500), rng.integers(1, 5, 500) / 10
    order = rng.permutation(500)
    for error in ("abs_rel", "rmse"):
        found = metrics.ause(depth, truth, sigma, error)
        assert 0 < found < 1
        assert metrics.ause(depth[order], truth[order], sigma[order], error) == pytest.approx(found)


def test_sigma_coverage_by_hand():
    assert metrics.sigma_coverage(SPARSE_DEPTH, SPARSE_TRUTH, np.array([0.1, 0.5, 1.0])) == pytest.approx(
        2 / 3
    )
    assert metrics.sigma_coverage(SPARSE_DEPTH, SPARSE_TRUTH, np.array([np.nan, 0.5, -1])) == 1
    # Errors .2, .4 and 1 beside twice .1, .1 and .5.
    found = metrics.sigma_coverage(SPARSE_DEPTH + 1e-9, SPARSE_TRUTH, np.array([0.11, 0.1, 0.51]), times=2)
    assert found == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        ([4.0], 0.2631579),  # below from p = .5 on: .05 + ... + .45 and .5 + .45 + ... + .05 are 5, of 19
        ([3.0], 0.5),  # above every quantile: the mean of p
        ([5.0], 0.5),
        ([3.0, 5.0], 0.2368421),  # half are below every quantile: 2 (.05 + ... + .45) = 4.5, of 19
    ],
)
def test_calibration_error_by_hand(depth, expected):
    n = len(depth)
    found = metrics.calibration_error(np.array(depth), np.full(n, 4.0), np.full(n, 1e-3))
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_calibrated_sigma_has_no_calibration_error():
    """Errors at the quantiles .025, .075, ... of a normal distribution: one in each step of .05."""
    z = np.array([-1.96, -1.44, -1.15, -0.935, -0.755, -0.598, -0.454, -0.319, -0.189, -0.063])
    errors = np.concatenate([z, -z])
    sigma = np.linspace(0.1, 2, 20)
    truth = np.full(20, 9.0)
    assert metrics.calibration_error(truth - errors * sigma, truth, sigma) == pytest.approx(0, abs=1e-9)
    assert metrics.calibration_error(truth - errors * sigma, truth, 3 * sigma) > 0.1
    assert metrics.calibration_error(truth - errors * sigma, truth, sigma / 3) > 0.1


def test_nll_by_hand():
    """Half of ln 2 pi is .9189385; sigma 2 and an error of 2: + ln 2 + 1/2 = 2.1120857."""
    depth, truth, sigma = np.array([3.0, 5.0, 7.0]), np.array([3.0, 7.0, 7.0]), np.array([1.0, 2.0, 0.0])
    assert metrics.nll(depth[:1], truth[:1], sigma[:1]) == pytest.approx(0.9189385)
    assert metrics.nll(depth, truth, sigma) == pytest.approx(1.5155121)  # of sigma 0 there is no likelihood
    assert math.isnan(metrics.nll(depth, truth, np.zeros(3)))


def test_metrics_of_sigma_need_one():
    names = [name for name in METRICS if "sigma" in name or name in ("nll", "calibration_error", "ause_rmse")]
    found = errors_of(Solved(SPARSE_DEPTH, SPARSE_TRUTH), names)
    assert len(found) == 5 and all(math.isnan(value) for value in found.values())


def test_sigma_that_is_not_known_does_not_count():
    sigma = np.array([0.1, np.nan, np.inf])
    assert metrics.ause(SPARSE_DEPTH, SPARSE_TRUTH, sigma) == pytest.approx(0, abs=1e-12)
    assert math.isnan(metrics.ause(SPARSE_DEPTH, SPARSE_TRUTH, np.full(3, np.nan)))
    assert math.isnan(metrics.sigma_coverage(SPARSE_DEPTH, SPARSE_TRUTH, np.full(3, -1.0)))
    assert metrics.ause(SPARSE_TRUTH, SPARSE_TRUTH, np.ones(3)) == 0
    with pytest.raises(InputError, match="shape"):
        metrics.ause(SPARSE_DEPTH, SPARSE_TRUTH, np.ones(2))

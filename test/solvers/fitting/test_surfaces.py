"""The parts that solvers share: domains, weights, surfaces and medians against plain computations."""

from __future__ import annotations

import numpy as np
import pytest

from metric_depth_ros.depth import depth_from, depth_in, relative_in
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers.fitting.closed_form import rescued
from metric_depth_ros.solvers.fitting.observations import (
    Line,
    Observations,
    fit_line,
    observe,
    one_depth,
    weighted_medians,
    weights_in,
)
from metric_depth_ros.solvers.fitting.penalised import Rows, fit_ridge
from metric_depth_ros.solvers.fitting.robust import robust_weights
from metric_depth_ros.solvers.fitting.surfaces import fit_surfaces
from metric_depth_ros.types import Anchors, RelativeDepth

DOMAINS = ("inverse_depth", "log", "depth")
KINDS = ("depth", "inverse_depth")


@pytest.mark.parametrize("domain", DOMAINS)
def test_depth_comes_back_from_every_domain(domain):
    depth = np.array([0.05, 1, 7, 200])
    np.testing.assert_allclose(depth_from(domain, depth_in(domain, depth)), depth, rtol=1e-12)


@pytest.mark.parametrize("domain", DOMAINS)
def test_weights_are_one_over_the_variance_of_y(domain):
    depth, sigma, step = np.array([1.0, 5, 40]), np.array([0.5, 0.1, 0.1]), 1e-6
    slope = (depth_in(domain, depth + step) - depth_in(domain, depth - step)) / (2 * step)
    expected = 1 / (slope**2 * (sigma**2 + (0.1 * depth) ** 2))  # the network misses by a tenth anyway
    weights = weights_in(domain, depth, sigma, "relative")
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-6)
    assert weights_in(domain, depth, sigma, "none").tolist() == [1, 1, 1]


@pytest.mark.parametrize("domain", DOMAINS)
def test_relative_depth_that_is_not_positive_is_unknown(domain):
    values = np.array([[-1, 0, 2, np.inf, np.nan]], np.float32)
    x = relative_in(domain, RelativeDepth(values, "depth"))
    assert np.isfinite(x).tolist() == [[False, False, True, False, False]]


def test_what_is_no_depth_becomes_the_line_s():
    y, x = np.array([[0.5, -1, 0, 2, np.nan]]), np.array([[1.0, 2, 3, 4, np.nan]])
    line = Line(2.0, 1.0, "affine")
    for domain in ("depth", "inverse_depth"):
        np.testing.assert_array_equal(rescued(y.copy(), x, line, domain), [[0.5, 5, 7, 2, np.nan]])
    np.testing.assert_array_equal(rescued(y.copy(), x, line, "log"), y)


def test_depths_alike_to_a_thousandth_are_one():
    assert one_depth(np.array([5.004, 5, 5.001])) and not one_depth(np.array([5.006, 5, 5.001]))


def test_observations_are_what_is_known_weighted_by_trust():
    rng = np.random.default_rng(2)
    x = rng.uniform(1, 3, (30, 40)).astype(np.float32)
    x[0, 0] = np.nan
    u, v = rng.integers(1, 40, 60), rng.integers(1, 30, 60)
    depth = 3 * x[v, u] * np.exp(rng.normal(0, 0.15, 60))
    good = Anchors(np.column_stack([u, v]).astype(np.float32), depth, np.full(60, 0.01))
    uv = [[0, 0], [-1, 5], *[[5, 5]] * 7]
    bad = Anchors(
        np.array(uv, np.float32),
        np.array([1, 1, 0, -1, np.nan, np.inf, 1, 1, 1]),
        np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, -0.1, np.nan, np.inf]),
    )
    both = (
        np.concatenate(part) for part in zip(*((a.uv, a.depth, a.sigma) for a in (bad, good)), strict=True)
    )
    seen = observe(x, Anchors(*both), "log", "relative", "neighbours", "test")
    known, y = good.depth.astype(np.float64), np.log(good.depth.astype(np.float64))
    trust = robust_weights(good.uv.astype(np.float64), x[v, u].astype(np.float64), y, "log", 0.01 / known)
    weight = trust / (0.01**2 / known**2 + 0.1**2)
    kept = trust > 0
    assert kept.sum() == len(seen) and seen.rejected == 60 - kept.sum() and trust[kept].min() < 0.8
    np.testing.assert_array_equal(seen.depth, known[kept])
    np.testing.assert_allclose(seen.weight, (weight / weight[kept].mean())[kept], rtol=1e-6)
    with pytest.raises(AnchorError, match="test: 0 usable of 9 anchors"):
        observe(x, bad, "log", "relative", "none", "test")


@pytest.mark.parametrize("slopes", [True, False])
def test_surfaces_equal_the_plain_loop(slopes):
    rng = np.random.default_rng(0)
    u, v = rng.integers(0, 64, 150), rng.integers(0, 48, 150)
    depth, sigma = rng.uniform(1, 9, 150), rng.uniform(0.01, 1, 150)
    anchors = Anchors(np.stack([u, v], axis=1).astype(np.float32), depth, sigma)
    seen = observe(
        rng.uniform(1, 3, (48, 64)).astype(np.float32), anchors, "depth", "relative", "none", "test"
    )
    group, reach = rng.integers(0, 12, 150), np.eye(12, dtype=bool) | (rng.random((12, 12)) < 0.3)
    fast = fit_surfaces(seen, group, reach, "depth", slopes=slopes)
    for region, parameters in enumerate(fast.parameters):
        use = reach[region][group]
        columns = [seen.x, u, v, np.ones(len(u))] if slopes else [seen.x, np.ones(len(u))]
        root = np.sqrt(seen.weight[use])
        A = np.stack(columns, axis=1)[use] * root[:, None]
        plain = np.linalg.lstsq(A, seen.y[use] * root, rcond=None)[0]
        used = parameters if slopes else parameters[[0, 3]]
        np.testing.assert_allclose(used, plain, rtol=1e-5, atol=1e-7)
        assert fast.solved[region]


@pytest.mark.parametrize(
    ("long", "off", "count", "solved"),
    [(40, 0.6, 4, True), (40, 0.4, 4, False), (40, 0.6, 3, False), (4000, 10, 8, False), (4000, 20, 8, True)],
)
def test_slopes_need_four_anchors_that_are_not_on_one_line(long, off, count, solved):
    """A line is half a pixel wide, or a hundredth of its length (both as standard deviations)."""
    uv = np.column_stack([np.linspace(0, long, count), np.arange(count) % 2 * 2 * off])
    uv[:, 1] -= np.polyval(np.polyfit(uv[:, 0], uv[:, 1], 1), uv[:, 0])
    uv[:, 1] *= off / uv[:, 1].std()
    ones, x = np.ones(count), np.linspace(1, 2, count)
    seen = Observations(uv, ones, x, ones, ones, ones)
    fit = fit_surfaces(seen, np.zeros(count, int), np.ones((1, 1), bool), "depth", slopes=True)
    assert fit.solved.tolist() == [solved]


def test_a_line_needs_two_anchors_that_differ():
    x, ones = np.array([1.0, 2, 3, 3, 4]), np.ones(5)
    seen = Observations(np.zeros((5, 2)), ones, x, ones, ones, ones)
    group = np.array([0, 0, 1, 1, 2])  # two that differ, two alike, one
    fit = fit_surfaces(seen, group, np.eye(3, dtype=bool), "depth", slopes=False)
    assert fit.solved.tolist() == [True, False, False]


@pytest.mark.parametrize("slopes", [True, False])
def test_leave_one_out_errors_are_those_of_leaving_out(slopes):
    rng = np.random.default_rng(1)
    uv = rng.integers(0, 48, (40, 2)).astype(np.float32)
    anchors = Anchors(uv, rng.uniform(1, 9, 40), rng.uniform(0.01, 1, 40))
    seen = observe(rng.uniform(1, 3, (48, 64)).astype(np.float32), anchors, "depth", "relative", "none", "t")
    fits = fit_surfaces(
        seen, np.zeros(40, int), np.ones((1, 1), bool), "depth", slopes=slopes, leave_one_out=True
    )
    columns = [seen.x, *seen.uv.T, np.ones(40)] if slopes else [seen.x, np.ones(40)]
    A, root, expected = np.stack(columns, axis=1), np.sqrt(seen.weight), 0.0
    for out in range(40):
        rest = np.arange(40) != out
        p = np.linalg.lstsq(A[rest] * root[rest, None], seen.y[rest] * root[rest], rcond=None)[0]
        expected += seen.weight[out] * (seen.y[out] - A[out] @ p) ** 2
    assert fits.left_out[0] == pytest.approx(expected, rel=1e-5)


def ridge_problem(seed):
    """A row has two entries; neighbours of ten that hold a smooth curve."""
    rng = np.random.default_rng(seed)
    index = rng.integers(0, 9, (40, 1)) + np.arange(2)
    value, weight = rng.uniform(0.2, 1, (40, 2)), rng.uniform(0.3, 2, 40)
    rows, step = Rows(index, value, 10), np.diff(np.eye(10), axis=0)
    target = rows.times(np.sin(np.arange(10) / 2)) + rng.normal(0, 0.4, 40)
    return rows, target, weight, step.T @ step


def plain_ridge(rows, target, weight, penalty, strength):
    A = np.zeros((len(target), rows.columns))
    np.add.at(A, (np.arange(len(target))[:, None], rows.index), rows.value)
    system = A.T @ (weight[:, None] * A) + strength * penalty + 1e-6 * np.eye(rows.columns)
    return A, np.linalg.solve(system, A.T @ (weight * target))


def left_out_error(rows, target, weight, penalty, strength):
    """Weighted squared errors of every target, each by the fit without it."""
    total = 0.0
    for i in range(len(target)):
        without = np.where(np.arange(len(target)) == i, 0.0, weight)
        A, c = plain_ridge(rows, target, without, penalty, strength)
        total += weight[i] * (target[i] - A[i] @ c) ** 2
    return total


@pytest.mark.parametrize("seed", range(3))
def test_the_strength_of_a_ridge_is_the_one_that_leaves_out_best(seed):
    problem = ridge_problem(seed)
    strengths = (1e-2, 1e-1, 1.0, 10.0, 1e3)
    found = fit_ridge(*problem, strengths)
    errors = [left_out_error(*problem, strength) for strength in strengths]
    assert found.strength == strengths[np.argmin(errors)] in strengths[1:-1]
    np.testing.assert_allclose(found.coefficients, plain_ridge(*problem, found.strength)[1], rtol=1e-6)


@pytest.mark.parametrize(("gain", "taken"), [(0.007, False), (0.014, True)])
def test_a_weaker_ridge_must_be_better_by_a_hundredth(gain, taken):
    problem, low, high = ridge_problem(0), 1.0, 1e3
    least = left_out_error(*problem, high)
    strong = high
    for _ in range(30):  # the weaker one that is better by the gain
        middle = (low * high) ** 0.5
        low, high = (middle, high) if left_out_error(*problem, middle) < least * (1 - gain) else (low, middle)
    assert fit_ridge(*problem, (low, strong)).strength == (low if taken else strong)


def test_weighted_medians():
    values, weight = np.array([3.0, 1, 2, 10]), np.array([1.0, 1, 1, 5])
    member = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]], bool)
    found = weighted_medians(values, weight, member)
    np.testing.assert_array_equal(found, [2, 10, 2.5, np.nan])


# ---- the line through few anchors ------------------------------------------------------------


def line_through(x, y, domain="inverse_depth", **more):
    x, y = np.array(x, float), np.array(y, float)
    one = np.ones(len(x))
    return fit_line(
        Observations(np.zeros((len(x), 2)), depth_from(domain, y), x, y, one, one), domain, **more
    )


def test_two_anchors_give_a_line_between_their_own_and_the_scale():
    pulled = line_through([1, 2], [0.2, 0.3])
    free = line_through([1, 2], [0.2, 0.3], rising=False)
    scale = (0.2 * 1 + 0.3 * 2) / 5
    assert free.scale == pytest.approx(0.1) and 0.1 < pulled.scale < scale
    assert pulled.at(np.array([1.5]))[0] == pytest.approx(0.25)  # through the anchors' mean


@pytest.mark.parametrize("domain", DOMAINS)
def test_three_anchors_on_a_line_give_it_and_others_less_of_it(domain):
    x = np.array([1.0, 2.0, 3.0])
    exact = line_through(x, 0.5 + 0.1 * x, domain)
    assert exact.scale == pytest.approx(0.1, rel=1e-9) and exact.shift == pytest.approx(0.5, rel=1e-9)
    y = np.array([0.6, 1.4, 0.8])
    only_scale = 1.0 if domain == "log" else float(x @ y / (x @ x))
    free = line_through(x, y, domain, rising=False).scale
    assert free < line_through(x, y, domain).scale < only_scale


def test_the_pull_fades_with_the_number_of_anchors():
    rng = np.random.default_rng(0)
    for count, most in ((5, 0.6), (50, 0.1), (5000, 2e-3)):
        x = rng.uniform(1, 3, count)
        y = (0.5 + 0.1 * x) * rng.normal(1, 0.2, count)
        pulled, free = (line_through(x, y, rising=rising).scale for rising in (True, False))
        only_scale = float(x @ y / (x @ x))
        assert 0 < (pulled - free) / (only_scale - free) < most

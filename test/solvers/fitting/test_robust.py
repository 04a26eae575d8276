"""Robust weights: wrong anchors lose them, right ones keep them, and solvers profit."""

from __future__ import annotations

import numpy as np
import pytest
from made_scenes import DOMAINS, OURS, WIDTH, U, anchors_on, in_domain, quarters, smooth_relative, solver_of

from metric_depth_ros.solvers.fitting.robust import repeated_median_line, robust_weights
from metric_depth_ros.types import Anchors, RelativeDepth


def plain_cells(orders, parts):
    """All anchors parted evenly by the first order, each part by the second, each of those by the third."""
    cells = [np.arange(len(orders[0]))]
    for order in orders:
        rank = np.argsort(order)
        cells = [part for cell in cells for part in np.array_split(cell[np.argsort(rank[cell])], parts)]
    return cells


def plain_weights(uv, x, y, log_of, relative_sigma):
    """Steps 1 to 3 of the module, one at a time, for 27 cells of 8 anchors."""
    by_x, by_u, by_v = (np.argsort(values) for values in (x, uv[:, 0], uv[:, 1]))
    middles = np.array([[np.median(x[g]), np.median(y[g])] for g in np.array_split(by_x, 24)])
    slopes = [np.median([(b - d) / (a - c) for c, d in middles if c != a]) for a, b in middles]
    scale = max(0.0, np.median(slopes))
    residual = log_of(y) - log_of(scale * x + np.median(y - scale * x))
    e = np.full(len(x), np.inf)
    for orders in ((by_x, by_u, by_v), (by_u, by_v, by_x), (by_v, by_x, by_u)):
        for cell in plain_cells(orders, 3):
            e[cell] = np.minimum(e[cell], np.abs(residual[cell] - np.median(residual[cell])))
    s = np.median(e) / 0.6745 * (1 + 2 / (len(x) - 2))
    t = 8 * np.sqrt(s**2 + relative_sigma**2 + 0.02**2)
    return np.maximum(1 - (e / t) ** 2, 0) ** 2


@pytest.mark.parametrize("domain", ["log", "depth"])
def test_weights_are_those_of_the_three_steps(domain):
    rng = np.random.default_rng(3)
    uv, x = rng.uniform(0, 100, (216, 2)), rng.uniform(1, 3, 216)
    y, sigma = np.log(2 * x - 1.8) + rng.normal(0, 0.1, 216), rng.uniform(0, 0.05, 216)
    y[rng.choice(216, 40, replace=False)] += rng.uniform(0.3, 1.5, 40)
    median = np.median(y if domain == "log" else np.exp(y))

    def log_of(value):  # no depth below a twentieth of the median
        return value if domain == "log" else np.log(np.where(value < 0.05 * median, 0.05 * median, value))

    y = y if domain == "log" else np.maximum(np.exp(y), 0.06 * median)
    found = robust_weights(uv, x, y, domain, sigma)
    np.testing.assert_allclose(found, plain_weights(uv, x, y, log_of, sigma), rtol=1e-6, atol=1e-9)
    assert (found == 0).any() and ((found > 0.05) & (found < 0.9)).sum() > 10


def with_outliers(anchors, fraction, seed=0):
    """Some anchors 1.5 to 3 times too far or too near."""
    rng = np.random.default_rng(seed)
    wrong = np.zeros(len(anchors), bool)
    wrong[rng.choice(len(anchors), round(fraction * len(anchors)), replace=False)] = True
    factor = rng.uniform(1.5, 3, len(anchors)) ** rng.choice([-1, 1], len(anchors))
    return Anchors(anchors.uv, np.where(wrong, anchors.depth * factor, anchors.depth), anchors.sigma), wrong


def scene(noise=0.02, n=200, seed=0):
    """A relative map, its depth (another scale in every quarter) and noisy anchors."""
    values = smooth_relative(seed)
    truth = 3.0 * values * np.array([1.0, 1.1, 1.2, 1.05])[quarters()]
    anchors = anchors_on(truth, n, seed)
    noisy = anchors.depth * np.random.default_rng(seed + 1).normal(1, noise, n)
    return RelativeDepth(values, "depth"), truth, Anchors(anchors.uv, noisy, anchors.sigma)


def weights_of(relative, anchors, domain="log"):
    u, v = anchors.uv.astype(int).T
    x = in_domain(domain, relative.values[v, u].astype(np.float64))
    return robust_weights(
        anchors.uv.astype(np.float64), x, in_domain(domain, anchors.depth), domain,
        anchors.sigma / anchors.depth,
    )  # fmt: skip


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("n", [100, 300, 1000])
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3])
def test_wrong_anchors_lose_their_weight(domain, n, fraction):
    relative, _, anchors = scene(n=n)
    anchors, wrong = with_outliers(anchors, fraction)
    weights = weights_of(relative, anchors, domain)
    assert (weights[wrong] < 0.3).mean() > 0.9
    assert (weights[~wrong] > 0.5).mean() > 0.95


@pytest.mark.parametrize("n", [10, 20, 200, 2000])
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.2])
def test_right_anchors_keep_theirs(n, noise):
    relative, _, anchors = scene(noise, n)
    weights = weights_of(relative, anchors)
    assert (weights > 0).mean() >= 0.95
    assert weights.mean() > 0.8


def test_a_place_where_the_network_is_wrong_keeps_its_anchors():
    """A sixth of the image is twice as deep as the network says: its anchors agree with each other."""
    values = smooth_relative()
    there = U > WIDTH * 5 / 6
    anchors = anchors_on(values * np.where(there, 2.0, 1.0), 400)
    inside = there[anchors.uv[:, 1].astype(int), anchors.uv[:, 0].astype(int)]
    weights = weights_of(RelativeDepth(values, "depth"), anchors)
    assert (weights[inside] > 0.5).mean() > 0.8


def test_at_least_half_of_any_anchors_keep_weight():
    rng = np.random.default_rng(0)
    for n in (4, 7, 30, 300):
        for _ in range(20):
            uv, x = rng.uniform(0, 60, (n, 2)), rng.standard_normal(n)
            y = np.clip(rng.standard_cauchy(n), -100, 100)
            weights = robust_weights(uv, x, y, "log", np.zeros(n))
            assert (weights > 0).sum() >= n / 2


def test_fewer_than_four_anchors_are_all_believed():
    one = np.array([1.0, 2, 100])
    assert robust_weights(np.zeros((3, 2)), one, one[::-1], "depth", np.zeros(3)).tolist() == [1, 1, 1]


def test_an_anchor_that_says_it_is_uncertain_is_not_rejected_for_it():
    relative, _, anchors = scene(noise=0.0)
    depth, sigma = anchors.depth.copy(), anchors.sigma.copy()
    depth[:10] *= 1.6
    sigma[:10] = 0.3 * depth[:10]
    unsure = Anchors(anchors.uv, depth, sigma)
    assert (weights_of(relative, unsure)[:10] > 0.5).all()
    assert (weights_of(relative, Anchors(anchors.uv, depth, anchors.sigma))[:10] < 0.5).all()


def test_the_repeated_median_line_stands_40_percent_outliers():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 5, 300)
    y = 2 * x + 1
    y[:120] = rng.uniform(0, 100, 120)
    order = rng.permutation(300)
    x, y = x[order], y[order]
    scale, shift = repeated_median_line(x, y, np.argsort(x))
    assert scale == pytest.approx(2, rel=0.15)
    assert shift == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("name", OURS)
def test_solvers_with_20_percent_outliers_stay_near_the_clean_fit(name):
    relative, _, anchors = scene()
    wrong, _ = with_outliers(anchors, 0.2)
    clean = solver_of(name, robust="none").solve(relative, anchors, regions=quarters()).depth
    robust = solver_of(name).solve(relative, wrong, regions=quarters())
    trusting = solver_of(name, robust="none").solve(relative, wrong, regions=quarters()).depth
    assert 20 <= robust.info["rejected"] <= 60
    near, far = (np.mean(np.abs(depth / clean - 1)) for depth in (robust.depth, trusting))
    through = ("gaussian_process", "refined")  # they go through what is left in
    assert near < (0.04 if name in through else 0.02)
    if name != "median":  # which is robust by itself
        assert far > 3 * near


@pytest.mark.parametrize("name", OURS)
def test_robustness_does_no_harm_to_right_anchors(name):
    relative, truth, anchors = scene(noise=0.05)
    with_it, without = (
        np.mean(
            np.abs(solver_of(name, robust=r).solve(relative, anchors, regions=quarters()).depth / truth - 1)
        )
        for r in ("neighbours", "none")
    )
    assert with_it < without + 0.005


def test_rejected_anchors_are_counted():
    values = smooth_relative()
    anchors = anchors_on(3 * values)
    depth = anchors.depth.copy()
    depth[7] *= 4
    wrong = Anchors(anchors.uv, depth, anchors.sigma)
    info = solver_of("global_affine").solve(RelativeDepth(values, "depth"), wrong).info
    assert (info["anchors"], info["rejected"]) == (199, 1)

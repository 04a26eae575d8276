"""Each solver's own model: exact recovery, and the fast way against the plain one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_scenes import (
    DOMAINS,
    HEIGHT,
    KINDS,
    WIDTH,
    U,
    V,
    anchors_on,
    expanding,
    in_domain,
    noisy_problem,
    out_of_domain,
    quarters,
    smooth_relative,
    solver_of,
)

from metric_depth_ros.solvers.fitting.lattice import Lattice
from metric_depth_ros.types import Anchors, RelativeDepth


def sampled(values, anchors):
    """The map at anchors on whole pixels, float64."""
    u, v = anchors.uv.astype(int).T
    return values[v, u].astype(np.float64)


# global_affine and median


@pytest.mark.parametrize("weighting", ["relative", "none"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_global_affine_recovers_scale_and_shift(domain, kind, weighting):
    values = smooth_relative().astype(np.float64)
    relative = values if kind == "depth" else 1 / values
    truth = out_of_domain(domain, 0.7 * in_domain(domain, relative) + 0.3)
    metric = solver_of("global_affine", domain=domain, weighting=weighting).solve(
        RelativeDepth(values.astype(np.float32), kind), anchors_on(truth)
    )
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)
    assert metric.info["scale"] == pytest.approx(0.7, rel=1e-5)
    assert metric.info["shift"] == pytest.approx(0.3, rel=1e-4)
    assert metric.info["fit"] == "affine"


def test_plain_least_squares_is_numpys():
    relative, anchors = noisy_problem()
    x = sampled(relative.values, anchors)
    scale, shift = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), anchors.depth, rcond=None)[0]
    info = solver_of("paper_global").solve(relative, anchors).info
    assert (info["scale"], info["shift"]) == pytest.approx((scale, shift), rel=1e-6)


def test_an_uncertain_anchor_counts_less():
    relative, anchors = noisy_problem()
    wrong = anchors.depth.copy()
    wrong[:20] *= 3
    unsure = np.where(np.arange(len(wrong)) < 20, 1e3, 0.02)
    solver = solver_of("global_affine", robust="none")
    clean = solver.solve(relative, anchors.take(np.arange(20, len(wrong)))).depth
    trusted = solver.solve(relative, Anchors(anchors.uv, wrong, anchors.sigma)).depth
    doubted = solver.solve(relative, Anchors(anchors.uv, wrong, unsure)).depth
    np.testing.assert_allclose(doubted, clean, rtol=1e-2)
    assert np.abs(trusted / clean - 1).mean() > 0.1


def test_a_falling_line_becomes_a_scale_but_not_in_the_papers():
    values = smooth_relative()
    relative, anchors = RelativeDepth(values, "depth"), anchors_on(10 - 2 * values)
    ours = solver_of("global_affine", domain="depth").solve(relative, anchors)
    assert ours.info["fit"] == "scale"
    assert ours.info["scale"] > 0
    np.testing.assert_allclose(
        solver_of("paper_global").solve(relative, anchors).depth, 10 - 2 * values, rtol=1e-5
    )


def test_an_inverse_depth_map_with_negative_values_is_fitted_and_can_be_constant():
    values = (smooth_relative() - 2).astype(np.float32)
    truth = 1 / (0.1 * values + 0.3)
    metric = solver_of("global_affine").solve(RelativeDepth(values, "inverse_depth"), anchors_on(truth))
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)
    all_negative = RelativeDepth(np.full((HEIGHT, WIDTH), -1, np.float32), "inverse_depth")
    for name in ("global_affine", "piecewise", "lwlr", "grid", "median"):
        for metres in (0.1, 4.0):
            anchors = anchors_on(np.full((HEIGHT, WIDTH), metres))
            constant = solver_of(name).solve(all_negative, anchors)
            assert constant.info["fit"] == "scale"
            np.testing.assert_allclose(constant.depth, metres, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("statistic", ["median_of_ratios", "ratio_of_medians"])
def test_median_is_numpys(kind, statistic):
    relative, anchors = noisy_problem(kind)
    r = relative.values if kind == "depth" else 1 / relative.values
    at = sampled(r, anchors)
    scale = {
        "median_of_ratios": np.median(anchors.depth / at),
        "ratio_of_medians": np.median(anchors.depth) / np.median(at),
    }[statistic]
    solver = solver_of("median", weighting="none", robust="none", median__statistic=statistic)
    np.testing.assert_allclose(solver.solve(relative, anchors).depth, scale * r, rtol=1e-5)
    if statistic == "ratio_of_medians":
        np.testing.assert_allclose(
            solver_of("paper_median").solve(relative, anchors).depth, scale * r, rtol=1e-5
        )


# piecewise


@pytest.mark.parametrize("domain", DOMAINS)
def test_piecewise_is_exact_on_one_line(domain):
    x = in_domain(domain, smooth_relative().astype(np.float64))
    truth = out_of_domain(domain, 0.7 * x + 0.4)
    relative, anchors = RelativeDepth(smooth_relative(), "depth"), anchors_on(truth)
    np.testing.assert_allclose(
        solver_of("piecewise", domain=domain).solve(relative, anchors).depth, truth, rtol=1e-5
    )


def test_piecewise_follows_a_bent_curve_that_a_line_cannot():
    values = smooth_relative()
    truth = 2 * values + 3 * np.maximum(values - 2, 0) ** 2
    relative, anchors = RelativeDepth(values, "depth"), anchors_on(truth, 300)
    curve, line = (
        np.mean(np.abs(solver_of(name, domain="depth").solve(relative, anchors).depth / truth - 1))
        for name in ("piecewise", "global_affine")
    )
    assert curve < 0.01
    assert line > 4 * curve


@pytest.mark.parametrize("seed", range(5))
def test_piecewise_never_turns_the_order_of_depths(seed):
    relative, anchors = noisy_problem(n=60, seed=seed, noise=0.4)
    metric = solver_of("piecewise", domain="depth", robust="none").solve(relative, anchors)
    depth = metric.depth.ravel()[np.argsort(relative.values, axis=None)]
    assert np.isfinite(depth).mean() > 0.9
    assert (np.diff(depth[np.isfinite(depth)]) > -1e-5).all()


def test_paper_piecewise_is_least_squares_per_interval():
    relative, anchors = noisy_problem(n=200)
    x, at = relative.values.astype(np.float64), sampled(relative.values, anchors)
    edges = np.linspace(at.min(), at.max(), 5)
    depth = solver_of("paper_piecewise").solve(relative, anchors).depth
    for k in range(4):
        mine = (at >= edges[k]) & ((at < edges[k + 1]) | (k == 3))
        scale, shift = np.polyfit(at[mine], anchors.depth[mine], 1)
        here = (x > edges[k] + 1e-6) & (x < edges[k + 1] - 1e-6)
        np.testing.assert_allclose(depth[here], scale * x[here] + shift, rtol=1e-4)


# lwlr


def naive_lwlr(relative, anchors, u, v, bandwidth, penalty):
    """Depth at pixel (u, v) by weighted least squares with a ridge, in depth; penalty is (2, 2)."""
    x = sampled(relative.values, anchors)
    global_fit = np.polyfit(x, anchors.depth, 1)
    g, here = np.polyval(global_fit, x), np.polyval(global_fit, relative.values[v, u])
    k = np.exp(-((anchors.uv - [u, v]) ** 2).sum(axis=1) / (2 * bandwidth**2))
    X = np.stack([g, np.ones_like(g)], axis=1)
    beta = np.linalg.solve(X.T @ (k[:, None] * X) + penalty, X.T @ (k * anchors.depth))
    return beta @ [here, 1]


def test_paper_lwlr_equals_the_plain_loop_of_equation_3():
    relative, anchors = noisy_problem(n=60)
    depth = solver_of("paper_lwlr").solve(relative, anchors).depth
    penalty = np.diag([0, 0.01])
    expected = [
        [naive_lwlr(relative, anchors, u, v, 0.1 * 80, penalty) for u in range(0, WIDTH, 7)]
        for v in range(0, HEIGHT, 7)
    ]
    np.testing.assert_allclose(depth[::7, ::7], expected, rtol=0.02)
    assert np.abs(depth[::7, ::7] / expected - 1).mean() < 0.003


def test_paper_lwlr_on_a_small_map_is_equation_3_to_rounding():
    """A tenth of the diagonal of 50 px is 5 px, for which the lattice has a vertex at every pixel."""
    values = smooth_relative()[:30, :40]
    anchors = anchors_on(2 * values + 1, 12)
    factor = np.random.default_rng(1).normal(1, 0.1, 12)
    anchors = Anchors(anchors.uv, anchors.depth * factor, anchors.sigma)
    relative = RelativeDepth(values, "depth")
    depth = solver_of("paper_lwlr").solve(relative, anchors).depth
    expected = [
        [naive_lwlr(relative, anchors, u, v, 0.1 * 50, np.diag([0, 0.01])) for u in range(0, 40, 3)]
        for v in range(0, 30, 3)
    ]
    np.testing.assert_allclose(depth[::3, ::3], expected, rtol=1e-3)


def test_lwlr_on_its_lattice_s_vertices_is_the_plain_loop():
    # A kernel of 3 pixels has a vertex in the middle between each two pixels, of 2.4 at every pixel:
    # there is nothing to interpolate.
    relative, anchors = noisy_problem(n=60)
    settings = {"lwlr.bandwidth": 0.03, "lwlr.ridge": "shift", "lwlr.pull": 0.05, "domain": "depth"}
    depth = solver_of("lwlr", weighting="none", robust="none", **settings).solve(relative, anchors).depth
    expected = [
        [naive_lwlr(relative, anchors, u, v, 2.4, np.diag([0, 0.05])) for u in range(WIDTH)]
        for v in range(HEIGHT)
    ]
    close = np.isclose(depth, np.array(expected), rtol=0.05)
    assert close.mean() > 0.95  # elsewhere the guard holds a scale back


@pytest.mark.parametrize("domain", DOMAINS)
def test_lwlr_is_exact_on_one_line_and_the_global_line_far_from_anchors(domain):
    x = in_domain(domain, smooth_relative().astype(np.float64))
    truth = out_of_domain(domain, 0.7 * x + 0.4)
    relative = RelativeDepth(smooth_relative(), "depth")
    corner = anchors_on(np.where((U < 20) & (V < 20), truth, np.nan), 2000)
    corner = corner.take(np.isfinite(corner.depth))
    solver = solver_of("lwlr", domain=domain, lwlr__bandwidth=0.03)
    np.testing.assert_allclose(solver.solve(relative, corner).depth, truth, rtol=1e-5)
    bent = Anchors(corner.uv, corner.depth * (1 + 0.01 * corner.uv[:, 0]), corner.sigma)
    far = solver.solve(relative, bent).depth[-5:, -5:]
    line = solver_of("global_affine", domain=domain).solve(relative, bent).depth[-5:, -5:]
    np.testing.assert_allclose(far, line, rtol=1e-4)


def test_lwlr_follows_a_scale_that_drifts_over_the_image():
    values = smooth_relative()
    truth = values * (2 + U / WIDTH)
    relative, anchors = RelativeDepth(values, "depth"), anchors_on(truth, 300)
    local, line = (
        np.mean(np.abs(solver_of(name).solve(relative, anchors).depth / truth - 1))
        for name in ("lwlr", "global_affine")
    )
    assert local < 0.015
    assert line > 5 * local


# grid


@pytest.mark.parametrize("fit", ["scale", "affine"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_grid_is_exact_on_a_scale_of_depth(domain, fit):
    truth = 3.0 * smooth_relative()
    metric = solver_of("grid", domain=domain, grid__fit=fit).solve(
        RelativeDepth(smooth_relative(), "depth"), anchors_on(truth)
    )
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)


def test_paper_grid_recovers_a_bilinear_scale():
    values = smooth_relative()
    truth = values * (1 + 0.01 * U + 0.02 * V)
    depth = solver_of("paper_grid").solve(RelativeDepth(values, "depth"), anchors_on(truth, 1500)).depth
    np.testing.assert_allclose(depth, truth, rtol=5e-3)


def test_where_a_grid_is_no_depth_the_global_line_is():
    """On the right depth rises so fast with the map's values that it is below zero where they are small."""
    values = (1 + 2 * ((7 * V + 5 * U) % 48) / 47).astype(np.float32)
    truth = np.where(U < 32, 4 + values, 8 * (values - 1.9))
    anchors = anchors_on(np.where((U < 32) | (values > 2.2), truth, np.nan), 300)
    anchors = anchors.take(np.isfinite(anchors.depth))
    grid, line = (
        solver_of(name, domain="depth", weighting="none", robust="none", grid__smoothness=0.03)
        .solve(RelativeDepth(values, "depth"), anchors)
        .depth
        for name in ("grid", "global_affine")
    )
    lost, kept = (U > 44) & (truth < -2), (U > 44) & (truth > 3)
    np.testing.assert_array_equal(grid[lost], line[lost])
    assert np.abs(grid / truth - 1)[kept].mean() < 0.1 < np.abs(line / truth - 1)[kept].mean()


def dense_grid(anchors, step, factor, target, smoothness):
    """A c at the anchors, c the vertices' values: plain least squares of target = factor * field."""
    lattice = Lattice(WIDTH, HEIGHT, step)
    index, weight = lattice.bilinear(anchors.uv.astype(np.float64))
    n, columns = lattice.shape[0] * lattice.shape[1], lattice.shape[1]
    A = np.zeros((len(anchors), n))
    np.add.at(A, (np.repeat(np.arange(len(anchors)), 4), index.ravel()), (weight * factor[:, None]).ravel())
    steps = []
    for a in range(n):
        for b in [a + 1] * ((a + 1) % columns > 0) + [a + columns] * (a + columns < n):
            step = np.zeros(n)
            step[a], step[b] = -1, 1
            steps.append(np.sqrt(smoothness) * step)
    steps += list(np.eye(n) * np.sqrt(smoothness / n))  # all of the field is pulled to zero, as one anchor
    c = np.linalg.lstsq(np.vstack([A, steps]), np.r_[target, np.zeros(len(steps))], rcond=None)[0]
    return A @ c


def test_grid_equals_dense_least_squares():
    relative, anchors = noisy_problem(n=60)
    offset = solver_of("grid", weighting="none", robust="none", domain="log", grid__columns=4,
                       grid__fit="scale", grid__smoothness=0.3)  # fmt: skip
    at = sampled(relative.values, anchors)
    common = np.log(anchors.depth / at).mean()
    target = np.log(anchors.depth / at) - common
    at_anchors = np.log(sampled(offset.solve(relative, anchors).depth, anchors) / at) - common
    np.testing.assert_allclose(at_anchors, dense_grid(anchors, 16, np.ones(60), target, 0.3), atol=1e-4)


def test_paper_grid_has_8_columns_and_a_smoothness_of_a_thousandth():
    """y = g + a(u, v) g, g by the global scale of least squares; a in units of the size of g."""
    relative, anchors = noisy_problem(n=100, noise=0.2)
    at = sampled(relative.values, anchors)
    g = at * (at @ anchors.depth) / (at @ at)
    size = np.sqrt((g**2).mean())
    expected = g + dense_grid(anchors, WIDTH // 8, g / size, anchors.depth - g, 1e-3)
    depth = solver_of("paper_grid").solve(relative, anchors).depth
    np.testing.assert_allclose(sampled(depth, anchors), expected, rtol=1e-3)


def test_lattice_spreads_as_it_weighs():
    rng = np.random.default_rng(0)
    for width, height, step in ((64, 48, 10), (7, 5, 1), (33, 20, 64)):
        lattice = Lattice(width, height, step)
        values = rng.normal(size=lattice.shape)
        v, u = np.mgrid[0:height, 0:width]
        index, weight = lattice.bilinear(np.stack([u.ravel(), v.ravel()], axis=1).astype(float))
        expected = (values.ravel()[index] * weight).sum(axis=1).reshape(height, width)
        np.testing.assert_allclose(lattice.interpolated(values), expected, atol=1e-5)
        D = lattice.differences()
        squares = (np.diff(values, axis=0) ** 2).sum() + (np.diff(values, axis=1) ** 2).sum()
        assert values.ravel() @ D @ values.ravel() == pytest.approx(squares)


def test_results_do_not_depend_on_opencv_s_threads():
    relative, anchors = noisy_problem()
    before = cv2.getNumThreads()
    try:
        depths = []
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            depths.append(solver_of("lwlr").solve(relative, anchors).depth)
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(*depths)


def test_expanding_is_the_plain_configuration():
    relative, anchors = noisy_problem(n=200)
    plain = expanding(fit="linear", min_anchors=0).solve(relative, anchors, regions=quarters()).depth
    paper = solver_of("paper_slf").solve(relative, anchors, regions=quarters()).depth
    np.testing.assert_array_equal(plain, paper)

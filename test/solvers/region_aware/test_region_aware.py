"""Regions: exact recovery, paper 000, expansion, partial pooling, choice of fit, guards."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from made_scenes import (
    DOMAINS,
    HEIGHT,
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

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Anchors, RelativeDepth

FITS = ("median", "linear", "surface")


def partial(**options):
    """region_aware with partial pooling and neither guard nor robustness."""
    options = {"pooling": "partial", "max_extrapolation": 0.0, **options}
    domain = options.pop("domain", "log")
    return solver_of(
        domain=domain, robust="none", **{f"region_aware__{key}": value for key, value in options.items()}
    )


def one_region():
    return np.zeros((HEIGHT, WIDTH), np.int32)


def random_labels(n=30, seed=0):
    """Labels of the nearest of n random points."""
    points = np.random.default_rng(seed).uniform(0, [WIDTH, HEIGHT], (n, 2))
    squared = (U[..., None] - points[:, 0]) ** 2 + (V[..., None] - points[:, 1]) ** 2
    return np.unique(squared.argmin(axis=2), return_inverse=True)[1].reshape(HEIGHT, WIDTH).astype(np.int32)


# Exact


@pytest.mark.parametrize("weighting", ["relative", "none"])
@pytest.mark.parametrize("fit", ["linear", "surface", "auto"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_another_fit_in_every_region_is_recovered(domain, fit, weighting):
    x = in_domain(domain, smooth_relative().astype(np.float64))
    labels = quarters()
    scale, shift = np.array([0.5, 0.8, 1.1, 0.6])[labels], np.array([0.5, 1.0, 0.8, 1.5])[labels]
    y = scale * x + shift
    if fit != "linear":
        y = y + np.array([4e-3, 0, 2e-3, 1e-3])[labels] * U + np.array([0, 3e-3, 1e-3, 2e-3])[labels] * V
    truth = out_of_domain(domain, y)
    solver = expanding(domain=domain, fit=fit, weighting=weighting, max_extrapolation=3.0)
    metric = solver.solve(RelativeDepth(smooth_relative(), "depth"), anchors_on(truth, 400), regions=labels)
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)
    assert metric.info["surface" if fit == "auto" else fit] == 4
    assert metric.info["implausible_pixels"] == 0


@pytest.mark.parametrize("domain", DOMAINS)
def test_median_recovers_a_scale_in_every_region(domain):
    relative, labels = smooth_relative(), quarters()
    truth = relative * np.array([2.0, 3, 5, 7])[labels]
    metric = expanding(domain=domain, fit="median").solve(
        RelativeDepth(relative, "depth"), anchors_on(truth), regions=labels
    )
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)


def test_a_slanted_plane_is_exact_from_a_constant_map_in_inverse_depth():
    truth = 1 / (0.1 + 0.002 * U + 0.004 * V)
    relative = RelativeDepth(np.ones((HEIGHT, WIDTH), np.float32), "depth")
    metric = expanding(domain="inverse_depth").solve(relative, anchors_on(truth, 60), regions=one_region())
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)
    assert metric.info["surface"] == 1


def test_a_map_that_is_itself_a_plane_leaves_no_nonsense():
    values = (1 + 0.01 * U + 0.02 * V).astype(np.float32)
    truth = 3 * values + 0.01 * U + 2
    metric = expanding().solve(RelativeDepth(values, "depth"), anchors_on(truth, 60), regions=one_region())
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-4)


# Paper 000


def test_the_paper_s_median_is_the_ratio_of_medians_per_region():
    relative, anchors = noisy_problem(n=80)
    labels = quarters()
    depth = solver_of("paper_region_median").solve(relative, anchors, regions=labels).depth
    u, v = anchors.uv.astype(int).T
    for region in range(4):
        mine = labels[v, u] == region
        scale = np.median(anchors.depth[mine]) / np.median(relative.values[v, u][mine])
        there = labels == region
        np.testing.assert_allclose(depth[there], scale * relative.values[there], rtol=1e-5)


@pytest.mark.parametrize("factor", [1, 7, 33])
def test_labels_may_have_gaps(factor):
    relative, anchors = noisy_problem(n=80)
    labels = random_labels(25)
    for name in ("region_aware", "paper_slf"):
        plain, gapped = (
            solver_of(name).solve(relative, anchors, regions=found)
            for found in (labels, (factor * 1000 * labels.astype(np.int64) + 3) % (2**31 - 1))
        )
        np.testing.assert_array_equal(plain.depth, gapped.depth)
        assert plain.info == gapped.info


def test_more_regions_than_a_matrix_can_hold_are_refused():
    relative, anchors = noisy_problem(n=80)
    with pytest.raises(InputError, match="3072 regions; needed at most 1000"):
        solver_of("region_aware").solve(relative, anchors, regions=np.arange(3072).reshape(48, 64))


@pytest.mark.parametrize("fit", ["linear", "surface", "auto"])
@pytest.mark.parametrize("kind", ["depth", "inverse_depth"])
def test_pooling_does_not_depend_on_the_map_s_unit(fit, kind):
    relative, anchors = noisy_problem(n=80)
    solver = solver_of("region_aware", domain="inverse_depth", region_aware__fit=fit)
    usual = solver.solve(RelativeDepth(relative.values, kind), anchors, regions=quarters()).depth
    for unit in (1e-8, 1e-4, 1e6):
        map_ = RelativeDepth(relative.values * np.float32(unit), kind)
        np.testing.assert_allclose(solver.solve(map_, anchors, regions=quarters()).depth, usual, rtol=1e-3)


def test_a_region_where_the_network_says_zero_leaves_the_others_alone():
    """Zero inverse depth (the sky) fitted by a scale alone: its anchors say nothing about a level."""
    truth = np.where(U < 32, 1, 3 * smooth_relative())
    inverse = np.where(U < 32, 0, 1 / truth).astype(np.float32)
    at = np.array([[4, 4], [12, 20], [24, 36], [40, 12], [56, 28]])
    anchors = Anchors(at.astype(np.float32), truth[at[:, 1], at[:, 0]].astype(float), np.full(5, 0.01))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solved = solver_of("region_aware", robust="none").solve(
            RelativeDepth(inverse, "inverse_depth"), anchors, regions=(U // 16 + 4 * (V // 16)).astype(int)
        )
    assert np.isfinite(solved.depth[U >= 32]).all()


@pytest.mark.parametrize(("name", "columns"), [("paper_slf", 2), ("paper_ssf", 4)])
def test_the_paper_s_fits_are_plain_least_squares_per_region(name, columns):
    relative, anchors = noisy_problem(n=200)
    labels = quarters()
    depth = solver_of(name).solve(relative, anchors, regions=labels).depth
    u, v = anchors.uv.astype(int).T
    for region in range(4):
        mine = labels[v, u] == region
        A = np.stack([relative.values[v, u], np.ones(len(u)), u, v], axis=1)[mine, :columns].astype(float)
        p = np.r_[np.linalg.lstsq(A, anchors.depth[mine], rcond=None)[0], 0, 0]
        expected = p[0] * relative.values + p[1] + p[2] * U + p[3] * V
        here = (labels == region) & (expected > 0)
        np.testing.assert_allclose(depth[here], expected[here], rtol=1e-4)


@pytest.mark.parametrize(("setting", "enough"), [(0, 4), (2, 2), (3, 3), (10, 10)])
def test_expansion_is_the_paper_s_algorithm(setting, enough):
    """A plain loop of Algorithm 1: a region takes ring after ring until it has anchors enough."""
    relative, anchors = noisy_problem(n=50)
    labels = random_labels(25)
    slf = solver_of("paper_slf", region_aware__min_anchors=setting)
    depth = slf.solve(relative, anchors, regions=labels).depth
    u, v = anchors.uv.astype(int).T
    for region in range(labels.max() + 1):
        members = {region}
        while np.isin(labels[v, u], list(members)).sum() < enough:
            inside = np.isin(labels, list(members))
            ring = np.zeros_like(inside)
            ring[1:] |= inside[:-1]
            ring[:-1] |= inside[1:]
            ring[:, 1:] |= inside[:, :-1]
            ring[:, :-1] |= inside[:, 1:]
            members |= set(labels[ring].tolist())
        mine = np.isin(labels[v, u], list(members))
        scale, shift = np.polyfit(relative.values[v, u][mine].astype(float), anchors.depth[mine], 1)
        expected = scale * relative.values + shift
        here = (labels == region) & (expected > 0)
        np.testing.assert_allclose(depth[here], expected[here], rtol=1e-4)


@pytest.mark.parametrize(
    ("setting", "anchors", "fit"),
    [
        (0, 8, "surface"),
        (0, 7, "linear"),
        (0, 2, "median"),
        (4, 4, "surface"),
        (20, 19, "linear"),
        (20, 20, "surface"),
    ],
)
def test_too_few_anchors_in_the_whole_image_give_a_simpler_fit(setting, anchors, fit):
    """A surface through as many anchors as it has parameters follows their noise."""
    relative, given = noisy_problem(n=anchors)
    ssf = solver_of("paper_ssf", region_aware__min_anchors=setting)
    info = ssf.solve(relative, given, regions=random_labels(25)).info
    assert info[fit] == info["regions"]


def test_what_the_paper_s_fit_makes_negative_is_unknown_and_ours_the_global_line():
    values, labels = (1 + 0.1 * U).astype(np.float32), (U >= 40).astype(np.int32)
    truth = np.where(labels == 0, values, values - 5.5)  # the right region's line is negative at first
    anchors = anchors_on(np.where((labels == 0) | (truth > 0.2), truth, np.nan), 1500)
    anchors = anchors.take(np.isfinite(anchors.depth))
    relative = RelativeDepth(values, "depth")
    paper = solver_of("paper_slf").solve(relative, anchors, regions=labels).depth
    ours = expanding(fit="linear").solve(relative, anchors, regions=labels).depth
    assert (truth < -1e-3).any()
    assert np.isnan(paper[truth < -1e-3]).all()
    assert np.isfinite(ours).all()


def test_anchors_on_one_line_do_not_fit_a_surface():
    relative = RelativeDepth(smooth_relative(), "depth")
    along = np.stack([np.arange(4, 60), np.full(56, 20)], axis=1).astype(np.float32)
    anchors = Anchors(along, 3.0 * relative.values[20, 4:60], np.full(56, 0.02))
    metric = expanding(fit="surface").solve(relative, anchors, regions=one_region())
    assert (metric.info["surface"], metric.info["linear"]) == (0, 1)
    np.testing.assert_allclose(metric.depth, 3 * relative.values, rtol=1e-4)


# Choice of the fit


@pytest.mark.parametrize("pooling", ["expansion", "partial"])
def test_auto_takes_the_simplest_fit_that_explains_each_region(pooling):
    x, labels = smooth_relative().astype(np.float64), quarters()
    truth = np.choose(labels, [3 * x, 2 * x + 3, 2 * x + 0.05 * U + 0.03 * V, 4 * x])
    anchors = anchors_on(truth, 800)
    noise = np.random.default_rng(0).normal(1, 0.01, 800)
    solver = solver_of(
        domain="depth",
        robust="none",
        **{"region_aware.fit": "auto", "region_aware.pooling": pooling},
    )
    noisy = Anchors(anchors.uv, anchors.depth * noise, anchors.sigma)
    metric = solver.solve(RelativeDepth(smooth_relative(), "depth"), noisy, regions=labels)
    np.testing.assert_allclose(metric.depth, truth, rtol=0.04)
    assert metric.info["surface"] >= 1
    if pooling == "expansion":
        assert [metric.info[fit] for fit in FITS] == [2, 1, 1]


# Partial pooling


def drifting(n, noise=0.03, seed=0):
    """30 regions whose scales drift over the image, with n noisy anchors."""
    values, labels = smooth_relative(), random_labels(30)
    drift = np.array([1 + 0.5 * U[labels == k].mean() / WIDTH for k in range(labels.max() + 1)])
    truth = 3.0 * values * drift[labels]
    anchors = anchors_on(truth, n, seed)
    factor = np.random.default_rng(seed + 9).normal(1, noise, n)
    anchors = Anchors(anchors.uv, anchors.depth * factor, anchors.sigma)
    return RelativeDepth(values, "depth"), truth, anchors, labels


@pytest.mark.parametrize("fit", FITS)
def test_few_anchors_give_nearly_the_global_fit(fit):
    relative, _, anchors, labels = drifting(3)
    pooled = partial(fit=fit).solve(relative, anchors, regions=labels).depth
    line = solver_of("global_affine", domain="log", robust="none").solve(relative, anchors).depth
    np.testing.assert_allclose(pooled, line, rtol=0.1)


def test_regions_without_anchors_take_after_their_neighbours():
    relative, truth, anchors, labels = drifting(600)
    empty = labels == labels[24, 60]
    u, v = anchors.uv.astype(int).T
    kept = anchors.take(~empty[v, u])
    pooled = partial(fit="median").solve(relative, kept, regions=labels).depth
    line = solver_of("global_affine", robust="none").solve(relative, kept).depth
    error, without = (np.mean(np.abs(depth / truth - 1)[empty]) for depth in (pooled, line))
    assert error < 0.5 * without


def test_many_anchors_give_each_region_its_own_fit():
    relative, _, anchors, labels = drifting(3000, noise=0.01)
    pooled = partial(fit="linear").solve(relative, anchors, regions=labels).depth
    own = expanding(fit="linear", domain="log", weighting="relative").solve(relative, anchors, regions=labels)
    assert np.mean(np.abs(pooled / own.depth - 1)) < 0.003


@pytest.mark.parametrize("n", [5, 20, 60, 200])
def test_pooling_is_never_much_worse_than_the_global_fit_nor_than_expansion(n):
    errors = []
    for seed in range(4):
        relative, truth, anchors, labels = drifting(n, 0.05, seed)
        expansion = expanding(domain="log", weighting="relative")
        line = solver_of("global_affine", robust="none")
        errors.append(
            [
                np.mean(np.abs(np.log(s.solve(relative, anchors, regions=labels).depth / truth)))
                for s in (partial(), expansion, line)
            ]
        )
    pooled, expanded, globally = np.mean(errors, axis=0)
    assert pooled < 1.1 * globally
    assert n < 20 or pooled < 1.1 * expanded


def test_an_anchor_more_changes_little():
    """No threshold on counts: the fit moves smoothly as anchors come in one by one."""
    relative, _, anchors, labels = drifting(60)
    solver = partial()
    depths = [solver.solve(relative, anchors.take(np.arange(n)), regions=labels).depth for n in range(30, 60)]
    steps = [np.mean(np.abs(np.log(b / a))) for a, b in itertools.pairwise(depths)]
    assert max(steps) < 0.05


def test_the_pooled_level_is_the_posterior_mean_of_the_plain_model():
    """The block solve against Bayes' rule on all anchors at once, with the solver's own variances."""
    from metric_depth_ros.depth import relative_in
    from metric_depth_ros.regions.adjacency import neighbours
    from metric_depth_ros.solvers.fitting.observations import fit_line, observe
    from metric_depth_ros.solvers.region_aware import pooling

    relative, _, anchors, labels = drifting(80)
    seen = observe(relative_in("log", relative), anchors, "log", "relative", "none", "test")
    line, n = fit_line(seen, "log"), labels.max() + 1
    u, v = anchors.uv.astype(int).T
    e, group = seen.y - line.at(seen.x), labels[v, u]
    moments = pooling._summed(np.zeros((80, 0)), np.ones(80), seen, e, group, n)
    noise, misfit = pooling._noise(moments, seen)
    precision = pooling._level_precision(moments, noise, misfit, neighbours(labels, n))
    prior = np.linalg.inv(precision - np.diag(moments.mass / noise))
    Z = np.eye(n)[group]
    K = Z @ prior @ Z.T + np.diag(noise / seen.weight)
    expected = prior @ Z.T @ np.linalg.solve(K, e)
    fits = pooling.fit_pooled(seen, labels, group, n, line, "log", "median")
    np.testing.assert_allclose(fits.parameters[:, 3] - line.shift, expected, atol=1e-8)


# Guards and input


def test_regions_must_fit():
    relative, anchors = noisy_problem()
    for regions in (None, quarters()[:-1], quarters() - 1, quarters() / 2):
        with pytest.raises(InputError, match="region"):
            solver_of().solve(relative, anchors, regions=regions)


def test_implausible_pixels_take_the_global_line():
    # Region 1's anchors lie close together, so that its surface runs away at the far side.
    values = (2 + 0.01 * U).astype(np.float32)
    labels = (U >= 20).astype(np.int32)
    left = anchors_on(np.where(labels == 0, 2 * values, np.nan), 900)
    left = left.take(np.isfinite(left.depth))
    spot = np.array([[22, 4], [24, 4], [22, 8], [24, 8], [23, 6], [25, 7], [21, 5]], np.float32)
    steep = 4.6 - 0.1 * (spot[:, 0] - 22)
    anchors = Anchors(
        np.concatenate([left.uv, spot]), np.concatenate([left.depth, steep]), np.full(len(left) + 7, 0.02)
    )
    relative = RelativeDepth(values, "depth")
    guarded = expanding(max_extrapolation=1.5).solve(relative, anchors, regions=labels)
    paper = solver_of("paper_ssf", region_aware__min_anchors=5).solve(relative, anchors, regions=labels)
    line = solver_of("paper_global").solve(relative, anchors)
    assert guarded.info["implausible_pixels"] > 0
    np.testing.assert_allclose(guarded.depth[:, -1], line.depth[:, -1], rtol=1e-5)
    assert (paper.depth[:, -1] < 2).all()


@pytest.mark.parametrize("pooling", ["expansion", "partial"])
def test_many_regions_give_the_same_as_few(pooling):
    # More than 256 labels take another way to the pixels; unused ones must not matter.
    relative, anchors = noisy_problem(n=150)
    labels = random_labels(20)
    few, many = (
        solver_of(**{"region_aware.pooling": pooling}).solve(relative, anchors, regions=labels + more).depth
        for more in (0, 300)
    )
    np.testing.assert_allclose(few, many, rtol=1e-4)

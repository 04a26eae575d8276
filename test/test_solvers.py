"""Solvers: exact recovery, the contract all of them keep, bad input, and fast against plain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_depth_ros.config import (
    SETTINGS,
    GlobalAffineConfig,
    RegionAwareConfig,
    SolverConfig,
)
from metric_depth_ros.errors import AnchorError, ConfigError, InputError
from metric_depth_ros.solvers import SOLVERS, build_solver
from metric_depth_ros.types import Anchors, RelativeDepth

HEIGHT, WIDTH = 48, 64
DOMAINS = ("inverse_depth", "log", "depth")
KINDS = ("depth", "inverse_depth")
WIDE = {"min_depth_m": 0.0, "max_depth_m": 1e5}
V, U = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)


def solver_of(name="region_aware", *, limits=None, **options):
    part = {"global_affine": GlobalAffineConfig, "region_aware": RegionAwareConfig}[name](**options)
    return build_solver(SolverConfig(name=name, **{name: part}, **(limits or WIDE)))


VARIANTS = [
    *(("global_affine", {"domain": d, "weighting": w}) for d in DOMAINS for w in ("relative", "none")),
    *(("region_aware", {"domain": d, "fit": f}) for d in DOMAINS for f in ("median", "linear", "surface")),
    ("region_aware", {"domain": "depth", "weighting": "none", "max_extrapolation": 0.0}),
]


def quarters():
    """Labels of four quarters of the image."""
    return ((V >= HEIGHT // 2) * 2 + (U >= WIDTH // 2)).astype(np.int32)


def smooth_relative(seed=0):
    """A positive relative map, 1 to about 3, that is no plane."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.05, 0.2, 3)
    return (2 + np.sin(a * U + b * V) * 0.9 + 0.1 * np.cos(c * U * V / 9)).astype(np.float32)


def anchors_on(depth, n=200, seed=0, sigma=0.02):
    """n anchors at distinct whole pixels of a depth map."""
    rng = np.random.default_rng(seed)
    at = rng.choice(depth.size, n, replace=False)
    v, u = np.divmod(at, depth.shape[1])
    z = depth[v, u].astype(np.float64)
    return Anchors(np.stack([u, v], axis=1).astype(np.float32), z, np.full(n, sigma))


def noisy_problem(kind="depth", n=80, seed=3):
    values = smooth_relative(seed)
    depth = values if kind == "depth" else 4 / values
    anchors = anchors_on(2 * depth + 1, n, seed)
    noise = np.random.default_rng(seed).normal(1, 0.05, n)
    return RelativeDepth(values, kind), Anchors(anchors.uv, anchors.depth * noise, anchors.sigma)


def in_domain(domain, depth):
    return {"inverse_depth": 1 / depth, "log": np.log(depth), "depth": depth}[domain]


def out_of_domain(domain, y):
    return {"inverse_depth": lambda: 1 / y, "log": lambda: np.exp(y), "depth": lambda: y}[domain]()


# Registry


def test_registry_and_config_choices_are_the_same():
    assert tuple(SOLVERS) == SETTINGS["solver.name"].choices


def test_unknown_solver_names_the_nearest():
    with pytest.raises(ConfigError, match="region_aware"):
        build_solver(SolverConfig(name="region_awar"))


# Exact


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


@pytest.mark.parametrize("weighting", ["relative", "none"])
@pytest.mark.parametrize("fit", ["linear", "surface"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_region_aware_recovers_another_fit_in_every_region(domain, fit, weighting):
    x = in_domain(domain, smooth_relative().astype(np.float64))
    labels = quarters()
    scale, shift = np.array([0.5, 0.8, 1.1, 0.6])[labels], np.array([0.5, 1.0, 0.8, 1.5])[labels]
    y = scale * x + shift
    if fit == "surface":
        y = y + np.array([4e-3, 0, 2e-3, 1e-3])[labels] * U + np.array([0, 3e-3, 1e-3, 2e-3])[labels] * V
    truth = out_of_domain(domain, y)
    metric = solver_of(domain=domain, fit=fit, weighting=weighting, max_extrapolation=3.0).solve(
        RelativeDepth(smooth_relative(), "depth"), anchors_on(truth, 400), regions=labels
    )
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)
    assert metric.info[fit] == 4
    assert metric.info["implausible_pixels"] == 0


@pytest.mark.parametrize("domain", DOMAINS)
def test_region_median_recovers_a_scale_in_every_region(domain):
    relative, labels = smooth_relative(), quarters()
    truth = relative * np.array([2.0, 3, 5, 7])[labels]
    metric = solver_of(domain=domain, fit="median").solve(
        RelativeDepth(relative, "depth"), anchors_on(truth), regions=labels
    )
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)


def test_a_slanted_plane_is_exact_from_a_constant_map_in_inverse_depth():
    truth = 1 / (0.1 + 0.002 * U + 0.004 * V)
    metric = solver_of(domain="inverse_depth").solve(
        RelativeDepth(np.ones((HEIGHT, WIDTH), np.float32), "depth"),
        anchors_on(truth, 60),
        regions=np.zeros((HEIGHT, WIDTH), np.int32),
    )
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)
    assert metric.info["surface"] == 1


def test_a_map_that_is_itself_a_plane_leaves_no_nonsense():
    values = (1 + 0.01 * U + 0.02 * V).astype(np.float32)
    truth = 3 * values + 0.01 * U + 2
    metric = solver_of(domain="depth").solve(
        RelativeDepth(values, "depth"), anchors_on(truth, 60), regions=np.zeros((HEIGHT, WIDTH), np.int32)
    )
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-4)


def test_plain_least_squares_is_numpys():
    relative, anchors = noisy_problem()
    u, v = anchors.uv.astype(int).T
    x = relative.values[v, u].astype(np.float64)
    scale, shift = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), anchors.depth, rcond=None)[0]
    info = solver_of("global_affine", domain="depth", weighting="none").solve(relative, anchors).info
    assert (info["scale"], info["shift"]) == pytest.approx((scale, shift), rel=1e-6)


def test_paper_000_surface_is_plain_least_squares_per_region():
    relative, anchors = noisy_problem(n=200)
    labels = quarters()
    depth = (
        solver_of(domain="depth", weighting="none", max_extrapolation=0.0)
        .solve(relative, anchors, regions=labels)
        .depth
    )
    u, v = anchors.uv.astype(int).T
    for region in range(4):
        mine = labels[v, u] == region
        A = np.stack([relative.values[v, u], u, v, np.ones(len(u))], axis=1)[mine].astype(np.float64)
        p = np.linalg.lstsq(A, anchors.depth[mine], rcond=None)[0]
        expected = p[0] * relative.values + p[1] * U + p[2] * V + p[3]
        here = (labels == region) & (expected > 0)
        np.testing.assert_allclose(depth[here], expected[here], rtol=1e-4)


def test_an_uncertain_anchor_counts_less():
    relative, anchors = noisy_problem()
    wrong = anchors.depth.copy()
    wrong[:20] *= 3
    unsure = np.where(np.arange(len(wrong)) < 20, 1e3, 0.02)
    clean = solver_of("global_affine").solve(relative, anchors.take(np.arange(20, len(wrong)))).depth
    trusted = solver_of("global_affine").solve(relative, Anchors(anchors.uv, wrong, anchors.sigma)).depth
    doubted = solver_of("global_affine").solve(relative, Anchors(anchors.uv, wrong, unsure)).depth
    np.testing.assert_allclose(doubted, clean, rtol=1e-2)
    assert np.abs(trusted / clean - 1).mean() > 0.1


# Contract, over all solvers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_contract(name, options, kind):
    relative, anchors = noisy_problem(kind)
    relative.values[5:9, 10:20] = np.nan
    labels = quarters()
    before = [a.copy() for a in (relative.values, anchors.uv, anchors.depth, anchors.sigma, labels)]
    frozen = (relative.values, anchors.uv, anchors.depth, anchors.sigma, labels)
    for array in frozen:
        array.flags.writeable = False
    solver = solver_of(name, **options)
    first = solver.solve(relative, anchors, regions=labels)
    again = solver.solve(relative, anchors, regions=labels)
    turned = solver.solve(relative, anchors.take(np.arange(len(anchors))[::-1]), regions=labels)

    assert first.depth.dtype == np.float32
    assert first.depth.shape == relative.values.shape
    assert np.isnan(first.depth[5:9, 10:20]).all()
    known = np.isfinite(first.depth)
    assert known.mean() > 0.9
    assert (first.depth[known] > 0).all()
    np.testing.assert_array_equal(first.depth, again.depth)
    np.testing.assert_allclose(first.depth, turned.depth, rtol=1e-5)
    for array, copy in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@settings(max_examples=15, deadline=None)
@given(
    factor=st.floats(0.01, 100),
    seed=st.integers(0, 30),
    n=st.integers(1, 60),
    kind=st.sampled_from(KINDS),
)
def test_depth_scales_with_the_anchors(name, options, factor, seed, n, kind):
    relative, anchors = noisy_problem(kind, n, seed)
    scaled = Anchors(anchors.uv, anchors.depth * factor, anchors.sigma * factor)
    solver, labels = solver_of(name, **options), quarters()
    one = solver.solve(relative, anchors, regions=labels).depth * np.float32(factor)
    other = solver.solve(relative, scaled, regions=labels).depth
    # A pixel right at the limit of what is plausible, or of infinity, may be rounded to either side.
    close = np.isclose(one, other, rtol=1e-3) | (np.isnan(one) & np.isnan(other))
    assert close.mean() > 0.995


@pytest.mark.parametrize("name", SOLVERS)
def test_depth_outside_the_limits_is_unknown(name):
    relative, labels = RelativeDepth(smooth_relative(), "depth"), quarters()
    truth = relative.values * 10
    limits = {"min_depth_m": 15.0, "max_depth_m": 25.0}
    depth = solver_of(name, limits=limits).solve(relative, anchors_on(truth), regions=labels).depth
    clear = (np.abs(truth - 15) > 0.1) & (np.abs(truth - 25) > 0.1)
    np.testing.assert_array_equal(np.isnan(depth)[clear], ((truth < 15) | (truth > 25))[clear])


# Degenerate


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_no_usable_anchor_is_an_anchor_error(name, options):
    relative, labels = RelativeDepth(smooth_relative(), "depth"), quarters()
    solver = solver_of(name, **options)
    nothing = Anchors(np.zeros((0, 2), np.float32), np.zeros(0), np.zeros(0))
    outside = Anchors(np.array([[-5.0, 3], [WIDTH, 3]]), np.ones(2), np.ones(2))
    impossible = Anchors(np.ones((3, 2)), np.array([0.0, -1, np.nan]), np.ones(3))
    for anchors in (nothing, outside, impossible):
        with pytest.raises(AnchorError, match="0 usable"):
            solver.solve(relative, anchors, regions=labels)
    unknown = RelativeDepth(np.full((HEIGHT, WIDTH), np.nan, np.float32), "depth")
    with pytest.raises(AnchorError, match="0 usable of 1"):
        solver.solve(unknown, Anchors(np.ones((1, 2)), np.ones(1), np.ones(1)), regions=labels)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_one_anchor_sets_the_scale(name, options):
    relative = RelativeDepth(smooth_relative(), "depth")
    anchors = anchors_on(relative.values * 3, 1)
    depth = solver_of(name, **(options | {"max_extrapolation": 0.0} if name == "region_aware" else options))
    result = depth.solve(relative, anchors, regions=quarters()).depth
    np.testing.assert_allclose(result, relative.values * 3, rtol=1e-5)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@pytest.mark.parametrize("case", ["two", "one depth", "line", "one pixel twice"])
def test_few_or_degenerate_anchors_give_depths_like_theirs(name, options, case):
    relative = RelativeDepth(smooth_relative(), "depth")
    truth = relative.values * 3
    many = anchors_on(truth, 200)
    along = np.stack([np.arange(4, 60), np.full(56, 20)], axis=1)
    anchors = {
        "two": many.take(np.arange(2)),
        "one depth": Anchors(many.uv, np.full(200, 5.0), many.sigma),
        "line": Anchors(along.astype(np.float32), truth[20, 4:60], np.full(56, 0.02)),
        "one pixel twice": many.take(np.array([0, 0])),
    }[case]
    depth = solver_of(name, **options).solve(relative, anchors, regions=quarters()).depth
    assert np.isfinite(depth).all()
    assert depth.min() > anchors.depth.min() / 8
    assert depth.max() < anchors.depth.max() * 8


def test_anchors_on_one_line_do_not_fit_a_surface():
    relative = RelativeDepth(smooth_relative(), "depth")
    along = np.stack([np.arange(4, 60), np.full(56, 20)], axis=1).astype(np.float32)
    anchors = Anchors(along, 3.0 * relative.values[20, 4:60], np.full(56, 0.02))
    metric = solver_of(fit="surface").solve(relative, anchors, regions=np.zeros((HEIGHT, WIDTH), np.int32))
    assert (metric.info["surface"], metric.info["linear"]) == (0, 1)
    np.testing.assert_allclose(metric.depth, 3 * relative.values, rtol=1e-4)


def test_a_falling_line_becomes_a_scale():
    values = smooth_relative()
    metric = solver_of("global_affine", domain="depth").solve(
        RelativeDepth(values, "depth"), anchors_on(10 - 2 * values)
    )
    assert metric.info["fit"] == "scale"
    assert metric.info["scale"] > 0


def test_an_inverse_depth_map_with_negative_values_is_fitted_and_can_be_constant():
    values = (smooth_relative() - 2).astype(np.float32)
    truth = 1 / (0.1 * values + 0.3)
    metric = solver_of("global_affine").solve(RelativeDepth(values, "inverse_depth"), anchors_on(truth))
    np.testing.assert_allclose(metric.depth, truth, rtol=1e-5)
    all_negative = RelativeDepth(np.full((HEIGHT, WIDTH), -1, np.float32), "inverse_depth")
    constant = solver_of("global_affine").solve(all_negative, anchors_on(np.full((HEIGHT, WIDTH), 4.0)))
    assert constant.info["fit"] == "constant"
    np.testing.assert_allclose(constant.depth, 4, rtol=1e-5)


def test_regions_must_fit():
    relative, anchors = noisy_problem()
    solver = solver_of()
    for regions in (None, quarters()[:-1], quarters() - 1, quarters() / 2):
        with pytest.raises(InputError, match="region"):
            solver.solve(relative, anchors, regions=regions)


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
    guarded = solver_of(domain="depth", max_extrapolation=1.5).solve(relative, anchors, regions=labels)
    paper = solver_of(domain="depth", max_extrapolation=0.0).solve(relative, anchors, regions=labels)
    line = solver_of("global_affine", domain="depth").solve(relative, anchors)
    assert guarded.info["implausible_pixels"] > 0
    np.testing.assert_allclose(guarded.depth[:, -1], line.depth[:, -1], rtol=1e-6)
    assert (paper.depth[:, -1] < 2).all()


# Fast against plain


def random_labels(n=30, seed=0):
    """Labels of the nearest of n random points."""
    points = np.random.default_rng(seed).uniform(0, [WIDTH, HEIGHT], (n, 2))
    squared = (U[..., None] - points[:, 0]) ** 2 + (V[..., None] - points[:, 1]) ** 2
    return np.unique(squared.argmin(axis=2), return_inverse=True)[1].reshape(HEIGHT, WIDTH).astype(np.int32)


def test_many_regions_give_the_same_as_few():
    # More than 256 labels take another way to the pixels.
    relative, anchors = noisy_problem(n=150)
    labels = random_labels(20)
    few = solver_of().solve(relative, anchors, regions=labels).depth
    many = solver_of().solve(relative, anchors, regions=labels + 300).depth
    np.testing.assert_allclose(few, many, rtol=1e-5)

"""A prior under any solver: alone without anchors, half and half with one, unnoticed with many."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_scenes import MAPS_NEEDED, OURS, anchors_on, quarters, smooth_relative, with_maps

from metric_depth_ros.config import SOLVERS, BasisConfig, SolverConfig, TemporalConfig
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers import Solver, build_solver
from metric_depth_ros.solvers.wrappers.prior import ANCHOR_SPREAD, WithPrior
from metric_depth_ros.types import Anchors, MetricDepth, Prior, RelativeDepth, SolverInput

NONE = Anchors(np.empty((0, 2)), np.empty(0), np.empty(0))


def given(anchors, prior=None, **more):
    relative = RelativeDepth(smooth_relative(), "depth")
    return SolverInput(relative, anchors, regions=quarters(), prior=prior, **more)


def solved(name, anchors, prior=None, **more):
    told = given(anchors, prior, **more)
    if name in MAPS_NEEDED:
        told = dataclasses.replace(told, relative=with_maps(told.relative))
    return build_solver(SolverConfig(name=name)).solve(told)


def spread_of(metric):
    """Standard deviation of the log scale that one anchor gives."""
    logarithm = np.log(metric.depth[::4, ::4])
    return ANCHOR_SPREAD * 1.4826 * np.median(np.abs(logarithm - np.median(logarithm)))


def prior_of(factor, sigma=0.35):
    return Prior((factor * smooth_relative()).astype(np.float32), sigma, "made")


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("focus_m", [None, 3.0])
def test_without_anchors_depth_is_the_prior_s(name, focus_m):
    prior = prior_of(3.0)
    answer = solved(name, NONE, prior, focus_m=focus_m)
    np.testing.assert_array_equal(answer.depth, prior.depth)
    np.testing.assert_allclose(answer.sigma, 0.35 * prior.depth, rtol=1e-6)
    assert answer.info["anchors"] == 0 and answer.info["prior"] == "made"
    with pytest.raises(AnchorError):
        solved(name, NONE)


@pytest.mark.parametrize("name", [*OURS, "paper_median"])
@pytest.mark.parametrize("count", [1, 5, 100])
def test_the_prior_s_weight_falls_with_the_number_of_anchors(name, count):
    """Both have the same shape, so depth is one of them, or a weighted geometric mean of the two."""
    anchors = anchors_on(2 * smooth_relative(), count, sigma=1e-4)
    alone, both = solved(name, anchors), solved(name, anchors, prior_of(2.7, sigma=0.2))
    independent = both.info["anchors"]
    if name in ("gaussian_process", "refined"):
        # It follows its anchors: as many as cells of 8 x 6 pixels, squared.
        independent = min(independent, len({tuple(cell) for cell in (anchors.uv // [8, 6]).astype(int)})) ** 2
    variance = spread_of(alone) ** 2 / independent
    weight = variance / (variance + 0.2**2)
    assert both.info["prior_weight"] == pytest.approx(weight)
    np.testing.assert_allclose(both.depth / alone.depth, 1.35**weight, rtol=2e-3)
    if alone.sigma is not None:
        ours, before = both.sigma / both.depth, alone.sigma / alone.depth
        assert (ours <= before * (1 + 1e-5)).all()
        assert (ours >= np.sqrt(1 - weight) * before * (1 - 1e-5)).all()


def test_anchors_in_one_place_tell_the_scale_but_once():
    together = np.s_[20:26, 30:35]
    depth = np.full((48, 64), np.nan)
    depth[together] = 2 * smooth_relative()[together]
    v, u = np.nonzero(np.isfinite(depth))
    many = Anchors(np.stack([u, v], axis=1), depth[v, u], np.full(len(u), 1e-4))
    far = anchors_on(2 * smooth_relative(), len(u), sigma=1e-4)
    weights = [solved("auto", anchors, prior_of(2.2)).info["prior_weight"] for anchors in (many, far)]
    assert weights[0] > 5 * weights[1]


@pytest.mark.parametrize("count", [3, 100])
def test_a_prior_that_is_wrong_has_no_weight(count):
    anchors = anchors_on(2 * smooth_relative(), count, sigma=1e-4)
    for factor in (40.0, 0.1):
        answer = solved("auto", anchors, prior_of(factor, sigma=0.2))
        assert answer.info["prior_weight"] < 0.02
        np.testing.assert_allclose(answer.depth, 2 * smooth_relative(), rtol=0.05 / count)


def test_one_anchor_and_a_prior_as_uncertain_count_alike():
    anchors = anchors_on(2 * smooth_relative(), 1, sigma=1e-4)
    spread = spread_of(solved("auto", anchors))
    answer = solved("auto", anchors, prior_of(3.0, sigma=spread))
    np.testing.assert_allclose(answer.depth, np.sqrt(6) * smooth_relative(), rtol=1e-3)


@pytest.mark.parametrize("name", OURS)
def test_depth_scales_with_anchors_and_prior(name):
    anchors = anchors_on(2 * smooth_relative(), 8, sigma=0.01)
    far = Anchors(anchors.uv, 7 * anchors.depth, 7 * anchors.sigma)
    near, away = solved(name, anchors, prior_of(3.0)), solved(name, far, prior_of(21.0))
    np.testing.assert_allclose(away.depth, 7 * near.depth, rtol=2e-3)


def test_unusable_anchors_leave_the_prior_and_holes_in_it_do_no_harm():
    prior = prior_of(3.0)
    bad = Anchors(np.array([[3.0, 3.0]]), np.array([np.nan]), np.array([0.1]))
    np.testing.assert_array_equal(solved("lwlr", bad, prior).depth, prior.depth)
    holes = prior.depth.copy()
    holes[:10], holes[10:20] = np.nan, 0.0
    anchors = anchors_on(2 * smooth_relative(), 5)
    with_holes = solved("auto", anchors, dataclasses.replace(prior, depth=holes))
    np.testing.assert_allclose(with_holes.depth, solved("auto", anchors, prior).depth, rtol=2e-3)
    nothing = dataclasses.replace(prior, depth=np.full_like(holes, np.nan))
    alone, both = solved("auto", anchors), solved("auto", anchors, nothing)
    np.testing.assert_array_equal(both.depth, alone.depth)
    np.testing.assert_array_equal(both.sigma, alone.sigma)
    assert "prior_weight" not in both.info


def test_inputs_are_not_modified():
    prior = prior_of(3.0)
    before = prior.depth.copy()
    for anchors in (NONE, anchors_on(2 * smooth_relative(), 3)):
        answer = solved("auto", anchors, prior)
        answer.depth[:] = 0
        np.testing.assert_array_equal(prior.depth, before)


def test_memory_and_prior_are_weighed_by_their_variances():
    """A good prior takes over as memory fades; one that memory contradicts has no weight."""
    truth = 2 * smooth_relative()
    for metres, sigma in ((2.0, 0.1), (9.0, 0.1)):
        solver = build_solver(SolverConfig(temporal=TemporalConfig(memory_s=1.0)))
        prior = prior_of(metres, sigma=sigma)
        assert solver.solve(given(NONE, prior, stamp_ns=10)).info["prior"] == "made"
        solver.solve(given(anchors_on(truth, 200), prior, stamp_ns=10**8))
        soon = solver.solve(given(NONE, prior, stamp_ns=2 * 10**8))
        assert soon.info["carried"] and soon.info["prior"] == "made"
        np.testing.assert_allclose(soon.depth, truth, rtol=0.1)
        late = solver.solve(given(NONE, prior, stamp_ns=3 * 10**9))
        if metres == 2.0:
            np.testing.assert_allclose(late.depth, truth, rtol=0.1)
            assert np.median(late.sigma / late.depth) < 0.2


def test_a_solver_that_says_nothing_of_its_anchors_has_those_it_was_given():
    class Silent(Solver):
        def __init__(self, config):
            pass

        def solve(self, given):
            return MetricDepth(2 * given.relative.values)

    anchors = anchors_on(2 * smooth_relative(), 5)
    answer = WithPrior(Silent(SolverConfig())).solve(given(anchors, prior_of(2.7, sigma=0.2)))
    weight = spread_of(MetricDepth(2 * smooth_relative())) ** 2 / 5
    assert answer.info["prior_weight"] == pytest.approx(weight / (weight + 0.2**2), rel=1e-3)


@pytest.mark.parametrize("has_shape", [True, False])
def test_only_a_prior_with_a_shape_of_its_own_changes_the_shape(has_shape):
    anchors = anchors_on(2 * smooth_relative(), 3, sigma=1e-4)
    alone = solved("global_affine", anchors)
    tilted = np.asarray(alone.depth * np.linspace(0.8, 1.25, alone.depth.shape[1]), np.float32)
    tilted[:9, :9] = np.nan
    prior = Prior(tilted, 0.3, "made", has_shape=has_shape)
    both = solved("global_affine", anchors, prior)
    weight = both.info["prior_weight"]
    assert 0.05 < weight < 0.95
    # Where the prior knows nothing its level counts, the median of what it says elsewhere.
    level = np.full(tilted.shape, np.nanmedian((tilted / alone.depth)[::4, ::4]))
    ratio = np.where(np.isnan(tilted), level, tilted / alone.depth) if has_shape else level
    np.testing.assert_allclose(both.depth / alone.depth, ratio**weight, rtol=1e-4)


@pytest.mark.parametrize("name", ["median", "global_affine", "basis", "gaussian_process"])
def test_anchors_may_correct_the_prior_s_map(name):
    """The prior has the true shape, which the network's map lacks, and twice the scale."""
    truth = np.asarray(smooth_relative() * np.linspace(1, 4, smooth_relative().shape[1]), np.float32)
    anchors = anchors_on(truth, 40, sigma=1e-4)
    prior = Prior(2 * truth, 0.3, "made", has_shape=True)
    errors = {}
    for corrects in ("network", "prior"):
        solver = build_solver(SolverConfig(name=name, corrects=corrects))
        found = solver.solve(given(anchors, prior)).depth
        errors[corrects] = np.abs(found / truth - 1).mean()
    assert errors["prior"] < 0.02
    assert errors["prior"] < 0.7 * errors["network"]
    plain = build_solver(SolverConfig(name=name)).solve(given(anchors)).depth
    without = build_solver(SolverConfig(name=name, corrects="prior")).solve(given(anchors)).depth
    np.testing.assert_array_equal(without, plain)


def test_a_corrected_prior_is_fitted_in_the_network_s_space_and_named():
    """Its inverse depth is off by a line, as that of inverse-depth networks is: an inverse fit is exact."""
    truth = np.asarray(2 * smooth_relative(), np.float32)
    anchors = anchors_on(truth, 60, sigma=1e-4)
    prior = Prior((1 / (0.7 / truth + 0.02)).astype(np.float32), 0.3, "made", has_shape=True)
    told = SolverInput(RelativeDepth(np.ones_like(truth), "inverse_depth"), anchors, prior=prior)
    found = build_solver(SolverConfig(name="global_affine", corrects="prior")).solve(told)
    np.testing.assert_allclose(found.depth, truth, rtol=5e-3)
    assert found.info["map"] == "made"
    # One that knows no more of the shape than the network has no map to correct.
    same = dataclasses.replace(told, prior=dataclasses.replace(prior, has_shape=False))
    plain = build_solver(SolverConfig(name="global_affine")).solve(same)
    again = build_solver(SolverConfig(name="global_affine", corrects="prior")).solve(same)
    np.testing.assert_array_equal(plain.depth, again.depth)
    assert "map" not in again.info


def test_a_corrected_prior_s_maps_are_basis_maps():
    """Its log depth is off along one of its maps, which the basis solver finds."""
    truth = np.asarray(2 * smooth_relative(), np.float32)
    map_ = np.linspace(-0.5, 0.5, truth.shape[1], dtype=np.float32)[None].repeat(truth.shape[0], 0)
    map_ *= np.sin(np.linspace(0, 20, truth.shape[1])).astype(np.float32)
    wrong = (truth * np.exp(0.8 * map_)).astype(np.float32)
    anchors, errors = anchors_on(truth, 60, sigma=1e-4), {}
    for name, maps in (("with", map_[None]), ("without", None)):
        prior = Prior(wrong, 0.3, "made", has_shape=True, maps=maps)
        config = SolverConfig(name="basis", corrects="prior", basis=BasisConfig(local_columns=0))
        errors[name] = np.abs(build_solver(config).solve(given(anchors, prior)).depth / truth - 1).mean()
    assert errors["with"] < 0.3 * errors["without"]

"""The focus: a near and a far fit of any solver, fused around a depth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_scenes import (
    HEIGHT,
    OURS,
    VARIANTS,
    WIDTH,
    U,
    anchors_on,
    noisy_problem,
    quarters,
    solver_of,
    with_maps,
)

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.depth import within_limits
from metric_depth_ros.near_far import TAPER
from metric_depth_ros.solvers import SOLVERS, Solver, solver_class
from metric_depth_ros.solvers.fitting.focus import far_anchors, near_anchors, near_mask
from metric_depth_ros.solvers.gaussian_process.solver import GaussianProcessSolver
from metric_depth_ros.solvers.wrappers.focus import Focused
from metric_depth_ros.types import Anchors, MetricDepth, RelativeDepth, SolverInput

ANCHORS = Anchors(np.zeros((3, 2), np.float32), np.array([2.0, 4.0, 8.0]), np.full(3, 0.1))


class Fixed(Solver):
    """A solver of which it is known what it says: depth and sigma of the near fit, then of the far one."""

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []

    def solve(self, given):
        anchors = given.anchors
        self.seen.append(anchors)
        depth, sigma = self.answers.pop(0)
        depth, sigma = (np.full((1, 1), value, np.float32) for value in (depth, sigma))
        return MetricDepth(depth, sigma, {"anchors": len(anchors)})


def fixed(near, far, **settings):
    """A focused solver whose fits give these depths with these sigmas, and the solver in it."""
    solver = Fixed(near, far)
    return Focused(SolverConfig(**settings), solver), solver


def given(focus_m):
    return SolverInput(RelativeDepth(np.ones((1, 1), np.float32), "depth"), ANCHORS, focus_m=focus_m)


def test_sigma_is_widened_beyond_the_focus_for_the_near_fit():
    found = near_anchors(ANCHORS, 4.0, 0.5)
    exponent = (math.log(2) / 0.5) ** 2
    wide = math.sqrt(0.1**2 + math.expm1(exponent) * 0.8**2)
    np.testing.assert_allclose(found.sigma, [0.1, 0.1, wide], rtol=1e-6)
    assert found.uv is ANCHORS.uv
    assert found.depth is ANCHORS.depth


def test_sigma_is_widened_within_the_focus_and_tapered_beyond_for_the_far_fit():
    found = far_anchors(ANCHORS, 4.0, 0.5)
    within = math.sqrt(0.1**2 + math.expm1((math.log(2) / 0.5) ** 2) * 0.2**2)
    beyond = math.sqrt(0.1**2 + math.expm1(2 * TAPER * 4.0) * 0.8**2)
    np.testing.assert_allclose(found.sigma, [within, 0.1, beyond], rtol=1e-6)


def test_the_variance_of_an_anchor_is_multiplied_by_so_much_at_most():
    exact = Anchors(ANCHORS.uv, ANCHORS.depth, np.zeros(3))
    for anchors_of, across in ((near_anchors, 2), (far_anchors, 0)):
        sigma = anchors_of(exact, 4.0, 0.1, 10.0).sigma
        assert sigma[across] == pytest.approx(0.3 * exact.depth[across])  # 1 + 9 times (0.1 d)^2
        assert sigma[1] == 0


def test_the_mask_is_one_half_a_width_beyond_the_focus():
    near = np.array([1.0, 5 * math.exp(0.25), 5 * math.exp(0.5), 1e30, np.nan, 1, np.nan], np.float32)
    far = np.array([9, 9, 9, 9, 9, np.nan, np.nan], np.float32)
    logistic = 1 / (1 + math.exp(0.25 / (0.6 * 0.25)))
    np.testing.assert_allclose(near_mask(near, far, 5.0, 0.25), [1, 0.5, logistic, 0, 0, 1, 1], atol=1e-4)


def test_depth_and_sigma_are_those_of_the_mixture():
    focused, solver = fixed((math.exp(0.25), 0.1), (3.0, 0.4))
    found = focused.solve(given(1.0))  # right where the mask is a half
    a = math.exp(0.25)
    assert found.depth[0, 0] == pytest.approx((a + 3) / 2, rel=1e-5)
    assert found.sigma[0, 0] == pytest.approx(math.sqrt((0.1**2 + 0.4**2) / 2 + (3 - a) ** 2 / 4), rel=1e-5)
    assert found.info == {"anchors": 3, "focus_m": 1.0}
    assert len(solver.seen) == 2  # one solve more than without a focus


def test_a_fit_that_has_no_depth_leaves_it_to_the_other():
    for near, far, depth in (((np.nan, np.nan), (3.0, 0.4), 3.0), ((0.5, 0.1), (np.inf, np.nan), 0.5)):
        found = fixed(near, far)[0].solve(given(1.0))
        assert found.depth[0, 0] == depth
        assert np.isfinite(found.sigma[0, 0])


def test_without_a_focus_there_is_one_solve_and_the_anchors_as_they_are():
    for focus_m in (None, 0.0):
        focused, solver = fixed((2.0, 0.1), (3.0, 0.4))
        found = focused.solve(given(focus_m))
        assert (found.depth[0, 0], found.sigma[0, 0]) == (2.0, np.float32(0.1))
        assert solver.seen == [ANCHORS]


@pytest.mark.parametrize("focus_m", [None, 1.0])
def test_the_limits_hold_for_depth_and_sigma(focus_m):
    focused, *_ = fixed((2.0, 0.1), (3.0, 0.4))
    found = within_limits(focused.solve(given(focus_m)), SolverConfig(max_depth_m=1.5))
    assert np.isnan(found.depth).all()
    assert np.isnan(found.sigma).all()


@pytest.mark.parametrize("name", SOLVERS)
def test_off_is_the_solver_itself(name):
    relative, anchors = noisy_problem("inverse_depth")
    relative.values[5:9, 10:20] = np.nan
    limits = {"min_depth_m": 2.0, "max_depth_m": 6.0}
    config = SolverConfig(name=name, **limits)
    relative = with_maps(relative)
    solved = solver_class(name)(config).solve(SolverInput(relative, anchors, regions=quarters()))
    plain = within_limits(solved, config)
    found = solver_of(name, **limits).solve(relative, anchors, regions=quarters())
    np.testing.assert_array_equal(found.depth, plain.depth)
    assert (found.sigma is None) == (plain.sigma is None)
    if plain.sigma is not None:
        np.testing.assert_array_equal(found.sigma, plain.sigma)
    assert found.info == plain.info


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_every_solver_takes_a_focus(name, options):
    relative, anchors = noisy_problem()
    relative.values[5:9, 10:20] = np.nan
    frozen = (relative.values, anchors.uv, anchors.depth, anchors.sigma)
    for array in frozen:
        array.flags.writeable = False
    solver = solver_of(name, **options)
    plain = solver.solve(relative, anchors, regions=quarters())
    found = solver.solve(relative, anchors, regions=quarters(), focus_m=4.0)
    assert found.depth.dtype == np.float32
    assert found.info["focus_m"] == 4.0
    np.testing.assert_array_equal(np.isnan(found.depth[5:9, 10:20]), True)
    assert np.isfinite(found.depth).mean() >= np.isfinite(plain.depth).mean() - 0.01
    if plain.sigma is not None:
        assert (found.sigma[np.isfinite(found.depth)] > 0).all()


@pytest.mark.parametrize(
    "name", ["gaussian_process", "global_affine", "median", "piecewise", "lwlr", "grid", "basis"]
)
def test_the_focus_slides_without_jumps(name):
    relative, anchors = noisy_problem()
    solver = solver_of(name)
    for focus_m in (2.5, 4.0, 5.5):
        one, other = (
            solver.solve(relative, anchors, focus_m=focus_m * factor).depth for factor in (1, 1 + 1e-4)
        )
        assert np.abs(other / one - 1).max() < 0.01


class InTwoFits(GaussianProcessSolver):
    """The default solver without a focus of its own."""

    focuses = False


@pytest.mark.parametrize("n", [1, 40, 400])
@pytest.mark.parametrize("focus_m", [2.0, 4.0])
def test_the_default_solvers_own_focus_is_that_of_two_fits(n, focus_m):
    relative, anchors = noisy_problem(n=n)
    relative.values[5:9, 10:20] = np.nan
    config, asked = SolverConfig(), SolverInput(relative, anchors, focus_m=focus_m)
    own, two = GaussianProcessSolver(config).solve(asked), Focused(config, InTwoFits(config)).solve(asked)
    np.testing.assert_array_equal(np.isnan(own.depth), np.isnan(two.depth))
    assert own.info.keys() == two.info.keys()
    assert own.info["focus_m"] == focus_m
    apart = np.abs(np.log(own.depth / two.depth))[np.isfinite(two.depth)]
    # Doubt and the factor of sigma are those without a focus, and the mixture is made on the lattice.
    assert apart.mean() < 0.01
    known = np.isfinite(two.sigma)
    assert 0.5 < np.median(own.sigma[known] / two.sigma[known]) < 2
    if n > 1:
        plain = GaussianProcessSolver(config).solve(replace(asked, focus_m=None)).depth[known]
        assert np.abs(np.log(plain / two.depth[known])).mean() > 2 * apart.mean()


def bent():
    """A map of two parts that no line makes metric at once, and the depth: near left, far right."""
    left = U < WIDTH / 2
    values = np.where(left, 1 + U / WIDTH, 3.5 + U / WIDTH).astype(np.float32)
    depth = np.where(left, 2 * values, 12 * values - 39)
    return RelativeDepth(values, "depth"), depth


@pytest.mark.parametrize(
    "name", ["global_affine", "median", "lwlr", "grid", "gaussian_process", "basis", "region_aware"]
)
@pytest.mark.parametrize("residuals", ["keep", "spread"])
def test_the_error_within_the_focus_falls_and_beyond_it_does_not_rise(name, residuals):
    relative, depth = bent()
    anchors = anchors_on(depth, 60, sigma=0.05)
    whole = np.zeros((HEIGHT, WIDTH), np.int32)
    solver = solver_of(name, residuals=residuals)
    near = U < WIDTH / 2 - 4
    far = U > WIDTH / 2 + 4
    plain, found = (
        np.abs(solver.solve(relative, anchors, regions=whole, focus_m=focus_m).depth / depth - 1)
        for focus_m in (None, 3.0)
    )
    assert found[near].mean() < plain[near].mean() + 0.01
    assert found[far].mean() < plain[far].mean() + 0.01
    if name == "global_affine" and residuals == "keep":
        assert found[near].mean() < 0.5 * plain[near].mean()


@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in OURS])
def test_the_papers_methods_know_no_weights_and_no_focus(name):
    relative, anchors = noisy_problem()
    solver = solver_of(name)
    plain, found = (solver.solve(relative, anchors, regions=quarters(), focus_m=f).depth for f in (None, 4.0))
    np.testing.assert_allclose(found, plain, rtol=1e-5)


@pytest.mark.parametrize("name", OURS)
def test_a_focus_far_from_all_depth_changes_little_and_breaks_nothing(name):
    relative, anchors = noisy_problem()
    solver = solver_of(name)
    plain = solver.solve(relative, anchors, regions=quarters()).depth
    beyond_all = solver.solve(relative, anchors, regions=quarters(), focus_m=900.0).depth
    np.testing.assert_allclose(beyond_all, plain, rtol=1e-3)
    before_all = solver.solve(relative, anchors, regions=quarters(), focus_m=0.01).depth
    assert np.median(np.abs(before_all / plain - 1)) < 0.1

"""The contract all solvers keep, and what they make of bad or few anchors."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scenes import (
    HEIGHT,
    KINDS,
    LEARNED,
    OURS,
    SHRINKING,
    VARIANTS,
    WIDTH,
    anchors_on,
    noisy_problem,
    quarters,
    smooth_relative,
    solver_of,
)

from metric_depth_ros import solvers
from metric_depth_ros.config import SETTINGS, WITHOUT_ANCHORS, SolverConfig
from metric_depth_ros.errors import AnchorError, ConfigError
from metric_depth_ros.solvers import SOLVERS, Solver, build_solver, solver_class
from metric_depth_ros.types import Anchors, RelativeDepth, SolverInput

FREE_VARIANTS = [(name, options) for name, options in VARIANTS if name not in SHRINKING]
OUR_VARIANTS = [(name, options) for name, options in VARIANTS if name in OURS]


def test_registry_and_config_choices_are_the_same():
    assert ("auto", *SOLVERS, *WITHOUT_ANCHORS) == SETTINGS["solver.name"].choices
    for name in (*SOLVERS, *WITHOUT_ANCHORS):
        assert issubclass(solver_class(name), Solver), name


def test_every_field_of_the_input_is_read_by_a_solver():
    source = "".join(path.read_text() for path in Path(solvers.__file__).parent.rglob("*.py"))
    for field in dataclasses.fields(SolverInput):
        assert f"given.{field.name}" in source, field.name


def test_auto_is_the_gaussian_process():
    assert SolverConfig().chosen == SolverConfig(name="gaussian_process").chosen == "gaussian_process"
    relative, anchors = noisy_problem("inverse_depth")
    auto, named = (solver_of(name).solve(relative, anchors) for name in ("auto", "gaussian_process"))
    np.testing.assert_array_equal(auto.depth, named.depth)


def test_unknown_solver_names_the_nearest():
    with pytest.raises(ConfigError, match="region_aware"):
        build_solver(SolverConfig(name="region_awar"))


# Contract


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_contract(name, options, kind):
    relative, anchors = noisy_problem(kind)
    relative.values[5:9, 10:20] = np.nan
    labels = quarters()
    frozen = (relative.values, anchors.uv, anchors.depth, anchors.sigma, labels)
    before = [array.copy() for array in frozen]
    for array in frozen:
        array.flags.writeable = False
    solver = solver_of(name, **options)
    first = solver.solve(relative, anchors, regions=labels)
    again = solver.solve(relative, anchors, regions=labels)
    turned = solver.solve(relative, anchors.take(np.arange(len(anchors))[::-1]), regions=labels)

    assert first.depth.dtype == np.float32
    assert first.depth.shape == relative.values.shape
    assert not np.shares_memory(first.depth, relative.values)
    assert np.isnan(first.depth[5:9, 10:20]).all()
    known = np.isfinite(first.depth)
    assert known.mean() > 0.9
    assert (first.depth[known] > 0).all()
    assert first.info["anchors"] + first.info["rejected"] <= len(anchors)
    np.testing.assert_array_equal(first.depth, again.depth)
    np.testing.assert_allclose(first.depth, turned.depth, rtol=1e-5)
    for array, copy in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(("name", "options"), FREE_VARIANTS)
@settings(max_examples=6, deadline=None, derandomize=True)
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


@pytest.mark.parametrize(("name", "options"), FREE_VARIANTS)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(factor=st.floats(0.01, 100), seed=st.integers(0, 30), n=st.integers(1, 60))
def test_the_unit_of_the_relative_map_does_not_matter(name, options, factor, seed, n):
    relative, anchors = noisy_problem("depth", n, seed)
    scaled = RelativeDepth(relative.values * np.float32(factor), "depth")
    solver, labels = solver_of(name, **options), quarters()
    one = solver.solve(relative, anchors, regions=labels).depth
    other = solver.solve(scaled, anchors, regions=labels).depth
    # float32 rounds the scaled map anew, and two anchors of nearly one x make it a slope.
    close = np.isclose(one, other, rtol=5e-3) | (np.isnan(one) & np.isnan(other))
    assert close.mean() > 0.98


@pytest.mark.parametrize("name", SOLVERS)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 30), n=st.integers(1, 60), split=st.integers(0, 10**6))
def test_the_order_of_the_anchors_does_not_matter(name, seed, n, split):
    relative, anchors = noisy_problem("depth", n, seed)
    # Whole pixels share rows and columns, and two anchors share a pixel.
    anchors = anchors.take(np.r_[np.arange(n), 0])
    shuffled = anchors.take(np.random.default_rng(split).permutation(n + 1))
    solver, labels = solver_of(name), quarters()
    one = solver.solve(relative, anchors, regions=labels).depth
    other = solver.solve(relative, shuffled, regions=labels).depth
    close = np.isclose(one, other, rtol=1e-4) | (np.isnan(one) & np.isnan(other))
    assert close.mean() > 0.999


@pytest.mark.parametrize("name", [name for name in OURS if name not in LEARNED])
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 30), n=st.integers(1, 60))
def test_a_flipped_image_gives_the_flipped_depth(name, seed, n):
    relative, anchors = noisy_problem("depth", n, seed)
    flipped = Anchors(np.column_stack([WIDTH - 1 - anchors.uv[:, 0], anchors.uv[:, 1]]), anchors.depth,
                      anchors.sigma)  # fmt: skip
    # The grid's cells start at one side, robust ties are broken from one side.
    solver = solver_of(name, robust="none", **({"grid.columns": 1} if name == "grid" else {}))
    one = solver.solve(relative, anchors, regions=quarters()).depth[:, ::-1]
    mirrored = RelativeDepth(np.ascontiguousarray(relative.values[:, ::-1]), "depth")
    other = solver.solve(mirrored, flipped, regions=np.ascontiguousarray(quarters()[:, ::-1])).depth
    np.testing.assert_allclose(one, other, rtol=0.02)


@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in (*SHRINKING, *LEARNED)])
def test_depth_outside_the_limits_is_unknown(name):
    relative, labels = RelativeDepth(smooth_relative(), "depth"), quarters()
    truth = relative.values * 10
    solver = solver_of(name, min_depth_m=15.0, max_depth_m=25.0)
    depth = solver.solve(relative, anchors_on(truth), regions=labels).depth
    clear = (np.abs(truth - 15) > 0.1) & (np.abs(truth - 25) > 0.1)
    np.testing.assert_array_equal(np.isnan(depth)[clear], ((truth < 15) | (truth > 25))[clear])


@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in OURS])
def test_shared_settings_do_not_change_the_papers_methods(name):
    relative, anchors = noisy_problem()
    changed = {"domain": "inverse_depth", "weighting": "relative", "robust": "neighbours"}
    plain = {"domain": "log", "weighting": "none", "robust": "none"}
    one, other = (solver_of(name, **o).solve(relative, anchors, regions=quarters()) for o in (changed, plain))
    np.testing.assert_array_equal(one.depth, other.depth)
    assert one.info.get("domain", "depth") == "depth"
    assert one.info["rejected"] == 0


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
    for values in (np.nan, 0.0, -1.0):
        unknown = RelativeDepth(np.full((HEIGHT, WIDTH), values, np.float32), "depth")
        with pytest.raises(AnchorError, match="0 usable of 1"):
            solver.solve(unknown, Anchors(np.ones((1, 2)), np.ones(1), np.ones(1)), regions=labels)


@pytest.mark.parametrize(("name", "options"), FREE_VARIANTS)
def test_one_anchor_sets_the_scale(name, options):
    relative = RelativeDepth(smooth_relative(), "depth")
    result = solver_of(name, **options).solve(
        relative, anchors_on(relative.values * 3, 1), regions=quarters()
    )
    np.testing.assert_allclose(result.depth, relative.values * 3, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [v for v in OUR_VARIANTS if v[0] not in ("gaussian_process", *LEARNED) and "residuals" not in v[1]],
)
@pytest.mark.parametrize("kind", KINDS)
def test_anchors_at_one_depth_set_the_scale_alone(name, options, kind):
    relative = RelativeDepth(smooth_relative(), kind)
    anchors = anchors_on(np.full((HEIGHT, WIDTH), 5.0), 40)
    depth = solver_of(name, **options).solve(relative, anchors, regions=quarters()).depth
    ratio = depth / relative.values if kind == "depth" else depth * relative.values
    assert np.ptp(ratio) / ratio.mean() < 1e-4
    assert depth.min() < 5 < depth.max()


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@pytest.mark.parametrize("case", ["two", "three", "line", "one pixel twice", "one pixel, two depths"])
def test_few_or_degenerate_anchors_give_depths_like_theirs(name, options, case):
    relative = RelativeDepth(smooth_relative(), "depth")
    truth = relative.values * 3
    many = anchors_on(truth, 200)
    along = np.stack([np.arange(4, 60), np.full(56, 20)], axis=1)
    anchors = {
        "two": many.take(np.arange(2)),
        "three": many.take(np.arange(3)),
        "line": Anchors(along.astype(np.float32), truth[20, 4:60], np.full(56, 0.02)),
        "one pixel twice": many.take(np.array([0, 0])),
        "one pixel, two depths": Anchors(many.uv[[0, 0]], np.array([4.0, 5.0]), many.sigma[:2]),
    }[case]
    depth = solver_of(name, **options).solve(relative, anchors, regions=quarters()).depth
    assert np.isfinite(depth).all()
    assert depth.min() > anchors.depth.min() / 8
    assert depth.max() < anchors.depth.max() * 8


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_map_gives_depths_within_the_anchors(name, options, kind):
    relative = RelativeDepth(np.ones((HEIGHT, WIDTH), np.float32), kind)
    anchors = anchors_on(5 + 0.02 * np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)), 60)
    depth = solver_of(name, **options).solve(relative, anchors, regions=quarters()).depth
    assert np.isfinite(depth).all()
    assert depth.min() > 4
    assert depth.max() < 9


@pytest.mark.parametrize(("name", "options"), OUR_VARIANTS)
@pytest.mark.parametrize("shift", [-2.0, -4.0])
def test_inverse_depth_maps_with_any_zero_give_positive_depth(name, options, shift):
    """Half of the map is not positive, then all of it."""
    values = (smooth_relative() + shift).astype(np.float32)
    truth = 1 / (0.1 * values + 0.5)
    relative, anchors = RelativeDepth(values, "inverse_depth"), anchors_on(truth, 100)
    depth = solver_of(name, **options).solve(relative, anchors, regions=quarters()).depth
    some = np.isfinite(depth) & (depth < 1e5)
    assert some.mean() > 0.3
    assert (depth[some] > 0).all()

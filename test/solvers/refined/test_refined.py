"""The solver refined with networks made by hand: what it is shown, and what it does with what it is told."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from made_scenes import HEIGHT, WIDTH, U, V, anchors_on, quarters, smooth_relative, solver_of

from metric_depth_ros.evaluation.metrics import abs_rel
from metric_depth_ros.evaluation.temporal import Moment
from metric_depth_ros.evaluation.temporal import flicker as temporal_flicker
from metric_depth_ros.solvers import solver_class
from metric_depth_ros.solvers.refined import solver as module
from metric_depth_ros.solvers.refined.inputs import (
    CHANNELS,
    LEAST_SIGMA,
    LOG_DEPTH,
    POOLED,
    USUAL_SIGMA,
    channels_of,
    look_at,
    relative_sigma,
)
from metric_depth_ros.types import Anchors, Camera, MetricDepth, RelativeDepth, SolverInput

SIZE = 96, 48


class Told:
    """A network that always says the same, and keeps what it was shown."""

    size = SIZE

    def __init__(self, correction, change):
        self.maps, self.shown = np.stack([correction, change]).astype(np.float32), []

    def correction(self, look):
        self.shown.append(channels_of(look))
        return self.maps


@pytest.fixture
def told(monkeypatch):
    """Makes every refined solver use a network that says one correction and change of sigma everywhere."""

    def use(correction, change=0.0):
        network = Told(*(np.broadcast_to(np.float32(part), SIZE[::-1]) for part in (correction, change)))
        monkeypatch.setattr(module, "load_network", lambda config: network)
        return network

    return use


def problem(count=40):
    """A relative map that is wrong smoothly, and anchors on the truth."""
    relative = smooth_relative()
    truth = 3 * relative * np.exp(0.2 * np.sin(4 * U / WIDTH) * np.cos(3 * V / HEIGHT))
    return RelativeDepth(relative, "depth"), anchors_on(truth, count)


def test_a_network_that_says_nothing_leaves_the_fit_to_the_bit(told):
    told(0.0)
    relative, anchors = problem()
    fit, refined = (solver_of(name).solve(relative, anchors) for name in ("gaussian_process", "refined"))
    np.testing.assert_array_equal(refined.depth, fit.depth)
    np.testing.assert_allclose(refined.sigma, believed(fit), rtol=1e-5)
    assert refined.info == fit.info


def believed(fit):
    """Sigma of a fit, as far as it is believed."""
    return np.maximum(fit.sigma, LEAST_SIGMA * fit.depth)


def assert_changed(refined, fit, spread, correction, change=0.0):
    """Depth and sigma are changed as told, but for ``spread`` and, by half, where relative sigma is .3."""
    part = spread / (1 + (fit.sigma / fit.depth / 0.3) ** 2)
    np.testing.assert_allclose(np.log(refined.depth / fit.depth), part * correction, atol=2e-3)
    np.testing.assert_allclose(np.log(refined.sigma / believed(fit)), part * (correction + change), atol=5e-3)


def test_depth_and_sigma_change_as_told(told):
    told(0.2, -0.7)
    relative, anchors = problem()
    fit, refined = (solver_of(name).solve(relative, anchors) for name in ("gaussian_process", "refined"))
    assert_changed(refined, fit, 1.0, 0.2, -0.7)


def test_where_the_solver_is_in_doubt_it_is_changed_less(told, monkeypatch):
    told(0.2)
    relative, anchors = problem()
    fit = solver_of("gaussian_process").solve(relative, anchors)
    doubtful = replace(fit, sigma=np.where(U < WIDTH / 2, 0.01, 0.6).astype(np.float32) * fit.depth)
    monkeypatch.setattr(solver_class("gaussian_process"), "solve", lambda self, given: doubtful)
    changed = np.log(solver_of("refined").solve(relative, anchors).depth / fit.depth)
    np.testing.assert_allclose(changed[:, : WIDTH // 2 - 4], 0.2, atol=2e-3)
    np.testing.assert_allclose(changed[:, WIDTH // 2 + 4 :], 0.2 / 5, atol=2e-3)


def along_a_row(rows):
    """Anchors on the truth at every pixel of some rows."""
    relative, _ = problem()
    v, u = np.meshgrid(rows, np.arange(WIDTH), indexing="ij")
    depth = 3 * relative.values[v, u]
    return np.column_stack([u.ravel(), v.ravel()]).astype(np.float32), depth.ravel()


@pytest.mark.parametrize(("cells", "spread"), [(3, 0.0), (6, 0.5), (8, 5 / 6), (9, 1.0)])
def test_with_anchors_in_few_places_the_fit_stays(told, cells, spread):
    """Anchors in some of the 8 cells of a row, and if need be in one of the next row."""
    told(0.2)
    relative, _ = problem()
    uv, depth = along_a_row([20, 28])
    row, cell = uv[:, 1] > 24, uv[:, 0] * 8 // WIDTH
    anchors = Anchors(uv, depth, 0.02 * depth).take(np.flatnonzero(cell + 8 * row < cells))
    fit, refined = (solver_of(name).solve(relative, anchors) for name in ("gaussian_process", "refined"))
    assert_changed(refined, fit, spread, 0.2)


@pytest.mark.parametrize("count", [2, 40])
def test_sigma_is_never_believed_below_what_the_network_was_told(told, count, monkeypatch):
    told(0.0)
    relative, anchors = problem(count)
    fit = solver_of("gaussian_process").solve(relative, anchors)
    sure = replace(fit, sigma=np.where(U < WIDTH / 2, 0.001, 0.05).astype(np.float32) * fit.depth)
    monkeypatch.setattr(solver_class("gaussian_process"), "solve", lambda self, given: sure)
    refined = solver_of("refined").solve(relative, anchors)
    expected = np.where(U < WIDTH / 2, LEAST_SIGMA, 0.05) * fit.depth
    np.testing.assert_allclose(refined.sigma, expected, rtol=1e-5)


@pytest.mark.parametrize("count", [2, 40])
def test_a_solver_without_a_sigma_gets_one(told, count):
    told(0.1)
    relative, anchors = problem(count)
    fit = solver_of("global_affine").solve(relative, anchors)
    refined = solver_of("refined", refined__of="global_affine").solve(relative, anchors)
    factor = 1 if count < 9 else np.exp(0.1 / (1 + (USUAL_SIGMA / 0.3) ** 2))
    np.testing.assert_allclose(refined.depth, fit.depth * factor, rtol=1e-5)
    np.testing.assert_allclose(refined.sigma, USUAL_SIGMA * refined.depth, rtol=1e-5)


def test_regions_reach_the_solver_that_is_refined(told):
    told(0.0)
    relative, anchors = problem()
    refined = solver_of("refined", refined__of="region_aware")
    assert refined.solver.wants_regions
    fit = solver_of("region_aware").solve(relative, anchors, regions=quarters())
    depth = refined.solve(relative, anchors, regions=quarters()).depth
    np.testing.assert_array_equal(depth, fit.depth)


def test_what_the_network_sees_is_free_of_scale(told):
    network = told(0.3)
    relative, anchors = problem()
    answers = [
        solver_of("refined").solve(relative, Anchors(anchors.uv, c * anchors.depth, c * anchors.sigma))
        for c in (np.float32(1), np.float32(137))
    ]
    one, other = network.shown
    np.testing.assert_allclose(one, other, atol=1e-4)
    np.testing.assert_allclose(answers[1].depth, 137 * answers[0].depth, rtol=1e-5)


def shown(depth, anchors, **more):
    """Channels for a fit of constant relative sigma."""
    relative = RelativeDepth(np.ones_like(depth), "depth")
    given = SolverInput(relative, anchors, **more)
    return channels_of(look_at(given, MetricDepth(depth, 0.05 * depth), SIZE))


def test_residuals_lie_at_their_anchors_and_reach_far_in_coarse_cells():
    depth = np.full((48, 96), 2.0, np.float32)
    anchors = Anchors(np.array([[20.0, 10], [70, 40]]), 2 * np.exp([0.1, -0.2]), np.full(2, 0.04))
    seen = shown(depth, anchors)
    assert seen.shape == (CHANNELS, 48, 96) and seen.dtype == np.float32
    np.testing.assert_allclose(seen[6, 10, 20], 1, rtol=1e-3)
    np.testing.assert_allclose(seen[6, 40, 70], -2, rtol=1e-3)
    assert np.count_nonzero(seen[6]) == np.count_nonzero(seen[7]) == 2
    coarsest = seen[-5:-2]
    assert coarsest[0][:, 0] == pytest.approx(1, rel=1e-3)
    assert coarsest[0][:, -1] == pytest.approx(-2, rel=1e-3)
    assert coarsest[1][:, -1] == pytest.approx(2, rel=1e-3)
    assert seen[-2][10, 20] == 0 < seen[-2][10, 30] < seen[-2][47, 0]


def test_one_gross_outlier_does_not_drown_the_rest():
    depth = np.full((48, 96), 2.0, np.float32)
    uv = np.array([[20.0, 10], [70, 40]])
    wild = shown(depth, Anchors(uv, np.array([2.0, 2e6]), np.full(2, 0.04)))
    assert np.abs(wild).max() <= 4.0


def test_unknown_pixels_and_absent_images_are_neutral():
    depth = 1 + smooth_relative()
    depth[5:20, 10:30] = np.nan
    seen = shown(depth, anchors_on(np.nan_to_num(depth, nan=2.0), 30))
    assert np.isfinite(seen).all()
    assert np.abs(seen[:3]).max() < 0.02
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    assert shown(depth, anchors_on(depth, 5), image=image)[:3].min() > 1.9


def test_the_border_of_what_is_unknown_is_no_edge():
    """A network might else take over the depth of pixels that have none."""
    slope = np.broadcast_to(np.geomspace(1, 8, 96, dtype=np.float32), (48, 96)).copy()
    anchors = anchors_on(slope, 30)
    whole = shown(slope, anchors)[LOG_DEPTH]
    gap = np.s_[10:30, 75:]
    slope[gap] = np.nan
    seen = shown(slope, anchors)[LOG_DEPTH]
    offset = seen[0, 0] - whole[0, 0]  # of the median
    np.testing.assert_allclose(seen[gap] - offset, whole[gap], atol=0.25)
    assert not shown(np.full_like(slope, np.nan), anchors)[LOG_DEPTH].any()


def test_sigma_goes_on_where_it_is_unknown():
    """Unknown pixels are filled as those of depth are: speckles of another sigma would tell of doubt."""
    depth, unknown = np.full((48, 96), 2.0, np.float32), np.random.default_rng(0).random((48, 96)) < 0.1
    unknown[10:30, 75:] = True
    fitted = MetricDepth(np.where(unknown, np.nan, depth), np.where(unknown, np.nan, 0.04 * depth))
    np.testing.assert_allclose(relative_sigma(fitted), 0.04, rtol=1e-5)


def test_sigma_is_believed_within_limits_only():
    depth = np.full((48, 96), 2.0, np.float32)
    given = SolverInput(RelativeDepth(depth, "depth"), anchors_on(depth, 5))
    sure = look_at(given, MetricDepth(depth, np.zeros_like(depth)), SIZE)
    np.testing.assert_allclose(np.exp(sure.maps[1]), LEAST_SIGMA, rtol=1e-5)


def test_a_turned_image_is_shown_turned():
    rng = np.random.default_rng(0)
    depth = cv2.resize(rng.uniform(1, 3, (6, 8)).astype(np.float32), SIZE)
    anchors = anchors_on(depth, 12, sigma=0.05)
    turned = Anchors(np.column_stack([SIZE[0] - 1 - anchors.uv[:, 0], anchors.uv[:, 1]]), anchors.depth,
                     anchors.sigma)  # fmt: skip
    one, other = shown(depth, anchors), shown(np.ascontiguousarray(depth[:, ::-1]), turned)
    np.testing.assert_allclose(one[..., ::-1], other, atol=1e-4)


def test_cells_hold_what_a_plain_loop_over_anchors_finds():
    rng = np.random.default_rng(3)
    depth = np.full((48, 96), 2.0, np.float32)
    uv = rng.integers(0, (96, 48), (70, 2)).astype(np.float64)
    anchors = Anchors(uv, 2 * np.exp(rng.normal(0, 0.1, 70)), rng.uniform(0.01, 0.2, 70))
    seen = shown(depth, anchors)
    residual, weight = np.log(anchors.depth / 2) / 0.1, 1 / (1 + (anchors.sigma / anchors.depth / 0.05) ** 2)
    for index, cell in enumerate(POOLED):
        sums = np.zeros((3, 48 // cell, 96 // cell))
        for (u, v), r, w in zip(uv.astype(int), residual, weight, strict=True):
            sums[:, v // cell, u // cell] += w, w * r, w * abs(r)
        means = sums[1:] / np.maximum(sums[0], 1e-6)
        for part, found in zip((*means, sums[0] / (sums[0] + 1)), seen[8 + 3 * index :], strict=False):
            np.testing.assert_allclose(found, cv2.resize(part, SIZE), atol=1e-5)


@pytest.mark.parametrize(
    ("size", "most"), [((640, 480), 2.0), ((1242, 375), 2.0), ((120, 60), 0.0), (SIZE, 0.0)]
)
def test_the_image_is_shown_as_the_mean_over_each_pixel(size, most):
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (24, 32, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
    depth = np.full(size[::-1], 2.0, np.float32)
    given = SolverInput(RelativeDepth(depth, "depth"), anchors_on(depth, 5), image=image)
    found = look_at(given, MetricDepth(depth), SIZE).image
    expected = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() <= most


class Following:
    """A network that corrects by half of what the anchors of each coarse cell ask for."""

    size = SIZE

    def correction(self, look):
        asked = channels_of(look)[-5]
        return np.stack([0.05 * asked, np.zeros_like(asked)])


@pytest.fixture
def refined(monkeypatch):
    """Makes solvers refined by ``Following``, with or without memory."""
    monkeypatch.setattr(module, "load_network", lambda config: Following())

    def make(memory_s):
        options = {"temporal.memory_s": memory_s, "temporal.drift": 0.1}
        return solver_of("refined", **options)

    return make


TRUTH = 2 * smooth_relative()
# How wrong the network is, the same in all images.
WRONG = np.exp(0.2 * np.sin(U / 3) * np.cos(V / 4)).astype(np.float32)
CAMERA = Camera(WIDTH, HEIGHT, np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]]))


def seen(solver, truths, posed, count=40):
    """Answers to images of a standing camera, 0.1 s apart, each with new anchors of 5 % noise."""
    answers = []
    for i, truth in enumerate(truths):
        random, anchors = np.random.default_rng(i), anchors_on(truth, count, seed=i)
        anchors = Anchors(anchors.uv, anchors.depth * random.normal(1, 0.05, count), 0.05 * anchors.depth)
        answers.append(
            solver.solve(
                RelativeDepth(truth * WRONG, "depth"),
                anchors,
                stamp_ns=10**10 + i * 10**8,
                camera=CAMERA,
                T_fixed_camera=np.eye(4) if posed else None,
            )
        )
    return answers


def flicker(answers):
    moments = [Moment(answer.depth, TRUTH, CAMERA, np.eye(4)) for answer in answers]
    return np.mean([temporal_flicker(*pair) for pair in pairwise(moments)])


@pytest.mark.parametrize("posed", [True, False])
def test_with_memory_depth_flickers_at_most_half_as_much(refined, posed):
    alone, steady = (seen(refined(memory_s), 10 * [TRUTH], posed) for memory_s in (0.0, 1.0))
    assert flicker(steady) < 0.5 * flicker(alone)
    errors = ([abs_rel(each.depth, TRUTH) for each in answers] for answers in (steady, alone))
    assert np.less(*map(np.mean, errors))


@pytest.mark.parametrize("posed", [True, False])
def test_with_memory_a_true_step_is_followed_at_once(refined, posed):
    truths = [*5 * [TRUTH], 1.5 * TRUTH]
    alone, steady = (seen(refined(memory_s), truths, posed)[-1] for memory_s in (0.0, 1.0))
    np.testing.assert_array_equal(steady.depth, alone.depth)


def thing_appears():
    """A thing in the middle, at two thirds of the depth."""
    box = (abs(U - 32) < 9) & (abs(V - 24) < 7)
    return np.where(box, TRUTH / 1.5, TRUTH).astype(np.float32), box


def camera_cuts():
    """Another scene."""
    return 2 * smooth_relative(1)[::-1], np.ones((HEIGHT, WIDTH), bool)


@pytest.mark.parametrize("step", [thing_appears, camera_cuts])
@pytest.mark.parametrize("count", [20, 40])
def test_with_memory_what_is_new_is_seen_at_once(refined, step, count):
    """While the pose says that the camera stands."""
    now, changed = step()
    truths = [*5 * [TRUTH], now]
    error_alone, error = (
        abs_rel(seen(refined(memory_s), truths, True, count)[-1].depth[changed], now[changed])
        for memory_s in (0.0, 1.0)
    )
    assert error < error_alone + 0.01

"""Memory around any solver: what earlier images say, with and without a known motion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_scenes import HEIGHT, WIDTH, U, V, anchors_on, smooth_relative, solver_of

from metric_depth_ros.config import from_flat
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.evaluation.metrics import abs_rel
from metric_depth_ros.geometry import pixel_rays
from metric_depth_ros.solvers import Solver
from metric_depth_ros.solvers.wrappers.memory import Remembering
from metric_depth_ros.types import Anchors, Camera, MetricDepth, RelativeDepth, SolverInput

SECOND = 10**9
START = 10 * SECOND
NOTHING = Anchors(np.zeros((0, 2), np.float32), np.zeros(0), np.zeros(0))
CAMERA = Camera(WIDTH, HEIGHT, np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]]))
RELATIVE = RelativeDepth(smooth_relative(), "depth")
TRUTH = 2 * smooth_relative()
NAMES = ("gaussian_process", "basis", "global_affine", "region_aware")


def remembering(name="gaussian_process", **options):
    return solver_of(name, **{"temporal.memory_s": 0.5, **options})


def after_one(name="gaussian_process", relative=RELATIVE, **options):
    """A solver that has seen one image with 200 anchors, and its result."""
    solver = remembering(name, **options)
    return solver, solver.solve(relative, anchors_on(TRUTH), stamp_ns=START, **regions())


def regions():
    return {"regions": (U >= WIDTH // 2).astype(np.int32)}


def pose(*translation):
    T = np.eye(4)
    T[:3, 3] = translation
    return T


@pytest.mark.parametrize("name", NAMES)
def test_images_without_anchors_go_on_with_what_is_remembered(name):
    solver, first = after_one(name)
    assert not first.info["carried"]
    later = solver.solve(RELATIVE, NOTHING, stamp_ns=START + SECOND // 10, **regions())
    assert later.info["carried"] and later.info["anchors"] == 0
    np.testing.assert_allclose(later.depth, first.depth, rtol=0.02)
    much_later = solver.solve(RELATIVE, NOTHING, stamp_ns=START + SECOND, **regions())
    assert (first.sigma is None) == (later.sigma is None)
    if first.sigma is not None:
        assert np.mean(much_later.sigma) > np.mean(later.sigma) > np.mean(first.sigma)


@pytest.mark.parametrize("stamp_ns", [9 * SECOND, 13 * SECOND, None])
def test_what_is_remembered_ends_with_a_jump_in_time(stamp_ns):
    solver, _ = after_one()
    with pytest.raises(AnchorError, match="0 usable"):
        solver.solve(RELATIVE, NOTHING, stamp_ns=stamp_ns)


def test_an_image_without_a_time_is_not_remembered():
    solver = remembering()
    assert "carried" not in solver.solve(RELATIVE, anchors_on(TRUTH)).info
    with pytest.raises(AnchorError, match="0 usable"):
        solver.solve(RELATIVE, NOTHING, stamp_ns=START)


def test_images_of_another_size_forget_unless_the_pose_is_known():
    solver, _ = after_one()
    half = RelativeDepth(RELATIVE.values[:, : WIDTH // 2], "depth")
    with pytest.raises(AnchorError, match="0 usable"):
        solver.solve(half, NOTHING, stamp_ns=START + 1)
    posed = {"camera": CAMERA, "T_fixed_camera": pose(0, 0, 0)}
    solver = remembering()
    solver.solve(RELATIVE, anchors_on(TRUTH), stamp_ns=START, **posed)
    posed["camera"] = replace(CAMERA, width=WIDTH // 2)
    found = solver.solve(half, NOTHING, stamp_ns=START + 1, **posed)
    np.testing.assert_allclose(found.depth, TRUTH[:, : WIDTH // 2], rtol=0.03)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [2, 20])
def test_anchors_that_contradict_reset_the_memory(name, count):
    solver, _ = after_one(name)
    given = {"anchors": anchors_on(3 * TRUTH, count), "stamp_ns": START + 1, **regions()}
    after, fresh = (one.solve(RELATIVE, **given) for one in (solver, remembering(name)))
    assert not after.info["carried"]
    np.testing.assert_array_equal(after.depth, fresh.depth)
    agreeing = {**given, "anchors": anchors_on(TRUTH, count)}
    assert after_one(name)[0].solve(RELATIVE, **agreeing).info["carried"]


@pytest.mark.parametrize("metric", [False, True])
def test_a_network_s_new_scale_changes_nothing_unless_it_is_metric(metric):
    solver, first = after_one(relative=replace(RELATIVE, metric=metric))
    scaled = RelativeDepth(3 * RELATIVE.values, "depth", metric=metric)
    later = solver.solve(scaled, NOTHING, stamp_ns=START + SECOND // 10)
    np.testing.assert_allclose(later.depth, (3 if metric else 1) * first.depth, rtol=0.02)


def test_few_anchors_gain_from_earlier_ones():
    bent = TRUTH * np.exp(0.3 * np.sin(U / 9)).astype(np.float32)
    solver, few = remembering(), anchors_on(bent, 3)
    solver.solve(RELATIVE, anchors_on(bent), stamp_ns=START)
    together = solver.solve(RELATIVE, few, stamp_ns=START + SECOND // 30).depth
    alone = solver_of("gaussian_process").solve(RELATIVE, few).depth
    assert abs_rel(together, bent) < 0.3 * abs_rel(alone, bent)


def wall(z, lean=0.3):
    """Depth of a leaning wall whose foot is z ahead of the camera, and the network's map of it."""
    rays = pixel_rays(CAMERA)
    depth = (z / (1 - lean * rays[..., 1])).astype(np.float32)
    return depth, RelativeDepth(depth / np.float32(7), "depth")


def test_what_is_remembered_moves_with_the_camera_where_the_pose_is_known():
    """Two metres towards a wall: the network sees its shape, memory alone tells the metres."""
    (far, before), (near, now) = wall(6.0), wall(4.0)
    for T, expected in ((pose(0, 0, 2), near), (None, near * 1.5)):
        solver = remembering()
        solver.solve(before, anchors_on(far), stamp_ns=START, camera=CAMERA, T_fixed_camera=pose(0, 0, 0))
        found = solver.solve(now, NOTHING, stamp_ns=START + SECOND // 10, camera=CAMERA, T_fixed_camera=T)
        np.testing.assert_allclose(found.depth, expected, rtol=0.03)


def levels(solver, images, **given):
    """Error of the level, in the logarithm, in images each with 20 noisy anchors and a new network scale."""
    found = []
    for i in range(images):
        rng = np.random.default_rng(i)
        anchors = anchors_on(TRUTH, 20, seed=i)
        anchors = replace(anchors, depth=anchors.depth * rng.normal(1, 0.1, 20), sigma=0.1 * anchors.depth)
        relative = RelativeDepth(rng.uniform(0.5, 2) * RELATIVE.values, "depth")
        depth = solver.solve(relative, anchors, stamp_ns=START + i * SECOND // 10, **given).depth
        found.append(float(np.median(np.log(depth / TRUTH))))
    return np.array(found)


@pytest.mark.parametrize(
    "given", [{"camera": CAMERA, "T_fixed_camera": pose(0, 0, 0)}, {}], ids=["pose", "no pose"]
)
def test_the_scale_jitters_at_most_half_as_much(given):
    drift = {} if given else {"temporal.drift": 0.1}
    alone = levels(solver_of("gaussian_process"), 30)
    steady = levels(remembering(**{"temporal.memory_s": 1.0, **drift}), 30, **given)
    assert np.std(np.diff(steady)) < 0.5 * np.std(np.diff(alone))
    assert np.abs(steady[5:]).mean() < np.abs(alone[5:]).mean()


@pytest.mark.parametrize("posed", [False, True])
def test_a_true_step_is_followed_at_once(posed):
    given = {"camera": CAMERA, "T_fixed_camera": pose(0, 0, 0)} if posed else {}
    solver = remembering()
    for i in range(5):
        solver.solve(RELATIVE, anchors_on(TRUTH, 30, seed=i), stamp_ns=START + i * SECOND // 10, **given)
    found = solver.solve(RELATIVE, anchors_on(1.5 * TRUTH, 30), stamp_ns=START + SECOND // 2, **given)
    np.testing.assert_allclose(found.depth, 1.5 * TRUTH, rtol=0.03)


def test_what_has_moved_into_the_picture_is_not_averaged_with_what_was_behind():
    posed = {"camera": CAMERA, "T_fixed_camera": pose(0, 0, 0)}
    solver = remembering()
    solver.solve(RELATIVE, anchors_on(TRUTH), stamp_ns=START, **posed)
    box = (U > 20) & (U < 40) & (V > 15) & (V < 35)
    values = np.where(box, np.float32(0.6), RELATIVE.values)
    truth = 2 * values
    now = RelativeDepth(values, "depth")
    found = solver.solve(now, anchors_on(truth), stamp_ns=START + SECOND // 10, **posed)
    assert found.info["carried"]
    np.testing.assert_allclose(found.depth[box], truth[box], rtol=0.03)


class Fixed(Solver):
    """A solver that says one depth and sigma, then the next."""

    probabilistic = True

    def __init__(self, *answers):
        self.answers = list(answers)

    def solve(self, given):
        depth, sigma = (np.full((HEIGHT, WIDTH), value, np.float32) for value in self.answers.pop(0))
        return MetricDepth(depth, sigma)


@pytest.mark.parametrize("posed", [False, True])
def test_the_gain_is_that_of_the_variances(posed):
    """By hand: p = 0.1^2 exp(0.2 / 2) + drift^2 0.2, v = 0.2^2; motion unknown or none at all."""
    config = from_flat({"solver.temporal.memory_s": 2.0, "solver.temporal.drift": 0.3}).solver
    solver = Remembering(config, Fixed((2.0, 0.2), (2.2, 0.44)))
    given = SolverInput(RelativeDepth(np.ones((HEIGHT, WIDTH), np.float32), "depth"), NOTHING, stamp_ns=START)
    if posed:
        given = replace(given, camera=CAMERA, T_fixed_camera=pose(0, 0, 0))
    solver.solve(given)
    found = solver.solve(replace(given, stamp_ns=START + SECOND // 5))
    drift = 0.02 if posed else 0.3
    p, v = 0.1**2 * math.exp(0.1) + drift**2 * 0.2, 0.2**2
    gain = v / (v + p)
    np.testing.assert_allclose(found.depth, 2.2 * (2 / 2.2) ** gain, rtol=1e-4)
    told = math.sqrt(0.1**2 * math.exp(0.1) + drift**2 * 0.2)
    np.testing.assert_allclose(found.sigma / found.depth, (1 - gain) * 0.2 + gain * told, rtol=1e-4)


@pytest.mark.parametrize("posed", [False, True])
def test_nothing_gets_surer_by_being_said_again(posed):
    given = {"camera": CAMERA, "T_fixed_camera": pose(0, 0, 0)} if posed else {}
    solver, few = remembering(**{"temporal.memory_s": 5.0, "temporal.drift": 0.0}), anchors_on(TRUTH, 5)
    sigmas = [
        solver.solve(RELATIVE, few, stamp_ns=START + i * SECOND // 30, **given).sigma for i in range(20)
    ]
    assert np.median(sigmas[-1] / sigmas[0]) > 0.99


def test_places_that_are_unknown_for_an_image_are_not_forgotten():
    given = {"camera": CAMERA, "T_fixed_camera": pose(0, 0, 0)}
    bent = np.where(U < WIDTH / 2, 1.5 * TRUTH, TRUTH).astype(np.float32)
    half = np.where(U < WIDTH / 2, np.float32(np.nan), RELATIVE.values)
    solver = remembering()
    solver.solve(RELATIVE, anchors_on(bent), stamp_ns=START, **given)
    kept = anchors_on(bent).take(anchors_on(bent).uv[:, 0] > WIDTH / 2)
    solver.solve(RelativeDepth(half, "depth"), kept, stamp_ns=START + SECOND // 30, **given)
    found = solver.solve(RELATIVE, kept, stamp_ns=START + SECOND // 15, **given)
    left = U < WIDTH / 2 - 4
    assert np.abs(np.log(found.depth / bent))[left].mean() < 0.1
    fresh = solver_of("gaussian_process").solve(RELATIVE, kept)
    assert np.abs(np.log(fresh.depth / bent))[left].mean() > 0.25


def test_memory_lasts_four_times_its_time():
    for tenths, lasts in ((19, True), (21, False)):
        solver, _ = after_one()
        given = {"stamp_ns": START + tenths * SECOND // 10}
        if lasts:
            assert solver.solve(RELATIVE, NOTHING, **given).info["carried"]
        else:
            with pytest.raises(AnchorError, match="0 usable"):
                solver.solve(RELATIVE, NOTHING, **given)


def test_honest_noise_is_no_contradiction():
    """Anchors off by 30 %, and known to be: memory stays, image after image."""
    solver, _ = after_one()
    for i in range(1, 10):
        anchors = anchors_on(TRUTH, 6, seed=i)
        factor = np.random.default_rng(i).normal(1, 0.3, 6).clip(0.4)
        noisy = replace(anchors, depth=anchors.depth * factor, sigma=0.3 * anchors.depth)
        assert solver.solve(RELATIVE, noisy, stamp_ns=START + i * SECOND // 30).info["carried"]


def test_memory_serves_where_no_anchor_is_usable_and_residuals_are_spread():
    values = RELATIVE.values.copy()
    values[:20, :20] = np.nan
    relative = RelativeDepth(values, "depth")
    solver, _ = after_one("global_affine", relative, residuals="spread")
    unusable = Anchors(np.full((1, 2), 5, np.float32), np.full(1, 3.0), np.full(1, 0.1))
    later = solver.solve(relative, unusable, stamp_ns=START + 1)
    assert later.info["carried"] and later.info["anchors"] == 0
    np.testing.assert_array_equal(np.isnan(later.depth), np.isnan(values))


def test_nothing_remembered_where_the_network_now_says_something():
    solver, _ = after_one()
    blind = RelativeDepth(np.full_like(RELATIVE.values, np.nan), "depth")
    with pytest.raises(AnchorError, match="0 usable"):
        solver.solve(blind, NOTHING, stamp_ns=START + 1)

"""The default solver and its parts: the process against plain formulas, tiles, outliers, sigma."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from made_scenes import HEIGHT, WIDTH, U, V, anchors_on, smooth_relative, solver_of

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.errors import InputError
from metric_depth_ros.solvers.fitting.focus import Focus, near_mask
from metric_depth_ros.solvers.gaussian_process import field as module
from metric_depth_ros.solvers.gaussian_process.process import Covariance, GaussianProcess
from metric_depth_ros.solvers.gaussian_process.tiles import tiled
from metric_depth_ros.solvers.gaussian_process.trend import disagreeing, nearest
from metric_depth_ros.solvers.wrappers.focus import _fused as fused
from metric_depth_ros.types import Anchors, MetricDepth, RelativeDepth

COVARIANCE = Covariance()


def places(n, seed, maps=3):
    """Features within an image: u, v, log relative depth, colour, uncertainty; and values of learned maps."""
    rng = np.random.default_rng(seed)
    features, uncertainty = rng.uniform(-0.5, 0.5, (n, 6)), rng.uniform(0.6, 1.7, (n, 1))
    return np.hstack([features, uncertainty, rng.normal(0, 0.1, (n, maps))]).astype(np.float32)


def none(values):
    """No value is suspect: doubt begins with all of them."""
    return np.zeros(values.shape, bool)


def plain_covariance(a, b):
    """The equation of the module with the numbers of docs/solvers.md, place by place, in double precision."""
    k = np.empty((len(a), len(b)))
    for i, p in enumerate(a.astype(np.float64)):
        for j, q in enumerate(b.astype(np.float64)):
            d = p - q
            flat = d[0] ** 2 + d[1] ** 2
            apart = flat / 0.13**2 + d[2] ** 2 / 0.19**2 + (d[3:6] ** 2).sum() / 0.6**2
            k[i, j] = 0.3**2 + 0.3**2 * p[2] * q[2] + p[7:] @ q[7:]
            k[i, j] += 0.18**2 * np.exp(-flat / (2 * 0.5**2)) + 0.12**2 * p[6] * q[6] / (1 + apart)
    return k


@pytest.mark.parametrize("maps", [0, 3])
def test_covariance_is_the_equation(maps):
    a, b = places(7, 0, maps), places(9, 1, maps)
    np.testing.assert_allclose(COVARIANCE.between(a, b), plain_covariance(a, b), rtol=2e-5)
    np.testing.assert_allclose(COVARIANCE.at(a), np.diag(plain_covariance(a, a)), rtol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 65, 200])
def test_process_is_the_textbook_one(n):
    a, b = places(n, 2), places(300, 3)
    rng = np.random.default_rng(4)
    values, noise = rng.normal(0, 0.2, n), rng.uniform(1e-3, 1e-2, n)
    process = GaussianProcess(COVARIANCE, a, values, noise)
    inverse = np.linalg.inv(plain_covariance(a, a) + np.diag(noise))
    cross = plain_covariance(b, a)
    np.testing.assert_allclose(process.mean(b), cross @ inverse @ values, atol=3e-4)
    explained = np.einsum("mn,nk,mk->m", cross, inverse, cross)
    np.testing.assert_allclose(process.variance(b), COVARIANCE.at(b) - explained, atol=3e-4)


def test_left_out_errors_are_those_of_leaving_out():
    a, rng = places(12, 5), np.random.default_rng(6)
    values, noise = rng.normal(0, 0.2, 12), np.full(12, 4e-3)
    error, variance = GaussianProcess(COVARIANCE, a, values, noise).left_out()
    for i in range(12):
        rest = np.arange(12) != i
        without = GaussianProcess(COVARIANCE, a[rest], values[rest], noise[rest])
        assert error[i] == pytest.approx(values[i] - without.mean(a[i : i + 1])[0], abs=1e-4)
        assert variance[i] == pytest.approx(without.variance(a[i : i + 1])[0] + noise[i], rel=1e-2)


def test_a_doubted_value_is_one_with_more_noise():
    a, b, rng = places(150, 9), places(50, 10), np.random.default_rng(11)
    values, noise = rng.normal(0, 0.03, 150), rng.uniform(1e-3, 4e-3, 150)
    values[:20] += rng.choice([-0.6, 0.6], 20)
    first = GaussianProcess(COVARIANCE, a, values, noise)
    doubting = GaussianProcess(COVARIANCE, a, values, noise, suspect=none(values))
    error, variance = first.left_out()
    square = error**2 / variance / max(1.0, np.median(error**2 / variance) / 0.455)
    more = variance * np.maximum(0, square / 9 - 1)
    np.testing.assert_allclose(doubting.noise - noise, more, rtol=1e-3, atol=1e-6)
    assert np.count_nonzero(more[:20]) > 12 and np.count_nonzero(more[20:]) < 7
    again = GaussianProcess(COVARIANCE, a, values, doubting.noise)
    np.testing.assert_allclose(doubting.mean(b), again.mean(b), atol=2e-4)
    np.testing.assert_allclose(doubting.variance(b), again.variance(b), atol=2e-4)
    for ours, plain in zip(doubting.left_out(), again.left_out(), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-2, atol=2e-4)


@pytest.mark.parametrize(
    ("n", "limit", "suspect_limit"), [(12, 4, 2.25), (29, 4, 2.25), (30, 9, 1), (60, 9, 1)]
)
def test_a_suspect_value_is_believed_again_if_the_others_predict_it(n, limit, suspect_limit):
    """The last round, place by place: each value is compared with what the others, as they stand, predict."""
    a, rng = places(n, 21), np.random.default_rng(22)
    values, noise = rng.normal(0, 0.02, n), np.full(n, 5e-4)
    values[3] += 1.5
    suspect = np.zeros(n, bool)
    suspect[[3, 5, 8]] = True
    process = GaussianProcess(COVARIANCE, a, values, noise, suspect=suspect)
    assert process.doubted[3] and not process.doubted[[5, 8]].any()
    np.testing.assert_allclose(process.noise[[5, 8]], noise[[5, 8]])
    if n >= 30:  # a single round
        at_first = GaussianProcess(COVARIANCE, a, values, noise + suspect)
        error, variance = at_first.left_out()
        variance = variance - suspect
        square = error**2 / variance
        square /= max(1.0, np.median(square) / 0.455)
        more = variance * np.maximum(square / np.where(suspect, suspect_limit, limit) - 1, 0)
        np.testing.assert_allclose(process.noise - noise, more, rtol=1e-2, atol=1e-5)


def test_a_suspect_anchor_is_not_rejected_if_the_process_predicts_it():
    """Alone beyond an edge of the network's depth, where its neighbours are others: no error."""
    rng = np.random.default_rng(23)
    relative = np.where(U < 60, 1.0, 3.0).astype(np.float32)
    u, v = rng.uniform(0, 55, 60), rng.uniform(0, HEIGHT - 1, 60)
    uv = np.column_stack([u, v]).astype(np.float32)
    uv[:3, 0] = WIDTH - 2.0  # three far away from each other beyond the edge
    uv[:3, 1] = [2, HEIGHT / 2, HEIGHT - 3]
    truth = np.where(uv[:, 0] < 60, 2.0, 7.5).astype(np.float32)  # the network's 6 m is 25 % too near
    anchors = Anchors(uv, truth, 0.02 * truth)
    log_depth = np.log(truth.astype(np.float64))
    x = np.log(sample_bilinear(relative, uv).astype(np.float64))
    assert disagreeing(nearest(uv), log_depth - x, log_depth)[:3].any()
    solved = solver_of("gaussian_process").solve(RelativeDepth(relative, "depth"), anchors)
    assert solved.info["rejected"] == 0 and solved.info["anchors"] == 60
    spoiled = Anchors(uv, np.where(np.arange(60) == 1, 20.0, truth).astype(np.float32), 0.02 * truth)
    assert (
        solver_of("gaussian_process").solve(RelativeDepth(relative, "depth"), spoiled).info["rejected"] == 1
    )


@pytest.mark.parametrize("n", [7, 9])
def test_of_few_values_a_wrong_one_is_doubted_and_hardly_another(n):
    found, false = 0, 0
    for seed in range(20):
        a, rng = places(n, seed, maps=0), np.random.default_rng(seed)
        a[:, :6], a[:, 6] = a[:, :6] / 2, 1
        values = rng.normal(0, 0.03, n)
        values[2] += 0.8
        noise = np.full(n, 5e-4)
        more = GaussianProcess(COVARIANCE, a, values, noise, suspect=none(values)).noise - noise
        found += more[2] > 0.05
        false += np.count_nonzero(np.delete(more, 2) > 0.05)
    assert found >= 19
    assert false <= 2


def test_processes_side_by_side_are_those_alone():
    a, b, rng = places(3 * 40, 12).reshape(3, 40, 10), places(30, 13), np.random.default_rng(14)
    values, noise = rng.normal(0, 0.1, (3, 40)), rng.uniform(1e-3, 4e-3, (3, 40))
    values[1, :3] += 0.8
    local = COVARIANCE.local_field
    together = GaussianProcess(local, a, values, noise, suspect=none(values))
    for i in range(3):
        alone = GaussianProcess(local, a[i], values[i], noise[i], suspect=none(values[i]))
        np.testing.assert_allclose(together.noise[i], alone.noise, rtol=1e-3)
        for ours, plain in zip(together.left_out(), alone.left_out(), strict=True):
            np.testing.assert_allclose(ours[i], plain, rtol=1e-3, atol=1e-5)
        columns = local.columns(b)
        np.testing.assert_allclose(together.local_sums(columns, i), alone.mean(b), atol=1e-5)
        np.testing.assert_allclose(together.local_variance(columns, i), alone.variance(b), atol=1e-5)
    assert (together.noise[1, :3] > 0.03).all() and (together.noise[[0, 2]] < 0.03).all()


def test_tiles_cover_the_image_and_share_the_anchors():
    rng = np.random.default_rng(7)
    uv = np.concatenate([rng.uniform([0, 0], [639, 479], (600, 2)), rng.normal([500, 400], 8, (400, 2))])
    tiles = tiled(uv, 640, 480, 100)
    u, v = np.arange(640.0), np.arange(480.0)
    down, across = tiles.weights(v, 1), tiles.weights(u, 0)
    assert (down.T @ across).min() > 0.2
    for weights, spans in ((down, tiles.spans(v, 1)), (across, tiles.spans(u, 0))):
        for weight, span in zip(weights, spans, strict=True):
            assert weight[span].max() == 1
            assert np.delete(weight, np.r_[span]).sum() == 0
    assert 8 < len(tiles) < 64
    used = tiles.nearest(uv, 120)
    assert used.shape == (len(tiles), 120)
    for low, high, near in zip(tiles.low, tiles.high, used, strict=True):
        inside = np.flatnonzero(((uv > low) & (uv < high)).all(axis=1))
        assert len(set(near)) == 120
        assert len(inside) > 100 or set(inside) <= set(near)


@pytest.fixture
def parted(monkeypatch):
    """Solves a problem without tiles and with them: depth of both."""

    def solve(relative, anchors):
        monkeypatch.setattr(module, "_TOGETHER", len(anchors))
        whole = solver_of("gaussian_process").solve(relative, anchors).depth
        monkeypatch.setattr(module, "_TOGETHER", 128)
        return whole, solver_of("gaussian_process").solve(relative, anchors).depth

    return solve


def test_a_parted_solution_is_nearly_the_whole_one(parted):
    relative = smooth_relative()
    truth = relative * (2 + 0.5 * np.sin(U / 9) * np.cos(V / 7))
    whole, parts = parted(RelativeDepth(relative, "depth"), anchors_on(truth, 400))
    assert np.abs(parts / whole - 1).mean() < 0.01
    assert np.abs(parts / truth - 1).mean() < 1.3 * np.abs(whole / truth - 1).mean() + 1e-3


@pytest.mark.parametrize("robust", ["neighbours", "none"])
def test_sigma_does_not_jump_where_tiles_begin(robust):
    """Depths that the process cannot predict: errors, and so sigma, are as large with one anchor more."""
    rng = np.random.default_rng(24)
    uv = rng.uniform([0, 0], [WIDTH - 1, HEIGHT - 1], (129, 2)).astype(np.float32)
    depth = np.exp(rng.normal(0, 0.4, 129)).astype(np.float32)
    flat = RelativeDepth(np.ones((HEIGHT, WIDTH), np.float32), "depth")
    scales = [
        solver_of("gaussian_process", robust=robust)
        .solve(flat, Anchors(uv[:n], depth[:n], 0.02 * depth[:n]))
        .info["sigma_scale"]
        for n in (128, 129)
    ]
    assert scales[1] == pytest.approx(scales[0], rel=0.5)


def test_parts_meet_without_a_seam(parted):
    flat = RelativeDepth(np.ones((120, 160), np.float32), "depth")
    rng = np.random.default_rng(12)
    uv = rng.uniform([0, 0], [159, 119], (300, 2)).astype(np.float32)
    depth = 3 * np.exp(0.3 * np.sin(uv[:, 0] / 30) + rng.normal(0, 0.05, 300))
    whole, parts = (np.log(depth) for depth in parted(flat, Anchors(uv, depth, 0.05 * depth)))
    for axis in (0, 1):
        step, usual = (np.abs(np.diff(field, axis=axis)).max() for field in (parts, whole))
        assert step < 1.5 * usual


@pytest.mark.parametrize("seed", range(3))
def test_errors_within_a_lidar_row_say_little_of_what_lies_between_rows(seed):
    rng = np.random.default_rng(seed)
    u, v = np.meshgrid(np.arange(0, 160, 2.0), [20.0, 60.0, 100.0])
    uv = np.column_stack([u.ravel(), v.ravel()]).astype(np.float32)
    bumps = cv2.resize(
        rng.normal(0, 0.12, (6, 8)).astype(np.float32), (160, 120), interpolation=cv2.INTER_CUBIC
    )
    truth = 3 * np.exp(bumps)
    depth = sample_bilinear(truth, uv)
    answer = solver_of("gaussian_process").solve(
        RelativeDepth(np.ones((120, 160), np.float32), "depth"), Anchors(uv, depth, 0.02 * depth)
    )
    assert 0.4 < (np.abs(answer.depth - truth) < answer.sigma).mean() < 0.95


def test_lonely_anchors_are_wrong_and_those_at_an_edge_are_not():
    rng = np.random.default_rng(8)
    uv = rng.uniform(0, 100, (200, 2))
    log_depth = np.where(uv[:, 0] < 50, np.log(2.0), np.log(6.0)) + rng.normal(0, 0.01, 200)
    wrong = rng.choice(200, 20, replace=False)
    spoiled = log_depth.copy()
    spoiled[wrong] += rng.choice([-1, 1], 20) * rng.uniform(0.4, 1.0, 20)
    near = nearest(uv)
    assert not disagreeing(near, log_depth, log_depth).any()
    found = disagreeing(near, spoiled, spoiled)
    assert found[wrong].mean() > 0.8
    assert np.delete(found, wrong).mean() < 0.02
    assert nearest(uv[:9]) is None and nearest(uv[:10]).shape == (10, 8)


@pytest.mark.parametrize("seed", range(5))
def test_anchors_that_all_disagree_are_not_all_wrong(seed):
    rng = np.random.default_rng(seed)
    uv, log_depth = rng.uniform(0, 100, (12, 2)), rng.standard_cauchy(12)
    assert disagreeing(nearest(uv), log_depth, log_depth).sum() <= 6


@pytest.mark.parametrize(
    ("spread", "value", "alike", "wrong"),
    [(0.1, 0.44, 0, False), (0.1, 0.45, 0, True), (0, 0.11, 0, False), (0, 0.13, 0, True),
     (0.1, 0.45, 1, True), (0.1, 0.45, 2, False)],
)  # fmt: skip
def test_an_anchor_is_wrong_that_is_off_by_three_deviations_and_lonely(spread, value, alike, wrong):
    """Half of its eight neighbours are so far below their median, half above: a deviation of 1.4826 times.

    12 % are no sign of an error; ``alike`` of the neighbours are as far away as it is.
    """
    log_ratio = np.array([value, *[-spread, spread] * 4])
    log_depth = np.arange(9.0)
    log_depth[1 : 1 + alike] = 0.1
    near = np.array([np.arange(1, 9)] + [np.delete(np.arange(9), i) for i in range(1, 9)])
    assert disagreeing(near, log_ratio, log_depth).tolist() == [wrong] + [False] * 8


def test_all_anchors_are_believed_when_more_than_half_look_wrong():
    """Nine agree with each other; each of the others stands alone and has only them around it."""
    for alone, wrong in ((9, 9), (10, 0)):
        value = np.concatenate([np.zeros(9), np.arange(1.0, 1 + alone)])
        near = np.array([np.delete(np.arange(9), min(i, 8)) for i in range(9 + alone)])
        assert disagreeing(near, value, value).sum() == wrong


def line_and_scale(anchors, values):
    """log depth at anchors on whole pixels of inverse-depth values, by a weighted line and by their scale."""
    u, v = anchors.uv.astype(int).T
    x, depth = values[v, u].astype(np.float64), anchors.depth.astype(np.float64)
    root = depth**2 / np.sqrt(anchors.sigma**2 + (0.1 * depth) ** 2)
    line = np.linalg.lstsq(np.column_stack([x, np.ones_like(x)]) * root[:, None], root / depth, rcond=None)[0]
    return -np.log(line[0] * x + line[1]), -np.log(x)


def plain_left_out_error(anchors, x):
    """Mean error in log depth of each anchor, predicted by the others around log relative depth x (N,)."""
    features = np.zeros((len(x), 7))
    features[:, 6] = 1
    features[:, :2], features[:, 2] = anchors.uv / (WIDTH * HEIGHT) ** 0.5, x - np.median(x)
    residual = np.log(anchors.depth.astype(np.float64)) - x
    noise = 0.01**2 + (anchors.sigma / anchors.depth) ** 2
    inverse = np.linalg.inv(plain_covariance(features, features) + np.diag(noise))
    return np.abs(inverse @ (residual - np.median(residual)) / np.diag(inverse)).mean()


@pytest.mark.parametrize(("noise", "trend"), [(0.01, "line"), (0.02, "scale")])
def test_a_line_must_leave_less_than_six_tenths_of_the_error(noise, trend):
    values = smooth_relative()
    anchors = anchors_on(1 / (0.2 * values + 0.02), 40)
    factor = np.exp(np.random.default_rng(5).normal(0, noise, 40))
    anchors = Anchors(anchors.uv, anchors.depth * factor, anchors.sigma)
    values = values - np.float32(0.5)  # right up to a scale and a shift
    by_line, by_scale = (plain_left_out_error(anchors, x) for x in line_and_scale(anchors, values))
    assert 0.5 < by_line / by_scale < 0.6 if trend == "line" else 0.6 < by_line / by_scale < 0.8
    solved = solver_of("auto", robust="none").solve(RelativeDepth(values, "inverse_depth"), anchors)
    assert solved.info["trend"] == trend


@pytest.mark.parametrize(("count", "trend"), [(15, "scale"), (16, "line")])
def test_a_line_needs_sixteen_anchors(count, trend):
    values = smooth_relative()
    anchors = anchors_on(1 / (0.2 * values - 0.1), count)
    solved = solver_of("auto", robust="none").solve(RelativeDepth(values, "inverse_depth"), anchors)
    assert solved.info["trend"] == trend


def test_a_line_reaches_ten_times_as_far_as_the_farthest_anchor():
    """Its zero is within the map: what lies there, and beyond, would be at infinity."""
    inverse = np.where(V < 10, -0.2, 0.1 + 0.4 * U / WIDTH)
    anchors = anchors_on(np.where(V < 10, np.nan, 1 / inverse), 300)
    anchors = anchors.take(np.isfinite(anchors.depth))
    values = (3 * inverse + 1).astype(np.float32)
    solved = solver_of("auto").solve(RelativeDepth(values, "inverse_depth"), anchors)
    assert solved.info["trend"] == "line"
    np.testing.assert_allclose(solved.depth[:10], 10 * anchors.depth.max(), rtol=1e-3)
    np.testing.assert_allclose(solved.depth[10:], 1 / inverse[10:], rtol=1e-3)


def test_outliers_cost_little_and_much_when_they_are_believed():
    relative, rng = smooth_relative(), np.random.default_rng(9)
    truth = 2 * relative * (1 + 0.2 * np.sin(U / 20))
    anchors = anchors_on(truth, 150)
    depth = anchors.depth.copy()
    depth[rng.choice(150, 15, replace=False)] *= rng.uniform(1.3, 3, 15).astype(np.float32)
    spoiled = Anchors(anchors.uv, depth, anchors.sigma)

    def error(anchors, **options):
        solved = (
            solver_of("gaussian_process", **options).solve(RelativeDepth(relative, "depth"), anchors).depth
        )
        return np.abs(solved / truth - 1).mean()

    assert error(spoiled) < error(anchors) + 0.02
    assert error(spoiled, robust="none") > 5 * error(spoiled)


def test_sigma_is_as_large_as_the_errors_and_larger_far_from_anchors():
    relative, rng = smooth_relative(), np.random.default_rng(10)
    truth = 2 * relative * np.exp(0.15 * np.sin(U / 6) * np.cos(V / 6))
    relative[:5] = np.nan
    v, u = rng.integers(5, HEIGHT, 120), rng.integers(0, WIDTH // 2, 120)
    depth = (truth[v, u] * (1 + 0.02 * rng.standard_normal(120))).astype(np.float32)
    anchors = Anchors(np.column_stack([u, v]).astype(np.float32), depth, 0.02 * depth)
    solved = solver_of("gaussian_process").solve(RelativeDepth(relative, "depth"), anchors)
    assert np.isnan(solved.sigma[:5]).all() and np.isfinite(solved.sigma[5:]).all()
    near, far = np.s_[5:, : WIDTH // 2], np.s_[5:, 3 * WIDTH // 4 :]
    within = np.abs(solved.depth - truth) <= solved.sigma
    assert 0.5 < within[near].mean() < 0.95
    assert (solved.sigma / solved.depth)[far].mean() > 2 * (solved.sigma / solved.depth)[near].mean()


def test_colour_parts_what_the_network_does_not():
    """Two halves of one relative depth: the picture shows where one ends and the other begins."""
    relative = np.ones((HEIGHT, WIDTH), np.float32)
    truth = np.where(U < 37, 2.0, 3.0)
    image = np.where(U[..., None] < 37, 40, 220).astype(np.uint8).repeat(3, axis=2)
    rng = np.random.default_rng(11)
    v, u = rng.integers(0, HEIGHT, 40), rng.integers(0, WIDTH, 40)
    anchors = Anchors(
        np.column_stack([u, v]).astype(np.float32), truth[v, u].astype(np.float32), np.full(40, 0.02)
    )
    blind, seeing = (
        solver_of("gaussian_process").solve(RelativeDepth(relative, "depth"), anchors, image=i).depth
        for i in (None, image)
    )
    assert np.abs(seeing / truth - 1).mean() < 0.75 * np.abs(blind / truth - 1).mean()


@pytest.mark.parametrize("jitter", [0.0, 0.001])
def test_a_wall_that_the_network_tilts_is_met_where_its_anchors_are(jitter):
    """All anchors at one depth, to the centimetre or nearly: what they say of the map's shape counts."""
    tilted = (1 + 0.35 * (U / WIDTH - 0.5)).astype(np.float32)
    v, u = np.random.default_rng(12).integers(0, [[HEIGHT], [WIDTH]], (2, 100))
    depth = 4 + np.random.default_rng(13).normal(0, jitter, 100)
    anchors = Anchors(np.column_stack([u, v]).astype(np.float32), depth, np.full(100, 0.02))
    solved = solver_of("gaussian_process").solve(RelativeDepth(tilted, "depth"), anchors)
    assert np.abs(solved.depth / 4 - 1).mean() < 0.02


@pytest.mark.parametrize("count", [12, 400])
def test_learned_maps_correct_what_no_anchor_sees(count):
    """The network's error is one map's shape; the anchors are in the left half."""
    depth = 2 * smooth_relative()
    shape = np.where(U % 40 < 20, -0.3, 0.3).astype(np.float32)
    relative = (depth * np.exp(shape)).astype(np.float32)
    anchors = anchors_on(depth, 2 * count)
    anchors = anchors.take(anchors.uv[:, 0] < WIDTH / 2)
    maps = np.stack([shape, np.zeros_like(shape)])
    uneven = np.where(U < WIDTH - 10, np.float32(0.1), np.float32(0.9))[None]

    def solved(**features):
        return solver_of("auto").solve(RelativeDepth(relative, "depth", features=features), anchors)

    beyond = np.s_[:, WIDTH * 3 // 4 :]
    without, found = (np.abs(np.log(solved(**f).depth / depth))[beyond].mean() for f in ({}, {"basis": maps}))
    assert without > 0.2
    assert found < 0.1
    ratio = solved(basis=maps, spread=uneven).sigma / solved(basis=maps).sigma
    assert ratio[:, -6:].mean() > 1.2 * ratio[:, WIDTH // 2 : -16].mean()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"basis": np.zeros(2)}, r"maps \(2,\); needed \(K, h, w\)"),
        ({"basis": np.zeros((0, 6, 8))}, "K above 0"),
        ({"basis": np.full((2, 6, 8), np.nan)}, "finite"),
        ({"basis": np.zeros((2, 6, 8)), "spread": np.zeros((1, 6, 8))}, "finite and positive"),
        ({"basis": np.zeros((2, 6, 8)), "spread": np.full((1, 6, 8), np.nan)}, "finite and positive"),
        ({"basis": np.zeros((2, 6, 8)), "spread": np.ones((1, 3, 4))}, r"misfit \(1, 3, 4\)"),
    ],
)
def test_learned_maps_that_cannot_be_used_are_named_unless_they_are_not_wanted(features, message):
    depth = 2 * smooth_relative()
    relative = RelativeDepth(
        depth / 2, "depth", features={n: f.astype(np.float32) for n, f in features.items()}
    )
    with pytest.raises(InputError, match=message):
        solver_of("auto").solve(relative, anchors_on(depth, 20))
    found = solver_of("auto", **{"basis.maps": "analytic"}).solve(relative, anchors_on(depth, 20))
    np.testing.assert_allclose(found.depth, depth, rtol=0.02)
    with pytest.raises(InputError, match="gives no basis maps"):
        solver_of("auto", **{"basis.maps": "learned"}).solve(
            replace(relative, features={}), anchors_on(depth, 20)
        )


def test_robust_none_believes_a_wrong_anchor():
    relative = smooth_relative()
    for n in (8, 40):
        anchors = anchors_on(2 * relative, n, sigma=0.01)
        depth = anchors.depth.copy()
        depth[3] *= 2.5
        u, v = anchors.uv[3].astype(int)
        met, doubted = (
            solver_of("gaussian_process", robust=robust)
            .solve(RelativeDepth(relative, "depth"), Anchors(anchors.uv, depth, anchors.sigma))
            .depth[v, u]
            / depth[3]
            for robust in ("none", "neighbours")
        )
        assert 0.85 < met < 1.1
        assert doubted < 0.6


def test_depth_beside_unknown_pixels_is_as_good_as_elsewhere():
    relative = smooth_relative() * np.where(V < 24, 1, 4).astype(np.float32)
    truth = 2 * relative
    anchors = anchors_on(truth, 60)
    relative[np.random.default_rng(13).random(relative.shape) < 0.5] = np.nan
    solved = solver_of("gaussian_process").solve(RelativeDepth(relative, "depth"), anchors).depth
    known = np.isfinite(relative)
    assert np.array_equal(np.isfinite(solved), known)
    assert np.abs(solved / truth - 1)[known].mean() < 0.02


def test_no_anchor_is_its_own_neighbour():
    uv = np.repeat(np.random.default_rng(14).uniform(0, 50, (20, 2)), 12, axis=0)
    assert not (nearest(uv) == np.arange(240)[:, None]).any()


def test_doubt_raises_the_noise_of_what_the_others_predict_badly():
    a = 0.1 * places(60, 15)  # close together: the others know
    values, noise = 0.1 * a[:, 0].astype(np.float64), np.full(60, 1e-4)
    values[7] += 1.5
    truth = np.where(np.arange(60) == 7, values - 1.5, values)
    plain, doubting = (GaussianProcess(COVARIANCE, a, values, noise, suspect=s) for s in (None, none(values)))
    errors = [np.abs(process.mean(a) - truth)[7] for process in (plain, doubting)]
    assert errors[1] < 0.3 * errors[0]


def test_more_anchors_than_wanted_are_thinned_out_evenly():
    relative = smooth_relative()
    anchors = anchors_on(2 * relative, 1000)
    solved = solver_of("gaussian_process", gaussian_process__most_anchors=100).solve(
        RelativeDepth(relative, "depth"), anchors
    )
    assert solved.info["anchors"] == 100
    assert np.abs(solved.depth / (2 * relative) - 1).mean() < 0.02


class Measured:
    """A process of five anchors without noise, off by 1.5, 1, 2, 3, 4 standard deviations, each of 2."""

    noise = np.zeros(5)

    def left_out(self):
        return np.array([-3.0, 2.0, 4.0, -6.0, 8.0]), np.full(5, 4.0)


@pytest.mark.parametrize(
    ("spread", "maps", "usual"), [(0.5, None, 1.2), (0.5, object(), 0.84), (0.0, None, 0.7)]
)
def test_sigma_is_scaled_by_left_out_errors_as_far_as_they_test_it(spread, maps, usual):
    """By hand: sqrt((n s^2 + 3 usual^2) / (n + 3)), s the median error; usual: 2.4 times the spread of x."""
    places = SimpleNamespace(deviation=spread, maps=maps)
    found = module._errors(places, Measured(), np.ones(5))
    s = 2 * 1.4826
    factor = ((5 * s**2 + 3 * usual**2) / 8) ** 0.5
    assert (found.factor, found.usual, found.tested) == pytest.approx((factor, usual, 1.5 * 4.0))
    variance = np.array([2.0, 10.0], np.float32)  # of 10, 4 are not tested
    squares = [factor**2 * (2 + 0.005**2), factor**2 * (6 + 0.005**2) + usual**2 * 4]
    np.testing.assert_allclose(found.sigma(variance), np.sqrt(squares), rtol=1e-5)
    few = module._errors(places, Measured(), np.array([1, 1, 0, 0, 0]))
    assert few.factor == few.usual == pytest.approx(usual)


def test_a_focused_field_is_the_mixture_of_its_two_fits():
    """Depth and sigma at the places are those of ``wrappers.focus`` for two depth maps."""
    rng = np.random.default_rng(0)
    shape, every, level = (12, 16), slice(1, None, 2), math.log(3.0)
    x, mean = rng.normal(0, 0.4, shape).astype(np.float32), rng.normal(0, 0.2, (2, *shape)).astype(np.float32)
    slope, sigma = np.array([0.2, -0.1], np.float32), rng.uniform(0.05, 0.3, (2, 6, 8)).astype(np.float32)
    places = SimpleNamespace(features=np.stack([x, x, x], axis=-1), every=every)
    given = module.Field(mean, slope, sigma, 1.0, 0)
    found = module._focused(given, places, level, Focus(3.0, 0.25))
    depth = np.exp(mean + (1 + slope[:, None, None]) * x + level)
    mask = near_mask(*depth, 3.0, 0.25)
    near, far = (MetricDepth(each, np.zeros_like(each)) for each in depth)
    expected = fused(near, far, mask).depth
    np.testing.assert_allclose(np.exp(found.mean + (1 + found.slope) * x + level), expected, rtol=1e-5)
    depth = np.exp(mean + (1 + slope[:, None, None]) * x + level)[:, every, every]
    near, far = (MetricDepth(d.copy(), s * d) for d, s in zip(depth, sigma, strict=True))
    expected = fused(near, far, mask[every, every])
    np.testing.assert_allclose(found.sigma, expected.sigma / expected.depth, rtol=1e-4)
    # Between places depth follows the map with the slope of the fit that counts there.
    part = mask * np.exp(mean[0] + 1.2 * x + level) / np.exp(found.mean + (1 + found.slope) * x + level)
    np.testing.assert_allclose(found.slope, part * 0.2 - (1 - part) * 0.1, atol=1e-5)


def test_far_from_many_anchors_sigma_is_as_large_as_from_few():
    """500 anchors on the left say nothing of the right."""
    relative = smooth_relative()
    anchors = anchors_on(2 * relative, 1500)
    left = anchors.take(anchors.uv[:, 0] < WIDTH / 3)
    solved = solver_of("gaussian_process").solve(RelativeDepth(relative, "depth"), left)
    assert len(left) > 400
    told = solved.sigma / solved.depth
    assert np.median(told[:, -WIDTH // 3 :]) > 5 * np.median(told[:, : WIDTH // 3])
    assert np.median(told[:, -8:]) > 0.1

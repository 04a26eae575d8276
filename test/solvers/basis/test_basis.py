"""The solver basis: fields that are sums of maps, learned or analytic, with their sigma."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from made_scenes import HEIGHT, WIDTH, U, V, anchors_on, smooth_relative, solver_of

from metric_depth_ros.config import Config, from_flat, updated
from metric_depth_ros.engines import BUNDLED_WITH_BASIS
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.basis_spectrum import (
    affine_field,
    expansion,
    represented,
    spectrum,
    summarised,
)
from metric_depth_ros.evaluation.metrics import abs_rel, sigma_coverage
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.solvers import build_solver
from metric_depth_ros.solvers.basis.fit import fit_robust, with_offset
from metric_depth_ros.solvers.basis.maps import analytic_maps, find_maps, with_local_maps
from metric_depth_ros.solvers.fitting.basis_maps import Maps
from metric_depth_ros.types import Anchors, RelativeDepth, SolverInput

K = 4
ALONE = {"basis.local_columns": 0}  # the maps that are given, no others


def made_maps(seed=0, count=K, shape=(HEIGHT // 4, WIDTH // 4)):
    """Smooth maps at a quarter of the size, the first about 1 / K as a gate would be."""
    rng = np.random.default_rng(seed)
    maps = [
        cv2.resize(rng.normal(0, 0.3, (3, 4)), shape[::-1], interpolation=cv2.INTER_CUBIC)
        for _ in range(count)
    ]
    maps[0] = 1 / count + 0.02 * maps[0]
    return np.stack(maps).astype(np.float32)


def learned(maps, spread=0.05, kind="depth"):
    features = {"basis": maps, "spread": np.full((1, *maps.shape[1:]), spread, np.float32)}
    return RelativeDepth(smooth_relative(), kind, features=features)


def truth_of(maps, weights, offset=0.7):
    """Depth whose log scale is the offset and the weighted maps, enlarged."""
    field = np.tensordot(np.asarray(weights, np.float32), maps, axes=1)
    return smooth_relative() * np.exp(offset + cv2.resize(field, (WIDTH, HEIGHT)))


WEIGHTS = (0.4, -0.8, 0.5, 0.3)


def test_a_field_within_the_maps_is_found():
    maps = made_maps()
    truth = truth_of(maps, WEIGHTS)
    result = solver_of("basis", **ALONE, **{"basis.ridge": 1e-6}).solve(learned(maps), anchors_on(truth, 150))
    np.testing.assert_allclose(result.depth, truth, rtol=3e-3)
    assert result.info["maps"] == "learned"


def test_the_paper_s_is_equation_15():
    maps = made_maps()
    truth, relative = truth_of(maps, WEIGHTS), learned(maps)
    anchors = anchors_on(truth, 30)
    depth = solver_of("paper_basis").solve(relative, anchors).depth
    full = np.stack([cv2.resize(m, (WIDTH, HEIGHT)) for m in maps])
    u, v = anchors.uv.astype(int).T
    M, y = full[:, v, u].T, np.log(anchors.depth) - np.log(relative.values[v, u])
    w = np.linalg.solve(M.T @ M + 1e-3 * np.eye(K), M.T @ y)
    np.testing.assert_allclose(depth, relative.values * np.exp(np.tensordot(w, full, axes=1)), rtol=1e-3)
    assert solver_of("paper_basis").solve(relative, anchors).sigma is None


@pytest.mark.parametrize("scale", [0.01, 1, 100])
def test_one_anchor_gives_the_global_scale_whatever_the_maps(scale):
    relative = learned(made_maps())
    depth = solver_of("basis").solve(relative, anchors_on(relative.values * scale, 1)).depth
    np.testing.assert_allclose(depth, relative.values * scale, rtol=1e-4)


def test_the_offset_is_free_and_the_ridge_holds_the_weights():
    """By hand: anchors at +a and -a of one map; w = sum(E y) / (sum(E E) + ridge), in weights of one."""
    rows = with_offset(np.array([[1.0], [-1.0], [1.0], [-1.0]]))
    target = 5 + np.array([0.3, -0.3, 0.3, -0.3])
    found = fit_robust(rows, target, np.full(4, 0.05**2), 0.5, robust=False).posterior
    np.testing.assert_allclose(found.coefficients, [5, 4 * 0.3 / 4.5], rtol=1e-6)
    np.testing.assert_allclose(found.covariance, np.diag([1 / 4, 1 / 4.5]), rtol=1e-6, atol=1e-9)


def plain_robust(rows, target, variance, ridge):
    """The two rounds of ``fit_robust`` in plain algebra: coefficients, covariance, who is kept, the scale."""
    penalty = np.diag([1e-9] + [ridge] * (rows.shape[1] - 1))
    base, few = 0.05**2 / variance, len(target) < 4 * rows.shape[1]

    def solved(weight):
        covariance = np.linalg.inv(rows.T @ (weight[:, None] * rows) + penalty)
        coefficients = covariance @ (rows.T @ (weight * target))
        free = np.maximum(1 - weight * np.einsum("nk,kl,nl->n", rows, covariance, rows), 1e-3)
        return coefficients, covariance, (target - rows @ coefficients) ** 2 / variance, free

    apart = ((rows[:, 1:] - rows[:, 1:].mean(axis=0)) ** 2).sum(axis=1)
    square = (target - np.median(target)) ** 2 / (variance + 0.05**2 / ridge * apart)
    _, _, square, free = solved(base * (1 + square / 6) ** -2)
    square = square / free if few else square
    weight = base * (1 + square / max(1, 1.4826**2 * np.median(square)) / 6) ** -2
    coefficients, covariance, square, free = solved(weight)
    kept = weight > 0.1 * base
    usual = 1.4826**2 * np.median((square / free)[kept])
    scale = np.sqrt((kept.sum() * usual + 10) / (kept.sum() + 10))
    return coefficients, covariance, kept.sum(), scale


@pytest.mark.parametrize(("count", "noise"), [(12, 0.05), (60, 0.05), (60, 0.2)])
def test_the_robust_fit_is_two_rounds_of_reweighting(count, noise):
    rng = np.random.default_rng(4)
    rows = with_offset(rng.normal(0, 0.3, (count, 4)))
    target = rows @ [0.7, 0.5, -0.8, 0.3, 0.1] + rng.normal(0, noise, count)
    target[: count // 6] += rng.uniform(0.4, 1.5, count // 6)
    variance = rng.uniform(0.03, 0.07, count) ** 2
    fit = fit_robust(rows, target, variance, 1e-3)
    coefficients, covariance, kept, scale = plain_robust(rows, target, variance, 1e-3)
    np.testing.assert_allclose(fit.posterior.coefficients, coefficients, rtol=1e-6)
    np.testing.assert_allclose(fit.posterior.covariance, covariance, rtol=1e-5, atol=1e-9)
    assert fit.kept == kept < count and fit.scale == pytest.approx(scale, rel=1e-6)


def test_two_anchors_are_believed_as_they_are():
    rows, target = with_offset(np.array([[0.1], [0.2]])), np.array([0.0, 3.0])
    fit = fit_robust(rows, target, np.full(2, 0.05**2), 1e-3)
    plain = fit_robust(rows, target, np.full(2, 0.05**2), 1e-3, robust=False)
    np.testing.assert_array_equal(fit.posterior.coefficients, plain.posterior.coefficients)
    assert fit.kept == 2 and fit.scale == 1


def test_a_gross_outlier_in_ten_hardly_moves_the_depth():
    maps, rng = made_maps(), np.random.default_rng(0)
    truth, relative = truth_of(maps, WEIGHTS), learned(maps)
    rough = truth * np.exp(rng.normal(0, 0.05, truth.shape))
    clean = anchors_on(rough, 100)
    depth = clean.depth.copy()
    depth[::10] *= np.where(rng.random(10) < 0.5, 2.5, 0.4)
    wrong = Anchors(clean.uv, depth, clean.sigma)
    error, plain, trusting = (
        abs_rel(solver_of("basis", **ALONE, **options).solve(relative, anchors).depth, rough)
        for anchors, options in ((wrong, {}), (clean, {}), (wrong, {"robust": "none"}))
    )
    assert error < 1.1 * plain
    assert trusting > 1.2 * plain
    assert solver_of("basis").solve(relative, wrong).info["rejected"] >= 9


def test_sigma_covers_what_it_says_where_the_model_holds():
    inside = []
    for seed in range(12):
        maps, rng = made_maps(seed), np.random.default_rng(seed)
        truth = truth_of(maps, rng.normal(0, 1, K)) * np.exp(rng.normal(0, 0.1, (HEIGHT, WIDTH)))
        result = solver_of("basis", **ALONE).solve(
            learned(maps, spread=0.1), anchors_on(truth, 25, seed=seed)
        )
        inside.append(sigma_coverage(result.depth, truth, result.sigma))
    assert np.mean(inside) == pytest.approx(0.68, abs=0.08)


def test_sigma_grows_where_no_anchor_tells_a_weight():
    left = np.where(np.arange(WIDTH // 4) < WIDTH // 8, 0, 1.0)
    maps = np.stack([np.full((HEIGHT // 4, WIDTH // 4), 0.5), np.tile(left, (HEIGHT // 4, 1))]).astype(
        np.float32
    )
    relative = learned(maps)
    anchors = anchors_on(relative.values * 2, 60)
    anchors = anchors.take(anchors.uv[:, 0] < WIDTH // 2 - 4)
    result = solver_of("basis", **ALONE).solve(relative, anchors)
    share = result.sigma / result.depth
    assert share[:, -10:].min() > 3 * share[:, :10].max()


def test_learned_maps_that_are_wanted_and_missing_are_an_error():
    plain = RelativeDepth(smooth_relative(), "depth")
    anchors = anchors_on(plain.values, 5)
    with pytest.raises(InputError, match=r"no basis maps.* Set solver.basis.maps to auto"):
        solver_of("basis", **{"basis.maps": "learned"}).solve(plain, anchors)
    flat = RelativeDepth(plain.values, "depth", features={"basis": np.zeros((4, 4), np.float32)})
    with pytest.raises(InputError, match=r"maps \(4, 4\)"):
        solver_of("basis").solve(flat, anchors)
    assert solver_of("basis").solve(plain, anchors).info["maps"] == "analytic"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("paper_basis", r"small_depth_paper_basis.yaml.*--as-published"), ("basis", r"small_depth_basis.yaml"),
     ("gaussian_process", r"small_depth_basis.yaml")],
)  # fmt: skip
def test_the_error_names_network_default_and_training(name, wanted):
    """paper_basis takes no other maps, and says which network has them."""
    relative = RelativeDepth(smooth_relative(), "depth", network="theirs")
    given = SolverInput(relative, anchors_on(relative.values, 5))
    told = {} if name == "paper_basis" else {"solver.basis.maps": "learned"}
    solver = build_solver(from_flat({"solver.name": name, **told}).solver)
    with pytest.raises(InputError, match=rf"{name}: theirs gives no basis maps.*{wanted}"):
        solver.solve(given)


def test_analytic_maps_follow_depth_and_place():
    plain = RelativeDepth(smooth_relative(), "depth")
    log = np.log(plain.values)
    truth = plain.values * np.exp(0.5 * (log - log.mean()) + 0.2 * U / WIDTH - 0.3 * V / HEIGHT)
    anchors = anchors_on(truth, 60)
    error = abs_rel(solver_of("basis").solve(plain, anchors).depth, truth)
    scale = abs_rel(solver_of("median").solve(plain, anchors).depth, truth)
    assert error < 0.2 * scale


def test_learned_maps_can_be_left_aside_and_need_no_misfit():
    relative = learned(made_maps())
    anchors = anchors_on(relative.values, 20)
    solved = solver_of("basis", **{"basis.maps": "analytic"}).solve(relative, anchors)
    assert solved.info["maps"] == "analytic"
    alone = replace(relative, features={"basis": relative.features["basis"]})
    assert (find_maps(alone, alone.values, None, "learned").misfit == np.float32(0.1)).all()


def test_analytic_maps_are_products_of_log_depth_and_place():
    """Each with a prior deviation of 0.16 times 0.7; the soft regions share twice 0.16."""
    depth = smooth_relative()
    depth[:4, :5] = np.nan
    maps = analytic_maps(depth, None)
    x = np.log(depth)
    x = np.nan_to_num(x - np.nanmedian(x))
    u, v = np.broadcast_arrays(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT)[:, None])
    products = [np.ones_like(x), x, u, v, x * x, x * u, x * v, u * v, u * u, v * v]
    np.testing.assert_allclose(maps.values[:10], 0.16 * 0.7 * np.stack(products), atol=1e-6)
    np.testing.assert_allclose(maps.values[10:].sum(axis=0), 0.16 * 2, rtol=1e-5)
    assert maps.count == 18 and (maps.misfit == np.float32(0.1)).all()


def test_soft_regions_are_shares():
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, WIDTH // 2 :] = 255
    maps = analytic_maps(smooth_relative(), image).values[-8:]
    total = maps.sum(axis=0)
    np.testing.assert_allclose(total, total[0, 0], rtol=1e-5)
    halves = maps[:, :, : WIDTH // 2].mean(axis=(1, 2)), maps[:, :, WIDTH // 2 :].mean(axis=(1, 2))
    assert np.abs(halves[0] - halves[1]).sum() > 1.5 * total[0, 0]


@pytest.mark.parametrize("shape", [(6, 8), (1, 8), (6, 1)])
def test_rows_are_those_of_the_enlarged_maps(shape):
    values = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    maps = Maps(values, values[0] ** 2, "learned")
    v, u = (x.ravel() for x in np.mgrid[0:48, 0:64])
    rows, spread = maps.at(np.column_stack([u, v]).astype(np.float32), (64, 48))
    for k in range(3):
        np.testing.assert_allclose(rows[:, k].reshape(48, 64), cv2.resize(values[k], (64, 48)), atol=1e-5)
    np.testing.assert_allclose(spread.reshape(48, 64), cv2.resize(values[0] ** 2, (64, 48)), atol=1e-5)


def test_local_maps_are_gaussians_on_square_cells_wherever_they_are_asked_for():
    values = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
    maps = with_local_maps(Maps(values, values[0] ** 2, "learned"), 4)
    full = np.stack([maps.field(row) for row in np.eye(maps.count, dtype=np.float32)])
    assert len(full) == 2 + 3 * 4
    np.testing.assert_array_equal(full[:2], values)
    for k, (i, j) in enumerate(np.ndindex(3, 4)):  # cells of two places, each of which is half a cell
        v, u = np.mgrid[0:6, 0:8] / 2 + 0.25
        bump = 0.08 * np.exp(-((u - j - 0.5) ** 2 + (v - i - 0.5) ** 2) / (2 * 0.6**2))
        np.testing.assert_allclose(full[2 + k], bump, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(maps.thinned(4), full[:, ::4, ::4], rtol=1e-6)
    v, u = (x.ravel() for x in np.mgrid[0:48, 0:64])
    rows, _ = maps.at(np.column_stack([u, v]).astype(np.float32), (64, 48))
    for k in range(maps.count):
        np.testing.assert_allclose(rows[:, k].reshape(48, 64), cv2.resize(full[k], (64, 48)), atol=1e-5)


def test_the_fit_is_least_squares_in_double_precision():
    """However far the target is from zero, and where rounding leaves a system that is not definite."""
    rng = np.random.default_rng(0)
    rows = with_offset(rng.normal(0, 0.2, (60, 12)).astype(np.float32))
    target, variance = 20 + rng.normal(0, 0.1, 60), rng.uniform(0.01, 0.03, 60)
    weight, penalty = 0.05**2 / variance, np.diag([0.0] + 12 * [1e-3])
    system = rows.T.astype(np.float64) @ (rows * weight[:, None]) + penalty
    found = fit_robust(rows, target, variance, 1e-3, robust=False).posterior
    np.testing.assert_allclose(
        found.coefficients, np.linalg.solve(system, rows.T @ (weight * target)), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(found.covariance, np.linalg.inv(system), rtol=1e-3, atol=1e-3)
    twice = np.column_stack([rows, rows[:, 1:]])  # singular but for a ridge below the rounding
    again = fit_robust(twice, target, variance, 1e-9).posterior
    np.testing.assert_allclose(
        again.at(twice), fit_robust(rows, target, variance, 1e-9).posterior.at(rows), atol=0.02
    )


def test_spread_residuals_honour_the_anchors():
    maps = made_maps()
    bump = 0.3 * np.exp(-((U - 20) ** 2 + (V - 30) ** 2) / 40)
    truth, relative = truth_of(maps, WEIGHTS) * np.exp(bump), learned(maps)
    anchors = anchors_on(truth, 300)
    plain, spread = (
        solver_of("basis", **ALONE, residuals=how).solve(relative, anchors).depth
        for how in ("keep", "spread")
    )
    assert abs_rel(spread, truth) < 0.6 * abs_rel(plain, truth)


def test_local_maps_follow_what_is_wrong_in_one_place():
    maps = made_maps()
    bump = 0.3 * np.exp(-((U - 20) ** 2 + (V - 30) ** 2) / 100)
    truth, relative = truth_of(maps, WEIGHTS) * np.exp(bump), learned(maps)
    anchors = anchors_on(truth, 150)
    plain, local = (solver_of("basis", **{"basis.local_columns": n}).solve(relative, anchors) for n in (0, 7))
    assert abs_rel(local.depth, truth) < 0.5 * abs_rel(plain.depth, truth)
    assert len(local.info["weights"]) == len(plain.info["weights"]) + 7 * 5


# ---- around it -------------------------------------------------------------------------------


def test_the_package_s_network_comes_with_maps_where_the_solver_wants_them():
    config = updated(Config(), {"solver.name": "median"})
    assert engine_for(config) == config.engine
    basis = updated(config, {"solver.name": "basis"})
    for name, file in BUNDLED_WITH_BASIS.items():
        wanted = updated(config, {"solver.name": name})
        assert engine_for(wanted).manifest.endswith(file)
        assert engine_for(updated(wanted, {"engine.manifest": "small"})).manifest.endswith(file)
    tiny = updated(basis, {"engine.manifest": "tiny"})  # it has no generator: maps are analytic
    assert engine_for(tiny) == tiny.engine
    assert engine_for(updated(basis, {"solver.basis.maps": "analytic"})) == config.engine
    mine = updated(basis, {"engine.manifest": "mine.yaml"})
    assert engine_for(mine).manifest == "mine.yaml"


def test_the_spectrum_by_hand():
    maps = np.zeros((2, 1, 2), np.float32)
    maps[0] = [[0.2, 0.4]]
    # M^T M = diag(4, 1): leading eigenvector (1, 0), 4 / 5 of the energy.
    one = spectrum(maps, np.array([[2.0, 0], [0, 1.0]]), np.array([3.0, 4.0]))
    assert one.eta1 == pytest.approx(0.8) and one.similarity == pytest.approx(1)
    assert one.leading == total_leading(one) == pytest.approx(9 / 25)
    assert one.gate == pytest.approx(0.3) and one.gate_square == pytest.approx(0.1)
    total = summarised([one, one])
    assert total.gate_mean == pytest.approx(0.3) and total.gate_variance == pytest.approx(0.01)
    assert spectrum(maps, np.array([[0, 3.0]]), np.ones(1)).similarity == pytest.approx(0)


def total_leading(one):
    return summarised([one, one]).leading


@pytest.mark.parametrize(("n", "k"), [(12, 8), (5, 8), (1, 3)])
def test_the_anchors_signal_in_the_eigenbasis_is_equations_21_to_23(n, k):
    rng = np.random.default_rng(n)
    rows, y = rng.normal(0, 0.3, (n, k)), rng.normal(1, 0.3, n)
    found = expansion(rows, y)
    C = rows @ rows.T
    values, U = np.linalg.eigh(C)
    values, U = values[::-1], U[:, ::-1]
    count = min(n, k)
    np.testing.assert_allclose(found.eigenvalues, values[:count], rtol=1e-8)
    np.testing.assert_allclose(C @ found.vectors, found.vectors * found.eigenvalues, atol=1e-9)
    alpha = U.T @ y
    np.testing.assert_allclose(np.abs(found.coefficients), np.abs(alpha[:count]), rtol=1e-6)
    np.testing.assert_allclose(found.rest, (alpha[count:] ** 2).sum(), atol=1e-9)
    assert found.leading == pytest.approx(alpha[0] ** 2 / (y @ y))
    # Equation 23, with what no eigenvector of a positive eigenvalue holds.
    left = y - found.vectors @ found.coefficients
    assert left @ left == pytest.approx(found.rest, abs=1e-9)
    assert np.isnan(expansion(rows, np.zeros(n)).leading)


def test_an_affine_model_is_a_log_scale_field():
    """Equation 20: D exp(l*) is s D + t, whether s and t are of the map or of each pixel."""
    D = smooth_relative().astype(np.float64)
    s, t = 0.7 + 0.2 * U / WIDTH, 0.5 - 0.3 * V / HEIGHT
    for scale, shift in ((1.7, 0.4), (s, t), (0.0, t)):
        np.testing.assert_allclose(D * np.exp(affine_field(D, scale, shift)), scale * D + shift, rtol=1e-12)
    np.testing.assert_allclose(affine_field(D, 2.5, 0.0), np.log(2.5))
    field = affine_field(np.array([1.0, 2.0, np.nan, 0.0]), 1.0, -1.5)  # not positive at D = 1
    assert np.isnan(field).tolist() == [True, False, True, True]
    assert field[1] == pytest.approx(np.log(0.25))


def test_maps_follow_the_fields_in_their_span_and_no_others():
    D = smooth_relative()
    field = affine_field(D, 1.3, 0.8)
    ones = np.ones_like(D)
    span = np.stack([ones, field, U / WIDTH]).astype(np.float32)
    assert represented(span, 3 + 2 * field) == pytest.approx(1, abs=1e-5)
    across = np.sin(U * V)
    across -= across.mean()
    assert represented(ones[None], across) == pytest.approx(0, abs=1e-6)
    half = field.copy()
    half[: HEIGHT // 2] = np.nan
    assert represented(span, half) == pytest.approx(1, abs=1e-5)
    rounded = np.float32(2) + np.float32(1e-6) * np.random.default_rng(0).standard_normal(D.shape)
    assert np.isnan(represented(span, rounded))
    assert np.isnan(represented(span, np.full_like(D, np.nan)))


def test_the_paper_s_default_network_does_not_depend_on_the_setting_of_maps():
    config = updated(Config(), {"solver.name": "paper_basis", "solver.basis.maps": "analytic"})
    assert engine_for(config).manifest.endswith(BUNDLED_WITH_BASIS["paper_basis"])

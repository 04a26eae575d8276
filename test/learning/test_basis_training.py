"""Generators of basis maps: regimes and losses by hand, caches, runs that can be cut off, their export."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")

import torch
from conftest import write_toy_model
from made_data import write_shards

from metric_depth_ros.cli.main import main
from metric_depth_ros.config import EngineConfig
from metric_depth_ros.datasets import ShardFrames, open_dataset
from metric_depth_ros.depth import positive_depth
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import FileManifest, load_manifest
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.evaluation.regimes import drop_closest, grid_places, regime_places
from metric_depth_ros.learning.export.basis import _source, export_basis
from metric_depth_ros.learning.export.description import write_manifest
from metric_depth_ros.learning.export.files import Wanted
from metric_depth_ros.learning.models.basis_generator import (
    BasisGenerator,
    BasisGeneratorConfig,
    FusedGenerator,
)
from metric_depth_ros.learning.training.basis import losses
from metric_depth_ros.learning.training.basis.batch import make_basis_batch
from metric_depth_ros.learning.training.basis.cache import BasisCache, _picked, depth_grid, write_cache
from metric_depth_ros.learning.training.basis.draw import REGIME_NAMES, draw_anchors
from metric_depth_ros.learning.training.basis.settings import BasisSettings
from metric_depth_ros.learning.training.basis.trainer import (
    BasisTrainer,
    load_generator,
)
from metric_depth_ros.solvers.basis.fit import fit_paper, fit_robust, with_offset
from metric_depth_ros.types import RelativeDepth
from metric_depth_synthetic.photography import encode_jpeg
from metric_depth_synthetic.shard_writer import ShardWriter

# ---- anchors ---------------------------------------------------------------------------------


def test_a_grid_of_candidates_is_shifted_to_what_is_known():
    known = np.zeros((6, 8), bool)
    known[:, :4] = True
    rng = np.random.default_rng(0)
    # 4 x 3 candidates at columns 1, 3, 5, 7 and rows 1, 3, 5: the last two come to column 3 and near.
    places = grid_places(known, 12, rng)
    assert {9, 11, 25, 27, 41, 43} < {*places.tolist()}
    assert len(np.unique(places)) == 12 and known.ravel()[places].all()
    assert len(grid_places(np.ones((60, 80), bool), 12, rng)) == 12
    assert not len(grid_places(np.zeros((6, 8), bool), 12, rng))


@pytest.mark.parametrize(
    ("regime", "fewest", "most"), [("low", 10, 15), ("medium", 100, 120), ("high", 500, 530)]
)
def test_a_regime_has_as_many_anchors_as_the_paper_says(regime, fewest, most):
    known = np.ones((24, 32), bool)
    counts = {len(regime_places(known, regime, np.random.default_rng(seed))) for seed in range(200)}
    assert counts == {*range(fewest, most + 1)}


def test_the_anchor_closest_to_any_other_goes_first():
    uv = np.array([[0, 0], [1, 0], [10, 0], [14, 0], [30, 0]])
    # 0 and 1 are closest, and 1 is nearer to its next. Then 10 and 14: 10's next is 10 away, 14's 14.
    assert drop_closest(uv, 4).tolist() == [0, 2, 3, 4]
    assert drop_closest(uv, 3).tolist() == [0, 3, 4]
    assert len(drop_closest(uv, 1)) == 1


@pytest.mark.parametrize("regime", REGIME_NAMES)
def test_anchors_are_drawn_where_depth_is_known(regime):
    known = np.random.default_rng(0).random((40, 60)) < 0.5
    for seed in range(20):
        drawn = draw_anchors(known, regime, np.random.default_rng(seed))
        assert len(drawn.place) >= 1 and known.ravel()[drawn.place].all()
        assert len(np.unique(drawn.place)) == len(drawn.place)
        if regime != "mixed":
            assert not drawn.error.any() and not drawn.sigma.any()


def test_mixed_draws_go_from_one_anchor_to_two_thousand():
    known = np.ones((60, 80), bool)
    counts = [len(draw_anchors(known, "mixed", np.random.default_rng(seed)).place) for seed in range(300)]
    assert min(counts) == 1 and 1500 < max(counts) <= 2000


def test_mixed_draws_have_noise_of_up_to_4_percent_and_half_of_them_up_to_12_percent_of_outliers():
    known = np.ones((60, 80), bool)
    drawn = [draw_anchors(known, "mixed", np.random.default_rng(seed)) for seed in range(600)]
    drawn = [one for one in drawn if len(one.place) >= 100]
    stated = np.array([one.sigma[0] for one in drawn])
    assert stated.min() == 0.02 and 0.039 < stated.max() <= 0.04
    gross = [np.abs(one.error) > 0.17 for one in drawn]
    units = [(one.error / one.sigma)[~g] for one, g in zip(drawn, gross, strict=True) if one.sigma[0] > 0.02]
    assert np.concatenate(units).std() == pytest.approx(1, abs=0.02)
    share = np.array([g.mean() for g in gross])
    assert (share > 0.002).mean() == pytest.approx(0.5, abs=0.1)
    assert share.max() < 0.16 and share[share > 0.002].mean() == pytest.approx(0.06, abs=0.01)
    # Times 1.2 to 4, or 0.25 to 0.8, one as often as the other.
    factor = np.exp(np.concatenate([o.error[g] for o, g in zip(drawn, gross, strict=True)]))
    assert (factor > 1).mean() == pytest.approx(0.5, abs=0.03)
    assert factor[factor > 1].mean() == pytest.approx(2.6, abs=0.06)
    assert factor[factor < 1].mean() == pytest.approx(0.525, abs=0.01)


# ---- losses ----------------------------------------------------------------------------------


def tensor(values):
    return torch.tensor(values, dtype=torch.float32)


def test_the_losses_by_hand():
    known = torch.tensor([[True, True, False]])
    # SmoothL1 with beta 1: 0.5 * 0.5^2 and 2 - 0.5; NaN truth does not count.
    dense = losses.dense_loss(tensor([[0.5, 2.0, 9.0]]), tensor([[0.0, 0.0, np.nan]]), known, 1.0)
    assert dense == pytest.approx((0.125 + 1.5) / 2)
    # Equation 25: anchors at the first two.
    anchor = losses.anchor_loss(tensor([[1.0, 2, 3]]), tensor([[0.0, 0, 0]]), tensor([[1.0, 1, 0]]))
    assert anchor == pytest.approx((1 + 4) / 2)
    # Equation 26, K = 2: cosine of (1, 0) and (1, 1) is 1 / sqrt 2, twice, over K (K - 1) = 2.
    assert losses.decorrelation_loss(tensor([[[1.0, 0], [1, 1]]])) == pytest.approx(0.5)
    # Equation 27: even gates have the least, - ln K; a sure gate 0.
    gates = tensor([[[0.5, 1.0], [0.5, 0.0]]])
    assert losses.gate_loss(gates) == pytest.approx(-np.log(2) / 2)
    # Equation 27 as printed: the sum over the pixels for which these two stand.
    assert losses.gate_loss(gates, pixels=2) == pytest.approx(-np.log(2))


def problem(seed=0, k=3, n=40):
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 0.3, (n, k))
    return rows, 1.2 + rows @ rng.normal(0, 1, k) + rng.normal(0, 0.02, n)


def test_outliers_are_not_to_be_met():
    """Off the truth by .15 or more in log depth; where the truth is unknown every anchor counts."""
    anchor = torch.tensor([[1.0, 1.0, 1.0, 0.0, 1.0]])
    truth = torch.zeros(1, 5)
    target = torch.tensor([[0.14, 0.16, -0.16, 0.0, 3.0]])
    known = torch.tensor([[True, True, True, True, False]])
    assert losses.without_outliers(anchor, target, truth, known).tolist() == [[1, 0, 0, 0, 1]]


def test_the_solves_in_the_graph_are_those_of_the_solver():
    rows, y = problem()
    basis, target = tensor(rows.T[None]), tensor(y[None])
    everywhere = torch.ones_like(target)
    paper = losses.solve_faithfully(basis, target, everywhere)
    np.testing.assert_allclose(
        paper.field[0], fit_paper(rows, y, losses.RIDGE).at(with_offset(rows)), rtol=1e-3
    )
    leverage = fit_paper(rows, y, losses.RIDGE).leverage(with_offset(rows))
    np.testing.assert_allclose(paper.variance[0], 0.05**2 * leverage, rtol=1e-3)
    ours = losses.solve_robustly(basis, target, torch.full_like(target, 0.03**2), everywhere)
    fit = fit_robust(with_offset(rows), y, np.full(len(y), 0.03**2), losses.RIDGE)
    np.testing.assert_allclose(ours.field[0], fit.posterior.at(with_offset(rows)), atol=2e-3)
    variance = losses.UNIT_MISFIT**2 * fit.posterior.leverage(with_offset(rows))
    np.testing.assert_allclose(ours.variance[0], variance, rtol=0.05)


def test_an_outlier_has_little_say_in_the_graph():
    rows, y = problem()
    wrong = y.copy()
    wrong[:3] += 1
    right, found = (
        losses.solve_robustly(
            tensor(rows.T[None]), tensor(t[None]), torch.full((1, 40), 0.03**2), torch.ones(1, 40)
        ).field
        for t in (y, wrong)
    )
    assert (right - found).abs().max() < 0.03


@pytest.mark.parametrize("solve", ["faithful", "robust"])
def test_gradients_go_through_the_solve(solve):
    rows, y = problem(n=12)
    target = torch.tensor(y[None])
    anchor = torch.ones_like(target)
    weights = torch.linspace(0.5, 1.5, 12, dtype=torch.float64)

    def field(basis):
        if solve == "faithful":
            return (losses.solve_faithfully(basis, target, anchor).field * weights).sum()
        # Without outliers all weights are nearly one and hardly move.
        return (
            losses.solve_robustly(basis, target, torch.full_like(target, 4.0), anchor).field * weights
        ).sum()

    basis = torch.tensor(rows.T[None], requires_grad=True)
    field(basis).backward()
    step = torch.zeros_like(basis)
    step[0, 1, 4] = 1e-5
    with torch.no_grad():
        slope = (field(basis + step) - field(basis - step)) / 2e-5
    assert float(basis.grad[0, 1, 4]) == pytest.approx(float(slope), rel=5e-2)


# ---- generator -------------------------------------------------------------------------------


def generator(maps=5, features=2):
    torch.manual_seed(0)
    return BasisGenerator(BasisGeneratorConfig(maps=maps, features=features, width=8, deep=8)).eval()


def test_the_first_map_is_its_gate_and_gates_share():
    x = torch.randn(2, 1, 12, 16)
    network = generator()
    torch.nn.init.normal_(network.gates.weight)
    with torch.inference_mode():
        basis, gates, spread = network(torch.randn(2, 2, 12, 16), x)
    assert basis.shape == gates.shape == (2, 5, 12, 16) and spread.shape == (2, 1, 12, 16)
    torch.testing.assert_close(gates.sum(1), torch.ones(2, 12, 16))
    torch.testing.assert_close(basis[:, 0], gates[:, 0])
    assert (gates >= 0).all() and (spread > 0).all() and gates.std() > 0.01


def test_the_generator_reads_features_and_gradients_of_log_depth():
    network = generator()
    x = torch.randn(1, 1, 6, 8)
    cues = network.cues(torch.randn(1, 2, 6, 8), x)
    assert cues.shape == (1, 7, 6, 8)
    assert cues[0, 3, 2, 3] == pytest.approx(float(x[0, 0, 2, 4] - x[0, 0, 2, 2]) / 2)
    assert cues[0, 4, 2, 3] == pytest.approx(float(x[0, 0, 3, 3] - x[0, 0, 1, 3]) / 2)
    assert cues[0, 5, 0, 0] == -1 and cues[0, 6, -1, -1] == 1
    assert generator(features=0).cues(torch.zeros(1, 0, 6, 8), x).shape == (1, 5, 6, 8)


def test_features_begin_without_a_say_and_learn_one():
    network, x = generator(), torch.randn(1, 1, 12, 16)
    some, other = torch.randn(2, 1, 2, 12, 16)
    torch.testing.assert_close(network(some, x)[0], network(other, x)[0])
    network(some, x)[0].square().sum().backward()
    assert network.mix.weight.grad[:, :2].abs().max() > 0


@pytest.mark.parametrize("kind", ["inverse_depth", "depth"])
@pytest.mark.parametrize("low", [-1.0, 0.5])
def test_the_fused_graph_makes_depth_positive_as_the_package_does(kind, low):
    if kind == "depth":
        low = 0.5
    values = np.random.default_rng(0).uniform(low, 3, (12, 16)).astype(np.float32)
    found = FusedGenerator(generator(), kind, (12, 16))._log_depth(torch.from_numpy(values)[None, None])
    wanted = np.log(positive_depth(RelativeDepth(values, kind)))
    np.testing.assert_allclose(found[0, 0].numpy(), wanted - np.median(wanted), atol=2e-3)


# ---- caches and runs -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A network without features."""
    return write_toy_model(tmp_path_factory.mktemp("toy_basis"), width=64, height=48)


@pytest.fixture(scope="module")
def cache(tmp_path_factory, engine):
    folder = tmp_path_factory.mktemp("cache")
    shards = write_shards(tmp_path_factory.mktemp("shards"), count=400)
    done = list(write_cache([shards], EngineConfig(manifest=str(engine)), folder, count=400))
    assert done[-1] == 400
    return BasisCache(folder)


def test_a_cache_holds_what_the_network_says(cache, tmp_path):
    assert (cache.info.width, cache.info.height, cache.info.channels) == (16, 12, 0)
    assert len(cache) + len(cache.validation) == 400 and len(cache.validation) == 8
    assert set(cache.info.families) == {"room", "street"} and len(np.unique(cache.family)) == 2
    features, log_relative, log_depth = cache.read(np.arange(4))
    assert features.shape == (4, 0, 12, 16) and log_relative.shape == log_depth.shape == (4, 12, 16)
    assert np.isfinite(log_relative).all()
    known = np.isfinite(log_depth)
    assert 0.5 < known.mean() <= 1 and (np.exp(log_depth[known]) < 20).all()
    with pytest.raises(InputError, match="no whole cache"):
        BasisCache(tmp_path)


def test_pictures_to_train_on_are_varied_and_those_for_validation_are_not(tmp_path, engine):
    shards, told = write_shards(tmp_path / "shards", count=120), EngineConfig(manifest=str(engine))
    caches = []
    for augment in (True, False):
        folder = tmp_path / f"cache_{augment}"
        done = list(write_cache([shards], told, folder, count=119, augment=augment))
        assert done == [*range(2, 119, 2), 119]
        caches.append(BasisCache(folder))
    varied, plain = (np.nan_to_num(cache.read(np.arange(119))[2]) for cache in caches)
    same = (varied == plain).all(axis=(1, 2))
    assert np.flatnonzero(same).tolist() == [*caches[0].validation] and len(caches[0].validation) == 2
    with pytest.raises(InputError, match="no picture to train on"):
        list(write_cache([], told, tmp_path / "none", count=2))


def test_features_are_stored_to_a_step_of_eight_bits(tmp_path):
    shards = write_shards(tmp_path / "shards", (0,), count=4)
    list(write_cache([shards], EngineConfig(), tmp_path / "cache", count=4, augment=False, threads=1))
    cache = BasisCache(tmp_path / "cache")
    assert cache.info.channels == 32
    relative = build_engine(EngineConfig()).predict(open_dataset(shards)[0].image)
    stored = [cache.read(np.array([i]))[0][0] for i in range(cache.info.count)]
    low, step = (np.array(x)[:, None, None] for x in (cache.info.offset, cache.info.step))
    # Each channel to half a step, within what eight bits reach.
    wanted = np.clip(relative.features["f"], low, low + 255 * step)
    off = min(stored, key=lambda one: np.abs(one - wanted).mean()) - wanted
    assert (np.abs(off) <= 0.501 * step).all()
    assert (wanted == relative.features["f"]).mean() > 0.99


def test_a_cache_knows_depth_from_a_tenth_of_a_metre_to_80(tmp_path, engine):
    columns = np.array([0.05, 0.09, 0.11, 1, 79, 81, 400, np.inf], np.float32)
    depth = columns.repeat(8)[None].repeat(48, axis=0)
    info = {"family": "room", "width": 64, "height": 48, "K": [[64.0, 0, 31.5], [0, 64.0, 23.5], [0, 0, 1]]}
    with ShardWriter(tmp_path / "shards", 0) as shard:
        for index in range(2):
            grey = np.full((48, 64, 3), 100, np.uint8)
            shard.write(index, encode_jpeg(grey, 90), depth, {**info, "scene": index})
    told = EngineConfig(manifest=str(engine))
    list(write_cache([tmp_path / "shards"], told, tmp_path / "cache", count=2, augment=False, threads=1))
    found = BasisCache(tmp_path / "cache").read(np.array([0]))[2][0]
    assert np.isfinite(found).all(axis=0).tolist() == [False] * 4 + [True] * 6 + [False] * 6
    np.testing.assert_allclose(found[:, 4:10:2], np.log([[0.11, 1, 79]] * 12), atol=1e-2)


@pytest.mark.parametrize(("farther", "limits", "cap"), [(0, None, 10), (3, None, 80), (3, (0.5, 30), 30)])
def test_a_masked_cache_knows_depth_within_the_limits_of_the_place(
    tmp_path, engine, monkeypatch, farther, limits, cap
):
    """0.1 to 10 m, to 80 m where more than a fifth is beyond 10 m; a dataset's own limits before both."""
    columns = np.array([0.05, 0.3, 1, 9, 9.5, 11, 25, 85][: 8 - farther] + [15.0] * farther, np.float32)
    depth = np.sort(np.append(columns, [5, 70, 85] if farther else [2, 3, 4])).astype(np.float32)[:8]
    depth = depth.repeat(8)[None].repeat(48, axis=0)
    info = {"family": "room", "width": 64, "height": 48, "K": [[64.0, 0, 31.5], [0, 64.0, 23.5], [0, 0, 1]]}
    with ShardWriter(tmp_path / "shards", 0) as shard:
        for index in range(2):
            shard.write(
                index, encode_jpeg(np.full((48, 64, 3), 100, np.uint8), 90), depth, {**info, "scene": index}
            )
    monkeypatch.setattr(ShardFrames, "limits_m", limits)
    told = EngineConfig(manifest=str(engine))
    list(
        write_cache(
            [tmp_path / "shards"], told, tmp_path / "cache", count=2, threads=1, augment=False, masked=True
        )
    )
    found = BasisCache(tmp_path / "cache").read(np.array([0]))[2][0, 0]
    seen = depth[0, 2::4]
    nearest = 0.1 if limits is None else limits[0]
    np.testing.assert_array_equal(np.isfinite(found), (seen >= nearest) & (seen <= cap))


def test_validation_can_have_data_of_its_own(tmp_path, engine):
    """Then every picture of the others is trained on."""
    trained = write_shards(tmp_path / "train", count=30)
    held_out = write_shards(tmp_path / "val", (0,), count=7)
    told = EngineConfig(manifest=str(engine))
    list(write_cache([trained], told, tmp_path / "cache", count=100, augment=False, validate=[held_out]))
    cache = BasisCache(tmp_path / "cache")
    size, data = (cache.info.width, cache.info.height), open_dataset(held_out)
    assert (len(cache), len(cache.validation), len(data)) == (len(open_dataset(trained)), 7, 7)
    for place, index in enumerate(cache.validation):
        wanted = depth_grid(data[place], size)
        np.testing.assert_allclose(np.exp(cache.read(np.array([index]))[2][0]), wanted, rtol=1e-5)


def test_lidar_points_become_a_grid(tmp_path):
    from metric_depth_ros.datasets import Frame
    from metric_depth_ros.types import Camera

    camera = Camera(40, 20, np.array([[20.0, 0, 20], [0, 20.0, 10], [0, 0, 1]]))
    points = np.array([[0.0, 0, 5], [0.1, 0, 4], [-4, 0, 8]])
    frame = Frame("a", 0, np.zeros((20, 40, 3), np.uint8), camera, None, points, np.eye(4))
    grid = depth_grid(frame, (10, 5))
    assert grid.shape == (5, 10) and np.isfinite(grid).sum() == 2
    assert grid[2, 5] == 4 and grid[2, 2] == 8


def read_picture(path):
    return cv2.imread(str(path))


def settings_of(cache, out, **changes):
    given = {"maps": 4, "steps": 6, "batch": 4, "look_every": 3, **changes}
    return BasisSettings(cache=str(cache.folder), out=str(out), **given)


def paper_objective(network, batch, pixels=1):
    """Equations 15 and 24 to 28 of paper 001, picture by picture in double precision.

    Equation 27 over all ``pixels`` of the map, or its mean.
    """
    with torch.inference_mode():
        outputs = network(batch.features, batch.log_relative)[:2]
    total = 0.0
    for row, pixel in enumerate(batch.pixel.numpy()):
        E, G = (map_[row].flatten(1).numpy().astype(np.float64)[:, pixel] for map_ in outputs)
        truth, a = batch.truth[row].numpy(), batch.anchor[row].numpy() > 0
        M, y, K = E[:, a].T, batch.target[row].numpy()[a], len(E)
        w = np.linalg.solve(M.T @ M + 1e-3 * np.eye(K), M.T @ y)
        error = np.abs(w @ E - truth)
        dense = np.where(error < 1, 0.5 * error**2, error - 0.5).mean()
        anchor = ((M @ w - y) ** 2).mean()
        unit = E / np.linalg.norm(E, axis=1, keepdims=True)
        decor = (((unit @ unit.T) ** 2).sum() - K) / (K * (K - 1))
        gate = pixels * (G * np.log(G)).sum(axis=0).mean()
        total += dense + 0.1 * anchor + 1e-4 * decor + 1e-4 * gate
    return total / len(batch.pixel)


def our_objective(network, batch):
    """That of ``mixed``: our solve, SmoothL1 with beta 0.1, only right anchors met, and the spread's law."""
    with torch.inference_mode():
        E, G, size = (
            map_.flatten(2).gather(2, batch.pixel[:, None].expand(-1, map_.shape[1], -1))
            for map_ in network(batch.features, batch.log_relative)
        )
        size = size[:, 0]
        solved = losses.solve_robustly(E, batch.target, size**2 + batch.noise, batch.anchor)
        error = (solved.field - batch.truth).abs()
        dense = torch.where(error < 0.1, 0.5 * error**2 / 0.1, error - 0.05).mean()
        right = batch.anchor * ((batch.target - batch.truth).abs() < 0.15)
        anchor = losses.anchor_loss(solved.field, batch.target, right)
        sigma = (solved.variance + size**2).sqrt()
        law = (error / sigma + sigma.log()).mean()
        maps = 1e-4 * losses.decorrelation_loss(E) + 1e-4 * losses.gate_loss(G)
        return float(dense + 0.1 * anchor + maps + 0.02 * law)


def held_out(cache, regime):
    """All held-out pictures, with the anchors that they always have."""
    return make_basis_batch(cache, np.array(cache.validation), regime, np.random.default_rng([1, 0]))


@pytest.mark.parametrize(("regime", "objective"), [("low", paper_objective), ("mixed", our_objective)])
def test_what_is_minimised_is_the_objective_of_the_paper_or_ours(cache, tmp_path, regime, objective):
    settings = settings_of(cache, tmp_path / "run", steps=9, batch=8, look_every=4, regime=regime)
    BasisTrainer(settings).run(until=4)
    network, state = load_generator(tmp_path / "run")
    assert state["best_loss"] == pytest.approx(objective(network, held_out(cache, regime)), abs=2e-6)


def test_the_gate_loss_can_be_the_sum_of_equation_27_as_printed(cache, tmp_path):
    settings = settings_of(cache, tmp_path, steps=2, batch=8, look_every=2, regime="low", gate_sum=True)
    BasisTrainer(settings).run()
    network, state = load_generator(tmp_path)
    wanted = paper_objective(network, held_out(cache, "low"), pixels=12 * 16)
    assert state["best_loss"] == pytest.approx(wanted, abs=1e-5)


def test_an_epoch_shows_every_picture_once_in_another_order(cache, tmp_path):
    trainer = BasisTrainer(settings_of(cache, tmp_path, batch=56))
    count = len(trainer._training)
    assert count == 392
    first, second = (np.concatenate([trainer._turns(s) for s in steps]) for steps in (range(7), range(7, 14)))
    assert sorted(first) == sorted(second) == [*range(count)] and not np.array_equal(first, second)
    across = BasisTrainer(settings_of(cache, tmp_path / "more", batch=500))._turns(0)  # more than there are
    np.testing.assert_array_equal(np.bincount(across[:count]), np.ones(count))
    assert len(across) == 500


def test_networks_are_trained_in_bfloat16_on_the_device_told(cache, tmp_path, monkeypatch):
    """On a GPU by the same lines; that is not run here."""
    trainer, seen = BasisTrainer(settings_of(cache, tmp_path, device="auto")), []
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer.network.fine.register_forward_hook(lambda module, given, out: seen.append(out))
    trainer.run(until=1)
    assert seen[0].dtype == torch.bfloat16 and seen[0].device.type == device
    assert all(p.dtype == torch.float32 and p.device.type == device for p in trainer.network.parameters())


@pytest.mark.parametrize("rate", [0.02, 0.5])
def test_the_weights_with_the_lowest_validation_loss_are_kept(cache, tmp_path, rate):
    BasisTrainer(
        settings_of(cache, tmp_path, steps=8, batch=8, look_every=2, regime="low", learning_rate=rate)
    ).run()
    with (tmp_path / "validation.csv").open(newline="") as file:
        found = [float(row["loss"]) for row in csv.DictReader(file)]
    # A good rate, so that the first are not the best, and one much too fast, so that the last are not.
    assert len(found) == 4 and (min(found) < found[0] if rate < 0.1 else min(found) < found[-1])
    network, state = load_generator(tmp_path)
    assert state["best_loss"] == pytest.approx(min(found), abs=1e-4)
    assert paper_objective(network, held_out(cache, "low")) == pytest.approx(min(found), abs=1e-4)


@pytest.mark.parametrize("regime", ["low", "mixed"])
def test_training_learns(cache, tmp_path, regime):
    trainer = BasisTrainer(settings_of(cache, tmp_path / "run", steps=60, look_every=60, regime=regime))
    before, _ = trainer._validate(trainer.average)
    trainer.run()
    after, _ = trainer._validate(load_generator(tmp_path / "run")[0])
    assert after.loss < before.loss
    assert after.abs_rel < 0.8 * before.abs_rel  # on pictures that were not trained on
    assert (tmp_path / "run/curves.png").is_file()


@pytest.mark.parametrize("regime", ["low", "mixed"])
def test_unknown_depth_has_no_say(cache, tmp_path, monkeypatch, regime):
    """A picture with an unknown corner, beside one of which nothing is known."""
    features, log_relative, log_depth = cache.read(np.array([0, 1]))
    log_depth = log_depth.copy()
    log_depth[0, :6, :8] = log_depth[1] = np.nan
    monkeypatch.setattr(cache, "read", lambda index: (features, log_relative, log_depth), raising=False)
    batch = make_basis_batch(cache, np.array([0, 1]), regime, np.random.default_rng(0))
    assert np.isfinite(log_depth[0].ravel()[batch.pixel[0].numpy()]).all()
    assert batch.truth[1].isnan().all() and not batch.anchor[1].any()
    trainer = BasisTrainer(settings_of(cache, tmp_path, regime=regime))
    torch.manual_seed(0)
    maps, gates = (torch.rand(2, 4, batch.pixel.shape[1]) for _ in range(2))
    size = torch.full(batch.pixel.shape, 0.1)

    def gradients():
        leaves = [part.clone().requires_grad_() for part in (maps, gates, size)]
        loss, _ = trainer._losses(batch, *leaves)
        assert torch.isfinite(loss) and loss != 0
        return torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)

    assert all(torch.isfinite(part).all() for part in gradients())
    # What asks for maps that differ does not ask for depth.
    for name in ("decor", "gate"):
        monkeypatch.setitem(losses.WEIGHTS, name, 0.0)
    found = gradients()
    assert found[0][0].any() and not any(part[1].any() for part in found)


def test_a_run_that_was_cut_off_goes_on_to_the_bit(cache, tmp_path):
    BasisTrainer(settings_of(cache, tmp_path / "whole")).run()
    BasisTrainer(settings_of(cache, tmp_path / "cut")).run(until=3)
    BasisTrainer(settings_of(cache, tmp_path / "cut"), resume=True).run()
    whole, cut = (load_generator(tmp_path / name)[0].state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    with pytest.raises(ConfigError, match="has 'mixed'"):
        BasisTrainer(settings_of(cache, tmp_path / "cut", regime="low"), resume=True)


def test_stated_errors_are_as_large_as_seen_ones(cache, tmp_path):
    trainer = BasisTrainer(settings_of(cache, tmp_path / "run", steps=10))
    trainer.run(until=9)
    before, _ = trainer._validate(load_generator(tmp_path / "run")[0])
    trainer.run()
    score, _ = trainer._validate(load_generator(tmp_path / "run")[0])
    assert before.covered < 0.3  # what so few steps learn alone
    assert score.covered == pytest.approx(0.68, abs=0.1)  # of the pixels, not of the mean of few pictures


def test_a_run_can_be_fine_tuned_for_another_regime(cache, tmp_path):
    BasisTrainer(settings_of(cache, tmp_path / "run", regime="low", steps=3)).run()
    tuned = BasisTrainer(
        settings_of(cache, tmp_path / "tuned", regime="medium", steps=1, start=str(tmp_path / "run"))
    )
    first = load_generator(tmp_path / "run")[0]
    assert torch.equal(tuned.network.basis.weight, first.basis.weight)
    with pytest.raises(ConfigError, match="needed 5"):
        BasisTrainer(settings_of(cache, tmp_path / "other", maps=5, start=str(tmp_path / "run")))


def test_families_are_kept_apart_in_validation_too(tmp_path, engine):
    shards = write_shards(tmp_path / "shards", count=120)
    list(write_cache([shards], EngineConfig(manifest=str(engine)), tmp_path / "cache", count=120))
    cache = BasisCache(tmp_path / "cache")
    training, validation = cache.of_families(("street",))
    named = [cache.info.families[i] for i in cache.family]
    assert {named[i] for i in cache.validation} == {"room", "street"}
    assert {named[i] for i in (*training, *validation)} == {"street"} and len(validation)
    trainer = BasisTrainer(settings_of(cache, tmp_path / "run", families=("street",), regime="low"))
    read, seen = cache.read, set()
    trainer.cache.read = lambda index: (seen.update(index.tolist()), read(index))[1]
    trainer._validate(trainer.average)
    assert seen == {*validation.tolist()}


def test_no_scene_is_cut_by_the_split(tmp_path):
    data = open_dataset(write_shards(tmp_path / "shards", count=480, views=8))
    picked, validation = _picked([data], 480, 0)
    scenes = [data.scene(index) for _, index in picked]
    assert len({*scenes[-validation:]}) >= 2
    assert not {*scenes[-validation:]} & {*scenes[:-validation]}


def test_a_finished_run_stays_what_it_is(cache, tmp_path):
    settings = settings_of(cache, tmp_path / "run")
    BasisTrainer(settings).run()
    before = load_generator(tmp_path / "run")[0].state_dict()
    BasisTrainer(settings, resume=True).run()
    after = load_generator(tmp_path / "run")[0].state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(
    "changes", [{"learning_rate": 1e-3}, {"threads": 2}, {"start": "other"}], ids=["rate", "threads", "start"]
)
def test_a_run_goes_on_with_its_own_settings(cache, tmp_path, changes):
    BasisTrainer(settings_of(cache, tmp_path / "run")).run(until=1)
    with pytest.raises(ConfigError, match=f"{next(iter(changes))}: .* the run that is resumed has"):
        BasisTrainer(settings_of(cache, tmp_path / "run", **changes), resume=True)


def test_a_cache_of_another_network_is_refused(cache, tmp_path, capsys):
    other = write_toy_model(tmp_path / "other", width=64, height=48, gain=3.0)
    words = ["train", "basis", "--cache", str(cache.folder), "--steps", "1", "--batch", "2"]
    assert main([*words, "--out", str(tmp_path / "run"), "--engine", str(other)]) == 1
    assert "needed the same" in capsys.readouterr().err
    settings = settings_of(cache, tmp_path / "cut")
    BasisTrainer(settings).run(until=1)
    shards = write_shards(tmp_path / "shards", count=4)
    list(write_cache([shards], EngineConfig(manifest=str(other)), tmp_path / "cache", count=4, threads=1))
    with pytest.raises(ConfigError, match="of network"):
        BasisTrainer(settings_of(BasisCache(tmp_path / "cache"), tmp_path / "cut"), resume=True)


@pytest.mark.parametrize(
    "option",
    [("--count", "1"), ("--count", "0"), ("--count", "-5"), ("--look-every", "0"), ("--learning-rate", "-1"),
     ("--learning-rate", "nan"), ("--threads", "0"), ("--epochs", "-3"), ("--epochs", "0"), ("--batch", "0")],
    ids="".join,
)  # fmt: skip
def test_options_that_cannot_be_are_refused_before_anything_is_written(tmp_path, engine, capsys, option):
    shards = write_shards(tmp_path / "shards", count=4)
    words = ["train", "basis", "--data", str(shards), "--engine", str(engine), "--out", str(tmp_path / "run")]
    assert main([*words, *option]) == 1
    found = capsys.readouterr()
    assert "needed" in found.err and not (tmp_path / "run/cache").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"regime": "much"}, "low, medium, high, mixed"), ({"maps": 1}, "at least 2"),
     ({"steps": 0}, "at least 1"), ({"steps": None, "minutes": 0}, "positive"),
     ({"families": ("cave",)}, "the cache has"), ({"device": "tpu"}, "auto, cpu, or cuda")],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(cache, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        BasisTrainer(settings_of(cache, tmp_path / "run", **changes))


def test_anchors_of_a_batch_hold_the_field_at_their_pixels(cache):
    batch = make_basis_batch(cache, np.array([0, 1]), "low", np.random.default_rng(0))
    chosen = batch.anchor > 0
    torch.testing.assert_close(batch.target[chosen], batch.truth[chosen])
    assert 8 <= int(chosen[0].sum()) <= 15
    _, log_relative, log_depth = cache.read(np.array([0]))
    field = (log_depth - log_relative).ravel()
    np.testing.assert_allclose(batch.truth[0], field[batch.pixel[0].numpy()])
    # The scale of log relative depth means nothing.
    given = batch.log_relative[0, 0].numpy()
    assert np.median(given) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(given - given[0, 0], (log_relative - log_relative[0, 0, 0])[0], atol=1e-5)


@pytest.mark.parametrize(("regime", "pixels"), [("medium", 1536), ("mixed", 2304)])
def test_a_batch_holds_anchors_first_then_others_that_are_known(regime, pixels):
    rng = np.random.default_rng(0)
    log_relative, features = rng.normal(size=(3, 60, 80)), rng.normal(size=(3, 2, 60, 80))
    log_depth = np.where(rng.random((3, 60, 80)) < 0.6, rng.normal(size=(3, 60, 80)), np.nan)
    log_depth[2] = np.nan
    read = tuple(part.astype(np.float32) for part in (features, log_relative, log_depth))
    cache = SimpleNamespace(read=lambda index: read)
    batch = make_basis_batch(cache, np.arange(3), regime, np.random.default_rng(1))
    assert batch.features.shape == (3, 2, 60, 80) and batch.pixel.shape == (3, pixels)
    for row in range(2):
        count, pixel = int(batch.anchor[row].sum()), batch.pixel[row].numpy()
        assert len(np.unique(pixel)) == pixels and batch.anchor[row, :count].all()
        field = (log_depth - log_relative)[row].ravel()[pixel]
        np.testing.assert_allclose(batch.truth[row], field, atol=1e-5)
        assert not batch.target[row, count:].any() and not batch.noise[row, count:].any()
    assert not batch.anchor[2].any() and batch.truth[2].isnan().all()
    drawn = draw_anchors(np.isfinite(log_depth[0]), regime, np.random.default_rng(1))
    count = len(drawn.place)
    assert batch.anchor[0].sum() == count and (batch.pixel[0, :count].numpy() == drawn.place).all()
    np.testing.assert_allclose((batch.target - batch.truth)[0, :count], drawn.error, atol=1e-6)
    np.testing.assert_allclose(batch.noise[0, :count], drawn.sigma**2, rtol=1e-6)
    blind = make_basis_batch(cache, np.arange(3), regime, np.random.default_rng(1), blind=True)
    assert blind.features.shape == (3, 0, 60, 80)


def test_from_pictures_to_a_network_with_maps(tmp_path, engine, capsys):
    """The verbs: a network of the user's own, its generator, both as one file, and a solve with it."""
    shards = write_shards(tmp_path / "shards", (0,), count=24)
    run = tmp_path / "run"
    words = ["train", "basis", "--data", str(shards), "--engine", str(engine), "--out", str(run)]
    assert (
        main([*words, "--maps", "3", "--count", "20", "--steps", "2", "--batch", "2", "--threads", "1"]) == 0
    )
    assert (
        main(["train", "basis-export", str(run), "--engine", str(engine), "--to", str(tmp_path / "to")]) == 0
    )
    assert "3 maps" in capsys.readouterr().out
    fused = build_engine(EngineConfig(manifest=str(tmp_path / "to/toy_basis.yaml")))
    image = open_dataset(shards)[0].image
    with_maps, plain = fused.predict(image), build_engine(EngineConfig(manifest=str(engine))).predict(image)
    np.testing.assert_array_equal(with_maps.values, plain.values)
    assert with_maps.features["basis"].shape == (3, 12, 16)
    again = ["train", "basis-export", str(run), "--engine", str(tmp_path / "to/toy_basis.yaml")]
    assert main([*again, "--to", str(tmp_path / "twice"), "--name", "twice"]) == 0
    other = write_toy_model(tmp_path / "other", width=64, height=48, gain=3.0)
    assert (
        main(["train", "basis-export", str(run), "--engine", str(other), "--to", str(tmp_path / "no")]) == 1
    )
    assert "needed the same one" in capsys.readouterr().err
    picture = tmp_path / "explained.png"
    explain = ["explain", str(shards), "--engine", str(tmp_path / "to/toy_basis.yaml"), "--out", str(picture)]
    assert main(explain) == 0
    said = capsys.readouterr().out
    assert "median eta1" in said and "part of y along it" in said and "E[G0]" in said
    assert main([*explain[:-2], "--fields", "paper_global,paper_median"]) == 0
    fields = capsys.readouterr().out.splitlines()[-2:]
    assert re.fullmatch(
        r"paper_global: the maps follow \d+% of its field \(median of \d+ frames\)", fields[0]
    )
    assert fields[1] == "paper_median: its field is constant: a factor"
    assert main([*explain[:-2], "--fields", "paper_slf"]) == 1
    assert "uses regions" in capsys.readouterr().err
    assert picture.stat().st_size > 10_000
    analytic, whole = tmp_path / "analytic.png", ["--set", "solver.basis.maps=analytic", "--out"]
    assert main([*explain[:-2], *whole, str(analytic)]) == 0
    assert "E[G0]" not in capsys.readouterr().out
    # 12 of the 18 analytic maps, where the generator has 3: twice the rows of tiles.
    assert read_picture(analytic).shape[0] == 2 * read_picture(picture).shape[0]
    for wrong, message in (
        (["--set", "solver.name=lwlr"], "needed basis or paper_basis"),
        (["--out", str(tmp_path / "no_suffix")], "needed the name of a picture"),
        (["--protocol", "random", "--anchors", "100000"], "known pixels; needed"),
        (["--set", "output.max_relative_sigma=1e-6"], "no depth within"),
    ):
        assert main([*explain[:-2], *wrong]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(("maps", "regime"), [(8, "low"), (30, "medium")])
def test_trained_as_the_paper_states(tmp_path, engine, capsys, maps, regime):
    """25 epochs on its regime, validated after each, then 5 on another; a cut run goes on."""
    shards, val = (
        write_shards(tmp_path / "shards", (0,), count=9),
        write_shards(tmp_path / "val", (0,), count=3),
    )
    data = ["--data", str(shards), "--validate", str(val), "--engine", str(engine)]
    cache, run, tuned = (str(tmp_path / name) for name in ("cache", "run", "tuned"))
    words = ["train", "basis", "--as-published", "--maps", str(maps), "--batch", "4", "--threads", "1"]
    assert main([*words, *data, "--cache", cache, "--out", run]) == 0
    info, about = BasisCache(cache).info, load_generator(run)[1]
    assert info.masked and not info.augmented and info.validation == 3
    told, steps = about["settings"], math.ceil(25 * (info.count - 3) / 4)
    assert (told["regime"], told["average"], told["steps"]) == (regime, 0.0, steps)
    assert told["look_every"] == math.ceil((info.count - 3) / 4) and not told["gate_sum"]
    network, average = about["network"], about["average"]
    assert all(torch.equal(network[n], average[n]) for n in network if network[n].is_floating_point())
    assert main([*words, "--cache", cache, "--out", run, "--resume"]) == 0
    other = "medium" if regime == "low" else "high"
    assert main([*words, "--cache", cache, "--out", tuned, "--start", run, "--regime", other]) == 0
    told = load_generator(tuned)[1]["settings"]
    assert told["regime"] == other and told["steps"] == math.ceil(5 * (info.count - 3) / 4)
    capsys.readouterr()
    plain = ["train", "basis", *data, "--cache", str(tmp_path / "plain"), "--steps", "1", "--batch", "2"]
    assert main([*plain, "--out", str(tmp_path / "plain_run")]) == 0
    assert main([*words, "--cache", str(tmp_path / "plain"), "--out", str(tmp_path / "no")]) == 1
    assert "made without --as-published" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "metric_depth train basis"), ("metric_depth train basis", "metric_depth train basis"),
     ("a paper", "a paper, then metric_depth train basis"),
     ("a paper, then metric_depth train basis", "a paper, then metric_depth train basis")],
)  # fmt: skip
def test_the_source_names_the_step_once(before, after):
    assert _source(before) == after


def test_a_network_with_maps_has_no_other_files(tmp_path, engine):
    manifest = load_manifest(engine)
    described = replace(manifest, fp16=FileManifest("half.onnx", "0" * 64), data={})
    write_manifest(described, engine.with_name("with_half.yaml"), "")
    one = BasisGenerator(BasisGeneratorConfig(maps=3, features=0, width=8, deep=8))
    (found,) = export_basis(one, engine.with_name("with_half.yaml"), Wanted(tmp_path, "a"), trained_on="")
    assert load_manifest(found.manifest).fp16 is None and not load_manifest(found.manifest).data


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ModelError, match="Train first"):
        load_generator(tmp_path)

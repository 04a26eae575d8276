"""Losses by hand, what augmentation keeps, and runs that can be cut off and resumed."""

import csv
import json
import sys
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import pytest
from made_data import write_shards

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")

import torch

from metric_depth_ros.cli.main import main
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.learning.models.tiny_depth import TinyDepth
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.augment import estranged, reframed, relit
from metric_depth_ros.learning.training.curves import Curves
from metric_depth_ros.learning.training.depth.losses import (
    LOSSES,
    gradient_loss,
    log_loss,
    normalised_loss,
    trimmed_loss,
)
from metric_depth_ros.learning.training.depth.settings import DepthSettings, draw_size
from metric_depth_ros.learning.training.depth.trainer import (
    DepthTrainer,
    build_depth_network,
    load_depth_network,
    mean_loss,
)
from metric_depth_ros.learning.training.loader import Batch, BatchJobs, Samples, Stream, make_batch
from metric_depth_ros.learning.training.muon import Muon, orthogonal
from metric_depth_ros.learning.training.settings import Progress, RunSettings, learning_rate
from metric_depth_ros.learning.training.sparse import reduced_depth

inf, nan = float("inf"), float("nan")


def picture(rows):
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def random_depth(seed=0, shape=(2, 1, 24, 32)):
    return torch.from_numpy(np.random.default_rng(seed).uniform(1, 9, shape).astype(np.float32))


# ---- losses ----------------------------------------------------------------------------------


def test_gradients_by_hand():
    residual = picture([[0.0, 1.0], [3.0, 1.0]])
    everywhere = torch.ones_like(residual, dtype=torch.bool)
    # Across |1|, |-2|: mean 1.5; down |3|, |0|: mean 1.5. The coarser scales have no pairs.
    assert gradient_loss(residual, everywhere) == pytest.approx(3.0 / 4)
    some = everywhere.clone()
    some[..., 1, 0] = False
    # Left: across |1|, down |0|.
    assert gradient_loss(residual, some) == pytest.approx(1.0 / 4)


def test_the_log_loss_by_hand():
    # Median depth 2, so that a true network gives 2 / depth; this one is off by e at one pixel of four.
    depth = picture([[1.0, 2.0], [2.0, 4.0]])
    value = 2 / depth
    assert log_loss(value, depth) == pytest.approx(0, abs=1e-6)
    value[..., 1, 1] *= np.e
    # Mean 1/4; differences at the corner: 1 of 2 across, 1 of 2 down, of four scales, half weight.
    assert log_loss(value, depth) == pytest.approx(0.25 + 0.5 * (0.5 + 0.5) / 4)
    # Unknown there: nothing is wrong.
    depth[..., 1, 1] = nan
    assert log_loss(value, depth) == pytest.approx(0, abs=1e-6)


def test_sky_must_only_be_far():
    depth = torch.full((1, 1, 8, 8), 4.0)
    depth[..., :4, :] = inf
    value = torch.ones_like(depth)
    # Far is 25 medians: the sky may be anything from 1/25 of the ground's value down.
    value[..., :4, :] = 1 / 26
    assert log_loss(value, depth) == pytest.approx(0, abs=1e-6)
    value[..., :4, :] = 1e-4
    assert log_loss(value, depth) == pytest.approx(0, abs=1e-6)
    value[..., :4, :] = 1 / 10
    assert log_loss(value, depth) > 0.5 * np.log(2.5) - 1e-5
    # And what is beyond 25 medians is as the sky.
    assert log_loss(value, depth.nan_to_num(posinf=150.0)) == pytest.approx(float(log_loss(value, depth)))


@pytest.mark.parametrize("name", LOSSES)
def test_pictures_of_sky_alone_count_nothing(name):
    depth = torch.full((2, 1, 16, 16), inf)
    depth[1] = nan
    value = torch.rand(2, 1, 16, 16).requires_grad_()
    loss = LOSSES[name][0](value + 0.1, depth)
    loss.backward()
    assert loss == 0 and not value.grad.any()


def test_sparse_depth_keeps_the_nearest_known_pixel_of_each_cell():
    depth = np.full((6, 8), nan, np.float32)
    depth[0, 0], depth[1, 1], depth[0, 5], depth[5, 7], depth[4, 0] = 9, 4, inf, 7, inf
    wanted = [[4, nan, inf, nan], [nan] * 4, [inf, nan, nan, 7]]
    np.testing.assert_array_equal(reduced_depth(depth, (4, 3)), np.array(wanted, np.float32))
    assert np.isnan(reduced_depth(np.full((6, 8), nan, np.float32), (4, 3))).all()


def test_dense_depth_keeps_the_pixel_in_the_middle_of_each_cell():
    depth = np.arange(63, dtype=np.float32).reshape(7, 9)
    depth[:4] = nan  # 27 of 63: sparse; 4 rows more than needed
    assert np.isfinite(reduced_depth(depth, (3, 3))).sum() == 6
    depth[2:4] = 1
    found = reduced_depth(depth, (3, 3))
    np.testing.assert_array_equal(found, cv2.resize(depth, (3, 3), interpolation=cv2.INTER_NEAREST_EXACT))
    assert found.dtype == np.float32


@pytest.mark.parametrize("name", LOSSES)
def test_sparse_depth_counts_where_it_is_known(name):
    """A hundredth of the pixels, as of a LiDAR: they have a gradient, and no others but the sky's."""
    generator = np.random.default_rng(0)
    depth = np.full((2, 1, 64, 64), nan, np.float32)
    known = generator.random((2, 1, 64, 64)) < 0.02
    depth[known] = generator.uniform(2, 60, known.sum())
    depth[1] = nan  # of the second nothing is known
    value = torch.full((2, 1, 64, 64), 0.5) + 0.1 * torch.rand(2, 1, 64, 64)
    value.requires_grad_()
    loss = LOSSES[name][0](value, torch.from_numpy(depth))
    loss.backward()
    assert torch.isfinite(loss) and loss > 0 and torch.isfinite(value.grad).all()
    moved = value.grad.numpy() != 0
    assert moved[0][known[0]].mean() > 0.5 and not moved[0][~known[0]].any() and not moved[1].any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_better_map_costs_less_and_gradients_are_numbers(name):
    depth = random_depth()
    depth[0, 0, :4] = inf
    depth[1, 0, :, :3] = nan
    inverse = torch.where(depth.isinf(), torch.full_like(depth, 1e-3), 1 / depth.nan_to_num(nan=1.0))
    middle = inverse / (1 / depth[depth.isfinite()].median())
    if name == "normalised":
        known = ~depth.isnan()
        middle = torch.stack(
            [
                (i - i[k].median()) / (i[k] - i[k].median()).abs().mean()
                for i, k in zip(inverse, known, strict=True)
            ]
        )
    noise = torch.randn(depth.shape, generator=torch.Generator().manual_seed(0))
    costs = []
    for strength in (0.0, 0.1, 0.5):
        value = (middle * torch.exp(strength * noise)).requires_grad_()
        loss = LOSSES[name][0](value, depth)
        loss.backward()
        assert torch.isfinite(value.grad).all()
        assert not value.grad[depth.isnan()].any()
        costs.append(float(loss.detach()))
    assert costs[0] < costs[1] < costs[2]


def test_what_each_loss_leaves_free():
    depth = random_depth()
    value = 5 / depth * torch.exp(0.1 * torch.randn(depth.shape, generator=torch.Generator().manual_seed(1)))
    scaled, shifted = 7 * value, 7 * value + 3
    trimmed = float(trimmed_loss(value, depth))
    assert float(trimmed_loss(scaled, depth)) == pytest.approx(trimmed, rel=1e-4)
    assert float(trimmed_loss(shifted, depth)) == pytest.approx(trimmed, rel=2e-3)
    invariant = LOSSES["log_invariant"][0]
    # A tenth of the offset is left, to hold the output in place.
    assert abs(float(invariant(scaled, depth)) - float(invariant(value, depth))) < 0.2 * np.log(7)
    assert float(log_loss(scaled, depth)) - float(log_loss(value, depth)) > 0.8 * np.log(7)
    # None knows the unit of depth.
    for loss, _ in LOSSES.values():
        assert float(loss(value, 3 * depth)) == pytest.approx(float(loss(value, depth)), rel=1e-3)


def test_the_normalised_loss_by_hand():
    depth = picture([[1.0, 1.0, 2.0], [2.0, 2.0, 4.0], [4.0, 4.0, 4.0]])
    inverse = 1 / depth  # median 0.5; deviations .5 .5 0 0 0 .25 x 4, mean 2/9
    value = (inverse - 0.5) / (2 / 9)
    assert normalised_loss(value, depth) == pytest.approx(0, abs=1e-5)
    # A shift has no gradient: it costs itself.
    assert normalised_loss(value + 0.3, depth) == pytest.approx(0.3, abs=1e-5)


def test_the_trimmed_loss_forgives_the_worst_fifth():
    depth = random_depth(shape=(1, 1, 20, 20))
    inverse = 1 / depth
    broken = inverse.clone()
    # Swapped in pairs: median and deviation stay.
    flat = broken.flatten()
    far, near = flat.argsort()[:20], flat.argsort()[-20:]
    flat[far], flat[near] = flat[near].clone(), flat[far].clone()
    data = trimmed_loss(broken, depth) - 0.5 * gradient_loss(
        (broken - inverse) / (inverse - inverse.median()).abs().mean(),
        torch.ones_like(depth, dtype=torch.bool),
    )
    assert float(data) == pytest.approx(0, abs=1e-3)


# ---- augmentation ----------------------------------------------------------------------------


def test_picture_and_depth_stay_together():
    # A picture whose grey says its depth, in large squares.
    squares = np.random.default_rng(0).integers(1, 12, (12, 16)).astype(np.float32)
    depth = cv2.resize(squares, (320, 240), interpolation=cv2.INTER_NEAREST)
    image = np.repeat((20 * depth).astype(np.uint8)[..., None], 3, axis=2)
    for seed in range(12):
        picture, truth = reframed(image, depth, (160, 128), (80, 64), np.random.default_rng(seed))
        assert picture.shape == (128, 160, 3) and truth.shape == (64, 80)
        assert set(np.unique(truth[~np.isnan(truth)])) <= set(range(1, 12))  # none is invented
        shown = picture[::2, ::2, 0] / 20
        agree = np.abs(shown - truth) < 0.5
        assert agree[~np.isnan(truth)].mean() > 0.75, seed
        assert np.isnan(truth).mean() < 0.2


def test_sky_stays_sky():
    depth = np.full((60, 80), np.inf, np.float32)
    depth[30:] = 5
    _, truth = reframed(np.zeros((60, 80, 3), np.uint8), depth, (80, 64), (40, 32), np.random.default_rng(1))
    assert set(np.unique(truth[~np.isnan(truth)])) <= {5.0, np.inf}


def test_another_light_is_still_the_same_picture():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8), (0, 0), 6)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    alike, original = [], image.copy()
    for seed in range(40):
        other = relit(image, image, np.random.default_rng(seed))
        assert other.shape == image.shape and other.dtype == np.uint8
        alike.append(np.corrcoef(other.mean(axis=2).ravel(), image.mean(axis=2).ravel())[0, 1])
    assert (image == original).all()  # the input is not touched
    assert np.median(alike) > 0.8
    assert len({relit(image, image, np.random.default_rng(seed)).tobytes() for seed in range(20)}) == 20


def test_light_changes_in_large_pictures_too():
    image = np.full((375, 1242, 3), 128, np.uint8)
    changed = [relit(image, image, np.random.default_rng(seed)) for seed in range(8)]
    assert {other.shape for other in changed} == {image.shape}
    assert any(other.std(axis=(0, 1)).min() > 1 for other in changed)


def test_a_strange_picture_is_of_night_or_grey_and_keeps_its_places():
    image = np.full((96, 128, 3), (40, 90, 60), np.uint8)
    image[20:60, 30:80] = 220, 180, 200
    grey = 0
    for seed in range(20):
        strange = estranged(image, np.random.default_rng(seed))
        assert strange.shape == image.shape and strange.dtype == np.uint8
        grey += (np.ptp(strange, axis=2) == 0).all()
        inside, outside = strange[22:58, 32:78].mean(), strange[62:, :].mean()
        assert inside != pytest.approx(outside, abs=0.5)
    assert 3 < grey < 17


# ---- loader ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"))


def test_validation_is_kept_apart(shards):
    samples = Samples([shards])
    assert len(samples) == 40 and samples.validation == [(0, index) for index in range(20)]
    assert not {samples._training[i] for i in range(len(samples))} & set(samples.validation)


def test_families_can_be_left_out(shards):
    samples = Samples([shards], families=["street"])
    assert len(samples) == 20
    assert all(index % 2 == 1 for _, index in samples._training)
    with pytest.raises(InputError, match="no picture of tunnel"):
        Samples([shards], families=["tunnel"])
    with pytest.raises(InputError, match="elsewhere: does not exist"):
        Samples([shards / "elsewhere"])


def test_shards_that_come_join_in(tmp_path):
    write_shards(tmp_path, (0,))
    samples = Samples([tmp_path])
    before = list(samples._training)
    write_shards(tmp_path, (1,))
    assert samples.rescan() == 100
    assert samples._training[:40] == before
    assert samples.training(99)[0].shape == (48, 64, 3)


def test_a_batch_follows_from_its_seed(shards):
    samples = Samples([shards])
    one, same, other = (make_batch(samples, 4, (64, 32), seed, 40) for seed in ((0, 1), (0, 1), (0, 2)))
    assert one.image.shape == (4, 32, 64, 3) and one.depth.shape == (4, 16, 32)
    assert (one.image == same.image).all() and np.array_equal(one.depth, same.depth, equal_nan=True)
    assert (one.image != other.image).any()


def test_a_stream_can_start_anywhere(shards):
    def first_of(step):
        jobs = BatchJobs(Samples([shards]), lambda step, rng: (64, 48), batch=5, parts=2, seed=3)
        with Stream(jobs, first=step, threads=2) as stream:
            return [next(stream) for _ in range(3)]

    early, late = first_of(0), first_of(2)
    assert [len(part.image) for part in early[0]] == [2, 3]
    assert all((a.image == b.image).all() for a, b in zip(early[2], late[0], strict=True))


def test_a_damaged_shard_is_named(tmp_path):
    path = write_shards(tmp_path, (0,)) / "shard_00000.zip"
    data = bytearray(path.read_bytes())
    data[2000 : len(data) // 2] = bytes(len(data) // 2 - 2000)
    path.write_bytes(data)
    jobs = BatchJobs(Samples([tmp_path]), lambda step, rng: (64, 48), batch=40, parts=1, seed=0)
    with Stream(jobs, first=0, threads=2) as stream, pytest.raises(InputError, match=r"shard_00000\.zip"):
        next(stream)


# ---- schedule --------------------------------------------------------------------------------


def test_the_learning_rate_rises_and_ends_at_zero():
    settings = RunSettings(out="", learning_rate=2.0)
    rates = [learning_rate(settings, p) for p in np.linspace(0, 1, 101)]
    assert rates[0] < 0.1 and max(rates) == pytest.approx(2.0, rel=0.05) and rates[-1] == pytest.approx(0)
    assert all(a >= b for a, b in pairwise(rates[4:]))


def test_pictures_grow_to_the_full_size():
    rng = np.random.default_rng(0)
    early, late = ([draw_size((320, 240), p, rng) for _ in range(200)] for p in (0.1, 0.9))
    assert max(w * h for w, h in early) < 0.35 * 320 * 240
    assert late.count((320, 240)) > 60 and len(set(late)) >= 3
    assert all(w % 16 == 0 and h % 16 == 0 for w, h in early + late)


def test_time_spent_before_counts():
    settings = RunSettings(out="", minutes=10)
    assert Progress(settings, elapsed_s=300).at(0) == pytest.approx(0.5, abs=0.01)
    assert Progress(settings, elapsed_s=900).at(0) == 1
    assert Progress(RunSettings(out="", steps=8)).at(2) == 0.25


# ---- the optimizer ---------------------------------------------------------------------------


def test_orthogonal_matrices():
    torch.manual_seed(0)
    for shape in ((3, 8, 30), (2, 30, 8)):
        singular = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert singular.min() > 0.5 and singular.max() < 1.3


@pytest.mark.parametrize("threads", [1, 2])
def test_muon_finds_matrices_and_vectors(threads):
    torch.manual_seed(0)
    wanted = torch.randn(6, 4, 3, 3)
    found = torch.nn.Parameter(torch.zeros_like(wanted))
    vector = torch.nn.Parameter(torch.zeros(5))
    row = torch.nn.Parameter(torch.zeros(1, 5))
    optimizer = Muon([found, vector, row], lr=0.05, threads=threads)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 200)
        optimizer.zero_grad()
        loss = (found - wanted).square().sum() + (vector - 1).square().sum() + (row + 1).square().sum()
        loss.backward()
        optimizer.step()
    optimizer.close()
    assert (found - wanted).abs().max() < 0.2
    assert (vector - 1).abs().max() < 0.05 and (row + 1).abs().max() < 0.05


# ---- runs ------------------------------------------------------------------------------------


def settings_for(shards, out, **more):
    told = {"batch": 6, "size": (64, 48), "steps": 6, "minutes": None, "threads": 2, "learning_rate": 2e-3}
    told["network"] = "tiny"
    return DepthSettings(data=(str(shards),), out=str(out), **{**told, **more})


def train(settings, *, resume=False, until=None):
    trainer = DepthTrainer(settings, resume=resume)
    trainer.run(until=until)
    trainer.close()
    return checkpoint.load(settings.out)


def test_a_resumed_run_is_the_same_to_the_bit(shards, tmp_path):
    whole = train(settings_for(shards, tmp_path / "whole"))
    parts = settings_for(shards, tmp_path / "parts")
    cut = train(parts, until=3)
    assert cut["step"] == 3
    resumed = train(parts, resume=True)
    assert whole["step"] == resumed["step"] == 6
    for kept in ("network", "average", "best"):
        assert all(torch.equal(value, resumed[kept][name]) for name, value in whole[kept].items())
    assert any(not torch.equal(value, cut["network"][name]) for name, value in whole["network"].items())
    rows = list(csv.DictReader((tmp_path / "parts/validation.csv").open()))
    assert [row["step"] for row in rows] == ["3", "6"] and {row["place"] for row in rows} == {"synthetic"}
    assert cv2.imread(str(tmp_path / "parts/curves.png")) is not None


def test_curves_without_matplotlib_are_tables_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    curves = Curves(tmp_path, {"rank": "rank"})
    curves.add_loss(3, 1.0, 0.5, 30.0)
    curves.draw()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loss.csv", "validation.csv"]


def test_the_newest_average_is_kept(shards, tmp_path):
    """Whatever its scores were: rank correlation and AbsRel are no loss that this network is judged by."""
    state = train(settings_for(shards, tmp_path, look_every=2))
    assert [row["step"] for row in csv.DictReader((tmp_path / "validation.csv").open())] == ["2", "4", "6"]
    assert state["best_loss"] == inf
    for kept in (state["best"], load_depth_network(tmp_path)[0].state_dict()):
        assert all(torch.equal(value, kept[name]) for name, value in state["average"].items())


def test_a_run_can_start_from_exported_weights(shards, tmp_path):
    first = train(settings_for(shards, tmp_path / "first"))
    checkpoint.save_weights(build_depth_network(first), tmp_path / "w.npz")
    begun = DepthTrainer(settings_for(shards, tmp_path / "second", start=str(tmp_path / "w.npz")))
    for name, value in begun.network.state_dict().items():
        wanted = first["average"][name]
        assert torch.allclose(value, wanted.to(value.dtype), rtol=1e-3, atol=1e-4), name
    begun.close()


def test_weights_that_do_not_fit_are_named(shards, tmp_path):
    with pytest.raises(ModelError, match=r"none\.npz"):
        DepthTrainer(settings_for(shards, tmp_path / "a", start=str(tmp_path / "none.npz")))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ModelError, match="no weights of this network"):
        DepthTrainer(settings_for(shards, tmp_path / "b", start=str(tmp_path / "other.npz")))


def test_an_interrupted_run_keeps_what_it_has(shards, tmp_path, monkeypatch):
    trainer = DepthTrainer(settings_for(shards, tmp_path))
    steps, step = [], trainer._step

    def interrupted(parts):
        if len(steps) == 2:
            raise KeyboardInterrupt
        steps.append(step(parts))
        return steps[-1]

    monkeypatch.setattr(trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    trainer.close()
    assert checkpoint.load(tmp_path)["step"] == 2
    assert train(settings_for(shards, tmp_path), resume=True)["step"] == 6


def test_a_run_is_resumed_with_what_it_was_begun_with(shards, tmp_path):
    train(settings_for(shards, tmp_path, steps=1))
    for name, other in (("loss", "log"), ("optimizer", "adamw"), ("batch", 4)):
        with pytest.raises(ConfigError, match=f"^{name}: "):
            DepthTrainer(settings_for(shards, tmp_path, **{name: other}), resume=True)


def test_a_checkpoint_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match="checkpoint"):
        checkpoint.save(tmp_path / "nowhere", {"step": 1})


def test_another_seed_is_another_network(shards, tmp_path):
    one, other = (train(settings_for(shards, tmp_path / str(s), seed=s, steps=1)) for s in (0, 1))
    assert not torch.equal(one["network"]["stem.0.weight"], other["network"]["stem.0.weight"])


@pytest.mark.parametrize(("loss", "optimizer"), [("log", "adamw"), ("normalised", "muon")])
def test_the_loss_falls(shards, tmp_path, loss, optimizer):
    settings = settings_for(shards, tmp_path, loss=loss, optimizer=optimizer, steps=24, batch=8)
    trainer = DepthTrainer(settings)
    losses = []
    backward = trainer._workers.backward
    trainer._workers.backward = lambda parts: losses.append(backward(parts)) or losses[-1]
    trainer.run()
    trainer.close()
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:3])
    state = checkpoint.load(tmp_path)
    assert state["architecture"]["output"] == LOSSES[loss][1]


def test_parts_of_a_batch_give_the_gradient_of_the_whole(shards):
    from metric_depth_ros.learning.training.workers import Workers

    batch = make_batch(Samples([shards]), 6, (64, 48), (0, 0), 40)
    batch.depth[~np.isfinite(batch.depth)] = 5.0  # so that every pixel has the same weight in either way
    gradients = []
    for parts in (1, 2):
        torch.manual_seed(0)
        network = TinyDepth().eval()  # batch statistics are each part's own
        workers = Workers(network, partial(mean_loss, log_loss), parts)
        shares = np.split(np.arange(6), parts)
        workers.backward([Batch(batch.image[share], batch.depth[share]) for share in shares])
        workers.close()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    # bfloat16 has 8 bits.
    assert (gradients[0] - gradients[1]).norm() < 0.05 * gradients[0].norm()


def test_a_run_is_not_overwritten_and_wrong_settings_are_named(shards, tmp_path):
    train(settings_for(shards, tmp_path / "run", steps=1))
    with pytest.raises(InputError, match="Resume it"):
        DepthTrainer(settings_for(shards, tmp_path / "run"))
    with pytest.raises(ModelError, match="Train first"):
        DepthTrainer(settings_for(shards, tmp_path / "none"), resume=True)
    for wrong, words in (
        ({"loss": "l2"}, "known are log"),
        ({"optimizer": "sgd"}, "known are muon"),
        ({"size": (16, 16)}, "32x32"),
        ({"size": (330, 250)}, r"multiples of 16\. Nearest: 336x256"),
        ({"steps": None, "minutes": 0.0}, "minutes"),
        ({"device": "tpu"}, "auto, cpu"),
    ):
        with pytest.raises(ConfigError, match=words):
            DepthTrainer(settings_for(shards, tmp_path / "other", **wrong))


def test_the_verb_trains_and_exports(shards, tmp_path, capsys):
    run, to = tmp_path / "run", tmp_path / "to"
    train_words = ["train", "depth", "--data", str(shards), "--out", str(run), "--size", "64x48"]
    assert main([*train_words, "--steps", "2", "--batch", "4"]) == 0
    assert "100.0%  step 2" in capsys.readouterr().out
    assert main(["train", "depth-export", str(run), "--to", str(to), "--name", "mine"]) == 0
    assert (
        "64x48" in capsys.readouterr().out and (to / "mine.onnx").is_file() and (to / "mine.yaml").is_file()
    )
    sizes = ["--size", "64x48", "96x64", "--precision", "fp16"]
    assert main(["train", "depth-export", str(run), "--to", str(to), "--name", "two", *sizes]) == 0
    names = {path.name for path in to.glob("two*")}
    assert {"two.npz", "two_64x48.onnx", "two_64x48_fp16.onnx", "two_96x64.yaml"} <= names
    assert main(["train", "depth-export", str(run), "--to", str(to), "--size", "60x48"]) == 1
    assert "multiples of 16" in capsys.readouterr().err
    assert main(["export", str(run), "--to", str(to)]) == 1
    assert f"train depth-export {run} --to {to}" in capsys.readouterr().err
    assert main([*train_words, "--steps", "2"]) == 1
    assert "Resume it" in capsys.readouterr().err
    assert main(["train", "depth", "--data", str(shards), "--out", str(run), "--size", "big"]) == 1
    assert "WIDTHxHEIGHT" in capsys.readouterr().err


def test_without_torch_the_verb_says_what_to_install(tmp_path, monkeypatch, capsys):
    from metric_depth_ros.cli import train_options as verb

    monkeypatch.setattr(verb, "find_spec", lambda name: None)
    assert main(["train", "basis", "--data", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "torch" in capsys.readouterr().err
    assert main(["train", "depth", "--data", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "pip install 'metric_depth_ros[train]'" in capsys.readouterr().err


def test_validation_looks_at_real_frames_that_are_there(shards, tmp_path):
    folder = tmp_path / "real/tum_open3d"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "a.png"), np.full((48, 64, 3), 90, np.uint8))
    ramp = np.repeat(np.linspace(3000, 1000, 48)[:, None], 64, axis=1).astype(np.uint16)
    cv2.imwrite(str(folder / "a_d.png"), ramp)
    frame = {"rgb": "a.png", "depth": "a_d.png", "fx": None, "fy": None, "cx": None, "cy": None}
    (folder / "calib.json").write_text(json.dumps({"depth_scale": 0.001, "frames": [frame]}))
    train(settings_for(shards, tmp_path / "run", steps=1, real=(str(tmp_path / "real"),)))
    rows = list(csv.DictReader((tmp_path / "run/validation.csv").open()))
    assert [row["place"] for row in rows] == ["synthetic", "indoor"]


def test_stored_weights_keep_what_half_precision_cannot_hold(tmp_path):
    network = TinyDepth()
    network.state_dict()["stem.1.running_var"].fill_(1e6)
    checkpoint.save_weights(network, tmp_path / "w.npz")
    other = TinyDepth()
    checkpoint.load_weights(other, tmp_path / "w.npz")
    assert float(other.state_dict()["stem.1.running_var"].min()) == 1e6
    network.state_dict()["stem.1.running_var"].fill_(float("inf"))
    checkpoint.save_weights(network, tmp_path / "w.npz")
    with pytest.raises(ModelError, match="not finite"):
        checkpoint.load_weights(other, tmp_path / "w.npz")


# ---- a pretrained encoder --------------------------------------------------------------------


@pytest.fixture
def published(monkeypatch):
    """In place of the published weights, which CI may lack, some that are known."""
    from metric_depth_ros.learning.models import small_depth

    def load(encoder):
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.copy_(torch.sin(torch.arange(parameter.numel()).float()).view(parameter.shape) / 10)

    monkeypatch.setattr(small_depth, "load_published", load)


def backbone(state):
    return {k: v for k, v in state["network"].items() if k.startswith("backbone.")}


def small(shards, out, **more):
    return settings_for(shards, out, **{"network": "small", "steps": 4, "frozen": 0.5, **more})


def test_published_weights_are_kept_and_then_trained_gently(shards, tmp_path, published):
    start = DepthTrainer(small(shards, tmp_path / "start"))
    begun = {k: v.clone() for k, v in backbone({"network": start.network.state_dict()}).items()}
    start.close()
    half = train(small(shards, tmp_path / "half"), until=2)
    assert all(torch.equal(v, begun[k]) for k, v in backbone(half).items())
    assert not torch.equal(half["network"]["narrow.weight"], start.network.state_dict()["narrow.weight"])
    whole = train(small(shards, tmp_path / "whole"))
    moved = {
        k: (v - begun[k]).abs().max().item() for k, v in backbone(whole).items() if v.is_floating_point()
    }
    statistics = {k: v for k, v in moved.items() if "running" in k}
    assert not any(statistics.values())
    trained = [v for k, v in moved.items() if k not in statistics]
    assert np.mean(np.array(trained) > 0) > 0.8  # random weights leave some layers dead
    assert max(trained) <= 2 * 0.1 * 2e-3 * 1.1  # two steps of Adam at a tenth of the rate
    never = train(small(shards, tmp_path / "never", frozen=1.0))
    assert all(torch.equal(v, begun[k]) for k, v in backbone(never).items())


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_pretrained_run_is_resumed_to_the_bit(shards, tmp_path, published, cut):
    whole = train(small(shards, tmp_path / "whole"))
    train(small(shards, tmp_path / "parts"), until=cut)
    parts = train(small(shards, tmp_path / "parts"), resume=True)
    assert all(torch.equal(v, parts["network"][k]) for k, v in whole["network"].items())


def test_from_scratch_the_encoder_is_trained_from_the_first_step(shards, tmp_path, published):
    state = train(small(shards, tmp_path / "run", pretrained=False, steps=1))
    trained = {k for k, v in state["optimizer"]["state"].items() if v}
    assert len(trained) == len(list(DepthTrainer(small(shards, tmp_path / "o")).network.parameters()))
    with pytest.raises(ConfigError, match="pretrained"):
        train(small(shards, tmp_path / "run"), resume=True)


@pytest.mark.parametrize(
    "wrong", [{"network": "large"}, {"encoder": "lite9"}, {"frozen": 1.5}, {"encoder_rate": -0.1}]
)
def test_wrong_settings_of_a_pretrained_run_are_named(shards, tmp_path, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DepthTrainer(small(shards, tmp_path, **wrong))


def test_depthwise_convolutions_are_trained_in_float32():
    from metric_depth_ros.learning.models.efficientnet_lite import SameConv

    layer, x = SameConv(8, 8, 3, groups=8), torch.randn(1, 8, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.float32
        layer.requires_grad_(False)
        assert layer(x).dtype == torch.bfloat16


def test_a_picture_takes_the_light_and_palette_of_another():
    from metric_depth_ros.learning.training.augment import _tinted_like

    rng = np.random.default_rng(0)
    image = rng.integers(90, 150, (40, 40, 3), dtype=np.uint8)
    partner = np.clip(rng.normal((60, 120, 180), (10, 20, 15), (40, 40, 3)), 0, 255).astype(np.uint8)
    found = _tinted_like(image, partner)
    np.testing.assert_allclose(found.mean((0, 1)), partner.mean((0, 1)), atol=1)
    np.testing.assert_allclose(found.std((0, 1)), partner.std((0, 1)), atol=1)


@pytest.mark.parametrize("device", ["tpu", "cuda"])
@pytest.mark.parametrize("network", ["depth", "basis", "metric-solver", "scale", "tr2m"])
def test_every_training_takes_a_device_and_refuses_one_that_is_not_there(
    tmp_path, capsys, monkeypatch, network, device
):
    """Before anything is read: there is no data."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ["train", network, "--data", str(tmp_path / "no"), "--out", str(tmp_path / "run")]
    assert main([*words, "--device", device]) == 1
    assert f"device: '{device}'; needed auto, cpu, or cuda where there is one." in capsys.readouterr().err

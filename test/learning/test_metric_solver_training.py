"""Training of Metric-Solver: losses by hand, focuses, runs that can be cut off, fine-tuned and spread."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")

import torch
from made_data import write_frames, write_shards

from metric_depth_ros.cli.main import build_parser, main
from metric_depth_ros.cli.train_metric_solver import _settings
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.learning.models.metric_solver import FOCUSES, MetricSolver, MetricSolverConfig
from metric_depth_ros.learning.models.small_depth import SmallDepth
from metric_depth_ros.learning.models.tiny_depth import TinyDepth
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.augment import mirrored
from metric_depth_ros.learning.training.loader import Samples, make_batch
from metric_depth_ros.learning.training.metric_solver.losses import (
    far_loss,
    mask_loss,
    metric_solver_loss,
    near_loss,
    outputs_loss,
    targets_of,
)
from metric_depth_ros.learning.training.metric_solver.settings import draw_focus, settings_of
from metric_depth_ros.learning.training.metric_solver.trainer import MetricSolverTrainer, load_metric_solver
from metric_depth_ros.learning.training.metric_solver.validation import FocusScore, FocusValidation

inf, nan = float("inf"), float("nan")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"))


# ---- losses ----------------------------------------------------------------------------------


def depth_of(rows):
    return np.array([rows], np.float32)


def maps(rows):
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def test_the_losses_by_hand():
    # Focus 10: 5 and 10 m are near (.5, 1), 30 m is far (exp(-.5)), the sky is far (0).
    targets = targets_of(depth_of([[5.0, 10.0], [30.0, inf]]), np.array([10.0], np.float32))
    assert targets.is_near.flatten().tolist() == [True, True, False, False]
    assert targets.is_far.flatten().tolist() == [False, False, True, True]
    near = maps([[0.7, 1.0], [0.1, 0.9]])
    far = maps([[0.3, 0.4], [np.exp(-0.5) + 0.1, 0.5]])
    assert float(near_loss(near, targets)) == pytest.approx(0.2**2 / 4)
    assert float(far_loss(far, targets)) == pytest.approx((0.1**2 + 0.5**2) / 4, rel=1e-5)
    # An undecided mask costs ln 2 everywhere.
    assert float(mask_loss(torch.zeros(1, 1, 2, 2), targets)) == pytest.approx(np.log(2))
    whole = metric_solver_loss(near, far, torch.zeros(1, 1, 2, 2), targets)
    assert float(whole) == pytest.approx(0.01 + 0.065 + 0.05 * np.log(2), rel=1e-5)
    assert float(metric_solver_loss(near, None, None, targets)) == pytest.approx(0.01)


def test_what_is_unknown_costs_nothing_and_counts_nothing():
    focus = np.array([10.0], np.float32)
    known = targets_of(depth_of([[5.0, 30.0]]), focus)
    some = targets_of(depth_of([[5.0, 30.0], [nan, nan]]), focus)
    generator = torch.Generator().manual_seed(0)
    near, far, logit = (torch.rand(1, 1, 2, 2, generator=generator).requires_grad_() for _ in range(3))
    loss = metric_solver_loss(near, far, logit, some)
    loss.backward()
    whole = metric_solver_loss(*(map_[:, :, :1] for map_ in (near, far, logit)), known)
    assert float(loss.detach()) == pytest.approx(float(whole.detach()))
    for map_ in (near, far, logit):
        assert not map_.grad[:, :, 1].any() and torch.isfinite(map_.grad).all()
    nothing = targets_of(depth_of([[nan, nan]]), focus)
    assert metric_solver_loss(*(map_.detach()[:, :, :1] for map_ in (near, far, logit)), nothing) == 0


def test_every_picture_has_its_own_focus():
    depth = np.full((2, 4, 4), 8.0, np.float32)
    targets = targets_of(depth, np.array([4.0, 16.0], np.float32))
    assert targets.is_far[0].all() and targets.is_near[1].all()
    assert float(targets.near[1, 0, 0, 0]) == 0.5
    assert float(targets.far[0, 0, 0, 0]) == pytest.approx(np.exp(-0.1))


@pytest.mark.parametrize(
    ("heads", "mask", "trained"),
    [
        ("two", True, {"near", "far", "mask"}),
        ("two", False, {"near", "far"}),
        ("one", True, {"near"}),
    ],
)
def test_only_the_heads_there_are_are_asked(heads, mask, trained):
    network = MetricSolver(MetricSolverConfig(heads=heads, mask=mask))
    generator = torch.Generator().manual_seed(0)
    depth = np.linspace(1, 60, 2 * 6 * 8, dtype=np.float32).reshape(2, 6, 8)
    outputs = [torch.rand(2, 1, 6, 8, generator=generator).requires_grad_() for _ in range(3)]
    outputs_loss(network, outputs, depth, torch.tensor([10.0, 20.0])).backward()
    asked = {
        name for name, map_ in zip(("near", "far", "mask"), outputs, strict=True) if map_.grad is not None
    }
    assert asked == trained
    # A single head is asked about everything up to its 80 m, whatever the focus.
    assert bool(outputs[0].grad.all()) == (heads == "one")


# ---- focuses and settings --------------------------------------------------------------------


def test_the_paper_s_focuses_are_of_the_pool_each_as_often():
    drawn = draw_focus(FOCUSES, 4000, np.random.default_rng(0))
    found, counts = np.unique(drawn, return_counts=True)
    assert found.tolist() == [*FOCUSES]
    np.testing.assert_allclose(counts / 4000, 1 / len(FOCUSES), atol=0.02)


def test_a_trainer_draws_its_focuses_as_told(shards, tmp_path, monkeypatch):
    drawn = []
    for between in (0.0, 1.0):
        trainer = MetricSolverTrainer(settings_for(shards, tmp_path / f"{between}", between=between))
        monkeypatch.setattr(trainer._workers, "backward", lambda batch: drawn.append(batch) or 0.0)
        with trainer._batches(0) as batches:
            trainer._backward(next(batches))
        trainer.close()
    pool, anywhere = (np.concatenate([part.focus_m for part in batch]) for batch in drawn)
    assert np.isin(pool, np.float32(FOCUSES)).all() and not np.isin(anywhere, np.float32(FOCUSES)).any()
    with pytest.raises(ConfigError, match=r"between: 1\.5; needed 0 to 1"):
        MetricSolverTrainer(settings_for(shards, tmp_path / "no", between=1.5))


def test_half_of_the_focuses_may_be_between_those_of_the_pool():
    drawn = draw_focus(FOCUSES, 4000, np.random.default_rng(0), 0.5)
    of_pool = np.isin(drawn, np.float32(FOCUSES))
    assert of_pool.mean() == pytest.approx(0.5, abs=0.05)
    assert {*drawn[of_pool].tolist()} == {*FOCUSES}
    between = drawn[~of_pool]
    assert between.min() > 2 and between.max() < 120
    # Even in the logarithm: as many below the geometric mean as above.
    assert np.median(between) == pytest.approx(np.sqrt(2 * 120), rel=0.15)
    assert {*draw_focus((20.0,), 50, np.random.default_rng(0)).tolist()} == {20.0}


def test_the_full_configurations_are_the_papers():
    large = settings_of("large", data=("x",), out="y")
    assert (large.encoder, large.steps, large.learning_rate) == ("large", 205_000, 5e-6)
    assert large.optimizer == "adamw" and large.focuses == FOCUSES
    assert not large.canonical and settings_of("lite0", data=(), out="").canonical
    assert large.between == 0 and settings_of("lite0", data=(), out="").between == 0.5
    assert settings_of("large", data=(), out="", minutes=5.0).steps is None
    assert settings_of("tiny", data=(), out="", learning_rate=None).learning_rate > 1e-4
    with pytest.raises(ConfigError, match="known are lite0, tiny, small"):
        settings_of("huge", data=(), out="")


def test_canonical_depth_is_as_if_all_pictures_were_of_one_camera(shards, tmp_path):
    plain, canonical = Samples([shards]), Samples([shards], canonical=True)
    for index in range(3):
        image, depth = canonical.training(index)
        same, metres = plain.training(index)
        np.testing.assert_array_equal(image, same)
        np.testing.assert_allclose(depth, metres * np.float32(np.sqrt(48 / 64)), rtol=1e-6)  # fx 64, 64x48
    folder = write_frames(tmp_path / "frames")
    calibration = json.loads((folder / "calib.json").read_text())
    del calibration["frames"][3]["fx"]
    (folder / "calib.json").write_text(json.dumps(calibration))
    assert len(Samples([folder])) == 5
    with pytest.raises(InputError, match=r"frames, frame 3: no intrinsics.*--no-canonical"):
        [Samples([folder], canonical=True).training(index) for index in range(5)]


class AsTold(torch.nn.Module):
    """A network that says the same maps whatever it sees."""

    config = MetricSolverConfig(heads="two", mask=True)

    def __init__(self, near, far, logit):
        super().__init__()
        self.outputs = [maps(near), maps(far), maps(logit)]
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def encode(self, images):
        return [images]

    def decode(self, features, focus_m):
        return self.outputs

    def used_focus(self, focus_m):
        return focus_m


def test_a_score_by_hand():
    """Within 10 m at 5 m, thrice, then 30 m, the sky and what nobody knows; the maps are of half the size."""
    depth = np.array([[5, 5, 5, 30, inf, nan]] * 2, np.float32).repeat(2, axis=0).repeat(2, axis=1)
    pictures = SimpleNamespace(
        validation=[(0, 0)], read=lambda reader, index: (np.zeros((4, 12, 3), np.uint8), depth)
    )
    near, far = np.full((2, 6), 0.6), np.full((2, 6), np.exp(-0.5))  # 6 m, 30 m
    logit = np.array([[1, 1, -1, 1, -1, 1.0]] * 2)
    score = FocusValidation(pictures, (12, 4), [10.0]).scores(AsTold(near, far, logit))["10 m"]
    # Of the four with a depth two are right; the sky, which is right too, does not count.
    assert score.mask == pytest.approx(2 / 4)
    # Within the focus the answers are 6, 6 and 30 m.
    assert score.abs_rel == pytest.approx((0.2 + 0.2 + 5) / 3) and score.delta1 == pytest.approx(2 / 3)


# ---- runs ------------------------------------------------------------------------------------


def settings_for(shards, out, **more):
    told = {"batch": 6, "size": (64, 48), "steps": 6, "threads": 2, "learning_rate": 2e-3, "look_every": 3}
    return settings_of("tiny", data=(str(shards),), out=str(out), **{**told, **more})


def train(settings, *, resume=False, until=None):
    trainer = MetricSolverTrainer(settings, resume=resume)
    trainer.run(until=until)
    trainer.close()
    return load_metric_solver(settings.out)[1]


def rows_of(run, name):
    """Of a curve, without the columns that depend on the clock."""
    rows = list(csv.DictReader((run / name).open()))
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_s")} for row in rows]


def test_a_run_that_was_killed_goes_on_with_the_same_curve(shards, tmp_path, monkeypatch):
    whole = train(settings_for(shards, tmp_path / "whole"))
    settings = settings_for(shards, tmp_path / "parts")
    trainer = MetricSolverTrainer(settings)
    step = trainer._step

    def killed_at_five(parts):
        if trainer.progress.step == 4:
            raise SystemExit  # nothing is saved on the way out
        return step(parts)

    monkeypatch.setattr(trainer, "_step", killed_at_five)
    with pytest.raises(SystemExit):
        trainer.run()
    trainer.close()
    assert checkpoint.load(tmp_path / "parts")["step"] == 3
    resumed = train(settings, resume=True)
    assert resumed["step"] == whole["step"] == 6
    for kept in ("network", "average", "best"):
        assert all(torch.equal(value, resumed[kept][name]) for name, value in whole[kept].items())
    assert resumed["best_loss"] == whole["best_loss"]
    curve = rows_of(tmp_path / "whole", "validation.csv")
    assert curve == rows_of(tmp_path / "parts", "validation.csv")
    assert [(row["step"], row["place"]) for row in curve] == [
        (step, place) for step in ("3", "6") for place in ("2 m", "20 m", "120 m")
    ]


def test_the_loss_falls_and_the_best_is_kept(shards, tmp_path):
    # Too fast at the end, so that the last is not the best.
    state = train(settings_for(shards, tmp_path, steps=70, look_every=10, batch=8, average=0.8))
    rows = rows_of(tmp_path, "validation.csv")
    losses = np.array([float(row["loss"]) for row in rows]).reshape(-1, 3).mean(1)
    assert losses[-1] < 0.7 * losses[0]
    assert state["best_loss"] == pytest.approx(losses.min(), abs=1e-4)


def test_the_best_has_the_lowest_mean_loss_over_the_focuses(shards, tmp_path, monkeypatch):
    trainer = MetricSolverTrainer(settings_for(shards, tmp_path, look_every=2))
    decreed, averages = iter([(1.0, 5.0), (1.5, 0.5), (0.1, 3.9)]), []

    def scores(network):
        averages.append({name: value.clone() for name, value in network.state_dict().items()})
        # The other scores would choose otherwise.
        rest = {"abs_rel": float(len(averages)), "delta1": len(averages) / 9, "mask": len(averages) / 9}
        return {name: FocusScore(loss, **rest) for name, loss in zip("ab", next(decreed), strict=True)}

    monkeypatch.setattr(trainer._validation, "scores", scores)
    trainer.run()
    trainer.close()
    found = load_metric_solver(tmp_path)[1]
    assert found["best_loss"] == 1.0 and len(averages) == 3
    assert all(torch.equal(value, found["best"][name]) for name, value in averages[1].items())


def test_a_run_can_be_fine_tuned(shards, tmp_path):
    first = train(settings_for(shards, tmp_path / "first", steps=3))
    begun = MetricSolverTrainer(settings_for(shards, tmp_path / "second", start=str(tmp_path / "first")))
    begun.close()
    assert all(torch.equal(v, first["best"][name]) for name, v in begun.network.state_dict().items())
    with pytest.raises(ConfigError, match=r"^start: "):
        MetricSolverTrainer(
            settings_for(shards, tmp_path / "third", start=str(tmp_path / "first"), heads="one")
        )


def test_a_run_begins_with_the_small_depth_network(shards, tmp_path):
    torch.manual_seed(1)
    tiny = TinyDepth()
    checkpoint.save_weights(tiny, tmp_path / "w.npz")
    begun = MetricSolverTrainer(settings_for(shards, tmp_path / "run", weights=str(tmp_path / "w.npz")))
    begun.close()
    found, wanted = begun.network.encoder.state_dict(), tiny.state_dict()
    assert all(torch.allclose(v, wanted[name].to(v.dtype), atol=1e-3) for name, v in found.items())
    with pytest.raises(ModelError, match=r"none\.npz"):
        MetricSolverTrainer(settings_for(shards, tmp_path / "b", weights=str(tmp_path / "none.npz")))


def test_the_full_configurations_train(shards, tmp_path):
    settings = settings_of(
        "small", data=(str(shards),), out=str(tmp_path), batch=2, size=(70, 56), threads=2, device="cpu"
    )
    trainer = MetricSolverTrainer(settings)
    before = [p.clone() for p in trainer.network.parameters() if p.requires_grad]
    samples = Samples([shards])
    parts = [make_batch(samples, 1, (70, 56), (0, part), 40, mirrored) for part in range(2)]
    assert 0 < trainer._step(parts) < 10
    trainer.close()
    after = [p for p in trainer.network.parameters() if p.requires_grad]
    moved = [not torch.equal(a, b) for a, b in zip(after, before, strict=True)]
    assert all(moved)


def test_wrong_settings_are_named(shards, tmp_path):
    train(settings_for(shards, tmp_path / "run", steps=1))
    with pytest.raises(InputError, match="Resume it"):
        MetricSolverTrainer(settings_for(shards, tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"^focuses: "):
        MetricSolverTrainer(settings_for(shards, tmp_path / "run", focuses=(10.0,)), resume=True)
    for wrong, words in (
        ({"optimizer": "sgd"}, "known are muon"),
        ({"size": (16, 16)}, "32x32"),
        ({"size": (64, 48), "encoder": "small"}, "multiples of 14"),
        ({"focuses": (4.0, 2.0)}, "rising"),
        ({"focuses": (4.0, nan)}, "rising"),
        ({"heads": "three"}, "one, two"),
        ({"steps": 0}, "steps"),
        ({"batch": 0}, "batch"),
        ({"look_every": 0}, "look_every"),
        ({"learning_rate": inf}, "learning_rate"),
    ):
        with pytest.raises(ConfigError, match=words):
            MetricSolverTrainer(settings_for(shards, tmp_path / "other", **wrong))


# ---- the command -----------------------------------------------------------------------------


def told(shards, tmp_path, *more):
    words = ["train", "metric-solver", "--data", str(shards), "--out", str(tmp_path / "run"), *more]
    return _settings(build_parser().parse_args(words))


def test_epochs_are_passes_over_the_data(shards, tmp_path):
    # 40 of the 60 pictures are for training.
    assert told(shards, tmp_path, "--epochs", "70", "--batch", "8").steps == 350
    settings = told(shards, tmp_path, "--config", "large", "--weights", "none", "--focuses", "2,10")
    assert settings.weights is None and settings.focuses == (2.0, 10.0) and settings.steps == 205_000
    assert told(shards, tmp_path).weights.endswith("small_depth.npz")
    assert told(shards, tmp_path, "--config", "tiny").weights.endswith("tiny_depth.npz")
    with pytest.raises(ConfigError, match="epochs"):
        told(shards, tmp_path, "--epochs", "0")
    with pytest.raises(ConfigError, match="2,10,80"):
        told(shards, tmp_path, "--focuses", "near,far")


def test_two_processes_train_one_network(shards, tmp_path):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "metric_depth_ros.cli", "train", "metric-solver", "--data", str(shards), "--out", str(tmp_path),
        "--steps", "2", "--batch", "4", "--size", "64x48", "--look-every", "1", "--weights", "none",
    ]  # fmt: skip
    found = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr[-6000:]
    assert load_metric_solver(tmp_path)[1]["step"] == 2
    # One of them speaks and writes.
    assert [row["step"] for row in rows_of(tmp_path, "validation.csv")] == ["1"] * 3 + ["2"] * 3
    assert found.stdout.count(" 2 m: ") == 2


_ONE_OF_TWO_IS_STOPPED = """
import os, signal, sys
from pathlib import Path
import torch
from metric_depth_ros.learning.training.metric_solver.settings import settings_of
from metric_depth_ros.learning.training.metric_solver.trainer import MetricSolverTrainer

data, to = sys.argv[1:]

def trainer(name, **how):
    settings = settings_of("tiny", data=(data,), out=f"{to}/{name}", steps=6, batch=4, size=(64, 48))
    return MetricSolverTrainer(settings, **how)

cut = trainer("cut")
backward = cut._backward

def stopped(batch):
    if cut.rank.number == 1 and cut.progress.step == 2:
        os.kill(os.getpid(), signal.SIGTERM)
    return backward(batch)

cut._backward = stopped
try:
    cut.run()
except KeyboardInterrupt:
    assert cut.progress.step == 3, cut.progress.step
else:
    raise AssertionError("not stopped")
torch.distributed.barrier()
del cut, backward, stopped
trainer("cut", resume=True).run()
whole = trainer("whole")
whole.run()
whole.close()
threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in threads if "gloo" in name], threads  # one may abort the process as it ends
"""


def test_two_processes_stop_at_one_step_and_go_on_to_the_bit(shards, tmp_path):
    (tmp_path / "script.py").write_text(_ONE_OF_TWO_IS_STOPPED)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(tmp_path / "script.py"), str(shards), str(tmp_path),
    ]  # fmt: skip
    found = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr[-6000:]
    cut, whole = (checkpoint.load(tmp_path / name) for name in ("cut", "whole"))
    assert cut["step"] == whole["step"] == 6
    for kept in ("network", "average"):
        assert all(torch.equal(value, cut[kept][name]) for name, value in whole[kept].items())


def test_the_command_trains(shards, tmp_path, capsys):
    words = ["train", "metric-solver", "--data", shards, "--out", tmp_path, "--steps", 1, "--batch", 4]
    assert main([*map(str, words), "--size", "64x48", "--device", "cpu"]) == 0
    assert "metric-solver-export" in capsys.readouterr().out
    assert main([*map(str, words), "--size", "64"]) == 1


# ---- the benchmark ---------------------------------------------------------------------------


def test_the_table_of_a_perfect_and_of_a_clumsy_network(shards, monkeypatch):
    path = Path(__file__).parents[2] / "benchmarks/bench_metric_solver.py"
    if not path.is_file():
        pytest.skip("no benchmarks beside an installed package")
    monkeypatch.syspath_prepend(path.parent)  # as when it is run
    spec = importlib.util.spec_from_file_location("bench_metric_solver", path)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    truths = {image.tobytes(): truth for image, truth, _ in bench.pictures(shards)}

    def perfect(image, camera, focuses):
        return [truths[image.tobytes()]] * len(focuses)

    errors, masks = bench.sliding(perfect, shards)
    reached = np.isfinite(errors[0, 0])
    assert not errors[0][:, reached].any() and (errors[1][:, reached] == 1).all() and (masks == 1).all()

    def clumsy(image, camera, focuses):  # right within the focus, half as far again beyond it
        truth = truths[image.tobytes()]
        return [np.where(truth <= focus, truth, 1.5 * truth) for focus in focuses]

    errors, masks = bench.sliding(clumsy, shards)
    # Up to 4 m: the focus of 2 m is wrong beyond it, that of 4 m is not.
    assert errors[0, 0, 1] > 0.05 and errors[0, 1, 1] == 0 and (masks == 1).all()
    table = bench.sliding_table("ramps", errors, masks, {"control": bench.control(shards, bench.cut)})
    assert "on or next to it" in table and table.count("**") >= 2 * len(bench.FOCUSES)
    # A mask that is always far is right beyond the focus; at the sky it is right too, which does not count.
    _, far = bench.sliding(lambda image, _, focuses: [np.full(image.shape[:2], 1e3)] * len(focuses), shards)
    seen = [truth[::2, ::2] for truth in truths.values()]
    beyond = [np.mean([(t[np.isfinite(t)] > f).mean() for t in seen]) for f in bench.FOCUSES]
    np.testing.assert_allclose(far, beyond, atol=1e-6)
    lines = bench.mask_table({"indoor": masks, "street": far}).splitlines()
    assert lines[0].startswith("| | indoor 2m | indoor 4m |") and "street 120m" in lines[0]
    assert lines[2].startswith("| Accuracy | 1.0000 |") and lines[2].endswith(f"| {far[-1]:.4f} |")


def lite(shards, out, **more):
    told = {"encoder": "lite0", "steps": 4, "frozen": 0.5, "weights": str(out.parent / "w.npz"), **more}
    return settings_for(shards, out, **told)


def trained(settings, *, resume=False, until=None):
    trainer = MetricSolverTrainer(settings, resume=resume)
    trainer.run(until=until)
    trainer.close()
    return checkpoint.load(settings.out)["network"]


def test_an_encoder_trained_on_photographs_is_kept_at_first_and_resumed_to_the_bit(shards, tmp_path):
    torch.manual_seed(0)
    start = SmallDepth()
    checkpoint.save_weights(start, tmp_path / "w.npz")
    checkpoint.load_weights(start, tmp_path / "w.npz")
    begun = {f"encoder.{k}": v for k, v in start.state_dict().items() if k.startswith("backbone.")}
    half = trained(lite(shards, tmp_path / "parts"), until=2)
    assert all(torch.equal(half[k], v) for k, v in begun.items())
    whole = trained(lite(shards, tmp_path / "whole"))
    assert not all(torch.equal(whole[k], v) for k, v in begun.items())
    # Resumed without naming the weights again.
    parts = trained(lite(shards, tmp_path / "parts", weights=None), resume=True)
    assert all(torch.equal(v, parts[k]) for k, v in whole.items())


def test_from_random_weights_the_encoder_is_trained_from_the_first_step(shards, tmp_path):
    before = trained(lite(shards, tmp_path / "run", weights=None), until=1)
    after = trained(lite(shards, tmp_path / "run", weights="absent.npz"), resume=True, until=2)
    assert not torch.equal(
        before["encoder.backbone.levels.0.0.0.weight"], after["encoder.backbone.levels.0.0.0.weight"]
    )

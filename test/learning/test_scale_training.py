"""Scale networks (paper 002): targets by hand, the recipe, resuming to the bit, export, use as a prior."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")
pytest.importorskip("onnx", reason="onnx is not installed: pip install 'metric_depth_ros[export]'")

import torch
from made_data import write_frames, write_shards

from metric_depth_ros.cli.main import build_parser, main
from metric_depth_ros.cli.train_scale import _settings
from metric_depth_ros.config import EngineConfig, from_flat, updated
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.errors import AnchorError, ConfigError, InputError, ModelError
from metric_depth_ros.learning.models.scale_network import ScaleNetwork, ScaleNetworkConfig
from metric_depth_ros.learning.training.scale import trainer as training
from metric_depth_ros.learning.training.scale.settings import ScaleSettings
from metric_depth_ros.learning.training.scale.targets import FILE, ScaleTargets, write_targets
from metric_depth_ros.learning.training.scale.trainer import ScaleTrainer, load_scale_network
from metric_depth_ros.pipeline import build_pipeline
from metric_depth_ros.types import Camera, RelativeDepth, Sample


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Ramps in 12 groups of 20, so that some are for validation."""
    return write_shards(tmp_path_factory.mktemp("shards"), count=240)


@pytest.fixture(scope="module")
def targets(shards, tmp_path_factory, toy_manifest):
    folder = tmp_path_factory.mktemp("targets")
    assert list(write_targets([shards], EngineConfig(str(toy_manifest)), folder, count=999))[-1] == 240
    return folder


class Perfect:
    """A network that says the true depth of a shard's pictures, times a factor."""

    manifest = dataclasses.make_dataclass("Named", ["name"])("perfect")

    def __init__(self, data, factor, metric):
        pictures = (data.picture(i) for i in range(len(data)))
        self.depths = {p.image.tobytes(): np.where(np.isfinite(p.depth), p.depth, np.nan) for p in pictures}
        self.factor, self.metric = factor, metric

    def predict(self, image, *, focus_m=None, camera=None):
        values = np.float32(self.factor) * self.depths[image.tobytes()]
        return RelativeDepth(values, "depth", metric=self.metric)


def made(monkeypatch, shards, out, *, factor, metric, **more):
    data = open_dataset(shards)
    monkeypatch.setattr(
        "metric_depth_ros.learning.training.chosen.build_network",
        lambda config: Perfect(data, factor, metric),
    )
    list(write_targets([shards], EngineConfig(), out, count=999, **more))
    return ScaleTargets(out, filtered=False)


# ---- targets ---------------------------------------------------------------------------------


def test_the_best_scale_undoes_the_factor_of_a_metric_network(monkeypatch, shards, tmp_path):
    found = made(monkeypatch, shards, tmp_path, factor=2.5, metric=True)
    np.testing.assert_allclose(found.log_scale, np.log(1 / 2.5), atol=1e-5)
    assert found.about.metric and not found.about.canonical
    far = made(monkeypatch, shards, tmp_path / "far", factor=50, metric=True)
    np.testing.assert_allclose(far.log_scale, np.log(0.1), atol=1e-5)  # equation 1's bounds


@pytest.mark.parametrize("canonical", [True, False])
def test_the_scale_of_a_unitless_network_is_the_usual_depth_for_one_camera(
    monkeypatch, shards, tmp_path, canonical
):
    found = made(monkeypatch, shards, tmp_path, factor=0.01, metric=False, canonical=canonical)
    pictures = (open_dataset(shards).picture(index) for index in range(240))
    usual = np.array([np.median(p.depth[np.isfinite(p.depth)]) for p in pictures])
    focal = np.sqrt(64 * 64 / (64 * 48)) if canonical else 1.0
    np.testing.assert_allclose(np.exp(found.log_scale), usual / focal, rtol=0.02)
    assert found.about.canonical == canonical


def test_a_fifth_is_for_validation_and_the_extremes_are_left_out(targets):
    every, most = ScaleTargets(targets, filtered=False), ScaleTargets(targets)
    assert len(every.training) + len(every.validation) == 240
    assert 0.15 < len(every.validation) / 240 < 0.3
    kept = np.concatenate([most.training, most.validation])
    assert 0.88 < len(kept) / 240 < 0.92
    low, high = np.percentile(every.log_scale, (5, 95))
    assert (most.log_scale[kept] >= low).all() and (most.log_scale[kept] <= high).all()
    # Groups of 20 in a row stay together.
    groups = {int(i) // 20 for i in every.validation}
    assert not groups & {int(i) // 20 for i in every.training}


def test_several_data_sets_and_kinds_of_scenes(toy_manifest, tmp_path):
    """The first picture of a draw may be of any of them; frames have no kind."""
    one, many = write_frames(tmp_path / "one", count=1), write_shards(tmp_path / "many", count=240)
    engine = EngineConfig(str(toy_manifest))
    for seed in range(3):
        list(write_targets([one, many], engine, tmp_path / f"{seed}", count=120, seed=seed))
    found = ScaleTargets(tmp_path / "0", families=["street"])
    every = ScaleTargets(tmp_path / "0")
    assert 0.3 < len(found.training) / len(every.training) < 0.7
    assert found.about.data == (str(one), str(many)) and found.about.frames == (1, 240)
    with pytest.raises(InputError, match="0 pictures of lobby to train on"):
        ScaleTargets(tmp_path / "0", families=["lobby"])
    (many / "shard_00000.zip").unlink()
    with pytest.raises(InputError, match="made of data that is gone"):
        ScaleTargets(tmp_path / "0")


def test_what_is_wrong_with_the_data_is_named(targets, toy_manifest, tmp_path):
    engine = EngineConfig(str(toy_manifest))
    with pytest.raises(ConfigError, match="count: 1"):
        list(write_targets([tmp_path], engine, tmp_path / "t", count=1))
    with pytest.raises(InputError, match=r"targets\.npz: cannot be read"):
        ScaleTargets(tmp_path)
    folder = write_frames(tmp_path / "frames")
    calibration = json.loads((folder / "calib.json").read_text())
    del calibration["frames"][1]["fx"]
    (folder / "calib.json").write_text(json.dumps(calibration))
    with pytest.raises(InputError, match="frame 1: no intrinsics"):
        list(write_targets([folder], engine, tmp_path / "t", count=99))
    assert list(write_targets([folder], engine, tmp_path / "t", count=99, canonical=False))[-1] == 6


# ---- the network and its training ------------------------------------------------------------


def settings_for(targets, out, **more):
    told = {"batch": 8, "size": (64, 48), "steps": 6, "threads": 2, "look_every": 3, "encoder": "plain"}
    return ScaleSettings(targets=str(targets), out=str(out), **{**told, **more})


def train(settings, *, resume=False, until=None):
    trainer = ScaleTrainer(settings, resume=resume)
    trainer.run(until=until)
    trainer.close()
    return load_scale_network(settings.out)[1]


@pytest.mark.parametrize("encoder", ["plain", "tiny", "lite0"])
def test_the_network_gives_one_number_a_picture(encoder):
    network = ScaleNetwork(ScaleNetworkConfig(encoder)).eval()
    with torch.inference_mode():
        assert network(torch.randn(3, 3, 48, 64)).shape == (3,)
    with pytest.raises(ConfigError, match="known are lite0"):
        ScaleNetwork(ScaleNetworkConfig("huge"))


def test_the_loss_is_the_mean_squared_error_of_the_log(targets):
    class Told(torch.nn.Linear):
        def forward(self, image):
            return torch.tensor([1.0, 2.0])

    batch = training.ScaleBatch(np.zeros((2, 4, 4, 3), np.uint8), np.array([1.5, 0.0], np.float32))
    assert float(training._objective(Told(1, 1), batch)) == pytest.approx((0.25 + 4) / 2)
    found = ScaleTargets(targets)
    index = found.validation[:2]
    score = training.score_of(Told(1, 1), found, index, (32, 32))
    log = found.log_scale[index]
    apart = np.exp([1.0, 2.0]) - np.exp(log)
    assert score.loss == pytest.approx(float(np.mean((np.array([1.0, 2.0]) - log) ** 2)), rel=1e-5)
    assert score.mae == pytest.approx(np.abs(apart).mean(), rel=1e-5)
    assert score.rmse == pytest.approx(np.sqrt(np.mean(apart**2)), rel=1e-5)


def test_the_learning_rate_is_halved_every_ten_epochs(targets, tmp_path):
    trainer = ScaleTrainer(settings_for(targets, tmp_path, batch=16))
    trainer.close()
    steps = len(trainer.targets.training) / 16
    rates = []
    for epoch in (0, 9.9, 10.1, 19.9, 20.1, 35):
        trainer.progress.step = round(epoch * steps + 0.49)
        rates.append(trainer._rate(0.5))
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 1.25e-4])
    settings = trainer.settings
    assert (settings.learning_rate, settings.weight_decay, settings.clip) == (1e-3, 0.0, 1.0)


def test_it_learns_the_scales_of_its_pictures(targets, tmp_path, monkeypatch):
    """Two hundred pictures tell little of others; light, which says how deep the ramps are, is left alone."""
    monkeypatch.setattr(training, "relit", lambda image, partner, rng: image)
    state = train(settings_for(targets, tmp_path, steps=100, batch=16, look_every=50))
    found = ScaleTargets(targets)
    newest = training.build_scale_network(state, weights="average").eval()
    score = training.score_of(newest, found, found.training, (64, 48))
    assert score.loss < 0.5 * np.var(found.log_scale[found.training])
    assert state["best_loss"] < 1.1 * np.var(found.log_scale[found.validation])


def test_a_run_that_was_cut_goes_on_to_the_bit(targets, tmp_path):
    whole = train(settings_for(targets, tmp_path / "whole"))
    train(settings_for(targets, tmp_path / "cut"), until=4)
    resumed = train(settings_for(targets, tmp_path / "cut"), resume=True)
    for part in ("network", "average", "best"):
        assert all(torch.equal(value, whole[part][name]) for name, value in resumed[part].items())
    with pytest.raises(ConfigError, match="batch"):
        ScaleTrainer(settings_for(targets, tmp_path / "cut", batch=4), resume=True)


def test_a_run_keeps_to_its_targets_wherever_they_lie(targets, shards, toy_manifest, tmp_path):
    train(settings_for(targets, tmp_path / "run"), until=2)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / FILE).write_bytes((targets / FILE).read_bytes())
    train(settings_for(moved, tmp_path / "run"), resume=True, until=3)
    other = tmp_path / "other"
    list(write_targets([shards], EngineConfig(str(toy_manifest)), other, count=999, canonical=False))
    with pytest.raises(ConfigError, match="targets: canonical False; the run that is resumed has True"):
        ScaleTrainer(settings_for(other, tmp_path / "run"), resume=True)
    list(write_targets([shards], EngineConfig(str(toy_manifest)), other, count=200))
    with pytest.raises(ConfigError, match="targets: digest"):
        ScaleTrainer(settings_for(other, tmp_path / "run"), resume=True)


def test_flags_about_targets_that_are_there_are_refused(targets, tmp_path, capsys):
    words = ["train", "scale", "--out", str(tmp_path), "--targets", str(targets), "--encoder", "plain"]
    for more in (["--data", "nowhere"], ["--engine", "tiny"], ["--no-canonical"]):
        assert main([*words, *more]) == 1
        assert "holds targets already" in capsys.readouterr().err
    assert main([*words[:-1], "huge"]) == 1
    assert "known are lite0" in capsys.readouterr().err
    assert main([*words, "--families", "lobby"]) == 1
    assert "of lobby" in capsys.readouterr().err


def test_the_encoder_begins_with_the_depth_network_s_and_is_kept_at_first(targets, tmp_path):
    from metric_depth_ros.learning.models.tiny_depth import TinyDepth
    from metric_depth_ros.learning.training import checkpoint

    depth = TinyDepth()
    checkpoint.save_weights(depth, tmp_path / "w.npz")
    more = {"encoder": "tiny", "weights": str(tmp_path / "w.npz"), "frozen": 0.5}
    half = train(settings_for(targets, tmp_path / "run", **more), until=3)
    for name, value in depth.encoder.state_dict().items():
        found = half["network"][f"encoder.{name}"]
        assert torch.allclose(found.float(), value.half().float(), atol=1e-3), name
    done = train(settings_for(targets, tmp_path / "run", **more), resume=True)
    moved = [n for n in half["network"] if not torch.equal(half["network"][n], done["network"][n])]
    assert any(name.startswith("encoder.") for name in moved)
    again = train(settings_for(targets, tmp_path / "run", **{**more, "weights": None}), resume=True)
    assert all(torch.equal(value, done["best"][name]) for name, value in again["best"].items())
    with pytest.raises(ConfigError, match="plain"):
        ScaleTrainer(settings_for(targets, tmp_path / "b", weights=str(tmp_path / "w.npz")))


def test_epochs_become_steps(targets, tmp_path):
    words = ["train", "scale", "--out", str(tmp_path), "--targets", str(targets), "--encoder", "plain"]
    assert main([*words, "--size", "64x48", "--epochs", "0.2", "--threads", "1"]) == 0
    state = load_scale_network(tmp_path)[1]
    count = len(ScaleTargets(targets).training)
    assert state["step"] == np.ceil(0.2 * count / 32)
    assert state["settings"]["look_every"] == np.ceil(5 * count / 32)
    args = build_parser().parse_args([*words[:-2], "--no-filter"])
    assert _settings(args).weights.endswith("small_depth.npz") and not _settings(args).filtered


# ---- exported, as a prior --------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(shards, tmp_path_factory, toy_manifest):
    folder = tmp_path_factory.mktemp("exported")
    told = ["--data", shards, "--engine", toy_manifest, "--encoder", "plain", "--size", "64x48"]
    words = ["train", "scale", "--out", folder / "run", *told, "--epochs", "2", "--batch", "16"]
    assert main([str(word) for word in [*words, "--threads", "1"]]) == 0
    assert main(["train", "scale-export", str(folder / "run"), "--to", str(folder), "--name", "s"]) == 0
    return folder / "s.yaml"


def test_the_manifest_says_what_the_scale_is_of(exported, toy_manifest):
    tree = yaml.safe_load(exported.read_text())
    state = load_scale_network(exported.parent / "run")[1]
    assert tree["scale_of"] == yaml.safe_load(toy_manifest.read_text())["name"]
    assert tree["canonical"] is True and "metric" not in tree
    found = ScaleTargets(exported.parent / "run/targets")
    network, _ = load_scale_network(exported.parent / "run")
    every = np.sqrt(training.score_of(network, found, found.held_out, (64, 48)).loss)
    assert tree["sigma"] == pytest.approx(every, abs=1e-3)
    assert tree["sigma"] == pytest.approx(state["about"]["sigma"], abs=1e-3)
    assert len(found.held_out) > len(found.validation)
    assert (exported.parent / "run/targets" / FILE).is_file()


def test_an_image_without_points_has_the_depth_of_its_scale(exported, toy_manifest, shards):
    picture = open_dataset(shards).picture(7)
    sample = Sample(picture.image, picture.camera, np.empty((0, 3), np.float32))
    told = {"engine.manifest": str(toy_manifest), "solver.prior": str(exported)}
    alone = build_pipeline(from_flat(told)).process(sample)
    named = build_pipeline(from_flat({**told, "solver.name": "scale_cnn"})).process(sample)
    np.testing.assert_array_equal(alone.metric.depth, named.metric.depth)
    assert alone.metric.info["prior"] == "s" and "prior" in alone.timings
    assert alone.metric.info["scale_from"] == "prior"
    points = np.array([[0, 0, 2.0], [0.2, 0.1, 2.0]], np.float32)
    few = build_pipeline(from_flat(told)).process(dataclasses.replace(sample, points_camera=points))
    assert few.metric.info["scale_from"] == "anchors and prior"
    network, _ = load_scale_network(exported.parent / "run")
    log = float(training.log_scales(network, [picture.image], (64, 48))[0])
    wanted = np.exp(log) * picture.camera.relative_focal
    assert np.median(alone.metric.depth) == pytest.approx(wanted, rel=0.02)
    # A camera with twice the focal length sees the same from twice as far.
    K = np.diag([2.0, 2.0, 1.0]) @ picture.camera.K
    longer = dataclasses.replace(sample, camera=Camera(64, 48, K))
    twice = build_pipeline(from_flat(told)).process(longer)
    np.testing.assert_allclose(twice.metric.depth, 2 * alone.metric.depth, rtol=1e-5)


def test_a_prior_that_does_not_fit_is_named(exported, toy_manifest):
    other, tree = exported.with_name("other.yaml"), yaml.safe_load(exported.read_text())

    def built(prior, **changes):
        other.write_text(yaml.safe_dump({**tree, **changes}))
        return build_pipeline(from_flat({"engine.manifest": str(toy_manifest), "solver.prior": str(prior)}))

    for changes in ({"metric": True}, {"scale_of": "another"}):
        with pytest.raises(ConfigError, match=r"s is for the .* of .*; the network is toy"):
            built(other, **changes)
    with pytest.raises(ModelError, match="gave nothing of shape None"):
        built(other, output="nothing")
    with pytest.raises(ModelError, match="sigma"):
        built(other, sigma=0)
    with pytest.raises(ModelError, match="needed scale_cnn, tr2m, metric_solver, network or a manifest"):
        built("nonsense")
    with pytest.raises(ConfigError, match="no metres of its own"):
        built("network")
    with pytest.raises(ModelError, match="of a network without metres"):
        built(toy_manifest)
    assert main(["build", "--manifest", str(toy_manifest), "--set", "solver.prior=nonsense"]) == 1


def test_a_prior_is_there_as_long_as_it_is_set(exported, toy_manifest):
    told = {"engine.manifest": str(toy_manifest), "anchors.min_count": 3}
    camera = Camera(64, 48, np.diag([64.0, 64.0, 1]))
    sample = Sample(np.zeros((48, 64, 3), np.uint8), camera, np.zeros((0, 3)))
    pipeline = build_pipeline(from_flat({**told, "solver.name": "prior", "solver.prior": str(exported)}))
    pipeline.process(sample)
    still = pipeline.with_config(updated(pipeline.config, {"solver.name": "auto"}))
    assert still.process(sample).metric.info["prior"] == "s"
    gone = still.with_config(updated(still.config, {"solver.prior": ""}))
    with pytest.raises(AnchorError):
        gone.process(sample)
    with pytest.raises(ConfigError, match="scale_cnn, which is loaded at the start only"):
        gone.with_config(updated(gone.config, {"solver.name": "scale_cnn"}))

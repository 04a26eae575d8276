"""The network of refined: simulated anchors and maps, examples, losses, training, export, use as a solver."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")
pytest.importorskip("onnx", reason="onnx is not installed: pip install 'metric_depth_ros[export]'")

import torch
from made_data import write_frames, write_shards
from made_scenes import noisy_problem, solver_of
from torch.nn import functional

from metric_depth_ros.cli.main import main
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.learning.models.refinement import (
    MOST_SIGMAS,
    NEIGHBOURS,
    Refinement,
    RefinementConfig,
    _towards_neighbours,
)
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.refinement import disturb, draw
from metric_depth_ros.learning.training.refinement.examples import RefinementExamples, write_examples
from metric_depth_ros.learning.training.refinement.losses import objective
from metric_depth_ros.learning.training.refinement.settings import RefinementSettings
from metric_depth_ros.learning.training.refinement.trainer import RefinementTrainer, load_refinement
from metric_depth_ros.share import share_path
from metric_depth_ros.solvers.refined.inputs import (
    CHANNELS,
    INPUTS,
    LOG_DEPTH,
    LOG_SIGMA,
    SIGMA_MIDDLE,
    SIGMA_UNIT,
)
from metric_depth_ros.types import RelativeDepth

SIZE = 96, 48


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Ramps in 12 groups of 20, so that some are for validation; two draws of each."""
    shards = write_shards(tmp_path_factory.mktemp("shards"), count=240)
    folder = tmp_path_factory.mktemp("examples")
    assert list(write_examples([shards], folder, count=40, size=SIZE, draws=2))[-1] == 40
    return folder


# ---- what it is trained on ---------------------------------------------------------------------


def scene(seed=0):
    rng = np.random.default_rng(seed)
    depth = np.full((60, 80), 4.0, np.float32)
    depth[20:40, 30:60] = 1.5
    depth[:5] = np.inf
    return np.where(np.isfinite(depth), depth, np.nan), rng.integers(0, 256, (60, 80, 3), np.uint8)


@pytest.mark.parametrize("sensor", draw._SENSORS)
def test_every_sensor_draws_known_pixels_only_and_some(sensor):
    depth, image = scene()
    known = np.isfinite(depth)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        places = sensor.places(known, image, int(rng.integers(1, 3000)), rng)
        assert 0 < len(places) <= draw._MOST and len(np.unique(places)) == len(places)
        assert known.ravel()[places].all()


def test_most_drawn_anchors_are_right_and_some_are_gross():
    depth, image = scene()
    off = []
    for seed in range(60):
        anchors = draw.draw_anchors(depth, image, np.random.default_rng(seed))
        assert (anchors.depth > 0).all() and (anchors.sigma > 0).all()
        u, v = np.clip(np.rint(anchors.uv), 0, (79, 59)).astype(int).T
        off += np.abs(np.log(anchors.depth / depth[v, u])).tolist()
    found = np.array(off)[np.isfinite(off)]
    assert (found < 0.1).mean() > 0.8
    assert 0.005 < (found > 0.15).mean() < 0.15


@pytest.mark.parametrize("kind", ["depth", "inverse_depth"])
def test_a_disturbed_map_is_of_its_kind_and_near(kind):
    rng = np.random.default_rng(0)
    values = np.linspace(1, 3, 80 * 60, dtype=np.float32).reshape(60, 80)
    for _ in range(10):
        found = disturb.disturbed(RelativeDepth(values, kind), rng)
        assert found.kind == kind and found.values.dtype == np.float32 and (found.values > 0).all()
        assert np.corrcoef(np.log(found.values).ravel(), np.log(values).ravel())[0, 1] > 0.3
        assert not np.array_equal(found.values, values)


def test_a_made_map_knows_the_sky_and_has_no_gaps():
    depth, _ = scene()
    depth[:5] = np.inf
    depth[50:, :9] = np.nan
    found = disturb.made_of_truth(depth, np.random.default_rng(3))
    assert np.isfinite(found.values).all()
    logarithm = np.log(np.maximum(found.values, 1e-3)) * (1 if found.kind == "depth" else -1)
    assert logarithm[:4].mean() > logarithm[25:35, 35:55].mean()


def test_where_truth_is_unknown_a_made_map_goes_on_as_beside_it():
    depth = np.where(np.arange(80) < 40, 1.0, 8.0) * np.ones((60, 1))
    depth[:, 50:] = np.nan
    np.testing.assert_allclose(disturb._filled(depth)[:, 40:], np.log(8.0), rtol=1e-6)


def test_examples_tell_fit_anchors_and_true_error(examples):
    found = RefinementExamples(examples)
    assert len(found.training) + len(found.validation) <= 80
    assert not set(found.training.tolist()) & set(found.validation.tolist())
    look, error = found[int(found.training[0])]
    assert look.maps.shape == (3, 48, 96) and look.image.shape == (48, 96, 3) and error.shape == (48, 96)
    assert len(look.uv) == len(look.residual) == len(look.sigma) > 0
    errors = [np.nanmean(np.abs(found[int(number)][1])) for number in found.training]
    assert 0 < np.median(errors) < 0.5


def test_what_is_wrong_with_examples_is_named(examples, tmp_path):
    for wrong, message in (
        ({"draws": 0}, "draws: 0"),
        ({"size": (100, 96)}, r"size: 100x96; needed sides that are multiples of 4, 16, 48"),
        ({"size": (96, 0)}, "size: 96x0"),
        ({"solver": "region_aware"}, "solver: 'region_aware'; needed one of gaussian_process, "),
        ({"solver": "refined"}, "solver: 'refined'"),
    ):
        with pytest.raises(ConfigError, match=message):
            list(write_examples([tmp_path], tmp_path, **{"count": 9, "size": SIZE, **wrong}))
    single = write_frames(tmp_path / "frames", 1)
    with pytest.raises(InputError, match=r"frames: 0 pictures to train on and 1 for validation"):
        next(write_examples([single], tmp_path / "none", count=9, size=SIZE))
    assert not (tmp_path / "none").exists()
    with pytest.raises(InputError, match=r"examples\.npz: cannot be read"):
        RefinementExamples(tmp_path)
    with pytest.raises(InputError, match="0 pictures of lobby"):
        RefinementExamples(examples, families=["lobby"])


# ---- losses --------------------------------------------------------------------------------------


def test_the_right_correction_has_the_lower_loss_and_unknown_pixels_none():
    sigma = torch.full((1, 8, 8), 0.1)
    error = torch.full((1, 8, 8), 0.2)
    error[:, :2] = torch.nan
    maps = torch.zeros(1, 2, 8, 8)
    right = maps.clone()
    right[:, 0] = 0.2
    assert objective(right, sigma, error) < objective(maps, sigma, error)
    maps.requires_grad_()
    objective(maps, sigma, error).backward()
    assert torch.isfinite(maps.grad).all() and not maps.grad[:, :, :2].any()
    assert (maps.grad[:, 0, 2:] < 0).all()


def test_the_best_sigma_covers_two_thirds():
    """The likelihood's minimum is where 68 % of errors with long tails are within one sigma."""
    error = torch.from_numpy(0.1 * np.random.default_rng(0).standard_t(3, (1, 128, 128)).astype(np.float32))
    changes = torch.linspace(-1, 1, 81)
    sigma = torch.full_like(error, 0.1)
    maps = [torch.tensor([0.0, change]).view(1, 2, 1, 1).expand(1, 2, 128, 128) for change in changes]
    losses = [objective(each, sigma, error) for each in maps]
    best = sigma * changes[int(torch.stack(losses).argmin())].exp()
    assert float((error.abs() <= best).float().mean()) == pytest.approx(0.683, abs=0.015)


# ---- the network and its training ------------------------------------------------------------


def test_neighbours_are_weighed_as_a_plain_loop_does():
    """Weights of a pixel lie at the pixel of half the size, in four quarters by row and column."""
    rng = torch.Generator().manual_seed(0)
    depth = torch.randn(2, 1, 12, 16, generator=rng)
    weights = torch.randn(2, 4 * len(NEIGHBOURS), 6, 8, generator=rng)
    found = functional.pixel_shuffle(_towards_neighbours(depth, weights), 2)
    for b, v, u in np.ndindex(2, 12, 16):
        steps = [
            float(depth[b, 0, min(max(v + down, 0), 11), min(max(u + right, 0), 15)] - depth[b, 0, v, u])
            for down, right in NEIGHBOURS
        ]
        mine = weights[b, 2 * (v % 2) + u % 2 :: 4, v // 2, u // 2]
        total = float((mine * torch.tensor(steps)).sum())
        assert found[b, 0, v, u] == pytest.approx(np.clip(total, min(0, *steps), max(0, *steps)), abs=1e-5)


def test_the_bundled_weights_are_of_this_network():
    network = Refinement()
    checkpoint.load_weights(network, share_path("config/models/refinement.npz"))
    assert network.decoder.head[-1].weight.abs().max() > 0


def test_a_new_network_changes_nothing_and_none_more_than_its_bounds():
    """Within what its neighbours have, and three sigmas besides."""
    network = Refinement(RefinementConfig()).eval()
    x = torch.randn(2, CHANNELS, 48, 96)
    with torch.inference_mode():
        assert not network(x).any()
        torch.nn.init.normal_(network.decoder.head[-1].weight, std=10)
        x[:, LOG_DEPTH] = 0
        x[:, LOG_DEPTH, :, 48:] = 0.5
        x[:, LOG_SIGMA] = (np.log(0.02) - SIGMA_MIDDLE) / SIGMA_UNIT
        found = network(x)[:, 0]
        assert found[..., :40].abs().max() <= MOST_SIGMAS * 0.02 + 1e-5
        assert found[..., 42:48].max() > 0.5 > found[..., 42:48].max() - MOST_SIGMAS * 0.02 - 1e-5
        assert found[..., 42:48].min() >= -MOST_SIGMAS * 0.02 - 1e-5


def settings_of(examples, out, **more):
    told = {"steps": 6, "batch": 4, "look_every": 3, "examples": str(examples), "out": str(out), **more}
    return RefinementSettings(**told)


def test_a_resumed_run_is_the_same_to_the_bit(examples, tmp_path):
    whole = RefinementTrainer(settings_of(examples, tmp_path / "whole"))
    whole.run()
    RefinementTrainer(settings_of(examples, tmp_path / "parts")).run(until=3)
    parts = RefinementTrainer(settings_of(examples, tmp_path / "parts"), resume=True)
    parts.run()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, parts.network.state_dict()[name]), name
    for other in ({"batch": 5}, {"start": "other.npz"}):
        with pytest.raises(ConfigError, match=next(iter(other))):
            RefinementTrainer(settings_of(examples, tmp_path / "parts", **other), resume=True)


def test_training_lowers_the_error_of_what_it_sees(examples, tmp_path):
    trainer = RefinementTrainer(
        settings_of(examples, tmp_path, steps=60, batch=8, look_every=60, average=0.9)
    )
    before = trainer._validated()[1]
    trainer.run()
    assert trainer._best_loss < before


def test_command_line_from_examples_to_a_solver(examples, tmp_path, capsys):
    run, to = tmp_path / "run", tmp_path / "models"
    argv = ["train", "refinement", "--out", str(run), "--examples", str(examples)]
    assert main([*argv, "--steps", "2", "--batch", "4"]) == 0
    assert main(["train", "refinement-export", str(run), "--to", str(to)]) == 0
    assert "solver.refined.network" in capsys.readouterr().out
    assert (to / "refinement.onnx").stat().st_size < 5e6
    relative, anchors = noisy_problem()
    depth = solver_of("refined", refined__network=str(to / "refinement.yaml")).solve(relative, anchors).depth
    assert np.isfinite(depth).mean() > 0.9
    told = (to / "refinement.yaml").read_text().replace(f"channels: {CHANNELS}", "channels: 3")
    (to / "other.yaml").write_text(told)
    with pytest.raises(ModelError, match=r"3 channels .* Train it anew"):
        solver_of("refined", refined__network=str(to / "other.yaml"))


def test_an_export_is_a_start(examples, tmp_path):
    RefinementTrainer(settings_of(examples, tmp_path / "first")).run()
    assert main(["train", "refinement-export", str(tmp_path / "first"), "--to", str(tmp_path)]) == 0
    first, _ = load_refinement(tmp_path / "first")
    start = str(tmp_path / "refinement.npz")
    second = RefinementTrainer(settings_of(examples, tmp_path / "second", start=start))
    for one, other in zip(first.parameters(), second.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_what_is_left_out_changes_nothing_and_stays_out_in_an_export(examples, tmp_path):
    out = tmp_path / "run"
    trainer = RefinementTrainer(settings_of(examples, out, without=("image", "relative"), learning_rate=0.1))
    trainer.run()
    network, _ = load_refinement(out)
    x = torch.from_numpy(trainer._batch(trainer.examples.training[:1], None).image)
    other, distance = x.clone(), x.clone()
    other[:, [*INPUTS["image"], *INPUTS["relative"]]] += 1
    distance[:, INPUTS["distance"]] += 1
    with torch.inference_mode():
        assert torch.equal(network(x), network(other))
        assert not torch.equal(network(x), network(distance))


def test_what_examples_are_of_is_not_told_twice(examples, tmp_path, capsys):
    command = ["train", "refinement", "--examples", str(examples), "--out", str(tmp_path / "run")]
    for flag in (["--solver", "median"], ["--size", "48x48"], ["--count", "5"], ["--draws", "1"]):
        assert main([*command, *flag]) == 1
        assert "holds examples already" in capsys.readouterr().err


@pytest.mark.parametrize("without", ["0,5", "relativ"])
def test_an_input_that_there_is_not_is_named(examples, tmp_path, without, capsys):
    command = ["train", "refinement", "--examples", str(examples), "--out", str(tmp_path / "run")]
    assert main([*command, "--without", without]) == 1
    assert "needed some of image, fit" in capsys.readouterr().err

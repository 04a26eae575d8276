"""A user's own published network: exported, chosen, fine-tuned on pictures, and exported again."""

import dataclasses
import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")
pytest.importorskip("transformers", reason="transformers is not installed: the extra export")


import made_data
import tiny_checkpoints
import torch

from metric_depth_ros.cli.main import main
from metric_depth_ros.config import EngineConfig
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import load_manifest
from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.models.imported_depth import import_depth, rebuild_imported
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.depth.settings import DepthSettings
from metric_depth_ros.learning.training.depth.trainer import DepthTrainer

SIZE = ["--size", "70x56"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    made = tiny_checkpoints.depth_anything(tmp_path_factory.mktemp("checkpoint"))
    (made / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return made


@pytest.fixture(scope="module", params=["shards", "frames"])
def data(request, tmp_path_factory):
    to = tmp_path_factory.mktemp("data") / request.param
    if request.param == "shards":
        return made_data.write_shards(to, (0,), count=60)
    return made_data.write_frames(to, 60)


def tune(folder, data, run, *more):
    words = ["train", "depth", "--data", str(data), "--out", str(run), "--start", str(folder), *SIZE]
    return main([*words, "--batch", "4", "--threads", "1", *more])


def test_exported_chosen_fine_tuned_and_exported_again(folder, data, tmp_path, capsys):
    image = open_dataset(data)[0].image

    def depth_by(manifest):
        return build_engine(EngineConfig(manifest=str(manifest), runtime="onnxruntime")).predict(image).values

    assert main(["export", str(folder), "--to", str(tmp_path), "--name", "before", *SIZE]) == 0
    assert tune(folder, data, tmp_path / "run", "--steps", "12", "--learning-rate", "1e-3") == 0
    state = checkpoint.load(tmp_path / "run")
    assert state["settings"]["optimizer"] == "adamw" and state["settings"]["loss"] == "trimmed"
    assert (
        main(["train", "depth-export", str(tmp_path / "run"), "--to", str(tmp_path), "--name", "after"]) == 0
    )
    before, after = (depth_by(tmp_path / f"{name}.yaml") for name in ("before", "after"))
    assert before.shape == after.shape == image.shape[:2] and not np.allclose(before, after)
    manifest = load_manifest(tmp_path / "after.yaml")
    assert (manifest.input.width, manifest.input.height) == (70, 56) and manifest.licence == "apache-2.0"
    # The folder beside it is a checkpoint in the same layout: the usual verb exports it too.
    assert main(["export", str(tmp_path / "after"), "--to", str(tmp_path), "--name", "twice", *SIZE]) == 0
    np.testing.assert_allclose(depth_by(tmp_path / "twice.yaml"), after, rtol=1e-3, atol=1e-3 * after.std())


def test_the_loss_falls(folder, data, tmp_path, capsys):
    assert tune(folder, data, tmp_path / "run", "--steps", "60", "--learning-rate", "3e-3") == 0
    capsys.readouterr()
    settings = ["--learning-rate", "1e-9"]
    assert tune(folder, data, tmp_path / "none", "--steps", "60", *settings) == 0
    logs = [tmp_path / run / "loss.csv" for run in ("run", "none")]
    tuned, fixed = (np.loadtxt(log, delimiter=",", skiprows=1, ndmin=2)[-1, 2] for log in logs)
    assert tuned < 0.9 * fixed


def test_it_is_resumed_to_the_bit_without_its_folder(folder, data, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert tune(copy, data, tmp_path / "whole", "--steps", "4", "--learning-rate", "1e-4") == 0
    whole = checkpoint.load(tmp_path / "whole")
    settings = DepthSettings(**{**whole["settings"], "out": str(tmp_path / "parts")})
    first = DepthTrainer(settings)
    first.run(until=2)
    first.close()
    shutil.rmtree(copy)
    words = ["train", "depth", "--data", str(data), "--out", str(tmp_path / "parts"), "--resume"]
    assert main([*words, "--steps", "4", "--batch", "4", "--threads", "1"]) == 0
    parts = checkpoint.load(tmp_path / "parts")
    assert parts["settings"]["learning_rate"] == 1e-4
    assert all(torch.equal(v, parts["network"][k]) for k, v in whole["network"].items())


def test_pictures_are_normalised_as_the_checkpoint_says(tmp_path):
    torch.manual_seed(0)
    network = import_depth(tiny_checkpoints.ALL["dpt_large"](tmp_path))
    assert network.config.mean == (0.5, 0.5, 0.5)
    pixels = torch.rand(1, 3, 64, 64)
    ours = (pixels - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    with torch.inference_mode():
        torch.testing.assert_close(network(ours)[0], network.network((pixels - 0.5) / 0.5)[0])
    assert not network.train().training
    again = rebuild_imported(dataclasses.asdict(network.config))
    again.load_state_dict(network.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(again(ours)[0], network(ours)[0])


def test_what_cannot_be_tuned_is_refused_by_name(folder, data, tmp_path, capsys):
    (tmp_path / "zoe").mkdir()
    with pytest.raises(ModelError, match="gives metric depth"):
        import_depth(tiny_checkpoints.ALL["zoedepth"](tmp_path / "zoe"))
    for more, words in (
        (["--size", "64x48"], "multiples of 14"),
        (["--loss", "normalised"], "needs trimmed"),
        (["--loss", "log"], "needs trimmed"),
    ):
        assert tune(folder, data, tmp_path / "run", "--steps", "1", *more) == 1
        assert words in capsys.readouterr().err
    assert tune(folder, data, tmp_path / "run", "--steps", "1", "--network", "tiny") == 1
    assert "network" in capsys.readouterr().err
    (tmp_path / "a_run").mkdir()
    (tmp_path / "a_run/checkpoint.pt").touch()
    assert tune(tmp_path / "a_run", data, tmp_path / "run", "--steps", "1") == 1
    assert "depth-export" in capsys.readouterr().err
    assert tune(tmp_path / "nothing", data, tmp_path / "run", "--steps", "1") == 1
    assert "nothing" in capsys.readouterr().err

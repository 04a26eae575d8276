"""Verbs that take frames take a published dataset by NAME:PATH or NAME@SPLIT:PATH too, sparse or dense."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from driving_sets import MAKERS
from test_bag_frames import write_bag

from metric_depth_ros.bags import BagReader
from metric_depth_ros.cli.main import main
from metric_depth_ros.config import Config
from metric_depth_ros.learning.training.chosen import ChosenPictures
from metric_depth_ros.learning.training.loader import Samples
from metric_depth_ros.types import Sample

# With a sweep, with sparse depth, and with depth of most pixels alone.
SETS = {
    "kitti_raw@all": "kitti_raw",
    "kitti_completion@val": "kitti_completion",
    "cityscapes@train": "cityscapes",
}
every_set = pytest.mark.parametrize("named", SETS)


@pytest.fixture
def opened(tmp_path: Path, named: str) -> str:
    """What the command line gets."""
    return f"{named}:{MAKERS[SETS[named]](tmp_path / 'set').path}"


@every_set
def test_run_takes_a_named_dataset(tmp_path: Path, opened: str, toy_manifest: Path) -> None:
    out = tmp_path / "out"
    words = ["run", opened, "--manifest", str(toy_manifest), "--out", str(out), "--solver", "global_affine"]
    assert main([*words, "--anchor-count", "100", "--limit", "1"]) == 0
    assert (out / "depth.mcap").exists()


@every_set
def test_frames_to_bag_takes_a_named_dataset(tmp_path: Path, opened: str) -> None:
    bag = tmp_path / "made.mcap"
    assert main(["frames-to-bag", opened, str(bag), "--anchors", "50"]) == 0
    with BagReader(bag) as reader:
        sample = next(outcome for _, outcome in reader.samples(Config()))
    assert isinstance(sample, Sample), sample
    assert len(sample.points_camera) == 50


@every_set
def test_evaluate_takes_a_named_dataset(
    opened: str, toy_manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", opened, "--engine", str(toy_manifest), "--solvers", "global_affine"]
    assert main([*words, "--protocol", "random", "--anchors", "20", "--seeds", "1"]) == 0
    assert "global_affine" in capsys.readouterr().out


@every_set
def test_any_depth_of_a_named_dataset_is_trained_on(opened: str) -> None:
    from metric_depth_ros.learning.training.augment import reframed

    samples = Samples([opened])
    image, depth = samples.training(0)
    assert image.shape[:2] == depth.shape
    known = 0
    for seed in range(5):
        made = reframed(image, depth, (32, 32), (16, 16), np.random.default_rng(seed))
        known += np.isfinite(made[1]).sum()
    assert known > 300


def test_chosen_pictures_are_of_the_same_split_again(tmp_path: Path) -> None:
    path = MAKERS["cityscapes"](tmp_path / "set").path
    chosen = ChosenPictures.choose([f"cityscapes@train:{path}"], 2, seed=0)
    again = ChosenPictures.stored(tmp_path, chosen.arrays, SimpleNamespace(**chosen.about))
    assert [data.split for data in again.sets] == ["train"]
    np.testing.assert_array_equal(again.image(1), chosen.image(1))


def test_train_takes_a_named_dataset(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = MAKERS["kitti_completion"](tmp_path / "set").path
    words = ["train", "depth", "--out", str(tmp_path / "run"), "--data", f"kitti_completion@val:{path}"]
    words += ["--threads", "1", "--size", "64x32", "--steps", "1", "--batch", "2", "--device", "cpu"]
    assert main(words) == 0


def test_evaluate_takes_a_bag_with_true_depth(
    tmp_path: Path, toy_manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(write_bag(tmp_path / "a.mcap")), "--engine", str(toy_manifest)]
    words += ["--solvers", "global_affine", "--protocol", "random", "--anchors", "20", "--seeds", "1"]
    assert main([*words, "--all-frames"]) == 0
    assert "global_affine" in capsys.readouterr().out

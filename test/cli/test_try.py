"""`metric_depth try`: the bag that comes with the package, in one picture, beside its controls."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
import pytest

from metric_depth_ros.bags import BagReader
from metric_depth_ros.cli import try_it
from metric_depth_ros.cli.main import main
from metric_depth_ros.config import Config
from metric_depth_ros.share import share_path


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The picture, and what was printed."""
    folder = tmp_path_factory.mktemp("try")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: printed.append(" ".join(map(str, words))))
        assert main(["try"]) == 0
    assert [path.name for path in folder.iterdir()] == ["metric_depth_try.png"]
    return folder / "metric_depth_try.png", "\n".join(printed)


def test_the_depth_beats_both_controls(tried: tuple[Path, str]) -> None:
    assert "depth for 6 of 6 images" in tried[1]
    rows = re.findall(r"^  (metric depth|control: .*?) +(0\.\d{3})$", tried[1], re.MULTILINE)
    assert [name for name, _ in rows] == ["metric depth", "control: constant map", "control: interpolation"]
    ours, constant, interpolation = (float(error) for _, error in rows)
    assert 0 < ours < 0.12
    assert ours < 0.7 * min(constant, interpolation)


def test_the_picture_has_six_parts(tried: tuple[Path, str]) -> None:
    """None is empty, and no two are the same."""
    picture = cv2.imread(str(tried[0]))
    height, width = picture.shape[0] // 2, picture.shape[1] // 3
    parts = [picture[y : y + height, x : x + width] for y in (0, height) for x in (0, width, 2 * width)]
    assert all(part[40:].std() > 15 for part in parts)
    assert all(abs(a.astype(int) - b).mean() > 5 for a in parts for b in parts if a is not b)


def test_the_first_command_that_it_names_runs_as_printed(
    tried: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    [command] = re.findall(r"^  (metric_depth run .*)$", tried[1], re.MULTILINE)
    assert main([*shlex.split(command)[1:], "--limit", "1"]) == 0
    found, stated = (
        re.search(r"held-out AbsRel ([\d.]+)", text) for text in (capsys.readouterr().out, tried[1])
    )
    assert found and stated
    assert (tmp_path / "street_depth" / "depth.mcap").is_file()
    sheet = cv2.imread(str(next((tmp_path / "street_depth").glob("preview_*.png"))))
    assert sheet.shape == cv2.imread(str(tried[0])).shape  # with the same parts


def test_a_picture_that_is_there_is_kept_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.png"
    path.write_bytes(b"old")
    assert main(["try", "--out", str(path)]) == 1
    assert f"{path}: exists already. Choose another --out, or pass --overwrite" in capsys.readouterr().err
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("out", "words"),
    [("a.gif", "needed the name of a picture"), ("file/c.png", "needed a folder to write to")],
)
def test_a_place_that_cannot_be_written_is_named_first(
    out: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("metric_depth_ros.cli.offline.build_pipeline", None)  # not reached
    assert main(["try", "--out", str(tmp_path / out)]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_an_installation_without_the_bag_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(try_it, "_BAG", "data/nowhere.mcap")
    assert main(["try", "--out", str(tmp_path / "a.png")]) == 1
    assert "needed the bag that comes with the package. Install it again." in capsys.readouterr().err


def test_the_bag_is_small_and_has_what_it_needs() -> None:
    path = share_path("data/street.mcap")
    assert path.stat().st_size < 1_500_000
    with BagReader(path, anchors_held_out=try_it.TRUTH) as reader:
        samples = [sample for _, sample in reader.samples(Config())]
        assert not reader.skipped
    assert len(samples) == 6
    for sample in samples:
        assert sample.true_depth.shape == sample.image.shape[:2] == (360, 480)

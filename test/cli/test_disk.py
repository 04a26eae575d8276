"""Full disks, and what must not be overwritten: one line instead of a traceback, and nothing lost."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from metric_depth_ros.bags import BagWriter
from metric_depth_ros.bags.recording import Recording
from metric_depth_ros.bags.storage import read_messages
from metric_depth_ros.cli.main import main
from metric_depth_ros.cli.outputs import own_folder, save_picture
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import locked_folder

PICTURE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk on which no file becomes larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---- a full disk -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kept"),
    [(10**9, 40), (3_000_000, 8), (1_500_000, 4), (1_200_000, 0), (1_200_900, 0), (2_401_300, 4)],
)
def test_a_recording_is_readable_up_to_where_the_disk_was_full(tmp_path: Path, size: int, kept: int) -> None:
    """Four messages are a chunk. Also if the chunk fits and the index behind it does not."""
    path, text = tmp_path / "bag", "std_msgs/msg/String"
    raw = _TYPES.serialize_cdr(_TYPES.types[text](300_000 * "x"), text)
    bag = Recording(path)
    connection = bag.add_connection("/x", text, typestore=_TYPES)
    failures = []
    with largest_file(size):
        for number in range(40):
            try:
                bag.write(connection, number, raw)
            except InputError as error:
                failures.append(str(error))
        bag.close()
    with Reader(path) as reader:
        assert reader.message_count == kept
        assert [stamp for _, stamp, _ in reader.messages()] == list(range(kept))
    if kept:
        assert len(list(read_messages(path, "/x"))) == kept
    assert set(failures) <= {f"bag {path}: File too large; the bag ends here and is whole. Make room."}
    assert bool(failures) == (kept < 40)
    assert sorted(file.name for file in path.iterdir()) == ["bag.mcap", "metadata.yaml"]


@pytest.mark.parametrize("name", ["a.mcap", "a.db3", "a"])
def test_a_bag_for_which_there_is_no_room_is_named_and_removed(tmp_path: Path, name: str) -> None:
    named = pytest.raises(InputError, match=f"bag .*{name}: .*; needed a folder")
    with largest_file(1_500_000), named, BagWriter(tmp_path / name) as bag:
        for number in range(8):
            bag.write_image("/image", PICTURE, number, "camera")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_for_which_there_is_no_room_is_named_and_removed(tmp_path: Path) -> None:
    with largest_file(1000), pytest.raises(InputError, match=r"a\.png: File too large"):
        save_picture(tmp_path / "a.png", PICTURE)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_of_the_system_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> int:
        Path("/dev/full").write_text("text")
        return 0

    monkeypatch.setattr("metric_depth_ros.cli.main._run", full)
    assert main(["config"]) == 1
    assert capsys.readouterr().err == (
        "metric_depth: No space left on device. Make room, or choose another place.\n"
    )


# ---- what must stay ----------------------------------------------------------------------------


def test_a_folder_is_not_replaced_by_a_file_of_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "depth.mcap"
    with BagWriter(folder / "earlier.mcap") as bag:
        bag.write_image("/image", PICTURE, 1, "camera")
    with pytest.raises(InputError, match="is no bag that can be replaced"):
        BagWriter(folder, overwrite=True)
    assert (folder / "earlier.mcap").is_file()


def test_a_bag_with_other_things_in_its_folder_is_not_replaced(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_image("/image", PICTURE, 1, "camera")
    (tmp_path / "bag/notes.txt").write_text("once")
    with pytest.raises(InputError, match="is no bag that can be replaced"):
        BagWriter(tmp_path / "bag", overwrite=True)


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    """The link itself is replaced."""
    for name in ("a.mcap", "b"):
        with BagWriter(tmp_path / name) as bag:
            bag.write_image("/first", PICTURE, 1, "camera")
    save_picture(tmp_path / "a.png", PICTURE)
    picture = (tmp_path / "a.png").read_bytes()
    (tmp_path / "to_a.mcap").symlink_to("a.mcap")
    (tmp_path / "to_a.png").symlink_to("a.png")
    with BagWriter(tmp_path / "to_a.mcap", overwrite=True) as bag:
        bag.write_image("/second", PICTURE, 1, "camera")
    save_picture(tmp_path / "to_a.png", PICTURE[:10])
    assert len(list(read_messages(tmp_path / "a.mcap", "/first"))) == 1
    assert len(list(read_messages(tmp_path / "to_a.mcap", "/second"))) == 1
    assert (tmp_path / "a.png").read_bytes() == picture
    (tmp_path / "to_b").symlink_to("b")
    with pytest.raises(InputError, match="is no bag"):
        BagWriter(tmp_path / "to_b", overwrite=True)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Frames whose grey value is proportional to depth, so that the toy network is right."""
    path = tmp_path / "frames"
    path.mkdir()
    depth = np.linspace(8, 2, 48, dtype=np.float32)[:, None] * np.ones(64, np.float32)
    cv2.imwrite(str(path / "0.png"), np.repeat(np.rint(depth * 30).astype(np.uint8)[..., None], 3, axis=2))
    np.savez(path / "0.npz", depth=depth)
    frame = {"rgb": "0.png", "depth": "0.npz", "fx": 50.0, "fy": 50.0, "cx": 31.5, "cy": 23.5}
    (path / "calib.json").write_text(json.dumps({"frames": [frame]}))
    return path


def test_previews_are_not_overwritten_unasked(
    tmp_path: Path, toy_manifest: Path, frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["run", str(frames), "--manifest", str(toy_manifest), "--out", str(out), "--no-bag"]
    assert main(argv) == 0
    before = (out / "preview_000000.png").read_bytes()
    assert main(argv) == 1
    assert "preview_000000.png: exists already" in capsys.readouterr().err
    (out / "preview_000000.png").rename(out / "precious.png")
    (out / "preview_000000.png").symlink_to("precious.png")
    (out / "preview_000001.png").mkdir()
    assert main([*argv, "--overwrite"]) == 0
    assert not (out / "preview_000000.png").is_symlink()
    assert (out / "precious.png").read_bytes() == before
    assert (out / "preview_000001.png").is_dir()


@pytest.mark.parametrize("of_folder", [True, False])
def test_a_run_writes_nothing_over_its_source(
    tmp_path: Path, toy_manifest: Path, frames: Path, of_folder: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    source = out / "depth.mcap"
    assert main(["frames-to-bag", str(frames), str(source)]) == 0
    before = source.read_bytes()
    argv = ["run", str(out if of_folder else source), "--manifest", str(toy_manifest), "--out", str(out)]
    assert main([*argv, "--overwrite"]) == 1
    assert "beside their source, or in its place" in capsys.readouterr().err
    assert source.read_bytes() == before


# ---- two at once -------------------------------------------------------------------------------


def test_a_folder_is_for_one_run_at_a_time(tmp_path: Path) -> None:
    first, second = own_folder(tmp_path / "out"), own_folder(tmp_path / "out")
    with first, pytest.raises(InputError, match=r"out: another run writes to it"), second:
        pass
    with own_folder(tmp_path / "out"):
        pass


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("writes", [True, False])
def test_a_run_that_fails_leaves_no_empty_folder_of_its_own(
    tmp_path: Path, is_new: bool, writes: bool
) -> None:
    out = tmp_path / "out"
    if not is_new:
        out.mkdir()

    def run() -> None:
        with own_folder(out):
            if writes:
                (out / "kept").touch()
            raise InputError("no")

    with pytest.raises(InputError, match="no"):
        run()
    assert out.exists() == (writes or not is_new) and (out / "kept").exists() == writes


def test_a_bag_is_written_by_one_at_a_time(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "a.mcap") as bag:
        bag.write_image("/image", PICTURE, 1, "camera")
        with pytest.raises(InputError, match="another run writes to it"), BagWriter(tmp_path / "a.mcap"):
            pass
    assert len(list(read_messages(tmp_path / "a.mcap", "/image"))) == 1


def test_what_a_broken_run_left_is_no_lock(tmp_path: Path) -> None:
    left = tmp_path / ".a.mcap.part/a"
    left.mkdir(parents=True)
    (left / "a.mcap").write_bytes(b"half")
    with BagWriter(tmp_path / "a.mcap") as bag:
        bag.write_image("/image", PICTURE, 1, "camera")
    with locked_folder(tmp_path):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["a.mcap"]

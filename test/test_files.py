"""Files that others made are opened without waiting, and read up to a limit."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from metric_depth_ros.files import in_words, need_regular, open_regular, read_limited


def test_a_file_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for name in ("a", "b"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"hello"
        assert read_limited(str(tmp_path / name), 5) == b"hello"
        need_regular(tmp_path / name)


def test_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(OSError, match="more than 1 kB"):
        read_limited(tmp_path / "a", 1000)


@pytest.mark.parametrize("read", [open_regular, need_regular, lambda path: read_limited(path, 100)])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, read: object) -> None:
    assert callable(read)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_it").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, says in (
            ("pipe", "a pipe, no regular file"),
            ("to_it", "a pipe, no regular file"),
            ("socket", "No such device"),
            ("/dev/zero", "a device, no regular file"),
            ("missing", "No such file"),
            (".", "a folder, no file"),
            ("a\0b", "no name of a file"),
            ("x" * 5000, "name too long"),
        ):
            with pytest.raises(OSError, match=says) as error:
                read(tmp_path / name)
            assert says in str(error.value.strerror)


@pytest.mark.parametrize(
    ("size", "words"), [(12, "12 bytes"), (80_000, "80 kB"), (2_500_000, "2.5 MB"), (10**9, "1 GB")]
)
def test_sizes_are_said_in_words(size: int, words: str) -> None:
    assert in_words(size) == words

"""Reads what a ROS 2 bag's folder says of itself: its files, in which storage, how compressed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from metric_depth_ros.bags.mcap import McapFile
from metric_depth_ros.bags.packed import Unpacker
from metric_depth_ros.bags.sqlite import SqliteFile
from metric_depth_ros.documents import read_yaml
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import open_regular

METADATA = "metadata.yaml"
_STORAGES = {"mcap": McapFile, "sqlite3": SqliteFile}
# A process may usually have 1024 files open.
_MOST_FILES = 900
_NEEDED = "what ros2 bag record writes"


def check_count(files: int) -> None:
    """Raises InputError for more files than are opened together."""
    if files > _MOST_FILES:
        raise InputError(
            f"a recording of {files} files; at most {_MOST_FILES} are read as one. Name one of the files."
        )


class Parts(NamedTuple):
    """Files of a recording, class of their readers, and what is packed with zstd: "", "file" or "message"."""

    files: tuple[Path, ...]
    reader: type[Any]
    packed: str


def read_metadata(folder: Path) -> Parts:
    """What the metadata.yaml of a folder says. Raises InputError."""
    path = folder / METADATA
    about = path.stat()
    return _read_metadata(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=4)
def _read_metadata(path: Path, _size: int, _mtime_ns: int) -> Parts:
    """Kept, as every topic opens the bag again."""
    tree = read_yaml(path, InputError, _NEEDED, large=True)
    about = tree.get("rosbag2_bagfile_information") if isinstance(tree, dict) else None
    about = about if isinstance(about, dict) else {}
    names, storage = about.get("relative_file_paths"), about.get("storage_identifier")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError("metadata.yaml: relative_file_paths is no list of names")
    if not isinstance(storage, str) or storage not in _STORAGES:
        raise InputError(f"metadata.yaml: storage_identifier is none of {', '.join(_STORAGES)}")
    mode, form = (str(about.get(f"compression_{what}") or "").lower() for what in ("mode", "format"))
    packed = "" if mode == "none" else mode
    if packed not in ("", "file", "message") or (packed and form != "zstd"):
        raise InputError("metadata.yaml: compression is none of file or message in zstd")
    files = tuple(path.parent / PurePath(name).name for name in names)
    if len(set(files)) < len(files):
        name = Counter(file.name for file in files).most_common(1)[0][0]
        raise InputError(f"metadata.yaml: relative_file_paths names {name!r:.60} more than once")
    check_count(len(files))
    if missing := [file.name for file in files if not file.exists()]:
        raise InputError(f"{missing[0]} is missing, which metadata.yaml names")
    return Parts(files, _STORAGES[storage], packed)


def unpacked_readers(parts: Parts) -> list[Any]:
    """Opened readers of files that are packed as a whole; they are shared and must not be closed.

    Every file is unpacked once. The unpacked one is deleted as soon as it is open, and gone with the process.
    """
    stats = (file.stat() for file in parts.files)
    return _unpacked(parts, tuple((about.st_size, about.st_mtime_ns) for about in stats))


@lru_cache(maxsize=1)
def _unpacked(parts: Parts, _about: tuple[tuple[int, int], ...]) -> list[Any]:
    return [_unpacked_reader(file, parts.reader) for file in parts.files]


def _unpacked_reader(file: Path, reader: type[Any]) -> Any:
    with TemporaryDirectory(prefix="metric_depth_") as folder, open_regular(file) as packed:
        path = Path(folder) / file.stem
        with path.open("wb") as unpacked:
            Unpacker(file.stat().st_size).copy(packed, unpacked)
        opened = reader(path)
        opened.open()
        return opened


def message_unpacker(parts: Parts) -> Callable[[bytes], bytes]:
    """What unpacks single messages."""
    return partial(Unpacker(sum(file.stat().st_size for file in parts.files)).unpack, compression="zstd")

"""Opens bags of every kind and reads their messages; any damage raises InputError."""

from __future__ import annotations

import heapq
import io
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag1.reader import Reader as Ros1Reader
from rosbags.rosbag1.reader import decompressors

from metric_depth_ros.bags.definitions import as_ros2_bytes, deserialize, encoding_of
from metric_depth_ros.bags.folder import (
    METADATA,
    check_count,
    message_unpacker,
    read_metadata,
    unpacked_readers,
)
from metric_depth_ros.bags.mcap import McapFile
from metric_depth_ros.bags.packed import Unpacker, check_message
from metric_depth_ros.bags.sqlite import SqliteFile
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import need_regular
from metric_depth_ros.messages import read_depth, stamp_ns
from metric_depth_ros.types import FloatArray

_REPAIR = (
    "needed a whole bag. Repair it with `mcap recover`, `ros2 bag reindex` or `rosbag reindex`, or record it "
    "again."
)
SUFFIXES = (".bag", ".mcap", ".db3")
# First time of recording, ns, and the first after it: what of a bag is read.
Window = tuple[int, int]
# Topics with so few messages are read whole, as latched ones.
_FEW = 50


def is_bag(path: Path) -> bool:
    """Whether a path looks like a bag: a file of a known suffix, or a folder that holds one."""
    try:
        if path.is_dir():
            return (path / METADATA).exists() or any(p.suffix in SUFFIXES for p in path.iterdir())
    except OSError:  # a name too long, or a folder that must not be read: whoever opens it says so
        return False
    return path.suffix in SUFFIXES


class Bag:
    """One recording, in one file or several that are read as one: its topics and their messages.

    A topic costs nothing until it is read: its definition may be odd or missing, its serialisation another
    than ROS'. Of the latter ``msgtype`` says so, so that nobody takes it for a message of ROS.

    Attributes:
        connections: the topics, each as often as it was advertised.
        topics: types of the topics that hold messages; of several types on one topic that of most messages.
        start_time, end_time: when the first message was recorded and after the last, ns.
    """

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        """Opens the files; ``path`` is what errors name. Raises InputError."""
        self._path = path
        self._open = ExitStack()
        self._files: list[Any] = []
        self._unpack: Callable[[bytes], bytes] | None = None
        with damage_named(path), ExitStack() as opening:
            if files == [path] and path.is_dir():
                self._open_folder(opening)
            else:
                self._open_files([_READERS[file.suffix](file) for file in files], opening)
            self._open = opening.pop_all()
        self.connections = [_marked(c) for file in self._files for c in file.connections]
        self._counts: Counter[tuple[str, str]] = Counter()
        for connection in self.connections:
            self._counts[connection.topic, connection.msgtype] += connection.msgcount
        self.topics = {topic: kind for (topic, kind), n in reversed(self._counts.most_common()) if n}
        times = [getattr(file, "metadata", file) for file in self._files]
        self.start_time, self.end_time = min(t.start_time for t in times), max(t.end_time for t in times)

    def _open_folder(self, opening: ExitStack) -> None:
        parts = read_metadata(self._path)
        if parts.packed == "file":
            self._files = unpacked_readers(parts)
            return
        if parts.packed == "message":
            self._unpack = message_unpacker(parts)
        self._open_files([parts.reader(file) for file in parts.files], opening)

    def _open_files(self, readers: Sequence[Any], opening: ExitStack) -> None:
        for reader in readers:
            reader.open()
            opening.callback(reader.close)
            self._files.append(reader)

    def close(self) -> None:
        """Closes all files."""
        self._open.close()

    def count(self, topic: str) -> int:
        """Number of messages on a topic."""
        return self._counts[topic, self.topics.get(topic, "")]

    def window_of(self, topic: str, window: Window | None) -> Window | None:
        """What is read of a topic for some window: that, or all of few messages, which is None."""
        return None if self.count(topic) <= _FEW else window

    def messages(
        self, connections: Collection[Connection] | None = None, window: Window | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yields (connection, recorded_ns, bytes) of some topics or, by default, all, in recorded order.

        Only messages recorded within the window are read, by default all.

        Raises:
            InputError: damage is found.
        """
        wanted = self.connections if connections is None else connections
        parts = [(file, [c for c in wanted if c.owner is file]) for file in self._files]
        span = window or (None, None)
        read = (file.messages(own, *span) for file, own in parts if own)
        merged = heapq.merge(*read, key=lambda item: item[1])
        while True:
            with damage_named(self._path):
                if (item := next(merged, None)) is None:
                    return
                if self._unpack is not None:
                    item = (*item[:2], self._unpack(item[2]))
            yield item

    def deserialize(self, connection: Connection, raw: bytes | memoryview) -> Any:
        """The message in some bytes of a topic. Raises InputError."""
        with damage_named(self._path, connection.topic):
            return deserialize(connection, raw)

    def as_cdr(self, connection: Connection, raw: bytes | memoryview) -> bytes:
        """Serialised message in ROS 2's format (CDR); those of ROS 1 are converted.

        Raises:
            InputError: the bytes are damaged, or ROS 2 has no such message.
        """
        with damage_named(self._path, connection.topic):
            return as_ros2_bytes(connection, raw)


class _LimitedFile(io.BufferedReader):
    """A file of which no more is read at once than a message may have."""

    def read(self, size: int | None = -1, /) -> bytes:
        check_message(size or 0)
        return super().read(size)


class _LimitedPath(type(Path())):  # type: ignore[misc]  # of the system
    def open(self, *_: Any, **__: Any) -> _LimitedFile:
        return _LimitedFile(io.FileIO(self))


class _Ros1File(Ros1Reader):  # type: ignore[misc]  # rosbags is not followed
    """The file of a ROS 1 bag, of which records are read and chunks unpacked up to a limit."""

    def __init__(self, path: Path) -> None:
        super().__init__(_LimitedPath(path))

    def open(self) -> None:
        need_regular(self.path)
        self._unpacker = Unpacker(self.path.stat().st_size)
        super().open()

    def read_chunk(self) -> Any:
        chunk = super().read_chunk()
        compression = next(name for name, unpack in decompressors.items() if unpack is chunk.decompressor)
        return chunk._replace(decompressor=partial(self._unpacker.unpack, compression=compression))


_READERS: dict[str, Callable[[Path], Any]] = {".bag": _Ros1File, ".mcap": McapFile, ".db3": SqliteFile}


def _marked(connection: Connection) -> Connection:
    """The topic; if its messages are serialised in another way than ROS', its type says so."""
    encoding = encoding_of(connection)
    if encoding in ("ros1", "cdr"):
        return connection
    return connection._replace(msgtype=f"{connection.msgtype} as {encoding or 'unknown'}")


@contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """An opened bag, closed at the end of the block.

    Raises:
        InputError: the bag is missing, of an unknown kind, damaged or empty.
    """
    with closing(Bag(path, _files(path))) as bag:
        if not bag.topics:
            raise InputError(f"bag {path}: holds no messages; needed images and points. Record it again.")
        yield bag


def read_messages(path: Path, topic: str) -> Iterator[tuple[int, Any]]:
    """Yields (recorded_ns, message) of one topic, in recorded order.

    Raises:
        InputError: as ``open_bag``, or damage is found while reading.
    """
    for recorded_ns, message in readable_messages(path, topic):
        if isinstance(message, InputError):
            raise message
        yield recorded_ns, message


def readable_messages(path: Path, topic: str, window: Window | None = None) -> Iterator[tuple[int, Any]]:
    """As ``read_messages``, but an InputError instead of a message that cannot be read; a window or all.

    Every call opens the bag again: a file has one position, so two topics read in turn from one file would
    disturb each other.

    Raises:
        InputError: as ``open_bag``, or the bag itself is damaged.
    """
    with open_bag(path) as bag:
        own = [c for c in bag.connections if (c.topic, c.msgtype) == (topic, bag.topics.get(topic))]
        for connection, recorded_ns, raw in bag.messages(own, window):
            try:
                message = bag.deserialize(connection, raw)
            except InputError as error:
                message = error
            yield recorded_ns, message


def read_depths(path: Path, topic: str) -> dict[int, FloatArray]:
    """Depth images (H, W) in metres of a topic by their stamps in ns; NaN unknown. Raises InputError."""
    return {stamp_ns(message): read_depth(message) for _, message in read_messages(path, topic)}


def _files(path: Path) -> list[Path]:
    """Files of a bag: itself, also a folder with a metadata.yaml, else the bag files in the folder."""
    needed = "needed a .bag, .mcap or .db3 file or a bag's folder."
    try:
        if not path.exists():
            raise InputError(f"bag {path}: does not exist; {needed}")
        if path.is_dir():
            return _files_in(path)
        need_regular(path)
    except OSError as error:
        raise InputError(f"bag {path}: {error.strerror}; {needed}") from error
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"bag {path}: unknown kind {path.suffix or 'without a suffix'!r}; "
            f"needed one of {', '.join(SUFFIXES)}, or a bag's folder."
        )
    return [path]


def _files_in(folder: Path) -> list[Path]:
    if (folder / METADATA).exists():
        return [folder]
    files = sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES)
    if len({file.suffix for file in files}) != 1:
        raise InputError(
            f"bag {folder}: no metadata.yaml, and bag files {', '.join(f.name for f in files) or 'none'}; "
            "needed files of one kind, which are read as one recording. Name one of the files."
        )
    check_count(len(files))
    return files


@contextmanager
def damage_named(path: Path, topic: str = "") -> Iterator[None]:
    """Turns any exception of rosbags into an InputError.

    On damaged files rosbags raises errors of struct, zstd, lz4, sqlite3, YAML and its own asserts,
    so nothing narrower than Exception is safe. Use it only around calls of rosbags and its plugins here.
    """
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        where, fix = f"{path}:", _REPAIR
        if topic:
            where, fix = (
                f"{path}: a message on {topic}",
                "needed a whole one of its type. Check its publisher.",
            )
        raise InputError(f"bag {where} cannot be read ({reason}); {fix}") from error

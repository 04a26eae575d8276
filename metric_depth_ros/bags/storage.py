"""Opens bags of every kind and reads their messages; any damage raises InputError."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from metric_depth_ros.errors import InputError
from metric_depth_ros.messages import read_depth, stamp_ns
from metric_depth_ros.sync import jumps_back
from metric_depth_ros.types import FloatArray

SUFFIXES = (".bag", ".mcap", ".db3")

# Messages may be recorded this much later than the image they belong to ...
_LATE_NS = 1_000_000_000
# ... and are released whatever their stamp when recorded this much earlier.
_SETTLED_NS = 5_000_000_000


def is_bag(path: Path) -> bool:
    """Whether a path looks like a bag: a file of a known suffix, or a folder that holds one."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or any(p.suffix in SUFFIXES for p in path.iterdir())
    return path.suffix in SUFFIXES


@contextmanager
def open_bag(path: Path) -> Iterator[AnyReader]:
    """An opened rosbags reader, closed at the end of the block.

    Raises:
        InputError: the bag is missing, of an unknown kind, damaged or empty.
    """
    storage = _storage(path)
    with _damage_named(path):
        bag = AnyReader([storage], default_typestore=_fallback_types())
        bag.open()
    with closing(bag):
        if not bag.message_count:
            raise InputError(f"bag {path}: holds no messages; needed images and points. Record it again.")
        yield bag


def read_messages(path: Path, topic: str) -> Iterator[tuple[int, Any]]:
    """Yields (recorded_ns, message) of one topic, in recorded order.

    Every call opens the bag again: a rosbags reader has one file position, so two topics read in turn
    through one reader would disturb each other.

    Raises:
        InputError: as ``open_bag``, or damage is found while reading.
    """
    with open_bag(path) as bag:
        raw = bag.messages([c for c in bag.connections if c.topic == topic])
        while True:
            with _damage_named(path):
                if (item := next(raw, None)) is None:
                    return
                connection, recorded_ns, data = item
                message = bag.deserialize(data, connection.msgtype)
            yield recorded_ns, message


def read_depths(path: Path, topic: str) -> dict[int, FloatArray]:
    """Depth images (H, W) in metres of a topic by their stamps in ns; NaN unknown. Raises InputError."""
    return {stamp_ns(message): read_depth(message) for _, message in read_messages(path, topic)}


def as_cdr(bag: AnyReader, connection: Connection, raw: bytes | memoryview) -> bytes:
    """Serialised message in ROS 2's format (CDR); messages of a ROS 1 bag are converted.

    Raises:
        InputError: the bytes are damaged, or ROS 2 has no such message.
    """
    if bag.is2:
        return bytes(raw)
    with _damage_named(bag.paths[0]):
        message = _as_ros2(bag.deserialize(raw, connection.msgtype))
        return bytes(_fallback_types().serialize_cdr(message, message.__msgtype__))


def _as_ros2(value: Any) -> Any:
    """ROS 1 message or field converted to ROS 2: headers without seq, field names in lower case."""
    if isinstance(value, list):
        return [_as_ros2(item) for item in value]
    if not hasattr(value, "__msgtype__"):
        return value
    kind = _fallback_types().types[ros2_type(value.__msgtype__)]
    names = [field.name for field in dataclasses.fields(kind) if field.name != "__msgtype__"]
    had = {name: name if hasattr(value, name) else name.upper() for name in names}
    return kind(**{name: _as_ros2(getattr(value, old)) for name, old in had.items()})


def ros2_type(name: str) -> str:
    """ROS 2 name of a bag's message type."""
    return "tf2_msgs/msg/TFMessage" if name == "tf/msg/tfMessage" else name


class TopicStream:
    """Messages of one topic, each returned once, when an image can use it.

    Messages may be recorded late, by up to a second, and out of order.
    """

    def __init__(self, path: Path, topic: str) -> None:
        self._messages = read_messages(path, topic)
        self._next = next(self._messages, None)
        self._waiting: list[tuple[int, Any]] = []
        self._newest_ns = 0
        self._may_jump = False

    @property
    def upcoming(self) -> Any:
        """Next message that is not due yet, or None at the end."""
        return self._waiting[0][1] if self._waiting else self._next[1] if self._next else None

    def take(self, until_ns: int, recorded_ns: int, *, jumped: bool) -> list[Any]:
        """Messages stamped up to ``until_ns`` that were not returned before, in recorded order.

        Those recorded long before the image are returned whatever their stamp, so that messages with a
        wrong clock do not accumulate.

        Args:
            until_ns: newest stamp that the image can use.
            recorded_ns: when the image was recorded.
            jumped: time has jumped back with this image: waiting messages are dropped.
        """
        if jumped:
            self._waiting.clear()
            self._may_jump = True
        while self._next is not None and self._next[0] <= recorded_ns + _LATE_NS:
            if not self._read(settled=self._next[0] <= recorded_ns - _SETTLED_NS):
                break
        due, waiting = [], []
        for recorded, message in self._waiting:
            if stamp_ns(message) <= until_ns or recorded <= recorded_ns - _SETTLED_NS:
                due.append(message)
            else:
                waiting.append((recorded, message))
        self._waiting = waiting
        return due

    def _read(self, settled: bool) -> bool:
        """Reads one more message to wait. False at a jump back in time that the images have not reached."""
        assert self._next is not None
        stamp = stamp_ns(self._next[1])
        if jumps_back(self._newest_ns, stamp):
            if not (self._may_jump or settled):
                return False
            self._waiting.clear()
            self._may_jump = False
            self._newest_ns = stamp
        self._newest_ns = max(self._newest_ns, stamp)
        self._waiting.append(self._next)
        self._next = next(self._messages, None)
        return True

    def close(self) -> None:
        """Closes the bag."""
        self._messages.close()  # type: ignore[attr-defined]  # a generator


@lru_cache(maxsize=1)
def _fallback_types() -> Typestore:
    """Message types for sqlite3 bags of Humble and before, which do not carry their own."""
    return get_typestore(Stores.ROS2_HUMBLE)


def _storage(path: Path) -> Path:
    """Path for rosbags to open; in a folder without metadata.yaml, its only bag file."""
    if not path.exists():
        raise InputError(f"bag {path}: does not exist; needed a .bag, .mcap or .db3 file or a bag's folder.")
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise InputError(
                f"bag {path}: unknown kind {path.suffix or 'without a suffix'!r}; "
                f"needed one of {', '.join(SUFFIXES)}, or a bag's folder."
            )
        return path
    if (path / "metadata.yaml").exists():
        return path
    files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES)
    if len(files) != 1:
        raise InputError(
            f"bag {path}: no metadata.yaml and {len(files)} bag files; needed a bag's folder. "
            "Name one of the files, or run `ros2 bag reindex`."
        )
    return files[0]


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turns any exception of rosbags into an InputError.

    On damaged files rosbags raises errors of struct, zstd, lz4, sqlite3, YAML and its own asserts,
    so nothing narrower than Exception is safe. Use it only around calls of rosbags.
    """
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(
            f"bag {path}: cannot be read ({reason}); needed a whole bag. "
            "Repair it with `mcap recover`, `ros2 bag reindex` or `rosbag reindex`, or record it again."
        ) from error

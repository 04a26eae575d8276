"""Bag of serialised messages that stays readable if the disk becomes full."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer

from metric_depth_ros.bags.conventions import FORMAT
from metric_depth_ros.errors import InputError

# Room that is kept free for a bag's end, bytes; and of a chunk that holds nothing yet, its first time.
_ROOM, _NO_TIME = 1 << 20, 2**63 - 1


class Recording(Writer):  # type: ignore[misc]  # rosbags is not followed
    """Writer of a new mcap bag. The first message for which there is no room ends it, whole until there.

    mcap is written in chunks, and its index last: after a failure the chunk that did not fit is cut off, and
    the index goes where room was kept for it.
    """

    def __init__(self, path: Path) -> None:
        """Raises InputError if the folder ``path`` exists, or cannot be made."""
        if os.path.lexists(path):
            raise InputError(f"{path}: exists; needed a new folder. Choose another, or delete it.")
        super().__init__(path, version=FORMAT, storage_plugin=StoragePlugin.MCAP)
        self.min_timestamp, self.max_timestamp = _NO_TIME, 0
        self._full: InputError | None = None
        self._earlier: tuple[int, int, Any] | None = None  # before the last chunk
        self._room = path / ".room"
        try:
            self.open()
            self.storage.bio.flush()
            self._room.write_bytes(bytes(_ROOM))
        except OSError as error:
            raise self._unwritable(error, "needed a folder to write to.") from error

    def write(self, connection: Connection, timestamp: int, data: bytes | memoryview) -> None:
        """Writes a message. Raises InputError if there is no room, then or earlier."""
        if self._full is not None:
            raise self._full
        storage: Any = self.storage
        state = self._state()
        self.counts[connection.id] += 1  # first, as the storage counts
        try:
            storage.write(connection, timestamp, data)
            if len(storage.chunks) > state[1]:
                storage.bio.flush()
                self._earlier = state
        except OSError as error:
            self._cut(*state)
            self._full = self._unwritable(error, "the bag ends here and is whole. Make room.")
            raise self._full from error
        self.min_timestamp = min(timestamp, self.min_timestamp)
        self.max_timestamp = max(timestamp, self.max_timestamp)

    def close(self) -> None:
        """Writes the index and closes the bag. Raises InputError if there is no room for them."""
        if self.storage is None:
            return
        self._room.unlink(missing_ok=True)
        for state in (self._state(), self._earlier, None):
            try:
                super().close()
                return
            except OSError as error:
                if state is None:
                    raise self._unwritable(error, "the bag has no index. Make room; mcap recover.") from error
                self._cut(*state)

    def _state(self) -> tuple[int, int, Any]:
        """Bytes and chunks that are on the disk, and the chunk that is not."""
        storage: Any = self.storage
        return storage.bio.tell(), len(storage.chunks), storage.chunk

    def _cut(self, whole: int, chunks: int, chunk: Any) -> None:
        """Drops ``chunk``, and what of it was written after ``whole`` bytes."""
        self._room.unlink(missing_ok=True)
        storage: Any = self.storage
        del storage.chunks[chunks:]
        for number, messages in chunk.msgs.items():
            storage.channel_stats[number] -= len(messages)
            self.counts[number] -= len(messages)
        storage.chunk = type(chunk)(_NO_TIME, 0, BytesIO(), defaultdict(list))
        # What is in the old file's buffer must not reach the disk.
        storage.bio.raw.close()
        with suppress(ValueError, OSError):
            storage.bio.close()
        storage.bio = storage.path.open("r+b")
        storage.bio.truncate(whole)
        storage.bio.seek(whole)

    def _unwritable(self, error: OSError, rest: str) -> InputError:
        return InputError(f"bag {self.path}: {error.strerror}; {rest}")

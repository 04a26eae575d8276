"""Reads mcap files of any profile (https://mcap.dev/spec).

The reader of rosbags refuses a whole file for its profile, or for one channel whose schema is not text of
ROS 2. This one takes schemas as they are: they are parsed when a message of their channel is read.
"""

from __future__ import annotations

import heapq
import os
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rosbags.interfaces import Connection, MessageDefinition
from rosbags.typesys.msg import normalize_msgtype

from metric_depth_ros.bags.definitions import (
    NO_DEFINITION,
    NO_MESSAGES,
    about_topic,
    definition_of,
    metadata_of,
)
from metric_depth_ros.bags.packed import Data, Unpacker, check_message
from metric_depth_ros.files import in_words, open_regular

_MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _STATISTICS, _DATA_END = 3, 4, 5, 6, 8, 11, 15

# Of attachments and all else nothing is read.
_READ = {_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _STATISTICS}

# What Python takes for a record beside its bytes, and what all messages of chunks that overlap may take.
_OF_A_RECORD, _MOST_WAITING = 300, 1 << 29

# What a record may have beside a message, or a chunk that holds one: all its heads.
_HEADS = 1 << 16

# Channel id, time of recording in ns, and the message's bytes.
_Message = tuple[int, int, bytes]


class _Part(NamedTuple):
    """Record that holds messages: a chunk, or a message that is in none.

    Attributes:
        first_ns, last_ns: when its messages were recorded.
        offset: of the record in the file.
        channels: ids of the channels that it holds; empty if unknown.
    """

    first_ns: int
    last_ns: int
    offset: int
    channels: frozenset[int]


class McapFile:
    """One mcap file, as the storage plugins of rosbags are: ``connections``, ``metadata``, ``messages``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: list[Connection] = []
        self.metadata = NO_MESSAGES

    def open(self) -> None:
        """Reads the index or, where there is none, the whole file. Raises ValueError for damage."""
        self._file = open_regular(self.path)
        self._unpacker = Unpacker(os.fstat(self._file.fileno()).st_size)
        try:
            self._read_index()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def messages(
        self, connections: Collection[Connection], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yields (connection, recorded_ns, bytes), in order of recording, also where chunks overlap."""
        wanted = {connection.id: connection for connection in connections}
        first, last = start or 0, 2**63 if stop is None else stop
        order, waiting, taken = count(), list[tuple[int, int, _Message]](), 0

        def until(limit_ns: int) -> Iterator[tuple[Connection, int, bytes]]:
            nonlocal taken
            while waiting and waiting[0][0] < limit_ns:
                channel, recorded_ns, data = heapq.heappop(waiting)[2]
                taken -= len(data) + _OF_A_RECORD
                yield wanted[channel], recorded_ns, data

        for part in self._parts:
            if part.channels and wanted.keys().isdisjoint(part.channels):
                continue
            if part.last_ns < first or part.first_ns >= last:
                continue
            yield from until(part.first_ns)
            for message in self._messages_at(part.offset):
                if message[0] in wanted and first <= message[1] < last:
                    heapq.heappush(waiting, (message[1], next(order), message))
                    taken += len(message[2]) + _OF_A_RECORD
                    if taken > _MOST_WAITING:
                        raise ValueError(f"chunks of more than {in_words(_MOST_WAITING)} overlap")
        yield from until(2**64)

    # ---- index -------------------------------------------------------------------------------

    def _read_index(self) -> None:
        file = self._file
        if file.read(8) != _MAGIC:
            raise ValueError("no mcap file, or an empty one")
        footer_at = file.seek(-37, 2)
        footer = file.read()
        if footer[-8:] != _MAGIC or footer[:9] != struct.pack("<BQ", 2, 20):
            raise ValueError("its end is missing")
        (summary_at,) = struct.unpack_from("<Q", footer, 9)
        if not (summary_at and self._indexed(_Index(), summary_at, footer_at)):
            about = self.path.stat()
            self._take(
                _scanned(self.path.resolve(), about.st_size, about.st_mtime_ns, summary_at or footer_at)
            )

    def _indexed(self, index: _Index, begin: int, end: int) -> bool:
        """Takes the file's own index. False if it is not complete."""
        for _, op, body in _records(self._file, begin, end):
            index.add(op, body)
        if index.complete:
            self._take(index)
        return index.complete

    def _take(self, index: _Index) -> None:
        self._parts = sorted(index.parts)
        self.connections = [
            channel._replace(msgcount=index.counts[key], owner=self)
            for key, channel in index.channels.items()
        ]
        if total := sum(index.counts.values()):
            first, last = min(p.first_ns for p in self._parts), max(p.last_ns for p in self._parts)
            self.metadata = metadata_of(first, last, total)

    def _messages_at(self, offset: int) -> Iterator[_Message]:
        ((_, op, body),) = _records(self._file, offset, offset + 1)
        for inner, record in _unpacked(body, self._unpacker) if op == _CHUNK else [(op, body)]:
            if inner == _MESSAGE:
                channel, recorded_ns = _channel_and_time(record)
                yield channel, recorded_ns, bytes(record[22:])


class _Index:
    """What is known of a file from its records: channels, their numbers of messages, and the parts."""

    def __init__(self) -> None:
        self.channels: dict[int, Connection] = {}
        self.counts: Counter[int] = Counter()
        self.parts: list[_Part] = []
        self._schemas: dict[int, tuple[str, MessageDefinition]] = {}
        self._told = 0, 0  # messages and chunks, as the statistics say

    @property
    def complete(self) -> bool:
        """Whether a summary holds all that is needed: writers may leave out each part of it."""
        known = self._told == (sum(self.counts.values()), len(self.parts))
        return known and bool(self.parts and self._schemas) and set(self.counts) <= set(self.channels)

    def add(self, op: int, body: Data) -> None:
        """Takes one record of the data or of the summary."""
        if op == _SCHEMA:
            (key,), at = struct.unpack_from("<H", body), 2
            (name, encoding, text), _ = _strings(body, at, 3)
            self._schemas[key] = name, definition_of(encoding, text)
        elif op == _CHANNEL:
            self._add_channel(body)
        elif op == _MESSAGE:
            self.counts[_channel_and_time(body)[0]] += 1
        elif op == _CHUNK_INDEX:
            first, last, offset, _, size = struct.unpack_from("<QQQQI", body)
            held = frozenset(key for key, _ in struct.iter_unpack("<HQ", body[36 : 36 + size]))
            self.parts.append(_Part(first, last, offset, held))
        elif op == _STATISTICS:
            total, _, _, _, _, chunks = struct.unpack_from("<QHIIII", body)
            self._told = total, chunks
            (size,) = struct.unpack_from("<I", body, 42)
            self.counts.update(dict(struct.iter_unpack("<HQ", body[46 : 46 + size])))

    def add_part(self, offset: int, records: Iterable[tuple[int, Data]]) -> None:
        """Takes the records (op, body) at an offset: a part, if there are messages among them."""
        channels, first, last = set[int](), 2**64, 0
        for op, body in records:
            self.add(op, body)
            if op == _MESSAGE:
                channel, recorded_ns = _channel_and_time(body)
                channels.add(channel)
                first, last = min(first, recorded_ns), max(last, recorded_ns)
        if channels:
            self.parts.append(_Part(first, last, offset, frozenset(channels)))

    def _add_channel(self, body: Data) -> None:
        key, schema = struct.unpack_from("<HH", body)
        (topic, encoding), at = _strings(body, 4, 2)
        kind, definition = self._schemas.get(schema, ("", NO_DEFINITION))
        end = at + 4 + struct.unpack_from("<I", body, at)[0]
        pairs, at = list[str](), at + 4
        while at < end:
            words, at = _strings(body, at, 2)
            pairs += words
        told = dict(zip(pairs[::2], pairs[1::2], strict=True))
        about = about_topic(encoding, told.get("offered_qos_profiles", ""))
        name = normalize_msgtype(kind) if "/" in kind else kind
        self.channels[key] = Connection(key, topic, name, definition, "", 0, about, None)


@lru_cache(maxsize=4)
def _scanned(path: Path, size: int, mtime_ns: int, end: int) -> _Index:
    """Index from all records of a file up to ``end``; kept, as every topic opens the file again."""
    index, unpacker = _Index(), Unpacker(size)
    with open_regular(path) as file:
        for offset, op, body in _records(file, len(_MAGIC), end):
            if op == _DATA_END:
                break
            index.add_part(offset, _unpacked(body, unpacker) if op == _CHUNK else [(op, body)])
    return index


def _records(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Yields (offset, op, body) of the records that begin in a range. Raises ValueError if one is cut."""
    whole = os.fstat(file.fileno()).st_size
    while begin < end:
        file.seek(begin)
        head = file.read(9)
        if len(head) < 9:
            raise ValueError(f"cut short at byte {begin}")
        op, size = struct.unpack("<BQ", head)
        if begin + 9 + size > whole:
            raise ValueError(f"the record at byte {begin} is cut short")
        if op in _READ:
            check_message(size - _HEADS)
        yield begin, op, file.read(size) if op in _READ else b""
        begin += 9 + size


def _unpacked(chunk: bytes, unpacker: Unpacker) -> Iterator[tuple[int, Data]]:
    """Yields (op, body) of the records in a chunk. Raises ValueError for damage."""
    size, checksum = struct.unpack_from("<QI", chunk, 16)
    (compression,), at = _strings(chunk, 28, 1)
    (packed,) = struct.unpack_from("<Q", chunk, at)
    data = memoryview(chunk)[at + 8 : at + 8 + packed]
    if compression:
        data = memoryview(unpacker.unpack(data, compression, size))
    if len(data) != size or (checksum and zlib.crc32(data) != checksum):
        raise ValueError("a chunk is damaged")
    at = 0
    while at < size:
        unpacker.spend(_OF_A_RECORD)
        op, length = struct.unpack_from("<BQ", data, at)
        if at + 9 + length > size:
            raise ValueError("a record in a chunk is cut short")
        yield op, data[at + 9 : at + 9 + length]
        at += 9 + length


def _strings(body: Data, at: int, number: int) -> tuple[list[str], int]:
    """``number`` strings, each after its length, and the offset behind them."""
    found = []
    for _ in range(number):
        (size,) = struct.unpack_from("<I", body, at)
        found.append(bytes(body[at + 4 : at + 4 + size]).decode(errors="replace"))
        at += 4 + size
    return found, at


def _channel_and_time(message: Data) -> tuple[int, int]:
    """Channel id and time of recording in ns of a message record."""
    channel, _, recorded_ns = struct.unpack_from("<HIQ", message)
    return channel, recorded_ns

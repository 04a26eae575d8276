"""An mcap file made by hand, record by record."""

from __future__ import annotations

import struct
import zlib
from itertools import count
from pathlib import Path

import lz4.frame
from ros1_bag import Ros1Bag
from rosbags.typesys import Stores, get_typestore

ROS2 = get_typestore(Stores.ROS2_HUMBLE)


def text(words: str) -> bytes:
    return struct.pack("<I", len(words.encode())) + words.encode()


def record(op: int, body: bytes) -> bytes:
    return struct.pack("<BQ", op, len(body)) + body


def chunk(records: bytes, times: list[int], compression: str = "", checksum: int | None = None) -> bytes:
    packed = lz4.frame.compress(records) if compression == "lz4" else records
    crc = zlib.crc32(records) if checksum is None else checksum
    head = struct.pack("<QQQI", min(times), max(times), len(records), crc) + text(compression)
    return record(6, head + struct.pack("<Q", len(packed)) + packed)


class Mcap:
    """Channels and messages of an mcap file of any profile."""

    def __init__(self) -> None:
        self.channels, self.messages, self.number = b"", list[tuple[int, bytes]](), count(1)

    def channel(
        self, topic: str, kind: str, schema: bytes, encoding: str, how: str, qos: str | None = None
    ) -> int:
        key = next(self.number)
        data = struct.pack("<I", len(schema)) + schema
        self.channels += record(3, struct.pack("<H", key) + text(kind) + text(encoding) + data)
        about = b"" if qos is None else text("offered_qos_profiles") + text(qos)
        head = struct.pack("<HH", key, key) + text(topic) + text(how)
        self.channels += record(4, head + struct.pack("<I", len(about)) + about)
        return key

    def message(self, channel: int, recorded_ns: int, data: bytes) -> None:
        head = struct.pack("<HIQQ", channel, 0, recorded_ns, recorded_ns)
        self.messages.append((recorded_ns, record(5, head + data)))

    def write(self, path: Path, profile: str = "ros2", body: bytes | None = None) -> Path:
        """One record for each message after all channels, unless ``body`` is given; no summary."""
        body = self.channels + b"".join(data for _, data in self.messages) if body is None else body
        ends = record(15, bytes(4)) + record(2, bytes(20)) + b"\x89MCAP0\r\n"
        path.write_bytes(b"\x89MCAP0\r\n" + record(1, text(profile) + text("hand")) + body + ends)
        return path


def mcap_of(bag: Ros1Bag, *, ros1: bool = True, cut: str = "") -> Mcap:
    """The bag's messages, as ``mcap convert`` of a ROS 1 bag writes them or as ROS 2 does.

    ``cut``: topic whose second message is cut short.
    """
    mcap, keys, topics = Mcap(), dict[str, int](), list[str]()
    for recorded_ns, topic, kind, message in bag.entries:
        if topic not in keys:
            types, version = (bag.types, 1) if ros1 else (ROS2, 2)
            definition = types.generate_msgdef(kind, ros_version=version)[0].encode()
            name = kind.replace("/msg/", "/") if ros1 else kind
            how = ("ros1msg", "ros1") if ros1 else ("ros2msg", "cdr")
            keys[topic] = mcap.channel(topic, name, definition, *how)
        data = bag.types.serialize_ros1(message, kind) if ros1 else bag.cdr(message, kind)
        topics.append(topic)
        kept = 30 if topic == cut and topics.count(topic) == 2 else None
        mcap.message(keys[topic], recorded_ns, bytes(data)[:kept])
    return mcap

"""Bags that were made to do harm: each is refused by name, without gigabytes, a hang, or a traceback."""

from __future__ import annotations

import bz2
import os
import signal
import sqlite3
import struct
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pytest
from mcap_by_hand import ROS2, Mcap, mcap_of, record, text
from ros1_bag import SECOND, Ros1Bag, image_of, write_ros2
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from metric_depth_ros.bags import BagReader, folder, open_bag, packed
from metric_depth_ros.bags import mcap as mcap_file
from metric_depth_ros.bags.calibration import read_calibration
from metric_depth_ros.bags.storage import Bag, is_bag
from metric_depth_ros.bags.survey import survey
from metric_depth_ros.cli.main import main
from metric_depth_ros.config import from_flat
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Sample

if packed.sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RULE = "=" * 80 + "\n"


def recording(**image: Any) -> Ros1Bag:
    bag = Ros1Bag()
    bag.image(SECOND, **image)
    bag.info(SECOND)
    bag.cloud(SECOND)
    return bag


def read(path: Path, **options: Any) -> list[Any]:
    with BagReader(path, **options) as reader:
        return [outcome for _, outcome in reader.samples(from_flat({}))]


def write(path: Path, storage: StoragePlugin, mode: CompressionMode = CompressionMode.NONE) -> Path:
    writer = Writer(path, version=9, storage_plugin=storage)
    if mode is not CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        write_ros2(writer, recording())
    return path


# ---- definitions -----------------------------------------------------------------------------

HALVES = "".join(f"{RULE}MSG: a/msg/B{i}\nB{i + 1} x\nB{i + 1} y\n" for i in range(40))
BOMBS = {
    "points": ("Point[100000000] p\n" + RULE + "MSG: geometry_msgs/Point\nfloat64 x\n", "ros2msg", "fields"),
    "strings": ("string[1000000000] names\n", "ros2msg", "more than 2000 fields"),
    "many fields": ("".join(f"uint8 a{i}\n" for i in range(9000)), "ros2msg", "more than 2000 fields"),
    "doubling": (f"B0 x\n{HALVES}{RULE}MSG: a/msg/B40\nuint8 z\n", "ros2msg", "more than 2000 fields"),
    "nothing doubled": (f"B0 x\n{HALVES}{RULE}MSG: a/msg/B40\nuint8[0] z\n", "ros2msg", "without elements"),
    "itself": ("A a\n", "ros2msg", "recursion"),
    "letters": ("#" * 2_000_000, "ros2msg", "letters"),
    "steps": ("\n# " * 160_000, "ros2msg", "too many steps"),
    "brackets": ("module a { module msg { struct A { string<((((1))))> x; }; }; };", "ros2idl", "steps"),
    "shift": ("module a { module msg { struct A { string<1<<100000000000> x; }; }; };", "ros2idl", "parse"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_definition_that_asks_for_too_much_is_refused(tmp_path: Path, bomb: str) -> None:
    definition, encoding, says = BOMBS[bomb]
    mcap = Mcap()
    key = mcap.channel("/odd", "a/msg/A", definition.replace("Point[", "geometry_msgs/Point[").encode(),
                       encoding, "cdr")  # fmt: skip
    mcap.message(key, SECOND, b"\x00\x01\x00\x00" + bytes(1000))
    with open_bag(mcap.write(tmp_path / "a.mcap")) as bag:
        connection, _, raw = next(bag.messages())
        for _ in range(2):
            with pytest.raises(InputError, match=f"/odd cannot be read .*{says}"):
                bag.deserialize(connection, raw)


def test_the_definition_of_a_standard_type_that_asks_for_too_much_is_not_used(tmp_path: Path) -> None:
    mcap = mcap_of(recording(), ros1=False)
    mcap.channels = mcap.channels.replace(b"uint32 height", b"byte[9999999]", 1)
    assert all(isinstance(one, Sample) for one in read(mcap.write(tmp_path / "a.mcap")))


@pytest.mark.parametrize(
    ("old", "new", "lacks"),
    [
        (b"uint32 height", b"uint32 heiggt", "height"),
        (b"string frame_id", b"string frame_ix", "header"),
        (b"uint32 width", b"string width", "width"),
        (b"uint8[] data", b"string data", "data"),
    ],
)
def test_a_definition_must_have_the_standard_fields(
    tmp_path: Path, old: bytes, new: bytes, lacks: str
) -> None:
    """Also in its parts, and of the same sort."""
    mcap = Mcap()
    for recorded_ns, topic, kind, message in recording().entries:
        bag = Ros1Bag()
        definition = ROS2.generate_msgdef(kind, ros_version=2)[0].encode()
        if topic == "/image":
            assert old in definition
            definition = definition.replace(old, new)
        mcap.message(
            mcap.channel(topic, kind, definition, "ros2msg", "cdr"), recorded_ns, bag.cdr(message, kind)
        )
    (outcome,) = read(mcap.write(tmp_path / "a.mcap"))
    assert isinstance(outcome, InputError) and f"lacks {lacks}, or has another type" in str(outcome)


# ---- sizes -----------------------------------------------------------------------------------


def zeros(size: int, compression: str) -> bytes:
    packers = {"zstd": zstd.compress, "lz4": lz4.frame.compress, "bz2": bz2.compress}
    return bytes(packers[compression](bytes(size)))


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize(
    ("says", "holds", "reason"),
    [
        (5_000_000_000, 1000, "5 GB, more than 268 MB"),
        (1000, 50_000_000, "larger than 1 kB"),
        (1000, 900, "damaged"),
    ],
)
def test_a_chunk_is_unpacked_up_to_the_size_that_it_says(
    tmp_path: Path, compression: str, says: int, holds: int, reason: str
) -> None:
    data = zeros(holds, compression)
    head = struct.pack("<QQQI", SECOND, SECOND, says, 0) + text(compression)
    path = Mcap().write(tmp_path / "a.mcap", body=record(6, head + struct.pack("<Q", len(data)) + data))
    with pytest.raises(InputError, match=f"cannot be read .*{reason}"):
        read(path)


def chunk_of(records: bytes) -> bytes:
    data = zstd.compress(records)
    head = struct.pack("<QQQI", SECOND, SECOND, len(records), 0) + text("zstd")
    return record(6, head + struct.pack("<Q", len(data)) + data)


def test_records_count_even_if_they_are_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_FREE", 10_000_000)
    for records in (bytes(9_000_000), struct.pack("<BQ", 0x80, 0) * 1_000_000):
        path = Mcap().write(tmp_path / "a.mcap", body=chunk_of(records))
        with pytest.raises(InputError, match="unpacked, too much for its size"):
            read(path)


def test_chunks_that_overlap_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcap_file, "_MOST_WAITING", 1_000_000)
    mcap = mcap_of(recording(), ros1=False)
    many = record(5, struct.pack("<HIQQ", 1, 0, SECOND, SECOND)) * 1000
    path = mcap.write(tmp_path / "a.mcap", body=mcap.channels + chunk_of(many) * 10)
    with open_bag(path) as bag, pytest.raises(InputError, match="chunks of more than 1 MB overlap"):
        list(bag.messages())


@pytest.mark.parametrize("compression", ["zstd", "lz4", "bz2"])
def test_a_file_holds_no_more_than_suits_its_size(monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    monkeypatch.setattr(packed, "_FREE", 0)
    unpacker, data = packed.Unpacker(3000), zeros(2_000_000, compression)
    assert unpacker.unpack(data, compression) == bytes(2_000_000)
    with pytest.raises(ValueError, match="more than 3 MB unpacked"):
        unpacker.unpack(data, compression)
    with pytest.raises(ValueError, match="cut short"):
        packed.Unpacker(3000).unpack(data[: len(data) // 2], compression)


def test_frames_of_zstd_are_joined() -> None:
    data = zstd.compress(b"one ") + zstd.compress(b"two")
    assert packed.Unpacker(100).unpack(data, "zstd", 7) == b"one two"


@pytest.mark.parametrize("compression", [Ros1Writer.CompressionFormat.BZ2, Ros1Writer.CompressionFormat.LZ4])
def test_chunks_of_ros1_have_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: Any
) -> None:
    path = recording().write(tmp_path / "a.bag", compression)
    assert isinstance(read(path)[0], Sample)
    monkeypatch.setattr(packed, "MOST", 3000)  # between packed and unpacked
    with pytest.raises(InputError, match="larger than 3 kB when unpacked"):
        read(path)


@pytest.fixture
def small_peak() -> Iterator[None]:
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.usefixtures("small_peak")
@pytest.mark.parametrize("op", [3, 4, 5, 6])
def test_a_record_of_mcap_has_a_limit_before_it_is_read(tmp_path: Path, op: int) -> None:
    path, ends = tmp_path / "a.mcap", record(15, bytes(4)) + record(2, bytes(20)) + b"\x89MCAP0\r\n"
    with path.open("wb") as file:
        file.write(b"\x89MCAP0\r\n" + struct.pack("<BQ", op, 900_000_000))
        file.seek(900_000_000, 1)
        file.write(ends)
    with pytest.raises(InputError, match="a message of 900 MB; at most 268 MB are read"):
        read(path)


@pytest.mark.usefixtures("small_peak")
def test_an_attachment_of_mcap_may_be_large(tmp_path: Path) -> None:
    path, mcap = tmp_path / "a.mcap", mcap_of(recording(), ros1=False)
    whole = mcap.write(path).read_bytes()
    with path.open("wb") as file:
        file.write(whole[:8] + struct.pack("<BQ", 9, 900_000_000))
        file.seek(900_000_000, 1)
        file.write(whole[8:])
    assert isinstance(read(path)[0], Sample)


@pytest.mark.parametrize("order", ["", "CREATE INDEX by_time ON messages (timestamp)"])
def test_a_message_of_a_database_has_a_limit_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    path = next(write(tmp_path / "a", StoragePlugin.SQLITE3).glob("*.db3"))
    with closing(sqlite3.connect(path)) as base:
        base.executescript(f"DROP INDEX IF EXISTS timestamp_idx; {order}")
        base.execute("UPDATE messages SET data = zeroblob(20000000) WHERE topic_id = 1")
        base.commit()
    tracemalloc.start()
    monkeypatch.setattr(packed, "MOST", 10_000_000)
    with pytest.raises(InputError, match="a message of 20 MB; at most 10 MB are read"):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.usefixtures("small_peak")
def test_a_record_of_ros1_has_a_limit_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bag"
    with path.open("wb") as file:
        file.write(b"#ROSBAG V2.0\n" + struct.pack("<I", 4_000_000_000))
        file.truncate(4_100_000_000)
    with pytest.raises(InputError, match="a message of 4 GB; at most 268 MB are read"):
        read(path)


def test_a_chunk_of_ros1_has_a_limit_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recording().write(tmp_path / "a.bag", None)
    monkeypatch.setattr(packed, "MOST", 100)
    with pytest.raises(InputError, match=r"a message of .*; at most 100 bytes are read"):
        read(path)


def test_messages_that_are_packed_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", StoragePlugin.SQLITE3, CompressionMode.MESSAGE)
    assert isinstance(read(path)[0], Sample)
    monkeypatch.setattr(packed, "MOST", 700)  # between packed and unpacked
    with pytest.raises(InputError, match="larger than 700 bytes when unpacked"):
        read(path)


def test_a_record_that_says_it_is_huge_is_cut_short(tmp_path: Path) -> None:
    path = Mcap().write(tmp_path / "a.mcap", body=struct.pack("<BQ", 5, 2**39) + b"message")
    with pytest.raises(InputError, match="byte 33 is cut short"):
        read(path)


@pytest.mark.parametrize("storage", StoragePlugin)
def test_a_packed_file_is_unpacked_once_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: StoragePlugin
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = write(tmp_path / "a", storage, CompressionMode.FILE)
    copied: list[int] = []
    copy = packed.Unpacker.copy
    monkeypatch.setattr(packed.Unpacker, "copy", lambda self, a, b: (copied.append(1), copy(self, a, b))[1])
    with BagReader(path) as reader:
        assert not [*(tmp_path / "temporary").iterdir()]
        ((_, sample),) = reader.samples(from_flat({}))
    np.testing.assert_array_equal(sample.image, image_of(0))
    assert len(copied) == 1
    folder._unpacked.cache_clear()


def test_a_stopped_program_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM comes while the file is being unpacked."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = write(tmp_path / "a", StoragePlugin.MCAP, CompressionMode.FILE)
    monkeypatch.setattr(packed.Unpacker, "copy", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["doctor", str(path)]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_a_packed_file_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = write(tmp_path / "a", StoragePlugin.MCAP, CompressionMode.FILE)
    next(path.glob("*.zstd")).write_bytes(zeros(20_000_000, "zstd"))
    monkeypatch.setattr(packed, "_FREE", 0)
    with pytest.raises(InputError, match="unpacked, too much for its size"):
        read(path)
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


# ---- values of the wrong type ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE topics SET name = x'2f696d616765'", "a topic .*bytes"),
        ("UPDATE topics SET type = 5.5", "a topic .*|no topic for"),
        ("UPDATE topics SET serialization_format = x'00'", "a topic .*bytes"),
        ("UPDATE messages SET data = 'text'", "a message .*text"),
        ("UPDATE messages SET timestamp = 'text'", "a message .*str"),
        (
            "ALTER TABLE messages RENAME TO hidden; "
            "CREATE VIEW messages AS WITH RECURSIVE n(id) AS (SELECT 1 "
            "UNION ALL SELECT id + 1 FROM n) SELECT id, 1 AS topic_id, id AS timestamp, x'00' AS data FROM n",
            "view .*computed",
        ),
        ("ALTER TABLE messages ADD COLUMN more AS (zeroblob(1000000000))", "table .*computed"),
    ],
)
def test_values_of_a_database_are_checked(tmp_path: Path, change: str, says: str) -> None:
    path = next(write(tmp_path / "a", StoragePlugin.SQLITE3).glob("*.db3"))
    with closing(sqlite3.connect(path)) as base:
        base.executescript(change)
    with pytest.raises(InputError, match=says):
        read(path)


def test_a_definition_in_a_database_may_be_no_text(tmp_path: Path) -> None:
    path = next(write(tmp_path / "a", StoragePlugin.SQLITE3).glob("*.db3"))
    for odd in ("x'ff00'", "5", "CAST(x'fffe' AS TEXT)"):
        with closing(sqlite3.connect(path)) as base:
            base.execute(f"UPDATE message_definitions SET encoded_message_definition = {odd}")
            base.commit()
        assert isinstance(read(path)[0], Sample)


@pytest.mark.parametrize(
    "line",
    [
        "relative_file_paths: 5",
        "relative_file_paths: [5]",
        "relative_file_paths: ['../../etc/passwd']",
        "storage_identifier: [mcap]",
        "storage_identifier: other",
        "compression_mode: 2024-01-01",
        "compression_mode: file",
        "version: &a [*a]",
        "version: " + "[" * 10_000,
        "storage_identifier: {a: &a [x, x], b: &b [*a, *a, *a], c: &c [*b, *b, *b]",
    ],
)
def test_values_of_metadata_are_checked(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "a", StoragePlugin.MCAP)
    file = path / "metadata.yaml"
    key = line.split(":")[0]
    kept = [
        old for old in file.read_text().splitlines() if not old.strip().startswith((f"{key}:", "- a.mcap"))
    ]
    file.write_text("\n".join([kept[0], f"  {line}", *kept[1:]]))
    with pytest.raises(InputError, match=r"metadata.yaml"):
        read(path)
    file.write_text("text")
    with pytest.raises(InputError, match="relative_file_paths"):
        read(path)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a.mcap"] * 20_000, "names 'a.mcap' more than once"),
        (["a.mcap", "b/a.mcap"], "names 'a.mcap' more than once"),
        ([f"{number}.mcap" for number in range(901)], "901 files; at most 900"),
    ],
)
def test_files_that_metadata_names_are_few_and_different(tmp_path: Path, names: list[str], says: str) -> None:
    path = write(tmp_path / "a", StoragePlugin.MCAP)
    (path / "metadata.yaml").write_text(
        f"rosbag2_bagfile_information: {{storage_identifier: mcap, relative_file_paths: {names}}}"
    )
    with pytest.raises(InputError, match=says):
        read(path)


def test_files_without_metadata_are_few(tmp_path: Path) -> None:
    for number in range(901):
        (tmp_path / f"{number}.mcap").touch()
    with pytest.raises(InputError, match="901 files; at most 900"):
        read(tmp_path)


# ---- many topics -----------------------------------------------------------------------------


class CountedList(list[Any]):
    """Counts how often it is gone through."""

    passes = 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return super().__iter__()


def of_many_topics(path: Path) -> Path:
    mcap = Mcap()
    for number in range(300):
        key = mcap.channel(f"/image{number}", "sensor_msgs/msg/Image", b"uint8[] data", "ros2msg", "cdr")
        mcap.message(key, SECOND + number, bytes(20))
    return mcap.write(path)


def test_the_doctor_goes_through_the_topics_as_often_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, counted = of_many_topics(tmp_path / "a.mcap"), list[CountedList]()
    opened = Bag.__init__

    def init(bag: Bag, *args: Any) -> None:
        opened(bag, *args)
        bag.connections = CountedList(bag.connections)
        counted.append(bag.connections)

    monkeypatch.setattr(Bag, "__init__", init)
    facts, _ = survey(path)
    assert len(facts.topics) == 300 and max(each.passes for each in counted) < 10


def test_the_doctor_lists_some_of_many_topics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", str(of_many_topics(tmp_path / "a.mcap"))])
    said = capsys.readouterr().out
    assert "300 topics, of which the first 100" in said and "and 290 more" in said
    assert len(said.splitlines()) < 130


def test_a_recording_needs_nothing_else_of_its_metadata(tmp_path: Path) -> None:
    path = write(tmp_path / "a", StoragePlugin.MCAP)
    (path / "metadata.yaml").write_text(
        "rosbag2_bagfile_information: {version: x, relative_file_paths: [a.mcap], storage_identifier: mcap, "
        "duration: [], message_count: text, topics_with_message_count: 5}"
    )
    assert isinstance(read(path)[0], Sample)


# ---- no files --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.bag", "a.mcap", "a.db3", "a", "folder/a.mcap", "folder/metadata.yaml"])
def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / name)
    path = tmp_path / name.split("/")[0]
    with pytest.raises(InputError, match="a pipe, no regular file"):
        read(path)
    assert main(["doctor", str(path)]) == 1


def test_a_pipe_in_place_of_a_calibration_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(InputError, match="a pipe, no regular file"):
        read_calibration(tmp_path / "a.yaml", "/image")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b.mcap", "missing.bag"])
def test_names_of_no_file_are_refused(tmp_path: Path, name: str) -> None:
    assert is_bag(tmp_path / name) in (True, False)
    with pytest.raises(InputError, match=r"^bag .*needed"):
        read(tmp_path / name)

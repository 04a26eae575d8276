"""Bags as robots and tools leave them: odd definitions, other profiles, parts, wrong stamps, other names."""

from __future__ import annotations

import re
import sqlite3
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap_by_hand import ROS2, chunk, mcap_of
from ros1_bag import SECOND, Ros1Bag, image_of, points_of, write_ros2
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from metric_depth_ros import messages
from metric_depth_ros.bags import BagReader, open_bag
from metric_depth_ros.bags.topics import CAMERA_INFO, IMAGE, TF, choose_topic, transform_topics
from metric_depth_ros.config import from_flat
from metric_depth_ros.errors import AnchorError, InputError, TransformError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.types import Sample

TENTH = SECOND // 10


def good_bag(count: int = 3, **cloud: Any) -> Ros1Bag:
    """Images at 10 Hz, each with its camera_info and cloud."""
    bag = Ros1Bag()
    for index in range(count):
        stamp_ns = SECOND + index * TENTH
        bag.image(stamp_ns, index=index)
        bag.info(stamp_ns)
        bag.cloud(stamp_ns, index=index, **cloud)
    return bag


def read(path: Path, settings: Any = None, **options: Any) -> tuple[list[Any], dict[str, int]]:
    """Outcomes of all images, and what was passed over."""
    with BagReader(path, **options) as reader:
        return [outcome for _, outcome in reader.samples(from_flat(settings or {}))], dict(reader.skipped)


def assert_good(path: Path, count: int = 3, **options: Any) -> None:
    samples, skipped = read(path, **options)
    assert len(samples) == count and not skipped
    for index, sample in enumerate(samples):
        assert isinstance(sample, Sample), sample
        np.testing.assert_array_equal(sample.image, image_of(index))
        np.testing.assert_allclose(sample.points_camera, points_of(index), atol=1e-6)
        assert sample.camera.K[0, 0] == 20


ODD = {
    "service event": ("srv/AddTwoInts_Event", b"int64 a\n---\nint64 sum\n", "ros2msg", "cdr"),
    "its own name": ("my_msgs/msg/Status", b"my_msgs/msg/Status", "ros2msg", "cdr"),
    "missing parts": ("my_msgs/msg/Fleet", b"my_msgs/Robot[] robots\n", "ros2msg", "cdr"),
    "idl": ("my_msgs/msg/Status", b"module { nonsense", "ros2idl", "cdr"),
    "json": ("sensor_msgs/msg/Image", b'{"type": "object"}', "jsonschema", "json"),
    "protobuf": ("foxglove.CompressedImage", b"\xff\xfe\x00\x80", "protobuf", "protobuf"),
    "nothing": ("my_msgs/msg/Status", b"", "", "cdr"),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("ros1", [True, False])
def test_a_channel_that_nobody_needs_may_be_odd(tmp_path: Path, odd: str, ros1: bool) -> None:
    mcap = mcap_of(good_bag(), ros1=ros1)
    mcap.message(mcap.channel("/odd", *ODD[odd], "no profiles"), SECOND, b"\x00\x01\x00\x00data")
    assert_good(mcap.write(tmp_path / "a.mcap"))


@pytest.mark.parametrize("profile", ["ros1", "ros2", "", "other"])
@pytest.mark.parametrize("ros1", [True, False])
def test_mcap_is_read_whatever_its_profile(tmp_path: Path, profile: str, ros1: bool) -> None:
    assert_good(mcap_of(good_bag(), ros1=ros1).write(tmp_path / "a.mcap", profile))


def test_a_ros1_message_in_mcap_becomes_ros2_bytes(tmp_path: Path) -> None:
    with open_bag(mcap_of(good_bag()).write(tmp_path / "a.mcap", "ros1")) as bag:
        image = next(c for c in bag.connections if c.topic == "/image")
        _, _, raw = next(bag.messages([image]))
        found = ROS2.deserialize_cdr(bag.as_cdr(image, raw), "sensor_msgs/msg/Image")
    np.testing.assert_array_equal(messages.read_image(found), image_of(0))


@pytest.mark.parametrize("compression", ["", "lz4"])
def test_chunks_that_overlap_are_merged_by_time(tmp_path: Path, compression: str) -> None:
    mcap = mcap_of(good_bag(6), ros1=False)
    body = mcap.channels
    for part in (mcap.messages[::2], mcap.messages[1::2]):
        times, records = zip(*part, strict=True)
        body += chunk(b"".join(records), list(times), compression)
    path = mcap.write(tmp_path / "a.mcap", body=body)
    assert_good(path, 6)
    with open_bag(path) as bag:
        recorded = [at for _, at, _ in bag.messages()]
        assert recorded == sorted(recorded) and len(recorded) == 18
        assert (bag.start_time, bag.end_time) == (SECOND, SECOND + 5 * TENTH + 1)


@pytest.mark.parametrize("left_out", [None, 3, 4, 8, 11])
def test_parts_of_the_summary_may_be_missing(tmp_path: Path, left_out: int | None) -> None:
    """Schemas, channels, indices of chunks, or statistics."""
    bag = good_bag()
    with Writer(tmp_path / "a", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        write_ros2(writer, bag)
    path = tmp_path / "a" / "a.mcap"
    data = path.read_bytes()
    (summary,) = struct.unpack_from("<Q", data, len(data) - 28)
    kept, at = b"", summary
    while data[at] != 2:  # the footer
        end = at + 9 + struct.unpack_from("<Q", data, at + 1)[0]
        kept += data[at:end] if data[at] != left_out else b""
        at = end
    path.write_bytes(data[:summary] + kept + data[at:])
    assert_good(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"checksum": 5}, "damaged"),
        ({"compression": "snappy"}, "compression 'snappy'"),
    ],
)
def test_a_chunk_that_cannot_be_read_is_named(tmp_path: Path, change: Any, says: str) -> None:
    mcap = mcap_of(good_bag(), ros1=False)
    times, records = zip(*mcap.messages, strict=True)
    path = mcap.write(
        tmp_path / "a.mcap", body=mcap.channels + chunk(b"".join(records), list(times), **change)
    )
    with pytest.raises(InputError, match=f"{path}: cannot be read .*{says}"):
        read(path)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("mode", [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE])
def test_folders_of_ros2_bags_are_read(tmp_path: Path, storage: StoragePlugin, mode: CompressionMode) -> None:
    bag = good_bag()
    writer = Writer(tmp_path / "a", version=8, storage_plugin=storage)
    if mode is not CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        write_ros2(writer, bag)
    assert_good(tmp_path / "a")


@pytest.mark.parametrize("encoding", ["unknown", "ros2msg", "ros2idl"])
@pytest.mark.parametrize("used", [True, False])
def test_a_topic_of_sqlite_may_have_an_odd_definition(tmp_path: Path, encoding: str, used: bool) -> None:
    """That of a standard type is known, even where the bag's is odd."""
    bag = good_bag()
    with Writer(tmp_path / "a", version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        odd = writer.add_connection("/odd", "std_msgs/msg/String", typestore=ROS2)
        writer.write(odd, SECOND, b"\x00\x01\x00\x00odd")
        write_ros2(writer, bag)
    with sqlite3.connect(tmp_path / "a" / "a.db3") as database:
        database.execute(
            "UPDATE message_definitions SET encoding = ?, encoded_message_definition = '--- no' "
            "WHERE topic_type = ?",
            (encoding, IMAGE if used else "std_msgs/msg/String"),
        )
    assert_good(tmp_path / "a")
    assert_good(tmp_path / "a" / "a.db3")


@pytest.mark.parametrize("definition", ["", "no definition at all", "my_msgs/Robot[] robots"])
def test_a_topic_of_ros1_may_have_an_odd_definition(tmp_path: Path, definition: str) -> None:
    """One that nobody needs, and one of a standard type that is needed."""
    bag = good_bag()
    with Ros1Writer(tmp_path / "a.bag") as writer:
        md5 = "53a14e6cadee4d14930b099922d25397"
        odd = writer.add_connection("/odd", "my_msgs/msg/Status", msgdef=definition, md5sum=md5)
        writer.write(odd, SECOND, b"\x01\x00\x00\x00")
        topics: dict[str, Any] = {}
        for recorded_ns, topic, kind, message in bag.entries:
            if topic not in topics:
                given = {"msgdef": definition, "md5sum": md5} if kind == IMAGE else {"typestore": bag.types}
                topics[topic] = writer.add_connection(topic, kind, **given)
            writer.write(topics[topic], recorded_ns, bag.types.serialize_ros1(message, kind))
    assert_good(tmp_path / "a.bag")


def test_of_two_types_on_one_topic_that_of_most_messages_is_read(tmp_path: Path) -> None:
    mcap = mcap_of(good_bag(), ros1=False)
    mcap.message(mcap.channel("/image", *ODD["json"]), SECOND, b"{}")
    path = mcap.write(tmp_path / "a.mcap")
    assert_good(path)
    with BagReader(path) as reader:
        assert reader.image_count == 3


def test_an_odd_topic_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    mcap = mcap_of(good_bag(), ros1=False)
    for name, odd in (("/json", "json"), ("/odd", "missing parts")):
        mcap.message(mcap.channel(name, *ODD[odd]), SECOND, b"\x00\x01\x00\x00data")
    path = mcap.write(tmp_path / "a.mcap")
    with pytest.raises(InputError, match=r"/json, but it is sensor_msgs/msg/Image as json"):
        read(path, image="/json")
    with open_bag(path) as bag:
        connection, _, raw = next(bag.messages([c for c in bag.connections if c.topic == "/odd"]))
        with pytest.raises(InputError, match=r"/odd cannot be read .*my_msgs/msg/Fleet"):
            bag.deserialize(connection, raw)


# ---- parts -----------------------------------------------------------------------------------


def test_the_parts_of_a_ros1_recording_are_read_as_one(tmp_path: Path) -> None:
    """Static transforms are in the first part alone."""
    whole = good_bag(6, frame_id="lidar")
    whole.tf("camera", "lidar", rigid_transform([0, 0, 0], [0, 0, 0, 1]), SECOND, "/tf_static")
    for name, low, high in (("b_1.bag", 3, 6), ("b_0.bag", 0, 3)):
        part = Ros1Bag()
        part.entries = [e for e in whole.entries if low * TENTH <= e[0] - SECOND < high * TENTH]
        part.write(tmp_path / name)
    assert_good(tmp_path, 6)
    with BagReader(tmp_path) as reader:
        assert reader.image_count == 6
    samples, _ = read(tmp_path / "b_1.bag")
    assert all(
        isinstance(sample, TransformError) and "run on the folder" in str(sample) for sample in samples
    )
    (tmp_path / "other.mcap").touch()
    with pytest.raises(InputError, match=r"b_0.bag, b_1.bag, other.mcap; needed files of one kind"):
        read(tmp_path)


# ---- messages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["/image", "/camera_info", "/anchors", "/tf_static"])
def test_one_message_that_is_cut_short_costs_no_other(tmp_path: Path, topic: str) -> None:
    """The image itself is lost; instead of its cloud or camera_info a neighbouring one serves."""
    bag = good_bag()
    for name in ("base", "mast"):
        bag.tf(name, "camera", rigid_transform([0, 0, 0], [0, 0, 0, 1]), SECOND, "/tf_static")
    outcomes, skipped = read(mcap_of(bag, cut=topic).write(tmp_path / "a.mcap"))
    lost = [str(outcome) for outcome in outcomes if not isinstance(outcome, Sample)]
    named = f"a message on {topic} cannot be read"
    assert len(outcomes) == 3
    assert [named in words for words in (*lost, *skipped)] == [True]
    assert len(lost) == (topic == "/image")


@pytest.mark.parametrize("definition", ["string words\n", "std_msgs/Header header\nfloat32 range\n"])
def test_a_source_whose_definition_is_another_is_named_and_the_others_serve(
    tmp_path: Path, definition: str
) -> None:
    header = "=" * 80 + "\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
    time = "=" * 80 + "\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
    schema = (definition + (header + time if "Header" in definition else "")).encode()
    mcap = mcap_of(good_bag(), ros1=False)
    odd = mcap.channel("/range", "sensor_msgs/msg/Range", schema, "ros2msg", "cdr")
    for index in range(3):
        mcap.message(odd, SECOND + index * TENTH, b"\x00\x01\x00\x00" + bytes(40))
    config = from_flat(
        {"anchors.sources": ["a", "b"], "sources.a.topic": "/anchors", "sources.b.topic": "/range"}
    )
    outcomes, skipped = read(mcap.write(tmp_path / "a.mcap"), sources=config.sources)
    assert all(isinstance(outcome, Sample) for outcome in outcomes)
    ((words, times),) = skipped.items()
    assert "/range cannot be read (the definition of sensor_msgs/msg/Range in the bag" in words
    assert times == 3


# ---- stamps ----------------------------------------------------------------------------------


TOPICS = {"image": "image", "cloud": "anchors", "info": "camera_info"}


@pytest.mark.parametrize("stamp_ns", [0, 7000 * SECOND, 2_000_000_000 * SECOND])
@pytest.mark.parametrize("what", ["image", "cloud", "info"])
@pytest.mark.parametrize("which", [0, 1, 8, 19])
def test_one_wrong_stamp_is_passed_over_and_counted(
    tmp_path: Path, stamp_ns: int, what: str, which: int
) -> None:
    """The image itself is lost; without its cloud or camera_info a neighbouring one serves."""
    bag = Ros1Bag()
    for index in range(20):
        good_ns = 5000 * SECOND + index * TENTH
        for name, add in (("image", bag.image), ("info", bag.info), ("cloud", bag.cloud)):
            add(stamp_ns if (name, index) == (what, which) else good_ns, good_ns)
    outcomes, skipped = read(bag.write(tmp_path / "a.bag"))
    wrong = [outcome for outcome in outcomes if not isinstance(outcome, Sample)]
    first_alone = (what, which) == ("cloud", 0)  # nothing lies before the first image
    assert len(outcomes) == 20 and len(wrong) == (what == "image" or first_alone)
    named = [str(error) for error in wrong[first_alone:]] + list(skipped)
    assert len(named) == 1 and "stamp" in named[0] and f"/{TOPICS[what]}: " in named[0]
    assert sum(skipped.values()) == (what != "image")


def clocks_apart(off_ns: int) -> Ros1Bag:
    """Clouds stamped by another clock, recorded 5 ms after their images."""
    bag = Ros1Bag()
    for index in range(5):
        stamp_ns = 5000 * SECOND + index * TENTH
        bag.image(stamp_ns, index=index)
        bag.info(stamp_ns)
        bag.cloud(stamp_ns + off_ns, stamp_ns + 5_000_000, index=index)
    return bag


@pytest.mark.parametrize("off_ns", [-4000 * SECOND, 30 * SECOND])
def test_recorded_times_serve_where_clocks_differ(tmp_path: Path, off_ns: int) -> None:
    path = clocks_apart(off_ns).write(tmp_path / "a.bag")
    outcomes, _ = read(path)
    assert all(isinstance(outcome, AnchorError) for outcome in outcomes)
    said = f"clock is {off_ns / 1e9 - 0.005:+.3f} s off the camera's"
    assert all(said in str(outcome) for outcome in outcomes)
    ways = "run with --stamps recorded, or name it in anchors.sources with time_offset_s"
    assert all(ways in str(outcome) for outcome in outcomes)
    samples, skipped = read(path, stamps="recorded")
    assert not skipped
    for index, sample in enumerate(samples):
        assert sample.stamp_ns == 5000 * SECOND + index * TENTH
        np.testing.assert_array_equal(sample.points_camera, points_of(index))


@pytest.mark.parametrize("off_ns", [-4000 * SECOND, 1_700_000_000 * SECOND])
@pytest.mark.parametrize("before", [0.0, 70.0])
def test_the_offset_that_is_told_mends_the_clock(tmp_path: Path, off_ns: int, before: float) -> None:
    path = clocks_apart(off_ns).write(tmp_path / "a.bag")
    settings = {
        "anchors.sources": ["any"],
        "sources.any.topic": "/anchors",
        "sources.any.time_offset_s": before,
    }

    def outcomes() -> list[Any]:
        return read(path, settings, sources=from_flat(settings).sources)[0]

    told = re.findall(r"set sources.any.time_offset_s: (-?\d+\.\d+)", str(outcomes()[0]))
    settings["sources.any.time_offset_s"] = float(told[0])
    assert [len(sample.points_camera) for sample in outcomes()] == [len(points_of(0))] * 5


def test_recorded_times_serve_where_there_are_no_stamps(tmp_path: Path) -> None:
    bag = Ros1Bag()
    bag.tf("camera", "lidar", rigid_transform([0, 0, 1], [0, 0, 0, 1]), 0, recorded_ns=SECOND)
    bag.tf("camera", "lidar", rigid_transform([0, 0, 3], [0, 0, 0, 1]), 0, recorded_ns=3 * SECOND)
    for add in (bag.image, bag.info, lambda *times: bag.cloud(*times, frame_id="lidar")):
        add(0, 2 * SECOND)
    path = bag.write(tmp_path / "a.bag")
    (refused,), _ = read(path)
    assert "stamp: 0 s, which means none" in str(refused)
    (sample,), _ = read(path, stamps="recorded")
    np.testing.assert_allclose(sample.points_camera, points_of(0) + np.float32([0, 0, 2]), atol=1e-6)


def test_one_transform_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    bag = good_bag(frame_id="lidar")
    bag.tf("camera", "lidar", rigid_transform([0, 0, 0], [0, 0, 0, 1]), SECOND, "/tf_static")
    (_, _, _, message) = bag.entries[-1]
    bag.tf("map", "odom", np.full((4, 4), np.nan), SECOND, "/tf_static")
    message.transforms.insert(0, bag.entries.pop()[3].transforms[0])
    samples, skipped = read(bag.write(tmp_path / "a.bag"))
    assert all(isinstance(sample, Sample) for sample in samples)
    ((reason, number),) = skipped.items()
    assert "'map' to 'odom'" in reason and number == 1


# ---- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topics", "asked", "expected"),
    [
        (["/tf", "/tf_static", "/a/tf"], (None, None), {"/tf": False, "/tf_static": True}),
        (["/a/tf", "/a/tf_static"], (None, None), {"/a/tf": False, "/a/tf_static": True}),
        (["/a/b/tf_static"], (None, None), {"/a/b/tf_static": True}),
        (["/a/odom_tf"], (None, None), {}),
        (["/a/tf", "/a/tf_static", "/b/tf"], ("b/tf", None), {"/b/tf": False}),
        (["/a/tf", "/a/tf_static", "/b/tf"], ("/a/tf", None), {"/a/tf": False, "/a/tf_static": True}),
        (["/a/tf", "/fixed"], ("/a/tf", "/fixed"), {"/a/tf": False, "/fixed": True}),
        (["/tf", "/fixed"], (None, "/fixed"), {"/tf": False, "/fixed": True}),
    ],
)
def test_the_transforms_of_a_robot_are_found_or_named(topics: Any, asked: Any, expected: Any) -> None:
    assert transform_topics(*asked, {**dict.fromkeys(topics, TF[0]), "/x/tf": IMAGE}) == expected


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ((None, None), "2 robots: /a/tf, /b/tf; .*--tf"),
        (("/c/tf", None), "on /c/tf and /c/tf_static; found /a/tf, /a/tf_static, /b/tf"),
        (("/a/tf", "/c"), "on /a/tf and /c"),
    ],
)
def test_transforms_that_are_not_told_apart_are_named(asked: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        transform_topics(*asked, dict.fromkeys(["/a/tf", "/a/tf_static", "/b/tf"], TF[0]))


def two_robots(path: Path) -> Path:
    bag = good_bag(frame_id="lidar")
    for robot, z in (("a", 0.0), ("b", 5.0)):
        bag.tf("camera", "lidar", rigid_transform([0, 0, z], [0, 0, 0, 1]), SECOND, f"/{robot}/tf_static")
    return bag.write(path)


def test_of_two_robots_one_is_chosen(tmp_path: Path) -> None:
    path = two_robots(tmp_path / "a.bag")
    samples, _ = read(path)
    assert all(isinstance(sample, TransformError) and "Choose with --tf" in str(sample) for sample in samples)
    assert_good(path, tf="/a/tf")
    samples, _ = read(path, {"extrinsics.source": "parameters"})
    np.testing.assert_array_equal(samples[0].points_camera, points_of(0))


def test_video_is_named() -> None:
    topics = {"/cam/ffmpeg": "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"}
    with pytest.raises(InputError, match="holds video"):
        choose_topic("image", None, IMAGE, topics)


# ---- calibrations ----------------------------------------------------------------------------

D = [0.1, -0.05, 0.001, 0.002]
FILES = {
    "camera_calibration": """
image_width: 16
image_height: 12
camera_name: front
distortion_model: plumb_bob
camera_matrix: {rows: 3, cols: 3, data: [20, 0, 7.5, 0, 21, 5.5, 0, 0, 1]}
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.05, 0.001, 0.002, 0.0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [19, 0, 7, 0, 0, 19, 5, 0, 0, 0, 1, 0]}
""",
    "printed camera_info": """
header: {frame_id: camera}
width: 16
height: 12
distortion_model: plumb_bob
d: [0.1, -0.05, 0.001, 0.002, 0.0]
k: [20, 0, 7.5, 0, 21, 5.5, 0, 0, 1]
r: [1, 0, 0, 0, 1, 0, 0, 0, 1]
p: [19, 0, 7, 0, 0, 19, 5, 0, 0, 0, 1, 0]
---
""",
    "camchain": """
cam0:
  camera_model: pinhole
  distortion_model: radtan
  distortion_coeffs: [0.1, -0.05, 0.001, 0.002]
  intrinsics: [20, 21, 7.5, 5.5]
  resolution: [16, 12]
  rostopic: image
cam1: {camera_model: pinhole, intrinsics: [1, 1, 1, 1], resolution: [16, 12], rostopic: /other}
""",
    "sensor.yaml": """
sensor_type: camera
camera_model: pinhole
intrinsics: [20, 21, 7.5, 5.5]
distortion_model: radial-tangential
distortion_coefficients: [0.1, -0.05, 0.001, 0.002]
resolution: [16, 12]
""",
}


def without_camera_info(path: Path) -> Path:
    bag = good_bag()
    bag.entries = [entry for entry in bag.entries if entry[2] != CAMERA_INFO]
    return bag.write(path)


@pytest.mark.parametrize("kind", FILES)
def test_a_calibration_file_serves_in_place_of_camera_info(tmp_path: Path, kind: str) -> None:
    (tmp_path / "cal.yaml").write_text(FILES[kind])
    path = without_camera_info(tmp_path / "a.bag")
    with pytest.raises(InputError, match="--calibration FILE"):
        read(path)
    (sample, *_), _ = read(path, calibration=tmp_path / "cal.yaml")
    assert sample.camera.K.tolist() == [[20, 0, 7.5], [0, 21, 5.5], [0, 0, 1]]
    assert (sample.camera.distortion_model, list(sample.camera.D[:4])) == ("plumb_bob", D)
    from_ros = "cam" in kind and "chain" not in kind
    assert (sample.rectification is not None) == from_ros
    assert not from_ros or sample.rectification.K[0].tolist() == [19, 0, 7]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("%YAML:1.0", "not valid YAML"),
        ("a: 1", "holds no camera; needed the camera of /image"),
        (FILES["camchain"].replace("rostopic: image", "rostopic: /cam0"), r"cam0 \(/cam0\), cam1 \(/other\)"),
        (FILES["sensor.yaml"].replace("pinhole", "omni"), "camera_model 'omni'; needed pinhole"),
        (FILES["sensor.yaml"].replace("[20, 21, 7.5, 5.5]", "[20, 21]"), "needed sizes and matrices"),
        (FILES["camera_calibration"].replace("data: [20,", "data: [x,"), "needed sizes and matrices"),
    ],
)
def test_a_calibration_that_does_not_serve_is_named(tmp_path: Path, content: Any, says: str) -> None:
    file = tmp_path / "cal.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=f"calibration {file}: .*{says}"):
        read(without_camera_info(tmp_path / "a.bag"), calibration=file)

"""Bags: written and read back, samples out of them, and what can be wrong with them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ros1_bag import SECOND, Ros1Bag, image_of, points_of
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.typesys import Stores, get_typestore

from metric_depth_ros import messages
from metric_depth_ros.bags import BagReader, BagWriter, open_bag, ros2_type
from metric_depth_ros.bags.topics import COMPRESSED_IMAGE, IMAGE, choose_topic, image_type, is_picture
from metric_depth_ros.config import Config, from_flat
from metric_depth_ros.errors import AnchorError, InputError, MetricDepthError, TransformError
from metric_depth_ros.geometry import rigid_transform, transform_points
from metric_depth_ros.share import share_path
from metric_depth_ros.sync import CloudRing
from metric_depth_ros.types import Camera, Cloud, Sample

CAMERA = Camera(16, 12, np.array([[20.0, 0, 7.5], [0, 20, 5.5], [0, 0, 1]]), "plumb_bob", (0.1, 0, 0, 0, 0))
T_CAMERA_LIDAR = rigid_transform([0.1, -0.2, 0.3], [0.5, -0.5, 0.5, 0.5])
TENTH = SECOND // 10


def write_bag(path: Path, count: int = 3, *, storage: str = "mcap", static_tf: bool = True) -> Path:
    """Images at 10 Hz with a cloud, held-out points and camera_info each."""
    with BagWriter(path, storage=storage) as bag:
        if static_tf:
            bag.write_tf_static([("camera", "lidar", T_CAMERA_LIDAR, SECOND)])
        for index in range(count):
            stamp_ns = SECOND + index * TENTH
            bag.write_points("/lidar/points", points_of(index), stamp_ns, "lidar")
            bag.write_points("/lidar/points_held_out", points_of(50 + index), stamp_ns, "lidar")
            bag.write_camera_info("/camera/camera_info", CAMERA, stamp_ns, "camera")
            bag.write_image("/camera/image", image_of(index), stamp_ns, "camera")
    return path


def read_all(path: Path, config: Config | None = None, **topics: Any) -> list[Sample | MetricDepthError]:
    with BagReader(path, **topics) as reader:
        return [outcome for _, outcome in reader.samples(config or Config())]


# ---- round trips -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "storage"),
    [("whole.mcap", "mcap"), ("whole.db3", "mcap"), ("folder", "mcap"), ("folder.v2", "sqlite3")],
)
def test_a_written_bag_reads_back(tmp_path: Path, name: str, storage: str) -> None:
    samples = read_all(write_bag(tmp_path / name, storage=storage))
    assert [s.stamp_ns for s in samples] == [SECOND, SECOND + TENTH, SECOND + 2 * TENTH]
    for index, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.image, image_of(index))
        np.testing.assert_allclose(sample.camera.K, CAMERA.K)
        assert (sample.camera.distortion_model, sample.camera.D) == ("plumb_bob", CAMERA.D)
        assert sample.frame_id == "camera"
        assert sample.cloud_stamps_ns == (sample.stamp_ns,)
        expected = transform_points(T_CAMERA_LIDAR, points_of(index))
        np.testing.assert_allclose(sample.points_camera, expected, atol=1e-5)
        held_out = transform_points(T_CAMERA_LIDAR, points_of(50 + index))
        np.testing.assert_allclose(sample.points_held_out, held_out, atol=1e-5)


def test_a_ros1_bag_reads_the_same(tmp_path: Path) -> None:
    bag = Ros1Bag()
    bag.tf("/camera", "/lidar", rigid_transform([1, 2, 3], [0, 0, 0, 1]), SECOND, "/tf_static")
    for index in range(2):
        stamp_ns = SECOND + index * TENTH
        bag.cloud(stamp_ns, index=index, frame_id="/lidar")
        bag.info(stamp_ns)
        bag.image(stamp_ns, index=index)
    samples = read_all(bag.write(tmp_path / "old.bag"))
    assert len(samples) == 2
    np.testing.assert_array_equal(samples[1].image, image_of(1))
    np.testing.assert_allclose(samples[1].points_camera, points_of(1) + np.float32([1, 2, 3]), atol=1e-5)
    assert samples[1].camera.K[0, 0] == 20
    assert samples[1].points_held_out is None


def test_a_ros1_message_becomes_ros2_bytes(tmp_path: Path) -> None:
    bag = Ros1Bag()
    bag.tf("camera", "lidar", rigid_transform([1, 2, 3], [0, 0, 0, 1]), SECOND)
    bag.cloud(SECOND, index=1, frame_id="lidar")
    bag.info(SECOND)
    bag.image(SECOND, index=1)
    types, read = get_typestore(Stores.ROS2_KILTED), {}
    with open_bag(bag.write(tmp_path / "old.bag")) as reader:
        for connection, _, raw in reader.messages():
            kind = ros2_type(connection.msgtype)
            read[connection.topic] = types.deserialize_cdr(reader.as_cdr(connection, raw), kind)
    np.testing.assert_array_equal(messages.read_image(read["/image"]), image_of(1))
    np.testing.assert_array_equal(messages.read_points(read["/anchors"]), points_of(1))
    assert messages.read_camera(read["/camera_info"], rectified=False).K[0, 0] == 20
    assert messages.stamp_ns(read["/image"]) == SECOND
    parent, child, T, _ = messages.read_transform(read["/tf"].transforms[0])
    assert (parent, child, T[:3, 3].tolist()) == ("camera", "lidar", [1, 2, 3])
    assert ros2_type("tf/msg/tfMessage") == "tf2_msgs/msg/TFMessage"


def test_depth_and_cloud_read_back(tmp_path: Path) -> None:
    depth = np.linspace(0.5, 9, 16 * 12, dtype=np.float32).reshape(12, 16)
    depth[3, 4] = np.nan
    with BagWriter(tmp_path / "depth.mcap") as bag:
        bag.write_depth("/depth/image_rect", depth, SECOND, "camera")
        bag.write_depth("/depth/millimetres", depth, SECOND, "camera", encoding="16UC1")
        cloud = messages.cloud_fields(depth, image_of(0), CAMERA, stride=2)
        bag.write_cloud("/depth/points", cloud, SECOND, "camera")
    read = {}
    with AnyReader([tmp_path / "depth.mcap"]) as reader:
        for connection, recorded_ns, raw in reader.messages():
            read[connection.topic] = reader.deserialize(raw, connection.msgtype)
            assert recorded_ns == SECOND
    np.testing.assert_array_equal(messages.read_depth(read["/depth/image_rect"]), depth)
    np.testing.assert_allclose(messages.read_depth(read["/depth/millimetres"]), depth, atol=5.1e-4)
    cloud = read["/depth/points"]
    assert cloud.header.frame_id == "camera"
    np.testing.assert_array_equal(messages.read_grid(cloud)[..., 2], depth[::2, ::2])


def test_static_transforms_are_latched_in_a_format_that_humble_reads(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag")
    with AnyReader([path]) as reader:
        latched = [
            c.topic
            for c in reader.connections
            for q in c.ext.offered_qos_profiles
            if q.durability == QosDurability.TRANSIENT_LOCAL
        ]
    assert latched == ["/tf_static"]
    assert "version: 8\n" in (path / "metadata.yaml").read_text()


# ---- which clouds ----------------------------------------------------------------------------


def test_clouds_are_those_a_ring_of_all_clouds_selects(tmp_path: Path) -> None:
    """Whenever they were recorded: up to 0.3 s late here, in any order."""
    generator = np.random.default_rng(1)
    config = from_flat({"sync.accumulate": 2, "sync.max_cloud_age_s": 0.25, "sync.max_cloud_lead_s": 0.02})
    bag, ring = Ros1Bag(), CloudRing(config.sync)
    bag.info(SECOND, 0)
    for index in range(30):
        stamp_ns = SECOND + int(index * 0.13 * SECOND) + int(generator.integers(0, 50_000_000))
        late_ns = int(generator.integers(0, 300_000_000))
        bag.cloud(stamp_ns, stamp_ns + late_ns, index=index)
        ring.add(Cloud(points_of(index), "camera", stamp_ns))
    for index in range(60):
        bag.image(SECOND + int(index * 0.06 * SECOND))
    samples = read_all(bag.write(tmp_path / "a.bag"), config)
    assert len(samples) == 60
    for sample in samples:
        if isinstance(sample, Sample):
            chosen = ring.select(sample.stamp_ns)
            assert sample.cloud_stamps_ns == tuple(cloud.stamp_ns for cloud in chosen)
            np.testing.assert_array_equal(sample.points_camera, np.concatenate([c.points for c in chosen]))
    assert sum(isinstance(sample, Sample) for sample in samples) > 50


def test_an_image_without_a_cloud_fails_alone(tmp_path: Path) -> None:
    bag = Ros1Bag()
    for second in (1, 2, 3):
        bag.image(second * SECOND)
        bag.info(second * SECOND)
    bag.cloud(1 * SECOND)
    bag.cloud(3 * SECOND)
    first, second, third = read_all(bag.write(tmp_path / "a.bag"))
    assert isinstance(first, Sample)
    assert isinstance(third, Sample)
    assert isinstance(second, AnchorError)
    assert "/anchors" in str(second)


def test_images_without_a_cloud_are_samples_where_no_points_are_needed(tmp_path: Path) -> None:
    bag = Ros1Bag()
    for second in (1, 2):
        bag.image(second * SECOND)
        bag.info(second * SECOND)
    path = bag.write(tmp_path / "none.bag")
    samples = read_all(path, needs_points=False)
    assert [sample.points_camera.shape for sample in samples] == [(0, 3)] * 2
    assert [sample.cloud_stamps_ns for sample in samples] == [()] * 2
    with pytest.raises(InputError, match="no topic for anchors"):
        read_all(path)
    bag.cloud(1 * SECOND)
    first, second = read_all(bag.write(tmp_path / "one.bag"), needs_points=False)
    assert len(first.points_camera) and not len(second.points_camera)
    with pytest.raises(InputError, match="/nowhere"):
        read_all(path, needs_points=False, anchors="/nowhere")


def test_a_cloud_stamped_far_ahead_does_not_hold_up_the_others(tmp_path: Path) -> None:
    bag = Ros1Bag()
    bag.cloud(1000 * SECOND, 1 * SECOND)
    for second in range(1, 12):
        bag.image(second * SECOND)
        bag.info(second * SECOND)
        bag.cloud(second * SECOND, second * SECOND + 1)
    samples = read_all(bag.write(tmp_path / "a.bag"))
    assert all(isinstance(sample, Sample) for sample in samples[-5:])


@pytest.mark.parametrize("pause_ns", [TENTH, 10 * SECOND])
def test_time_jumping_back_starts_afresh(tmp_path: Path, pause_ns: int) -> None:
    """A loop of 6 s is recorded twice: more clouds than the ring holds."""
    bag, count = Ros1Bag(), 60
    for loop in range(2):
        for index in range(count):
            stamp_ns = 100 * SECOND + index * TENTH
            recorded_ns = stamp_ns + loop * ((count - 1) * TENTH + pause_ns)
            bag.info(stamp_ns, recorded_ns)
            bag.cloud(stamp_ns - (5 - 3 * loop) * TENTH // 10, recorded_ns + 1, index=index + count * loop)
            bag.image(stamp_ns, recorded_ns + 2, index=index + count * loop)
    samples = read_all(bag.write(tmp_path / "a.bag"))
    assert len(samples) == 2 * count
    for index, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.image, image_of(index))
        np.testing.assert_array_equal(sample.points_camera, points_of(index))


def test_an_unusable_cloud_is_passed_over_and_counted(tmp_path: Path) -> None:
    bag = Ros1Bag()
    bag.info(SECOND)
    bag.cloud(SECOND, index=1)
    bag.cloud(SECOND + 2, index=2, fields=(("x", 0, 7, 1), ("y", 4, 7, 1)))
    bag.image(SECOND + 3)
    with BagReader(bag.write(tmp_path / "a.bag")) as reader:
        ((_, sample),) = reader.samples(Config())
        (reason,) = reader.skipped
    np.testing.assert_array_equal(sample.points_camera, points_of(1))
    assert "no field z" in reason


# ---- camera_info and transforms --------------------------------------------------------------


def test_camera_info_is_the_partner_else_the_newest_of_the_frame(tmp_path: Path) -> None:
    bag = Ros1Bag()
    for second in range(1, 6):
        bag.cloud(second * SECOND)
        bag.image(second * SECOND)
    bag.info(1 * SECOND + 100, f=21)  # within the slop of the first image, though after it
    bag.info(2 * SECOND, f=22)
    bag.info(2 * SECOND + SECOND // 2, f=23)
    bag.info(4 * SECOND - SECOND // 4, f=24, frame_id="other")
    samples = read_all(bag.write(tmp_path / "a.bag"))
    assert [sample.camera.K[0, 0] for sample in samples] == [21, 22, 23, 23, 23]


def test_an_offset_that_is_left_out_because_of_the_frame_s_name_is_told(tmp_path: Path) -> None:
    bag = Ros1Bag()
    bag.image(SECOND)
    camera = Camera(16, 12, np.array([[20.0, 0, 7.5], [0, 20, 5.5], [0, 0, 1]]), position_m=(0.12, 0, 0))
    bag.camera_info_of(messages.camera_info_fields(camera), SECOND, frame_id="right")
    bag.cloud(SECOND)
    with BagReader(bag.write(tmp_path / "a.bag")) as reader:
        ((_, sample),) = reader.samples(Config())
        assert sample.camera.position_m == (0, 0, 0)
        assert any("0.12 m" in note and "'right'" in note for note in reader.notes)
        assert not reader.skipped


def test_one_late_camera_info_serves_all_images(tmp_path: Path) -> None:
    bag = Ros1Bag()
    for second in (1, 2):
        bag.cloud(second * SECOND)
        bag.image(second * SECOND)
    bag.info(SECOND + SECOND // 2, f=33)
    assert [s.camera.K[0, 0] for s in read_all(bag.write(tmp_path / "a.bag"))] == [33, 33]


def test_camera_info_of_another_frame_does_not_serve(tmp_path: Path) -> None:
    bag = Ros1Bag()
    bag.cloud(SECOND)
    bag.image(SECOND)
    bag.info(SECOND // 2, frame_id="other")
    (error,) = read_all(bag.write(tmp_path / "a.bag"))
    assert isinstance(error, InputError)
    assert "camera_info" in str(error)


def test_a_missing_transform_fails_the_image_alone(tmp_path: Path) -> None:
    """The moving transform is known from 2 s to 3 s, and interpolated between."""
    bag = Ros1Bag()
    for tenth in (15, 25, 35):
        bag.image(tenth * TENTH)
        bag.info(tenth * TENTH)
        bag.cloud(tenth * TENTH, frame_id="lidar")
    bag.tf("camera", "lidar", rigid_transform([0, 0, 0], [0, 0, 0, 1]), 2 * SECOND)
    bag.tf("camera", "lidar", rigid_transform([0, 0, 4], [0, 0, 0, 1]), 3 * SECOND)
    early, sample, late = read_all(bag.write(tmp_path / "a.bag"))
    assert isinstance(early, TransformError)
    assert isinstance(late, TransformError)
    np.testing.assert_allclose(sample.points_camera, points_of(0) + np.float32([0, 0, 2]), atol=1e-5)


def test_a_bad_image_fails_alone(tmp_path: Path) -> None:
    bag = Ros1Bag()
    bag.image(1 * SECOND, encoding="32FC7")
    bag.image(2 * SECOND, data=np.zeros(5, np.uint8))
    bag.image(3 * SECOND)
    for second in (1, 2, 3):
        bag.info(second * SECOND)
        bag.cloud(second * SECOND)
    unknown, truncated, sample = read_all(bag.write(tmp_path / "a.bag"))
    assert isinstance(unknown, InputError)
    assert "32FC7" in str(unknown)
    assert isinstance(truncated, InputError)
    assert "cut short" in str(truncated)
    assert isinstance(sample, Sample)


def test_the_same_bag_gives_the_same_samples_twice(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag.mcap")
    for first, second in zip(read_all(path), read_all(path), strict=True):
        np.testing.assert_array_equal(first.points_camera, second.points_camera)
        np.testing.assert_array_equal(first.image, second.image)


def test_memory_does_not_grow_with_the_bag(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    camera = Camera(320, 240, np.array([[200.0, 0, 160], [0, 200, 120], [0, 0, 1]]))
    with BagWriter(tmp_path / "long.mcap") as bag:
        for index in range(120):
            stamp_ns = SECOND + index * TENTH
            bag.write_points("/points", points_of(index), stamp_ns, "camera")
            bag.write_camera_info("/camera_info", camera, stamp_ns, "camera")
            bag.write_image("/image", picture, stamp_ns, "camera")
    tracemalloc.start()
    try:
        with BagReader(tmp_path / "long.mcap") as reader:
            count = sum(isinstance(sample, Sample) for _, sample in reader.samples(Config()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 120
    assert peak < 120 * picture.nbytes / 2


# ---- topics ----------------------------------------------------------------------------------


def test_topics_are_found_and_can_be_chosen(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag.mcap", 1)
    with BagReader(path) as reader:
        anchors, _ = reader.sources["anchors"]
        found = (reader.image_topic, reader.camera_info_topic, anchors, reader.held_out_topic)
    assert found == ("/camera/image", "/camera/camera_info", "/lidar/points", "/lidar/points_held_out")
    with BagReader(path, anchors="lidar/points_held_out") as reader:
        assert reader.sources == {"anchors": ("/lidar/points_held_out", "point_cloud2")}
        assert reader.held_out_topic is None


def write_two_cameras(path: Path) -> Path:
    with BagWriter(path) as bag:
        for side in ("left", "right"):
            bag.write_image(f"/{side}/image", image_of(0), SECOND, side)
            bag.write_camera_info(f"/{side}/camera_info", CAMERA, SECOND, side)
        bag.write_points("/lidar/points", points_of(0), SECOND, "left")
    return path


def test_several_topics_of_a_kind_need_a_choice(tmp_path: Path) -> None:
    path = write_two_cameras(tmp_path / "two.mcap")
    with pytest.raises(InputError, match=r"/left/image, /right/image.*--image"), BagReader(path):
        pass
    with BagReader(path, image="/right/image") as reader:
        assert reader.camera_info_topic == "/right/camera_info"


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        ({"image": "/nowhere"}, r"/nowhere, but it is not in the bag.*/camera/image"),
        ({"image": "/lidar/points"}, r"it is sensor_msgs/msg/PointCloud2; needed sensor_msgs/msg/Image"),
        ({"image_transport": "compressed"}, r"image_transport: raw"),
    ],
)
def test_a_topic_that_is_not_there_is_named(tmp_path: Path, topics: dict[str, str], message: str) -> None:
    path = write_bag(tmp_path / "bag.mcap", 1)
    with pytest.raises(InputError, match=message), BagReader(path, **topics):
        pass


# ---- bad bags --------------------------------------------------------------------------------


def assert_refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_unknown_and_empty_bags_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.mcap", "does not exist")
    (tmp_path / "notes.txt").write_text("hello")
    assert_refused(tmp_path / "notes.txt", r"unknown kind '.txt'")
    (tmp_path / "folder").mkdir()
    assert_refused(tmp_path / "folder", "no metadata.yaml")
    with BagWriter(tmp_path / "empty.mcap"):
        pass
    assert_refused(tmp_path / "empty.mcap", "holds no messages")
    for suffix in (".mcap", ".bag", ".db3"):
        (tmp_path / f"zero{suffix}").touch()
        assert_refused(tmp_path / f"zero{suffix}", "cannot be read|holds no messages")


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("name", ["whole.mcap", "whole.db3", "whole.bag"])
def test_truncated_bags_are_refused(tmp_path: Path, name: str, kept: float) -> None:
    if name.endswith(".bag"):
        bag = Ros1Bag()
        for index in range(30):
            bag.image(index * SECOND)
            bag.info(index * SECOND)
            bag.cloud(index * SECOND)
        path = bag.write(tmp_path / name)
    else:
        path = write_bag(tmp_path / name, 30)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    assert_refused(path, "cannot be read|holds no messages")


def test_damage_inside_is_refused(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag.mcap", 30)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    assert_refused(path, "cannot be read")


# ---- writer ----------------------------------------------------------------------------------


def test_a_failed_run_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError), BagWriter(tmp_path / "bag.mcap") as bag:
        bag.write_image("/image", np.zeros((2, 2), np.uint8), SECOND, "camera")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag", 1)
    with pytest.raises(InputError, match="exists already"):
        BagWriter(path)
    with BagWriter(path, overwrite=True) as bag:
        bag.write_image("/image", image_of(0), SECOND, "camera")
    with AnyReader([path]) as reader:
        assert [c.topic for c in reader.connections] == ["/image"]


def test_only_bags_are_overwritten(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.txt").write_text("once")
    with pytest.raises(InputError, match="is no bag"):
        BagWriter(precious, overwrite=True)
    with pytest.raises(InputError, match="ROS 1"):
        BagWriter(tmp_path / "new.bag")
    assert (precious / "chapter1.txt").exists()


def test_depth_images_are_not_taken_for_the_picture():
    topics = {"/camera/image_rect": IMAGE, "/camera/depth_gt/image_rect": IMAGE}
    assert choose_topic("image", None, IMAGE, topics) == "/camera/image_rect"
    only = {"/depth/image_rect": IMAGE}
    assert choose_topic("image", "/depth/image_rect", IMAGE, only) == "/depth/image_rect"
    with pytest.raises(InputError, match="Depth and labels are no camera's; choose one with --image"):
        choose_topic("image", None, IMAGE, only)


@pytest.mark.parametrize(
    ("topic", "picture"),
    [
        ("/camera/color/image_raw/compressed", True),
        ("/depth_camera/rgb/image_raw", True),  # its namespace says what it is on, not what it is
        ("/camera/aligned_depth_to_color/image_raw", False),
        ("/camera/depth/image_rect_raw/compressedDepth", False),
        ("/stereo/disparity_image", False),
        ("/regions", False),
    ],
)
def test_which_images_are_a_camera_s_by_their_topic(topic: str, picture: bool) -> None:
    assert is_picture(topic) == picture


@pytest.mark.parametrize(
    ("transport", "asked", "topics", "kind"),
    [
        ("auto", None, {"/a": IMAGE, "/a/compressed": COMPRESSED_IMAGE}, IMAGE),
        ("auto", None, {"/a/compressed": COMPRESSED_IMAGE}, COMPRESSED_IMAGE),
        ("auto", None, {"/depth/image": IMAGE, "/a/compressed": COMPRESSED_IMAGE}, COMPRESSED_IMAGE),
        ("auto", None, {}, IMAGE),
        ("auto", "/a/compressed", {"/a": IMAGE, "/a/compressed": COMPRESSED_IMAGE}, COMPRESSED_IMAGE),
        ("auto", "a", {"/b": IMAGE, "/a/compressed": COMPRESSED_IMAGE}, COMPRESSED_IMAGE),
        ("auto", "/a", {"/a": IMAGE, "/a/compressed": COMPRESSED_IMAGE}, IMAGE),
        ("raw", None, {"/a/compressed": COMPRESSED_IMAGE}, IMAGE),
        ("compressed", None, {"/a": IMAGE}, COMPRESSED_IMAGE),
    ],
)
def test_the_transport_of_the_images_is_found(
    transport: str, asked: str | None, topics: dict[str, str], kind: str
) -> None:
    assert image_type(transport, asked, topics) == kind


def test_compressed_images_need_no_setting(tmp_path: Path) -> None:
    bag = Ros1Bag()
    bag.compressed_image(SECOND, index=3)
    bag.info(SECOND)
    bag.cloud(SECOND)
    (sample,) = read_all(bag.write(tmp_path / "jpeg.bag"))
    np.testing.assert_array_equal(sample.image, image_of(3))


def test_label_images_are_read_where_regions_come_by_topic(tmp_path):
    labels = np.random.default_rng(5).integers(1, 4, (12, 16))
    with BagWriter(tmp_path / "a.mcap") as bag:
        bag.write_tf_static([("camera", "lidar", T_CAMERA_LIDAR, SECOND)])
        for index in range(2):
            stamp_ns = SECOND + index * TENTH
            bag.write_points("/lidar/points", points_of(index), stamp_ns, "lidar")
            bag.write_camera_info("/camera/camera_info", CAMERA, stamp_ns, "camera")
            bag.write_image("/camera/image", image_of(index), stamp_ns, "camera")
            if index == 0:  # as 16UC1: millimetres are the labels
                bag.write_depth("/regions", labels / np.float32(1000), stamp_ns, "camera", encoding="16UC1")
    first, second = read_all(tmp_path / "a.mcap", from_flat({"regions.source": "topic"}))
    np.testing.assert_array_equal(first.regions, labels - 1)
    assert second.regions is None
    assert all(sample.regions is None for sample in read_all(tmp_path / "a.mcap"))
    with pytest.raises(InputError, match="regions was to be /other"):
        read_all(tmp_path / "a.mcap", from_flat({"regions.source": "topic"}), regions="/other")


def test_an_image_s_topic_that_is_not_there_is_told_as_it_was_named() -> None:
    """With what may be meant: no depth."""
    path = share_path("data/street.mcap")
    told = (
        r"was to be /front, but it is not in the bag; needed \S+CompressedImage: /camera/image/compressed\."
    )
    with pytest.raises(InputError, match=told), BagReader(path, image="front"):
        pass

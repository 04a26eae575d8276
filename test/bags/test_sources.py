"""Anchors of a bag from any sensor, and from several at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ros1_bag import SECOND, Ros1Bag, points_of

from metric_depth_ros import messages
from metric_depth_ros.bags import BagReader
from metric_depth_ros.config import from_flat
from metric_depth_ros.errors import AnchorError, InputError, TransformError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.types import Camera, Sample

TENTH = SECOND // 10
DEPTH_CAMERA = Camera(4, 3, np.array([[5.0, 0, 1.5], [0, 5, 1], [0, 0, 1]]))
FIRST_POINT = {
    "point_cloud2": points_of(0)[0],
    "point_cloud": [1, 2, 3],
    "laser_scan": [2, 0, 0],
    "range": [4, 0, 0],
    "depth_image": [-0.6, -0.4, 2],
}


def pictures(count: int = 1) -> Ros1Bag:
    bag = Ros1Bag()
    for index in range(count):
        bag.image(SECOND + index * TENTH)
        bag.info(SECOND + index * TENTH)
    return bag


def add(bag: Ros1Bag, kind: str, topic: str, stamp_ns: int = SECOND, frame: str = "camera") -> None:
    """A message whose first point is FIRST_POINT."""
    if kind == "point_cloud2":
        return bag.cloud(stamp_ns, frame_id=frame, topic=topic)
    fields: dict[str, Any] = {
        "point_cloud": {"points": [bag.make("geometry_msgs/msg/Point32", x=1.0, y=2.0, z=3.0)]},
        "laser_scan": {"range_max": 9.0, "ranges": np.array([2.0], np.float32)},
        "range": {"field_of_view": 0.2, "max_range": 9.0, "range": 4.0},
        "depth_image": messages.depth_fields(np.full((3, 4), 2, np.float32), "16UC1"),
    }[kind]
    return bag.sensor(topic, kind, stamp_ns, frame, **fields)


def add_depth_info(bag: Ros1Bag, topic: str) -> None:
    bag.camera_info_of(messages.camera_info_fields(DEPTH_CAMERA), SECOND, frame_id="tof", topic=topic)


def read(path: Path, settings: dict[str, Any] | None = None, **topics: Any) -> tuple[list[Any], list[str]]:
    config = from_flat(settings or {})
    with BagReader(path, sources=config.sources, **topics) as reader:
        return [outcome for _, outcome in reader.samples(config)], list(reader.skipped)


def named(**topics: str) -> dict[str, Any]:
    return {"anchors.sources": [*topics], **{f"sources.{n}.topic": topic for n, topic in topics.items()}}


# ---- the one topic ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FIRST_POINT)
@pytest.mark.parametrize("topic", ["/anchors", "/some/topic"])
def test_the_topic_of_anchors_may_have_any_sensor_s_messages(tmp_path: Path, kind: str, topic: str) -> None:
    topic = f"{topic}/depth" if kind == "depth_image" else topic
    bag = pictures()
    add(bag, kind, topic)
    add_depth_info(bag, f"{topic.rpartition('/')[0]}/camera_info" if kind == "depth_image" else "/unused")
    # Depth images alone must be named: they may be the truth.
    asked = topic if kind == "depth_image" else None
    (sample,), skipped = read(bag.write(tmp_path / "a.bag"), anchors=asked, camera_info="/camera_info")
    assert isinstance(sample, Sample), sample
    assert not skipped
    np.testing.assert_allclose(sample.points_camera[0], FIRST_POINT[kind], atol=1e-6)
    (source,) = sample.sources
    assert (source.name, source.model) == ("anchors", "")
    assert (source.sigma is None) == (kind != "range")
    if source.sigma is not None:
        np.testing.assert_allclose(source.sigma, [4 * np.tan(0.1)], rtol=1e-6)


def test_several_topics_that_could_be_anchors_need_a_choice(tmp_path: Path) -> None:
    bag = pictures()
    add(bag, "range", "/left")
    add(bag, "laser_scan", "/scan")
    path = bag.write(tmp_path / "a.bag")
    with pytest.raises(InputError, match=r"/left, /scan.*--anchors.*anchors.sources"):
        read(path)
    (sample,), _ = read(path, needs_points=False)
    assert len(sample.points_camera) == 0
    (sample,), _ = read(path, anchors="scan")
    np.testing.assert_allclose(sample.points_camera[0], FIRST_POINT["laser_scan"])


@pytest.mark.parametrize("compressed", [False, True])
def test_depth_images_are_offered_and_not_chosen_unasked(tmp_path: Path, compressed: bool) -> None:
    bag = Ros1Bag()
    (bag.compressed_image if compressed else bag.image)(SECOND)
    bag.info(SECOND)
    add(bag, "depth_image", "/depth/image_raw")
    add_depth_info(bag, "/depth/camera_info")
    path = bag.write(tmp_path / "a.bag")
    with pytest.raises(InputError, match=r"no topic for anchors.* --anchors /depth/image_raw\."):
        read(path)
    (sample,), _ = read(path, anchors="/depth/image_raw")
    assert len(sample.points_camera) == 12


@pytest.mark.parametrize(("settings", "anchors"), [({}, "/image"), (named(d="/image"), None)])
def test_anchors_on_the_camera_s_own_topic_are_named(
    tmp_path: Path, settings: dict[str, Any], anchors: str | None
) -> None:
    bag = pictures()
    bag.cloud(SECOND, topic="/points")
    with pytest.raises(InputError, match=r"/image has the only images, and (d|anchors) uses them"):
        read(bag.write(tmp_path / "a.bag"), settings, anchors=anchors)


# ---- several ---------------------------------------------------------------------------------------


def test_several_sources_each_give_their_points(tmp_path: Path) -> None:
    bag = pictures()
    bag.tf("camera", "tof", rigid_transform([0, 0, 1], [0, 0, 0, 1]), SECOND, "/tf_static")
    for kind in FIRST_POINT:
        add(bag, kind, f"/of/{kind}", frame="tof" if kind == "depth_image" else "camera")
    add_depth_info(bag, "/of/camera_info")
    settings = named(**{f"my_{kind}": f"of/{kind}" for kind in FIRST_POINT})
    (sample,), skipped = read(bag.write(tmp_path / "a.bag"), settings)
    assert not skipped
    assert [source.name for source in sample.sources] == [f"my_{kind}" for kind in FIRST_POINT]
    models = ["lidar", "lidar", "scan_2d", "range_finder", "depth_camera"]
    assert [source.model for source in sample.sources] == models
    for source, kind in zip(sample.sources, FIRST_POINT, strict=True):
        moved = [0, 0, 1] if kind == "depth_image" else [0, 0, 0]
        np.testing.assert_allclose(source.points[0], np.add(FIRST_POINT[kind], moved), atol=1e-6)
    np.testing.assert_array_equal(
        sample.points_camera, np.concatenate([source.points for source in sample.sources])
    )
    assert sample.cloud_stamps_ns == (SECOND,) * 5


def test_each_source_has_its_own_time_frame_and_number(tmp_path: Path) -> None:
    bag = pictures(5)
    bag.tf("camera", "mast", rigid_transform([0, 0, 10], [0, 0, 0, 1]), SECOND, "/tf_static")
    for index in range(5):
        add(bag, "range", "/range", SECOND + index * TENTH)
        at_ns, ranges = SECOND + index * TENTH, np.array([2.0], np.float32)
        bag.sensor("/scan", "laser_scan", at_ns + 6 * SECOND, "camera", at_ns, range_max=9.0, ranges=ranges)
    settings = {
        **named(front="/range", scan="/scan"),
        "sources.front.accumulate": 3,
        "sources.front.frame": "mast",
        "sources.scan.time_offset_s": -6.0,
    }
    samples, skipped = read(bag.write(tmp_path / "a.bag"), settings)
    assert not skipped
    assert [[len(source.points) for source in sample.sources] for sample in samples] == [
        [1, 1], [2, 1], [3, 1], [3, 1], [3, 1],
    ]  # fmt: skip
    np.testing.assert_allclose(samples[0].sources[0].points, [[4, 0, 10]])


STAYS = {"sync.fixed_frame": "none"}


@pytest.mark.parametrize(
    ("frame", "tf", "more", "expected", "told"),
    [
        ("odom", "/tf", STAYS, [1, 2, 3], False),
        ("camera", "/tf", STAYS, [1, 1, 1], True),
        ("imu", "/tf_static", STAYS, [1, 1, 1], True),
        ("imu", "/tf", STAYS, [1, 1, 1], True),  # as some drivers publish a mounting
        ("odom", "/tf", {}, [1, 2, 3], False),
        ("camera", "/tf", {}, [1, 2, 3], False),
        ("imu", "/tf_static", {}, [1, 2, 3], False),
        ("imu", "/tf_static", {"sync.fixed_frame": "odom"}, [1, 2, 3], False),
        ("imu", "/tf_static", {**STAYS, "sources.vio.accumulate": 2}, [1, 2, 2], False),
        ("imu", "/tf_static", {"extrinsics.source": "parameters"}, [1, 1, 1], False),
        ("imu", "", {"extrinsics.source": "parameters", "sync.fixed_frame": "odom"}, [1, 1, 1], False),
    ],
)
def test_map_points_are_merged_where_their_frame_stays_in_place(
    tmp_path: Path, frame: str, tf: str, more: dict[str, Any], expected: list[int], told: bool
) -> None:
    bag = pictures(3)
    for index in range(3):
        stamp_ns = SECOND + index * TENTH
        bag.tf("odom", "camera", rigid_transform([0, 0, index], [0, 0, 0, 1]), stamp_ns)
        if frame == "imu" and tf:
            bag.tf("camera", "imu", rigid_transform([0, 0, 0.01 * index], [0, 0, 0, 1]), stamp_ns, tf)
        add(bag, "point_cloud", "/map", stamp_ns, frame)
    settings = {**named(vio="/map"), "sources.vio.model": "vio", **more}
    samples, skipped = read(bag.write(tmp_path / "a.bag"), settings)
    assert [len(sample.points_camera) for sample in samples] == expected
    assert [f"source vio: tf: frame {frame!r} has not moved" in reason for reason in skipped] == [True] * told


def test_a_map_s_last_points_serve_no_longer_than_a_sensor_s_on_the_robot(tmp_path: Path) -> None:
    bag = pictures(9)
    add(bag, "point_cloud", "/map")
    settings = {**named(vio="/map"), "sources.vio.model": "vio"}
    samples, _ = read(bag.write(tmp_path / "a.bag"), settings)
    assert [isinstance(sample, Sample) for sample in samples] == [True] * 4 + [False] * 5
    assert "has not moved" in str(samples[-1])


def test_the_latest_cloud_is_the_newest_that_had_come_before_the_image(tmp_path: Path) -> None:
    bag = pictures(3)
    for index in range(3):
        stamp_ns = SECOND + index * TENTH
        bag.cloud(stamp_ns, stamp_ns + TENTH // 2)  # recorded half a period late
    path = bag.write(tmp_path / "a.bag")
    for mode, expected in (("approximate", [0, 0, 0]), ("latest", [None, TENTH, TENTH])):
        samples, _ = read(path, {"sync.mode": mode})
        stamps = [(one.stamp_ns, *one.cloud_stamps_ns) if isinstance(one, Sample) else () for one in samples]
        assert [at[0] - at[1] if at else None for at in stamps] == expected


def test_motion_that_tf_does_not_know_is_told_once(tmp_path: Path) -> None:
    bag = pictures(3)
    bag.cloud(SECOND, frame_id="camera")
    for stamp_ns in (0, SECOND):
        bag.tf("odom", "camera", rigid_transform([0, 0, stamp_ns / SECOND], [0, 0, 0, 1]), stamp_ns)
    with BagReader(bag.write(tmp_path / "a.bag")) as reader:
        samples = [sample for _, sample in reader.samples(from_flat({}))]
    assert all(isinstance(sample, Sample) for sample in samples)
    assert len(reader.notes) == 1 and "odom" in reader.notes.pop()


def test_a_source_that_is_missing_or_cannot_be_placed_is_told_and_the_others_serve(tmp_path: Path) -> None:
    bag = pictures()
    add(bag, "laser_scan", "/scan")
    add(bag, "range", "/range", frame="nowhere")
    add(bag, "depth_image", "/depth/image")
    settings = named(scan="/scan", front="/range", tof="/depth/image", radar="/radar", any="/camera_info")
    path = bag.write(tmp_path / "a.bag")
    (sample,), skipped = read(path, settings)
    assert [(source.name, len(source.points)) for source in sample.sources if len(source.points)] == [
        ("scan", 1)
    ]
    assert len(skipped) == 4
    for words in (
        "source front: tf: no transform",
        "source tof: depth image: no camera_info",
        "/radar is not in",
        "source any: /camera_info is sensor_msgs/msg/CameraInfo; needed one of",
    ):
        assert any(words in reason for reason in skipped), words
    (error,), _ = read(path, named(front="/range"))
    assert isinstance(error, TransformError)
    with pytest.raises(InputError, match=r"source radar: /radar is not in the bag; it has /camera_info"):
        read(path, named(radar="/radar"))
    late = {**named(scan="/scan"), "sources.scan.time_offset_s": 5.0}
    (error,), _ = read(path, late)
    assert isinstance(error, AnchorError)
    assert "time_offset_s" in str(error)


@pytest.mark.parametrize(
    ("topic", "kind", "words"),
    [
        ("/camera_info", "auto", r"source any: /camera_info is sensor_msgs/msg/CameraInfo; needed one of"),
        (
            "/scan",
            "range",
            r"/scan is sensor_msgs/msg/LaserScan, but sources.any.type is range. .* laser_scan",
        ),
    ],
)
def test_a_source_of_another_type_is_refused_with_the_fix(
    tmp_path: Path, topic: str, kind: str, words: str
) -> None:
    bag = pictures()
    add(bag, "laser_scan", "/scan")
    with pytest.raises(InputError, match=words):
        read(bag.write(tmp_path / "a.bag"), {**named(any=topic), "sources.any.type": kind})


def test_an_unusable_calibration_of_a_depth_image_is_told_and_the_others_serve(tmp_path: Path) -> None:
    bag = pictures()
    add(bag, "laser_scan", "/scan")
    add(bag, "depth_image", "/tof/image")
    fields = {**messages.camera_info_fields(DEPTH_CAMERA), "k": np.zeros(9)}
    bag.camera_info_of(fields, SECOND, topic="/tof/camera_info")
    (sample,), skipped = read(bag.write(tmp_path / "a.bag"), named(scan="/scan", tof="/tof/image"))
    assert len(sample.points_camera) == 1
    assert any("source tof: camera: fx=0" in reason for reason in skipped), skipped


def test_the_newest_calibration_of_a_depth_image_holds(tmp_path: Path) -> None:
    """The first one is not calibrated, and the last one is of another lens."""
    bag = pictures(3)
    for index, focal in enumerate((0.0, 5.0, 10.0)):
        add(bag, "depth_image", "/tof/image", SECOND + index * TENTH)
        fields = messages.camera_info_fields(DEPTH_CAMERA)
        fields["k"] = np.array([focal, 0, 1.5, 0, focal, 1, 0, 0, 1])
        fields["p"] = np.zeros(12)
        bag.camera_info_of(fields, SECOND + index * TENTH, topic="/tof/camera_info")
    samples, skipped = read(bag.write(tmp_path / "a.bag"), named(tof="/tof/image"))
    assert [reason.startswith("source tof: camera: fx=0") for reason in skipped] == [True]
    assert "last was refused: tof: camera: fx=0" in str(samples[0])
    assert [sample.points_camera[0, 0] for sample in samples[1:]] == pytest.approx([-0.6, -0.3])


def test_a_depth_image_may_have_its_calibration_anywhere(tmp_path: Path) -> None:
    bag = pictures()
    add(bag, "depth_image", "/tof")
    add_depth_info(bag, "/calibration")
    settings = {**named(tof="/tof"), "sources.tof.camera_info": "/calibration"}
    (sample,), skipped = read(bag.write(tmp_path / "a.bag"), settings)
    assert not skipped
    assert len(sample.points_camera) == 12

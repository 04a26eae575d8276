"""Whole messages of every kind that the product reads, whole bags of every kind, and how each is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mcap_by_hand import mcap_of
from ros1_bag import SECOND, Ros1Bag, image_of, write_ros2
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from metric_depth_ros import messages
from metric_depth_ros.bags import BagReader, open_bag
from metric_depth_ros.bags.survey import survey
from metric_depth_ros.config import from_flat
from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.types import Camera

ROS2 = get_typestore(Stores.ROS2_HUMBLE)
CAMERA = Camera(16, 12, np.array([[20.0, 0, 7.5], [0, 20, 5.5], [0, 0, 1]]))
TENTH = SECOND // 10
MODES = (CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE)


class Seed(NamedTuple):
    """A message's type, the message, and what reads it."""

    kind: str
    message: Any
    read: Callable[[Any], Any]


# ---- messages ---------------------------------------------------------------------------------


def make(kind: str, **fields: Any) -> Any:
    return ROS2.types[kind](**fields)


def header(frame: str = "camera") -> Any:
    stamp = make("builtin_interfaces/msg/Time", sec=1, nanosec=5)
    return make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def _image(encoding: str, channels: int, size: int = 1) -> Any:
    data = np.random.default_rng(1).integers(0, 256, 12 * 16 * channels * size, np.uint8)
    about = {"height": 12, "width": 16, "encoding": encoding, "is_bigendian": 0, "step": 16 * channels * size}
    return make("sensor_msgs/msg/Image", header=header(), data=data, **about)


def _compressed(form: str, data: Any, head: bytes = b"") -> Any:
    data = np.frombuffer(head + data.tobytes(), np.uint8)
    return make("sensor_msgs/msg/CompressedImage", header=header(), format=form, data=data)


def _encoded(suffix: str, pixels: Any) -> Any:
    return cv2.imencode(suffix, pixels)[1]


def _camera_info() -> Any:
    roi = make(
        "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    about = {**messages.camera_info_fields(CAMERA), "binning_x": 0, "binning_y": 0, "roi": roi}
    return make("sensor_msgs/msg/CameraInfo", header=header(), **about)


def _cloud(points: Any) -> Any:
    about = messages.points_fields(points)
    names = ("name", "offset", "datatype", "count")
    about["fields"] = [
        make("sensor_msgs/msg/PointField", **dict(zip(names, f, strict=True))) for f in about["fields"]
    ]
    return make("sensor_msgs/msg/PointCloud2", header=header(), **about)


def _transforms() -> Any:
    rotation = make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    moved = make("geometry_msgs/msg/Vector3", x=1.0, y=2.0, z=3.0)
    transform = make("geometry_msgs/msg/Transform", translation=moved, rotation=rotation)
    one = make(
        "geometry_msgs/msg/TransformStamped", header=header("map"), child_frame_id="a", transform=transform
    )
    return make("tf2_msgs/msg/TFMessage", transforms=[one, one])


def _read_picture(width: int, height: int) -> Callable[[Any], Any]:
    """Reads an image as bag and node do: only if its header states the size of its camera."""
    camera = Camera(width, height, CAMERA.K)

    def read(message: Any) -> None:
        messages.time_of_capture_ns(message), messages.frame_id(message)
        messages.check_image_size(messages.image_size(message), camera)
        compressed = hasattr(message, "format")
        (messages.read_compressed_image if compressed else messages.read_image)(message)

    return read


def _read_info(message: Any) -> None:
    calibrations = messages.Calibrations(10**8, 10)
    calibrations.add(message)
    for rectified in (False, True):
        messages.read_camera_info(message, rectified=rectified, image_size=(16, 12))


def _read_as(kind: str) -> Callable[[Any], Any]:
    return lambda message: messages.read_cloud(message, kind, lambda _: CAMERA)


@lru_cache(maxsize=1)
def message_seeds() -> tuple[Seed, ...]:
    """Messages of every kind that is read."""
    rng = np.random.default_rng(1)
    picture, depth = image_of(1), rng.integers(300, 5000, (12, 16)).astype(np.uint16)
    encodings = {"rgb8": 3, "bgra8": 4, "mono8": 1, "yuyv": 2, "bayer_rggb8": 1, "nv16": 2}
    images = [_image(name, channels) for name, channels in encodings.items()] + [_image("mono16", 1, 2)]
    photo = cv2.resize(picture, (160, 120))
    pictures = [
        (_compressed("jpeg", _encoded(".jpg", photo)), (160, 120)),
        (_compressed("rgb8; png compressed bgr8", _encoded(".png", photo)), (160, 120)),
        (_compressed("png", _encoded(".png", depth)), (16, 12)),
    ]
    compressed_depth = [
        _compressed("16UC1; compressedDepth png", _encoded(".png", depth), bytes(12)),
        _compressed(
            "32FC1; compressedDepth png",
            _encoded(".png", depth),
            np.array([0, 1000, -1], "<f4").tobytes(),
        ),
    ]
    depths = [
        make(
            "sensor_msgs/msg/Image", header=header(), **messages.depth_fields((depth / 1e3).astype("f4"), how)
        )
        for how in ("32FC1", "16UC1")
    ]
    clouds = [_cloud(rng.normal(0, 5, (40, 3)).astype(kind)) for kind in ("f4", "f8")]
    old = make(
        "sensor_msgs/msg/PointCloud",
        header=header(),
        points=[make("geometry_msgs/msg/Point32", x=1.0, y=2.0, z=3.0)] * 3,
        channels=[],
    )
    scan = make(
        "sensor_msgs/msg/LaserScan", header=header(), angle_min=-1.0, angle_max=1.0, angle_increment=0.1,
        time_increment=0.0, scan_time=0.1, range_min=0.1, range_max=20.0,
        ranges=rng.uniform(0, 25, 20).astype("f4"), intensities=np.zeros(0, "f4"),
    )  # fmt: skip
    ranger = make(
        "sensor_msgs/msg/Range", header=header(), radiation_type=0, field_of_view=0.3, min_range=0.1,
        max_range=9.0, range=2.0,
    )  # fmt: skip
    seeds = [
        *((message, _read_picture(16, 12)) for message in images),
        *((message, _read_picture(*size)) for message, size in pictures),
        *((message, _read_as("compressed_depth")) for message in compressed_depth),
        *((message, _read_as("depth_image")) for message in depths),
        *((message, messages.read_depth) for message in depths),
        (_image("8UC1", 1), messages.read_labels),
        (_camera_info(), _read_info),
        *((message, _read_as("point_cloud2")) for message in clouds),
        (old, _read_as("point_cloud")),
        (scan, _read_as("laser_scan")),
        (ranger, _read_as("range")),
        (_transforms(), lambda message: [messages.read_transform(one) for one in message.transforms]),
    ]
    return tuple(Seed(message.__msgtype__, message, read) for message, read in seeds)


# ---- bags -------------------------------------------------------------------------------------


def recording() -> Ros1Bag:
    """Three images with their calibrations, clouds, scans and transforms."""
    bag = Ros1Bag()
    bag.tf("camera", "lidar", rigid_transform([0, 0, 0], [0, 0, 0, 1]), SECOND, "/tf_static")
    for index in range(3):
        stamp_ns = SECOND + index * TENTH
        bag.image(stamp_ns, index=index)
        bag.compressed_image(stamp_ns, index=index)
        bag.info(stamp_ns)
        bag.cloud(stamp_ns, index=index, frame_id="lidar")
        scan = {"angle_increment": 0.1, "range_max": 9.0, "ranges": np.full(9, 2, "f4")}
        bag.sensor("/scan", "laser_scan", stamp_ns, **scan)
    return bag


# Of a large recording's one image: bytes, and its camera.
LARGE = Camera(3000, 2000, np.array([[2000.0, 0, 1500], [0, 2000, 1000], [0, 0, 1]]))
LARGE_BYTES = 3 * LARGE.width * LARGE.height


def large_recording() -> Ros1Bag:
    """A valid image of 18 MB with its calibration and points."""
    bag = Ros1Bag()
    bag.image(SECOND, **messages.image_fields(np.zeros((LARGE.height, LARGE.width, 3), np.uint8)))
    bag.camera_info_of(messages.camera_info_fields(LARGE), SECOND)
    bag.cloud(SECOND)
    return bag


def read_large_bag(path: Path) -> None:
    """Examines a large recording, and reads its image."""
    survey(path)
    with BagReader(path) as reader:
        ((_, outcome),) = reader.samples(from_flat({}))
    if isinstance(outcome, MetricDepthError):
        raise outcome


def write_bags(folder: Path, bag: Ros1Bag | None = None) -> list[Path]:
    """A bag of every kind that is read, by default a small one."""
    bag, found = bag or recording(), []
    for name, compression in (("plain", None), ("bz2", Ros1Writer.CompressionFormat.BZ2),
                              ("lz4", Ros1Writer.CompressionFormat.LZ4)):  # fmt: skip
        found.append(bag.write(folder / f"{name}.bag", compression))
    for storage in StoragePlugin:
        for mode in MODES:
            for version in (8, 9):
                path = folder / f"{storage.name}_{mode.name}_{version}".lower()
                writer = Writer(path, version=version, storage_plugin=storage)
                if mode is not CompressionMode.NONE:
                    writer.set_compression(mode, CompressionFormat.ZSTD)
                with writer:
                    write_ros2(writer, bag)
                found.append(path)
    for ros1 in (True, False):
        found.append(mcap_of(bag, ros1=ros1).write(folder / f"by_hand_{ros1}.mcap".lower()))
    for storage, suffix in (("mcap", ".mcap"), ("sqlite3", ".db3")):
        file = next((folder / f"{storage}_none_9").glob(f"*{suffix}"))
        found.append(shutil.copy(file, folder / f"alone{suffix}"))
    return [Path(path) for path in found]


SETTINGS = from_flat(
    {
        "anchors.sources": ["lidar", "laser"],
        "sources.lidar.topic": "/anchors",
        "sources.laser.topic": "/scan",
        "anchors.min_count": 1,
    }
)


def read_bag(path: Path) -> str:
    """Reads a bag in every way that the program does; returns how many samples came."""
    good = total = 0
    for options in ({}, {"sources": SETTINGS.sources}, {"image": "/image/compressed", "stamps": "recorded"}):
        with BagReader(path, **options) as reader:
            for _, outcome in reader.samples(SETTINGS if "sources" in options else from_flat({})):
                total += 1
                good += not isinstance(outcome, MetricDepthError)
    survey(path)
    with open_bag(path) as bag:
        for connection, _, raw in bag.messages():
            try:
                bag.as_cdr(connection, raw)
            except MetricDepthError:
                total += 1
    return f"{good} of {total}"

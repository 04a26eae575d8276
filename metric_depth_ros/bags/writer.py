"""Writes bags from arrays, without ROS."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from metric_depth_ros import messages
from metric_depth_ros.bags import topics as kinds
from metric_depth_ros.bags.conventions import FORMAT, bag_qos
from metric_depth_ros.bags.packed import packed
from metric_depth_ros.bags.storage import is_bag
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import locked_folder
from metric_depth_ros.geometry import quaternion
from metric_depth_ros.messages import SENSOR_TYPES
from metric_depth_ros.transforms import StampedTransform
from metric_depth_ros.types import Camera, FloatArray, ImageArray

_LATCHED = bag_qos(depth=1, reliable=True, latched=True)

# Lowest and highest value.
Limits = tuple[float, float]


class BagWriter:
    """Writes a ROS 2 bag; use as a context manager. Messages are recorded at their own stamps.

    The bag is written under a hidden name beside ``path`` and renamed on success, so that a failed run
    leaves nothing that looks like a complete bag.
    """

    def __init__(self, path: str | Path, *, storage: str = "mcap", overwrite: bool = False) -> None:
        """``path`` ending in .mcap or .db3 becomes one file, any other a bag's folder.

        Args:
            storage: "mcap" or "sqlite3"; the suffix of ``path`` takes precedence if it has one.
            overwrite: replace what is at ``path``.

        Raises:
            InputError: ``path`` exists already, or its parent folder cannot be written.
        """
        self.path = Path(path)
        storage = {".mcap": "mcap", ".db3": "sqlite3"}.get(self.path.suffix, storage)
        if self.path.suffix == ".bag":
            raise InputError(f"bag {self.path}: .bag is ROS 1; needed .mcap, .db3 or a folder's name.")
        self._storage = StoragePlugin[storage.upper()]
        self._name = self.path.stem if self.path.suffix in (".mcap", ".db3") else self.path.name
        self._growing = self.path.parent / f".{self.path.name}.part"
        self._types = get_typestore(Stores.ROS2_HUMBLE)
        self._connections: dict[str, Connection] = {}
        self._check(overwrite)

    @property
    def nbytes(self) -> int:
        """Size of what was written so far; in mcap, of a chunk that waits to be packed as it is."""
        waiting = getattr(self._writer.storage, "chunk", None)
        on_disk = sum(file.stat().st_size for file in (self._growing / self._name).iterdir())
        return on_disk + (0 if waiting is None else waiting.bio.tell())

    @property
    def free_bytes(self) -> int:
        """Room that is left on its disk."""
        return shutil.disk_usage(self._growing).free

    def _check(self, overwrite: bool) -> None:
        """Raises InputError if what is at the path must stay: a bag, or anything else but a bag."""
        if not os.path.lexists(self.path):
            return
        whole = is_only_a_bag(self.path, as_file=self._name != self.path.name)
        if not (overwrite and whole):
            raise InputError(
                f"bag {self.path}: exists already{'' if whole else ' and is no bag that can be replaced'}. "
                "Name another, or pass --overwrite to replace a bag."
            )

    def __enter__(self) -> BagWriter:
        with self._named(), ExitStack() as stack:
            # Locked, so that a second run of the same name does not remove what this one writes.
            stack.enter_context(locked_folder(self._growing))
            shutil.rmtree(self._growing / self._name, ignore_errors=True)
            self._writer = Writer(self._growing / self._name, version=FORMAT, storage_plugin=self._storage)
            is_mcap = self._storage is StoragePlugin.MCAP
            if is_mcap:  # chunk by chunk, as every reader of mcap unpacks
                self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
            if is_mcap:
                self._writer.storage.compressor = packed
            self._lock = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._named():
                self._writer.__exit__(kind, error, trace)
                if kind is None:
                    self._settle()
        finally:
            shutil.rmtree(self._growing, ignore_errors=True)
            self._lock.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Turns the errors of a full or read-only disk into InputErrors."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"bag {self.path}: {error.strerror}; needed a folder to write to, with room."
            ) from error
        except sqlite3.OperationalError as error:
            raise InputError(f"bag {self.path}: {error}; needed a folder to write to, with room.") from error

    def _settle(self) -> None:
        """Renames the finished bag to its final name."""
        finished = self._growing / self._name
        if self._name != self.path.name:
            finished = finished / self.path.name
        if os.path.lexists(self.path):
            self._check(overwrite=True)  # it may have changed since
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path)
            else:
                self.path.unlink()
        finished.replace(self.path)

    # ---- messages ----------------------------------------------------------------------------

    def write_image(self, topic: str, image: ImageArray, stamp_ns: int, frame_id: str) -> None:
        """Writes an rgb8 image (H, W, 3)."""
        self._write(topic, kinds.IMAGE, messages.image_fields(image), stamp_ns, frame_id)

    def write_compressed_image(self, topic: str, image: ImageArray, stamp_ns: int, frame_id: str) -> None:
        """Writes an image (H, W, 3) as JPEG."""
        fields = messages.compressed_image_fields(image)
        self._write(topic, kinds.COMPRESSED_IMAGE, fields, stamp_ns, frame_id)

    def write_compressed_depth(self, topic: str, depth: FloatArray, stamp_ns: int, frame_id: str) -> None:
        """Writes a depth image (H, W), metres, NaN unknown, as PNG; TOPIC/compressedDepth by custom."""
        fields = messages.compressed_depth_fields(depth)
        self._write(topic, kinds.COMPRESSED_IMAGE, fields, stamp_ns, frame_id)

    def write_depth(
        self, topic: str, depth: FloatArray, stamp_ns: int, frame_id: str, *, encoding: str = "32FC1"
    ) -> None:
        """Writes a depth image (H, W), metres, NaN unknown, as 32FC1 or 16UC1."""
        self._write(topic, kinds.IMAGE, messages.depth_fields(depth, encoding), stamp_ns, frame_id)

    def write_camera_info(self, topic: str, camera: Camera, stamp_ns: int, frame_id: str) -> None:
        """Writes the calibration of the image with the same stamp."""
        roi = self._message(
            "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        fields = {**messages.camera_info_fields(camera), "binning_x": 0, "binning_y": 0, "roi": roi}
        self._write(topic, kinds.CAMERA_INFO, fields, stamp_ns, frame_id)

    def write_points(
        self,
        topic: str,
        points: FloatArray,
        stamp_ns: int,
        frame_id: str,
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes an unorganised cloud (N, 3) in metres, with ``extra`` fields (N,) by name."""
        self.write_cloud(topic, messages.points_fields(points, extra), stamp_ns, frame_id)

    def write_cloud(self, topic: str, fields: Mapping[str, Any], stamp_ns: int, frame_id: str) -> None:
        """Writes a cloud of fields as those of ``messages.cloud_fields``."""
        names = ("name", "offset", "datatype", "count")
        listed = [
            self._message("sensor_msgs/msg/PointField", **dict(zip(names, field, strict=True)))
            for field in fields["fields"]
        ]
        self._write(topic, kinds.POINT_CLOUD, {**fields, "fields": listed}, stamp_ns, frame_id)

    def write_range(
        self, topic: str, range_m: float, stamp_ns: int, frame_id: str, *, limits_m: Limits, width: float
    ) -> None:
        """Writes a range, infinite where nothing answered, of a beam as wide as an angle in radians."""
        nearest, farthest = limits_m
        fields = {
            "radiation_type": 0, "field_of_view": width, "min_range": nearest, "max_range": farthest,
            "range": range_m,
        }  # fmt: skip
        self._write(topic, SENSOR_TYPES["range"], fields, stamp_ns, frame_id)

    def write_scan(
        self,
        topic: str,
        ranges_m: FloatArray,
        stamp_ns: int,
        frame_id: str,
        *,
        limits_m: Limits,
        angles: Limits,
    ) -> None:
        """Writes a 2D scan: ranges (N,), infinite where nothing answered, from one angle to another."""
        (first, last), (nearest, farthest) = angles, limits_m
        step = (last - first) / max(len(ranges_m) - 1, 1)
        fields = {
            "angle_min": first, "angle_max": last, "angle_increment": step, "time_increment": 0.0,
            "scan_time": 0.0, "range_min": nearest, "range_max": farthest,
            "ranges": np.asarray(ranges_m, np.float32), "intensities": np.zeros(0, np.float32),
        }  # fmt: skip
        self._write(topic, SENSOR_TYPES["laser_scan"], fields, stamp_ns, frame_id)

    def write_tf(self, transforms: Iterable[StampedTransform], recorded_ns: int | None = None) -> None:
        """Writes moving transforms on /tf; ``recorded_ns``: when, if not at the newest stamp."""
        self._write_transforms("/tf", list(transforms), (), recorded_ns)

    def write_tf_static(self, transforms: Iterable[StampedTransform], recorded_ns: int | None = None) -> None:
        """Writes fixed transforms on /tf_static, latched, so that late subscribers of a player get them."""
        self._write_transforms("/tf_static", list(transforms), (_LATCHED,), recorded_ns)

    def write_raw(
        self, topic: str, kind: str, data: bytes, recorded_ns: int, *, latched: bool = False
    ) -> None:
        """Writes a serialised message (CDR) of a type such as "sensor_msgs/msg/Image"."""
        self._record_raw(topic, kind, data, recorded_ns, (_LATCHED,) if latched else ())

    def attach(self, name: str, text: str) -> None:
        """Writes a text file into the bag's folder, which bags of a single file have not."""
        (self._growing / self._name / name).write_text(text, encoding="utf-8")

    # ---- message types -----------------------------------------------------------------------

    def _message(self, kind: str, **fields: Any) -> Any:
        return self._types.types[kind](**fields)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        sec, nanosec = divmod(stamp_ns, 1_000_000_000)
        stamp = self._message("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
        return self._message("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)

    def _write(self, topic: str, kind: str, fields: Mapping[str, Any], stamp_ns: int, frame_id: str) -> None:
        message = self._message(kind, header=self._header(stamp_ns, frame_id), **fields)
        self._record(topic, kind, message, stamp_ns)

    def _write_transforms(
        self, topic: str, transforms: list[StampedTransform], qos: tuple[Qos, ...], recorded_ns: int | None
    ) -> None:
        if not transforms:
            return
        message = self._message(kinds.TF[0], transforms=[self._transform(*t) for t in transforms])
        newest_ns = max(t[3] for t in transforms)
        self._record(topic, kinds.TF[0], message, newest_ns if recorded_ns is None else recorded_ns, qos)

    def _transform(self, parent: str, child: str, T: FloatArray, stamp_ns: int) -> Any:
        x, y, z = (float(value) for value in T[:3, 3])
        qx, qy, qz, qw = (float(value) for value in quaternion(T[:3, :3]))
        transform = self._message(
            "geometry_msgs/msg/Transform",
            translation=self._message("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
            rotation=self._message("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
        )
        return self._message(
            "geometry_msgs/msg/TransformStamped",
            header=self._header(stamp_ns, parent),
            child_frame_id=child,
            transform=transform,
        )

    def _record(self, topic: str, kind: str, message: Any, stamp_ns: int, qos: tuple[Qos, ...] = ()) -> None:
        self._record_raw(topic, kind, self._types.serialize_cdr(message, kind), stamp_ns, qos)

    def _record_raw(
        self, topic: str, kind: str, data: bytes | memoryview, stamp_ns: int, qos: tuple[Qos, ...]
    ) -> None:
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._types, offered_qos_profiles=qos
            )
        with self._named():
            self._writer.write(connection, stamp_ns, data)


def is_only_a_bag(path: Path, *, as_file: bool) -> bool:
    """Whether a path is a bag's file or, if not ``as_file``, a folder with a bag's files and nothing else."""
    if as_file or path.is_symlink() or not path.is_dir():
        return is_bag(path) and not path.is_dir()
    return is_bag(path) and all(
        (file.name == "metadata.yaml" or file.suffix in (".mcap", ".db3")) and file.is_file()
        for file in path.iterdir()
    )

"""Converts sensor_msgs/PointCloud2, and PointCloud of ROS 1, to arrays, and arrays to PointCloud2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import pixel_rays, veils
from metric_depth_ros.messages.images import data_bytes
from metric_depth_ros.messages.point_times import FIELDS, offsets_s
from metric_depth_ros.types import Array, BoolArray, Camera, FloatArray, ImageArray

# sensor_msgs/PointField datatype numbers
DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
FLOAT32 = 7


def read_points(message: Any) -> FloatArray:
    """Points (N, 3) that a sensor_msgs/PointCloud2 measured, in message order; float32, or float64 as sent.

    Points that are not finite are left out, and those at exactly 0, 0, 0: beams without an echo.

    Raises:
        InputError: as ``read_grid``.
    """
    return read_timed_points(message, None)[0]


def read_timed_points(message: Any, stamp_ns: int | None) -> tuple[FloatArray, FloatArray | None]:
    """Points (N, 3) as ``read_points``, and the seconds (N,) from the stamp to each one's time.

    The latter is None if the message does not tell it (``point_times``), or the stamp is None.
    """
    grid, times = _read(message, timed=stamp_ns is not None)
    points = grid.reshape(-1, 3)
    measured = _measured(points)
    if not measured.all():
        rows = np.flatnonzero(measured)
        points, times = points.take(rows, axis=0), None if times is None else times[rows]
    return points, None if times is None or stamp_ns is None else offsets_s(times, stamp_ns)


def read_point_cloud1(message: Any) -> FloatArray:
    """Points (N, 3) float32 that a sensor_msgs/PointCloud measured, as of ``read_points``."""
    points = np.array([(p.x, p.y, p.z) for p in message.points], np.float32).reshape(-1, 3)
    measured = _measured(points)
    return points if measured.all() else points[measured]


def _measured(points: FloatArray) -> BoolArray:
    """Which of the points (N, 3) are finite and not at exactly 0, 0, 0."""
    x, y, z = np.abs(points.T)  # NumPy is many times slower along rows of three
    with np.errstate(over="ignore"):
        size = x + y + z
    return np.asarray((size > 0) & (size < np.inf))


def read_grid(message: Any) -> FloatArray:
    """All points (H, W, 3) of a sensor_msgs/PointCloud2, float32 or float64 as sent; NaN and Inf are kept.

    If numbers of the layout contradict data that is whole, the data counts: then H is 1.

    Raises:
        InputError: x, y or z is missing or not a float, the layout is inconsistent, or the data is
            too short for it.
    """
    return _read(message, timed=False)[0]


def _read(message: Any, *, timed: bool) -> tuple[FloatArray, Array | None]:
    """All points as of ``read_grid`` and, if ``timed``, their times (N,) as sent; None if it tells none."""
    xyz, time = _xyz(message), _time(message) if timed else None
    data = data_bytes(message.data)
    height, width, row_step, point_step = _layout(message, max(map(_end, xyz)), data.size)
    points = np.empty((height, width, 3), np.float64 if any(kind == "f8" for kind, _ in xyz) else np.float32)
    if not points.size:
        return points, None
    order = ">" if message.is_bigendian else "<"

    def sent(kind: str, offset: int) -> Array:
        return np.asarray(
            np.ndarray((height, width), order + kind, data.data, offset, (row_step, point_step))
        )

    for axis, place in enumerate(xyz):
        points[..., axis] = sent(*place)
    if time is None or _end(time) > point_step:  # the latter lies outside of the points
        return points, None
    return points, sent(*time).ravel()


def _end(place: tuple[str, int]) -> int:
    """Byte behind a number, by its type and offset."""
    return place[1] + int(place[0][1])


def _time(message: Any) -> tuple[str, int] | None:
    """Type and byte offset of the points' times; None without such a field."""
    fields = {field.name: field for field in message.fields}
    field = next((fields[name] for name in FIELDS if name in fields), None)
    if field is None or int(field.count) != 1 or int(field.datatype) not in DATATYPES:
        return None
    return DATATYPES[int(field.datatype)], int(field.offset)


def _xyz(message: Any) -> list[tuple[str, int]]:
    """Types and byte offsets of x, y and z."""
    fields = {field.name: field for field in message.fields}
    missing = [name for name in "xyz" if name not in fields]
    if missing:
        raise InputError(
            f"point cloud: no field {', '.join(missing)}; found {', '.join(fields) or 'no fields'}; "
            "needed x, y and z. Check which topic is remapped to anchors."
        )
    kinds = [DATATYPES.get(int(fields[name].datatype), "") for name in "xyz"]
    if not set(kinds) <= {"f4", "f8"}:
        raise InputError(
            f"point cloud: x, y, z have datatypes {[int(fields[name].datatype) for name in 'xyz']}; "
            "needed FLOAT32 (7) or FLOAT64 (8). Convert the cloud in its driver."
        )
    return [(kind, int(fields[name].offset)) for kind, name in zip(kinds, "xyz", strict=True)]


def _layout(message: Any, end: int, size: int) -> tuple[int, int, int, int]:
    """Height, width, row_step and point_step with which the data can be read; a point needs ``end`` bytes.

    Drivers leave row_step 0 or set it to the size of all data, forget width or height, or add fields without
    raising point_step. Raises InputError if nothing fits the data.
    """
    height, width, step = int(message.height), int(message.width), int(message.point_step)
    row_step, count = int(message.row_step), height * width
    if not count and (not size or not (height or width)):
        return 0, 0, 0, 0
    if count and size % count == 0 and step < _end_of_fields(message) <= size // count:
        step = size // count
    if step >= end:
        if count and row_step >= width * step and (height - 1) * row_step + width * step <= size:
            return height, width, row_step, step
        if count and (size == count * step or (height == 1 and size > count * step)):
            return height, width, width * step, step
        padded = 0 < width * step < row_step < size
        if size and size % step == 0 and not padded:
            return 1, size // step, size, step
    raise InputError(
        f"point cloud: {size} bytes for {width}x{height} points, point_step {step}, row_step {row_step}; "
        f"needed at least {end} a point and {count * step} in all. The message is cut short, or its layout "
        "wrong: check the cloud's driver."
    )


def _end_of_fields(message: Any) -> int:
    """Bytes that a point needs for all of its fields."""
    sizes = {number: int(kind[1]) for number, kind in DATATYPES.items()}
    return max(int(f.offset) + sizes.get(int(f.datatype), 1) * max(int(f.count), 1) for f in message.fields)


def cloud_fields(
    depth: FloatArray,
    image: ImageArray | None,
    camera: Camera,
    *,
    stride: int = 1,
    min_depth_m: float = 0.0,
    max_depth_m: float = np.inf,
    min_angle_deg: float = 0.0,
) -> dict[str, Any]:
    """Fields of an organised sensor_msgs/PointCloud2 from every ``stride``-th pixel of a depth map.

    Points are float32 x, y, z in the camera's optical frame and, with an image, rgb as in PCL: a
    float32 whose bits are 0x00RRGGBB. A point whose depth is unknown, outside the range, or on a veil
    (``veils``) is NaN.

    Args:
        depth: (H, W) metres, NaN unknown.
        image: (H, W, 3) uint8 RGB, or None for points without colour.
        camera: of the same size.

    Raises:
        InputError: depth, image and camera differ in size.
    """
    size = (camera.height, camera.width)
    if depth.shape != size or (image is not None and image.shape != (*size, 3)):
        raise InputError(
            f"point cloud: depth {depth.shape}, image {None if image is None else image.shape}, "
            f"camera {size}; needed one size."
        )
    rays = pixel_rays(camera, stride)
    whole, depth = depth, depth[::stride, ::stride]
    known = (depth >= min_depth_m) & (depth <= max_depth_m)
    if min_angle_deg:
        known &= ~veils(whole, camera, min_angle_deg)[::stride, ::stride]
    if camera.distorted:
        known &= np.isfinite(rays[..., 0])
    z = np.ascontiguousarray(depth, "<f4") if known.all() else np.where(known, depth, np.float32(np.nan))
    planes = [rays[..., 0] * z, rays[..., 1] * z, z]
    if any(camera.position_m):
        planes = [plane + np.float32(at) for plane, at in zip(planes, camera.position_m, strict=True)]
    if image is not None:
        planes.append(_packed_rgb(image[::stride, ::stride]))
    points = cv2.merge(planes)
    names = ("x", "y", "z", "rgb")[: points.shape[2]]
    return _cloud_fields(points, tuple((name, 4 * i, FLOAT32, 1) for i, name in enumerate(names)))


def _packed_rgb(image: ImageArray) -> FloatArray:
    """Colours (H, W) as float32 whose bits are 0x00RRGGBB."""
    bgra = cv2.cvtColor(image, cv2.COLOR_RGB2BGRA)
    bgra.view("<u4")[:] &= 0x00FFFFFF
    return np.asarray(bgra.view("<f4")[..., 0])


def points_fields(points: FloatArray, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Fields of an unorganised sensor_msgs/PointCloud2: x, y, z, then ``extra`` by name.

    Args:
        points: (N, 3) metres; NaN and Inf are kept. They are written as float64 if they are that, else as
            float32.
        extra: further fields, (N,) each, of any type that PointField knows.

    Raises:
        InputError: a wrong shape, or a type that PointField does not know.
    """
    points = np.asarray(points, "<f8" if np.asarray(points).dtype == np.float64 else "<f4")
    columns = {name: np.asarray(values) for name, values in (extra or {}).items()}
    if points.ndim != 2 or points.shape[1] != 3 or any(c.shape != points.shape[:1] for c in columns.values()):
        shapes = {"points": points.shape, **{name: c.shape for name, c in columns.items()}}
        raise InputError(f"point cloud: shapes {shapes}; needed points (N, 3) and (N,) each.")
    numbers = {kind: number for number, kind in DATATYPES.items()}
    unknown = [name for name, c in columns.items() if c.dtype.str[1:] not in numbers]
    if unknown:
        raise InputError(f"point cloud: type of {unknown}; needed one of {', '.join(numbers)}.")
    columns = {**{name: points[:, i] for i, name in enumerate("xyz")}, **columns}
    packed = np.empty((1, len(points)), [(name, c.dtype.newbyteorder("<")) for name, c in columns.items()])
    for name, column in columns.items():
        packed[name] = column
    layout: Mapping[str, Any] = packed.dtype.fields or {}
    fields = tuple((name, layout[name][1], numbers[c.dtype.str[1:]], 1) for name, c in columns.items())
    return _cloud_fields(packed[..., None], fields)


def _cloud_fields(points: Any, fields: tuple[tuple[str, int, int, int], ...]) -> dict[str, Any]:
    height, width = points.shape[:2]
    point_step = points.shape[2] * points.itemsize
    return {
        "height": height,
        "width": width,
        "fields": fields,
        "is_bigendian": False,
        "point_step": point_step,
        "row_step": width * point_step,
        "is_dense": False,
        "data": points.reshape(-1).view(np.uint8),
    }

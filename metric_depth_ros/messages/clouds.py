"""Converts sensor_msgs/PointCloud2 to arrays and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import pixel_rays, veils
from metric_depth_ros.messages.images import data_bytes
from metric_depth_ros.types import Camera, FloatArray, ImageArray

# sensor_msgs/PointField datatype numbers
DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
FLOAT32 = 7


def read_points(message: Any) -> FloatArray:
    """Points (N, 3) float32 of a sensor_msgs/PointCloud2, in message order; NaN and Inf are kept.

    Raises:
        InputError: x, y or z is missing or not a float, the layout is inconsistent, or the data is
            too short for it.
    """
    height, width = int(message.height), int(message.width)
    kinds, offsets = _xyz_layout(message)
    if not height * width:
        return np.empty((0, 3), np.float32)
    point_step, row_step = int(message.point_step), int(message.row_step)
    if height == 1:
        row_step = width * point_step  # some drivers leave it 0, which is harmless with one row
    data = _checked_data(message, kinds, offsets, row_step)
    order = ">" if message.is_bigendian else "<"
    strides = (row_step, point_step)
    points = np.empty((height, width, 3), np.float32)
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes Inf
        for axis, (kind, offset) in enumerate(zip(kinds, offsets, strict=True)):
            points[..., axis] = np.ndarray((height, width), order + kind, data.data, offset, strides)
    return points.reshape(-1, 3)


def _xyz_layout(message: Any) -> tuple[list[str], list[int]]:
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
    return kinds, [int(fields[name].offset) for name in "xyz"]


def _checked_data(message: Any, kinds: list[str], offsets: list[int], row_step: int) -> ImageArray:
    """Message data as 1-D uint8. Raises InputError if the layout reads beyond a point or the data."""
    height, width, point_step = int(message.height), int(message.width), int(message.point_step)
    end = max(offset + int(kind[1]) for kind, offset in zip(kinds, offsets, strict=True))
    if point_step < end or row_step < width * point_step:
        raise InputError(
            f"point cloud: point_step {point_step}, row_step {row_step} for {width} columns; needed at "
            f"least {end} and {width * point_step}. Check the cloud's driver."
        )
    data = data_bytes(message.data)
    needed = (height - 1) * row_step + width * point_step
    if data.size < needed:
        raise InputError(
            f"point cloud: {data.size} bytes for {width}x{height} points of {point_step}; "
            f"needed {needed}. The message is cut short: check the cloud's driver."
        )
    return data


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
    """Fields of an unorganised sensor_msgs/PointCloud2: float32 x, y, z, then ``extra`` by name.

    Args:
        points: (N, 3) metres; NaN and Inf are kept.
        extra: further fields, (N,) each, of any type that PointField knows.

    Raises:
        InputError: a wrong shape, or a type that PointField does not know.
    """
    points = np.asarray(points, "<f4")
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

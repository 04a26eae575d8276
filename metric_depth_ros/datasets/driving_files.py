"""Reads what many datasets share: points, depth in several forms, folders; errors name the file."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import DTypeLike

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.published_files import decoded, read_bytes
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import project, transform_points
from metric_depth_ros.types import Array, Camera, FloatArray, ImageArray


def read_levels(path: Path, image: ImageArray, kind: DTypeLike = np.uint16) -> Array:
    """Stored values (H, W, C) of a picture of the image's size; of one in colour red comes first.

    Raises:
        InputError: it cannot be read, is of another size, or its values are not of the type ``kind``.
    """
    needed = "a PNG of labels or depth"
    values = decoded(read_bytes(path, needed), path, needed, cv2.IMREAD_UNCHANGED)
    if values.dtype != kind:
        raise InputError(f"{path}: values of {values.dtype.name}; needed {np.dtype(kind).name}.")
    if values.shape[:2] != image.shape[:2]:
        sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in (values, image)]
        raise InputError(f"{path}: {sizes[0]}; needed {sizes[1]}, the size of its image.")
    return values[..., None] if values.ndim == 2 else values[..., [2, 1, 0]]


def read_points(path: Path, columns: int) -> FloatArray:
    """Points (N, 3) float32 of a file with rows of little-endian float32, x, y, z first.

    Raises:
        InputError: it cannot be read, or ends within a row.
    """
    needed = f"rows of {columns} float32, x, y, z first"
    data = read_bytes(path, needed)
    if len(data) % (4 * columns):
        raise InputError(f"{path}: {len(data)} bytes; needed {needed}.")
    return np.ascontiguousarray(np.frombuffer(data, "<f4").reshape(-1, columns)[:, :3], np.float32)


def divided(scale: float, disparity: FloatArray) -> FloatArray:
    """Depth (H, W) float32 in metres: ``scale`` over a disparity; NaN where that is not above 0."""
    depth = np.full(disparity.shape, np.nan, np.float32)
    np.divide(np.float32(scale), disparity, out=depth, where=disparity > 0, casting="same_kind")
    return depth


def projected_depth(points_camera: FloatArray, camera: Camera) -> FloatArray:
    """Depth image (H, W) float32 of points (N, 3) in the camera's frame: each pixel's nearest, or NaN."""
    uv, z = project(points_camera, camera)
    pixel = np.rint(uv)
    seen = inside_image(pixel, camera.width, camera.height)
    u, v = pixel[seen].astype(np.intp).T
    depth = np.full((camera.height, camera.width), np.inf, np.float32)
    np.minimum.at(depth, (v, u), z[seen])
    depth[np.isinf(depth)] = np.nan
    return depth


def folders(path: Path) -> list[Path]:
    """Folders inside a folder, by name; none if it is no folder. Raises InputError if it cannot be read."""
    return [each for each in _entries(path) if each.is_dir()]


def named(path: Path, end: str) -> list[Path]:
    """Files inside a folder whose names have an end, by name, as ``folders``."""
    return [each for each in _entries(path) if each.name.endswith(end)]


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path / name for name in os.listdir(path))
    except (NotADirectoryError, FileNotFoundError):
        return []
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed a folder.") from error


def first_that_exists(*paths: Path) -> Path | None:
    """The first path at which there is something; None: none."""
    return next((path for path in paths if path.exists()), None)


def swept_frame(
    name: str,
    stamp_ns: int,
    image: ImageArray,
    camera: Camera,
    points_lidar: FloatArray,
    T_world_camera: FloatArray,
    T_world_lidar: FloatArray,
) -> Frame:
    """Frame whose true depth is a LiDAR's sweep (N, 3), moved from its time to the picture's."""
    T_camera_lidar = np.linalg.inv(T_world_camera) @ T_world_lidar
    return Frame(
        name,
        stamp_ns,
        image,
        camera,
        projected_depth(transform_points(T_camera_lidar, points_lidar), camera),
        points_lidar,
        T_camera_lidar,
        T_world_camera,
        depth_is_sweep=True,
    )

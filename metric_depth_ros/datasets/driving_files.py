"""Reads what many datasets share: points, tables, cameras, depth in several forms; errors name the file."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import DTypeLike

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.datasets.published_files import decoded_file, numbers_of, read_bytes, read_lines
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import project
from metric_depth_ros.types import Array, Camera, FloatArray, ImageArray


def read_levels(path: Path, image: ImageArray, kind: DTypeLike = np.uint16) -> Array:
    """Stored values (H, W, C) of a picture of the image's size; of one in colour red comes first.

    Raises:
        InputError: it cannot be read, is of another size, or its values are not of the type ``kind``.
    """
    values = decoded_file(path, "a PNG of labels or depth", cv2.IMREAD_UNCHANGED)
    if values.dtype != kind:
        raise InputError(f"{path}: values of {values.dtype.name}; needed {np.dtype(kind).name}.")
    if values.shape[:2] != image.shape[:2]:
        sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in (values, image)]
        raise InputError(f"{path}: {sizes[0]}; needed {sizes[1]}, the size of its image.")
    return values[..., None] if values.ndim == 2 else values[..., [2, 1, 0]]


def read_table(path: Path, columns: int, *, header: int = 0) -> FloatArray:
    """Numbers (N, columns) of a text file with a row a line, without its first ``header`` lines.

    Raises:
        InputError: it cannot be read, or a row is another one.
    """
    needed = f"rows of {columns} numbers"
    rows = [numbers_of(line, path) for line in read_lines(path, needed)[header:]]
    wrong = next((len(row) for row in rows if len(row) != columns), None)
    if wrong is not None:
        raise InputError(f"{path}: a row of {wrong}; needed {needed}.")
    return np.array(rows, np.float64).reshape(-1, columns)


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


def pinhole(where: Path, image: ImageArray, fx: float, fy: float, cx: float, cy: float) -> Camera:
    """Camera of an image without distortion. Raises InputError, with the file ``where``, if it is none."""
    height, width = image.shape[:2]
    try:
        return Camera(width, height, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


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

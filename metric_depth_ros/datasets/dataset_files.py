"""Reads the files of published datasets: pictures, OpenEXR, tables and points; errors name the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.encoded_pictures import check_size, decode_picture
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import need_regular, read_limited
from metric_depth_ros.geometry import project
from metric_depth_ros.types import Array, Camera, FloatArray, ImageArray

_LARGEST, _LONGEST_TEXT = 1 << 30, 1 << 26
_PICTURE = "a picture, PNG or JPEG"


def read_bytes(path: Path, needed: str, limit: int = _LARGEST) -> bytes:
    """All of a file. Raises InputError if there is none, it is no regular file or too large."""
    try:
        return read_limited(path, limit)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed {needed}.") from error


def read_text(path: Path, needed: str) -> str:
    """Text of a file. Raises InputError as ``read_bytes``, or if it is no text."""
    try:
        return read_bytes(path, needed, _LONGEST_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: no text; needed {needed}.") from None


def read_rgb(path: Path) -> ImageArray:
    """Picture (H, W, 3) uint8, RGB, as stored: its EXIF orientation is ignored. Raises InputError."""
    picture = _decoded(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def read_levels(path: Path, kind: DTypeLike = np.uint16) -> Array:
    """Stored values of a picture, (H, W), or (H, W, C) in the order red, green, blue.

    Raises:
        InputError: it cannot be read, or its values are not of the type ``kind``.
    """
    values = _decoded(path, cv2.IMREAD_UNCHANGED)
    if values.dtype != kind:
        raise InputError(f"{path}: values of {values.dtype.name}; needed {np.dtype(kind).name}.")
    return values if values.ndim == 2 else values[..., [2, 1, 0]]


def read_level(path: Path, kind: DTypeLike = np.uint16) -> Array:
    """Stored values (H, W) of a grey picture. Raises InputError as ``read_levels``, or for one in colour."""
    values = read_levels(path, kind)
    if values.ndim != 2:
        raise InputError(f"{path}: a picture in colour; needed a grey one.")
    return values


def _decoded(path: Path, flags: int) -> Array:
    try:
        return decode_picture(read_bytes(path, _PICTURE), flags)
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}; needed {_PICTURE}.") from error


def read_exr(path: Path) -> FloatArray:
    """First channel (H, W) float32 of an OpenEXR file: Y if there is one, else R, else the first by name.

    Raises:
        InputError: it cannot be read, or the package OpenEXR is not installed.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(
            f"{path}: needs the package OpenEXR. pip install metric_depth_ros[datasets]"
        ) from error
    try:
        need_regular(path)
        with OpenEXR.File(str(path), header_only=True) as file:
            low, high = np.asarray(file.header()["dataWindow"], np.int64)
            check_size(*(int(side) for side in high - low + 1))
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: np.asarray(channel.pixels) for name, channel in file.channels().items()}
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed an OpenEXR file.") from error
    except Exception as error:  # the library raises whatever a damaged byte leads to
        found = str(error) if isinstance(error, InputError) else "is damaged, or no OpenEXR file"
        raise InputError(f"{path}: {found}; needed an OpenEXR file.") from error
    name = next((each for each in ("Y", "R", *sorted(channels)) if each in channels), None)
    if name is None or channels[name].ndim != 2:
        raise InputError(f"{path}: no channel; needed an OpenEXR file with one.")
    return np.asarray(channels[name], np.float32)


def read_table(path: Path, columns: int, *, header: int = 0) -> FloatArray:
    """Numbers (N, columns) of a text file with a row a line, without its first ``header`` lines.

    Raises:
        InputError: it cannot be read, or a row is another one.
    """
    needed = f"rows of {columns} numbers"
    rows = [line.split() for line in read_text(path, needed).splitlines()[header:] if line.strip()]
    try:
        table = np.array(rows, np.float64)
    except ValueError:
        table = np.empty(0)
    if table.shape != (len(rows), columns) or not np.isfinite(table).all():
        raise InputError(f"{path}: holds something else; needed {needed}.")
    return table


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


def depth_from(values: Array, scale: float) -> FloatArray:
    """Depth (H, W) float32 in metres of stored values times ``scale``; NaN where they are 0 or not finite."""
    depth: FloatArray = values.astype(np.float32) * np.float32(scale)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def divided(scale: float, disparity: FloatArray) -> FloatArray:
    """Depth (H, W) float32 in metres: ``scale`` over a disparity; NaN where that is not above 0."""
    depth = np.full(disparity.shape, np.nan, np.float32)
    np.divide(np.float32(scale), disparity, out=depth, where=disparity > 0, casting="same_kind")
    return depth


def need_size(path: Path, values: Array, image: ImageArray) -> None:
    """Raises InputError for a map (H, W, ...) that is not of the image's size."""
    if values.shape[:2] != image.shape[:2]:
        sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in (values, image)]
        raise InputError(f"{path}: {sizes[0]}; needed {sizes[1]}, the size of its image.")


def pinhole(where: Path, image: ImageArray, fx: float, fy: float, cx: float, cy: float) -> Camera:
    """Camera of an image without distortion. Raises InputError, with the file ``where``, if it is none."""
    height, width = image.shape[:2]
    try:
        return Camera(width, height, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def projected_depth(points_camera: FloatArray, camera: Camera) -> FloatArray:
    """Depth image (H, W) float32 of points (N, 3) in the camera's frame: each pixel's nearest, or NaN."""
    uv, z = project(points_camera, camera)
    seen = inside_image(uv, camera.width, camera.height)
    u, v = np.rint(uv[seen]).astype(np.intp).T
    depth = np.full((camera.height, camera.width), np.inf, np.float32)
    np.minimum.at(depth, (v, u), z[seen])
    depth[np.isinf(depth)] = np.nan
    return depth


def folders(path: Path) -> list[Path]:
    """Folders inside a folder, by name; none if it is no folder."""
    return [each for each in _entries(path) if each.is_dir()]


def named(path: Path, end: str) -> list[Path]:
    """Files inside a folder whose names have an end, by name; none if it is no folder."""
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


def lines_of(path: Path, needed: str) -> list[str]:
    """Lines of a text that say something. Raises InputError as ``read_text``."""
    return [line for line in map(str.strip, read_text(path, needed).splitlines()) if line]


def rows_of(values: Any, rows: int, columns: int) -> FloatArray | None:
    """Matrix (rows, columns) float64 of a list, or a list of some; None if it is another, or not finite."""
    try:
        matrix = np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return (
        matrix.reshape(rows, columns) if matrix.size == rows * columns and np.isfinite(matrix).all() else None
    )

"""Reads the files of published datasets: pictures, depth, masks, arrays, text. Every error names its file."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from metric_depth_ros.array_files import read_npy
from metric_depth_ros.encoded_pictures import decode_picture, decode_tiff, is_tiff
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import inside, open_regular, read_limited
from metric_depth_ros.types import Array, BoolArray, Camera, FloatArray, ImageArray

# Bytes of a file of one frame, and of a list or table of all frames.
_LARGEST, _LONGEST_TEXT = 1 << 29, 1 << 26
# Of a number in a text: what is larger is no length, angle, time or pixel.
_LARGEST_NUMBER = 1e12
_PICTURE = "a picture, PNG or JPEG"
Value = TypeVar("Value")


def read_bytes(path: Path, needed: str, limit: int = _LARGEST) -> bytes:
    """All of a file. Raises InputError if it is missing, no file, or has more than ``limit`` bytes."""
    return _opened(path, needed, lambda: read_limited(path, limit))


def read_image(path: Path) -> ImageArray:
    """Image (H, W, 3) RGB of a PNG or JPEG, as its pixels are stored. Raises InputError if it is none."""
    return decoded_image(read_bytes(path, _PICTURE), path)


def decoded_image(data: bytes, path: Path) -> ImageArray:
    """Image (H, W, 3) RGB of the bytes of a PNG or JPEG. Raises InputError, which names the path."""
    picture = decoded(data, path, _PICTURE, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def read_codes(path: Path, shape: tuple[int, ...] = ()) -> Array:
    """Values (H, W) of a PNG or TIFF with one channel, uint8 or uint16.

    Raises:
        InputError: it is none, or of another ``shape``.
    """
    needed = "a PNG or TIFF with one channel"
    codes = decoded(read_bytes(path, needed), path, needed, cv2.IMREAD_UNCHANGED)
    if codes.ndim != 2:
        raise InputError(f"{path}: a picture with {codes.shape[2]} channels; needed one.")
    return with_shape(codes, shape, path)


def read_depth(path: Path, shape: tuple[int, ...] = (), *, per_metre: float) -> FloatArray:
    """Depth (H, W) float32, metres, of a PNG of 16 bits; NaN where it has 0.

    Raises:
        InputError: it is none, or of another ``shape``.
    """
    codes = read_codes(path, shape)
    if codes.dtype != np.uint16:
        raise InputError(f"{path}: a picture of {codes.dtype.name}; needed depth in 16 bits.")
    return known_depth(codes / np.float32(per_metre))


def read_array(path: Path) -> Array:
    """Numbers of an .npy file. Raises InputError if it is none, or holds something else."""
    needed = "an .npy file of numbers"
    array = _opened(path, needed, lambda: _read_npy(path, needed))
    if array.dtype.kind not in "fiub":
        raise InputError(f"{path}: holds {array.dtype.name}; needed numbers.")
    return array


def read_lines(path: Path, needed: str) -> list[str]:
    """Lines of a text in UTF-8, without those that are empty. Raises InputError if it is no text."""
    try:
        text = read_bytes(path, needed, _LONGEST_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not valid text in UTF-8; needed {needed}.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_csv(path: Path, *columns: str) -> list[list[str]]:
    """Texts of these columns in each row of a .csv file whose first row names them.

    Raises:
        InputError: it is none, or lacks a column.
    """
    needed = f"a table with {', '.join(columns)}"
    try:
        header, *rows = csv.reader(read_lines(path, needed))
    except (csv.Error, ValueError) as error:
        raise _unusable(path, "no .csv file", needed) from error
    if not set(columns) <= set(header):
        raise _unusable(path, "lacks a column", needed)
    places = [header.index(name) for name in columns]
    return [[row[place] if place < len(row) else "" for place in places] for row in rows]


def listed_file(folder: Path, name: str, path: Path) -> Path:
    """File in a folder or below that a list names. Raises InputError, which names the list, if it is none."""
    try:
        return inside(folder, name)
    except OSError as error:
        raise InputError(f"{path}: a file that {error.strerror}; needed one in the folder.") from error


def read_numbers(path: Path, *shape: int) -> FloatArray:
    """Numbers of a text, in float64; between them is white space or a comma.

    Raises:
        InputError: it holds something else, or not as many as ``shape`` has.
    """
    needed = f"{'x'.join(map(str, shape))} numbers"
    values = numbers_of(" ".join(read_lines(path, needed)), path)
    if values.size != math.prod(shape):
        raise InputError(f"{path}: {values.size} numbers; needed {needed}.")
    return values.reshape(shape)


def read_table(path: Path, columns: int, *, header: int = 0) -> FloatArray:
    """Rows (N, columns) float64 of a text of numbers; lines that begin with # are comments.

    Args:
        header: first lines that are left out.

    Raises:
        InputError: a row holds something else, or not as many.
    """
    needed = f"rows of {columns} numbers"
    rows = [line for line in read_lines(path, needed)[header:] if not line.startswith("#")]
    values = numbers_of(" ".join(rows), path)
    if any(len(row.replace(",", " ").split()) != columns for row in rows):
        raise InputError(f"{path}: rows of other lengths; needed {needed}.")
    return values.reshape(-1, columns)


def numbers_of(line: str, path: Path) -> FloatArray:
    """Finite numbers (N,) float64 of a line of text. Raises InputError, which names the path."""
    try:
        values = np.array(line.replace(",", " ").split(), np.float64)
    except ValueError:
        values = np.array([np.nan])
    if not (np.abs(values) <= _LARGEST_NUMBER).all():
        raise InputError(f"{path}: something else than numbers; needed finite numbers.")
    return values


def known_depth(values: Array, known: BoolArray | None = None) -> FloatArray:
    """Depth in float32 with NaN where it is not positive and finite, or not ``known``."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is no depth
        depth = np.asarray(values).astype(np.float32)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    if known is not None:
        depth[~known] = np.nan
    return depth


def camera_of(
    image: ImageArray,
    intrinsics: Sequence[float] | FloatArray,
    path: Path,
    model: str = "none",
    D: tuple[float, ...] = (),
) -> Camera:
    """Camera of an image from fx, fy, cx, cy in pixels. Raises InputError, which names the path."""
    fx, fy, cx, cy = map(float, intrinsics)
    try:
        height, width = image.shape[:2]
        return Camera(width, height, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), model, D)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def with_shape(array: Array, shape: tuple[int, ...], path: Path) -> Array:
    """The array. Raises InputError, which names the path, if it has another shape; () is any."""
    if shape and array.shape != shape:
        found, needed = ("x".join(map(str, sizes)) for sizes in (array.shape, shape))
        raise InputError(f"{path}: of shape {found}; needed {needed}, as the image has.")
    return array


def decoded(data: bytes, path: Path, needed: str, flags: int) -> Array:
    """Pixels of a picture as OpenCV decodes them; ``path`` and ``needed`` are for errors.

    Raises InputError if it is none.
    """
    try:
        grey = flags == cv2.IMREAD_UNCHANGED and is_tiff(data)
        return decode_tiff(data) if grey else decode_picture(data, flags)
    except InputError as error:
        raise _unusable(path, str(error), needed) from error


def _read_npy(path: Path, needed: str) -> Array:
    with open_regular(path) as file:
        try:
            return read_npy(file, _LARGEST)
        except InputError as error:
            raise _unusable(path, str(error), needed) from error


def _opened(path: Path, needed: str, read: Callable[[], Value]) -> Value:
    try:
        return read()
    except OSError as error:
        found = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise _unusable(path, found, needed) from error


def _unusable(path: Path, found: str, needed: str) -> InputError:
    return InputError(f"{path}: {found}; needed {needed}.")

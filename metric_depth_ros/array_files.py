"""Reads NumPy arrays that others stored, .npy and .npz, and nothing larger than is wanted.

A file of megabytes can declare an array of gigabytes: the header is read before the values.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.files import in_words
from metric_depth_ros.types import Array

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_npz(file: BinaryIO, names: Sequence[str] = (), limit: int = 1 << 34) -> dict[str, Array]:
    """Arrays of an .npz file by their names; no names: all.

    Raises:
        InputError: one is missing, holds Python objects, or has more than ``limit`` bytes; or the file is
            damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            found = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if missing := [name for name in names if name not in found]:
                raise InputError(f"holds no {', '.join(missing)}")
            return {name: _member(archive, found[name], limit) for name in names or found}
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise whatever a damaged byte leads to
        raise InputError("is damaged, or no .npz file") from error


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> Array:
    if info.compress_type not in _METHODS:
        raise InputError("is compressed otherwise than NumPy does")
    with archive.open(info) as member:
        return read_npy(member, limit)  # type: ignore[arg-type]  # it has what is needed of a BinaryIO


def read_npy(file: BinaryIO, limit: int) -> Array:
    """Array of an .npy file.

    Raises:
        InputError: it holds Python objects, has more than ``limit`` bytes, or is damaged.
    """
    try:
        shape, by_columns, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
        count = math.prod(shape)
    except Exception as error:  # NumPy raises whatever a damaged byte leads to
        raise InputError("is damaged, or no .npy file") from error
    if dtype.hasobject or min(shape, default=0) < 0:
        raise InputError(f"holds {dtype.name} of shape {shape}; needed numbers")
    if count * dtype.itemsize > limit:
        raise InputError(f"declares {in_words(count * dtype.itemsize)}; at most {in_words(limit)} are read")
    data = file.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise InputError(f"ends after {in_words(len(data))} of {in_words(count * dtype.itemsize)}")
    values = np.frombuffer(data, dtype, count) if count else np.empty(0, dtype)
    array: Array = values.reshape(shape, order="F" if by_columns else "C").copy()
    return array

"""Reads MATLAB files up to version 7.2; those of 7.3 are HDF5."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.datasets.published_files import read_bytes
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Array

_HEADER, _COMPRESSED = 128, 15
_LARGEST = 1 << 29


def read_matlab(path: Path, *names: str) -> list[Any]:
    """Variables of a MATLAB file by their names, as ``scipy.io.loadmat`` gives them.

    Raises:
        InputError: one is missing, or the file is damaged, of version 7.3, or has too many bytes.
    """
    from scipy.io import loadmat

    needed = f"a MATLAB file with {', '.join(names)}"
    data = read_bytes(path, needed)
    try:
        found = loadmat(io.BytesIO(_expanded(data)), variable_names=list(names))
    except Exception as error:  # SciPy raises whatever a damaged byte leads to
        raise InputError(f"{path}: damaged, or no MATLAB file before 7.3; needed {needed}.") from error
    if missing := [name for name in names if name not in found]:
        raise InputError(f"{path}: holds no {', '.join(missing)}; needed {needed}.")
    return [found[name] for name in names]


def matlab_fields(record: Any, path: Path, *names: str) -> list[Array]:
    """Arrays of numbers of a 1x1 MATLAB struct. Raises InputError if one is missing or none."""
    known = getattr(getattr(record, "dtype", None), "names", None) or ()
    if missing := [name for name in names if name not in known or record.size != 1]:
        raise InputError(f"{path}: the struct has no {', '.join(missing)}; needed one.")
    arrays = [np.asarray(record[name].ravel()[0]) for name in names]
    for name, array in zip(names, arrays, strict=True):
        if array.dtype.kind not in "fiub":
            raise InputError(f"{path}: {name} holds {array.dtype.name}; needed numbers.")
    return arrays


def _expanded(data: bytes) -> bytes:
    """The file with its compressed variables expanded: a small one can declare any number of bytes."""
    order = ">" if data[126:128] == b"MI" else "<"
    parts, at, size = [data[:_HEADER]], _HEADER, 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(f"{order}II", data, at)
        part = data[at : at + 8 + length]
        if kind == _COMPRESSED:
            part = zlib.decompressobj().decompress(part[8:], _LARGEST)
        parts.append(part)
        at, size = at + 8 + length, size + len(part)
        if size >= _LARGEST:
            raise ValueError("too many bytes")
    return b"".join(parts)

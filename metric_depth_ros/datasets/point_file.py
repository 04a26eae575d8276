"""Points of a frame from a file: raw float32, PCD or NPY. Other kinds are refused by name."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np

from metric_depth_ros.array_files import read_npy
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import read_limited
from metric_depth_ros.types import Array, FloatArray

# First bytes of other formats -> their name.
_OTHERS = {b"ply": "PLY", b"LASF": "LAS", b"PK\x03\x04": "a zip archive", b"\x1f\x8b": "gzip"}
_NEEDED = "needed raw float32, PCD or NPY. Convert it."
_MOST_COLUMNS = 12
# Bytes of a file, and of a row of PCD.
_LARGEST, _LONGEST_ROW = 1 << 30, 10_000
# Rows that tell their length, and the least number of them.
_LOOKED_AT, _LEAST_ROWS = 2_000, 50


def read_point_file(path: Path, columns: int | None = None) -> FloatArray:
    """Points (N, 3) in metres, float32 or, if they are stored more finely, float64; no other columns.

    Args:
        columns: of raw float32; None: 5 in a .pcd.bin (nuScenes), else 4.

    Raises:
        InputError: the file cannot be read, is of another kind, or its rows look longer or shorter.
    """
    try:
        data = read_limited(path, _LARGEST)
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror}.") from error
    for start, name in _OTHERS.items():
        if data.startswith(start):
            raise InputError(f"{path.name}: is {name}; {_NEEDED}")
    try:
        if data.startswith(b"\x93NUMPY"):
            return _xyz(read_npy(BytesIO(data), len(data)))
        if re.match(rb"(#[^\n]*\n)*\s*VERSION", data):
            return _xyz(_pcd(data))
    except (InputError, ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        raise InputError(f"{path.name}: cannot be read ({error}); needed x, y, z of each point.") from error
    if path.suffix in (".pcd", ".npy") or re.fullmatch(rb"[\t\r\n -~]+", data[:200]):
        raise InputError(f"{path.name}: holds something else than its name says, or text; {_NEEDED}")
    return _raw(data, columns or (5 if path.name.endswith(".pcd.bin") else 4), path)


def _raw(data: bytes, columns: int, path: Path) -> FloatArray:
    """Rows of little-endian float32."""
    values = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
    seem = likely_columns(values, columns)
    if len(data) % (4 * columns) or seem != columns:
        looks = f" They look like rows of {seem}." if seem != columns else ""
        raise InputError(
            f"{path.name}: {len(data)} bytes; needed rows of {columns} float32, x, y, z first.{looks} Set "
            "points_columns in calib.json to the length of its rows."
        )
    return np.ascontiguousarray(values.reshape(-1, columns)[:, :3], np.float32)


def likely_columns(values: FloatArray, columns: int) -> int:
    """Length of the rows of flat values: ``columns``, unless another one fits clearly better.

    With a wrong length every column is a mixture of all: the columns are alike. How much they differ is the
    part of the variance of log |value| that is between them.
    """
    most = min(_MOST_COLUMNS, len(values) // _LEAST_ROWS)
    fitting = [n for n in range(3, most + 1) if not len(values) % n]
    told = {n: _between(values, n) for n in fitting}
    better = {n: part for n, part in told.items() if part > 1.5 * told.get(columns, 0.0) + 0.02}
    # Rows of twice the length fit as well.
    return min((n for n, part in better.items() if part > 0.8 * max(better.values())), default=columns)


def _between(values: FloatArray, columns: int) -> float:
    """Part of the variance of log |value| that is between the columns of rows of that length."""
    size = np.abs(values[: _LOOKED_AT * columns].astype(np.float64))
    rows = np.log10(np.where(np.isfinite(size), size, 0.0) + 1e-3).reshape(-1, columns)
    return float(np.var(rows.mean(axis=0)) / max(np.var(rows), 1e-12))


def _xyz(table: Array) -> FloatArray:
    """Points (N, 3) of a table by its fields x, y, z, or its first columns. Raises ValueError without."""
    names = table.dtype.names
    if names is not None:
        if not {"x", "y", "z"} <= set(names):
            raise ValueError(f"fields {', '.join(names)}")
        columns = [table[axis].ravel() for axis in "xyz"]
    elif table.ndim != 2 or table.shape[1] < 3 or table.dtype.kind not in "fiu":
        raise ValueError(f"shape {table.shape} of {table.dtype}")
    else:
        columns = list(table.T[:3])
    # What float32 cannot hold, as UTM coordinates, stays as fine as it is until it is in the camera's frame.
    fits = np.result_type(np.float32, *columns) == np.float32
    return np.stack(columns, axis=1).astype(np.float32 if fits else np.float64)


def _pcd(data: bytes) -> Array:
    """Table of a PCD file, ascii or binary. Raises ValueError for another kind, or if it is damaged."""
    head, kind, body = re.split(rb"^DATA[ \t]+(\w+)[ \t]*\r?\n", data, maxsplit=1, flags=re.MULTILINE)
    lines = map(str.split, head.decode("ascii", "replace").splitlines())
    told = {line[0]: line[1:] for line in lines if line}
    counts = told.get("COUNT", ["1"] * len(told["FIELDS"]))
    fields = zip(told["FIELDS"], told["TYPE"], told["SIZE"], counts, strict=True)
    row = np.dtype(
        [
            # "_" is padding, and may be there more than once.
            (f"_{index}" if name == "_" else name, f"<{letter.lower()}{size}", (int(count),))
            for index, (name, letter, size, count) in enumerate(fields)
        ]
    )
    if row.itemsize > _LONGEST_ROW:
        raise ValueError(f"rows of {row.itemsize} bytes")
    points = int(told["POINTS"][0])
    if kind == b"binary":
        return np.frombuffer(body, row, points)
    if kind == b"ascii":
        return np.loadtxt(BytesIO(body), row, ndmin=1, max_rows=points)
    raise ValueError(f"DATA {kind.decode()}, which pcl_convert_pcd_ascii_binary FILE OUT 1 makes binary")

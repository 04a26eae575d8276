"""Reads MATLAB files of versions 5 to 7.2; those of 7.3 are HDF5.

Not by SciPy, whose ``loadmat`` ends the process on some damaged files. Source: MathWorks, MAT-File Format,
the format of level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.datasets.published_files import read_bytes
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Array

_HEADER, _LARGEST, _DEEPEST = 128, 1 << 29, 8
# Kinds of elements: numbers and texts as stored, an array, one that is compressed.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15
# Classes of arrays; an opaque one, as of objects, is laid out otherwise.
_CELL, _STRUCT, _CHAR, _NUMERIC, _OPAQUE = 1, 2, 4, range(6, 16), 17
_COMPLEX = 1 << 11


def read_matlab(path: Path, *names: str) -> list[Any]:
    """Variables of a MATLAB file by their names.

    Arrays of numbers in the type in which they are stored, texts, lists for cells, and lists of dicts for
    structs.

    Raises:
        InputError: one is missing, or the file is damaged, of version 7.3, or has too many bytes.
    """
    needed = f"a MATLAB file with {', '.join(names)}"
    data = read_bytes(path, needed)
    try:
        found = _variables(data, names)
    except Exception as error:  # NumPy, struct and zlib raise whatever a damaged byte leads to
        raise InputError(f"{path}: damaged, or no MATLAB file before 7.3; needed {needed}.") from error
    if missing := [name for name in names if name not in found]:
        raise InputError(f"{path}: holds no {', '.join(missing)}; needed {needed}.")
    return [found[name] for name in names]


def matlab_fields(record: Any, path: Path, *names: str) -> list[Array]:
    """Arrays of numbers of a 1x1 MATLAB struct. Raises InputError if one is missing or none."""
    fields = record[0] if isinstance(record, list) and len(record) == 1 else None
    known = fields if isinstance(fields, dict) else {}
    if missing := [name for name in names if not isinstance(known.get(name), np.ndarray)]:
        raise InputError(f"{path}: the struct has no numbers {', '.join(missing)}; needed arrays.")
    return [known[name] for name in names]


def _variables(data: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    order = {b"IM": "<", b"MI": ">"}[data[126:128]]
    found: dict[str, Any] = {}
    size = 0
    for kind, part in _elements(memoryview(data)[_HEADER:], order):
        if kind == _COMPRESSED:
            kind, part = next(_elements(_expanded(part, _LARGEST - size), order))
            size += len(part)
        if kind == _MATRIX:
            matrix = _Matrix(part, order)
            if matrix.name in names:
                found[matrix.name] = matrix.value()
    return found


def _expanded(data: memoryview, limit: int) -> memoryview:
    """What is compressed, its checksum checked. Raises ValueError if it is cut off or has too many bytes."""
    expander = zlib.decompressobj()
    expanded = expander.decompress(data, max(1, limit))  # 0 would be without limit
    if not expander.eof:
        raise ValueError("cut off, or too many bytes")
    return memoryview(expanded)


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Kind and bytes of each element; a small one has its bytes in its tag."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from(f"{order}II", data, at)
        start, end = at + 8, at + 8 + length + (0 if kind == _COMPRESSED else -length % 8)
        if kind >> 16:
            kind, length, start, end = kind & 0xFFFF, min(kind >> 16, 4), at + 4, at + 8
        if start + length > len(data):
            raise ValueError("cut off")
        yield kind, data[start : start + length]
        at = end


class _Matrix:
    """One array of a file: its name, and its value when it is wanted."""

    def __init__(self, data: memoryview, order: str, depth: int = 0) -> None:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        self._order, self._depth, self._parts = order, depth, _elements(data, order)
        flags = int(self._numbers()[0])
        self._kind, self._complex, self.name = flags & 0xFF, bool(flags & _COMPLEX), ""
        self._shape = (0,) if self._kind == _OPAQUE else tuple(self._numbers().tolist())
        if self._kind != _OPAQUE:
            self.name = bytes(next(self._parts)[1]).decode("latin-1")
        if min(self._shape) < 0:
            raise ValueError("of a negative size")

    def value(self) -> Any:
        if self._kind in _NUMERIC and not self._complex:
            return self._numbers().reshape(self._shape, order="F")
        if self._kind == _CHAR:
            kind, text = next(self._parts)
            return bytes(text).decode(_TEXTS[kind] + self._ending(_TEXTS[kind]))
        if self._kind == _CELL:
            return self._inner(math.prod(self._shape))
        if self._kind == _STRUCT:
            return self._records()
        raise ValueError("of another class")

    def _numbers(self) -> Array:
        kind, part = next(self._parts)
        return np.frombuffer(part, np.dtype(self._order + _NUMBERS[kind]))

    def _ending(self, encoding: str) -> str:
        return "" if encoding in ("latin-1", "utf-8") else "-le" if self._order == "<" else "-be"

    def _records(self) -> list[dict[str, Any]]:
        length = int(self._numbers()[0])
        joined = bytes(next(self._parts)[1])
        if not 0 < length <= len(joined):
            raise ValueError("no names of fields")
        names = [joined[at : at + length].split(b"\0")[0].decode() for at in range(0, len(joined), length)]
        values = self._inner(math.prod(self._shape) * len(names))
        return [dict(zip(names, values[at:], strict=False)) for at in range(0, len(values), len(names))]

    def _inner(self, count: int) -> list[Any]:
        """Values of the arrays inside; an array without bytes is empty."""
        values: list[Any] = []
        for kind, part in self._parts:
            if kind != _MATRIX:
                raise ValueError("no array")
            inner = _Matrix(part, self._order, self._depth + 1) if len(part) else None
            values.append(np.empty((0, 0)) if inner is None else inner.value())
        if len(values) != count:
            raise ValueError("another number of arrays")
        return values

"""Values of a JSON or YAML document of a dataset, each checked as it is taken; errors name file and key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.documents import read_json, read_yaml
from metric_depth_ros.errors import InputError, kind_of
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.types import FloatArray

Key = str | int


@dataclass(frozen=True)
class Values:
    """A part of a document. All methods raise InputError where it holds something else.

    Attributes:
        path: of the file.
        value: what the part holds.
        place: keys that lead to it.
    """

    path: Path
    value: Any
    place: tuple[Key, ...] = ()

    def at(self, *keys: Key) -> Values:
        """The part that keys, or places in lists, lead to."""
        value = self.value
        for number, key in enumerate(keys):
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                raise self._error(keys[: number + 1], "nothing", "a value") from None
        return Values(self.path, value, (*self.place, *keys))

    def number(self, *keys: Key) -> float:
        """A finite number."""
        value = self.at(*keys).value
        if type(value) not in (int, float) or not abs(value) < 1e300:
            raise self._error(keys, kind_of(value), "a finite number")
        return float(value)

    def text(self, *keys: Key) -> str:
        """A text."""
        value = self.at(*keys).value
        if not isinstance(value, str):
            raise self._error(keys, kind_of(value), "a text")
        return value

    def mapping(self, *keys: Key) -> dict[str, Any]:
        """A mapping."""
        value = self.at(*keys).value
        if not isinstance(value, dict):
            raise self._error(keys, kind_of(value), "a mapping")
        return value

    def all(self, *keys: Key) -> Iterator[Values]:
        """The members of a list."""
        found = self.at(*keys)
        if not isinstance(found.value, list):
            raise self._error(keys, kind_of(found.value), "a list")
        for number, value in enumerate(found.value):
            yield Values(self.path, value, (*found.place, number))

    def matrix(self, rows: int, columns: int, *keys: Key) -> FloatArray:
        """A matrix (rows, columns) of finite numbers."""
        value = self.at(*keys).value
        try:
            matrix = np.array(value if isinstance(value, list) else [], np.float64)
        except (ValueError, TypeError, OverflowError):
            matrix = np.empty(0)
        if matrix.size != rows * columns or not np.isfinite(matrix).all():
            raise self._error(keys, kind_of(value), f"{rows}x{columns} finite numbers")
        return matrix.reshape(rows, columns)

    def pose(self, translation: FloatArray, w_x_y_z: FloatArray) -> FloatArray:
        """Transform (4, 4) of a translation and a quaternion, w first."""
        try:
            return rigid_transform(translation.ravel(), np.roll(w_x_y_z.ravel(), -1))
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    def _error(self, keys: tuple[Key, ...], found: str, needed: str) -> InputError:
        where = ".".join(map(str, (*self.place, *keys))) or "the file"
        return InputError(f"{self.path}: {where}: {found}; needed {needed}.")


def json_values(path: Path, needed: str) -> Values:
    """Values of a JSON file. Raises InputError if it cannot be read."""
    return Values(path, read_json(path, InputError, needed))


def yaml_values(path: Path, needed: str) -> Values:
    """Values of a YAML file. Raises InputError if it cannot be read."""
    return Values(path, read_yaml(path, InputError, needed))

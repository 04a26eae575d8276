"""Values of one frame in a calib.json, each checked as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.errors import InputError, shown
from metric_depth_ros.files import inside
from metric_depth_ros.types import FloatArray

# Of a number: what is larger is no length, angle or time.
_LARGEST = 1e12


@dataclass(frozen=True)
class FrameEntry:
    """A frame's own values, and those that all frames share. All methods raise InputError for other values.

    Attributes:
        folder: of the calib.json.
        values: by their keys.
    """

    folder: Path
    values: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Name of the frame."""
        return str(self.values["id"])

    def has(self, *keys: str) -> bool:
        """Whether all keys have a value."""
        return all(self.values.get(key) is not None for key in keys)

    def number(self, key: str) -> float:
        """A finite number."""
        value: Any = self.values.get(key)
        if not _is_number(value):
            raise self.error(f"{key} {shown(value)}; needed a number.")
        return float(value)

    def whole(self, key: str, least: int) -> int | None:
        """A whole number, ``least`` or more; None if it is not given."""
        value = self.values.get(key)
        if value is None:
            return None
        if not _is_number(value) or value != int(value) or value < least:
            raise self.error(f"{key} {shown(value)}; needed a whole number, {least} or more.")
        return int(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        """Finite numbers of a list; none if a text or nothing is given."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return ()
        if not isinstance(value, list) or not all(map(_is_number, value)):
            raise self.error(f"{key} {shown(value)}; needed a list of numbers.")
        return tuple(map(float, value))

    def matrix(self, key: str) -> FloatArray | None:
        """A 4x4 matrix; None if it is not given."""
        rows = self.values.get(key)
        if rows is None:
            return None
        whole = isinstance(rows, list) and len(rows) == 4
        if not whole or not all(
            isinstance(row, list) and len(row) == 4 and all(map(_is_number, row)) for row in rows
        ):
            raise self.error(f"{key} {shown(rows)} is no matrix; needed 4x4 finite numbers.")
        return np.array(rows, np.float64)

    def texts(self, key: str) -> tuple[str, ...]:
        """A text, or those of a list; none if nothing is given."""
        given = self.values.get(key) or []
        found = [given] if isinstance(given, str) else given
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise self.error(f"{key} {shown(given)}; needed a text or a list of some.")
        return tuple(found)

    def file(self, key: str) -> Path:
        """Path of a file in the folder."""
        name = self.values.get(key)
        if not isinstance(name, str):
            raise self.error(f"no {key!r}; needed the name of a file.")
        try:
            return inside(self.folder, name)
        except OSError as error:
            raise self.error(
                f"{key} {shown(name)}: {error.strerror}; needed a file in the folder."
            ) from error

    def error(self, text: str) -> InputError:
        """InputError that names the folder and the frame."""
        return InputError(f"{self.folder}, frame {shown(self.id)[1:-1]}: {text}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST  # neither NaN nor infinity

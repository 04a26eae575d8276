"""Reads HDF5, which MATLAB 7.3 files are too: one array or a part of one, of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.files import in_words, need_regular
from metric_depth_ros.types import Array

_LARGEST = 1 << 29
# Of a MATLAB cell array: its texts, and the characters of one.
_MOST_TEXTS, _LONGEST_TEXT = 1_000_000, 10_000


class Hdf5File:
    """Arrays of an HDF5 file by their names. It is opened for each reading: it may be shared and pickled."""

    def __init__(self, path: Path, needed: str) -> None:
        """``needed``: what the file is, for errors."""
        self.path, self._needed = path, needed

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array. Raises InputError as ``read`` does."""
        with self._opened(name) as array:
            return tuple(array.shape)

    def has(self, name: str) -> bool:
        """Whether there is something of that name. Raises InputError if the file cannot be read."""
        with self._opened() as file:
            return name in file

    def read(self, name: str, entry: int | None = None) -> Array:
        """Numbers of an array, or of its part ``array[entry]``.

        Raises:
            InputError: h5py is not installed, the file is damaged, or the array is missing, of something else
                than numbers, in another file, or too large.
        """
        with self._opened(name) as array:
            shape = array.shape if entry is None else array.shape[1:]
            size = int(np.prod(shape, dtype=object)) * array.dtype.itemsize
            if array.dtype.kind not in "fiub":
                raise self._error(f"{name} holds no numbers")
            if size > _LARGEST:
                raise self._error(f"{name} declares {in_words(size)}; at most {in_words(_LARGEST)} are read")
            return np.asarray(array[()] if entry is None else array[entry])

    def texts(self, name: str) -> list[str]:
        """Texts of a MATLAB cell array: references to arrays of characters. Raises InputError as ``read``."""
        with self._opened(name) as array:
            if array.dtype.kind != "O" or array.size > _MOST_TEXTS:
                raise self._error(f"{name} holds no texts")
            return [self._text(array.file[reference]) for reference in array[()].ravel()]

    def _text(self, characters: Any) -> str:
        if characters.size > _LONGEST_TEXT or characters.dtype.kind not in "iu":
            raise self._error("a text of it holds no characters")
        return "".join(map(chr, np.asarray(characters[()]).ravel()))

    @contextmanager
    def _opened(self, name: str = "") -> Iterator[Any]:
        """The file, or one of its arrays."""
        h5py = _h5py(self.path)
        try:
            need_regular(self.path)
            with h5py.File(self.path, "r") as file:
                yield self._array(h5py, file, name) if name else file
        except InputError:
            raise
        except FileNotFoundError as error:
            raise self._error("is missing") from error
        except Exception as error:  # h5py raises whatever a damaged byte leads to
            raise self._error(f"{name or 'it'} cannot be read: damaged, or no HDF5 file") from error

    def _array(self, h5py: Any, file: Any, name: str) -> Any:
        if name not in file:
            raise self._error(f"holds no {name}")
        found = file[name]
        if not isinstance(found, h5py.Dataset):
            raise self._error(f"{name} is no array")
        if found.file.filename != file.filename or found.external or found.is_virtual:
            raise self._error(f"{name} lies in another file")
        return found

    def _error(self, found: str) -> InputError:
        return InputError(f"{self.path}: {found}; needed {self._needed}.")


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"{path}: h5py is not installed; needed to read HDF5. Install metric_depth_ros[datasets]."
        ) from error
    return h5py

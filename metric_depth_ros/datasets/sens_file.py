"""ScanNet's .sens: one file with the pictures, depth and poses of a scan (SensReader, version 4)."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from metric_depth_ros.datasets.published_files import decoded_image, known_depth
from metric_depth_ros.encoded_pictures import check_size
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import open_regular
from metric_depth_ros.types import FloatArray, ImageArray

_VERSION, _LONGEST_NAME = 4, 10_000
# Four matrices; compressions of colour and depth, and their sizes; depth in a metre; frames.
_HEADER = struct.Struct("<64fiiIIIIfQ")
_FRAME = struct.Struct("<16fQQQQ")  # T_world_camera; two times; bytes of colour and of depth
_PICTURES, _RAW, _ZLIB = (1, 2), 0, 1


class SensFrame(NamedTuple):
    """One frame.

    Attributes:
        image: (H, W, 3) RGB, of the colour camera's own size.
        depth: (h, w) metres, NaN unknown.
        T_world_camera: (4, 4); not finite where tracking was lost.
    """

    image: ImageArray
    depth: FloatArray
    T_world_camera: FloatArray


class SensFile:
    """Frames of a .sens file by number.

    Attributes:
        K: (3, 3) of the depth camera.
    """

    K: FloatArray

    def __init__(self, path: Path) -> None:
        """Reads the header alone. Raises InputError if it is none."""
        self.path = path
        try:
            with open_regular(path) as file:
                self._read_header(file)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; needed a .sens file.") from error
        except struct.error as error:
            raise self._damaged("is cut off") from error

    def __len__(self) -> int:
        return self._count

    def frame(self, number: int) -> SensFrame:
        """One frame. Raises InputError if it is damaged."""
        try:
            with open_regular(self.path) as file:
                pose, (colour, depth) = self._read_frame(file, number)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}; needed a .sens file.") from error
        except struct.error as error:
            raise self._damaged(f"is cut off before frame {number}") from error
        return SensFrame(decoded_image(colour, self.path), self._depth(depth), pose)

    def _read_header(self, file: BinaryIO) -> None:
        version, length = struct.unpack("<IQ", file.read(12))
        if version != _VERSION or length > _LONGEST_NAME:
            raise self._damaged(f"of version {version}; needed {_VERSION}")
        file.seek(length, os.SEEK_CUR)
        values: tuple[Any, ...] = _HEADER.unpack(file.read(_HEADER.size))
        self.K = np.array(values[32:48], np.float64).reshape(4, 4)[:3, :3]
        self._kinds, self._size, self._per_metre = values[64:66], values[68:70], values[70]
        self._count: int = values[71]
        self._starts = [file.tell()]
        if self._count > os.fstat(file.fileno()).st_size // _FRAME.size:
            raise self._damaged(f"declares {self._count} frames, and is cut off")
        if self._kinds[0] not in _PICTURES or self._kinds[1] not in (_RAW, _ZLIB) or not self._per_metre > 0:
            raise self._damaged(f"compressed in ways {self._kinds}; needed JPEG or PNG, and zlib or none")
        self._check_size()

    def _check_size(self) -> None:
        try:
            check_size(*self._size)
        except InputError as error:
            raise self._damaged(f"depth {error}") from error

    def _read_frame(self, file: BinaryIO, number: int) -> tuple[FloatArray, list[bytes]]:
        """Pose and bytes of a frame; where each begins is found on the way."""
        while len(self._starts) <= number:
            file.seek(self._starts[-1])
            *_, colour, depth = _FRAME.unpack(file.read(_FRAME.size))
            self._starts.append(self._starts[-1] + _FRAME.size + colour + depth)
        if self._starts[number] > os.fstat(file.fileno()).st_size:
            raise self._damaged(f"is cut off before frame {number}")
        file.seek(self._starts[number])
        *pose, _, _, colour, depth = _FRAME.unpack(file.read(_FRAME.size))
        if file.tell() + colour + depth > os.fstat(file.fileno()).st_size:
            raise self._damaged(f"is cut off in frame {number}")
        return np.array(pose, np.float64).reshape(4, 4), [file.read(colour), file.read(depth)]

    def _depth(self, data: bytes) -> FloatArray:
        width, height = self._size
        count = 2 * width * height
        if self._kinds[1] == _ZLIB:
            try:
                data = zlib.decompressobj().decompress(data, count + 1)
            except zlib.error as error:
                raise self._damaged("depth cannot be decompressed") from error
        if len(data) != count:
            raise self._damaged(f"depth of {len(data)} bytes; needed {count} for {width}x{height}")
        return known_depth(np.frombuffer(data, "<u2").reshape(height, width) / np.float32(self._per_metre))

    def _damaged(self, found: str) -> InputError:
        return InputError(f"{self.path}: {found}; needed a whole .sens file.")

"""Reads rendered samples from shards, also while more are written."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.datasets.shard_layout import decode_depth, decode_normals, decode_scans
from metric_depth_ros.documents import parse_json
from metric_depth_ros.encoded_pictures import decode_picture
from metric_depth_ros.errors import InputError, kind_of, shown
from metric_depth_ros.files import open_regular

_SHARD = re.compile(r"shard_(\d{5})\.zip")
_MEMBER = re.compile(r"(\d{8})\.([a-z.]+)")
# Local header before a member's bytes in a zip: its length, and the position of the lengths of the name
# and the extra field after it.
_HEADER, _NAME_LENGTH, _EXTRA_LENGTH = 30, slice(26, 28), slice(28, 30)
_EXTRA_ROOM = 64


def shard_sizes(folder: str | Path) -> dict[int, int]:
    """Number of samples by shard number, for every complete shard. Raises InputError for a damaged one."""
    return {number: len(_Shard(path)) for number, path in _shards(Path(folder)).items()}


class ShardReader:
    """Samples of a folder of shards. Thread safe."""

    def __init__(self, folder: str | Path) -> None:
        """Raises InputError if the folder holds no shard, or a damaged one."""
        self.folder = Path(folder)
        self._scanning = Lock()
        self._known: set[int] = set()
        # The shards, and the number of samples before each: replaced together, never modified.
        self._index: tuple[list[_Shard], list[int]] = ([], [0])
        if not self.rescan():
            raise InputError(f"{folder}: no shard_*.zip; needed a folder that metric_depth synthesize wrote.")

    def __len__(self) -> int:
        return self._index[1][-1]

    def rescan(self) -> int:
        """Counts the samples again, with the shards added since; existing samples keep their indices."""
        with self._scanning:
            shards, ends = list(self._index[0]), list(self._index[1])
            for number, path in sorted(_shards(self.folder).items()):
                if number not in self._known:
                    shards.append(_Shard(path))
                    ends.append(ends[-1] + len(shards[-1]))
                    self._known.add(number)
            self._index = shards, ends
        return len(self)

    def read(self, index: int, what: Sequence[str] = ("image", "depth")) -> dict[str, Any]:
        """Parts of one sample by name.

        Args:
            what: of "image" (H, W, 3) uint8 RGB, "depth" (H, W) float32 metres with inf for sky, "info"
                (what the .json holds), "jpeg" (bytes), "labels", "instances", "normals" (H, W, 3),
                "points" (Scan by the sensor's name).

        Raises:
            InputError: the shard is damaged, or a requested part is missing.
            IndexError: there is no such sample.
        """
        shard, position = self._place(index)
        return {name: shard.read(position, name) for name in what}

    def has(self, index: int, name: str) -> bool:
        """Whether a sample has a part."""
        shard, position = self._place(index)
        return shard.has(position, name)

    def _place(self, index: int) -> tuple[_Shard, int]:
        shards, ends = self._index
        if not 0 <= index < ends[-1]:
            raise IndexError(f"sample {index} of {ends[-1]}")
        which = bisect_right(ends, index) - 1
        return shards[which], index - ends[which]


class _Shard:
    """List of a zip file's contents, with which a member is one read at a known position.

    No file stays open: readers need not share one, and there may be more shards than the limit of open
    files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open_regular(path) as file, zipfile.ZipFile(file) as archive:
                members, size = archive.infolist(), file.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._damaged(error.strerror or "cannot be read") from error
        except Exception as error:  # zipfile raises whatever a damaged byte leads to
            raise self._damaged("it is cut off, or no zip") from error
        found: dict[str, dict[int, tuple[int, int, int]]] = {}
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED:
                raise self._damaged(f"{shown(member.filename)} is compressed; needed a stored zip")
            if not 0 <= member.header_offset + member.file_size <= size:
                raise self._damaged(f"{shown(member.filename)} is cut off")
            match = _MEMBER.fullmatch(member.filename)
            if match is not None:
                place = (member.header_offset, member.file_size, member.CRC)
                found.setdefault(match[2], {})[int(match[1])] = place
        self._samples = sorted(found.get("jpg", {}))
        if not self._samples:
            # A truncated shard may end in an embedded zip, whose contents are then found.
            raise self._damaged("it holds no picture")
        # Arrays, since a large dataset has millions of members.
        self._places = {
            suffix: np.array([places.get(sample, (-1, 0, 0)) for sample in self._samples], np.int64)
            for suffix, places in found.items()
        }

    def __len__(self) -> int:
        return len(self._samples)

    def has(self, position: int, what: str) -> bool:
        """Whether the sample at a position has a part."""
        suffix = _PARTS[what][0]
        return suffix in self._places and bool(self._places[suffix][position, 0] >= 0)

    def read(self, position: int, what: str) -> Any:
        """One part of the sample at a position in the shard. Raises InputError."""
        suffix, decode = _PARTS[what]
        name = f"{self._samples[position]:08d}.{suffix}"
        if not self.has(position, what):
            raise InputError(f"shard {self.path}: no {name}. Render the data set with --everything.")
        data = self._bytes(name, *self._places[suffix][position].tolist())
        try:
            return decode(data)
        except InputError as error:
            raise self._damaged(f"{name} cannot be decoded ({error})") from error

    def _bytes(self, name: str, offset: int, size: int, crc: int) -> bytes:
        """Bytes of a member. Raises InputError if their checksum is wrong."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                raw = os.pread(file, _HEADER + len(name) + _EXTRA_ROOM + size, offset)
            finally:
                os.close(file)
        except OSError as error:
            raise self._damaged(str(error.strerror)) from error
        start = _HEADER + sum(int.from_bytes(raw[at], "little") for at in (_NAME_LENGTH, _EXTRA_LENGTH))
        data = raw[start : start + size]
        if len(data) != size or zlib.crc32(data) != crc:
            raise self._damaged(f"{name} is not what was written")
        return data

    def _damaged(self, found: str) -> InputError:
        return InputError(f"shard {self.path}: {found}. Delete it and render again: the others stay.")


def _shards(folder: Path) -> dict[int, Path]:
    """Shard files of a folder by number; empty without the folder."""
    if not folder.is_dir():
        return {}
    found = ((_SHARD.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in found if match is not None}


def _picture(data: bytes) -> Any:
    return cv2.cvtColor(decode_picture(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _unchanged(data: bytes) -> Any:
    return decode_picture(data, cv2.IMREAD_UNCHANGED)


def _depth(data: bytes) -> Any:
    code = _unchanged(data)
    if code.dtype != np.uint16 or code.ndim != 2:
        raise InputError(f"{code.dtype} of shape {code.shape}; needed 16 bits of depth")
    return decode_depth(code)


def _labels(data: bytes) -> Any:
    labels = _unchanged(data)
    if labels.ndim != 2:
        raise InputError("is a picture in colour; needed labels")
    return labels


def _info(data: bytes) -> dict[str, Any]:
    tree = parse_json(data, "it", InputError)
    if not isinstance(tree, dict):
        raise InputError(f"is {kind_of(tree)}; needed an object")
    return tree


# Name of a part -> (file suffix, function that decodes its bytes).
_PARTS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "image": ("jpg", _picture),
    "jpeg": ("jpg", bytes),
    "depth": ("depth.png", _depth),
    "info": ("json", _info),
    "labels": ("labels.png", _labels),
    "instances": ("instances.png", _labels),
    "normals": ("normals.png", lambda data: decode_normals(_picture(data))),
    "points": ("points.npz", decode_scans),
}

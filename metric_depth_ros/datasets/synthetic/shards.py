"""Rendered samples on disk: zip files of pictures that are read while more are being made.

``shard_00000.zip`` (stored, not deflated: the pictures are compressed already) holds for every sample:

- ``00000012.jpg``: the picture, as the camera stored it
- ``00000012.depth.png``: 16 bits, see ``encode_depth``
- ``00000012.json``: family, seed, scene, size, K, T_world_camera, ...

and, in a data set with everything, ``.labels.png`` (8 bits), ``.instances.png`` (16 bits),
``.normals.png`` (RGB, round(127 n) + 128, 0 for sky) and ``.points.npz`` (the sensors' points).
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.datasets.synthetic.sensors import Scan
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import FloatArray, ImageArray, IntArray

NEAREST_M, FARTHEST_M = 0.05, 4000.0
_SPAN = float(np.log(FARTHEST_M / NEAREST_M))
_STEPS = 65534
_SHARD = re.compile(r"shard_(\d{5})\.zip")
_MEMBER = re.compile(r"(\d{8})\.([a-z.]+)")
# Of the local header that stands before a member's bytes in a zip: its length, and where it says how
# long the name and the extra field after it are.
_HEADER, _NAME_LENGTH, _EXTRA_LENGTH = 30, slice(26, 28), slice(28, 30)
_EXTRA_ROOM = 64


def encode_depth(depth: FloatArray) -> IntArray:
    """(H, W) uint16 of metres: 0 for inf (sky), else 1 + round(65534 ln(d / 0.05) / ln(80000)).

    From 0.05 m to 4000 m the relative error is below 1e-4; what is beyond is clipped to the end.

    Raises:
        InputError: a depth is NaN, zero or negative.
    """
    depth = np.asarray(depth, np.float32)
    if not (depth > 0).all():
        raise InputError(
            "shard: depth holds NaN or values that are not positive; needed metres, inf for sky."
        )
    level = np.log(depth * np.float32(1 / NEAREST_M)) * np.float32(_STEPS / _SPAN)
    code: IntArray = np.rint(np.clip(level, 0, _STEPS)).astype(np.uint16) + np.uint16(1)
    code[np.isinf(depth)] = 0
    return code


def decode_depth(code: IntArray) -> FloatArray:
    """(H, W) float32 metres of ``encode_depth``'s codes; inf for sky."""
    depth: FloatArray = _DEPTHS[code]
    return depth


def _all_depths() -> FloatArray:
    depths = (NEAREST_M * np.exp((np.arange(_STEPS + 2) - 1.0) / _STEPS * _SPAN)).astype(np.float32)
    depths[0] = np.inf
    return depths


_DEPTHS = _all_depths()


class ShardWriter:
    """Writes one shard; use as a context manager.

    The shard grows under a name of its own and gets the right one when the block ends well, so that
    every ``shard_*.zip`` is whole, and writers of other numbers can work in the same folder.
    """

    def __init__(self, folder: str | Path, number: int) -> None:
        """``folder`` is made if need be. Raises InputError when it cannot be."""
        self.path = Path(folder) / f"shard_{number:05d}.zip"
        self._growing = self.path.with_suffix(".tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._zip = zipfile.ZipFile(self._growing, "w", zipfile.ZIP_STORED)
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}; needed a folder to write to.") from error

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._zip.close()
            if kind is None:
                self._growing.replace(self.path)
        except OSError as failure:
            raise self._unwritable(failure) from failure
        finally:
            self._growing.unlink(missing_ok=True)

    def write(
        self,
        index: int,
        jpeg: bytes,
        depth: FloatArray,
        info: Mapping[str, Any],
        *,
        labels: IntArray | None = None,
        instances: IntArray | None = None,
        normals: FloatArray | None = None,
        scans: Mapping[str, Scan] | None = None,
    ) -> None:
        """Adds sample ``index`` of the data set: arrays (H, W), normals (H, W, 3), sensors by name.

        Raises:
            InputError: depth that ``encode_depth`` refuses, or the disk is full.
        """
        stem = f"{index:08d}"
        self._add(f"{stem}.jpg", jpeg)
        self._add(f"{stem}.depth.png", _png(encode_depth(depth)))
        if labels is not None:
            self._add(f"{stem}.labels.png", _png(np.asarray(labels, np.uint8)))
        if instances is not None:
            self._add(f"{stem}.instances.png", _png(np.asarray(instances, np.uint16)))
        if normals is not None:
            self._add(f"{stem}.normals.png", _png(encode_normals(normals)[..., ::-1]))
        if scans is not None:
            self._add(f"{stem}.points.npz", _packed(scans))
        self._add(f"{stem}.json", json.dumps(info).encode())

    def _add(self, name: str, data: bytes) -> None:
        # A fixed date makes the same samples the same bytes.
        try:
            self._zip.writestr(zipfile.ZipInfo(name), data)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(f"{self.path}: {error.strerror}; needed room and leave to write it.")


def encode_normals(normals: FloatArray) -> ImageArray:
    """(H, W, 3) uint8 of unit normals: round(127 n) + 128; 0 where the normal is 0, in the sky."""
    code: ImageArray = (np.rint(normals * np.float32(127)) + 128).astype(np.uint8)
    code[~normals.any(axis=-1)] = 0
    return code


def decode_normals(code: ImageArray) -> FloatArray:
    """(H, W, 3) float32 normals, to half a degree; 0 for sky."""
    normals: FloatArray = (code.astype(np.float32) - 128) / 127
    normals[~code.any(axis=-1)] = 0
    return normals


def shard_sizes(folder: str | Path) -> dict[int, int]:
    """Samples in every whole shard of a folder, by its number. Raises InputError for a damaged one."""
    return {number: len(_Shard(path)) for number, path in _shards(Path(folder)).items()}


class ShardReader:
    """The samples of a folder of shards. Safe to use from several threads."""

    def __init__(self, folder: str | Path) -> None:
        """Raises InputError when the folder holds no shard, or a damaged one."""
        self.folder = Path(folder)
        self._scanning = Lock()
        self._known: set[int] = set()
        # The shards, and how many samples come before each: replaced as one, never changed.
        self._index: tuple[list[_Shard], list[int]] = ([], [0])
        if not self.rescan():
            raise InputError(f"{folder}: no shard_*.zip; needed a folder that metric_depth synthesize wrote.")

    def __len__(self) -> int:
        return self._index[1][-1]

    def rescan(self) -> int:
        """How many samples there are, with the shards that have come since; known ones keep their place."""
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
            InputError: the shard is damaged, or lacks what is asked for.
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
    """One zip file's list of contents, so that a member is one read at a known place.

    No file stays open: readers need not share one, and there may be more shards than a process may
    have files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (OSError, zipfile.BadZipFile) as error:
            raise self._damaged(str(error)) from error
        found: dict[str, dict[int, tuple[int, int, int]]] = {}
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED:
                raise self._damaged(f"{member.filename} is compressed; needed a stored zip")
            match = _MEMBER.fullmatch(member.filename)
            if match is not None:
                place = (member.header_offset, member.file_size, member.CRC)
                found.setdefault(match[2], {})[int(match[1])] = place
        self._samples = sorted(found.get("jpg", {}))
        if not self._samples:
            # A shard cut short may end in a zip of its own, whose contents are then found.
            raise self._damaged("it holds no picture")
        # Arrays, as a large data set has millions of members.
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
        except (ValueError, OSError, KeyError, cv2.error, zipfile.BadZipFile) as error:
            raise self._damaged(f"{name} cannot be decoded ({error})") from error

    def _bytes(self, name: str, offset: int, size: int, crc: int) -> bytes:
        """A member's bytes. Raises InputError when they are not those that were written."""
        try:
            file = os.open(self.path, os.O_RDONLY)
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
    """The folder's shards by number; none where there is no folder."""
    if not folder.is_dir():
        return {}
    found = ((_SHARD.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in found if match is not None}


def _png(pixels: IntArray) -> bytes:
    # A higher level saves a tenth more and takes twice as long.
    options = [cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
    return bytes(cv2.imencode(".png", pixels, options)[1])


def _decoded(data: bytes, flags: int) -> Any:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ValueError("no picture")
    return pixels


def _picture(data: bytes) -> Any:
    return cv2.cvtColor(_decoded(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _unchanged(data: bytes) -> Any:
    return _decoded(data, cv2.IMREAD_UNCHANGED)


def _packed(scans: Mapping[str, Scan]) -> bytes:
    arrays: dict[str, Any] = {}
    for name, scan in scans.items():
        arrays |= {f"{name}/{part}": getattr(scan, part) for part in Scan.PARTS}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _unpacked(data: bytes) -> dict[str, Scan]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        names = {key.split("/")[0]: None for key in archive.files}
        return {name: Scan(*(archive[f"{name}/{part}"] for part in Scan.PARTS)) for name in names}


# Name of a part -> (file suffix, how its bytes are read).
_PARTS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "image": ("jpg", _picture),
    "jpeg": ("jpg", bytes),
    "depth": ("depth.png", lambda data: decode_depth(_unchanged(data))),
    "info": ("json", json.loads),
    "labels": ("labels.png", _unchanged),
    "instances": ("instances.png", _unchanged),
    "normals": ("normals.png", lambda data: decode_normals(_picture(data))),
    "points": ("points.npz", _unpacked),
}

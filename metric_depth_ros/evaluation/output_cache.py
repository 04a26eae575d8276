"""Cache of networks' outputs on disk, by a fingerprint of image, network and settings."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from metric_depth_ros.array_files import read_npz
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.files import read_limited
from metric_depth_ros.types import Array, Camera, ImageArray, Kind, RelativeDepth

_LOG = logging.getLogger(__name__)
_FORMAT = 1  # Increase it when the meaning of stored data changes.
_LARGEST = 1 << 31
_DIGEST = hashlib.sha256().digest_size
_FEATURE = "feature "
# Seconds after which an unfinished file was left by a process that ended early.
_LEFT_S = 3600.0
# Of so many stores one counts the folder again: others may write to it.
_STORES = 100
DTYPES = ("float32", "float16")


class OutputCache:
    """Relative depth by fingerprint, in one folder that any number of processes may share.

    An entry is written whole or not at all. A damaged one is as good as none: it is computed again.

    Attributes:
        hits, misses: counts of ``through``.
    """

    def __init__(self, folder: str | Path, *, limit_bytes: int = 10**10, dtype: str = "float32") -> None:
        """Opens or makes the folder.

        Args:
            limit_bytes: beyond it the entries that were not used for longest are removed.
            dtype: of stored values. float16 halves the size and rounds to 11 bits: a relative error of .0005
                at most, for values above 1/16000 of the largest.

        Raises:
            ConfigError: another ``dtype``.
            InputError: the folder cannot be made.
        """
        if dtype not in DTYPES:
            raise ConfigError(f"cache: values of {dtype}; needed {' or '.join(DTYPES)}.")
        self.folder, self._limit, self._dtype = Path(folder), limit_bytes, np.dtype(dtype)
        self.hits = self.misses = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._size = sum(size for _, size, _ in self._entries())
        except OSError as error:
            raise InputError(
                f"{folder}: {error.strerror}; needed a folder for the cache. Choose another."
            ) from error

    def through(self, key: str, compute: Callable[[], RelativeDepth]) -> RelativeDepth:
        """Stored output of a key; else ``compute``'s, which is stored. The same the first time and later."""
        found = self.load(key)
        if found is not None:
            self.hits += 1
            return found
        self.misses += 1
        content = _encoded(compute(), self._dtype)
        self._store(key, content)
        return _decoded(content)

    def load(self, key: str) -> RelativeDepth | None:
        """Stored output of a key; None if there is none, or it is damaged."""
        path = self._path(key)
        try:
            data = read_limited(path, _LARGEST)
            with suppress(OSError):
                os.utime(path)  # it is in use
            if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
                raise InputError("is damaged")
            return _decoded(data[_DIGEST:])
        except FileNotFoundError:
            return None
        except (OSError, InputError, ValueError) as error:
            _LOG.warning("%s: %s; computed again", path, error)
            return None

    def _store(self, key: str, content: bytes) -> None:
        path, growing = self._path(key), self.folder / f".{secrets.token_hex(8)}.part"
        data = hashlib.sha256(content).digest() + content
        try:
            self._make_room(len(data))
            path.parent.mkdir(exist_ok=True)
            growing.write_bytes(data)
            growing.replace(path)
            self._size += len(data)
        except OSError as error:
            _LOG.warning("%s: cannot keep an output: %s", self.folder, error.strerror)
            growing.unlink(missing_ok=True)

    def _make_room(self, wanted: int) -> None:
        """Removes what was not used for longest until ``wanted`` bytes more are within the limit."""
        if self._size + wanted <= self._limit and self.misses % _STORES:
            return
        entries = sorted(self._entries())
        self._size = sum(size for _, size, _ in entries)
        goal = self._limit if self._size + wanted <= self._limit else 0.9 * self._limit
        for _, size, path in entries:
            if self._size + wanted <= goal:
                break
            path.unlink(missing_ok=True)
            self._size -= size

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Last use, bytes and path of every entry; removes files that were left unfinished."""
        for path in self.folder.glob(".*.part"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _LEFT_S:
                    path.unlink()
        for path in self.folder.glob("??/*.npz"):
            with suppress(OSError):  # another process may have removed it
                about = path.stat()
                yield about.st_mtime, about.st_size, path

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"


def fingerprint(network: str, image: ImageArray, camera: Camera | None) -> str:
    """Fingerprint of an output: of a network with its settings (a text), an image and its camera."""
    told = None if camera is None else (np.asarray(camera.K).tolist(), camera.distortion_model, camera.D)
    about = json.dumps([_FORMAT, network, told, image.shape, str(image.dtype)])
    digest = hashlib.sha256(about.encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _encoded(relative: RelativeDepth, dtype: np.dtype[Any]) -> bytes:
    file = io.BytesIO()
    about = {"kind": relative.kind, "metric": relative.metric, "network": relative.network}
    arrays = {_FEATURE + name: values for name, values in relative.features.items()}
    stored: dict[str, Array] = {"about": np.array(json.dumps(about))}
    for name, values in {"values": relative.values, **arrays}.items():
        stored[name], stored[f"{name} unit"] = _scaled(np.asarray(values), dtype)
    np.savez(file, **stored)  # type: ignore[arg-type]  # of NumPy's own flags
    return file.getvalue()


def _scaled(values: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Values in units of their largest, so that half precision holds all of them, and the unit."""
    if dtype == np.float32:
        return values.astype(dtype), np.ones(1, np.float32)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    unit = np.array([largest or 1], np.float32)
    return (values / unit).astype(dtype), unit


def _decoded(content: bytes) -> RelativeDepth:
    """Output of an entry. Raises InputError or ValueError if it is damaged."""
    stored = read_npz(io.BytesIO(content), (), _LARGEST)
    if "about" not in stored or "values" not in stored:
        raise InputError("holds no output of a network")
    about = json.loads(str(stored["about"]))
    arrays = {
        name: values.astype(np.float32) * stored[f"{name} unit"]
        for name, values in stored.items()
        if name == "values" or (name.startswith(_FEATURE) and not name.endswith(" unit"))
    }
    features = {name[len(_FEATURE) :]: values for name, values in arrays.items() if name != "values"}
    return RelativeDepth(
        arrays["values"], cast(Kind, about["kind"]), bool(about["metric"]), features, about["network"]
    )

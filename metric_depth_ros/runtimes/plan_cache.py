"""Cache of results that take long to compute, such as TensorRT plans, in the user's cache directory.

A serialised plan holds machine code. It is loaded only if no other user can write its directory and file,
and only if its fingerprint and its sha256 match.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.fingerprint import Fingerprint

_LOG = logging.getLogger(__name__)

_GROWING = ".growing-"
_LEFT_S, _UNUSED_S = 86400.0, 90 * 86400.0


class UnsafeCacheError(Exception):
    """Raised if another user could have written a file or directory."""


def default_folder() -> Path:
    """Cache folder: $XDG_CACHE_HOME/metric_depth_ros, by default ~/.cache/metric_depth_ros."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification: paths that are not absolute are ignored.
    root = Path(home) if os.path.isabs(home) else Path("~/.cache").expanduser()
    return root / "metric_depth_ros"


class PlanError(ModelError):
    """Raised if a library rejects a stored plan."""


class PlanCache:
    """Stored bytes by fingerprint. What cannot be read or written safely is built again, with a warning."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = default_folder() if root is None else root

    def load(self, fingerprint: Fingerprint) -> bytes | None:
        """Bytes stored under exactly this fingerprint, or None."""
        path = self.root / fingerprint.slot
        try:
            header, _, content = self._read(fingerprint.slot).partition(b"\n")
            stored = json.loads(header)
            sha256, found = stored["sha256"], stored["fingerprint"]
        except FileNotFoundError:
            return None
        except (OSError, UnsafeCacheError) as error:
            _LOG.warning("%s: not used: %s", path, error)
            return None
        except (ValueError, KeyError, TypeError):
            _LOG.warning("%s: not used: damaged", path)
            return None
        if differences := fingerprint.differences(found):
            _LOG.info("%s: not used: %s", path, differences)
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            _LOG.warning("%s: not used: truncated or changed", path)
            return None
        return content

    def store(self, fingerprint: Fingerprint, content: bytes) -> None:
        """Stores bytes atomically: readers find either the old or the new file, complete."""
        header = {"sha256": hashlib.sha256(content).hexdigest(), "fingerprint": fingerprint.as_json()}
        try:
            self._make(self.root)
            self._prune()
            self._write(fingerprint.slot, json.dumps(header).encode(), b"\n", content)
        except (OSError, UnsafeCacheError) as error:
            _LOG.warning("%s: cannot keep %s: %s", self.root, fingerprint.slot, error)

    def load_or_build(self, fingerprint: Fingerprint, build: Callable[[], bytes]) -> bytes:
        """Stored bytes; if there are none, ``build`` makes them and they are stored."""
        content = self.load(fingerprint)
        if content is None:
            _LOG.info(
                "building engine, may take minutes: %s %s on %s",
                fingerprint.runtime,
                fingerprint.precision,
                fingerprint.device,
            )
            content = build()
            self.store(fingerprint, content)
        return content

    def folder(self, name: str) -> Path | None:
        """Safe directory for a library with its own cache; None if there is none."""
        path = self.root / name
        try:
            self._make(self.root)
            self._make(path)
            with suppress(OSError):
                os.utime(path)
        except (OSError, UnsafeCacheError) as error:
            _LOG.warning("%s: not used: %s", path, error)
            return None
        return path

    def _prune(self) -> None:
        """Removes files not used for long, and unfinished files of processes that ended early."""
        now = time.time()
        for path in self.root.iterdir():
            left = path.name.startswith(_GROWING)
            with suppress(OSError):
                if now - path.lstat().st_mtime > (_LEFT_S if left else _UNUSED_S):
                    _remove(path)

    def _make(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(_opened(path, os.O_DIRECTORY))

    def _read(self, name: str) -> bytes:
        folder = _opened(self.root, os.O_DIRECTORY)
        try:
            with os.fdopen(_opened(Path(name), 0, folder), "rb") as file:
                with suppress(OSError):
                    os.utime(file.fileno())  # it is in use
                return file.read()
        finally:
            os.close(folder)

    def _write(self, name: str, *parts: bytes) -> None:
        """Writes a file whole: first under another name, and in the folder that is checked, not its name."""
        folder, growing = _opened(self.root, os.O_DIRECTORY), _GROWING + secrets.token_hex(8)
        try:
            number = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
            with os.fdopen(number, "wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            os.replace(growing, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(growing, dir_fd=folder)
            raise
        finally:
            os.close(folder)


class Attempt(PlanCache):
    """Cache for one attempt with one candidate: what it builds is stored only after the self-test."""

    def __init__(self, cache: PlanCache) -> None:
        super().__init__(cache.root)
        self._built: list[tuple[Fingerprint, bytes]] = []
        self._places: list[Path] = []
        self._reused = False

    def load(self, fingerprint: Fingerprint) -> bytes | None:
        """Bytes stored under exactly this fingerprint, or None."""
        content = super().load(fingerprint)
        if content is not None:
            self._places.append(self.root / fingerprint.slot)
            self._reused = True
        return content

    def store(self, fingerprint: Fingerprint, content: bytes) -> None:
        """Holds the bytes until ``passed``."""
        self._built.append((fingerprint, content))

    def folder(self, name: str) -> Path | None:
        """Safe directory for a library with its own cache; None if there is none."""
        path = super().folder(name)
        if path is not None:
            self._places.append(path)
            self._reused |= any(path.iterdir())
        return path

    def passed(self) -> None:
        """The self-test passed: stores what was built."""
        for fingerprint, content in self._built:
            super().store(fingerprint, content)

    def failed(self) -> bool:
        """The self-test failed: removes what was stored; True if it had been used, so rebuilding may help."""
        for path in self._places:
            _remove(path)
        return self._reused


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _opened(path: Path, flags: int, folder: int | None = None) -> int:
    """Descriptor of a file or folder that is no link, belongs to the user, and is not writable by others.

    Checks are on the descriptor, not the name, so the checked file is the one that is read.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP or os.path.islink(path):
            raise UnsafeCacheError("it is a symbolic link. Remove it.") from error
        raise
    found = os.fstat(number)
    kind = stat.S_ISDIR if flags & os.O_DIRECTORY else stat.S_ISREG
    problem = ""
    if not kind(found.st_mode):
        problem = "it is no ordinary file. Remove it."
    elif found.st_uid != os.geteuid():
        problem = f"it belongs to user {found.st_uid}, not to you. Remove it."
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"others may write it (mode {stat.S_IMODE(found.st_mode):o}). Remove it, or chmod go-w it."
    if problem:
        os.close(number)
        raise UnsafeCacheError(problem)
    return number

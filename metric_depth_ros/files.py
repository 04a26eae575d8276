"""Opens files that others made: only regular ones, and only as much as is wanted.

A pipe in place of a file would hang whoever opens it, and a file of gigabytes fill the memory. All errors are
OSErrors, as those of ``open``: their ``strerror`` says what was found.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_LEAST_READ = 1 << 16
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str | Path) -> BinaryIO:
    """A regular file, or a link to one, opened for reading bytes. Never waits.

    Raises:
        OSError: there is none, it must not be read, or it is a folder, pipe, socket or device.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a zero byte in the name
        raise OSError(errno.EINVAL, f"no name of a file ({error})", str(path)) from error
    try:
        _check(os.fstat(number), path)
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def need_regular(path: str | Path) -> None:
    """Raises OSError as ``open_regular``, before another library opens the file."""
    open_regular(path).close()


def read_limited(path: str | Path, limit: int) -> bytes:
    """All of a regular file, which may have ``limit`` bytes.

    Raises:
        OSError: as ``open_regular``, or the file is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        # As much memory as the file needs; those of /proc say a size of 0.
        data = file.read(max(size, _LEAST_READ) + 1) if size <= limit else b""
    if max(size, len(data)) > limit:
        raise OSError(errno.EFBIG, f"more than {in_words(limit)}, too large for what it is", str(path))
    return data


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """The folder, made if it does not exist, for this process alone while the context lasts.

    Raises:
        OSError: it cannot be made, or another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(errno.EBUSY, "another run writes to it", str(folder)) from error
        yield
    finally:
        os.close(number)


def inside(folder: Path, name: str) -> Path:
    """Path of a file that another file names, in a folder or below it.

    Raises:
        OSError: the name leads out of the folder, or no file can be named so.
    """
    if os.path.isabs(name) or os.pardir in Path(name).parts or "\0" in name:
        raise OSError(errno.EPERM, "leads out of the folder", name)
    if not name.strip("./"):
        raise OSError(errno.EINVAL, "no name of a file", name)
    return folder / name


def user_path(name: str) -> Path:
    """Path of a name in which ~ stands for a home; a ~ of nobody stays as it is."""
    return Path(os.path.expanduser(name))


def in_words(size: int) -> str:
    """A number of bytes in words: 1.5 GB."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} bytes"


def _check(about: os.stat_result, path: str | Path) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, no file", str(path))
    if not stat.S_ISREG(about.st_mode):
        found = _KINDS.get(stat.S_IFMT(about.st_mode), "something else")
        raise OSError(errno.EINVAL, f"{found}, no regular file", str(path))

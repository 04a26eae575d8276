"""What verbs write: folders that one run holds alone, and pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import cv2

from metric_depth_ros.errors import InputError
from metric_depth_ros.files import locked_folder
from metric_depth_ros.types import ImageArray


@contextmanager
def own_folder(out: Path) -> Iterator[None]:
    """The folder, made if it does not exist, for this run alone; one that fails leaves no empty folder.

    Raises InputError if another has it.
    """
    is_new = not os.path.lexists(out)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked_folder(out))
        except OSError as error:
            raise InputError(
                f"{out}: {error.strerror}; needed a folder to write to. Choose another."
            ) from error
        try:
            yield
        except BaseException:
            if is_new:
                with suppress(OSError):  # it has something
                    out.rmdir()
            raise


def keep_from_replacing(paths: Iterable[Path], *, overwrite: bool, flag: str = "--out") -> list[Path]:
    """Those of the paths that exist. Raises InputError if one does and must not be replaced.

    ``flag``: the option that names another.
    """
    old = [path for path in paths if os.path.lexists(path)]
    if old and not overwrite:
        raise InputError(f"{old[0]}: exists already. Choose another {flag}, or pass --overwrite to replace.")
    return old


def check_picture(path: Path, *, overwrite: bool = False) -> None:
    """Makes the folder of a picture. Raises InputError if it cannot be written, or would replace a file."""
    keep_from_replacing([path], overwrite=overwrite)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"{path}: needed the name of a picture, .png or .jpg.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent}: {error.strerror}; needed a folder to write to.") from error


def save_picture(path: Path, picture: ImageArray) -> None:
    """Writes an RGB picture, whole or not at all. A link at ``path`` is replaced, not followed.

    Raises:
        InputError: the name has no known suffix, or the file cannot be written.
    """
    try:
        encoded = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    except cv2.error as error:
        raise InputError(f"{path}: cannot be written; needed the name of a picture, .png or .jpg.") from error
    try:
        _replace(path, encoded.tobytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed room and leave to write it.") from error


def _replace(path: Path, data: bytes) -> None:
    growing = path.with_name(f".{path.name}.{os.getpid()}.part")
    growing.unlink(missing_ok=True)
    try:
        with growing.open("xb") as file:
            file.write(data)
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)

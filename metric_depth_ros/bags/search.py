"""Finds the bags in a folder and below it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from metric_depth_ros.bags.folder import METADATA
from metric_depth_ros.bags.storage import SUFFIXES

_PART = re.compile(r"(.+)_(\d+)")


def find_bags(
    folder: Path, *, leave_out: Path | None = None, also: Callable[[Path], bool] = lambda folder: False
) -> Iterator[Path]:
    """Yields the bags in a folder, by name: files, and folders that are one bag.

    A folder is one bag if it holds a metadata.yaml, or the parts of one recording (NAME_0.bag, NAME_1.bag,
    ...) and no other bag and no folder. Hidden folders and links to folders are passed over. A folder that
    must not be read is yielded, so that whoever opens it says so.

    Args:
        leave_out: a folder that is passed over.
        also: whether a folder is something else that is wanted as a whole.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    bags = [entry.name for entry in entries if Path(entry.name).suffix in SUFFIXES and not entry.is_dir()]
    below = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name[0] != "."]
    if (
        any(entry.name == METADATA for entry in entries)
        or also(folder)
        or (not below and is_one_recording(bags))
    ):
        yield folder
    else:
        for name in sorted((*bags, *below)):
            path = folder / name
            if name in bags:
                yield path
            elif path != leave_out:
                yield from find_bags(path, leave_out=leave_out, also=also)


def is_one_recording(names: Sequence[str]) -> bool:
    """Whether files are the parts of one recording, numbered from 0 on."""
    parts = [(_PART.fullmatch(Path(name).stem), Path(name).suffix) for name in names]
    numbers = sorted(int(match[2]) for match, _ in parts if match)
    same = len(
        {(match[1] if match else name, suffix) for name, (match, suffix) in zip(names, parts, strict=True)}
    )
    return len(names) > 1 and same == 1 and numbers == list(range(len(names)))


def files_of(bag: Path) -> list[Path]:
    """Files of a bag, or of a folder that is wanted as a whole, at any depth. Raises OSError."""
    return sorted(path for path in bag.rglob("*") if path.is_file()) if bag.is_dir() else [bag]

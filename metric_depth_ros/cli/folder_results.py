"""Results of `metric_depth run` of a folder of bags: each whole or not there, with what it was made of."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metric_depth_ros.documents import read_json
from metric_depth_ros.errors import InputError, MetricDepthError, shortened

RESULT, SETTINGS = "result.json", "settings.json"
_SHORT = 200
# A folder of results while it grows, or is replaced.
_LEFT = re.compile(r"\.(.+)\.[0-9a-f]{8}\.(part|old)")


@dataclass(frozen=True)
class Row:
    """What came of a recording.

    Attributes:
        bag: its path in the folder.
        images, depth_images: how many it has, and how many of them got depth.
        held_out_abs_rel, held_out_coverage: at the points held out; None without such.
        median_ms: of the computation for an image; None without any depth.
        seconds: in all, with loading, reading and writing.
        notes: what else was found, as ``run`` prints it.
        error: why there is no depth; empty if there is.
    """

    bag: str
    images: int = 0
    depth_images: int = 0
    held_out_abs_rel: float | None = None
    held_out_coverage: float | None = None
    median_ms: float | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""


def digest(value: Any) -> str:
    """Hash of a value for JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, (set, frozenset)) else str(value)


def kept(folder: Path, fingerprint: str) -> Row | None:
    """Row of an earlier run of the same fingerprint whose files are all there, in full; else None."""
    try:
        told = read_json(folder / RESULT, InputError, "a result")
        whole = all((folder / name).stat().st_size == size for name, size in told["files"].items())
        row = Row(**{**told["row"], "notes": tuple(told["row"]["notes"])})
        return row if whole and told["fingerprint"] == fingerprint else None
    except (InputError, OSError, KeyError, TypeError, AttributeError):
        return None


def write_row(folder: Path, row: Row, fingerprint: str) -> None:
    """Writes the row of a recording beside its results, with their sizes. Raises OSError."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    told = {"fingerprint": fingerprint, "files": sizes, "row": dataclasses.asdict(row)}
    (folder / RESULT).write_text(json.dumps(told, indent=1), encoding="utf-8")


@contextmanager
def taking_the_place_of(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of another, or of none, if the block ends without an error.

    Several may be made at once, by workers of which one was believed dead: the last one stays.

    Raises:
        InputError: what is there is no result.
        OSError: the folder cannot be made or renamed.
    """
    clear(folder)
    if os.path.lexists(folder) and not (folder / RESULT).is_file():
        raise InputError(f"{folder}: exists already, and is no result of this command. Choose another --out.")
    name = f".{folder.name}.{uuid.uuid4().hex[:8]}"
    growing, old = folder.with_name(f"{name}.part"), folder.with_name(f"{name}.old")
    growing.mkdir(parents=True)
    try:
        yield growing
        if folder.exists():
            folder.rename(old)
        growing.rename(folder)
    finally:
        for rest in (growing, old):
            shutil.rmtree(rest, ignore_errors=True)


def clear(folder: Path) -> None:
    """Removes what workers that were killed have left of the results for a folder."""
    for path in folder.parent.iterdir() if folder.parent.is_dir() else ():
        match = _LEFT.fullmatch(path.name)
        if match and match[1] == folder.name:
            shutil.rmtree(path, ignore_errors=True)


def clear_all(root: Path) -> None:
    """Removes what is left of killed workers in a folder and below it, once all have ended."""
    for folder, names, _ in os.walk(root):
        for name in [name for name in names if _LEFT.fullmatch(name)]:
            names.remove(name)
            shutil.rmtree(Path(folder) / name, ignore_errors=True)


def settle_settings(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
    """Writes the settings of all results to their folder.

    Raises:
        InputError: it holds results of others, and they are not to be replaced.
        OSError: they cannot be written.
    """
    path = folder / SETTINGS
    text = json.dumps(settings, indent=1, default=_plain)
    if path.exists() and not overwrite:
        before, ours = read_json(path, InputError, "settings of an earlier run"), json.loads(text)
        before = before if isinstance(before, dict) else {}
        names = [name for name in {**ours, **before} if ours.get(name) != before.get(name)]
        if names:
            raise InputError(
                f"{folder}: holds results of other settings ({shortened(', '.join(names), _SHORT)}); needed "
                "the same. Choose another --out, or pass --overwrite to replace them."
            )
    path.write_text(text, encoding="utf-8")


def write_summary(folder: Path, rows: list[Row]) -> None:
    """Writes summary.jsonl, a line for each recording, and the table summary.md. Raises OSError."""
    lines = [json.dumps(dataclasses.asdict(row)) for row in rows]
    (folder / "summary.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "summary.md").write_text(table(rows), encoding="utf-8")


def table(rows: list[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        "| bag | images | with depth | held-out AbsRel | covered | median ms | s | error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        error = " ".join(shortened(row.error, _SHORT).split()).replace("|", "\\|")
        cells = (
            row.bag.replace("|", "\\|"), row.images, row.depth_images, _number(row.held_out_abs_rel, ".4f"),
            _number(row.held_out_coverage, ".3f"), _number(row.median_ms, ".0f"), f"{row.seconds:.1f}", error,
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def totals(rows: list[Row]) -> str:
    """All rows in one line."""
    failed = sum(bool(row.error) for row in rows)
    depths, images = sum(row.depth_images for row in rows), sum(row.images for row in rows)
    parts = [
        f"{len(rows)} recordings, {failed} without depth",
        f"depth for {depths} of {images} images",
    ]
    errors = [row.held_out_abs_rel for row in rows if row.held_out_abs_rel is not None]
    if errors:
        parts.append(f"held-out AbsRel {sum(errors) / len(errors):.4f} (mean of {len(errors)})")
    return ", ".join(parts)


def row_of_error(bag: str, error: Exception, seconds: float) -> Row:
    """Row of a recording that has no results; of a bug the last line of its traceback."""
    whole = isinstance(error, MetricDepthError)
    text = str(error) if whole else (str(error).strip().splitlines() or [repr(error)])[-1]
    return Row(bag, seconds=seconds, error=text)

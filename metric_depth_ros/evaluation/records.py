"""Records on disk: JSON lines, to which a run appends, or Parquet."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, get_args

from metric_depth_ros.documents import json_lines, required_keys
from metric_depth_ros.errors import ConfigError, InputError, MetricDepthError
from metric_depth_ros.evaluation.places import Place
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.files import need_regular

LINES, PARQUET = "records.jsonl", "records.parquet"
FORMATS = ("jsonl", "parquet")
_ERROR = "errors."
_NEEDED = "needed the records of metric_depth evaluate --out"
_FIELDS, _REQUIRED = {field.name: field for field in dataclasses.fields(Record)}, required_keys(Record)


class Journal:
    """File of JSON lines that grows with a run; a later run goes on where one was interrupted.

    Attributes:
        records: those that were there.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        """Opens the file, anew unless ``resume``; a line that was cut off is removed.

        Raises:
            InputError: the file cannot be written, or holds something else.
        """
        self.records: list[Record] = []
        try:
            if resume and path.exists():
                _cut(path)
                self.records = list(_read_lines(path))
            self._file: TextIO = path.open("a" if resume else "w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; needed a file to write to.") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, records: Iterable[Record]) -> None:
        """Appends records. Raises OSError, as for a full disk."""
        self._file.writelines(f"{_line(record)}\n" for record in records)
        self._file.flush()


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Writes one JSON object per line, NaN as null. Raises InputError if the file cannot be written."""
    with Journal(Path(path)) as journal:
        journal.write(records)


def need_parquet() -> None:
    """Raises ConfigError if Parquet cannot be read and written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "records: pyarrow is not installed; needed for Parquet. pip install 'metric_depth_ros[parquet]', "
            "or use jsonl."
        ) from error


def write_parquet(path: str | Path, records: Sequence[Record]) -> None:
    """Writes a row per record and a column per field; a column "errors.NAME" for each metric.

    Raises:
        ConfigError: pyarrow is not installed.
        InputError: the file cannot be written.
    """
    need_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    growing = path.with_name(f".{path.name}.part")
    try:
        pq.write_table(pa.Table.from_pylist([_flat(record) for record in records]), growing)
        growing.replace(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; needed a file to write to.") from error
    finally:
        growing.unlink(missing_ok=True)


def read_records(path: str | Path) -> list[Record]:
    """Records of a run's folder, or of a file of either format.

    Raises:
        ConfigError: it is Parquet, and pyarrow is not installed.
        InputError: there are none, or they cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        found = [path / name for name in (LINES, PARQUET) if (path / name).exists()]
        if not found:
            raise InputError(f"{path}: no {LINES} and no {PARQUET}; {_NEEDED}.")
        path = found[0]
    records = list(_read_parquet(path) if path.suffix == ".parquet" else _read_lines(path))
    if not records:
        raise InputError(f"{path}: no record; {_NEEDED}.")
    return records


def _read_lines(path: Path) -> Iterator[Record]:
    for where, tree in json_lines(path, _NEEDED):
        yield _record(tree, where)


def _read_parquet(path: Path) -> Iterator[Record]:
    need_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        need_regular(path)
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    yield _record(_nested(row), str(path))
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet; {_NEEDED}.") from error


def _cut(path: Path) -> None:
    """Removes what follows the last whole line."""
    with path.open("rb+") as file:
        size = file.seek(0, 2)
        kept, step = size, 1 << 16
        while kept:
            start = max(0, kept - step)
            file.seek(start)
            at = file.read(kept - start).rfind(b"\n")
            if at >= 0:
                file.truncate(start + at + 1)
                return
            kept = start
        file.truncate(0)


def _line(record: Record) -> str:
    return json.dumps(_without_nan(dataclasses.asdict(record)))


def _without_nan(value: Any) -> Any:
    """The same with None for NaN, which JSON does not know, in objects inside too."""
    if isinstance(value, Mapping):
        return {key: _without_nan(each) for key, each in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _flat(record: Record) -> dict[str, Any]:
    tree = dataclasses.asdict(record)
    errors = tree.pop("errors")
    lists = {name: list(value) for name, value in tree.items() if isinstance(value, tuple)}
    return {**tree, **lists, **{_ERROR + name: value for name, value in errors.items()}}


def _nested(row: Mapping[str, Any]) -> dict[str, Any]:
    errors = {name[len(_ERROR) :]: value for name, value in row.items() if name.startswith(_ERROR)}
    rest = {name: value for name, value in row.items() if not name.startswith(_ERROR)}
    return {**rest, "errors": errors}


def _record(tree: Any, where: str) -> Record:
    """Record of a JSON object. Raises InputError if a field is missing, unknown or of another type."""
    if not isinstance(tree, dict) or (unknown := set(tree) - set(_FIELDS)):
        told = f"field {sorted(unknown)[0][:40]!r}" if isinstance(tree, dict) else "no object"
        raise InputError(f"{where}: {told}; {_NEEDED}.")
    given = {}
    for name, field in _FIELDS.items():
        if name in tree:
            given[name] = _value(tree[name], str(field.type), f"{where}, {name}")
        elif name in _REQUIRED:
            raise InputError(f"{where}: no {name}; {_NEEDED}.")
    with suppress(MetricDepthError):
        record = Record(**given)
        _ = record.case
        return record
    raise InputError(f"{where}: an unknown protocol, or a count that it cannot have; {_NEEDED}.")


def _length(kind: str, value: Sequence[Any]) -> int:
    """Length that a tuple of a field has; any is right where its type ends in dots."""
    return len(value) if kind.endswith("...]") else kind.count(",") + 1


def _value(value: Any, kind: str, where: str) -> Any:
    """Value of a field, null as NaN. Raises InputError for another type."""
    if kind.startswith("Mapping") and isinstance(value, dict):
        return {name: _value(each, "float", where) for name, each in value.items()}
    if kind.startswith("tuple") and isinstance(value, (list, tuple)) and len(value) == _length(kind, value):
        return tuple(_value(each, "float", where) for each in value)
    if kind == "float" and (value is None or type(value) in (int, float)):
        return float("nan") if value is None else float(value)
    if (kind == "Place" and value in get_args(Place)) or type(value).__name__ == kind:
        return value
    raise InputError(f"{where}: not {kind}; {_NEEDED}.")

"""Figures that the papers print, from published.yaml, and which of them are of the same data and protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from metric_depth_ros.documents import read_yaml
from metric_depth_ros.errors import InputError

_FILE = Path(__file__).with_name("published.yaml")
_LEADING = 3  # cells of a row before its values: network, method, case


@dataclass(frozen=True)
class Data:
    """What was evaluated on; figures can be compared only where all of it is the same.

    Attributes:
        dataset: name of the format, as in ``datasets.DATASETS``; empty: none that is published.
        split: of its frames; empty: not told, or one that others cannot have.
        limits_m: nearest and farthest true depth that counts; None: not told.
        frames: their number; None: not told.
    """

    dataset: str
    split: str = ""
    limits_m: tuple[float, float] | None = None
    frames: int | None = None

    def is_same(self, other: Data) -> bool:
        """Whether figures on both can be compared; what one of them does not tell is no difference."""
        forms = _tree()["forms"]
        ours, theirs = (forms.get(data.dataset, data.dataset) for data in (self, other))
        named = bool(self.dataset and self.split)
        same = (ours, self.split) == (theirs, other.split)
        pairs = ((self.limits_m, other.limits_m), (self.frames, other.frames))
        return named and same and all(a is None or b is None or a == b for a, b in pairs)


@dataclass(frozen=True)
class PublishedRow:
    """One row of a paper's table at one case.

    Attributes:
        paper, table: its number here, and the table's in it.
        data: what it is of.
        network, method: in the paper's words.
        solver: ours that is the method; empty: none.
        case: protocol and count, as ``groups.case_name`` has it; "whole": fitted to all true depth;
            "none": no anchors.
        errors: by metric; metrics that the row does not give are left out.
        note: what a reader must know of the table; or empty.
        by_case: whether the paper has a column for each case and metric, not one for each metric.
    """

    paper: str
    table: str
    data: Data
    network: str
    method: str
    solver: str
    case: str
    errors: Mapping[str, float]
    note: str = ""
    by_case: bool = False

    @property
    def source(self) -> str:
        """Paper and table in a few words."""
        return f"paper {self.paper}, table {self.table}"


@cache
def titles() -> dict[str, str]:
    """Titles of the papers by their numbers here."""
    return dict(_tree()["papers"])


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """All rows, in the order of the papers."""
    tree = _tree()
    return tuple(_row(table, row, tree["solvers"]) for table in tree["tables"] for row in table["rows"])


def rows_of(paper: str, table: str) -> list[PublishedRow]:
    """Rows of a paper's table. Raises InputError if there is none."""
    found = [row for row in published_rows() if (row.paper, row.table) == (paper, table)]
    if not found:
        known = ", ".join(dict.fromkeys(f"{row.paper}:{row.table}" for row in published_rows()))
        raise InputError(f"published table {paper}:{table}: unknown; needed one of {known}.")
    return found


def same_as(data: Data, cases: Sequence[str], metrics: Sequence[str]) -> list[PublishedRow]:
    """Rows on the same data, at one of the cases, with one of the metrics at least."""
    return [
        row
        for row in published_rows()
        if row.data.is_same(data) and row.case in cases and any(name in row.errors for name in metrics)
    ]


@cache
def _tree() -> dict[str, Any]:
    return dict(read_yaml(_FILE, InputError, "the file of the package"))


def _row(table: Mapping[str, Any], row: Sequence[Any], solvers: Mapping[str, str]) -> PublishedRow:
    network, method, case = map(str, row[:_LEADING])
    values = zip(table["metrics"], row[_LEADING:], strict=True)
    limits = table.get("limits_m")
    data = Data(
        table["dataset"] or "",
        table["split"] or "",
        None if limits is None else (float(limits[0]), float(limits[1])),
        table.get("frames"),
    )
    errors = {name: float(value) for name, value in values if value is not None}
    return PublishedRow(
        table["paper"], table["table"], data, network, method, solvers.get(method, ""), case, errors,
        table.get("note", ""), table.get("columns") == "cases",
    )  # fmt: skip

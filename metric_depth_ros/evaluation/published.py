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
_BY_REGION = ("paper_slf", "paper_ssf")
_LEADING = 3  # cells of a row before its values: network, method, case


@dataclass(frozen=True)
class Data:
    """What was evaluated on; figures can be compared only where all of it is the same.

    Attributes:
        dataset: name of the format, as in ``datasets.DATASETS``; empty: none that is published.
        split: of its frames; empty: not told, or one that others cannot have.
        limits_m: nearest and farthest true depth that counts, a None for what is not told; None: neither is.
        frames: their number; None: not told.
        flip: whether depth is the mean with that of the mirror image.
        anchor_pixels: whether pixels with an anchor are evaluated, too.
        space: of lines that are fitted to the whole truth; empty: not told, or several.
        regions: their source, as ``regions.source`` has it, or "dataset"; empty: not told, or several.
        pooled: datasets whose frames are one mean, each frame as often as another; ``dataset`` is empty.
    """

    dataset: str
    split: str = ""
    limits_m: tuple[float | None, float] | None = None
    frames: int | None = None
    flip: bool = False
    anchor_pixels: bool = True
    space: str = ""
    regions: str = ""
    pooled: tuple[str, ...] = ()

    def is_same(self, other: Data) -> bool:
        """Whether figures on both can be compared.

        Limits that one of them does not tell are no difference; tables say so. Space and regions matter to
        some methods only: ``PublishedRow.is_same``.
        """
        forms = _tree()["forms"]
        ours, theirs = (forms.get(data.dataset, data.dataset) for data in (self, other))
        named = bool(self.dataset and self.split)
        same = (ours, self.split, self.frames) == (theirs, other.split, other.frames)
        alike = (self.flip, self.anchor_pixels) == (other.flip, other.anchor_pixels)
        pairs = zip(self.limits_m or (None, None), other.limits_m or (None, None), strict=True)
        within = all(a is None or b is None or a == b for a, b in pairs)
        return named and same and alike and within and self.frames is not None

    @property
    def title(self) -> str:
        """Dataset, split and range of depth, in words."""
        told = "" if not self.dataset else f"@{self.split}" if self.split else ", split not told"
        pooled = f"{' and '.join(self.pooled)} together" if self.pooled else ""
        return f"{self.dataset or pooled or 'several sets or none told'}{told}, {self.told_limits}"

    @property
    def told_limits(self) -> str:
        """Range of the true depth, in words."""
        if self.limits_m is None:
            return "range not told"
        near, far = self.limits_m
        return f"truth to {far:g} m, nearest not told" if near is None else f"truth {near:g} to {far:g} m"


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

    def is_same(self, data: Data) -> bool:
        """Whether figures of ours on the data can be compared with this one."""
        theirs = self.data
        by_region = "region" in self.solver or self.solver in _BY_REGION
        regions = not by_region or not theirs.regions or theirs.regions == data.regions
        space = "linear" not in self.solver or not theirs.space or theirs.space == data.space
        return theirs.is_same(data) and regions and space

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
    return tuple(
        _row(table, row, _data(table, tree["splits"]), tree["solvers"])
        for table in tree["tables"]
        for row in table["rows"]
    )


def rows_of(paper: str, table: str) -> list[PublishedRow]:
    """Rows of a paper's table. Raises InputError if there is none."""
    found = [row for row in published_rows() if (row.paper, row.table) == (paper, table)]
    if not found:
        known = ", ".join(dict.fromkeys(f"{row.paper}:{row.table}" for row in published_rows()))
        name = ":".join(filter(None, (paper, table)))
        raise InputError(f"published table {name}: unknown; needed one of {known}.")
    return found


def same_as(data: Data, cases: Sequence[str], metrics: Sequence[str]) -> list[PublishedRow]:
    """Rows on the same data, at one of the cases, with one of the metrics at least."""
    return [
        row
        for row in published_rows()
        if row.is_same(data) and row.case in cases and any(name in row.errors for name in metrics)
    ]


@cache
def _tree() -> dict[str, Any]:
    return dict(read_yaml(_FILE, InputError, "the file of the package"))


def _data(table: Mapping[str, Any], known: Mapping[str, int]) -> Data:
    dataset, split = table["dataset"] or "", table["split"] or ""
    limits = table.get("limits_m")
    return Data(
        dataset,
        split,
        None if limits is None else (None if limits[0] is None else float(limits[0]), float(limits[1])),
        table.get("frames", known.get(f"{dataset}@{split}")),
        table.get("flip", False),
        space=table.get("space", ""),
        regions=table.get("regions", ""),
        pooled=tuple(table.get("pooled", ())),
    )


def _row(
    table: Mapping[str, Any], row: Sequence[Any], data: Data, solvers: Mapping[str, str]
) -> PublishedRow:
    network, method, case = map(str, row[:_LEADING])
    values = zip(table["metrics"], row[_LEADING:], strict=True)
    factors = table.get("factors", {})
    errors = {name: float(value) * factors.get(name, 1) for name, value in values if value is not None}
    return PublishedRow(
        table["paper"], table["table"], data, network, method, solvers.get(method, ""), case, errors,
        table.get("note", ""), table.get("columns") == "cases",
    )  # fmt: skip

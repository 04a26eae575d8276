"""How the papers' tables were evaluated, as options of `metric_depth evaluate`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from metric_depth_ros.documents import read_yaml
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.paper_tables import check_measured, measured_metrics
from metric_depth_ros.evaluation.published import PublishedRow, rows_of

_FILE = Path(__file__).with_name("table_protocols.yaml")
# Of rows of what no anchors are drawn for.
_WITHOUT_ANCHORS = ("whole", "none")


class Protocol(NamedTuple):
    """How a table was evaluated.

    Attributes:
        words: of a command line, options of ``evaluate``.
        note: what the user must add or know; or empty.
    """

    words: tuple[str, ...]
    note: str = ""


def protocol_of(paper: str, table: str) -> Protocol:
    """Options with which our figures are of a table's cases, metrics and rules, and of its methods.

    What its rows tell, from published.yaml; the methods' solvers from table_protocols.yaml.

    Raises:
        InputError: there is no such table, or none of its metrics can be measured here.
    """
    check_measured(paper, table)
    rows = rows_of(paper, table)
    entry = _entries().get(f"{paper}:{table}", {})
    told = _of_rows(rows) | entry.get("options", {})
    return Protocol((*_words(told), "--table", f"{paper}:{table}"), entry.get("note", ""))


def _of_rows(rows: Sequence[PublishedRow]) -> dict[str, Any]:
    """Options that follow from a table's rows."""
    data = [row.data for row in rows]
    cases = dict.fromkeys(row.case for row in rows)
    options: dict[str, Any] = {
        "protocol": _drawn([case for case in cases if case not in _WITHOUT_ANCHORS]) or "none",
        "seeds": "1",
        "metrics": ",".join(measured_metrics(rows)),
        "anchor-pixels": "in",
        "flip": all(each.flip for each in data),
    }
    if "whole" in cases:
        options["whole-truth"] = _only(each.space for each in data) or "network"
    regions = _only(each.regions for each in data)
    if regions == "dataset":
        options["regions"] = regions
    elif regions:
        options["set"] = [f"regions.source={regions}"]
    ranges = {each.limits_m for each in data} - {None}
    if len(ranges) == 1:
        ((near, far),) = (found for found in ranges if found is not None)
        if near is not None:
            options["limits"] = f"{near:g},{far:g}"
    return options


def _drawn(cases: Iterable[str]) -> str:
    """Cases as ``--protocol`` has them: random:250,500,beams:1 of "random 250", "random 500", "beams 1"."""
    words, before = [], ""
    for case in cases:
        name, _, count = case.partition(" ")
        words.append(count if name == before else f"{name}:{count}" if count else name)
        before = name
    return ",".join(words)


def _only(values: Iterable[str]) -> str:
    """The one value that is told; empty if none is, or several."""
    found = set(filter(None, values))
    return found.pop() if len(found) == 1 else ""


@cache
def _entries() -> dict[str, Mapping[str, Any]]:
    """Entries of table_protocols.yaml by table."""
    listed = read_yaml(_FILE, InputError, "the file of the package")
    return {table: entry for entry in listed for table in entry["tables"]}


def _words(options: Mapping[str, Any]) -> list[str]:
    """Words of a command line; True is a flag, a list an option that is given several times."""
    words: list[str] = []
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            if each is True:
                words.append(f"--{name}")
            elif each is not False:
                words += [f"--{name}", *(each if isinstance(each, list) else [str(each)])]
    return words

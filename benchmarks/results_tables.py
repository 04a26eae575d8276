"""Tables of docs/results.md: the papers' claims, every solver beside ``auto``, and few anchors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from metric_depth_ros.evaluation.candidates import CONSTANT, INTERPOLATION
from metric_depth_ros.evaluation.comparison import FEW_SETS, Difference, compare
from metric_depth_ros.evaluation.groups import grouped, has_depth, mean_error, row_of
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Cell, Column, Row, Table

AUTO, NETWORK = "gaussian_process", "small"
PLACES = ("indoor", "outdoor")
# They know no network.
CONTROLS = (CONSTANT, INTERPOLATION)
# Claims of paper 000, that the second is better than the first, and two pairs of ours; the paper's fewest
# anchors.
CLAIMS = (
    ("SLF, SSF", "paper_slf", "paper_ssf"),
    ("one line for all, SLF", "paper_global", "paper_slf"),
    ("one line for all, SSF", "paper_global", "paper_ssf"),
    ("median, region median", "paper_median", "paper_region_median"),
    ("region median, SSF", "paper_region_median", "paper_ssf"),
    ("interpolation, SSF", INTERPOLATION, "paper_ssf"),
)
CLAIMED_FROM = 250


def of_case(records: Sequence[Record], protocol: str, *counts: int) -> list[Record]:
    """Records of a protocol, of all or of some counts."""
    return [r for r in records if r.protocol == protocol and (not counts or r.count in counts)]


def differences(
    records: Sequence[Record], first: str, second: str, what: Callable[[Record], str]
) -> list[Difference]:
    """Differences of AbsRel between two methods; empty where one has no records."""
    a, b = ([record for record in records if record.solver == name] for name in (first, second))
    return compare(a, b, what, ["abs_rel"]) if a and b else []


def tallied(found: Sequence[Difference]) -> tuple[int, int, int]:
    """Number of cases in which the second is better, worse and neither, of those with enough sets."""
    enough = [each.better for each in found if each.sets >= FEW_SETS]
    return enough.count("B"), enough.count("A"), enough.count("")


def counted(tally: tuple[int, int, int]) -> str:
    """A tally in words."""
    return " / ".join(map(str, tally)) if any(tally) else "few sets"


def verdicts(by_source: Mapping[str, Sequence[Record]]) -> Table:
    """What the intervals say of each claim at the paper's numbers of anchors, by source and place."""
    groups = {
        f"{source}, {place}": [
            r for r in of_case(records, "random") if r.place == place and r.count >= CLAIMED_FROM
        ]
        for source, records in by_source.items()
        for place in PLACES
    }
    rows = []
    for name, first, second in CLAIMS:
        tallies = [tallied(differences(each, first, second, lambda r: r.engine)) for each in groups.values()]
        rows.append(Row((name,), [*map(counted, tallies), _verdict(np.sum(tallies, axis=0).tolist())]))
    return Table(("first, second",), list(map(Column, [*groups, "verdict"])), rows)


def _verdict(tally: Sequence[int]) -> str:
    better, worse, neither = tally
    if not better:
        return "no" if worse else "open"
    return "yes" if not worse and better >= neither else "in part"


def claims(records: Sequence[Record]) -> Table:
    """A row for each claim, network and place; a column for each number of random anchors."""
    drawn = of_case(records, "random")
    counts = sorted({record.count for record in drawn})
    rows = []
    for name, first, second in CLAIMS:
        found = differences(drawn, first, second, lambda record: f"{record.engine}, {record.place}")
        for what in sorted({each.what for each in found}):
            cells = {each.case.count: _interval(each) for each in found if each.what == what}
            rows.append(Row((name, what), [cells.get(count, "-") for count in counts]))
    heads = ("first, second", "network, place")
    return Table(heads, [Column(f"{count} anchors") for count in counts], rows)


def _interval(found: Difference) -> str:
    ends = (f"{value:+.3f}".replace("0.", ".") for value in (found.b - found.a, found.low, found.high))
    text = "{} ({} to {})".format(*ends)
    return f"**{text}**" if found.sets >= FEW_SETS and found.differs else text


def side_by_side(records: Sequence[Record]) -> Table:
    """A row for each method and network: AbsRel with some numbers of random anchors, by place."""
    groups = {
        f"{place}, {count}": [r for r in of_case(records, "random", count) if r.place == place]
        for place in PLACES
        for count in (100, 250, 500, 1000, 2000)
    }
    methods = {row_of(record): None for each in groups.values() for record in each}
    rows = [
        Row(method, [mean_error([r for r in each if row_of(r) == method]) for each in groups.values()])
        for method in methods
        if not (method[0] in CONTROLS and method[1] != NETWORK)
    ]
    return Table(("AbsRel", "network"), [Column(name, "low") for name in groups], rows)


def all_solvers(by_source: Mapping[str, Sequence[Record]]) -> Table:
    """A row for each method: AbsRel with 100 random anchors, and in how many cases ``auto`` is better."""
    groups = {
        f"{source}, {place}": [r for r in records if r.place == place]
        for source, records in by_source.items()
        for place in PLACES
    }
    columns = [column for name in groups for column in (Column(name, "low"), Column("cases to auto"))]
    rows = []
    for solver, of_solver in grouped(by_source["real"], lambda r: r.solver).items():
        cells: list[Cell] = []
        for records in groups.values():
            drawn = [r for r in of_case(records, "random", 100) if r.solver == solver]
            compared = [] if solver == AUTO else differences(records, AUTO, solver, lambda r: r.engine)
            cells += [mean_error(drawn), counted(tallied(compared)) if compared else ""]
        seconds = [r.seconds for r in of_solver if not r.failure]
        rows.append(Row((solver,), [*cells, f"{1e3 * float(np.median(seconds)):.0f}"]))
    return Table(("AbsRel",), [*columns, Column("ms, real")], rows)


def few_anchors(records: Sequence[Record]) -> Table:
    """A row for each method: AbsRel without anchors and with few, by place; nothing where all failed."""
    cases = [(place, count) for place in PLACES for count in (0, 1, 5, 10)]
    rows = []
    for solver, those in grouped(records, lambda r: r.solver).items():
        own = [[r for r in those if (r.place, r.count) == case] for case in cases]
        rows.append(Row((solver,), [mean_error(each) if has_depth(each) else None for each in own]))
    return Table(("AbsRel",), [Column(f"{place}, {count}", "low") for place, count in cases], rows)

"""Tables in the form of the papers, with the published rows beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.groups import (
    by_title,
    case_name,
    count_frames,
    data_of,
    grouped,
    has_depth,
    mean_error,
    metrics_of,
)
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.published import Data, PublishedRow, rows_of, same_as, titles
from metric_depth_ros.evaluation.report import Section, better
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Column, Row, Table

OURS = "ours"
OTHER = "OTHER DATA or protocol"


def beside_published(records: Sequence[Record]) -> list[Section]:
    """For every dataset and range of depth that a paper has figures of: our rows, and the paper's below them.

    Only rows of the same data and protocol (``PublishedRow.is_same``), and of a case and metric that we have;
    those of papers that do not tell the range of depth apart from the others.
    """
    found = []
    for title, those in by_title(records).items():
        those = [] if those[0].noisy else _of_all_frames(those)
        rows = same_as(data_of(those), _cases(those), metrics_of(those)) if those else []
        for told in dict.fromkeys(_untold(row.data) for row in rows):
            of_range = [row for row in rows if _untold(row.data) == told]
            found.append(_section(f"Beside published figures: {title}{told}", those, of_range))
    return found


def _of_all_frames(records: Sequence[Record]) -> list[Record]:
    """Those of rows and cases that have every frame of the table: others are of fewer data."""
    rows = grouped(records, lambda r: (r.engine, r.solver, r.case)).values()
    return [record for row in rows if count_frames(row) == count_frames(records) for record in row]


def _untold(data: Data) -> str:
    """What the paper does not tell of the range of depth, for a title; empty if it tells all."""
    vague = data.limits_m is None or data.limits_m[0] is None
    return f"; the paper: {data.told_limits}" if vague else ""


def check_measured(paper: str, table: str) -> None:
    """Raises InputError if there is no such table, or none of its metrics can be measured here."""
    rows = rows_of(paper, table)
    if not measured_metrics(rows):
        names = ", ".join(dict.fromkeys(name for row in rows for name in row.errors))
        raise InputError(
            f"published table {paper}:{table}: of {names} alone, which evaluate does not measure; needed a "
            f"table with one of {', '.join(METRICS)}."
        )


def in_form_of(paper: str, table: str, records: Sequence[Record]) -> list[Section]:
    """A paper's table with our rows of its methods and cases, for every dataset of ours and of the paper.

    Where the paper's figures are means over several datasets, ours are over all of the run. Rows of other
    data or of another protocol say so, and so does the heading where all are. Raises InputError if there is
    no such table.
    """
    rows = rows_of(paper, table)
    groups = {title: those for title, those in by_title(records).items() if not those[0].noisy}
    if any(row.data.pooled for row in rows):
        groups = _pooled(groups)
    found = []
    for title, those in groups.items():
        for note, data in dict.fromkeys((row.note, row.data) for row in rows):
            of_data = [row for row in rows if (row.note, row.data) == (note, data)]
            cases = {row.case for row in of_data}
            shown = [record for record in those if case_name(record) in cases]
            if not shown:
                continue
            same = any(row.is_same(data_of(those)) for row in of_data)
            other = "" if same else f"; the paper's rows are of {OTHER} and cannot be compared"
            heading = f"Paper {paper}, table {table} ({data.title}), on {title}{other}"
            found.append(_section(heading, shown, of_data, data_of(those)))
    return found


def _pooled(groups: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
    """All records under one title, which tells the frames of each group."""
    titles = (f"{title} ({count_frames(those)} frames)" for title, those in groups.items())
    records = [record for those in groups.values() for record in those]
    return {" and ".join(titles): records} if records else {}


def _section(
    title: str, records: Sequence[Record], rows: Sequence[PublishedRow], ours: Data | None = None
) -> Section:
    """Our rows above published ones; those that cannot be compared with ``ours``, if given, say so."""
    metrics = [name for name in measured_metrics(rows) if name in metrics_of(records)]
    form = _by_case if all(row.by_case for row in rows) else _by_metric
    sources = dict.fromkeys(row.paper for row in rows)
    notes = list(dict.fromkeys(f"{row.source}: {row.note}" for row in rows if row.note))
    return Section(
        title,
        [form(title, records, [(row, _source(row, ours)) for row in rows], metrics)],
        [f"- paper {paper}: {titles()[paper]}" for paper in sources]
        + [f"- {note}" for note in notes + _lacking(records)],
    )


def _lacking(records: Sequence[Record]) -> list[str]:
    """What to know of cases that have fewer frames than others: too few known pixels in some."""
    every = count_frames(records)
    counts = {case: count_frames(those) for case, those in grouped(records, case_name).items()}
    return [f"ours at {case}: {count} of {every} frames" for case, count in counts.items() if count < every]


def _source(row: PublishedRow, ours: Data | None) -> str:
    return row.source if ours is None or row.is_same(ours) else f"{row.source}; {OTHER}"


def _by_metric(
    title: str, records: Sequence[Record], rows: Sequence[tuple[PublishedRow, str]], metrics: Sequence[str]
) -> Table:
    """A row per network, method and case, and a column per metric, as in paper 000."""
    ours = [
        Row((engine, solver, case, OURS), [_value(those, name) for name in metrics], has_depth(those))
        for (engine, solver, case), those in grouped(
            records, lambda r: (r.engine, r.solver, case_name(r))
        ).items()
    ]
    theirs = [
        Row((row.network, row.method, row.case, source), [row.errors.get(m) for m in metrics], False)
        for row, source in rows
        if any(name in row.errors for name in metrics)
    ]
    return Table(("network", "method", "case", "from"), list(map(_column, metrics)), [*ours, *theirs], title)


def _by_case(
    title: str, records: Sequence[Record], rows: Sequence[tuple[PublishedRow, str]], metrics: Sequence[str]
) -> Table:
    """A row per network and method, and a column per case and metric, as in paper 001."""
    cases = [case for case in dict.fromkeys(row.case for row, _ in rows) if case in _cases(records)]
    ours = [
        Row(
            (engine, solver, OURS),
            [_value([r for r in those if case_name(r) == c], m) for c in cases for m in metrics],
            has_depth(those),
        )
        for (engine, solver), those in grouped(records, lambda r: (r.engine, r.solver)).items()
    ]
    theirs = []
    for network, method, source in dict.fromkeys((row.network, row.method, source) for row, source in rows):
        of_method = {row.case: row for row, _ in rows if (row.network, row.method) == (network, method)}
        cells = [of_method[c].errors.get(m) if c in of_method else None for c in cases for m in metrics]
        theirs.append(Row((network, method, source), cells, False))
    columns = [
        Column(f"{METRICS[m].heading}, {c}", better(m), METRICS[m].digits) for c in cases for m in metrics
    ]
    return Table(("network", "method", "from"), columns, [*ours, *theirs], title)


def measured_metrics(rows: Iterable[PublishedRow]) -> list[str]:
    """Metrics of published rows that are measured here, in order of appearance."""
    return list(dict.fromkeys(name for row in rows for name in row.errors if name in METRICS))


def _cases(records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(case_name(record) for record in records))


def _value(records: Sequence[Record], name: str) -> float | None:
    mean = mean_error(records, name)
    return mean if np.isfinite(mean) else None


def _column(name: str) -> Column:
    return Column(METRICS[name].heading, better(name), METRICS[name].digits)

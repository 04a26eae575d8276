"""Tables in the form of the papers, with the published rows beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from metric_depth_ros.evaluation.groups import by_title, case_name, data_of, grouped, mean_error, metrics_of
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.published import PublishedRow, rows_of, same_as, titles
from metric_depth_ros.evaluation.report import Section, better
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Column, Row, Table

OURS = "ours"


def beside_published(records: Sequence[Record]) -> list[Section]:
    """For every dataset and range of depth that a paper has figures of: our rows, and the paper's below them.

    Only rows of the same dataset, split, limits and number of frames, and of a case and metric that we have.
    """
    found = []
    for title, those in by_title(records).items():
        rows = same_as(data_of(those), _cases(those), metrics_of(those))
        if rows and not those[0].noisy:
            found.append(_section(f"Beside published figures: {title}", those, rows))
    return found


def in_form_of(paper: str, table: str, records: Sequence[Record]) -> list[Section]:
    """A paper's table with our rows of the methods and cases it has, for every dataset or place.

    Where the data are not the paper's, the heading says so. Raises InputError if there is no such table.
    """
    rows = rows_of(paper, table)
    found = []
    for title, those in by_title(records).items():
        cases = {row.case for row in rows}
        shown = [record for record in those if case_name(record) in cases]
        if not shown or those[0].noisy:
            continue
        same = any(row.data.is_same(data_of(those)) for row in rows)
        other = "" if same else "; the paper's rows are of OTHER DATA and cannot be compared"
        found.append(_section(f"Paper {paper}, table {table}, on {title}{other}", shown, rows))
    return found


def _section(title: str, records: Sequence[Record], rows: Sequence[PublishedRow]) -> Section:
    metrics = [name for name in _metrics(rows) if name in metrics_of(records)]
    form = _by_case if all(row.by_case for row in rows) else _by_metric
    sources = dict.fromkeys(row.paper for row in rows)
    notes = dict.fromkeys(f"{row.source}: {row.note}" for row in rows if row.note)
    notes |= dict.fromkeys(f"{row.source}: no range of depth is told" for row in rows if _is_vague(row))
    return Section(
        title,
        [form(title, records, rows, metrics)],
        [f"- paper {paper}: {titles()[paper]}" for paper in sources] + [f"- {note}" for note in notes],
    )


def _by_metric(
    title: str, records: Sequence[Record], rows: Sequence[PublishedRow], metrics: Sequence[str]
) -> Table:
    """A row per network, method and case, and a column per metric, as in paper 000."""
    ours = [
        Row((engine, solver, case, OURS), [_value(those, name) for name in metrics])
        for (engine, solver, case), those in grouped(
            records, lambda r: (r.engine, r.solver, case_name(r))
        ).items()
    ]
    theirs = [
        Row((row.network, row.method, row.case, row.source), [row.errors.get(m) for m in metrics], False)
        for row in rows
        if any(name in row.errors for name in metrics)
    ]
    return Table(("network", "method", "case", "from"), list(map(_column, metrics)), [*ours, *theirs], title)


def _by_case(
    title: str, records: Sequence[Record], rows: Sequence[PublishedRow], metrics: Sequence[str]
) -> Table:
    """A row per network and method, and a column per case and metric, as in paper 001."""
    cases = [case for case in dict.fromkeys(row.case for row in rows) if case in _cases(records)]
    ours = [
        Row(
            (engine, solver, OURS),
            [_value([r for r in those if case_name(r) == c], m) for c in cases for m in metrics],
        )
        for (engine, solver), those in grouped(records, lambda r: (r.engine, r.solver)).items()
    ]
    theirs = []
    for network, method in dict.fromkeys((row.network, row.method) for row in rows):
        of_method = {row.case: row for row in rows if (row.network, row.method) == (network, method)}
        cells = [of_method[c].errors.get(m) if c in of_method else None for c in cases for m in metrics]
        theirs.append(Row((network, method, rows[0].source), cells, False))
    columns = [
        Column(f"{METRICS[m].heading}, {c}", better(m), METRICS[m].digits) for c in cases for m in metrics
    ]
    return Table(("network", "method", "from"), columns, [*ours, *theirs], title)


def _is_vague(row: PublishedRow) -> bool:
    return row.data.limits_m is None and bool(row.data.split)


def _metrics(rows: Iterable[PublishedRow]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.errors if name in METRICS))


def _cases(records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(case_name(record) for record in records))


def _value(records: Sequence[Record], name: str) -> float | None:
    mean = mean_error(records, name)
    return mean if np.isfinite(mean) else None


def _column(name: str) -> Column:
    return Column(METRICS[name].heading, better(name), METRICS[name].digits)

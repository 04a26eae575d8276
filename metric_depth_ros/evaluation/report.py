"""Tables from records, as Markdown and LaTeX: one of each metric by case, one by set, and failures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from metric_depth_ros.drawing.charts import Panel
from metric_depth_ros.evaluation.groups import (
    by_title,
    case_label,
    count_frames,
    finite_mean,
    grouped,
    has_depth,
    mean_error,
    metrics_of,
    row_labels,
    row_of,
    spread_over_seeds,
)
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.plots import looks
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Better, Cell, Column, Row, Table, latex, markdown
from metric_depth_ros.types import FloatArray

CHOSEN = "chosen on the other sets"


@dataclass(frozen=True)
class Section:
    """Tables under one heading, and notes below them."""

    title: str
    tables: Sequence[Table]
    notes: Sequence[str] = field(default_factory=tuple)


def sections(records: Sequence[Record], *, spread: bool = False) -> list[Section]:
    """A table of each metric, and the failures, for every dataset or place, clean and noisy.

    ``spread``: whether a cell has the standard deviation over seeds as well.
    """
    found = []
    for title, those in by_title(records).items():
        tables = [
            _metric_table(name, those, title, spread=spread, first=not index)
            for index, name in enumerate(metrics_of(those))
        ]
        notes = _failures(those) + _undefined(those)
        found.append(Section(title, [table for table in tables if table.rows], notes))
    return found


def _undefined(records: Sequence[Record]) -> list[str]:
    """A line for each need of metrics that no record has a value of."""
    without = [name for name in metrics_of(records) if not _has(name, records)]
    return [
        f"- {', '.join(METRICS[name].title for name in without if METRICS[name].needs == need)}: not defined "
        f"here; needed {need}."
        for need in dict.fromkeys(METRICS[name].needs for name in without)
    ]


def summary(records: Sequence[Record], *, spread: bool = False) -> str:
    """``sections`` as Markdown."""
    return as_markdown(sections(records, spread=spread))


def by_set(records: Sequence[Record], *, spread: bool = False) -> str:
    """Table of the first metric with a row for each set, for every dataset or place and case, as Markdown."""
    return as_markdown(set_sections(records, spread=spread))


def set_sections(records: Sequence[Record], *, spread: bool = False) -> list[Section]:
    """Table of the first metric with a row for each set, for every dataset or place and case."""
    name, found = metrics_of(records)[0], []
    label_of = row_labels(records)
    for title, those in by_title(records).items():
        for case, of_case in grouped(those, lambda r: r.case).items():
            methods = grouped(of_case, label_of)
            rows = [
                Row(
                    (label, str(count_frames(of_set))),
                    [_cell(grouped(of_set, label_of).get(method, []), name, spread) for method in methods],
                )
                for label, of_set in grouped(of_case, lambda r: r.set_name).items()
            ]
            columns = [Column(method, digits=METRICS[name].digits) for method in methods]
            heading = f"{title}, {case_label(case)} anchors"
            found.append(Section(heading, [Table((METRICS[name].heading, "frames"), columns, rows, heading)]))
    return found


def as_markdown(parts: Sequence[Section]) -> str:
    """Sections as Markdown."""
    texts = []
    for part in parts:
        texts += [f"## {part.title}", *map(markdown, part.tables), "\n".join(part.notes)]
    return "\n\n".join(text for text in texts if text) + "\n"


def as_latex(parts: Sequence[Section]) -> str:
    """Tables of sections as LaTeX, for a document with the package booktabs."""
    return "\n\n".join(latex(table) for part in parts for table in part.tables) + "\n"


def sparsification_panels(records: Sequence[Record]) -> dict[str, list[Panel]]:
    """Sparsification charts by table title: error after removing the least certain pixels, a panel per case.

    A line for each solver with a sigma, and a dotted line for the oracle, which knows the errors: means over
    the draws of AbsRel, relative to the AbsRel of all pixels. Empty if no solver gives a sigma.
    """
    found = {}
    for title, those in by_title(records).items():
        panels = [
            _sparsification_panel(f"{title}, anchors: {case_label(case)}", of_case)
            for case, of_case in grouped((r for r in those if r.sparsified), lambda r: r.case).items()
        ]
        if panels:
            found[title] = panels
    return found


def _sparsification_panel(title: str, records: Sequence[Record]) -> Panel:
    lines, oracles = {}, {}
    for label, those in grouped(records, row_labels(records)).items():
        lines[label], oracles[label] = (
            _mean_curve([getattr(r, name) for r in those], [r.sparsified[0] for r in those])
            for name in ("sparsified", "oracle")
        )
    named = "oracle: largest errors first"
    return Panel("AbsRel of the rest / of all", lines, title, oracles, named, **looks(records))


def _mean_curve(curves: Sequence[Sequence[float]], units: Sequence[float]) -> FloatArray:
    """Curve (N, 2): fraction removed, and the mean of curves divided by their units."""
    values = np.array(curves) / np.maximum(units, 1e-12)[:, None]
    return np.column_stack([np.arange(values.shape[1]) / values.shape[1], np.nanmean(values, axis=0)])


def chosen_elsewhere(records: Sequence[Record]) -> list[Record]:
    """Records of each set, from the solver that is best on all the other sets.

    This shows the result of an unbiased choice of the solver, never made on the reported set. Best is the
    lowest geometric mean over the cases of the mean AbsRel, so all columns have equal weight. Controls
    cannot be chosen. Empty if there is no choice: one solver, one set, or no AbsRel.
    """
    ours = [record for record in records if not record.control and "abs_rel" in record.errors]
    sets, rows = grouped(ours, lambda r: r.set_name), grouped(ours, row_of)
    if len(sets) < 2 or len(rows) < 2:
        return []
    means = {label: _means_by_case(those) for label, those in rows.items()}
    found = []
    for name, of_set in sets.items():
        best = min(means, key=lambda label: _level(means[label], name))
        found += [record for record in of_set if row_of(record) == best]
    return found


# Of each case and set the mean AbsRel of the frames.
_Means = Mapping[Case, Mapping[str, Sequence[float]]]


def _means_by_case(records: Sequence[Record]) -> _Means:
    return {
        case: {name: _frame_means(of_set) for name, of_set in grouped(of_case, lambda r: r.set_name).items()}
        for case, of_case in grouped(records, lambda r: r.case).items()
    }


def _frame_means(records: Sequence[Record]) -> list[float]:
    frames = grouped(records, lambda r: r.frame).values()
    return [finite_mean(record.errors["abs_rel"] for record in of_frame) for of_frame in frames]


def _level(means: _Means, left_out: str) -> float:
    """Geometric mean, as a logarithm, over the cases of the mean AbsRel of the frames of the other sets."""
    others = ([each for name in sets if name != left_out for each in sets[name]] for sets in means.values())
    logs = [np.log(np.maximum(finite_mean(errors), 1e-9)) for errors in others if errors]
    return float(np.mean(logs)) if logs else math.inf


def _metric_table(name: str, records: Sequence[Record], title: str, *, spread: bool, first: bool) -> Table:
    """Table of a metric: a row per method that has it, a column per case; without rows if none has.

    ``first``: whether it has the coverage and the time of each method as well, and the number of frames of
    each case in the last row.
    """
    of_case = grouped(records, lambda r: r.case)
    methods = {row: those for row, those in grouped(records, row_of).items() if _has(name, those)}
    several = len({engine for _, engine in methods}) > 1

    def row(labels: tuple[str, str], those: Sequence[Record], ranked: bool) -> Row:
        cells = [_cell([r for r in those if r.case == case], name, spread) for case in of_case]
        return Row(labels if several else labels[:1], [*cells, *(_extent(those) if first else ())], ranked)

    rows = [row(labels, those, has_depth(those)) for labels, those in methods.items()]
    if rows and (chosen := chosen_elsewhere(records)):
        rows.append(row((CHOSEN, ""), chosen, False))
    if first:
        frames = [str(count_frames(those)) for those in of_case.values()]
        rows.append(Row(("frames", "")[: 1 + several], [*frames, "", ""], ranked=False))
    columns = [Column(case_label(case), better(name), METRICS[name].digits) for case in of_case]
    extent = [Column("covered"), Column("ms")] if first else []
    heads = (METRICS[name].heading, "network")[: 1 + several]
    return Table(heads, [*columns, *extent], rows, f"{METRICS[name].heading}: {title}")


def better(name: str) -> Better:
    """Which values of a metric are better."""
    lower = METRICS[name].lower_is_better
    return "" if lower is None else "low" if lower else "high"


def _has(name: str, records: Iterable[Record]) -> bool:
    return any(np.isfinite(record.errors.get(name, np.nan)) for record in records)


def _extent(records: Sequence[Record]) -> tuple[str, str]:
    """Cells of the part of the pixels with a depth, and of the median time."""
    seconds = [record.seconds for record in records if not record.failure]
    covered = float(np.mean([record.coverage for record in records]))
    milliseconds = f"{1e3 * float(np.median(seconds)):.1f}" if seconds else "-"
    return f"{100 * covered:.1f} %", milliseconds


def _cell(records: Sequence[Record], name: str, spread: bool) -> Cell:
    """Mean of a metric, with its spread over seeds if wanted and known; None where it is not defined."""
    mean, digits = mean_error(records, name), METRICS[name].digits
    around = spread_over_seeds(records, name) if spread and np.isfinite(mean) else float("nan")
    if np.isfinite(around):
        return f"{mean:.{digits}f} ± {around:.{digits}f}"
    return mean if np.isfinite(mean) else None


def _failures(records: Sequence[Record]) -> list[str]:
    """One line per method with failures."""
    lines = []
    for label, those in grouped(records, row_labels(records)).items():
        failed = [record.failure for record in those if record.failure]
        if failed:
            charge = "failed and count as twice the true depth"
            lines.append(f"- {label}: {len(failed)} of {len(those)} {charge}: {failed[0]}")
    return lines

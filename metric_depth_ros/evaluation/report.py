"""Markdown tables from records: one of each metric by case, one by set, and failures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence, Set
from typing import TypeVar

import numpy as np

from metric_depth_ros.drawing.charts import Panel
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.places import CAP_M, Place
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.types import FloatArray

CHOSEN = "chosen on the other sets"
_Key = TypeVar("_Key", bound=Hashable)


def summary(records: Sequence[Record], *, spread: bool = False) -> str:
    """A table of each metric, and the failures, for every place, clean and noisy.

    ``spread``: whether a cell has the standard deviation over seeds as well.
    """
    parts = []
    for title, those in _tables(records):
        first, *others = metrics_of(those)
        parts += [f"## {title}", _metric_table(first, those, spread=spread, first=True)]
        parts += [_metric_table(name, those, spread=spread) for name in others]
        parts.append(_failures(those))
    return "\n\n".join(part for part in parts if part) + "\n"


def by_set(records: Sequence[Record], *, spread: bool = False) -> str:
    """Table of the first metric with a row for each set, for every place and case."""
    name, parts = metrics_of(records)[0], []
    for title, those in _tables(records):
        for case, of_case in _grouped(those, lambda r: r.case).items():
            rows = [
                [label, str(_frames(of_set)), *_cells(_grouped(of_set, _solver).values(), name, spread)]
                for label, of_set in _grouped(of_case, lambda r: r.set_name).items()
            ]
            header = [METRICS[name].heading, "frames", *_grouped(of_case, _solver)]
            parts += [f"## {title}, {case_label(case)} anchors", _markdown(header, rows)]
    return "\n\n".join(parts) + "\n"


def sparsification_panels(records: Sequence[Record]) -> dict[str, list[Panel]]:
    """Sparsification charts by table title: error after removing the least certain pixels, a panel per case.

    A line for each solver with a sigma, and a dashed line for the oracle, which knows the errors: means over
    the draws of AbsRel, relative to the AbsRel of all pixels. Empty if no solver gives a sigma.
    """
    found = {}
    for title, those in _tables(records):
        panels = [
            _sparsification_panel(f"{title}, anchors: {case_label(case)}", of_case)
            for case, of_case in _grouped((r for r in those if r.sparsified), lambda r: r.case).items()
        ]
        if panels:
            found[title] = panels
    return found


def _sparsification_panel(title: str, records: Sequence[Record]) -> Panel:
    lines, oracles = {}, {}
    for label, those in _grouped(records, _solver).items():
        lines[label], oracles[label] = (
            _mean_curve([getattr(r, name) for r in those], [r.sparsified[0] for r in those])
            for name in ("sparsified", "oracle")
        )
    return Panel("AbsRel of the rest / of all", lines, title, oracles, "oracle, largest errors first")


def _mean_curve(curves: Sequence[Sequence[float]], units: Sequence[float]) -> FloatArray:
    """Curve (N, 2): fraction removed, and the mean of curves divided by their units."""
    values = np.array(curves) / np.maximum(units, 1e-12)[:, None]
    return np.column_stack([np.arange(values.shape[1]) / values.shape[1], np.nanmean(values, axis=0)])


def case_label(case: Case) -> str:
    """Column heading of a case; the table's title states whether it is noisy."""
    return case.label


def metrics_of(records: Iterable[Record]) -> list[str]:
    """Names of the metrics of records, in order of appearance."""
    return list(dict.fromkeys(name for record in records for name in record.errors))


def mean_error(records: Iterable[Record], name: str = "abs_rel") -> float:
    """Mean over frames of the mean over a frame's draws, where the metric is defined; NaN if nowhere."""
    frames = _grouped(records, lambda r: (r.set_name, r.frame)).values()
    return _mean(_mean(record.errors[name] for record in of_frame) for of_frame in frames)


def spread_over_seeds(records: Iterable[Record], name: str = "abs_rel") -> float:
    """Standard deviation (n - 1) over seeds of each seed's mean over frames; NaN with fewer than two."""
    means = [mean_error(of_seed, name) for of_seed in _grouped(records, lambda r: r.seed).values()]
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def _mean(values: Iterable[float]) -> float:
    defined = [value for value in values if np.isfinite(value)]
    return float(np.mean(defined)) if defined else float("nan")


def chosen_elsewhere(records: Sequence[Record]) -> list[Record]:
    """Records of each set, from the solver that is best on all the other sets.

    This shows the result of an unbiased choice of the solver, never made on the reported set. Best is the
    lowest geometric mean over the cases of the mean AbsRel, so all columns have equal weight. Controls
    cannot be chosen. Empty if there is no choice: one solver, one set, or no AbsRel.
    """
    ours = [record for record in records if not record.control and "abs_rel" in record.errors]
    sets = _grouped(ours, lambda r: r.set_name)
    if len(sets) < 2 or len(_grouped(ours, _solver)) < 2:
        return []
    found = []
    for name, of_set in sets.items():
        others = _grouped([r for r in ours if r.set_name != name], _solver)
        best = min(others, key=lambda label: _geometric_mean(others[label]))
        found += [record for record in of_set if record.solver == best]
    return found


def _geometric_mean(records: Sequence[Record]) -> float:
    means = [mean_error(of_case) for of_case in _grouped(records, lambda r: r.case).values()]
    return float(np.mean(np.log(np.maximum(means, 1e-9))))


def _tables(records: Sequence[Record]) -> list[tuple[str, list[Record]]]:
    """Titles and records of the tables."""
    found = []
    for (place, noisy), those in _grouped(records, lambda r: (r.place, r.noisy)).items():
        limits = {tuple(record.limits_m) for record in those}
        title = f"{place}, {'noisy' if noisy else 'clean'}, truth {_range(place, limits)}"
        found.append((title, those))
    return found


def _range(place: Place, limits: Set[tuple[float, ...]]) -> str:
    """Limits of the true depth in words."""
    if len(limits) > 1:
        return "within each set's limits"
    near, far = next(iter(limits))
    return f"{near:g} to {far:g} m" if near else f"to {far or CAP_M[place]:g} m"


def _metric_table(name: str, records: Sequence[Record], *, spread: bool, first: bool = False) -> str:
    """Table of a metric: a row per candidate that has it, a column per case; empty without such candidates.

    ``first``: whether it has the coverage and the time of each candidate as well, and the number of frames of
    each case in the last row.
    """
    of_case = _grouped(records, lambda r: r.case)
    rows = {label: those for label, those in _grouped(records, _solver).items() if _has(name, those)}
    if rows and (chosen := chosen_elsewhere(records)):
        rows[CHOSEN] = chosen
    lines = []
    for label, those in rows.items():
        cells = _cells(([r for r in those if r.case == case] for case in of_case), name, spread)
        lines.append([label, *cells, *(_extent(those) if first else ())])
    if first:
        lines.append(["frames", *(str(_frames(those)) for those in of_case.values()), "", ""])
    extent = ("covered", "ms") if first else ()
    return _markdown([METRICS[name].heading, *map(case_label, of_case), *extent], lines) if rows else ""


def _has(name: str, records: Iterable[Record]) -> bool:
    return any(np.isfinite(record.errors[name]) for record in records)


def _extent(records: Sequence[Record]) -> tuple[str, str]:
    """Cells of the part of the pixels with a depth, and of the median time."""
    seconds = [record.seconds for record in records if not record.failure]
    covered = float(np.mean([record.coverage for record in records]))
    milliseconds = f"{1e3 * float(np.median(seconds)):.1f}" if seconds else "-"
    return f"{100 * covered:.1f} %", milliseconds


def _cells(groups: Iterable[Sequence[Record]], name: str, spread: bool) -> list[str]:
    return [_cell(records, name, spread) for records in groups]


def _cell(records: Sequence[Record], name: str, spread: bool) -> str:
    """Mean of a metric, with its spread over seeds if wanted and known; "-" where it is not defined."""
    mean, digits = mean_error(records, name), METRICS[name].digits
    if not np.isfinite(mean):
        return "-"
    around = spread_over_seeds(records, name) if spread else float("nan")
    return f"{mean:.{digits}f}" + (f" ± {around:.{digits}f}" if np.isfinite(around) else "")


def _failures(records: Sequence[Record]) -> str:
    """One line per candidate with failures; empty without failures."""
    lines = []
    for label, those in _grouped(records, _solver).items():
        failed = [record.failure for record in those if record.failure]
        if failed:
            charge = "failed and count as twice the true depth"
            lines.append(f"- {label}: {len(failed)} of {len(those)} {charge}: {failed[0]}")
    return "\n".join(lines)


def _frames(records: Iterable[Record]) -> int:
    return len({(record.set_name, record.frame) for record in records})


def _solver(record: Record) -> str:
    return record.solver


def _grouped(records: Iterable[Record], key: Callable[[Record], _Key]) -> dict[_Key, list[Record]]:
    """Records by a key, in order of appearance."""
    groups: defaultdict[_Key, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return dict(groups)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(line)} |" for line in [header, *rows])
    return "\n".join([head, f"|---|{'---:|' * (len(header) - 1)}", *body])

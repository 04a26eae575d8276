"""Markdown tables from records: AbsRel by case and by set, quality of sigma, and failures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence, Set
from typing import TypeVar

import numpy as np

from metric_depth_ros.drawing.charts import Panel
from metric_depth_ros.evaluation.places import CAP_M, Place
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.types import FloatArray

CHOSEN = "chosen on the other sets"
_Key = TypeVar("_Key", bound=Hashable)


def summary(records: Sequence[Record]) -> str:
    """Tables of AbsRel and of sigma, and the failures, for every place, clean and noisy."""
    parts = []
    for title, those in _tables(records):
        parts += [f"## {title}", _abs_rel_table(those), _sigma_table(those), _failures(those)]
    return "\n\n".join(part for part in parts if part) + "\n"


def by_set(records: Sequence[Record]) -> str:
    """Table of AbsRel with a row for each set, for every place and case."""
    parts = []
    for title, those in _tables(records):
        for case, of_case in _grouped(those, lambda r: r.case).items():
            rows = [
                [name, str(_frames(of_set)), *_abs_rel_cells(_grouped(of_set, _solver).values())]
                for name, of_set in _grouped(of_case, lambda r: r.set_name).items()
            ]
            header = ["AbsRel", "frames", *_grouped(of_case, _solver)]
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


def mean_abs_rel(records: Iterable[Record]) -> float:
    """Mean AbsRel over frames and seeds; failures and pixels without depth count as error 1; NaN if empty."""
    errors = [record.charged_abs_rel for record in records]
    return float(np.mean(errors)) if errors else float("nan")


def chosen_elsewhere(records: Sequence[Record]) -> list[Record]:
    """Records of each set, from the solver that is best on all the other sets.

    This shows the result of an unbiased choice of the solver, never made on the reported set. Best is the
    lowest geometric mean over the cases of the mean AbsRel, so all columns have equal weight. Controls
    cannot be chosen. Empty if there is no choice: one solver, or one set.
    """
    ours = [record for record in records if not record.control]
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
    means = [mean_abs_rel(of_case) for of_case in _grouped(records, lambda r: r.case).values()]
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


def _abs_rel_table(records: Sequence[Record]) -> str:
    """Table of AbsRel: a row per candidate, a column per case, and the number of frames in the last row."""
    cases = list(_grouped(records, lambda r: r.case))
    rows = [_abs_rel_row(label, those, cases) for label, those in _grouped(records, _solver).items()]
    if chosen := chosen_elsewhere(records):
        rows.append(_abs_rel_row(CHOSEN, chosen, cases))
    of_case = _grouped(records, lambda r: r.case)
    rows.append(["frames", *(str(_frames(of_case[case])) for case in cases), "", ""])
    return _markdown(["AbsRel", *map(case_label, cases), "covered", "ms"], rows)


def _abs_rel_row(label: str, records: Sequence[Record], cases: Sequence[Case]) -> list[str]:
    of_case = _grouped(records, lambda r: r.case)
    seconds = [record.seconds for record in records if not record.failure]
    covered = float(np.mean([record.coverage for record in records]))
    milliseconds = f"{1e3 * float(np.median(seconds)):.1f}" if seconds else "-"
    cells = _abs_rel_cells(of_case.get(case, []) for case in cases)
    return [label, *cells, f"{100 * covered:.1f} %", milliseconds]


def _abs_rel_cells(groups: Iterable[Sequence[Record]]) -> list[str]:
    return [f"{mean_abs_rel(records):.3f}" if records else "-" for records in groups]


def _sigma_table(records: Sequence[Record]) -> str:
    """Table of AUSE of AbsRel and the fraction within one sigma, for candidates with a sigma; else empty."""
    cases = list(_grouped(records, lambda r: r.case))
    with_sigma = [r for r in records if np.isfinite(r.ause_abs_rel)]
    rows = []
    for label, those in _grouped(with_sigma, _solver).items():
        of_case = _grouped(those, lambda r: r.case)
        cells = [
            " / ".join(
                f"{np.mean([getattr(r, name) for r in of_case[case]]):.2f}"
                for name in ("ause_abs_rel", "ause_rmse", "sigma_coverage")
            )
            if case in of_case
            else "-"
            for case in cases
        ]
        rows.append([label, *cells])
    head = "AUSE of AbsRel / of RMSE / within 1 sigma"
    return _markdown([head, *map(case_label, cases)], rows) if rows else ""


def _failures(records: Sequence[Record]) -> str:
    """One line per candidate with failures; empty without failures."""
    lines = []
    for label, those in _grouped(records, _solver).items():
        failed = [record.failure for record in those if record.failure]
        if failed:
            lines.append(f"- {label}: {len(failed)} of {len(those)} failed and count as 1: {failed[0]}")
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

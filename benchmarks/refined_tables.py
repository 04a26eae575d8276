"""Tables of bench_refined.py: ``refined`` beside the solver it refines, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.evaluation.comparison import Difference, compare
from metric_depth_ros.evaluation.groups import case_label, finite_mean, grouped, mean_error
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Column, Row, Table, shown

AUTO, OURS = "gaussian_process", "refined"
# What is asked: change of AbsRel in percent with some random anchors, by place, and with some rows; the most
# that it may be worse in the mean of a set; limits of the part within one sigma.
RANDOM, OF_RANDOM = (50, 100, 500), {"indoor": -12.0, "outdoor": -8.0}
ROWS, OF_ROWS = (4, 16), -10.0
MOST_WORSE = 0.003
WITHIN = (0.63, 0.73)


@dataclass(frozen=True)
class Change:
    """How AbsRel changes in one column: of an engine, a place and a case.

    Attributes:
        extent: number of frames and sets, in words.
        percent, low, high: change of the mean, and the ends of its 95 % interval.
    """

    engine: str
    place: str
    case: Case
    extent: str
    auto: float
    ours: float
    percent: float
    low: float
    high: float

    @property
    def bar(self) -> float:
        """What is asked, in percent; 0: no worse."""
        if self.case.protocol == "random" and self.case.count in RANDOM:
            return OF_RANDOM[self.place]
        return OF_ROWS if self.case.protocol == "rows" and self.case.count in ROWS else 0.0

    @property
    def met(self) -> bool:
        """Whether it is, to a tenth of a percent."""
        return round(self.percent, 1) <= self.bar


def of(records: Iterable[Record], solver: str) -> list[Record]:
    """Records of one solver, with a prior or without."""
    return [record for record in records if record.solver.partition("+")[0] == solver]


def changes(records: Sequence[Record]) -> list[Change]:
    """Changes of all columns."""
    found = compare(of(records, AUTO), of(records, OURS), lambda r: f"{r.engine}|{r.place}", ["abs_rel"])
    return [_change(each) for each in found]


def _change(found: Difference) -> Change:
    engine, _, place = found.what.partition("|")
    values = (100 * value / found.a for value in (found.b - found.a, found.low, found.high))
    extent = f"{found.frames} frames in {found.sets} sets"
    return Change(engine, place, found.case, extent, found.a, found.b, *values)


def change_table(found: Sequence[Change]) -> Table:
    """A row for each case of one engine and place: AbsRel of both, the change and what is asked of it."""
    rows = []
    for (protocol, count), both in _by_anchors(found).items():
        cells: list[str] = []
        for noisy in (False, True):
            each = next((c for c in both if c.case.noisy == noisy), None)
            cells += _cells(each) if each else ["-"] * 4
        rows.append(Row((case_label(Case(protocol, count)),), cells))
    names = ("auto", "refined", "change, %", "asked")
    return Table(
        ("AbsRel",), [Column(f"{noise}: {name}") for noise in ("clean", "noisy") for name in names], rows
    )


def _by_anchors(found: Sequence[Change]) -> dict[tuple[str, int], list[Change]]:
    groups: dict[tuple[str, int], list[Change]] = {}
    for each in found:
        groups.setdefault((each.case.protocol, each.case.count), []).append(each)
    return groups


def _cells(each: Change) -> list[str]:
    interval = f"{each.percent:+.1f} ({each.low:+.1f} to {each.high:+.1f})"
    asked = f"{each.bar:g}" if each.bar else "no worse"
    return [shown(each.auto), shown(each.ours), interval, f"{asked}: {'met' if each.met else '**missed**'}"]


# ---- worse -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetMean:
    """Means over the frames of a set in one case.

    Attributes:
        within: part of ``refined`` within one sigma.
    """

    engine: str
    set_name: str
    case: Case
    auto: float
    ours: float
    within: float

    @property
    def worse(self) -> bool:
        """Whether by more than is allowed."""
        return self.ours - self.auto > MOST_WORSE

    @property
    def told(self) -> bool:
        """Whether sigma says how far off depth is."""
        return self.within >= WITHIN[0]

    def __str__(self) -> str:
        case = f"{self.case.count} random" if self.case.protocol == "random" else case_label(self.case)
        where = f"{self.engine}, {self.set_name}, {case}{', noisy' if self.case.noisy else ''}"
        return f"{where}: {self.auto:.3f} to {self.ours:.3f}, {self.within:.2f} within one sigma"


def set_means(records: Sequence[Record]) -> list[SetMean]:
    """Of every engine, set and case that both solvers have."""
    groups = grouped(records, lambda r: (r.engine, r.set_name, r.case))
    found = []
    for where, those in groups.items():
        auto, ours = of(those, AUTO), of(those, OURS)
        if auto and ours:
            found.append(
                SetMean(*where, mean_error(auto), mean_error(ours), mean_error(ours, "within_1_sigma"))
            )
    return found


def draws(records: Sequence[Record]) -> list[float]:
    """Change of AbsRel in every single draw."""
    pairs = grouped(records, lambda r: (r.engine, r.set_name, r.frame, r.case, r.seed)).values()
    both = [(of(pair, AUTO), of(pair, OURS)) for pair in pairs]
    return [ours[0].errors["abs_rel"] - auto[0].errors["abs_rel"] for auto, ours in both if auto and ours]


def worse_table(conditions: dict[str, Sequence[Record]]) -> Table:
    """A row for each condition: draws and means of sets that are worse by more than is allowed."""
    rows = []
    for name, records in conditions.items():
        means, single = set_means(records), draws(records)
        worst = max(means, key=lambda mean: mean.ours - mean.auto, default=None)
        change = np.mean([m.ours for m in means]) / np.mean([m.auto for m in means]) - 1 if means else np.nan
        rows.append(
            Row(
                (name,),
                [
                    f"{100 * change:+.1f}",
                    f"{sum(each > MOST_WORSE for each in single)} of {len(single)}",
                    f"{max(single, default=float('nan')):+.4f}",
                    f"{sum(mean.worse for mean in means)} of {len(means)}",
                    f"{sum(mean.worse and not mean.told for mean in means)}",
                    "-" if worst is None else f"{worst.ours - worst.auto:+.4f} ({worst})",
                ],
            )
        )
    names = ("AbsRel, %", "draws worse", "worst draw", "means of sets worse", "unsaid", "worst mean of a set")
    return Table(("condition",), list(map(Column, names)), rows)


# ---- by case ---------------------------------------------------------------------------------


def by_case(
    records: Sequence[Record],
    metric: str,
    digits: int = 2,
    key: Callable[[Record], str] = lambda r: f"{r.engine}, {r.place}",
) -> Table:
    """Two rows for each key, of auto and refined, a column for each case: clean/noisy means of a metric."""
    cases = list(dict.fromkeys((r.protocol, r.count) for r in records))
    rows = []
    for name, those in grouped(records, key).items():
        for solver, label in ((AUTO, "auto"), (OURS, "refined")):
            own = of(those, solver)
            if np.isfinite(finite_mean(r.errors.get(metric, np.nan) for r in own)):
                both = [[Case(*case, noisy) for noisy in (False, True)] for case in cases]
                cells = ["/".join(_mean(own, each, metric, digits) for each in pair) for pair in both]
                rows.append(Row((f"{name}, {label}",), cells))
    return Table((METRICS[metric].title,), [Column(case_label(Case(*case))) for case in cases], rows)


def _mean(records: Sequence[Record], case: Case, metric: str, digits: int) -> str:
    return short(mean_error([r for r in records if r.case == case], metric), digits)


def short(value: float, digits: int = 3) -> str:
    """Text of a value, without a zero before the point."""
    text = shown(value, digits)
    return text[1:] if text.startswith("0.") else text


def by_set(records: Sequence[Record]) -> Table:
    """A row for each engine, set and noise, a column for each case: AbsRel of auto/refined."""
    cases = list(dict.fromkeys((r.protocol, r.count) for r in records))
    groups: dict[tuple[str, str, bool], dict[tuple[str, int], str]] = {}
    for mean in set_means(records):
        cell = f"{short(mean.auto)}/{short(mean.ours)}"
        row = groups.setdefault((mean.engine, mean.set_name, mean.case.noisy), {})
        row[mean.case.protocol, mean.case.count] = f"**{cell}**" if mean.worse else cell
    rows = [
        Row((engine, name, "noisy" if noisy else "clean"), [cells.get(case, "-") for case in cases])
        for (engine, name, noisy), cells in groups.items()
    ]
    return Table(("network", "set", ""), [Column(case_label(Case(*case))) for case in cases], rows)


# ---- what is asked ---------------------------------------------------------------------------


def paired(records: Sequence[Record], metric: str) -> list[tuple[float, float]]:
    """Means of a metric of auto and refined in every column that has it."""
    groups = grouped(records, lambda r: (r.engine, r.place, r.case)).values()
    found = [(mean_error(of(those, AUTO), metric), mean_error(of(those, OURS), metric)) for those in groups]
    return [pair for pair in found if np.isfinite(pair).all()]


def asked_of_changes(found: Sequence[Change], where: str = "") -> list[Row]:
    """Lines of the list of what is asked, of AbsRel. ``where``: begins each of them."""

    def line(name: str, some: Sequence[Change]) -> Row:
        met, percent = sum(each.met for each in some), [each.percent for each in some]
        spread = f"{max(percent):+.1f} to {min(percent):+.1f} %" if some else "-"
        return Row((where + name,), [spread, f"{met} of {len(some)} columns"])

    lines = [
        line(
            f"AbsRel with {', '.join(map(str, RANDOM))} random anchors, {place}: {bar:g} %",
            [c for c in found if c.place == place and c.case.protocol == "random" and c.case.count in RANDOM],
        )
        for place, bar in OF_RANDOM.items()
    ]
    rows = [c for c in found if c.case.protocol == "rows" and c.case.count in ROWS]
    lines.append(line(f"AbsRel with {' and '.join(map(str, ROWS))} rows: {OF_ROWS:g} %", rows))
    columns = sum(round(c.percent, 1) <= 0 for c in found)
    worst = max((c.percent for c in found), default=np.nan)
    lines.append(
        Row((f"{where}no column worse",), [f"at most {worst:+.1f} %", f"{columns} of {len(found)} columns"])
    )
    return lines


def asked_of_sigma(records: Sequence[Record]) -> list[Row]:
    """Lines of the list of what is asked, of sigma."""
    within = [[round(value, 2) for value in pair] for pair in paired(records, "within_1_sigma")]
    ause = paired(records, "ause_abs_rel")
    inside = [
        sum(WITHIN[0] <= value <= WITHIN[1] for value in values) for values in zip(*within, strict=True)
    ]
    ours = [value for _, value in within]
    better = sum(round(ours, 2) <= round(auto, 2) for auto, ours in ause)
    return [
        Row(
            (f"within one sigma {WITHIN[0]} to {WITHIN[1]}",),
            [
                f"{min(ours):.2f} to {max(ours):.2f}",
                f"{inside[1]} of {len(within)} columns (auto {inside[0]})",
            ],
        ),
        Row(("AUSE no worse",), [_means(ause), f"{better} of {len(ause)} columns"]),
    ]


def asked_of_edges(records: Sequence[Record], metric: str, asked: str, part: float) -> list[Row]:
    """Line of the list of what is asked, of edges; none where nothing has the metric.

    ``part``: of auto's value that is allowed where lower is better; else refined's is to be larger.
    """
    pairs = paired(records, metric)
    lower = METRICS[metric].lower_is_better
    met = sum(ours <= part * auto if lower else ours > auto for auto, ours in pairs)
    return [Row((asked,), [_means(pairs), f"{met} of {len(pairs)} columns"])] if pairs else []


def _means(pairs: Sequence[tuple[float, float]]) -> str:
    auto, ours = np.mean(pairs, axis=0)
    return f"auto {auto:.3f}, refined {ours:.3f} in the mean"

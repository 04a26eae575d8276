"""Which of two methods is better: records paired by frame and draw, with intervals of mean differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.bootstrap import interval
from metric_depth_ros.evaluation.groups import case_label
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Column, Row, Table, shown

# Below this many sets, an interval says little about other sets.
FEW_SETS = 5


@dataclass(frozen=True)
class Difference:
    """Difference of two methods in one metric and case.

    Attributes:
        what: the solver (two runs or engines) or engine (two solvers) that both share.
        frames, sets: on which both have the metric; other frames do not count.
        left_out: frames that only one of them has.
        a, b: means over these frames of the means over a frame's draws.
        low, high: ends of the 95 % interval of b - a (``bootstrap.interval``).
    """

    what: str
    case: Case
    metric: str
    frames: int
    sets: int
    left_out: int
    a: float
    b: float
    low: float
    high: float

    @property
    def better(self) -> str:
        """Which is better, "A" or "B", where the interval excludes zero and the metric has a direction."""
        lower = METRICS[self.metric].lower_is_better
        if lower is None or self.low <= 0 <= self.high:
            return ""
        return "B" if (self.high < 0) == lower else "A"

    @property
    def differs(self) -> bool:
        """Whether the interval excludes zero."""
        return not self.low <= 0 <= self.high


def compare(
    a: Iterable[Record],
    b: Iterable[Record],
    what: Callable[[Record], str],
    metrics: Sequence[str] = (),
    *,
    resamples: int = 2000,
) -> list[Difference]:
    """Differences for all that two groups of records share, by ``what``, case and metric.

    Draws are the same for every solver and run, so that they are compared pair by pair: the same frame, case
    and seed.

    Args:
        what: tells which records belong together, such as the solver's name.
        metrics: names; empty: all that both have. Those that are a root mean square over images have no
            difference by image, and are left out.

    Raises:
        InputError: no record of one has a counterpart in the other.
    """
    ours, theirs = _by_frame(a, what), _by_frame(b, what)
    found = []
    for group in ours:
        for metric in _metrics(ours[group], theirs.get(group, {}), metrics):
            if difference := _difference(group, metric, ours[group], theirs[group], resamples):
                found.append(difference)
    if not found:
        raise InputError(
            f"compare: no frame, case and draw with {' or '.join(metrics) or 'a metric'} is in both; needed "
            "records of the same data, protocol and metrics, and of the same solvers or engines."
        )
    return found


_Frame = tuple[str, str]
_Draws = Mapping[int, Record]
_Group = tuple[str, Case]


def _by_frame(
    records: Iterable[Record], what: Callable[[Record], str]
) -> dict[_Group, dict[_Frame, dict[int, Record]]]:
    found: dict[_Group, dict[_Frame, dict[int, Record]]] = {}
    for record in records:
        frames = found.setdefault((what(record), record.case), {})
        frames.setdefault((record.set_name, record.frame), {})[record.seed] = record
    return found


def _metrics(a: Mapping[_Frame, _Draws], b: Mapping[_Frame, _Draws], wanted: Sequence[str]) -> list[str]:
    names = [
        dict.fromkeys(name for draws in each.values() for record in draws.values() for name in record.errors)
        for each in (a, b)
    ]
    shared = [name for name in names[0] if name in names[1] and not METRICS[name].root]
    return [name for name in shared if not wanted or name in wanted]


def _difference(
    group: _Group, metric: str, a: Mapping[_Frame, _Draws], b: Mapping[_Frame, _Draws], resamples: int
) -> Difference | None:
    """Difference in one metric; None if no pair of draws has it."""
    pairs = {frame: _pair(a[frame], b[frame], metric) for frame in a if frame in b}
    both = {frame: pair for frame, pair in pairs.items() if np.isfinite(pair).all()}
    if not both:
        return None
    sets: dict[str, list[float]] = {}
    for (set_name, _), (mean_a, mean_b) in both.items():
        sets.setdefault(set_name, []).append(mean_b - mean_a)
    low, high = interval([np.array(each) for each in sets.values()], resamples=resamples)
    mean_a, mean_b = np.mean(list(both.values()), axis=0)
    return Difference(
        *group, metric, len(both), len(sets), len(set(a) | set(b)) - len(both), float(mean_a), float(mean_b),
        low, high,
    )  # fmt: skip


def _pair(a: _Draws, b: _Draws, metric: str) -> tuple[float, float]:
    """Means over the draws that both have; NaN without such draws."""
    values = [(a[s].errors.get(metric, np.nan), b[s].errors.get(metric, np.nan)) for s in a if s in b]
    known = np.array([pair for pair in values if np.isfinite(pair).all()]).reshape(-1, 2)
    return (float(known[:, 0].mean()), float(known[:, 1].mean())) if len(known) else (np.nan, np.nan)


def comparison_table(found: Sequence[Difference], title: str) -> Table:
    """Table with a row for each difference; its last column names the better one, beyond chance."""
    heads = ("solver or network", "case", "metric", "frames")
    names = ("A", "B", "B - A", "from", "to", "better")
    rows = []
    for each in found:
        case = f"{case_label(each.case)}{', noisy' if each.case.noisy else ''}"
        extent = f"{each.frames} in {each.sets} sets" + (
            f", {each.left_out} left out" if each.left_out else ""
        )
        digits = METRICS[each.metric].digits + 1
        values = (each.a, each.b, each.b - each.a, each.low, each.high)
        cells = [shown(value, digits) for value in values]
        verdict = each.better or ("differs" if each.differs else "")
        rows.append(Row((each.what, case, METRICS[each.metric].heading, extent), [*cells, verdict]))
    return Table(heads, [Column(name) for name in names], rows, title)

"""Charts of records: error over the number of anchors, and error over time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metric_depth_ros.drawing.charts import Panel
from metric_depth_ros.evaluation.candidates import CONSTANT, INTERPOLATION
from metric_depth_ros.evaluation.groups import by_title, grouped, mean_error, row_labels
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.types import FloatArray

FRONT = "none faster is better"


def error_over_anchors(records: Sequence[Record], metric: str) -> list[Panel]:
    """A panel per table: mean error over the number of random anchors, a line per method.

    Tables with fewer than two numbers of anchors have none.
    """
    panels = []
    for title, those in by_title(records).items():
        random = [record for record in those if record.protocol == "random" and record.count > 0]
        if len({record.count for record in random}) < 2:
            continue
        lines = {
            label: np.array(
                [(n, mean_error(of_n, metric)) for n, of_n in sorted(grouped(own, lambda r: r.count).items())]
            )
            for label, own in grouped(random, row_labels(records)).items()
        }
        panels.append(Panel(METRICS[metric].heading, lines, title, **looks(random)))
    return panels


def error_over_time(records: Sequence[Record], metric: str) -> list[Panel]:
    """A panel per table: mean error over the median time of a solve, and the methods that none beats in both.

    The case is the middle one of the numbers of random anchors; controls are left out.
    """
    panels = []
    for title, those in by_title(records).items():
        counts = sorted({r.count for r in those if r.protocol == "random" and r.count > 0})
        if not counts:
            continue
        middle = counts[len(counts) // 2]
        own = [r for r in those if r.protocol == "random" and r.count == middle and not r.control]
        points = {
            label: np.array([[1e3 * seconds, mean_error(of_label, metric)]])
            for label, of_label in grouped(own, row_labels(records)).items()
            if np.isfinite(seconds := _median_seconds(of_label))
        }
        front = pareto_front(points, lower_is_better=METRICS[metric].lower_is_better is not False)
        panels.append(
            Panel(
                METRICS[metric].heading,
                points,
                f"{title}, {middle} random anchors",
                dotted={FRONT: front} if len(front) > 1 else {},
                dotted_name=FRONT if len(front) > 1 else "",
                **looks(own),
            )
        )
    return [panel for panel in panels if panel.lines]


def looks(records: Sequence[Record]) -> dict[str, Any]:
    """What tells lines apart, for a ``Panel``: the family of each, and which are controls.

    A solver, a paper's of that name and its control are one family; the two common controls have none.
    """
    label = row_labels(records)
    return {
        "families": {label(record): _family(record) for record in records},
        "controls": {label(record) for record in records if record.control},
    }


def _family(record: Record) -> str:
    if record.solver in (CONSTANT, INTERPOLATION):
        return ""
    return re.split(r"[_,(: ]", record.solver.removeprefix("control: ").removeprefix("paper_"))[0]


def pareto_front(points: Mapping[str, FloatArray], *, lower_is_better: bool = True) -> FloatArray:
    """Points (M, 2) of time and error, by time, that are better than all that take less time."""
    rows = [tuple(each[0]) for each in points.values() if np.isfinite(each).all()]
    sign, best, front = 1 if lower_is_better else -1, np.inf, []
    for time, error in sorted(rows, key=lambda row: (row[0], sign * row[1])):
        if sign * error < best:
            best = sign * error
            front.append((time, error))
    return np.array(front).reshape(-1, 2)


def _median_seconds(records: Sequence[Record]) -> float:
    seconds = [record.seconds for record in records if np.isfinite(record.seconds)]
    return float(np.median(seconds)) if seconds else float("nan")

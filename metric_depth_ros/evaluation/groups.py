"""Records in groups, as tables and charts show them, and means over them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.places import CAP_M, Place
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.published import Data
from metric_depth_ros.evaluation.regimes import REGIMES
from metric_depth_ros.evaluation.runner import Record

# In the labels of fits to the whole truth.
TRUTH = "(truth"
# Rows of scale and shift learned on a training set, which use no anchors.
FROM_TRAINING = ("Global", "Image", "RSA")
_Key = TypeVar("_Key", bound=Hashable)
# Title of a table, and what distinguishes it from others.
TableKey = tuple[str, Place, tuple[float, float], bool]


def grouped(records: Iterable[Record], key: Callable[[Record], _Key]) -> dict[_Key, list[Record]]:
    """Records by a key, in order of appearance."""
    groups: defaultdict[_Key, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return dict(groups)


def by_title(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records by the title of their table: of one dataset or place, one range of depth, clean or noisy."""
    return {_title(*key): those for key, those in grouped(records, _table_key).items()}


def _table_key(record: Record) -> TableKey:
    return record.dataset or record.place, record.place, record.limits_m, record.noisy


def _title(name: str, place: Place, limits_m: tuple[float, float], noisy: bool) -> str:
    near, far = limits_m[0], limits_m[1] or CAP_M[place]
    where = f"{name}, {place}" if name != place else name
    truth = f"truth to {far:g} m" if near == 0 else f"truth {near:g} to {far:g} m"
    return f"{where}, {'noisy' if noisy else 'clean'}, {truth}"


def data_of(records: Sequence[Record]) -> Data:
    """What the records of one table are of."""
    name, _, split = records[0].dataset.partition("@")
    near, far = records[0].limits_m
    return Data(
        name,
        split,
        (near, far or CAP_M[records[0].place]),
        count_frames(records),
        all(record.flip for record in records),
        all(record.anchor_pixels or record.protocol == "none" for record in records),
        _only(record.space for record in records),
        _only(record.regions for record in records),
    )


def _only(values: Iterable[str]) -> str:
    """The value that all have; empty if there are several."""
    found = set(values)
    return found.pop() if len(found) == 1 else ""


def has_depth(records: Iterable[Record]) -> bool:
    """Whether any record has depth anywhere: else all failed, and their errors are those of no depth."""
    return any(record.coverage > 0 for record in records)


def row_of(record: Record) -> tuple[str, str]:
    """Solver and engine of a record: what one row of a table shows."""
    return record.solver, record.engine


def row_labels(records: Iterable[Record]) -> Callable[[Record], str]:
    """Function from a record to its row's name in a chart: the solver, and the engine where several are."""
    several = len({record.engine for record in records}) > 1
    return lambda record: f"{record.solver}, {record.engine}" if several else record.solver


def case_label(case: Case) -> str:
    """Column heading of a case; the table's title states whether it is noisy."""
    return case.label


def case_name(record: Record) -> str:
    """Name of a record's case as published.yaml has it.

    Protocol and count, or the regime alone; "whole" of fits to the whole truth, and "none" without anchors.
    """
    if TRUTH in record.solver:
        return "whole"
    if record.solver in FROM_TRAINING:
        return "none"
    return record.protocol if record.protocol in ("none", *REGIMES) else f"{record.protocol} {record.count}"


def metrics_of(records: Iterable[Record]) -> list[str]:
    """Names of the metrics of records, in order of appearance."""
    return list(dict.fromkeys(name for record in records for name in record.errors))


def count_frames(records: Iterable[Record]) -> int:
    """Number of frames."""
    return len({(record.set_name, record.frame) for record in records})


def mean_error(records: Iterable[Record], name: str = "abs_rel") -> float:
    """Mean over frames of the mean over a frame's draws, where the metric is defined; NaN if nowhere.

    Of the square, and its root, for metrics that are a root mean square over images.
    """
    power = 2 if METRICS[name].root else 1
    frames = grouped(records, lambda r: (r.set_name, r.frame)).values()
    values = ([record.errors.get(name, math.nan) ** power for record in of_frame] for of_frame in frames)
    return float(finite_mean(map(finite_mean, values)) ** (1 / power))


def spread_over_seeds(records: Iterable[Record], name: str = "abs_rel") -> float:
    """Standard deviation (n - 1) over seeds of each seed's mean over frames; NaN with fewer than two."""
    means = [mean_error(of_seed, name) for of_seed in grouped(records, lambda r: r.seed).values()]
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def finite_mean(values: Iterable[float]) -> float:
    """Mean of the finite values; NaN without any."""
    defined = [value for value in values if math.isfinite(value)]
    return sum(defined) / len(defined) if defined else math.nan

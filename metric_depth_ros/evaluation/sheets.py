"""Contact sheets of a study: of each solver the frames with the least, the median and the largest error."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

import numpy as np

from metric_depth_ros.drawing.contact_sheet import SheetRow, draw_contact_sheet
from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.evaluation.candidates import Candidate
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.groups import case_label, grouped, mean_error, metrics_of
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.runner import Record, draws
from metric_depth_ros.evaluation.study import Network, Study, candidates_of, views_of
from metric_depth_ros.types import FloatArray, ImageArray, MetricDepth

# Set and frame; what the sheet says of it.
_Chosen = dict[tuple[str, str], str]


def contact_sheets(study: Study, records: Sequence[Record]) -> Iterator[tuple[str, ImageArray]]:
    """Name and picture (H, W, 3) of a sheet for each network and solver; controls have none.

    The error is the first metric's, at the middle number of random anchors, else at the first case.
    """
    case = middle_case(records)
    if case is None:
        return
    metric, one = metrics_of(records)[0], dataclasses.replace(study, cases=(case,), seeds=1)
    for network in study.networks:
        of_case = [r for r in records if r.engine == network.label and r.case == case and not r.control]
        chosen = {
            solver: extremes(those, metric) for solver, those in grouped(of_case, lambda r: r.solver).items()
        }
        yield from _sheets(one, network, chosen, case)


def middle_case(records: Sequence[Record]) -> Case | None:
    """The clean case that sheets show; None without one."""
    cases = list(dict.fromkeys(record.case for record in records if not record.noisy))
    random = sorted((c for c in cases if c.protocol == "random" and c.count), key=lambda c: c.count)
    return random[len(random) // 2] if random else cases[0] if cases else None


def extremes(records: Sequence[Record], metric: str) -> _Chosen:
    """The best, the median and the worst frame by a metric, in this order, with the words for each."""
    errors = {
        frame: mean_error(those, metric)
        for frame, those in grouped(records, lambda r: (r.set_name, r.frame)).items()
    }
    sign = -1 if METRICS[metric].lower_is_better is False else 1
    order = sorted((f for f in errors if np.isfinite(errors[f])), key=lambda frame: sign * errors[frame])
    if not order:
        return {}
    places = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    found: _Chosen = {}
    for word, place in places.items():
        frame = order[place]
        said = f"{found[frame].split(':')[0]}, {word}" if frame in found else word
        found[frame] = f"{said}: {METRICS[metric].title} {errors[frame]:.{METRICS[metric].digits}f}"
    return found


def _sheets(
    study: Study, network: Network, chosen: dict[str, _Chosen], case: Case
) -> Iterator[tuple[str, ImageArray]]:
    wanted = {frame for frames in chosen.values() for frame in frames}
    candidates = {each.label: each for each in candidates_of(study, network)}
    rows: dict[tuple[str, tuple[str, str]], SheetRow] = {}
    for view in views_of(study, network, lambda name, frame, known: (name, frame) in wanted):
        frame = (view.set_name, view.frame_id)
        for solver, frames in chosen.items():
            if frame in frames and (row := _row(candidates[solver], view, case, frames[frame])):
                rows[solver, frame] = row
    for solver, frames in chosen.items():
        of_solver = [rows[solver, frame] for frame in frames if (solver, frame) in rows]
        if of_solver:
            name = re.sub(r"\W+", "_", f"sheet_{network.label}_{solver}_{case_label(case)}")
            yield name, draw_contact_sheet(of_solver)


def _row(candidate: Candidate, view: KnownView, case: Case, words: str) -> SheetRow | None:
    """One frame of a sheet; depth is unknown where the solver fails. None without a draw."""
    drawn = next((drawn for _, _, drawn in draws(view.known, view.name, [case], 1)), None)
    if drawn is None:
        return None
    try:
        candidate.prepare(view)
        solved = candidate.solve(view, drawn.anchors)
    except MetricDepthError:
        solved = MetricDepth(np.full(view.image.shape[:2], np.nan, np.float32))
    return SheetRow(
        f"{view.name}, {words}",
        view.image,
        drawn.anchors,
        view.relative,
        solved.depth,
        _truth(view),
        solved.sigma,
    )


def _truth(view: KnownView) -> FloatArray:
    truth = np.full(view.image.shape[:2], np.nan, np.float32)
    u, v = np.rint(view.known.pixels.uv).astype(np.intp).T
    truth[v, u] = view.known.pixels.depth
    return truth

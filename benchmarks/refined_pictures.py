"""Pictures of frames in which ``refined`` gains most and least, and its time, for bench_refined.py."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence

import cv2
import numpy as np
from refined_tables import AUTO, OURS, of

from metric_depth_ros.config import updated
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.drawing.contact_sheet import MOST_ERROR
from metric_depth_ros.drawing.pictures import (
    beside,
    depth_bar,
    depth_range,
    draw_anchors,
    draw_depth,
    draw_error,
    draw_true_depth,
    nearest,
    resized_with_anchors,
)
from metric_depth_ros.drawing.scales import tiled, titled
from metric_depth_ros.evaluation.candidates import Candidate, solver_candidate
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.protocols import Case, draw
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.study import Study, views_of
from metric_depth_ros.evaluation.tables import Column, Row, Table
from metric_depth_ros.types import ImageArray

# Anchors of the pictures, and of the frames that are timed.
SHOWN = Case("random", 100)
TIMED, VGA, ROUNDS = (100, 500, 2000), (640, 480), 41
_WIDTH = 320


def extremes(records: Sequence[Record], engine: str) -> dict[str, tuple[str, str]]:
    """Set and frame in which AbsRel falls most ("best") and least, or rises ("worst")."""
    chosen = [r for r in records if r.engine == engine and r.case == SHOWN and r.seed == 0]
    auto = {(r.set_name, r.frame): r.errors["abs_rel"] for r in of(chosen, AUTO)}
    gain = {(r.set_name, r.frame): r.errors["abs_rel"] for r in of(chosen, OURS)}
    order = sorted(gain, key=lambda frame: gain[frame] / auto[frame])
    return {"best": order[0], "worst": order[-1]} if order else {}


def candidates_of(study: Study) -> list[Candidate]:
    """``auto`` and ``refined`` with the settings of a study."""
    return [solver_candidate(name, updated(study.config, {"solver.name": name})) for name in (AUTO, OURS)]


def sheet(study: Study, frames: dict[str, tuple[str, str]]) -> ImageArray:
    """Picture (H, W, 3) with six parts for each frame: anchors, depth of both, truth, error of both."""
    wanted, solvers = set(frames.values()), candidates_of(study)
    views = views_of(study, study.networks[0], lambda name, frame, _: (name, frame) in wanted)
    drawn = {(view.set_name, view.frame_id): view for view in views}
    rows = [_parts(f"{word}: {drawn[frame].name}", drawn[frame], solvers) for word, frame in frames.items()]
    return np.concatenate([tiled(parts, 3) for parts in rows])


def _parts(title: str, view: KnownView, solvers: Sequence[Candidate]) -> list[ImageArray]:
    anchors = draw(view.known, SHOWN, 0, view.name).anchors
    truth = view.known.pixels
    size = (_WIDTH, round(_WIDTH * view.known.height / view.known.width))
    u, v = np.rint(truth.uv).astype(np.intp).T
    low, high = depth_range(truth.depth)
    bar = depth_bar(size[1], low, high)
    upper = [(title, beside(draw_anchors(*resized_with_anchors(view.image, anchors, *size), low, high), bar))]
    lower = [("true depth", draw_true_depth(view.image, truth, size, (low, high)))]
    for solver, name in zip(solvers, ("auto", "refined"), strict=True):
        solver.prepare(view)
        depth = solver.solve(view, anchors).depth
        error = depth[v, u] / truth.depth - 1
        upper.append((name, draw_depth(nearest(depth, size), low, high)))
        mean = f"{name}: AbsRel {np.nanmean(np.abs(error)):.3f}"
        lower.append((mean, draw_error(view.image, truth, error, size, MOST_ERROR)))
    return [titled(*part) for part in (*upper, *lower)]


# ---- time ------------------------------------------------------------------------------------


def time_table(study: Study, rounds: int = ROUNDS) -> Table | None:
    """Milliseconds of both solvers on a VGA frame, and of one beyond the other; None without a frame."""
    views = (view for view in views_of(_first_of_vga(study), study.networks[0]) if _is_vga(view))
    view = next(views, None)
    if view is None:
        return None
    cv2.setNumThreads(2)
    # As after a node's clouds, glibc keeps freed memory now: pages that come and go take up to 4 ms an image.
    np.ones(2**24, np.uint8)
    rows = [Row((str(count),), _milliseconds(study, view, count, rounds)) for count in TIMED]
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    names = ("auto", "refined", "beyond", "least beyond", "processor time beyond")
    return Table(
        ("random anchors",), [Column(name, digits=1) for name in names], rows,
        f"median of {rounds} rounds in turn on {view.name}, 2 threads; load of {os.cpu_count()} cores {load}",
    )  # fmt: skip


def _first_of_vga(study: Study) -> Study:
    sets = [path for path in study.sets if open_dataset(path)[0].image.shape[1::-1] == VGA]
    return dataclasses.replace(study, sets=tuple(sets))


def _is_vga(view: KnownView) -> bool:
    return view.image.shape[1::-1] == VGA


def _milliseconds(study: Study, view: KnownView, count: int, rounds: int) -> list[float]:
    """Medians of both, and of what ``refined`` takes beyond: median, least, and median of processor time.

    The latter is of all threads, and hardly depends on what else runs.
    """
    anchors, solvers = draw(view.known, Case("random", count), 0, view.name).anchors, candidates_of(study)
    taken = np.empty((rounds + 1, len(solvers), 2))
    for solver in solvers:
        solver.prepare(view)
    for row in taken:
        for which, solver in enumerate(solvers):
            started = np.array([time.perf_counter(), time.process_time()])
            solver.solve(view, anchors)
            row[which] = [time.perf_counter(), time.process_time()] - started
    auto, ours = 1e3 * taken[1:].transpose(1, 0, 2)
    beyond = np.median(ours - auto, axis=0)
    least = ours[:, 0].min() - auto[:, 0].min()
    return [*np.median([auto[:, 0], ours[:, 0]], axis=1).tolist(), beyond[0], least, beyond[1]]

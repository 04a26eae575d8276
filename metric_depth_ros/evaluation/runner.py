"""Runs candidates on views: one record for every solver, image, case and seed."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.errors import AnchorError, InputError, MetricDepthError
from metric_depth_ros.evaluation import metrics
from metric_depth_ros.evaluation.candidates import Candidate
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.places import Place
from metric_depth_ros.evaluation.protocols import Case, Draw, draw
from metric_depth_ros.types import FloatArray

_NAN = float("nan")


@dataclass(frozen=True)
class Record:
    """Result of one candidate on one draw of anchors.

    Attributes:
        solver: the candidate's label.
        control: whether it is one of the controls.
        place, set_name, frame: of the image.
        protocol, count, noisy, seed: of the draw; ``anchors`` is its number of anchors.
        abs_rel, rmse, delta1: over evaluated pixels with a depth; NaN when there are none.
        coverage: fraction of the evaluated pixels with a depth; 0 after a failure.
        ause_abs_rel, ause_rmse, sigma_coverage: NaN for solvers without a sigma.
        sparsified, oracle: ``metrics.sparsification`` of AbsRel; empty for solvers without a sigma.
        seconds: time of the solve only.
        failure: the solver's error message if it gave no depth; empty otherwise.
        limits_m: nearest and farthest true depth that counts.
    """

    solver: str
    control: bool
    place: Place
    set_name: str
    frame: str
    protocol: str
    count: int
    noisy: bool
    seed: int
    anchors: int
    abs_rel: float = _NAN
    rmse: float = _NAN
    delta1: float = _NAN
    coverage: float = 0.0
    ause_abs_rel: float = _NAN
    ause_rmse: float = _NAN
    sigma_coverage: float = _NAN
    sparsified: tuple[float, ...] = ()
    oracle: tuple[float, ...] = ()
    seconds: float = _NAN
    failure: str = ""
    limits_m: tuple[float, float] = (0.0, 0.0)

    @property
    def charged_abs_rel(self) -> float:
        """AbsRel over all evaluated pixels; a pixel without depth counts as depth 0, an error of 1."""
        return 1.0 if self.coverage == 0 else self.coverage * self.abs_rel + (1 - self.coverage)

    @property
    def case(self) -> Case:
        """Case of the draw."""
        return Case(self.protocol, self.count, self.noisy)


def run(
    candidates: Sequence[Candidate],
    views: Iterable[KnownView],
    cases: Sequence[Case],
    seeds: int | None = None,
) -> Iterator[Record]:
    """Records of every candidate on every draw; a failure of a solver becomes a record too.

    An image with too few known pixels for a case has no record for it: the columns then have different
    frames, which the report counts.

    Args:
        seeds: draws for each case and image; None uses the case's default.
    """
    for view in views:
        for candidate in candidates:
            candidate.prepare(view)
        for case in cases:
            for seed in range(seeds or case.seeds):
                try:
                    drawn = draw(view.known, case, seed, view.name)
                except AnchorError:
                    break
                for candidate in candidates:
                    yield _record(candidate, view, case, seed, drawn)


def _record(candidate: Candidate, view: KnownView, case: Case, seed: int, drawn: Draw) -> Record:
    where = Record(
        solver=candidate.label,
        control=candidate.control,
        place=view.place,
        set_name=view.set_name,
        frame=view.frame_id,
        protocol=case.protocol,
        count=case.count,
        noisy=case.noisy,
        seed=seed,
        anchors=len(drawn.anchors),
        limits_m=view.limits_m,
    )
    started = time.perf_counter()
    try:
        metric = candidate.solve(view, drawn.anchors)
    except MetricDepthError as error:
        return dataclasses.replace(where, failure=str(error))
    seconds = time.perf_counter() - started
    truth = view.known.pixels.take(drawn.evaluated)
    u, v = np.rint(truth.uv).astype(np.intp).T
    sigma = None if metric.sigma is None else metric.sigma[v, u]
    return dataclasses.replace(where, seconds=seconds, **_errors(metric.depth[v, u], truth.depth, sigma))


def _errors(depth: FloatArray, truth: FloatArray, sigma: FloatArray | None) -> dict[str, Any]:
    """Metrics of a record by name."""
    found: dict[str, Any] = {
        "abs_rel": metrics.abs_rel(depth, truth),
        "rmse": metrics.rmse(depth, truth),
        "delta1": metrics.delta(depth, truth),
        "coverage": metrics.coverage(depth, truth),
    }
    if sigma is not None:
        found["ause_abs_rel"] = metrics.ause(depth, truth, sigma, "abs_rel")
        found["ause_rmse"] = metrics.ause(depth, truth, sigma, "rmse")
        found["sigma_coverage"] = metrics.sigma_coverage(depth, truth, sigma)
        curves = metrics.sparsification(depth, truth, sigma)
        found["sparsified"], found["oracle"] = (tuple(curve.tolist()) for curve in curves)
    return found


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Writes one JSON object per line, NaN as null. Raises InputError if the file cannot be written."""
    lines = []
    for record in records:
        values = dataclasses.asdict(record)
        lines.append(json.dumps({k: None if _is_nan(value) else value for k, value in values.items()}))
    try:
        Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed a file to write to.") from error


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)

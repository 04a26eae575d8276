"""Runs candidates on views: one record for every solver, image, case and seed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metric_depth_ros.errors import AnchorError, MetricDepthError
from metric_depth_ros.evaluation import metrics
from metric_depth_ros.evaluation.candidates import Candidate
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.known_depth import KnownDepth
from metric_depth_ros.evaluation.measures import DEFAULT, Solved, errors_of
from metric_depth_ros.evaluation.places import Place
from metric_depth_ros.evaluation.protocols import Case, Draw, draw
from metric_depth_ros.types import MetricDepth

_NAN = float("nan")


@dataclass(frozen=True)
class Record:
    """Result of one candidate on one draw of anchors.

    Attributes:
        solver: the candidate's label.
        control: whether it is one of the controls.
        place, set_name, frame: of the image.
        engine: label of the network whose relative depth was used.
        dataset: published dataset and split of the image, as "nyu_v2@test"; empty: none.
        protocol, count, noisy, seed: of the draw; ``anchors`` is its number of anchors.
        errors: value of each chosen metric of ``measures.METRICS`` by name; NaN where it is not defined.
            Pixels without depth are charged: all of them after a failure.
        evaluated: number of evaluated pixels.
        coverage: fraction of the evaluated pixels with a depth; 0 after a failure.
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
    errors: Mapping[str, float] = field(default_factory=dict)
    evaluated: int = 0
    coverage: float = 0.0
    sparsified: tuple[float, ...] = ()
    oracle: tuple[float, ...] = ()
    seconds: float = _NAN
    failure: str = ""
    engine: str = ""
    dataset: str = ""
    limits_m: tuple[float, float] = (0.0, 0.0)

    @property
    def case(self) -> Case:
        """Case of the draw."""
        return Case(self.protocol, self.count, self.noisy)


# Engine, set, frame; protocol, count, noisy, seed; solver.
Key = tuple[str, str, str, str, int, bool, int, str]


def key_of(record: Record) -> Key:
    """What a record is of; no two records of a run have the same."""
    r = record
    return r.engine, r.set_name, r.frame, r.protocol, r.count, r.noisy, r.seed, r.solver


def run(
    candidates: Sequence[Candidate],
    views: Iterable[KnownView],
    cases: Sequence[Case],
    seeds: int | None = None,
    metric_names: Sequence[str] = DEFAULT,
    done: Container[Key] = frozenset(),
) -> Iterator[Record]:
    """Records of every candidate on every draw; a failure of a solver becomes a record too.

    An image with too few known pixels for a case has no record for it: the columns then have different
    frames, which the report counts.

    Args:
        seeds: draws for each case and image; None uses the case's default.
        metric_names: metrics to compute, of ``measures.METRICS``.
        done: keys of records that there are already; they are not computed again.
    """
    for view in views:
        prepared = set()
        for case, seed, drawn in draws(view.known, view.name, cases, seeds):
            key = (view.engine, view.set_name, view.frame_id, case.protocol, case.count, case.noisy, seed)
            for candidate in candidates:
                if (*key, candidate.label) not in done:
                    if candidate.label not in prepared:
                        candidate.prepare(view)
                        prepared.add(candidate.label)
                    yield _record(candidate, view, case, seed, drawn, metric_names)


def draws(
    known: KnownDepth, name: str, cases: Iterable[Case], seeds: int | None = None
) -> Iterator[tuple[Case, int, Draw]]:
    """Every draw of the cases on an image that has enough known pixels for it."""
    for case in cases:
        for seed in range(seeds or case.seeds):
            try:
                yield case, seed, draw(known, case, seed, name)
            except AnchorError:
                break


def _record(
    candidate: Candidate, view: KnownView, case: Case, seed: int, drawn: Draw, metric_names: Sequence[str]
) -> Record:
    truth = view.known.pixels.take(drawn.evaluated)
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
        engine=view.engine,
        dataset=view.dataset,
        evaluated=len(truth),
        limits_m=view.limits_m,
    )
    started = time.perf_counter()
    try:
        metric = candidate.solve(view, drawn.anchors)
        where = dataclasses.replace(where, seconds=time.perf_counter() - started)
    except MetricDepthError as error:
        metric = MetricDepth(np.full((view.known.height, view.known.width), np.nan, np.float32))
        where = dataclasses.replace(where, failure=str(error))
    u, v = np.rint(truth.uv).astype(np.intp).T
    solved = Solved(metric.depth[v, u], truth.depth, None if metric.sigma is None else metric.sigma[v, u])
    return dataclasses.replace(
        where,
        errors=errors_of(solved, metric_names),
        coverage=metrics.coverage(solved.depth, solved.truth),
        **_curves(solved),
    )


def _curves(solved: Solved) -> dict[str, Any]:
    """Sparsification curves by the name of their field; empty without a sigma."""
    if solved.sigma is None:
        return {}
    left, best = metrics.sparsification(solved.depth, solved.truth, solved.sigma)
    return {"sparsified": tuple(left.tolist()), "oracle": tuple(best.tolist())}

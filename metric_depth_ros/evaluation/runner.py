"""Runs candidates on views: one record for every solver, image, case and seed."""

from __future__ import annotations

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
from metric_depth_ros.evaluation.measures import DEFAULT, METRICS, Solved, errors_of
from metric_depth_ros.evaluation.places import Place
from metric_depth_ros.evaluation.protocols import Case, Draw, draw
from metric_depth_ros.evaluation.temporal import Moment
from metric_depth_ros.types import Anchors, MetricDepth

_NAN = float("nan")


@dataclass(frozen=True)
class Record:
    """Result of one candidate on one draw of anchors.

    Attributes:
        solver: the candidate's label.
        control: whether it is one of the controls.
        place, set_name, frame: of the image.
        engine: label of the network whose relative depth was used.
        dataset: published dataset and split of the image, as "nyuv2@test"; empty: none.
        protocol, count, noisy, seed: of the draw; ``anchors`` is its number of anchors.
        errors: value of each chosen metric of ``measures.METRICS`` by name; NaN where it is not defined.
            Pixels without depth are charged: all of them after a failure.
        evaluated: number of evaluated pixels.
        coverage: fraction of the evaluated pixels with a depth; 0 after a failure.
        sparsified, oracle: ``metrics.sparsification`` of AbsRel; empty for solvers without a sigma.
        seconds: time of the solve only.
        failure: the solver's error message if it gave no depth; empty otherwise.
        limits_m: nearest and farthest true depth that counts.
        anchor_pixels: whether pixels with an anchor are evaluated, too.
        flip: whether depth is the mean with that of the mirror image.
        space: of the lines that the run fits to the whole truth; empty: none.
        regions: source of the run's regions.
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
    anchor_pixels: bool = False
    flip: bool = False
    space: str = ""
    regions: str = ""

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
) -> Iterator[Record]:
    """Records of every candidate on every draw; a failure of a solver becomes a record too.

    An image with too few known pixels for a case has no record for it: the columns then have different
    frames, which the report counts. Temporal metrics compare a view with the one before it of the same scene,
    so a scene's views must come in order and in one call.

    Args:
        seeds: draws for each case and image; None uses the case's default.
        metric_names: metrics to compute, of ``measures.METRICS``.
    """
    for of_view in run_by_view(candidates, views, cases, seeds, metric_names):
        yield from of_view


def run_by_view(
    candidates: Sequence[Candidate],
    views: Iterable[KnownView],
    cases: Sequence[Case],
    seeds: int | None = None,
    metric_names: Sequence[str] = DEFAULT,
    done: Container[Key] = frozenset(),
) -> Iterator[list[Record]]:
    """As ``run``, those of a view together.

    ``done``: keys of records that there are already: they are left out, and not computed either unless a
    temporal metric of the next view needs them.
    """
    moments = _Moments(metric_names)
    for view in views:
        prepared: set[str] = set()
        found = []
        for case, seed, drawn in draws(view.known, view.name, cases, seeds):
            for candidate in candidates:
                known = _key(view, case, seed, candidate.label) in done
                if known and not moments.of_sequences:
                    continue
                if candidate.label not in prepared:
                    candidate.prepare(view)
                    prepared.add(candidate.label)
                record = _record(candidate, view, case, seed, drawn, moments)
                found += [] if known else [record]
        yield found


def draws(
    known: KnownDepth, name: str, cases: Iterable[Case], seeds: int | None = None
) -> Iterator[tuple[Case, int, Draw]]:
    """Case, seed and draw; none of a case for which the image has too few known pixels."""
    for case in cases:
        for seed in range(seeds or case.seeds):
            try:
                yield case, seed, draw(known, case, seed, name)
            except AnchorError:
                break


def _key(view: KnownView, case: Case, seed: int, label: str) -> Key:
    return view.engine, view.set_name, view.frame_id, case.protocol, case.count, case.noisy, seed, label


def _record(
    candidate: Candidate, view: KnownView, case: Case, seed: int, drawn: Draw, moments: _Moments
) -> Record:
    truth = view.known.pixels.take(drawn.evaluated)
    metric, outcome = _solved(candidate, view, drawn)
    pair = moments.of(view, metric, (candidate.label, case, seed))
    return Record(
        solver=candidate.label,
        control=candidate.control,
        place=view.place,
        set_name=view.set_name,
        frame=view.frame_id,
        engine=view.engine,
        dataset=view.dataset,
        limits_m=view.limits_m,
        protocol=case.protocol,
        count=case.count,
        noisy=case.noisy,
        seed=seed,
        anchors=len(drawn.anchors),
        **outcome,
        **_measured(metric, truth, pair, moments.metric_names, candidate.focus_m),
    )


def _solved(candidate: Candidate, view: KnownView, drawn: Draw) -> tuple[MetricDepth, dict[str, Any]]:
    """Depth, and time or failure by the name of their field; a failure is an image without depth."""
    started = time.perf_counter()
    try:
        return candidate.solve(view, drawn.anchors), {"seconds": time.perf_counter() - started}
    except MetricDepthError as error:
        nothing = np.full((view.known.height, view.known.width), np.nan, np.float32)
        return MetricDepth(nothing), {"failure": str(error)}


def _measured(
    metric: MetricDepth,
    truth: Anchors,
    moments: tuple[Moment | None, Moment | None],
    metric_names: Sequence[str],
    focus_m: float,
) -> dict[str, Any]:
    """Fields of a record that compare depth with the truth at the evaluated pixels."""
    u, v = np.rint(truth.uv).astype(np.intp).T
    sigma = None if metric.sigma is None else metric.sigma[v, u]
    solved = Solved(metric.depth[v, u], truth.depth, sigma, *moments, focus_m=focus_m)
    return {
        "errors": errors_of(solved, metric_names),
        "evaluated": len(truth),
        "coverage": metrics.coverage(solved.depth, solved.truth),
        **_curves(solved),
    }


class _Moments:
    """Depth images for the metrics that need them, each with that of the frame before.

    Attributes:
        metric_names: all of the run.
        of_sequences: whether a metric compares frames.
    """

    def __init__(self, metric_names: Sequence[str]) -> None:
        self.metric_names = metric_names
        self._wanted = {METRICS[name].of for name in metric_names}
        self.of_sequences = "sequences" in self._wanted
        self._latest: dict[tuple[str, Case, int], Moment] = {}

    def of(
        self, view: KnownView, metric: MetricDepth, key: tuple[str, Case, int]
    ) -> tuple[Moment | None, Moment | None]:
        """This one and the one before, which has the same solver, case and seed; None if not wanted."""
        if self._wanted == {"pixels"}:
            return None, None
        known, scene = view.known, view.scene
        now = Moment(
            metric.depth, known.depth_image, view.camera, view.T_world_camera, scene, known.from_lidar
        )
        before = self._latest.get(key)
        if self.of_sequences:
            self._latest[key] = now
        return now, before


def _curves(solved: Solved) -> dict[str, Any]:
    """Sparsification curves by the name of their field; empty without a sigma."""
    if solved.sigma is None:
        return {}
    left, best = metrics.sparsification(solved.depth, solved.truth, solved.sigma)
    return {"sparsified": tuple(left.tolist()), "oracle": tuple(best.tolist())}

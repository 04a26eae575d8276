"""Effect of the constants of the covariance in the solver auto, and of choosing them on other sets.

    python benchmarks/bench_covariance.py $METRIC_DEPTH_DATA --engine $METRIC_DEPTH_DATA/relative_meter
    python benchmarks/bench_covariance.py $METRIC_DEPTH_DATA --rendered TEST... [--every N]

Each amplitude and length times 0.6 and times 1.6, all else as shipped, as rows of the tables that
``metric_depth evaluate`` makes. "chosen on the other sets" takes for each set what was best on all others.
A last table takes what is best (geometric mean over columns) on one half of the real sets, or on every N-th
rendered picture, and reports it on the other half, or both, beside what is shipped. ``--terms`` leaves out
each term of the solver in turn.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from real_sets import SETS

from metric_depth_ros.config import Config, SolverConfig
from metric_depth_ros.depth import within_limits
from metric_depth_ros.evaluation import report, runner
from metric_depth_ros.evaluation.candidates import Candidate
from metric_depth_ros.evaluation.frames import KnownView, build_source, find_sets, read_views
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.solvers.gaussian_process.process import Covariance
from metric_depth_ros.solvers.gaussian_process.solver import GaussianProcessSolver
from metric_depth_ros.types import MISFIT, Anchors, MetricDepth, SolverInput

# Place, whether anchors are noisy, and their number.
Column: TypeAlias = tuple[str, bool, int]

FACTORS = (0.6, 1.6)
COUNTS = (10, 50, 100, 500)


def candidate(label: str, covariance: Covariance, *, misfit: bool = True, **settings: str) -> Candidate:
    config = SolverConfig(**settings)
    solver = GaussianProcessSolver(config, covariance)

    def solve(view: KnownView, anchors: Anchors) -> MetricDepth:
        relative = view.relative
        if not misfit:
            kept = {name: values for name, values in relative.features.items() if name != MISFIT}
            relative = dataclasses.replace(relative, features=kept)
        given = SolverInput(relative, anchors, image=view.image)
        return within_limits(solver.solve(given), config)

    return Candidate(label, solve)


def without_each_term() -> list[Candidate]:
    """The solver, and the solver without one of its terms."""
    whole = Covariance()
    absent = {"slope": 0.0, "maps": 0.0, "smooth": 0.0, "local": 1e-3, "x_length": 1e3, "colour_length": 1e3}
    return [
        candidate("as shipped", whole),
        *(candidate(f"no {n}", dataclasses.replace(whole, **{n: value})) for n, value in absent.items()),
        candidate("no misfit", whole, misfit=False),
        candidate("no line", whole, domain="log"),
        candidate("no gate, no doubt", whole, robust="none"),
    ]


def candidates() -> list[Candidate]:
    shipped = Covariance()
    found = [candidate("as shipped", shipped)]
    for constant in dataclasses.fields(Covariance):
        for factor in FACTORS:
            value = factor * getattr(shipped, constant.name)
            changed = dataclasses.replace(shipped, **{constant.name: value})
            found.append(candidate(f"{constant.name} {value:.3g}", changed))
    return found


def chosen_elsewhere(records: Sequence[Record]) -> Iterator[str]:
    """Lines of the last table: clean anchors, 10 to 500 indoors, then outdoors."""
    halves = {half: {name for names in places.values() for name in names} for half, places in SETS.items()}
    halves["rendered"] = {record.set_name for record in records} - set.union(*halves.values())
    for chosen, reported in (
        ("develop", "report"), ("report", "develop"), ("rendered", "develop"), ("rendered", "report")
    ):  # fmt: skip
        ours = _means(records, halves[chosen])
        theirs = _means(records, halves[reported])
        if not ours or not theirs:
            continue
        best = min(ours, key=lambda solver: float(np.mean(np.log(list(ours[solver].values())))))
        for solver in dict.fromkeys(("as shipped", best)):
            cells = " ".join(f"{error:.4f}" for (_, noisy, _), error in theirs[solver].items() if not noisy)
            yield f"{chosen:8} -> {reported:8} {solver:20} {cells}"


def _means(records: Sequence[Record], sets: Collection[str]) -> dict[str, dict[Column, float]]:
    """Mean AbsRel by solver and column of some sets."""
    found: dict[str, dict[Column, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.set_name in sets:
            column = (record.place, record.noisy, record.count)
            found[record.solver][column].append(record.errors["abs_rel"])
    return {
        solver: {column: float(np.mean(errors)) for column, errors in sorted(columns.items())}
        for solver, columns in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The constants of auto.")
    parser.add_argument("data", type=Path, nargs="+", help="folders of calibrated frames")
    parser.add_argument(
        "--engine", type=Path, help="stored network outputs, or a manifest (default: our network)"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rendered", type=Path, nargs="+", default=[], help="folders of shards")
    parser.add_argument("--terms", action="store_true", help="without each term instead")
    parser.add_argument("--every", type=int, default=6, help="of the rendered pictures (default 6)")
    args = parser.parse_args()
    source = build_source(engine_for(Config()), args.engine)
    views = [view for folder in find_sets(args.data) for view in read_views(folder, source)]
    for folder in find_sets(args.rendered) if args.rendered else ():
        views += list(read_views(folder, source, every=True))[:: args.every]
    cases = [Case("random", count, noisy) for noisy in (False, True) for count in COUNTS]
    solvers = without_each_term() if args.terms else candidates()
    records = list(runner.run(solvers, views, cases, args.seeds))
    print(report.summary(records))
    if not args.terms:
        print(*chosen_elsewhere(records), sep="\n")


if __name__ == "__main__":
    main()

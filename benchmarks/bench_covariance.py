"""Effect of the constants of the covariance in the solver auto, and of choosing them on other sets.

    python benchmarks/bench_covariance.py $METRIC_DEPTH_DATA --engine $METRIC_DEPTH_DATA/relative_meter

Each amplitude and length times 0.6 and times 1.6, all else as shipped, as rows of the tables that
``metric_depth evaluate`` makes. "chosen on the other sets" takes for each set what was best on all others.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from metric_depth_ros.config import Config, SolverConfig
from metric_depth_ros.depth import within_limits
from metric_depth_ros.evaluation import report, runner
from metric_depth_ros.evaluation.candidates import Candidate
from metric_depth_ros.evaluation.frames import KnownView, build_source, find_sets, read_views
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.solvers.gaussian_process.process import Covariance
from metric_depth_ros.solvers.gaussian_process.solver import GaussianProcessSolver
from metric_depth_ros.types import Anchors, MetricDepth, SolverInput

FACTORS = (0.6, 1.6)
COUNTS = (10, 50, 100, 500)


def candidate(label: str, covariance: Covariance) -> Candidate:
    config = SolverConfig()
    solver = GaussianProcessSolver(config, covariance)

    def solve(view: KnownView, anchors: Anchors) -> MetricDepth:
        given = SolverInput(view.relative, anchors, image=view.image)
        return within_limits(solver.solve(given), config)

    return Candidate(label, solve)


def candidates() -> list[Candidate]:
    shipped = Covariance()
    found = [candidate("as shipped", shipped)]
    for constant in dataclasses.fields(Covariance):
        for factor in FACTORS:
            value = factor * getattr(shipped, constant.name)
            changed = dataclasses.replace(shipped, **{constant.name: value})
            found.append(candidate(f"{constant.name} {value:.3g}", changed))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="The constants of auto.")
    parser.add_argument("data", type=Path, nargs="+", help="folders of calibrated frames")
    parser.add_argument(
        "--engine", type=Path, help="stored network outputs, or a manifest (default: our network)"
    )
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    source = build_source(engine_for(Config()), args.engine)
    views = (view for folder in find_sets(args.data) for view in read_views(folder, source))
    cases = [Case("random", count, noisy) for noisy in (False, True) for count in COUNTS]
    print(report.summary(list(runner.run(candidates(), views, cases, args.seeds))))


if __name__ == "__main__":
    main()

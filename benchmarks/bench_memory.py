"""Images without anchors: error of the solver `basis` with its memory, and coverage of its sigma.

    python benchmarks/bench_memory.py SEQUENCE...

Every frame of a sequence in turn has 100 random anchors; the next four have none. Frames count as 0.1 s
apart. AbsRel / within one sigma, and how many frames a column is of.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from metric_depth_ros.config import from_flat
from metric_depth_ros.depth import within_limits
from metric_depth_ros.evaluation.frames import KnownView, build_source, read_views
from metric_depth_ros.evaluation.metrics import abs_rel, sigma_coverage
from metric_depth_ros.evaluation.protocols import Case, draw
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.solvers import build_solver
from metric_depth_ros.types import Anchors, SolverInput

AHEAD, STEP_NS, CASE = 4, 10**8, Case("random", 100)
NOTHING = Anchors(np.zeros((0, 2)), np.zeros(0), np.zeros(0))


def carried(views: list[KnownView], maps: str) -> list[list[tuple[float, float]]]:
    """AbsRel and coverage of every frame with anchors, of those one step later, and so on."""
    settings = {"solver.name": "basis", "solver.basis.memory_s": 1.0, "solver.basis.maps": maps}
    found: list[list[tuple[float, float]]] = [[] for _ in range(AHEAD + 1)]
    for first in range(len(views)):
        config = from_flat(settings).solver
        solver = build_solver(config)
        for later, view in enumerate(views[first : first + AHEAD + 1]):
            drawn = draw(view.known, CASE, 0, view.name)
            given = SolverInput(
                view.relative,
                NOTHING if later else drawn.anchors,
                image=view.image,
                stamp_ns=STEP_NS * (10 + later),
            )
            metric = within_limits(solver.solve(given), config)
            truth = view.known.pixels.take(drawn.evaluated)
            u, v = np.rint(truth.uv).astype(np.intp).T
            depth, sigma = metric.depth[v, u], np.asarray(metric.sigma)[v, u]
            found[later].append((abs_rel(depth, truth.depth), sigma_coverage(depth, truth.depth, sigma)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    source = build_source(engine_for(from_flat({"solver.name": "basis"})))
    print(f"| sequence | maps |{''.join(f' {step / 10:g} s |' for step in range(AHEAD + 1))}")
    print(f"|---|---|{'---:|' * (AHEAD + 1)}")
    for folder in parser.parse_args().data:
        views = list(read_views(folder, source, every=True))
        for maps in ("learned", "analytic"):
            cells = [
                f"{np.mean(pairs, axis=0)[0]:.3f} / {np.mean(pairs, axis=0)[1]:.2f} ({len(pairs)})"
                if pairs
                else "-"
                for pairs in carried(views, maps)
            ]
            print(f"| {folder.name} | {maps} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

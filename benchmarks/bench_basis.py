"""Tables 1 to 3 of paper 001 with our network: basis generators of several runs, and all other solvers.

    python benchmarks/bench_basis.py DATA... [--engine tiny] [--runs RUNS] [--every N] [--by-set]
    python benchmarks/bench_basis.py DATA... --outliers
    python benchmarks/bench_basis.py --times

DATA are frames or shards not used for training, or folders of them; RUNS is a folder of runs of
`metric_depth train basis`. Runs that differ in their seed alone are one row: the mean over the seeds, and the
standard deviation of the seeds' means. --stored takes stored outputs of another network, for runs with F = 0.
--outliers makes every tenth of 100 random anchors 1.3 to 3 times as far, or 0.3 to 0.75 times, and says what
that does; --times measures solve and apply at 640x480 instead.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.config import Config, EngineConfig, SolverConfig, from_flat
from metric_depth_ros.depth import positive_depth, within_limits
from metric_depth_ros.evaluation import groups, report, runner
from metric_depth_ros.evaluation.candidates import Candidate, build_candidates
from metric_depth_ros.evaluation.frames import KnownView, build_source, find_sets, read_views
from metric_depth_ros.evaluation.metrics import abs_rel
from metric_depth_ros.evaluation.protocols import OUTLIERS_FAR, OUTLIERS_NEAR, Case, draw
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.solvers import Solver, build_solver
from metric_depth_ros.types import Anchors, MetricDepth, RelativeDepth, SolverInput

CASES = [Case("low", 1), Case("medium", 1), Case("high", 1), *(Case("drop", n) for n in (9, 7, 5, 3, 1))]
OTHERS = ("global_affine", "piecewise", "lwlr", "grid", "region_aware", "auto")
SHIPPED = {
    "basis, shipped": {"solver.name": "basis"},
    "basis, shipped, residuals spread": {"solver.name": "basis", "solver.residuals": "spread"},
    "basis, shipped, no local maps": {"solver.name": "basis", "solver.basis.local_columns": 0},
    "paper_basis, shipped": {"solver.name": "paper_basis"},
    "basis, analytic maps": {"solver.name": "basis", "solver.basis.maps": "analytic"},
}
# Solvers that take depth, or do better with it, as they take the depth that basis starts from.
ON_POSITIVE = (
    "global_affine", "piecewise", "lwlr", "grid", "region_aware",
    "paper_global", "paper_piecewise", "paper_lwlr", "paper_grid", "paper_ssf",
)  # fmt: skip
THREADS, TURNS = 2, 400


def run_candidates(folder: Path, engine: EngineConfig, *, blind_alone: bool) -> Iterator[Candidate]:
    """Every run of a folder as a candidate, or those with F = 0; its maps replace those of the network."""
    import torch

    from metric_depth_ros.engines import load_manifest, manifest_path
    from metric_depth_ros.learning.models.basis_generator import FusedGenerator
    from metric_depth_ros.learning.training.basis.cache import FEATURES, reduced_size
    from metric_depth_ros.learning.training.basis.trainer import load_generator

    torch.set_num_threads(1)
    manifest = load_manifest(manifest_path(engine))
    for path in sorted(run for run in folder.iterdir() if (run / "checkpoint.pt").is_file()):
        generator, state = load_generator(path)
        settings = state["settings"]
        if blind_alone and not settings["blind"]:
            continue
        name = run_name(settings)
        kind = "depth" if blind_alone else manifest.output.kind  # stored outputs are made positive depth
        fused = FusedGenerator(generator, kind, reduced_size(manifest)[::-1]).eval()
        made: dict[str, Any] = {}

        def maps_of(
            view: KnownView, fused: Any = fused, made: dict[str, Any] = made, blind: bool = settings["blind"]
        ) -> RelativeDepth:
            if view.name not in made:
                made.clear()
                values = view.relative.values
                if blind_alone:
                    values = np.nan_to_num(positive_depth(view.relative))
                values = torch.from_numpy(values)[None, None]
                features = None if blind else torch.from_numpy(view.relative.features[FEATURES])[None]
                with torch.inference_mode():
                    basis, spread = fused(values, features)
                made[view.name] = {"basis": basis[0].numpy(), "spread": spread[0].numpy()}
            return replace(view.relative, features=made[view.name])

        # The paper's regimes are trained with the paper's solve.
        config = _solver(settings["regime"])
        solver = build_solver(config)

        def solve(
            view: KnownView,
            anchors: Anchors,
            maps_of: Callable[[KnownView], RelativeDepth] = maps_of,
            config: SolverConfig = config,
            solver: Solver = solver,
        ) -> MetricDepth:
            given = SolverInput(maps_of(view), anchors, image=view.image)
            return within_limits(solver.solve(given), config)

        yield Candidate(f"{name} | seed {settings['seed']}, {state['step']} steps", solve, maps_of)


def run_name(settings: dict[str, Any]) -> str:
    """Of runs that differ in their seed alone."""
    name = f"K={settings['maps']}{', F=0' if settings['blind'] else ''}, trained on {settings['regime']}"
    if settings["start"]:
        name += f" from {Path(settings['start']).name}"
    return f"{name}, {'+'.join(settings['families'])} alone" if settings["families"] else name


def on_positive_depth(candidate: Candidate) -> Candidate:
    """The candidate given the network's positive depth, as ``basis`` takes it."""

    def positive(view: KnownView) -> KnownView:
        return replace(view, relative=RelativeDepth(positive_depth(view.relative), "depth"))

    def solve(view: KnownView, anchors: Anchors) -> MetricDepth:
        return candidate.solve(positive(view), anchors)

    return replace(candidate, label=f"{candidate.label}, positive depth", solve=solve)


def _solver(regime: str) -> SolverConfig:
    return from_flat({"solver.name": "basis" if regime == "mixed" else "paper_basis"}).solver


def table(records: list[runner.Record]) -> str:
    """AbsRel and delta1 of every solver, the seeds of a run together."""
    by_row: defaultdict[str, defaultdict[str, list[runner.Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        row, _, seed = record.solver.partition(" | ")
        by_row[row][seed].append(record)
    lines = [
        f"| AbsRel / delta1 | {' | '.join(map(groups.case_label, CASES))} | seeds |",
        f"|---|{'---:|' * (len(CASES) + 1)}",
    ]
    for row, seeds in by_row.items():
        cells = []
        for case in CASES:
            errors = [groups.mean_error([r for r in found if r.case == case]) for found in seeds.values()]
            of_case = [r for found in seeds.values() for r in found if r.case == case]
            delta = groups.mean_error(of_case, "delta1")
            spread = f" +- {np.std(errors, ddof=1):.3f}" if len(errors) > 1 else ""
            cells.append(f"{np.mean(errors):.3f}{spread} / {delta:.2f}")
        lines.append(f"| {row} | {' | '.join(cells)} | {len(seeds)} |")
    return "\n".join(lines)


def measure(args: argparse.Namespace) -> None:
    """Prints the table of every place."""
    engine = engine_for(from_flat({"solver.name": "basis", "engine.manifest": args.engine}))
    source = build_source(engine, args.stored)
    positive = build_candidates(Config(), ON_POSITIVE, {}, constant_map=False)
    candidates = [on_positive_depth(each) for each in positive if not each.control]
    candidates += build_candidates(Config(), OTHERS, {} if args.stored else SHIPPED, constant_map=False)
    if args.runs is not None:
        candidates += list(run_candidates(args.runs, engine, blind_alone=args.stored is not None))
    records: list[runner.Record] = []
    for folder in find_sets(args.data):
        views = read_views(folder, source, every=args.every > 0)
        chosen = (view for index, view in enumerate(views) if index % max(args.every, 1) == 0)
        records += list(runner.run(candidates, chosen, CASES, args.seeds))
    for place in sorted({record.place for record in records}):
        those = [record for record in records if record.place == place]
        frames = len({(r.set_name, r.frame) for r in those})
        print(f"\n{place}, {frames} pictures, {args.seeds} draws\n\n{table(those)}\n")
        print(report.summary([record for record in those if record.solver in ("auto", *SHIPPED)]))
        if args.by_set:
            print(report.by_set([r for r in those if r.solver in SHIPPED or " | " in r.solver]))
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        runner.write_records(args.out / "records.jsonl", records)


def outliers(data: list[Path], every: int, engine: str) -> None:
    """Prints what gross outliers do to the shipped basis, with and without its robust weights."""
    source = build_source(engine_for(from_flat({"solver.name": "basis", "engine.manifest": engine})))
    settings = {
        "basis": {},
        "basis, no local maps": {"solver.basis.local_columns": 0},
        "basis, robust none": {"solver.robust": "none"},
    }
    solvers = {
        name: build_solver(from_flat({"solver.name": "basis", **given}).solver)
        for name, given in settings.items()
    }
    errors: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for folder in find_sets(data):
        for index, view in enumerate(read_views(folder, source, every=every > 0)):
            if index % max(every, 1):
                continue
            drawn = draw(view.known, Case("random", 100), 0, view.name)
            rng, clean = np.random.default_rng(index), drawn.anchors
            far = rng.random(100) < 0.5
            factor = np.where(far, rng.uniform(*OUTLIERS_FAR, 100), rng.uniform(*OUTLIERS_NEAR, 100))
            wrong = np.where(np.arange(100) % 10 == 0, factor, 1) * clean.depth
            truth = view.known.pixels.take(drawn.evaluated)
            u, v = np.rint(truth.uv).astype(np.intp).T
            for name, solver in solvers.items():
                given = SolverInput(view.relative, clean, image=view.image)
                spoilt = replace(given, anchors=replace(clean, depth=wrong.astype(np.float32)))
                pair = [abs_rel(solver.solve(g).depth[v, u], truth.depth) for g in (given, spoilt)]
                errors[name].append((pair[0], pair[1]))
    print("| 100 random anchors | clean | one in ten wrong | more |\n|---|---:|---:|---:|")
    for name, pairs in errors.items():
        plain, with_wrong = np.mean(pairs, axis=0)
        cells = f"{plain:.3f} | {with_wrong:.3f} | {with_wrong / plain - 1:+.1%}"
        print(f"| {name}, {len(pairs)} pictures | {cells} |")


def times() -> None:
    """Solve and apply with 500 anchors, beside numpy.linalg.lstsq and apply, in turn."""
    from bench_solvers import HEIGHT, WIDTH, anchors_on, reference, scene, times_ms

    cv2.setNumThreads(THREADS)
    _, relief = scene()
    anchors, rng = anchors_on(relief, 500), np.random.default_rng(0)
    jobs: dict[str, Callable[[], object]] = {"lstsq and apply": lambda: reference(relief, anchors)}
    for count in (8, 30, 50):
        maps = [cv2.resize(rng.normal(0, 1, (6, 8)), (80, 60)) / count for _ in range(count)]
        features = {
            "basis": np.stack(maps).astype(np.float32),
            "spread": np.full((1, 60, 80), 0.1, np.float32),
        }
        relative = RelativeDepth(1 / relief.values - np.float32(0.4), "inverse_depth", features=features)
        for title, name, columns in (
            ("basis", "basis", 7),
            ("basis, no local maps", "basis", 0),
            ("paper_basis", "paper_basis", 0),
        ):
            chosen = {"solver.name": name, "solver.basis.local_columns": columns}
            solver = build_solver(from_flat(chosen).solver)
            given = SolverInput(relative, anchors)
            jobs[f"{title}, K = {count}"] = lambda s=solver, g=given: s.solve(g)
    found = times_ms(jobs, TURNS, min)
    print(f"{WIDTH}x{HEIGHT}, 500 anchors, {THREADS} threads, best of {TURNS}\n")
    print("| job | ms | times lstsq |\n|---|---:|---:|")
    for name, ms in found.items():
        print(f"| {name} | {ms:.2f} | {ms / found['lstsq and apply']:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--runs", type=Path, help="folder of runs")
    parser.add_argument("--engine", default="", help="the network: small (default), tiny or a manifest")
    parser.add_argument("--stored", type=Path, help="folder of stored outputs instead of the network")
    parser.add_argument(
        "--every", type=int, default=0, metavar="N", help="every Nth frame, not first and last"
    )
    parser.add_argument("--by-set", action="store_true", help="also the generators' rows for every set")
    parser.add_argument("--seeds", type=int, default=1, help="draws of each case")
    parser.add_argument("--out", type=Path, help="writes records.jsonl there")
    parser.add_argument("--outliers", action="store_true")
    parser.add_argument("--times", action="store_true")
    args = parser.parse_args()
    if args.times:
        times()
    elif args.outliers:
        outliers(args.data, args.every, args.engine)
    else:
        measure(args)


if __name__ == "__main__":
    main()

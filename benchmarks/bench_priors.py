"""Priors without anchors and with few: paper 002's tables, and the errors of prior, solver, and both.

    python benchmarks/bench_priors.py DATA... [--priors scale_cnn,metric_solver] [--solver auto] [--every 1]

DATA are folders of frames or shards that were not trained on, or folders of them; frames without intrinsics
are left out. Tables, by place:

- of scale networks, paper 002's table I: MAE and RMSE of the factor; and its table II: AbsRel, RMSE and
  delta1 of one factor for all pictures (their median best one; of metric networks: none), of every picture's
  best factor (oracle), and of the network's. Best factors are those of the known pixels.
- of every prior, how far its level is off: what a manifest's ``sigma`` (and ``sigma_far``: outdoor) says.
- AbsRel with 0 to 10 random anchors: each prior alone, the solver alone, and both. Control: one depth for all
  pictures of the place, their median; it has seen the truth, the others have not.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from metric_depth_ros.config import EngineConfig, from_flat
from metric_depth_ros.evaluation import metrics
from metric_depth_ros.evaluation.candidates import build_candidates
from metric_depth_ros.evaluation.frames import KnownView, build_source, find_sets, read_views
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.runner import run
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.priors import Estimate, ScalePrior, build_prior
from metric_depth_ros.scale import best_scale, bounds_of, unit_depth
from metric_depth_ros.types import FloatArray, PriorInput

COUNTS = (0, 1, 2, 3, 5, 10)
METRICS = {"AbsRel": metrics.abs_rel, "RMSE": metrics.rmse, "delta1": metrics.delta}


def known_values(view: KnownView, depth: FloatArray) -> FloatArray:
    """A map's values at the known pixels."""
    u, v = np.rint(view.known.pixels.uv).astype(np.intp).T
    return np.asarray(depth[v, u])


def factors_of(views: Sequence[KnownView], prior: ScalePrior) -> dict[str, list[float]]:
    """Factors of all views: one for all of them, every view's best, and what the network says."""
    best = [
        best_scale(known_values(v, unit_depth(v.relative)), v.known.pixels.depth, bounds_of(v.relative))
        for v in views
    ]
    usual = 1.0 if prior.manifest.metric else float(np.median(best))
    said = [prior.factor(view.image, view.camera) for view in views]
    return {"one factor": [usual] * len(best), "oracle": best, "adaptive": said}


def paper_tables(views: Sequence[KnownView], prior: ScalePrior) -> str:
    """Tables I and II of paper 002 for the views of a place."""
    maps = [known_values(view, unit_depth(view.relative)) for view in views]
    truths = [view.known.pixels.depth for view in views]
    factors_by_name = factors_of(views, prior)
    best, said = factors_by_name["oracle"], factors_by_name["adaptive"]
    apart, log = np.subtract(said, best), np.log(said) - np.log(best)
    lines = [
        f"factor: MAE {np.abs(apart).mean():.4f}, RMSE {np.sqrt(np.square(apart).mean()):.4f}; log: "
        f"RMSE {np.sqrt(np.square(log).mean()):.3f}, of it a bias {log.mean():+.3f}; "
        f"manifest: sigma {prior.manifest.sigma:g}\n"
    ]
    lines += [f"| means over pictures | {' | '.join(METRICS)} |", "|---|---:|---:|---:|"]
    for name, factors in factors_by_name.items():
        scores = [
            [metric(s * m, t) for metric in METRICS.values()]
            for s, m, t in zip(factors, maps, truths, strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(f'{x:.3f}' for x in np.mean(scores, axis=0))} |")
    return "\n".join(lines)


def level_error(views: Sequence[KnownView], prior: Estimate) -> str:
    """RMS over the pictures of a place of the median log ratio of a prior to the truth: its sigma there."""
    levels = []
    for view in views:
        said = prior(PriorInput(view.image, view.relative, view.camera)).depth
        levels.append(np.nanmedian(np.log(known_values(view, said) / view.known.pixels.depth)))
    return (
        f"level: RMS of its log {np.sqrt(np.square(levels).mean()):.3f}, of it a bias {np.mean(levels):+.3f}"
    )


def few_anchors(views: Sequence[KnownView], priors: Sequence[str], solver: str) -> str:
    """AbsRel, medians over pictures and draws, by number of anchors."""
    variants: dict[str, dict[str, str]] = {f"{solver} alone": {"solver.name": solver}}
    for prior in priors:
        name = Path(prior).stem
        variants[f"{name} alone"] = {"solver.name": "prior", "solver.prior": prior}
        variants[f"{solver} and {name}"] = {"solver.name": solver, "solver.prior": prior}
    candidates = build_candidates(from_flat({}), [], variants, constant_map=False)
    cases = [Case("random" if count else "none", count) for count in COUNTS]
    found: Mapping[tuple[str, int], list[float]] = defaultdict(list)
    for record in run(candidates, views, cases, seeds=3):
        found[record.solver, record.count].append(record.errors["abs_rel"])
    usual = float(np.median([np.median(view.known.pixels.depth) for view in views]))
    constant = float(np.median([np.abs(usual / v.known.pixels.depth - 1).mean() for v in views]))
    heads = " | ".join(map(str, COUNTS))
    lines = [f"| AbsRel, anchors | {heads} |", "|---" + "|---:" * len(COUNTS) + "|"]
    labels = [c.label for c in candidates]
    lines += [
        f"| {label} | {' | '.join(f'{np.median(found[label, count]):.3f}' for count in COUNTS)} |"
        for label in labels
    ]
    lines.append(f"| control: one depth for all pictures | {constant:.3f} |" + " |" * (len(COUNTS) - 1))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Priors without anchors and with few.")
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--priors", default="scale_cnn,metric_solver")
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--engine", default="", help="the depth network: a manifest, small (default) or tiny")
    parser.add_argument("--every", type=int, default=1, help="one in this many pictures of shards")
    args = parser.parse_args()
    if not args.data:
        print("bench_priors: skipped, no DATA given")
        return
    source = build_source(engine_for(from_flat({"engine.manifest": args.engine, "solver.name": args.solver})))
    places: Mapping[str, list[KnownView]] = defaultdict(list)
    for folder in find_sets(args.data):
        every = any(folder.glob("shard_*.zip"))
        for view in list(read_views(folder, source, every=every))[:: args.every if every else 1]:
            if view.camera is not None:
                places[view.place].append(view)
    names = args.priors.split(",")
    for place, views in sorted(places.items()):
        print(f"\n## {place}, {len(views)} pictures")
        for name in names:
            prior = build_prior(name, EngineConfig())
            if prior is not None:
                print(f"\n{name}: {level_error(views, prior)}")
            if isinstance(prior, ScalePrior):
                print(f"\n{name}: {paper_tables(views, prior)}")
        print(f"\n{few_anchors(views, names, args.solver)}", flush=True)


if __name__ == "__main__":
    main()

"""What a user would run instead of `auto`: error and time of each, on the same frames and anchors.

    python benchmarks/bench_alternatives.py DATA... [--engine FOLDER|MANIFEST]

DATA are folders of frames or shards, or folders of them. A table by place: AbsRel, mean over frames and
draws, and the median time of a solve in ms with 500 anchors, all on one core. The methods that are not
solvers of this package are written here as their authors describe them:

- RANSAC affine: inverse depth = s x + t through two random anchors, 200 times; least squares on those that
  agree within 10 %.
- kNN affine: the coarse stage of Prior Depth Anything (Wang et al. 2025): at every pixel least squares of
  s x + t on its 5 nearest anchors, weighted by their inverse distance.
- VI-Depth, global: its first stage (Wofk et al. 2023): least squares of inverse depth on all anchors.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.config import Config, from_flat
from metric_depth_ros.depth import relative_in, within_limits
from metric_depth_ros.evaluation.candidates import Candidate, build_candidates
from metric_depth_ros.evaluation.frames import KnownView, build_source, find_sets, read_views
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.runner import Record, run
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.types import Anchors, FloatArray, MetricDepth

CASES = [Case("random", n) for n in (5, 10, 50, 100, 500, 2000)]
CASES += [Case("random", 100, noisy=True), Case("rows", 4)]
TIMED = Case("random", 500)
SOLVERS = {
    "auto": "auto", "LWLR (paper 000's baseline)": "paper_lwlr", "SLF": "paper_slf", "SSF": "paper_ssf",
    "median scale": "paper_median", "lwlr": "lwlr", "region_aware": "region_aware",
}  # fmt: skip
# Inverse depth in 1/m: the limits of depth that all have.
_NEAREST, _FARTHEST = 1 / 0.05, 1 / 200.0


def line_through(x: FloatArray, y: FloatArray) -> FloatArray:
    """Least-squares s, t of y = s x + t."""
    return np.asarray(np.linalg.lstsq(np.column_stack([x, np.ones_like(x)]), y, rcond=None)[0])


def vi_depth_global(x: FloatArray, at: FloatArray, anchors: Anchors) -> FloatArray:
    """Inverse depth (H, W) by one line through all anchors."""
    scale, shift = line_through(at, 1 / anchors.depth)
    return np.asarray(scale * x + shift)


def ransac(x: FloatArray, at: FloatArray, anchors: Anchors) -> FloatArray:
    """Inverse depth (H, W) by one line through the anchors that agree on one."""
    y, rng = 1 / anchors.depth, np.random.default_rng(0)
    if len(y) < 3:
        return vi_depth_global(x, at, anchors)
    a, b = rng.integers(0, len(y), (2, 200))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = (y[a] - y[b]) / (at[a] - at[b])
        off = np.abs(scale[:, None] * (at - at[a, None]) + y[a, None] - y)
    agree = np.nan_to_num(off, nan=np.inf) < 0.1 * y
    best = agree[np.argmax(agree.sum(axis=1))]
    scale, shift = line_through(at[best], y[best]) if best.sum() > 1 else line_through(at, y)
    return np.asarray(scale * x + shift)


def knn(x: FloatArray, at: FloatArray, anchors: Anchors) -> FloatArray:
    """Inverse depth (H, W) by a line through the 5 nearest anchors of every pixel."""
    height, width = x.shape
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    away, near = cKDTree(anchors.uv).query(pixels, k=min(5, len(anchors)))
    away, near = away.reshape(len(pixels), -1), near.reshape(len(pixels), -1)
    weight, y = 1 / (away + 1e-6), 1 / anchors.depth.astype(np.float64)
    weight /= weight.sum(axis=1, keepdims=True)
    mean_x, mean_y = (np.sum(weight * v[near], axis=1) for v in (at, y))
    dx, dy = at[near] - mean_x[:, None], y[near] - mean_y[:, None]
    variance = np.sum(weight * dx**2, axis=1)
    scale = np.sum(weight * dx * dy, axis=1) / np.maximum(variance, 1e-12)
    return np.asarray((scale * (x.ravel() - mean_x) + mean_y).reshape(x.shape))


def alternative(name: str, fit: Callable[[FloatArray, FloatArray, Anchors], FloatArray]) -> Candidate:
    """A candidate that fits inverse depth, clipped to what a depth can be."""
    limits = from_flat({}).solver

    def solve(view: KnownView, anchors: Anchors) -> MetricDepth:
        x = relative_in("inverse_depth", view.relative)
        found = fit(x, sample_bilinear(x, anchors.uv).astype(np.float64), anchors)
        depth = 1 / np.clip(found, _FARTHEST, _NEAREST)
        return within_limits(MetricDepth(depth.astype(np.float32), None), limits)

    return Candidate(name, solve)


def table(place: str, labels: list[str], records: list[Record]) -> None:
    """Prints the table of a place."""
    errors, times = defaultdict(list), defaultdict(list)
    for record in records:
        errors[record.solver, record.case].append(record.errors["abs_rel"])
        if record.case == TIMED:
            times[record.solver].append(1e3 * record.seconds)
    heads = [f"{c.count} rows" if c.protocol == "rows" else f"{c.count}{' noisy' * c.noisy}" for c in CASES]
    print(f"\n| {place}, AbsRel | {' | '.join(heads)} | ms |\n|---|{'---:|' * (len(CASES) + 1)}")
    for label in labels:
        cells = [f"{np.mean(errors[label, case]):.3f}" for case in CASES]
        print(f"| {label} | {' | '.join(cells)} | {np.nanmedian(times[label]):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="What a user would run instead of auto.")
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--engine", help="stored outputs, or a manifest (default: our network)")
    args = parser.parse_args()
    if not args.data:
        print("bench_alternatives: skipped, no DATA given")
        return
    cv2.setNumThreads(1)
    source = build_source(engine_for(Config()), args.engine)
    variants = {label: {"solver.name": name} for label, name in SOLVERS.items()}
    candidates = build_candidates(from_flat({}), [], variants, constant_map=False)
    fits = {"RANSAC affine": ransac, "kNN affine": knn, "VI-Depth, global": vi_depth_global}
    candidates += [alternative(name, fit) for name, fit in fits.items()]
    views = (view for folder in find_sets(args.data) for view in read_views(folder, source))
    by_place: dict[str, list[Record]] = defaultdict(list)
    for record in run(candidates, views, CASES):
        by_place[record.place].append(record)
    labels = [candidate.label for candidate in candidates]
    for place, records in sorted(by_place.items()):
        table(place, labels, records)


if __name__ == "__main__":
    main()

"""Times of the solvers and the segmenter at 640x480, as a Markdown table.

    python benchmarks/bench_solvers.py

Machines differ and are noisy, so each median stands beside its ratio to a plain reference measured
in turn with it: numpy.linalg.lstsq over all anchors, then scale and shift applied to the map.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.config import RegionAwareConfig, RegionsConfig, SolverConfig
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.solvers import build_solver
from metric_depth_ros.types import Anchors, FloatArray, ImageArray, RelativeDepth

WIDTH, HEIGHT, THREADS, ROUNDS = 640, 480, 2, 61


def scene() -> tuple[ImageArray, RelativeDepth]:
    """An image of soft and hard edges, and a smooth positive depth map."""
    rng = np.random.default_rng(0)
    soft = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (WIDTH, HEIGHT))
    for _ in range(40):
        (x, y), (w, h) = rng.integers(0, [WIDTH, HEIGHT]), rng.integers(20, 160, 2)
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(soft, (int(x), int(y)), (int(x + w), int(y + h)), colour, cv2.FILLED)
    noisy = np.clip(soft + rng.normal(0, 4, soft.shape), 0, 255).astype(np.uint8)
    relief = cv2.resize(rng.uniform(1, 5, (12, 16)).astype(np.float32), (WIDTH, HEIGHT))
    return noisy, RelativeDepth(relief, "depth")


def anchors_on(relative: RelativeDepth, n: int) -> Anchors:
    rng = np.random.default_rng(n)
    uv = (rng.random((n, 2)) * [WIDTH - 1, HEIGHT - 1]).astype(np.float32)
    depth = 3 * sample_bilinear(relative.values, uv) * rng.normal(1, 0.03, n)
    return Anchors(uv, depth, np.full(n, 0.03))


def reference(relative: RelativeDepth, anchors: Anchors) -> FloatArray:
    x = sample_bilinear(relative.values, anchors.uv)
    design = np.stack([x, np.ones_like(x)], axis=1)
    scale, shift = np.linalg.lstsq(design, anchors.depth, rcond=None)[0]
    return relative.values * np.float32(scale) + np.float32(shift)


def medians_ms(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median time of each job; the jobs take turns, so that all of them see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def region_aware(fit: str) -> SolverConfig:
    return SolverConfig(name="region_aware", region_aware=RegionAwareConfig(fit=fit))


def main() -> None:
    cv2.setNumThreads(THREADS)
    image, relative = scene()
    segmenter = build_segmenter(RegionsConfig())
    labels = segmenter.segment(image)
    solvers = {"global_affine": build_solver(SolverConfig(name="global_affine"))}
    for fit in ("median", "linear", "surface"):
        solvers[f"region_aware {fit}"] = build_solver(region_aware(fit))

    print(f"{WIDTH}x{HEIGHT}, {THREADS} threads, {labels.max() + 1} regions, median of {ROUNDS}\n")
    print("| job | anchors | ms | times lstsq |")
    print("|---|---:|---:|---:|")
    for n in (100, 500, 2000):
        anchors = anchors_on(relative, n)
        jobs: dict[str, Callable[[], object]] = {"lstsq and apply": lambda a=anchors: reference(relative, a)}
        for name, solver in solvers.items():
            jobs[name] = lambda s=solver, a=anchors: s.solve(relative, a, regions=labels)
        if n == 500:
            jobs["segmenter"] = lambda: segmenter.segment(image)
        times = medians_ms(jobs)
        for name, ms in times.items():
            count = "" if name == "segmenter" else str(n)
            print(f"| {name} | {count} | {ms:.2f} | {ms / times['lstsq and apply']:.1f} |")


if __name__ == "__main__":
    main()

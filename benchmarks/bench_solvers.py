"""Times of the solvers, the segmenter, the anchors stage and the cloud at 640x480, as a Markdown table.

    python benchmarks/bench_solvers.py

Machines differ and are noisy, so each median stands beside its ratio to a plain reference measured
in turn with it: numpy.linalg.lstsq over all anchors, then scale and shift applied to the map. The
naive rows are what users write: a loop over regions, or over pixels (on a hundredth of them).
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the node and the command line do

import cv2
import numpy as np

from metric_depth_ros.anchors import build_anchors, sample_bilinear
from metric_depth_ros.config import AnchorsConfig, RegionsConfig, SolverConfig, from_flat
from metric_depth_ros.depth import within_limits
from metric_depth_ros.geometry import transform_points
from metric_depth_ros.messages.clouds import cloud_fields
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.solvers import SOLVERS, build_solver
from metric_depth_ros.types import (
    Anchors,
    Camera,
    FloatArray,
    ImageArray,
    IntArray,
    MetricDepth,
    RelativeDepth,
    SolverInput,
)

WIDTH, HEIGHT, THREADS, ROUNDS, NAIVE_ROUNDS = 640, 480, 2, 41, 3
CAMERA = Camera(WIDTH, HEIGHT, np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]]))
T_CAMERA_LIDAR = np.array([[0.0, -1, 0, 0.05], [0, 0, -1, -0.1], [1, 0, 0, -0.05], [0, 0, 0, 1]])
VARIANTS = {
    "region_aware surface, expansion": {"name": "region_aware", "region_aware.pooling": "expansion"},
    "region_aware surface, expansion, not robust": {
        "name": "region_aware",
        "region_aware.pooling": "expansion",
        "robust": "none",
    },
    "region_aware auto, partial": {"name": "region_aware", "region_aware.fit": "auto"},
    "lwlr, not robust": {"name": "lwlr", "robust": "none"},
    "grid scale": {"name": "grid", "grid.fit": "scale"},
}


# Halfway through the scene's depths, so that both fits have anchors.
FOCUSED, FOCUS_M = ("global_affine", "lwlr", "region_aware", "gaussian_process"), 9.0


def scene() -> tuple[ImageArray, RelativeDepth]:
    """An image of soft and hard edges; a smooth positive depth map with maps, as the default network's."""
    rng = np.random.default_rng(0)
    soft = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (WIDTH, HEIGHT))
    for _ in range(40):
        (x, y), (w, h) = rng.integers(0, [WIDTH, HEIGHT]), rng.integers(20, 160, 2)
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(soft, (int(x), int(y)), (int(x + w), int(y + h)), colour, cv2.FILLED)
    noisy = np.clip(soft + rng.normal(0, 4, soft.shape), 0, 255).astype(np.uint8)
    relief = cv2.resize(rng.uniform(1, 5, (12, 16)).astype(np.float32), (WIDTH, HEIGHT))
    basis = np.stack(
        [cv2.resize(each, (80, 60)) for each in rng.normal(0, 0.1, (30, 6, 8)).astype(np.float32)]
    )
    spread = cv2.resize(rng.uniform(0.01, 0.2, (6, 8)).astype(np.float32), (80, 60))[None]
    return noisy, RelativeDepth(relief, "depth", features={"basis": basis, "spread": spread})


def anchors_on(relative: RelativeDepth, n: int) -> Anchors:
    rng = np.random.default_rng(n)
    uv = (rng.random((n, 2)) * [WIDTH - 1, HEIGHT - 1]).astype(np.float32)
    depth = 3 * sample_bilinear(relative.values, uv) * rng.normal(1, 0.03, n)
    return Anchors(uv, depth, np.full(n, 0.03))


def lidar_cloud() -> FloatArray:
    """(100,000, 3) points of 50 rings all around, in the LiDAR's frame: x forward, z up."""
    azimuth, elevation = np.meshgrid(
        np.linspace(-np.pi, np.pi, 2000, endpoint=False), np.radians(np.linspace(-25, 15, 50))
    )
    range_m = 6 + 3 * np.sin(3 * azimuth) + np.random.default_rng(0).normal(0, 0.02, azimuth.shape)
    x, y = np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation)
    points = np.stack([x, y, np.sin(elevation)], axis=-1) * range_m[..., None]
    return points.reshape(-1, 3).astype(np.float32)


def reference(relative: RelativeDepth, anchors: Anchors) -> FloatArray:
    x = sample_bilinear(relative.values, anchors.uv)
    design = np.stack([x, np.ones_like(x)], axis=1)
    scale, shift = np.linalg.lstsq(design, anchors.depth, rcond=None)[0]
    return relative.values * np.float32(scale) + np.float32(shift)


def naive_regions(relative: RelativeDepth, anchors: Anchors, labels: IntArray) -> FloatArray:
    """SSF as a loop over regions; one without five anchors grows by dilation."""
    u, v = anchors.uv.astype(int).T
    vv, uu = np.mgrid[0:HEIGHT, 0:WIDTH]
    depth = np.zeros_like(relative.values)
    for region in range(labels.max() + 1):
        here = labels == region
        grown = here
        while grown[v, u].sum() < 5:
            ring = cv2.dilate(grown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            grown = np.isin(labels, np.unique(labels[ring]))
        mine = grown[v, u]
        x = relative.values[v, u][mine]
        design = np.stack([x, u[mine], v[mine], np.ones(len(x))], axis=1)
        p = np.linalg.lstsq(design, anchors.depth[mine], rcond=None)[0]
        depth[here] = (p[0] * relative.values + p[1] * uu + p[2] * vv + p[3])[here]
    return depth


def naive_lwlr(relative: RelativeDepth, anchors: Anchors) -> FloatArray:
    """A weighted least-squares line at every tenth pixel both ways: a hundredth of the work."""
    u, v = anchors.uv.astype(int).T
    x = relative.values[v, u]
    design = np.stack([x, np.ones_like(x)], axis=1)
    depth = np.zeros_like(relative.values)
    for row in range(0, HEIGHT, 10):
        for column in range(0, WIDTH, 10):
            k = np.exp(-((anchors.uv - [column, row]) ** 2).sum(axis=1) / (2 * 80.0**2))
            weighted = design * k[:, None]
            scale, shift = np.linalg.solve(
                weighted.T @ design + np.diag([1e-9, 0.01]), weighted.T @ anchors.depth
            )
            depth[row, column] = scale * relative.values[row, column] + shift
    return depth


def times_ms(
    jobs: dict[str, Callable[[], object]],
    rounds: int = ROUNDS,
    pick: Callable[[list[float]], float] = statistics.median,
) -> dict[str, float]:
    """Median (or ``min``) time of each job; the jobs take turns, so that all of them see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds):
        for name, job in jobs.items():
            if name.startswith("naive") and turn >= NAIVE_ROUNDS:
                continue
            start = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * pick(values) for name, values in times.items()}


def solvers() -> dict[str, Callable[[SolverInput], MetricDepth]]:
    """Every solver with its defaults, and some variants, as the pipeline calls them."""
    settings = {**{name: {"name": name} for name in SOLVERS}, **VARIANTS}
    return {
        title: solve_with(from_flat({f"solver.{key}": value for key, value in given.items()}).solver)
        for title, given in settings.items()
    }


def solve_with(config: SolverConfig) -> Callable[[SolverInput], MetricDepth]:
    """A configured solver within its limits."""
    solver = build_solver(config)
    return lambda given: within_limits(solver.solve(given), config)


def main() -> None:
    cv2.setNumThreads(THREADS)
    image, relative = scene()
    segmenter = build_segmenter(RegionsConfig())
    labels, cloud = segmenter.segment(image), lidar_cloud()
    built, counts = solvers(), (100, 500, 2000)
    rows: dict[str, list[str]] = {}
    for n in counts:
        anchors = anchors_on(relative, n)
        jobs: dict[str, Callable[[], object]] = {"lstsq and apply": lambda a=anchors: reference(relative, a)}
        given = SolverInput(relative, anchors, image=image, regions=labels)
        focused = replace(given, focus_m=FOCUS_M)
        for name, solve in built.items():
            jobs[name] = lambda solve=solve, given=given: solve(given)
            if name in FOCUSED:
                jobs[f"{name}, with a focus"] = lambda solve=solve, given=focused: solve(given)
        jobs["anchors of a cloud of 100,000 points"] = lambda: build_anchors(
            transform_points(T_CAMERA_LIDAR, cloud), CAMERA, AnchorsConfig()
        )
        jobs["cloud message of every pixel"] = lambda: cloud_fields(relative.values, image, CAMERA)
        jobs["segmenter"] = lambda: segmenter.segment(image)
        jobs["naive loop over regions (SSF)"] = lambda a=anchors: naive_regions(relative, a, labels)
        jobs["naive loop over pixels (LWLR), times 100"] = lambda a=anchors: naive_lwlr(relative, a)
        times = times_ms(jobs)
        for name, ms in times.items():
            ms *= 100 if name.endswith("times 100") else 1
            rows.setdefault(name, []).append(f"{ms:.2f} | {ms / times['lstsq and apply']:.1f}")

    print(f"{WIDTH}x{HEIGHT}, {THREADS} threads, {labels.max() + 1} regions, median of {ROUNDS}\n")
    print("| job |" + "".join(f" {n} anchors, ms | times lstsq |" for n in counts))
    print("|---|" + "---:|---:|" * len(counts))
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

"""Sliding focus of the closed-form solvers: error up to each depth by focus, and a live run of the node.

    python benchmarks/bench_focus.py TEST... [--every N] [--anchors 200] [--seeds 1] [--solvers ...]
    python benchmarks/bench_focus.py --live BAG [--solvers ...]

TEST are folders of shards, or of frames with depth images, that no network was trained on. The first form
prints, as tables 3b, 5 and 6 of paper 004 do, a row for every focus and a column for every depth at which
truth and prediction are cut (what is unknown counts as at the cut), with random anchors of 2 % noise and the
bundled network. The second replays a bag of `metric_depth synthesize --bag` through the node twice: without a
focus, and with a planner that slides it over the topic; it prints the error of the same images in both.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.anchors import depth_sigma
from metric_depth_ros.bags import read_depths
from metric_depth_ros.cli.frames_to_bag import CAMERA_INFO, IMAGE, POINTS
from metric_depth_ros.cli.live import NODE, VERB, Graph, ros_arguments
from metric_depth_ros.cli.parsing import setting_of
from metric_depth_ros.cli.synthetic_bag import DEPTH
from metric_depth_ros.config import AnchorsConfig, Config, from_flat
from metric_depth_ros.datasets import Frame, open_dataset
from metric_depth_ros.depth import within_limits
from metric_depth_ros.engines import build_engine
from metric_depth_ros.evaluation.metrics import abs_rel, delta
from metric_depth_ros.near_far import FOCUSES
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.solvers import build_solver
from metric_depth_ros.types import Anchors, FloatArray, IntArray, RelativeDepth, SolverInput

SOLVERS = ("global_affine", "lwlr", "region_aware", "auto")
NOISE = AnchorsConfig(sigma_base_m=0.0, sigma_relative=0.02)
# What the planner asks for, in metres; each for so many images, of which the first do not count.
SLIDE_M = (3.0, 5.0, 8.0, 12.0, 20.0)
HELD, SETTLING = 8, 2


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame, its relative depth and regions."""

    frame: Frame
    relative: RelativeDepth
    regions: IntArray


def pictures(folder: Path, every: int) -> Iterator[Picture]:
    """Every so many frames of a data set, through the bundled network."""
    engine, segmenter = build_engine(Config().engine), build_segmenter(Config().regions)
    frames = open_dataset(folder)
    for index in range(0, len(frames), every):
        frame = frames[index]
        relative = engine.predict(frame.image)
        yield Picture(frame, relative, segmenter.segment(frame.image, relative))


def random_anchors(depth: FloatArray, count: int, seed: int) -> Anchors:
    """Pixels drawn from those whose depth is known, up to the farthest column, with noise."""
    v, u = np.nonzero(np.isfinite(depth) & (depth <= FOCUSES[-1]))
    random = np.random.default_rng(seed)
    chosen = random.choice(len(v), min(count, len(v)), replace=False)
    u, v = u[chosen], v[chosen]
    sigma = depth_sigma(depth[v, u], NOISE)
    noisy = np.maximum(depth[v, u] + sigma * random.standard_normal(len(u)), 0.05).astype(np.float32)
    return Anchors(np.column_stack([u, v]).astype(np.float32), noisy, sigma)


def errors_of(
    solve: Callable[[Picture, Anchors, float], FloatArray], found: list[Picture], count: int, seeds: int
) -> FloatArray:
    """AbsRel and delta1 (2, 1 + focus, column), means over pictures and seeds; without a focus first."""
    errors = []
    for number, picture in enumerate(found):
        truth = picture.frame.depth
        assert truth is not None
        columns = [np.where(truth <= cut_m, truth, np.nan) for cut_m in FOCUSES]
        for seed in range(seeds):
            anchors = random_anchors(truth, count, 1000 * seed + number)
            depths = [solve(picture, anchors, focus_m) for focus_m in (0.0, *FOCUSES)]
            errors.append([
                [[score(np.fmin(d, c), t) for c, t in zip(FOCUSES, columns, strict=True)] for d in depths]
                for score in (abs_rel, delta)
            ])  # fmt: skip
    return np.asarray(np.nanmean(errors, axis=0))


def table(title: str, errors: FloatArray) -> str:
    """Markdown: AbsRel / delta1, the best focus of each column in bold, and how near the diagonal it is."""
    best = errors[0, 1:].argmin(axis=0), errors[1, 1:].argmax(axis=0)
    lines = [f"| {title} | {' | '.join(f'{c:g} m' for c in FOCUSES)} |", "|---" * 9 + "|"]
    for row, name in enumerate(("no focus", *(f"focus {focus_m:g} m" for focus_m in FOCUSES))):
        cells = [
            " / ".join(
                f"**{errors[s, row, c]:.3f}**" if row == best[s][c] + 1 else f"{errors[s, row, c]:.3f}"
                for s in (0, 1)
            )
            for c in range(len(FOCUSES))
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    steps = np.abs(np.array(best) - np.arange(len(FOCUSES)))
    near = (steps <= 1).sum(axis=1)
    lines.append(
        f"\nBest cell on or next to the diagonal: AbsRel {near[0]}, delta1 {near[1]} of {len(FOCUSES)}."
    )
    return "\n".join(lines)


def solver_of(name: str, options: dict[str, Any]) -> Callable[[Picture, Anchors, float], FloatArray]:
    """The named solver as a function of a picture, its anchors and the focus."""
    config = from_flat({"solver.name": name, **options}).solver
    solver = build_solver(config)

    def solve(picture: Picture, anchors: Anchors, focus_m: float) -> FloatArray:
        image = picture.frame.image
        given = SolverInput(
            picture.relative, anchors, image=image, regions=picture.regions, focus_m=focus_m or None
        )
        return within_limits(solver.solve(given), config).depth

    return solve


@dataclass
class Run:
    """What came out of one replay.

    Attributes:
        depths: by stamp in ns.
        focuses: by stamp: the focus the image was made with, for images that surely had it.
        counts: the node's last diagnostics.
    """

    depths: dict[int, FloatArray] = field(default_factory=dict)
    focuses: dict[int, float] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)


def replayed(bag: Path, solver: str, *, slide: bool, rate: float) -> Run:
    """One replay through the node; with ``slide`` this process is the planner."""
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from sensor_msgs.msg import Image
    from std_msgs.msg import Float32

    from metric_depth_ros import messages

    run, asked = Run(), 0
    with tempfile.TemporaryDirectory() as logs, Graph(Path(logs)) as graph:
        os.environ.update(graph.env)
        rclpy.init()
        planner = rclpy.create_node("planner")
        focus_out = planner.create_publisher(Float32, "focus", 5)

        def came(msg: Any) -> None:
            nonlocal asked
            number, stamp_ns = len(run.depths), messages.stamp_ns(msg)
            run.depths[stamp_ns] = messages.read_depth(msg)
            if slide and asked and (number - 1) % HELD >= SETTLING:
                run.focuses[stamp_ns] = SLIDE_M[(asked - 1) % len(SLIDE_M)]
            if slide and number % HELD == 0:
                focus_out.publish(Float32(data=SLIDE_M[asked % len(SLIDE_M)]))
                asked += 1

        planner.create_subscription(Image, "depth/image_rect", came, 50)
        planner.create_subscription(
            DiagnosticArray,
            "/diagnostics",
            lambda msg: run.counts.update({pair.key: pair.value for pair in msg.status[0].values}),
            10,
        )
        topics = {"image": IMAGE, "camera_info": CAMERA_INFO, "anchors": POINTS}
        settings = {"solver.name": solver, "diagnostics.period_s": 0.5}
        graph.start("node", [*NODE, *ros_arguments(settings, topics)])
        graph.wait_for("node", "engine ready", 120)
        replay = graph.start("replay", [*VERB, "replay", str(bag), "--rate", str(rate)])
        ends = float("inf")
        while time.monotonic() < ends:
            rclpy.spin_once(planner, timeout_sec=0.1)
            if replay.poll() is not None and ends == float("inf"):
                ends = time.monotonic() + 3  # the last images are still at work
        planner.destroy_node()
        rclpy.shutdown()
    return run


def means(errors: FloatArray) -> str:
    """The mean of each column (N, 4), as cells."""
    return " | ".join(f"{error:.3f}" for error in np.nanmean(errors, axis=0))


def live(bag: Path, truth_topic: str, solver: str, rate: float) -> str:
    """Markdown: error within each focus, without it and with it, and what the node dropped."""
    truths = read_depths(bag, truth_topic)
    off, slid = (replayed(bag, solver, slide=slide, rate=rate) for slide in (False, True))
    lines = [
        f"| {solver}, live | images | within the focus: no focus | with it | all depth: no focus | with it |",
        "|---" * 6 + "|",
    ]
    every: list[FloatArray] = []
    for focus_m in SLIDE_M:
        stamps = [s for s, f in slid.focuses.items() if f == focus_m and s in off.depths and s in truths]
        errors = np.array([
            [
                abs_rel(np.fmin(run.depths[s], limit), np.where(truths[s] <= limit, truths[s], np.nan))
                for limit in (focus_m, FOCUSES[-1])
                for run in (off, slid)
            ]
            for s in stamps
        ]).reshape(-1, 4)  # fmt: skip
        every.append(errors)
        lines.append(f"| focus {focus_m:g} m | {len(stamps)} | {means(errors)} |")
    lines.append(f"| any | {sum(map(len, every))} | {means(np.concatenate(every))} |")
    for name, run in (("no focus", off), ("sliding", slid)):
        dropped, came = run.counts.get("images dropped for newer ones", "0"), run.counts["images in"]
        latency = run.counts["latency_ms p50/p95/p99"]
        lines.append(f"\n{name}: {len(run.depths)} answered, {came} came, {dropped} dropped; {latency} ms.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tests", nargs="*", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--anchors", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--solvers", nargs="+", default=SOLVERS)
    parser.add_argument("--options", nargs="+", default=[], metavar="NAME=VALUE")
    parser.add_argument("--live", type=Path, metavar="BAG")
    parser.add_argument("--truth", default=DEPTH, help="topic of true depth")
    parser.add_argument("--rate", type=float, default=1.0)
    args = parser.parse_args()
    if not args.tests and args.live is None:
        print("bench_focus: skipped, no data named")
        return
    for folder in args.tests:
        found = list(pictures(folder, args.every))
        for name in args.solvers:
            solve = solver_of(name, dict(map(setting_of, args.options)))
            errors = errors_of(solve, found, args.anchors, args.seeds)
            print(f"\n{table(f'{folder.name}, {name}', errors)}", flush=True)
    if args.live is not None:
        for name in args.solvers:
            print(f"\n{live(args.live, args.truth, name, args.rate)}", flush=True)


if __name__ == "__main__":
    main()

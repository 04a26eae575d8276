"""Held-out error on a KITTI drive: of the live node, and compared with controls without the network.

    METRIC_DEPTH_DATA=... python benchmarks/bench_kitti.py

First table: kitti_seq_2011_09_26 (five frames, repeated) replayed at 10 Hz through replayer, node and
recorder, half of the LiDAR points in the image held out; AbsRel of the recorded depth at those points.
Second table: the same frames and held-out points offline with 200 random LiDAR anchors, mean of three
seeds, beside the controls: the same solver on a constant relative map, and plain interpolation of the
anchors. Third table: the sliding-anchor focus; error by depth, for several ``solver.focus_m``, with the
same 200 anchors. METER KITTI at 192x640; occluded points are removed from anchors and held-out points alike.
Skips without the data.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from metric_depth_ros.anchors import build_anchors
from metric_depth_ros.bags import BagReader, read_depths
from metric_depth_ros.cli import frames_to_bag
from metric_depth_ros.cli.live import replay_live
from metric_depth_ros.cli.main import main as verb
from metric_depth_ros.config import Config, from_flat
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.engines import build_engine
from metric_depth_ros.evaluation.held_out import held_out_error
from metric_depth_ros.evaluation.interpolation import interpolate_anchors
from metric_depth_ros.evaluation.metrics import abs_rel
from metric_depth_ros.pipeline import MetricDepthPipeline, Result
from metric_depth_ros.share import share_path
from metric_depth_ros.types import Engine, FloatArray, ImageArray, RelativeDepth

SET = "kitti_seq_2011_09_26"
LOOPS, SEEDS = 6, 3
FOCUSES_M = (0.0, 4.0, 8.0, 15.0, 30.0, 60.0)
BANDS_M = ((3, 6), (6, 10), (10, 20), (20, 40), (40, 80))
SOLVERS: dict[str, dict[str, object]] = {
    name: {"solver.name": name} for name in ("auto", "region_aware", "global_affine", "paper_ssf")
}


class ConstantEngine:
    """The control: a network that sees nothing."""

    def predict(self, image: ImageArray, *, focus_m: float | None = None) -> RelativeDepth:
        return RelativeDepth(np.ones(image.shape[:2], np.float32), "depth")


def solved(result: Result) -> FloatArray:
    """The solver's depth."""
    return result.metric.depth


def interpolated(result: Result) -> FloatArray:
    """The control without a network: the same anchors, interpolated."""
    return interpolate_anchors(result.anchors, result.camera.width, result.camera.height)


def live_errors(data: Path, network: dict[str, str], solver: dict[str, object]) -> tuple[list[float], str]:
    """AbsRel by frame, mean over its repetitions, and how many images were answered."""
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "in.mcap"
        verb(["frames-to-bag", str(data / SET), str(bag), "--loops", str(LOOPS), "--hold-out", "0.5"])
        topics = {
            "image": frames_to_bag.IMAGE,
            "camera_info": frames_to_bag.CAMERA_INFO,
            "anchors": frames_to_bag.POINTS,
        }
        recorded = replay_live(bag, Path(folder), {**network, **solver}, topics)
        depths = read_depths(recorded, "/depth/image_rect")
        by_frame: dict[int, list[float]] = {}
        with BagReader(bag) as reader:
            for index, (stamp_ns, sample) in enumerate(reader.samples(Config())):
                if stamp_ns in depths:
                    found = held_out_error(
                        depths[stamp_ns], sample.camera, sample.points_held_out, Config().anchors
                    )
                    by_frame.setdefault(index % 5, []).append(found[0])
    return [float(np.mean(by_frame[frame])) for frame in sorted(by_frame)], f"{len(depths)} of {5 * LOOPS}"


def offline_errors(
    data: Path, engine: Engine, solver: dict[str, object], answer: Callable[[Result], FloatArray] = solved
) -> list[float]:
    """AbsRel by frame with 200 random anchors, mean over seeds."""
    config = from_flat({**solver, "anchors.grid_px": 0})
    pipeline = MetricDepthPipeline(engine, config)
    errors = np.zeros((SEEDS, 5))
    for seed in range(SEEDS):
        for index, sample in enumerate(
            open_dataset(data / SET).samples(hold_out=0.5, anchors=200, seed=seed)
        ):
            depth = answer(pipeline.process(sample))
            errors[seed, index] = held_out_error(
                depth, sample.camera, sample.points_held_out, config.anchors
            )[0]
    return list(errors.mean(axis=0))


def focus_rows(data: Path, engine: Engine, solver: dict[str, object]) -> list[str]:
    """AbsRel by depth band, mean of the frames, one row per focus."""
    rows = []
    for focus_m in FOCUSES_M:
        config = from_flat({**solver, "anchors.grid_px": 0, "solver.focus_m": focus_m})
        pipeline = MetricDepthPipeline(engine, config)
        errors = np.zeros((5, len(BANDS_M)))
        for index, sample in enumerate(open_dataset(data / SET).samples(hold_out=0.5, anchors=200)):
            depth = pipeline.process(sample).metric.depth
            truth = build_anchors(sample.points_held_out, sample.camera, config.anchors)
            u, v = np.rint(truth.uv).astype(np.intp).T
            for band, (low, high) in enumerate(BANDS_M):
                inside = (truth.depth >= low) & (truth.depth < high)
                errors[index, band] = abs_rel(depth[v, u][inside], truth.depth[inside])
        cells = " | ".join(f"{error:.3f}" for error in errors.mean(axis=0))
        rows.append(
            f"| {solver['solver.name']}, {f'focus {focus_m:g} m' if focus_m else 'no focus'} | {cells} |"
        )
    return rows


def row(name: str, errors: list[float], *more: str) -> str:
    cells = [f"{error:.3f}" for error in errors]
    return f"| {name} | {' | '.join(cells)} | {np.mean(errors):.3f} |{''.join(f' {m} |' for m in more)}"


def main() -> None:
    if not os.environ.get("METRIC_DEPTH_DATA"):
        print("bench_kitti: skipped, METRIC_DEPTH_DATA is not set")
        return
    data = Path(os.environ["METRIC_DEPTH_DATA"])
    network = {
        "engine.manifest": str(share_path("config/models/meter_xxs_kitti.yaml")),
        "engine.model": str(data.parent / "models/meter_xxs/meter_xxs_kitti_192x640.onnx"),
    }
    live = [row(name, *live_errors(data, network, solver)) for name, solver in SOLVERS.items()]
    engine = build_engine(from_flat(network).engine)
    offline = []
    for name, solver in SOLVERS.items():
        offline += [
            row(name, offline_errors(data, engine, solver)),
            row(f"control: {name} on a constant map", offline_errors(data, ConstantEngine(), solver)),
        ]
    interpolation = offline_errors(data, ConstantEngine(), SOLVERS["auto"], interpolated)
    offline.append(row("control: plain interpolation", interpolation))
    focus = [
        line
        for name in ("auto", "global_affine", "region_aware")
        for line in focus_rows(data, engine, SOLVERS[name])
    ]
    frames = " | ".join(f"frame {frame}" for frame in range(5))
    print(f"\n| live, half of the LiDAR | {frames} | mean | images answered |\n|{'---|' * 8}")
    print("\n".join(live))
    print(f"\n| 200 anchors | {frames} | mean |\n|{'---|' * 7}")
    print("\n".join(offline))
    bands = " | ".join(f"{low} to {high} m" for low, high in BANDS_M)
    print(f"\n| 200 anchors, AbsRel of points at | {bands} |\n|{'---|' * (len(BANDS_M) + 1)}")
    print("\n".join(focus))


if __name__ == "__main__":
    main()

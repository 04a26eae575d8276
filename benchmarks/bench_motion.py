"""Error of a moving, spinning LiDAR's anchors: with and without moving its clouds, and its points, in time.

    python benchmarks/bench_motion.py --family corridor --seed 4

A rendered drive: a 16-line LiDAR turns in 0.1 s, each 10 degrees from the robot's pose at that time, and
stamps the start; a cloud comes when its turn is over; odometry at 50 Hz. Printed per setting: of the anchors,
median and 90th percentile of the error of their depth against the rendered depth at their pixel; of the
depth, mean absolute relative error; thread CPU time of gathering an image's points.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from metric_depth_ros.config import from_flat
from metric_depth_ros.motion import Places
from metric_depth_ros.pipeline import MetricDepthPipeline, build_pipeline
from metric_depth_ros.sync import gather_points
from metric_depth_ros.transforms import TransformTree
from metric_depth_ros.types import Cloud, FloatArray, Sample
from metric_depth_synthetic.dataset import SyntheticDataset
from metric_depth_synthetic.drive import LIDAR
from metric_depth_synthetic.render import View, World, draw_camera, render
from metric_depth_synthetic.scenes import build_scene
from metric_depth_synthetic.sequence import frames

SETTINGS: dict[str, dict[str, Any]] = {
    "neither": {"sync.fixed_frame": "none"},
    "clouds moved": {"sync.deskew": "none"},
    "points moved": {},
}
RATE_HZ, SECTORS, PER_IMAGE, PER_POSE = 360, 36, 12, 7  # of 10 degrees in 1/360 s


@dataclass(frozen=True, eq=False)
class Drive:
    tree: TransformTree
    clouds: list[Cloud]
    views: list[View]


def drive(family: str, seed: int, seconds: float) -> Drive:
    data = SyntheticDataset([family], seed, size=(320, 240))
    rng = np.random.default_rng([seed, 0])
    scene = build_scene(data.families[0], rng, data.bank)
    camera, world = draw_camera(rng, 320, 240), World(scene, 0.0)
    moments = list(frames(scene, rng, seconds=seconds, rate_hz=RATE_HZ))
    tree = TransformTree()
    tree.add("camera", "lidar", LIDAR.T_camera_sensor, 0, static=True)
    for stamp_ns, T in moments[::PER_POSE]:
        tree.add("odom", "camera", T, stamp_ns)
    turns = range(0, len(moments) - SECTORS + 1, SECTORS)
    clouds = [turn(world, moments[at : at + SECTORS], rng) for at in turns]
    views = [
        render(world, data.bank, camera, T, rng, stamp_ns=stamp_ns)
        for stamp_ns, T in moments[2 * SECTORS : 1 - PER_POSE : PER_IMAGE]
    ]
    return Drive(tree, clouds, views)


def turn(world: World, moments: list[tuple[int, FloatArray]], rng: np.random.Generator) -> Cloud:
    points, offsets_s, start_ns = [], [], moments[0][0]
    for number, (stamp_ns, T) in enumerate(moments):
        first = -180 + 10 * number
        part = replace(LIDAR, azimuth_deg=(first, first + 10)).scan(world, T, rng).points
        points.append(part)
        offsets_s.append(np.full(len(part), (stamp_ns - start_ns) / 1e9, np.float32))
    return Cloud(np.concatenate(points), "lidar", start_ns, offset_s=np.concatenate(offsets_s))


def measured(pipeline: MetricDepthPipeline, given: Drive) -> Iterator[tuple[FloatArray, float, float]]:
    """Yields relative errors of the anchors, that of depth, and ms, of each image."""
    config = pipeline.config
    times = {"offset_s": None} if config.sync.deskew == "none" else {}
    clouds = [replace(cloud, places={}, paths={}, **times) for cloud in given.clouds]
    ends_ns = [cloud.stamp_ns + 100_000_000 for cloud in clouds]
    for view in given.views:
        stamp_ns = view.stamp_ns
        newest = max(index for index, at_ns in enumerate(ends_ns) if at_ns <= stamp_ns)
        start = time.thread_time()
        points = gather_points(clouds[newest : newest + 1], Places("camera", stamp_ns, given.tree, config))
        spent_ms = 1e3 * (time.thread_time() - start)
        result = pipeline.process(Sample(view.image, view.camera, points, stamp_ns, "camera_optical"))
        u, v = np.rint(result.anchors.uv).astype(np.intp).T
        true = view.depth[np.clip(v, 0, 239), np.clip(u, 0, 319)]
        seen = np.isfinite(view.depth)
        off = np.abs(result.metric.depth[seen] / view.depth[seen] - 1)
        errors = np.abs(result.anchors.depth / true - 1)[np.isfinite(true)]
        yield errors, float(np.nanmean(off)), spent_ms


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", default="corridor")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=6.0)
    args = parser.parse_args()
    given = drive(args.family, args.seed, args.seconds)
    poses = np.array([given.tree.lookup("odom", "camera", view.stamp_ns)[:3, 3] for view in given.views])
    speed = np.linalg.norm(np.diff(poses, axis=0), axis=1).mean() * RATE_HZ / PER_IMAGE
    print(f"{len(given.views)} images, {speed:.2f} m/s")
    print("               anchors: median     p90   depth: AbsRel   ms an image")
    pipeline = build_pipeline(from_flat({}))
    for name, settings in SETTINGS.items():
        found = list(measured(pipeline.with_config(from_flat(settings)), given))
        errors = np.concatenate([each for each, *_ in found])
        median, most = np.percentile(errors, [50, 90])
        depth, spent_ms = np.mean([each[1] for each in found]), np.median([each[2] for each in found])
        print(f"{name:14} {median:15.4f} {most:7.4f} {depth:15.4f} {spent_ms:13.2f}", flush=True)


if __name__ == "__main__":
    main()

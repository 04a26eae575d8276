r"""Anchors from each kind of sensor and from several: error on rendered drives, and cost of five sources.

    metric_depth synthesize room.mcap --bag --seconds 12 --size 640x480 --family room --seed 5 \
        --sensors lidar,radar,range_finder,scan_2d,vio,depth_camera
    python benchmarks/bench_sources.py room.mcap corridor.mcap street.mcap

AbsRel at held-out true points, with the settings of config/recipes. Beside it two controls: the solver on a
constant map, and plain interpolation of the same anchors. Rows "as anchors" are the single topic `anchors`
with its defaults. The cost is thread CPU time for one 640x480 image: reading five messages, choosing, moving
and fusing their points.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from metric_depth_ros import messages
from metric_depth_ros.anchors import anchors_by_source, fuse_anchors
from metric_depth_ros.bags import BagReader
from metric_depth_ros.config import Config, from_flat
from metric_depth_ros.config.parameter_file import load
from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.evaluation.held_out import held_out_error
from metric_depth_ros.evaluation.interpolation import interpolate_anchors
from metric_depth_ros.motion import Places
from metric_depth_ros.pipeline import MetricDepthPipeline, build_pipeline
from metric_depth_ros.share import share_path
from metric_depth_ros.sync import Source, gather_sources
from metric_depth_ros.transforms import TransformTree
from metric_depth_ros.types import Camera, Sample

RECIPES = ("lidar", "vio", "range_finder", "depth_camera", "scan_2d", "lidar_vio_range")
# Recipe -> topic of the single input `anchors`, for a row with today's defaults.
SINGLE = {"vio": "/vio/points", "range_finder": "/range", "depth_camera": "/depth_camera/image_raw"}
HELD_OUT = "/lidar/points_held_out"


def errors(pipeline: MetricDepthPipeline, bag: Path, topic: str | None, stride: int) -> tuple[Any, int, Any]:
    """AbsRel of solver, constant map and interpolation (3,); images with depth; anchors by source."""
    config, found, counts, images = pipeline.config, [], [], 0
    with BagReader(
        bag, anchors=topic, sources=config.sources, anchors_held_out=HELD_OUT, image="/camera/image"
    ) as reader:
        for number, (_, sample) in enumerate(reader.samples(config)):
            if number % stride:
                continue
            images += 1
            try:
                row, of_source = measured(pipeline, sample)
            except MetricDepthError:
                continue
            found.append(row)
            counts.append(list(of_source.values()))
    return np.nanmean(found, axis=0), 100 * len(found) // images, np.mean(counts, axis=0)


def measured(pipeline: MetricDepthPipeline, sample: Sample | MetricDepthError) -> tuple[list[float], Any]:
    if isinstance(sample, MetricDepthError):
        raise sample
    perceived = pipeline.perceive(sample)
    flat = replace(perceived.relative, values=np.ones_like(perceived.relative.values), features={})
    result = pipeline.solve(perceived)
    control = pipeline.solve(replace(perceived, relative=flat))
    plain = interpolate_anchors(result.anchors, result.camera.width, result.camera.height)
    depths = result.metric.depth, control.metric.depth, plain
    row = [
        held_out_error(depth, result.camera, sample.points_held_out, pipeline.config.anchors)[0]
        for depth in depths
    ]
    return row, result.anchors_by_source


def table(bags: list[Path], stride: int) -> None:
    print("drive      source            anchors              AbsRel  constant  interpolation  images")
    first = build_pipeline(Config())
    for bag in bags:
        for name in RECIPES:
            config = load(share_path(f"config/recipes/{name}.yaml"))
            rows = [(name, config, None)]
            if name in SINGLE:
                plain = from_flat({"anchors.min_count": config.anchors.min_count})
                rows.append(("  as anchors", plain, SINGLE[name]))
            for label, settings, topic in rows:
                row, share, counts = errors(first.with_config(settings), bag, topic, stride)
                said = " + ".join(f"{count:.0f}" for count in counts)
                cells = "".join(f"{value:10.3f}".replace("0.", " .") for value in row)
                print(f"{bag.stem:10} {label:17} {said:18} {cells} {share:12} %", flush=True)


# ---- cost ------------------------------------------------------------------------------------


def messages_of_five(rng: np.random.Generator) -> dict[str, tuple[str, list[Any], Camera | None]]:
    """Type, messages (the last one is new) and camera by size of each source; stamps 0.1 s apart."""
    camera = Camera(640, 480, np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]))
    azimuth, up = rng.uniform(-np.pi, np.pi, 100_000), np.radians(rng.uniform(-25, 15, 100_000))
    range_m = rng.uniform(2, 40, 100_000)
    cloud = range_m[:, None] * np.stack([np.sin(azimuth), -np.sin(up), np.cos(azimuth) * np.cos(up)], 1)
    near = rng.uniform([-2, -1, 3], [2, 1, 9], (20, 3))
    depth = messages.depth_fields(rng.uniform(1, 6, (480, 640)).astype(np.float32), "16UC1")

    def points(values: Any) -> dict[str, Any]:
        fields = messages.points_fields(values)
        names = ("name", "offset", "datatype", "count")
        named = [SimpleNamespace(**dict(zip(names, field, strict=True))) for field in fields["fields"]]
        return {**fields, "fields": named}

    beam = {"field_of_view": 0.05, "min_range": 0.1, "max_range": 40.0, "range": 5.0}
    scan = {"angle_min": -2.3, "angle_increment": 0.0044, "range_min": 0.1, "range_max": 30.0}
    scan["time_increment"] = 0.0
    scan["ranges"] = rng.uniform(2, 20, 1080).astype(np.float32)
    return {
        "lidar": ("point_cloud2", stamped(points(cloud), "lidar", 1), None),
        "vio": ("point_cloud2", stamped(points(near), "odom", 30), None),
        "front": ("range", stamped(beam, "front", 30), None),
        "depth": ("depth_image", stamped(depth, "depth", 1), lambda size: camera),
        "scan": ("laser_scan", stamped(scan, "scan", 1), None),
    }


def stamped(fields: dict[str, Any], frame: str, count: int) -> list[Any]:
    stamps = [100 - 0.1 * later for later in reversed(range(count))]
    headers = [
        SimpleNamespace(stamp=SimpleNamespace(sec=int(s), nanosec=round(s % 1 * 1e9)), frame_id=frame)
        for s in stamps
    ]
    return [SimpleNamespace(header=header, **fields) for header in headers]


def places(frames: list[str]) -> TransformTree:
    """A robot that drives, with its sensors mounted."""
    tree = TransformTree()
    for frame in frames:
        tree.add("camera", frame, np.eye(4), 0, static=True)
    for tenth in range(960, 1001):
        T = np.eye(4)
        T[0, 3] = tenth / 100
        tree.add("odom", "camera", T, tenth * 100_000_000)
    return tree


def cost(names: tuple[str, ...], repeats: int) -> float:
    """Median thread CPU time in ms of one image with these sources."""
    given = messages_of_five(np.random.default_rng(0))
    topics = {f"sources.{name}.topic": f"/{name}" for name in names}
    settings = {"anchors.sources": [*names], **topics, "sync.fixed_frame": "odom"}
    if "vio" in names:
        settings["sources.vio.model"] = "vio"
    config = from_flat(settings)
    tree = places(["lidar", "front", "depth", "scan"])
    camera = Camera(640, 480, np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]))
    sources = {name: Source(name, given[name][0], config) for name in names}
    for name, source in sources.items():
        for message in given[name][1]:
            source.ring.add(source.read(message, given[name][2]))
    stamp_ns = 100_000_000_000

    def image() -> None:
        chosen = []
        for name, source in sources.items():
            source.read(given[name][1][-1], given[name][2])
            chosen.append((source, source.ring.select(stamp_ns)))
        placed = gather_sources(chosen, Places("camera", stamp_ns, tree, config), print)
        fuse_anchors(anchors_by_source(placed, camera, config), camera, config)

    return timed(image, repeats)


def timed(job: Callable[[], None], repeats: int) -> float:
    job()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        job()
        times.append(time.thread_time() - start)
    return 1e3 * float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bags", nargs="*", type=Path)
    parser.add_argument("--stride", type=int, default=4, metavar="N", help="every Nth image (default 4)")
    parser.add_argument("--repeats", type=int, default=100, metavar="N", help="of the cost (default 100)")
    args = parser.parse_args()
    five = "lidar", "vio", "front", "depth", "scan"
    for names in [*((name,) for name in five), five]:
        print(f"{' + '.join(names)}: {cost(names, args.repeats):.2f} ms an image")
    table(args.bags, args.stride)


if __name__ == "__main__":
    main()

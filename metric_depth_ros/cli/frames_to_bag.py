"""`metric_depth frames-to-bag`: makes a bag of a folder of calibrated frames."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metric_depth_ros.bags import BagWriter
    from metric_depth_ros.datasets import Frame
    from metric_depth_ros.datasets.split import Split

IMAGE, CAMERA_INFO = "/camera/image", "/camera/camera_info"
POINTS, HELD_OUT = "/lidar/points", "/lidar/points_held_out"
WORLD_FRAME = "map"
_START_NS = 1_000_000_000


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "frames-to-bag",
        help="make a bag of a folder of calibrated frames",
        description=f"Writes {IMAGE}, {CAMERA_INFO}, {POINTS} and, with --hold-out or depth images, "
        f"{HELD_OUT}; extrinsics on /tf_static, camera poses on /tf.",
    )
    parser.add_argument("folder", type=Path, help="dataset: its folder, NAME:PATH or NAME@SPLIT:PATH")
    parser.add_argument("out", type=Path, help="NAME.mcap or NAME.db3 for one file, else a bag's folder")
    parser.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="images a second (default 10)")
    parser.add_argument("--loops", type=int, default=1, metavar="N", help="times the frames are repeated")
    parser.add_argument(
        "--hold-out",
        type=float,
        default=0.0,
        metavar="F",
        help="fraction of the LiDAR points in the image that is kept back to measure with (default 0)",
    )
    parser.add_argument(
        "--anchors",
        type=int,
        default=None,
        metavar="N",
        help="random points per frame (default: all of a LiDAR, 500 of a depth image)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random choices (default 0)")
    parser.add_argument("--frames", nargs="+", metavar="ID", help="only these frames")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing bag")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the verb: writes the bag. If it raises MetricDepthError, there is no bag."""
    write_frames(
        args.folder,
        args.out,
        rate_hz=args.rate,
        loops=args.loops,
        hold_out=args.hold_out,
        anchors=args.anchors,
        seed=args.seed,
        frames=args.frames,
        overwrite=args.overwrite,
    )
    return 0


def write_frames(
    source: Path,
    out: Path,
    *,
    rate_hz: float,
    loops: int = 1,
    hold_out: float = 0.0,
    anchors: int | None = None,
    seed: int = 0,
    frames: Sequence[str] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a bag of the frames of a folder; the arguments are the verb's. Raises MetricDepthError."""
    from tqdm import tqdm

    from metric_depth_ros.bags import BagWriter
    from metric_depth_ros.datasets import open_dataset
    from metric_depth_ros.errors import InputError

    positive = 0 < rate_hz <= 1000 and loops > 0 and (anchors is None or anchors > 0)
    if not positive:
        raise InputError("frames-to-bag: --rate (at most 1000), --loops and --anchors must be positive.")
    folder = open_dataset(source)
    unknown = sorted(set(frames or ()) - set(folder.ids))
    if unknown:
        raise InputError(f"{source}: no frame {', '.join(unknown)}; it has {', '.join(folder.ids)}.")
    chosen = [i for i, name in enumerate(folder.ids) if not frames or name in frames] * loops
    fixed = folder.has_one_rig
    with BagWriter(out, overwrite=overwrite) as bag:
        for count, index in enumerate(tqdm(chosen, unit="frame", disable=None)):
            stamp_ns = _START_NS + round(count * 1e9 / rate_hz)
            frame = folder[index]
            _write_transforms(bag, frame, stamp_ns, static=fixed, first=count == 0)
            wanted = anchors if anchors is not None else 0 if frame.points_lidar is not None else 500
            _write_frame(bag, frame, stamp_ns, frame.split(hold_out=hold_out, anchors=wanted, seed=seed))
    print(f"{out}: {len(chosen)} frames, {len(chosen) / rate_hz:.1f} s")


def _write_transforms(bag: BagWriter, frame: Frame, stamp_ns: int, *, static: bool, first: bool) -> None:
    """Writes the LiDAR's extrinsics once, or per frame if rigs differ, and the camera poses."""
    from metric_depth_ros.datasets import CAMERA_FRAME, LIDAR_FRAME

    if frame.T_camera_lidar is not None and (first or not static):
        write = bag.write_tf_static if static else bag.write_tf
        write([(CAMERA_FRAME, LIDAR_FRAME, frame.T_camera_lidar, stamp_ns)])
    if frame.T_world_camera is not None:
        bag.write_tf([(WORLD_FRAME, CAMERA_FRAME, frame.T_world_camera, stamp_ns)])


def _write_frame(bag: BagWriter, frame: Frame, stamp_ns: int, parts: Split) -> None:
    from metric_depth_ros.datasets import CAMERA_FRAME

    bag.write_points(POINTS, parts.anchors, stamp_ns, parts.frame_id)
    if len(parts.held_out):
        bag.write_points(HELD_OUT, parts.held_out, stamp_ns, parts.frame_id)
    assert frame.camera is not None  # split() refuses a frame without
    bag.write_camera_info(CAMERA_INFO, frame.camera, stamp_ns, CAMERA_FRAME)
    bag.write_image(IMAGE, frame.image, stamp_ns, CAMERA_FRAME)

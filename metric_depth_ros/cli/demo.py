"""`metric_depth demo`: a bag of real frames through the live graph, measured and drawn."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

FRAMES = "kitti_seq_2011_09_26"
NETWORK = "meter_xxs_kitti"
MODEL = "../models/meter_xxs/meter_xxs_kitti_192x640.onnx"


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "demo",
        help="replay real frames through the live node graph and draw the result",
        description="Makes a bag of a folder of frames with half of the LiDAR points held out, replays it "
        "through replayer, node and recorder (three processes), compares the recorded depth with the "
        "held-out points and draws pictures. Without --frames it takes a KITTI drive, and without "
        "--manifest a network for it, from the folder that METRIC_DEPTH_DATA names.",
    )
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="folder for bags and pictures")
    parser.add_argument("--frames", type=Path, help="folder of calibrated frames with LiDAR points")
    parser.add_argument("--manifest", type=Path, help="YAML file that describes the depth network")
    parser.add_argument("--model", type=Path, help="network file; default: the one the manifest names")
    parser.add_argument("--loops", type=int, default=6, help="times the frames are repeated (default 6)")
    parser.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="images a second (default 10)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the node, repeatable"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Bag, live replay, pictures. Raises MetricDepthError."""
    import shutil

    from metric_depth_ros.cli import frames_to_bag
    from metric_depth_ros.cli.live import replay_live
    from metric_depth_ros.cli.main import build_parser

    settings = _settings(args)
    frames = args.frames or _data() / FRAMES
    bag = args.out / "input.mcap"
    shutil.rmtree(args.out / "live", ignore_errors=True)
    args.out.mkdir(parents=True, exist_ok=True)
    flags = ["--loops", str(args.loops), "--rate", str(args.rate), "--hold-out", "0.5", "--overwrite"]
    frames_to_bag.run(build_parser().parse_args(["frames-to-bag", str(frames), str(bag), *flags]))
    topics = {
        "image": frames_to_bag.IMAGE,
        "camera_info": frames_to_bag.CAMERA_INFO,
        "anchors": frames_to_bag.POINTS,
    }
    print("replaying through the live graph ...", flush=True)
    recorded = replay_live(bag, args.out, settings, topics)
    return _report(bag, recorded, args.out)


def _data() -> Path:
    from metric_depth_ros.errors import InputError

    data = os.environ.get("METRIC_DEPTH_DATA")
    if not data:
        raise InputError(
            "demo: METRIC_DEPTH_DATA is not set; needed a folder of real frames. Set it, or give --frames "
            "and --manifest."
        )
    return Path(data)


def _settings(args: argparse.Namespace) -> dict[str, object]:
    """The node's parameters."""
    from metric_depth_ros.cli.run import parsed
    from metric_depth_ros.share import share_path

    settings = dict(parsed(pair) for pair in args.set)
    manifest, model = args.manifest, args.model
    if manifest is None:
        manifest = share_path(f"config/models/{NETWORK}.yaml")
        model = model or _data() / MODEL
    settings["engine.manifest"] = str(manifest)
    if model is not None:
        settings["engine.model"] = str(model)
    return settings


def _report(bag: Path, recorded: Path, out: Path) -> int:
    """Prints the held-out error of every distinct frame and writes its picture; 1 when none came."""
    import cv2
    import numpy as np

    from metric_depth_ros.anchors import build_anchors
    from metric_depth_ros.bags import BagReader, read_depths
    from metric_depth_ros.config import Config
    from metric_depth_ros.evaluation.held_out import held_out_error
    from metric_depth_ros.pictures import depth_range, draw_sheet
    from metric_depth_ros.types import Sample

    config = Config()
    depths = read_depths(recorded, "/depth/image_rect")
    errors, images, pictures = [], 0, 0
    with BagReader(bag) as reader:
        for stamp_ns, sample in reader.samples(config):
            images += 1
            depth = depths.get(stamp_ns)
            if depth is None or not isinstance(sample, Sample) or sample.points_held_out is None:
                continue
            error, covered = held_out_error(depth, sample.camera, sample.points_held_out, config.anchors)
            errors.append((error, covered))
            if pictures < 5:
                anchors = build_anchors(sample.points_camera, sample.camera, config.anchors)
                sheet = draw_sheet(sample.image, anchors, depth, sample.camera, range_m=depth_range(depth))
                path = out / f"depth_{pictures}.png"
                cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
                print(f"{path}: AbsRel at held-out LiDAR points {error:.3f}, covering {100 * covered:.1f} %")
                pictures += 1
    if not errors:
        return 1
    mean = np.mean(errors, axis=0)[0]
    print(f"{len(depths)} of {images} images answered; mean AbsRel at held-out LiDAR points {mean:.3f}")
    return 0

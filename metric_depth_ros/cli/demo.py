"""`metric_depth demo`: replays a bag through the node, measures the error and draws results."""

from __future__ import annotations

import argparse
from pathlib import Path

_PICTURES = 3
# What a demo leaves in its folder: the bag that is replayed, that which is recorded, pictures, logs.
_BAG, _LIVE, _PICTURE = "input.mcap", "live", "depth_{}.png"
_FILES = (*(_PICTURE.format(number) for number in range(_PICTURES)), "node.log", "record.log", "replay.log")
_SIGMA = "/depth/sigma"  # of solvers that give one
_NEXT = """Next:
  metric_depth run {bag} --held-out {held_out}
      the same without ROS, with the error of every image
  metric_depth replay {bag} --loop 0
      this bag into the graph, beside: metric_depth_node --ros-args -r image:={image} -r
      camera_info:={camera_info} -r anchors:={anchors}
  metric_depth view
      what a running node sees, in Rerun; pip install '.[view]'
  ros2 topic hz /depth/image_rect; ros2 topic echo /depth/info
      what the node publishes; RViz: ros2 launch metric_depth_ros rviz.launch.py (a ROS 2 distribution)
  README.md, docs/node.md
      your robot's topics, settings, what to do when nothing comes out"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``demo``."""
    parser = verbs.add_parser(
        "demo",
        help="replay a bag through the live node graph, measure the depth and draw it",
        description="Replays the bag that comes with the package through replayer, node and recorder (three "
        "processes), compares the recorded depth with the truth and draws pictures. With --seconds the bag "
        "is rendered: a drive with camera, 16-line LiDAR and true depth. With --frames it is made of your "
        "own calibrated frames, half of their LiDAR points held out to compare with.",
    )
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="folder for bags and pictures")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier demo left in --out")
    parser.add_argument("--frames", type=Path, help="folder of calibrated frames with LiDAR points")
    parser.add_argument("--manifest", type=Path, help="depth network: a manifest, small (default) or tiny")
    parser.add_argument("--model", type=Path, help="network file; default: the one the manifest names")
    parser.add_argument("--loops", type=int, default=6, help="times --frames are repeated (default 6)")
    parser.add_argument("--seconds", type=float, metavar="S", help="render a drive of this length")
    parser.add_argument("--family", default="corridor", help="kind of scene to render (default corridor)")
    parser.add_argument("--seed", type=int, default=4, help="of the scene to render (default 4)")
    parser.add_argument(
        "--rate",
        type=float,
        default=10.0,
        metavar="HZ",
        help="images a second that is rendered or made of --frames (10)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the node, repeatable"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Makes a bag, replays it through the node and writes images. Raises MetricDepthError."""
    from metric_depth_ros.cli import frames_to_bag
    from metric_depth_ros.cli.live import replay_live
    from metric_depth_ros.cli.outputs import own_folder
    from metric_depth_ros.config import Config, updated
    from metric_depth_ros.pipeline import build_pipeline
    from metric_depth_ros.share import need_ros

    # All that the last step needs, before the bag is made.
    need_ros()
    settings = _settings(args)
    build_pipeline(updated(Config(), settings))
    bag = args.out / _BAG
    topics = {
        "image": frames_to_bag.IMAGE,
        "camera_info": frames_to_bag.CAMERA_INFO,
        "anchors": frames_to_bag.POINTS,
    }
    with own_folder(args.out):
        _make_room(args.out, overwrite=args.overwrite)
        held_out = _make_bag(args, bag)
        print("replaying through the live graph ...", flush=True)
        recorded = replay_live(bag, args.out, settings, topics, also=[_SIGMA])
        _report(bag, held_out, recorded, args.out)
    print(_NEXT.format(bag=bag, held_out=held_out, **topics))
    return 0


def _make_room(out: Path, *, overwrite: bool) -> None:
    """Deletes what an earlier demo left. Raises InputError if that is not wanted, or it is something else."""
    import shutil

    from metric_depth_ros.bags.writer import is_only_a_bag
    from metric_depth_ros.cli.outputs import keep_from_replacing
    from metric_depth_ros.errors import InputError

    names = (_BAG, _LIVE, *_FILES)
    old = keep_from_replacing([out / name for name in names], overwrite=overwrite)
    for path in old:
        is_ours = path.is_file() if path.name in _FILES else is_only_a_bag(path, as_file=path.name == _BAG)
        if not is_ours:
            raise InputError(f"{path}: is nothing that a demo has made, and stays. Choose another --out.")
    for path in old:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _settings(args: argparse.Namespace) -> dict[str, object]:
    """Parameters of the node."""
    from metric_depth_ros.cli.parsing import setting_of

    settings: dict[str, object] = {}
    if args.frames is None and args.seconds is None:
        # As the images of the package's bag are: until auto found out, the first one would be gone.
        settings["input.image_transport"] = "compressed"
    settings.update(setting_of(pair) for pair in args.set)
    if args.manifest is not None:
        settings["engine.manifest"] = str(args.manifest)
    if args.model is not None:
        settings["engine.model"] = str(args.model)
    return settings


def _make_bag(args: argparse.Namespace, bag: Path) -> str:
    """Makes the bag, and returns its topic of held-out depth.

    It is of the user's frames, or a rendered drive, or a copy of the one that comes with the package. Raises
    MetricDepthError.
    """
    import shutil

    from metric_depth_ros.cli.frames_to_bag import HELD_OUT, write_frames
    from metric_depth_ros.cli.try_it import TRUTH, packaged_bag

    if args.frames is not None:
        write_frames(args.frames, bag, rate_hz=args.rate, loops=args.loops, hold_out=0.5, overwrite=True)
        return HELD_OUT
    if args.seconds is None:
        shutil.copyfile(packaged_bag(), bag)
        return TRUTH
    from metric_depth_ros.cli.synthetic_bag import render_bag

    render_bag(bag, args.family, seed=args.seed, size=(480, 360), seconds=args.seconds, rate_hz=args.rate)
    return HELD_OUT


def _report(bag: Path, topic: str, recorded: Path, out: Path) -> None:
    """Prints the error of the frames with depth, and draws some. Raises InputError if there are none."""
    import numpy as np

    from metric_depth_ros.anchors import build_anchors
    from metric_depth_ros.bags import BagReader, read_depths
    from metric_depth_ros.cli.outputs import save_picture
    from metric_depth_ros.config import Config
    from metric_depth_ros.drawing.pictures import draw_sheet
    from metric_depth_ros.errors import InputError
    from metric_depth_ros.evaluation.held_out import error_at, held_out
    from metric_depth_ros.types import Sample

    config = Config()
    depths, sigmas = (read_depths(recorded, topic) for topic in ("/depth/image_rect", _SIGMA))
    stamps = sorted(depths)
    drawn = stamps[len(stamps) // (2 * _PICTURES) :: max(len(stamps) // _PICTURES, 1)][:_PICTURES]
    errors, images = [], 0
    with BagReader(bag, anchors_held_out=topic) as reader:
        for stamp_ns, sample in reader.samples(config):
            images += 1
            depth = depths.get(stamp_ns)
            if depth is None or not isinstance(sample, Sample):
                continue
            camera = sample.camera
            if (truth := held_out(sample, camera, config.anchors)) is None:
                continue
            error, covered = error_at(depth, truth)
            errors.append((error, covered))
            if stamp_ns in drawn:
                anchors = build_anchors(sample.points_camera, camera, config.anchors)
                path = out / _PICTURE.format(drawn.index(stamp_ns))
                sheet = draw_sheet(
                    sample.image, anchors, depth, camera, sigma=sigmas.get(stamp_ns), truth=truth
                )
                save_picture(path, sheet)
                print(f"{path}: AbsRel at held-out points {error:.3f}, covering {100 * covered:.1f} %")
    if not errors:
        raise InputError(
            f"demo: {len(depths)} of {images} images answered, none with held-out points. See the logs."
        )
    mean = np.mean(errors, axis=0)[0]
    print(f"{len(depths)} of {images} images answered; mean AbsRel at held-out points {mean:.3f}")

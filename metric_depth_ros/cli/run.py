"""`metric_depth run`: metric depth of a bag or a folder of frames, offline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from metric_depth_ros.cli.fleet_options import add_fleet
from metric_depth_ros.cli.view import add_where

if TYPE_CHECKING:
    from metric_depth_ros.config import Config

MAPS = ("depth", "sigma", "points")


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "run",
        help="metric depth of a bag, a dataset, or a folder of bags, offline",
        description="Processes every image in recorded order, none is dropped. Writes OUT/depth.mcap "
        "(depth/image_rect, depth/sigma, depth/camera_info, depth/points) and preview pictures. Of a folder "
        "of bags OUT has a folder for each, and a summary; what is there already is not done again.",
    )
    parser.add_argument(
        "source",
        type=Path,
        help="ROS 1 or ROS 2 bag, a dataset (its folder, NAME:PATH or NAME@SPLIT:PATH), or a folder of bags",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for results (default SOURCE_depth)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier depth.mcap, its pictures and recording"
    )
    parser.add_argument("--no-bag", action="store_true", help="write no bag, pictures only")
    parser.add_argument(
        "--maps",
        type=_maps,
        default=",".join(MAPS),
        metavar="A,B",
        help="what the bag holds beside camera_info: depth, sigma, points (default all)",
    )
    parser.add_argument("--previews", type=int, default=5, metavar="N", help="pictures to draw (default 5)")
    parser.add_argument("--limit", type=int, metavar="N", help="stop after N images")
    add_fleet(parser, default="of a folder of bags, one for each core")
    add_where(parser, "--view")
    add_settings(parser.add_argument_group("settings; these beat --set, which beats --config"))
    bags = parser.add_argument_group("bags; a topic left out is the only one of its kind")
    add_bag_options(bags)
    folders = parser.add_argument_group("folders")
    folders.add_argument("--hold-out", type=float, default=0.0, metavar="F", help="as for frames-to-bag")
    folders.add_argument("--anchor-count", type=int, default=0, metavar="N", help="random points; 0: all")
    folders.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def _maps(text: str) -> set[str]:
    """Names of maps, separated by commas."""
    if not {*text.split(",")} <= {*MAPS}:
        raise argparse.ArgumentTypeError(f"{text!r}; needed some of {', '.join(MAPS)}")
    return {*text.split(",")}


def add_bag_options(bags: argparse._ArgumentGroup) -> None:
    """Adds the options that say how a bag is read."""
    for name in ("image", "camera-info", "anchors", "regions"):
        bags.add_argument(f"--{name}", metavar="TOPIC")
    bags.add_argument("--held-out", metavar="TOPIC", help="points to measure with (default ANCHORS_held_out)")
    bags.add_argument("--tf", metavar="TOPIC", help="transforms (default /tf, or the only NAME/tf)")
    bags.add_argument(
        "--remap", action="append", default=[], metavar="NAME:=TOPIC", help="as of the node: image, tf, ..."
    )
    bags.add_argument(
        "--calibration", type=Path, metavar="FILE", help="YAML of ROS or Kalibr for camera_info"
    )
    bags.add_argument(
        "--stamps",
        choices=("header", "recorded"),
        default="header",
        help="times of messages: their stamps, or when they were recorded, for clocks that are wrong",
    )


def add_settings(group: argparse._ArgumentGroup) -> None:
    """Adds the options that ``build_config`` reads."""
    group.add_argument(
        "--config",
        metavar="FILE",
        help="parameter file, or the name of a recipe, as realsense; `metric_depth config` prints one",
    )
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes", help="one setting"
    )
    group.add_argument("--solver", metavar="NAME", help="solver.name")
    group.add_argument(
        "--focus", metavar="METRES", help="solver.focus_m: metres, a task as in docs/focus.md, or off"
    )
    group.add_argument("--manifest", metavar="FILE", help="engine.manifest: a file, small or tiny")
    group.add_argument("--model", metavar="FILE", help="engine.model")


def run(args: argparse.Namespace) -> int:
    """Runs the verb; returns 0 if at least one image, of a folder of bags of each, got depth, else 1.

    Raises MetricDepthError.
    """
    from metric_depth_ros.cli.offline import process
    from metric_depth_ros.cli.run_folder import is_folder_of_bags, process_folder

    config = build_config(args)
    return process_folder(args, config) if is_folder_of_bags(args) else process(args, config)


def build_config(args: argparse.Namespace) -> Config:
    """Settings from a command line: flags override the file, the file overrides the defaults.

    Raises:
        ConfigError: an unknown setting or a wrong value.
    """
    from metric_depth_ros.cli.parsing import setting_of, typed
    from metric_depth_ros.config import Config, updated
    from metric_depth_ros.config.parameter_file import load

    changes = dict(setting_of(text) for text in args.changes)
    shortcuts = {
        "solver.name": args.solver,
        "engine.manifest": args.manifest,
        "engine.model": args.model,
        "solver.focus_m": args.focus,
    }
    changes.update({name: typed(name, text) for name, text in shortcuts.items() if text is not None})
    return updated(load(args.config) if args.config else Config(), changes)

"""`metric_depth config`: prints every setting, with help, unit and range, or a layout for Foxglove."""

from __future__ import annotations

import argparse

_SHOWN = (
    *("anchors", "depth/image_rect", "depth/image_rect_color", "depth/camera_info", "depth/sigma"),
    *("depth/points", "depth/info"),
)


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``config``."""
    parser = verbs.add_parser("config", help="print every setting as a ROS 2 parameter file")
    parser.add_argument("file", nargs="?", help="parameter file to check; what it sets replaces the defaults")
    foxglove = parser.add_argument_group("instead, a layout to import in Foxglove")
    foxglove.add_argument("--foxglove", action="store_true", help="print config/foxglove.json")
    foxglove.add_argument("--namespace", default="", metavar="NAME", help="of the node")
    foxglove.add_argument(
        "--remap", action="append", default=[], metavar="NAME:=TOPIC", help="as of the node: anchors, ..."
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints settings or a layout. Raises MetricDepthError."""
    from metric_depth_ros.config.parameter_file import dump, load

    if args.foxglove:
        print(_layout(args))
    else:
        print(dump(load(args.file) if args.file else None), end="")
    return 0


def _layout(args: argparse.Namespace) -> str:
    """Foxglove's layout with the topics of the node as it is named. Raises InputError for unknown names."""
    from pathlib import PurePosixPath

    from metric_depth_ros.cli.parsing import remapped
    from metric_depth_ros.share import share_path

    names = remapped(args.remap, _SHOWN)
    text = share_path("config/foxglove.json").read_text(encoding="utf-8")
    for name in _SHOWN:
        full = str(PurePosixPath("/", args.namespace, names.get(name, name)))
        for end in ('"', "."):
            text = text.replace(f'"/{name}{end}', f'"{full}{end}')
    return text

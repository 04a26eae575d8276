"""`metric_depth config`: prints every setting, with help, unit and range."""

from __future__ import annotations

import argparse


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("config", help="print every setting as a ROS 2 parameter file")
    parser.add_argument("file", nargs="?", help="parameter file to check; what it sets replaces the defaults")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from metric_depth_ros.config.parameter_file import dump, load

    print(dump(load(args.file) if args.file else None), end="")
    return 0

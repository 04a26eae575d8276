"""`metric_depth replay`: publishes a bag into the graph, with /clock."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "replay", help="publish a bag into the ROS graph", description="Arguments after --ros-args go to ROS."
    )
    parser.add_argument("bag", type=Path, help="ROS 1 bag, ROS 2 bag folder, or a single mcap or db3 file")
    parser.add_argument("--rate", type=float, default=1.0, help="pace; 1 is as recorded (default)")
    parser.add_argument("--loop", type=int, default=1, help="times the bag is played; 0: until stopped")
    parser.add_argument("--topics", nargs="+", default=(), metavar="TOPIC", help="only these topics")
    parser.add_argument("--no-clock", action="store_true", help="do not publish /clock")
    parser.add_argument(
        "--wait", type=float, default=5.0, metavar="S", help="wait this long for a subscriber (default 5)"
    )
    parser.set_defaults(run=run, takes_ros_args=True)


def run(args: argparse.Namespace) -> int:
    from itertools import count

    from tqdm import tqdm

    from metric_depth_ros.cli.ros import ros_context

    with ros_context(args.ros_args) as spin:
        from metric_depth_ros.nodes.replayer import Replayer

        replayer = Replayer(args.bag, rate=args.rate, clock=not args.no_clock, topics=args.topics)
        with spin(replayer):
            if not replayer.wait_for_subscribers(args.wait):
                replayer.get_logger().warning(f"nobody subscribed within {args.wait:g} s; playing anyway")
            bar = tqdm(unit=" messages", disable=None)
            for loop in count(1):
                for _ in replayer.play():
                    bar.update()
                if loop == args.loop:
                    break
            bar.close()
            replayer.flush()
            print(f"replayed {replayer.published} messages of {args.bag}")
    return 0

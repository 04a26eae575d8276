"""`metric_depth record`: writes topics of the graph into an mcap bag."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "record",
        help="record topics of the ROS graph into a bag",
        description="Records until interrupted, or as the options say. Arguments after --ros-args go to ROS.",
    )
    parser.add_argument("out", type=Path, help="folder of the new bag")
    parser.add_argument("topics", nargs="*", help="topics to record")
    parser.add_argument("--all", action="store_true", help="record every topic")
    parser.add_argument("--duration", type=float, metavar="S", help="stop after this long")
    parser.add_argument(
        "--idle",
        type=float,
        metavar="S",
        help="stop once nothing, but for diagnostics, log and clock, has come for this long",
    )
    parser.set_defaults(run=run, takes_ros_args=True)


def run(args: argparse.Namespace) -> int:
    import time

    from metric_depth_ros.cli.ros import ros_context

    with ros_context(args.ros_args) as spin:
        from metric_depth_ros.nodes.recorder import Recorder

        recorder = Recorder(args.out, args.topics, everything=args.all)
        started = time.monotonic()
        with spin(recorder):
            print(f"recording to {args.out}", flush=True)
            while recorder.failure is None and (
                args.duration is None or time.monotonic() - started < args.duration
            ):
                if args.idle is not None and recorder.idle_s() > args.idle:
                    break
                time.sleep(0.05)
        for topic in sorted(recorder.missing):
            print(f"record: nobody published {topic}")
        counts = ", ".join(f"{n} {topic}" for topic, n in sorted(recorder.received.items()))
        print(f"recorded {counts or 'nothing'}")
        if recorder.failure is not None:
            raise recorder.failure
    return 0 if any(recorder.received.values()) else 1

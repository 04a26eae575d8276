"""`metric_depth view`: shows a running node's depth in Rerun."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metric_depth_ros.drawing.viewer import Viewer


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``view``."""
    parser = verbs.add_parser(
        "view",
        help="show a running node's image, anchors, depth, sigma and cloud in Rerun",
        description="Subscribes what metric_depth_node publishes, and its anchors and tf. Needs the extra "
        "view. Arguments after --ros-args go to ROS, as -r anchors:=/lidar/points.",
    )
    add_where(parser)
    parser.add_argument("--config", metavar="FILE", help="the node's parameter file, for its sources")
    parser.add_argument("--duration", type=float, metavar="S", help="stop after this long")
    parser.set_defaults(run=run, takes_ros_args=True)


def add_where(parser: argparse._ActionsContainer, *flags: str) -> None:
    """Adds the argument that says where to show; ``flags``: as an option of these names."""
    parser.add_argument(
        *(flags or ("where",)),
        nargs="?",
        default=None if flags else "",
        const="",
        metavar="WHERE",
        help="nothing: the Rerun window; web: a page in the browser; a file .rrd; or the address of a viewer",
    )


def say_page(viewer: Viewer) -> None:
    """Prints the address of the page, if there is one."""
    if viewer.page:
        print(f"showing at {viewer.page}", flush=True)


def keep_page() -> None:
    """Waits for Ctrl-C, as the page ends with the process that serves it."""
    import contextlib
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
    print("the page stays until Ctrl-C", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def run(args: argparse.Namespace) -> int:
    """Shows until it is interrupted; returns 1 if nothing came. Raises MetricDepthError."""
    import time

    from metric_depth_ros.cli.ros import ros_context
    from metric_depth_ros.config import Config
    from metric_depth_ros.config.parameter_file import load
    from metric_depth_ros.drawing.viewer import viewing

    config = load(args.config) if args.config else Config()
    with viewing(args.where) as viewer, ros_context(args.ros_args) as spin:
        from metric_depth_ros.nodes.viewer import ViewerNode

        say_page(viewer)
        node = ViewerNode(viewer, config)
        until_s = time.monotonic() + args.duration if args.duration is not None else float("inf")
        with spin(node):
            print(f"showing {node.resolve_topic_name('depth/image_rect')}", flush=True)
            said = False
            while time.monotonic() < until_s:
                if node.shown and not said:
                    print("the first depth image is shown", flush=True)
                    said = True
                time.sleep(0.05)
        print(f"shown: {node.shown} depth images")
    return 0 if node.shown else 1

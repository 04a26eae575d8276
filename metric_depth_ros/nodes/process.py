"""Process of the node, for one camera or for several that share their networks."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from itertools import pairwise

import rclpy
from rclpy.exceptions import InvalidNamespaceException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from metric_depth_ros.engines.pool import EnginePool
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.nodes.metric_depth_node import MetricDepthNode
from metric_depth_ros.nodes.parameters import overrides
from metric_depth_ros.nodes.qos import unused_overrides
from metric_depth_ros.share import use_fastdds_profile

# Signals are seen between two callbacks, or after so long.
_LOOK_FOR_SIGNALS_S = 0.2


def run(args: list[str] | None = None) -> int:
    """Runs the nodes until they are stopped; returns 1 if their parameters are wrong.

    Signals are not left to ROS, which ends publishers and the graph while workers still use them.
    """
    use_fastdds_profile()
    stopped, nodes = threading.Event(), list[MetricDepthNode]()
    _on_signals(stopped, nodes)
    status, ended = 0, list[bool]()
    try:
        if _started(args, nodes):
            _spin(nodes, stopped)
        else:
            status = 1
    finally:
        ended = [node.destroy_node() for node in nodes]
        rclpy.try_shutdown()
    if not all(ended):
        _leave(status)
    return status


def _on_signals(stopped: threading.Event, nodes: Sequence[MetricDepthNode]) -> None:
    """Makes SIGINT and SIGTERM set ``stopped``, and end what a node loads."""

    def stop(*_: object) -> None:
        stopped.set()
        for node in nodes:
            node.interrupt()

    for sign in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(sign) is not signal.SIG_IGN:
            signal.signal(sign, stop)


def _started(args: list[str] | None, nodes: list[MetricDepthNode]) -> bool:
    """Starts ROS and a node for each camera; False, with the reason printed, if arguments are wrong."""
    try:
        cameras = _cameras(sys.argv if args is None else ["", *args])
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        _start(cameras, nodes)
        _warn_of_unused_overrides(nodes)
    # RuntimeError: wrong --ros-args, for example a malformed topic.
    except (ConfigError, ParameterException, InvalidNamespaceException, RuntimeError) as error:
        print(f"metric_depth_node: {' '.join(str(error).split())}", file=sys.stderr)
        return False
    return True


def _spin(nodes: Sequence[MetricDepthNode], stopped: threading.Event) -> None:
    executor = SingleThreadedExecutor()
    try:
        for node in nodes:
            executor.add_node(node)
        while rclpy.ok() and not stopped.is_set():
            executor.spin_once(timeout_sec=_LOOK_FOR_SIGNALS_S)
    except ExternalShutdownException:
        pass
    finally:
        executor.shutdown()


def _warn_of_unused_overrides(nodes: Sequence[MetricDepthNode]) -> None:
    """Names the QoS overrides that no node of the process takes: one alone cannot tell, as all share them."""
    given = sorted({name for node in nodes for name in overrides(node)})
    ends = {end for node in nodes for end in node.topic_ends()}
    for words in unused_overrides(given, ends):
        nodes[0].get_logger().warning(words)


def _cameras(argv: Sequence[str]) -> list[str]:
    """Namespaces of the cameras; [""] if none is named. Relative ones are below that of the process."""
    parser = argparse.ArgumentParser(
        "metric_depth_node",
        description="Metric depth of each image; parameters follow --ros-args.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--cameras",
        nargs="+",
        default=[],
        metavar="NAMESPACE",
        help="one node in each namespace, in one process, with one network: --cameras front rear; "
        "relative ones are below the namespace of the process",
    )
    given = parser.parse_args(remove_ros_args(list(argv))[1:]).cameras
    below = _namespace(argv)
    names = [
        "/" + (name if name.startswith("/") else f"{below}/{name}").strip("/")
        for each in given
        for name in each.split(",")
        if name
    ]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--cameras: {name} is named twice; needed a namespace for each camera.")
    return names or [""]


def _namespace(argv: Sequence[str]) -> str:
    """Namespace that the ROS arguments give to the process; of several the first, as rcl takes it."""
    rules = [rule for option, rule in pairwise(argv) if option in ("-r", "--remap")]
    found = (re.fullmatch(r"(?:metric_depth_node:)?__ns:=(.*)", rule) for rule in rules)
    return next((each[1] for each in found if each), "")


def _start(cameras: Sequence[str], nodes: list[MetricDepthNode]) -> None:
    """Starts a node for each camera and adds it to ``nodes``. Raises ConfigError if parameters are wrong."""
    engines = EnginePool()
    for camera in cameras:
        # An argument of its own, since a namespace for the whole process would hold for every node.
        own = ["--ros-args", "-r", f"__ns:={camera}"] if camera else None
        nodes.append(MetricDepthNode(engines, cli_args=own))


def _leave(status: int) -> None:
    """Ends the process though a thread is stuck in a library, which would abort a usual end."""
    print("metric_depth_node: the network does not end; left without waiting for it", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

"""Starts metric_depth_node: ``metric_depth_node`` or ``python -m metric_depth_ros.nodes``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.share import need_ros, no_ros


def main(args: list[str] | None = None) -> int:
    """Runs the node until it is stopped; returns 1 if ROS is missing or a parameter is wrong."""
    try:
        with ending_at_once():
            need_ros()
            try:
                from metric_depth_ros.nodes.process import run
            except ImportError as error:
                raise no_ros(error) from error
        return run(args)
    except MetricDepthError as error:
        print(f"metric_depth_node: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the node is there
        return 0


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Context in which Ctrl-C ends the process: libraries may swallow KeyboardInterrupt while imported."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual:  # ignored, or somebody else's
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main())

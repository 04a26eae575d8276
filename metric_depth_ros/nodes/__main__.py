"""Starts metric_depth_node: ``metric_depth_node`` or ``python -m metric_depth_ros.nodes``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from metric_depth_ros.errors import MetricDepthError


def main(args: list[str] | None = None) -> int:
    """Runs the node until it is stopped; returns 1 if ROS is missing or a parameter is wrong."""
    try:
        with ending_at_once():
            from metric_depth_ros.share import need_ros, no_ros

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
    """Context in which SIGINT and SIGTERM end the process, with status 0.

    Libraries may swallow KeyboardInterrupt while they are imported.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = [sign for sign, handler in usual.items() if signal.getsignal(sign) is handler]
    for sign in ours:  # others are ignored, or somebody else's
        signal.signal(sign, lambda *_: os._exit(0))
    try:
        yield
    finally:
        for sign in ours:
            signal.signal(sign, usual[sign])


if __name__ == "__main__":
    sys.exit(main())

"""Starts metric_depth_node: ``metric_depth_node`` or ``python -m metric_depth_ros.nodes``."""

from __future__ import annotations

import sys

from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.share import need_ros, no_ros


def main(args: list[str] | None = None) -> int:
    """Runs the node until it is stopped; returns 1 if ROS is missing or a parameter is wrong."""
    try:
        need_ros()
        try:
            from metric_depth_ros.nodes.metric_depth_node import main as run
        except ImportError as error:
            raise no_ros(error) from error
        return run(args)
    except MetricDepthError as error:
        print(f"metric_depth_node: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the node is there
        return 0


if __name__ == "__main__":
    sys.exit(main())

"""ROS context for the verbs that join a ROS graph: start, spin, clean shutdown."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.share import need_ros, no_ros, use_fastdds_profile

Spin = Callable[[Any], AbstractContextManager[None]]


@contextmanager
def ros_context(ros_args: list[str]) -> Iterator[Spin]:
    """Runs a ROS context; yields a function that spins a node in the background until its block ends.

    An interrupt (Ctrl-C, SIGTERM) inside the block ends it normally. Raises MetricDepthError when ROS
    is not installed.
    """
    need_ros()
    use_fastdds_profile()
    try:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
    except ImportError as error:
        raise no_ros(error) from error

    @contextmanager
    def spin(node: Any) -> Iterator[None]:
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin, name="executor", daemon=True)
        thread.start()
        try:
            yield
        except KeyboardInterrupt:
            pass
        finally:
            executor.shutdown()
            thread.join(5)
            node.destroy_node()

    # SIGTERM acts as Ctrl-C: the block ends in order, so that a bag is completed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rclpy.init(args=ros_args, signal_handler_options=rclpy.SignalHandlerOptions.NO)
    except RuntimeError as error:  # wrong --ros-args
        raise MetricDepthError(" ".join(str(error).split())) from error
    try:
        yield spin
    finally:
        rclpy.try_shutdown()

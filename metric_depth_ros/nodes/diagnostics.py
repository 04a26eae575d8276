"""A node's health, told in its log and on /diagnostics."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from metric_depth_ros.errors import AnchorError, MetricDepthError, ModelError, TransformError
from metric_depth_ros.health.status import ERROR, Health
from metric_depth_ros.pipeline import Result

# Error -> key of the fault that it is; of any other the key is "input".
_FAULTS = {TransformError: "tf", AnchorError: "anchors", ModelError: "engine"}


class Diagnostics:
    """Tells ``health`` of faults, the log of those that are new, and /diagnostics how the node fares."""

    def __init__(self, node: Node, health: Health) -> None:
        self.health = health
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def complain(self, key: str, level: int, message: str) -> None:
        """Notes a fault, and logs it unless the same one was logged just now."""
        if not self.health.report(key, level, message):
            return
        if level == ERROR:  # rclpy wants one severity per line of code
            self._node.get_logger().error(message)
        else:
            self._node.get_logger().warning(message)

    @contextmanager
    def reporting_failures(self) -> Iterator[None]:
        """Ends an expected failure of its block in log and diagnostics; a bug too, with its traceback."""
        try:
            yield
        except MetricDepthError as error:
            self.complain(_FAULTS.get(type(error), "input"), ERROR, str(error))
        except Exception:
            if self.health.report("bug", ERROR, f"internal error: {traceback.format_exc(limit=-1)}"):
                self._node.get_logger().error(traceback.format_exc())

    def publish(self, values: Mapping[str, str]) -> None:
        """The node's one status, stamped now: its health, and further values by name."""
        level, message, counted = self.health.summary()
        status = DiagnosticStatus(
            level=bytes([level]),
            name=f"{self._node.get_fully_qualified_name()}: depth",
            message=message,
            hardware_id=self._node.get_name(),
            values=[KeyValue(key=key, value=value) for key, value in {**counted, **values}.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)


def values_of(result: Result) -> dict[str, str]:
    """What diagnostics tell of the last depth: its anchors, times and what the solver says."""
    values = {"anchors": str(len(result.anchors))}
    for newest_ns in result.sample.cloud_stamps_ns[-1:]:  # a solver may go on without a cloud
        values["cloud age_ms"] = f"{(result.stamp_ns - newest_ns) / 1e6:.1f}"
    values |= {f"{stage}_ms": f"{1e3 * s:.1f}" for stage, s in result.timings.items()}
    return values | {f"solver {name}": str(value) for name, value in result.metric.info.items()}

"""Publishes a node's health on /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from metric_depth_ros.errors import shortened
from metric_depth_ros.health.status import OK, Health
from metric_depth_ros.nodes.qos import overridable
from metric_depth_ros.pipeline import Result


class Diagnostics:
    """Publisher of a node's status."""

    def __init__(self, node: Node, health: Health) -> None:
        self._node, self._health = node, health
        self._publisher = node.create_publisher(
            DiagnosticArray, "/diagnostics", **overridable(ReliabilityPolicy.RELIABLE, depth=10)
        )

    def destroy(self) -> None:
        """Ends the publisher."""
        self._node.destroy_publisher(self._publisher)

    def publish(self, values: Mapping[str, str], *, active: bool) -> None:
        """Publishes the health with the current time, and further values by name.

        ``active``: whether images are subscribed, so that depth is expected.
        """
        level, message, counted = self._health.summary()
        if not active:
            level, message = OK, "inactive: waits to be activated"
        status = DiagnosticStatus(
            level=bytes([level]),
            name=f"{self._node.get_fully_qualified_name()}: depth",
            message=message,
            hardware_id=self._node.get_name(),
            values=[
                KeyValue(key=shortened(key), value=shortened(value))
                for key, value in {**counted, **values}.items()
            ],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)


def values_of(result: Result) -> dict[str, str]:
    """Diagnostic values of a result: its anchors and the solver's info."""
    values = {"anchors": str(len(result.anchors))}
    by_source = result.anchors_by_source.items()
    values |= {f"{name} anchors": str(count) for name, count in by_source if name != "anchors"}
    if result.sample.cloud_stamps_ns:  # a solver may continue without a cloud
        values["cloud age_ms"] = f"{1e3 * result.cloud_age_s:.1f}"
    return values | {f"solver {name}": str(value) for name, value in result.metric.info.items()}

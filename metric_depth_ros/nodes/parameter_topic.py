"""Topic through which a planner sets the focus distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import Float32

from metric_depth_ros.nodes.qos import overridable

PARAMETER = "solver.focus_m"


class FocusTopic:
    """Subscription of ``focus`` in metres; 0 and NaN mean none. It sets the parameter: the last value counts.

    Attributes:
        source: where the current focus came from, in words.
    """

    def __init__(self, node: Node, refused: Callable[[str], None]) -> None:
        """``refused`` is called with the reason for an invalid focus; the previous focus stays."""
        self.source = "parameter"
        self._node, self._refused = node, refused
        self._subscription = node.create_subscription(
            Float32, "focus", self._on_focus, **overridable(ReliabilityPolicy.BEST_EFFORT)
        )

    def _on_focus(self, msg: Any) -> None:
        focus_m = 0.0 if math.isnan(msg.data) else float(msg.data)
        if focus_m != self._node.get_parameter(PARAMETER).value:
            (result,) = self._node.set_parameters([Parameter(PARAMETER, value=focus_m)])
            if not result.successful:
                self._refused(f"{self._subscription.topic_name}: {result.reason}")
                return
        self.source = f"topic {self._subscription.topic_name}"

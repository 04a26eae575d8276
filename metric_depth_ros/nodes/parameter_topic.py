"""Topics that set a parameter, so that a planner can change it with every message."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import Float32, String

from metric_depth_ros.nodes.qos import overridable


class ParameterTopic:
    """Subscription whose messages set a parameter: the last value counts, wherever it came from.

    Attributes:
        source: where the current value came from, in words.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        parameter: str,
        read: Callable[[Any], Any],
        reliability: ReliabilityPolicy,
        refused: Callable[[str], None],
    ) -> None:
        """``read`` gives a message's value; ``refused`` gets the reason if it is invalid: the last stays."""
        self.source = "parameter"
        self._node, self._parameter, self._read, self._refused = node, parameter, read, refused
        quality = overridable(reliability)
        self._subscription = node.create_subscription(kind, topic, self._on_message, **quality)

    def destroy(self) -> None:
        """Ends the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _on_message(self, msg: Any) -> None:
        value = self._read(msg)
        if value != self._node.get_parameter(self._parameter).value:
            (result,) = self._node.set_parameters([Parameter(self._parameter, value=value)])
            if not result.successful:
                self._refused(f"{self._subscription.topic_name}: {result.reason}")
                return
        self.source = f"topic {self._subscription.topic_name}"


# ``focus`` in metres, 0 and NaN for none: repeated, so one may be lost.
focus_topic = partial(
    ParameterTopic,
    kind=Float32,
    topic="focus",
    parameter="solver.focus_m",
    read=lambda msg: 0.0 if math.isnan(msg.data) else float(msg.data),
    reliability=ReliabilityPolicy.BEST_EFFORT,
)
# ``description``, what the scene is in words, empty for none: said once, so none may be lost.
description_topic = partial(
    ParameterTopic,
    kind=String,
    topic="description",
    parameter="solver.description",
    read=lambda msg: str(msg.data),
    reliability=ReliabilityPolicy.RELIABLE,
)

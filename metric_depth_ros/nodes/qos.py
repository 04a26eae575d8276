"""The node's topics: quality of service, which parameters may override, and no input from its own outputs."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from metric_depth_ros.errors import ConfigError

_OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


def overridable(reliability: ReliabilityPolicy) -> dict[str, Any]:
    """Arguments with a new QoS profile: rclpy writes the overrides into it."""
    return {
        "qos_profile": QoSProfile(depth=5, reliability=reliability),
        "qos_overriding_options": QoSOverridingOptions(_OVERRIDABLE),
    }


def refuse_own(node: Node, what: str, topic: str, fix: str) -> None:
    """Raises ConfigError if the topic of an input is one that the node publishes itself.

    Args:
        what: the input, for the message.
        fix: how to name another topic.
    """
    resolved = node.resolve_topic_name(topic)
    if resolved in {publisher.topic_name for publisher in node.publishers}:
        raise ConfigError(
            f"{what}: {resolved} is this node's own output; needed a sensor's. "
            f"{fix[0].upper()}{fix[1:]}, or remap the output."
        )

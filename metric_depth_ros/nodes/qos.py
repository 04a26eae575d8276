"""Quality of service of the node's topics, which parameters may override."""

from __future__ import annotations

from typing import Any

from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

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

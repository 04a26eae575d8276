"""The node's topics: quality of service, which parameters may override, and no input from its own outputs."""

from __future__ import annotations

import re
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from metric_depth_ros.errors import ConfigError

_OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)
# What a policy may be set to; empty: a number.
_VALUES: dict[str, tuple[str, ...]] = {
    "history": ("keep_last", "keep_all", "system_default"),
    "depth": (),
    "reliability": ("reliable", "best_effort", "system_default"),
    "durability": ("volatile", "transient_local", "system_default"),
}
_ENDS = ("publisher", "subscription", "subscription_latched")
_TOPIC = re.compile(r"(/[A-Za-z_]\w*)+", re.ASCII)  # as rclpy resolves it
_MOST_DEPTH = 2**31 - 1


def overridable(
    reliability: ReliabilityPolicy, *, depth: int = 5, second_latched: bool = False
) -> dict[str, Any]:
    """Arguments with a new QoS profile: rclpy writes the overrides into it.

    ``second_latched``: of a second, transient local subscription of the same topic; the names of its
    parameters have ``subscription_latched`` for ``subscription``.
    """
    durability = DurabilityPolicy.TRANSIENT_LOCAL if second_latched else DurabilityPolicy.VOLATILE
    return {
        "qos_profile": QoSProfile(depth=depth, reliability=reliability, durability=durability),
        "qos_overriding_options": QoSOverridingOptions(
            _OVERRIDABLE, entity_id="latched" if second_latched else None
        ),
    }


def check_override(name: str, value: object) -> None:
    """Checks a parameter ``qos_overrides.TOPIC.publisher.POLICY``, before rclpy fails or ignores it.

    A topic that this node does not have is let through: other nodes of the process share the arguments.

    Raises:
        ConfigError: no such parameter can be, or none of that value.
    """
    topic, end, policy = ("", "", *name.removeprefix("qos_overrides.").rsplit(".", 2))[-3:]
    if not _TOPIC.fullmatch(topic):
        raise ConfigError(f"{name}: topic {topic!r}; needed its full name, as /depth/points.")
    if end not in _ENDS:
        raise ConfigError(f"{name}: {end!r}; needed one of {', '.join(_ENDS)}.")
    if policy not in _VALUES:
        raise ConfigError(f"{name}: unknown policy; needed one of {', '.join(_VALUES)}.")
    _check_value(name, value, _VALUES[policy])


def _check_value(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raises ConfigError unless the value is one of ``allowed``, or a depth if that is empty."""
    if allowed and str(value).lower() not in allowed:
        raise ConfigError(f"{name}: {value!r}; needed one of {', '.join(allowed)}.")
    if allowed:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_DEPTH:
        raise ConfigError(f"{name}: {value!r}; needed a whole number, not negative, up to {_MOST_DEPTH}.")


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

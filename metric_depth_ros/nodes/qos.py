"""The node's topics: quality of service, which parameters may override, and no input from its own outputs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from metric_depth_ros.errors import ConfigError

QOS_OVERRIDES = "qos_overrides."  # how parameters that override QoS begin
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


def check_override(name: str, given: Mapping[str, object]) -> None:
    """Checks a parameter ``qos_overrides.TOPIC.publisher.POLICY``, before rclpy fails or ignores it.

    A topic that this node does not have is let through: other nodes of the process share the arguments.

    Args:
        given: values of all parameters that are given, this one among them.

    Raises:
        ConfigError: no such parameter can be, or none of that value.
    """
    topic, end, policy = ("", "", *name.removeprefix(QOS_OVERRIDES).rsplit(".", 2))[-3:]
    if not _TOPIC.fullmatch(topic):
        raise ConfigError(f"{name}: topic {topic!r}; needed its full name, as /depth/points.")
    if end not in _ENDS:
        raise ConfigError(f"{name}: {end!r}; needed one of {', '.join(_ENDS)}.")
    if policy not in _VALUES:
        raise ConfigError(f"{name}: unknown policy; needed one of {', '.join(_VALUES)}.")
    _check_value(name, given[name], _VALUES[policy])
    history = given.get(f"{QOS_OVERRIDES}{topic}.{end}.history", "keep_last")
    if policy == "depth" and not given[name] and str(history).lower() == "keep_last":
        raise ConfigError(f"{name}: 0 with history keep_last; needed 1 or more. Or set history: keep_all.")


def unused_overrides(given: Iterable[str], ends: Collection[str]) -> Iterator[str]:
    """Yields, in words, each QoS override of the parameters ``given`` that is of none of the ``ends``.

    Args:
        ends: ``TOPIC.publisher``, ``TOPIC.subscription`` of all nodes that the parameters were given to.
    """
    for name in given:
        end = name.removeprefix(QOS_OVERRIDES).rpartition(".")[0]
        if name.startswith(QOS_OVERRIDES) and end not in ends:
            near = difflib.get_close_matches(end, sorted(ends), n=1)
            hint = f" Did you mean {near[0]}?" if near else " It overrides nothing: leave it out."
            yield f"{name}: no such end of a topic here; needed one of this node's, after remapping.{hint}"


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

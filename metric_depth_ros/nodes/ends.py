"""Both ends of a topic as they really are: types, and quality of service."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from metric_depth_ros.health import doctor
from metric_depth_ros.health.facts import OURS, Qos, Topic


def topics_of(node: Node) -> dict[str, Topic]:
    """Every topic of the graph with its type and the QoS of its publishers."""
    return {
        name: Topic(name, kinds[0], offers=tuple(map(_qos, node.get_publishers_info_by_topic(name))))
        for name, kinds in node.get_topic_names_and_types()
    }


def ends_of(node: Node, topic: str) -> doctor.Ends:
    """Publishers of a topic and the node's own subscription of it."""
    published = node.get_publishers_info_by_topic(topic)
    own = [end for end in node.get_subscriptions_info_by_topic(topic) if _is_of(node, end)]
    needed = own[0].topic_type if own else ""
    return doctor.Ends(
        sorted({end.topic_type for end in published}),
        tuple(map(_qos, published)),
        needed,
        _qos(own[0]) if own else OURS,
        [name for name in _of_type(node, needed) if name != topic],
    )


def why_silent(node: Node, what: str, topic: str, change: str = "") -> str:
    """Why nothing comes of an input of the node, and what to do; as ``doctor.why_silent``."""
    return doctor.why_silent(what, topic, ends_of(node, topic), change)


def why_not_alone(node: Node) -> str | None:
    """That other nodes have this one's name, and what to do; None: it is alone."""
    name = node.get_fully_qualified_name()
    found = node.get_node_names_and_namespaces()
    count = sum(f"{space.rstrip('/')}/{each}" == name for each, space in found)
    if count < 2:
        return None
    return (
        f"node: {count} nodes are called {name}; needed one, as parameters and services reach any of them. "
        "Stop the others, or start this one with --ros-args -r __node:=NAME."
    )


def _of_type(node: Node, kind: str) -> list[str]:
    """Topics of a type that others publish: not this node, nor those of other cameras, called the same."""
    return [
        name
        for name, kinds in node.get_topic_names_and_types()
        if kind in kinds
        and any(end.node_name != node.get_name() for end in node.get_publishers_info_by_topic(name))
    ]


def _is_of(node: Node, end: Any) -> bool:
    return (end.node_name, end.node_namespace) == (node.get_name(), node.get_namespace())


def _qos(end: Any) -> Qos:
    profile = end.qos_profile
    reliable = profile.reliability == ReliabilityPolicy.RELIABLE
    name = "" if end.node_name.startswith("_") else end.node_name  # not discovered yet
    return Qos(reliable, profile.durability == DurabilityPolicy.TRANSIENT_LOCAL, name)

"""Writes topics of the graph into a bag: `ros2 bag record` for machines without rosbag2."""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.typesys import Stores, get_typestore

from metric_depth_ros.bags.conventions import bag_qos
from metric_depth_ros.bags.recording import Recording
from metric_depth_ros.errors import InputError
from metric_depth_ros.nodes.interfaces import message_class

_LOOK_PERIOD_S = 0.1
# Topics, in any namespace, that go on whatever happens.
_ENDLESS = ("clock", "diagnostics", "diagnostics_agg", "parameter_events", "rosout")


class Recorder(Node):
    """Records topics as they appear, as serialised bytes stamped with the time of arrival.

    Attributes:
        failure: why the bag is not complete, such as a full disk; None if it is.
    """

    def __init__(
        self, path: Path, topics: Collection[str], *, everything: bool = False, kinds: Collection[str] = ()
    ) -> None:
        """Starts a new mcap bag in the folder ``path``; of ``kinds`` of messages every topic is recorded.

        Raises:
            InputError: the folder exists, or nothing to record is given.
        """
        if not topics and not everything and not kinds:
            raise InputError("record: no topics; needed some, or --all.")
        self._bag = Recording(path)
        super().__init__("metric_depth_record")
        self._wanted = {self.resolve_topic_name(topic) for topic in topics}
        self._everything, self._kinds = everything, frozenset(kinds)
        self._types = get_typestore(Stores.ROS2_KILTED)
        self._subscribed: set[str] = set()
        self.failure: InputError | None = None
        self.received: dict[str, int] = {}
        self._last_s: dict[str, float] = {}
        self._look()
        self.create_timer(_LOOK_PERIOD_S, self._look)

    @property
    def missing(self) -> set[str]:
        """Requested topics that have no publisher yet."""
        return self._wanted - self._subscribed

    def idle_s(self) -> float:
        """Seconds since the last message, 0 before the first.

        Topics that never end, as diagnostics, do not count, unless nothing else is to be recorded.
        """
        others = {topic: at for topic, at in self._last_s.items() if not _is_endless(topic)}
        counted = others if others or not all(map(_is_endless, self._wanted)) else self._last_s
        return time.monotonic() - max(counted.values()) if counted else 0.0

    def destroy_node(self) -> None:
        """Destroys the node, then closes the bag."""
        super().destroy_node()
        try:
            self._bag.close()
        except InputError as error:
            self.failure = error

    def _look(self) -> None:
        """Subscribes requested topics that have appeared."""
        for topic, kinds in self.get_topic_names_and_types():
            wanted = topic in self._wanted or self._everything or kinds[0] in self._kinds
            if wanted and topic not in self._subscribed:
                self._subscribed.add(topic)
                self._follow(topic, kinds[0])

    def _follow(self, topic: str, kind: str) -> None:
        offered = [info.qos_profile for info in self.get_publishers_info_by_topic(topic)]
        reliable = bool(offered) and all(q.reliability == ReliabilityPolicy.RELIABLE for q in offered)
        latched = bool(offered) and all(q.durability == DurabilityPolicy.TRANSIENT_LOCAL for q in offered)
        qos = QoSProfile(
            depth=100,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        try:
            message_type = message_class(kind)
            kept = bag_qos(depth=100, reliable=reliable, latched=latched)
            connection = self._bag.add_connection(
                topic, kind, typestore=self._types, offered_qos_profiles=[kept]
            )
        except (InputError, KeyError) as error:
            self.get_logger().warning(f"{topic} is left out: {error}")
            return
        self.received[topic] = 0
        self.create_subscription(message_type, topic, partial(self._write, topic, connection), qos, raw=True)
        self.get_logger().info(f"subscribed to {topic}")

    def _write(self, topic: str, connection: Any, raw: bytes) -> None:
        try:
            self._bag.write(connection, time.time_ns(), raw)
        except InputError as error:
            self.failure = error
            return
        self.received[topic] += 1
        self._last_s[topic] = time.monotonic()


def _is_endless(topic: str) -> bool:
    return topic.rsplit("/", 1)[-1] in _ENDLESS

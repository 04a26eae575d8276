"""Publishes a bag into the graph: `ros2 bag play` for machines without rosbag2."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

from rclpy.duration import Duration
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Connection, QosDurability
from rosgraph_msgs.msg import Clock

from metric_depth_ros.bags import Bag, open_bag, ros2_type
from metric_depth_ros.errors import InputError
from metric_depth_ros.nodes.interfaces import message_class

_CLOCK_PERIOD_S = 0.02
_SETTLING_S = 0.5


class Replayer(Node):
    """Publishes a bag's messages as they were recorded, at the recorded or a scaled rate.

    The bytes are those of the bag (ROS 1 messages are converted first). Publishers are reliable; topics that
    were latched are latched again. With ``clock``, /clock follows the bag.
    """

    def __init__(
        self, path: Path, *, rate: float = 1.0, clock: bool = True, topics: Collection[str] = ()
    ) -> None:
        """Opens the bag and advertises all its topics, or the named ones.

        Raises:
            InputError: the bag cannot be read, a named topic is not in it, or ``rate`` is not positive.
        """
        if not rate > 0:
            raise InputError(f"replay: rate {rate}; needed a positive number.")
        self._rate = rate
        self._closing = ExitStack()
        self._bag: Bag = self._closing.enter_context(open_bag(path))
        super().__init__("metric_depth_replay")
        self._connections = [c for c in self._bag.connections if not topics or c.topic in topics]
        missing = set(topics) - {c.topic for c in self._connections}
        if missing:
            has = ", ".join(sorted({c.topic for c in self._bag.connections}))
            raise InputError(f"{path}: no topic {', '.join(sorted(missing))}; it has {has}.")
        self._publishers_by_topic: dict[tuple[str, str], Publisher] = {}
        for connection in tuple(self._connections):
            self._advertise(connection)
        self._clock_out = self.create_publisher(Clock, "/clock", 10) if clock else None
        self.published = 0

    def destroy_node(self) -> None:
        """Closes the bag, then destroys the node."""
        self._closing.close()
        super().destroy_node()

    def wait_for_subscribers(self, timeout_s: float) -> bool:
        """Waits until there are subscribers and for half a second no further ones; False if none comes."""
        deadline, found, last_s = time.monotonic() + timeout_s, 0, 0.0
        while (now := time.monotonic()) < deadline:
            count = sum(p.get_subscription_count() for p in self._publishers_by_topic.values())
            if count != found:
                found, last_s = count, now
            if found and now - last_s > _SETTLING_S:
                break
            time.sleep(0.02)
        return found > 0

    def play(self) -> Iterator[int]:
        """Publishes the whole bag once, sleeping in between; yields after every message.

        The yielded value is the bag's time in ns, with which the caller can show progress.
        """
        begin_ns, started, clock_due = self._bag.start_time, time.monotonic(), 0.0
        for connection, stamp_ns, raw in self._bag.messages(self._connections):
            publish_at = started + (stamp_ns - begin_ns) / 1e9 / self._rate
            while True:
                now = time.monotonic()
                if now >= clock_due:
                    self._publish_clock(min(begin_ns + round((now - started) * 1e9 * self._rate), stamp_ns))
                    clock_due = now + _CLOCK_PERIOD_S
                if now >= publish_at:
                    break
                time.sleep(min(publish_at - now, _CLOCK_PERIOD_S))
            self._publishers_by_topic[_topic(connection)].publish(self._bag.as_cdr(connection, raw))
            self.published += 1
            yield stamp_ns
        self._publish_clock(self._bag.end_time)

    def flush(self, timeout_s: float = 2.0) -> None:
        """Waits until reliable subscribers have received all messages."""
        for publisher in self._publishers_by_topic.values():
            publisher.wait_for_all_acked(Duration(nanoseconds=round(timeout_s * 1e9)))

    def _advertise(self, connection: Connection) -> None:
        if _topic(connection) in self._publishers_by_topic:
            return
        latched = DurabilityPolicy.TRANSIENT_LOCAL if _was_latched(connection) else DurabilityPolicy.VOLATILE
        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=latched)
        try:
            kind = message_class(ros2_type(connection.msgtype))
            self._publishers_by_topic[_topic(connection)] = self.create_publisher(kind, connection.topic, qos)
        except (InputError, InvalidTopicNameException) as error:
            reason = " ".join(str(error).split())
            self.get_logger().warning(f"{connection.topic} is left out: {reason}")
            self._connections = [c for c in self._connections if c is not connection]

    def _publish_clock(self, now_ns: int) -> None:
        if self._clock_out is not None:
            msg = Clock()
            msg.clock.sec, msg.clock.nanosec = divmod(now_ns, 1_000_000_000)
            self._clock_out.publish(msg)


def _topic(connection: Connection) -> tuple[str, str]:
    """Name and type: what several publishers of one bag have in common."""
    return connection.topic, connection.msgtype


def _was_latched(connection: Connection) -> bool:
    """Whether the topic was latched (transient local) when it was recorded."""
    if connection.topic.endswith("/tf_static"):
        return True
    profiles = getattr(connection.ext, "offered_qos_profiles", None)
    if profiles is None:
        return bool(getattr(connection.ext, "latching", False))
    return any(profile.durability is QosDurability.TRANSIENT_LOCAL for profile in profiles)

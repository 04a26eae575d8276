"""Stand-in for message_filters: pairs messages of several topics by their stamps.

More robust than the real one: an exception in a callback leaves no lock held, and messages are removed
from the queues before the callback gets them, not after.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time


class SimpleFilter:
    """Passes messages on to its callbacks, in the order they were registered."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:
        """Registers ``cb``, called as ``cb(*messages, *args)``. Returns the connection's number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Calls the callbacks with one set of messages."""
        for cb, args in list(self.callbacks.values()):
            cb(*msg, *args)


class Subscriber(SimpleFilter):
    """Topic as the source of a filter; ``sub`` is the subscription."""

    def __init__(self, node: Node, msg_type: type, topic: str, qos_profile: Any = 10, **kwargs: Any) -> None:
        super().__init__()
        self.node, self.topic = node, topic
        self.sub = node.create_subscription(msg_type, topic, self.callback, qos_profile, **kwargs)

    def callback(self, msg: Any) -> None:
        """Callback of the subscription."""
        self.signalMessage(msg)

    def getTopic(self) -> str:
        """Topic name as given."""
        return self.topic


class TimeSynchronizer(SimpleFilter):
    """Passes on messages whose stamps are equal, in the order of the filters.

    ``queues`` holds one dict per filter, stamp in ns -> message; the smallest stamps are dropped
    when more than ``queue_size`` wait. Change it under ``lock``.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        """Replaces the inputs."""
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self.input_connections = [
            f.registerCallback(self.add, queue, index)
            for index, (f, queue) in enumerate(zip(fs, self.queues, strict=True))
        ]

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Adds one message, and passes on every set that it completes."""
        with self.lock:
            self._put(msg, Time.from_msg(msg.header.stamp).nanoseconds, my_queue)
            common = set.intersection(*(set(queue) for queue in self.queues))
            for stamp in sorted(common):
                self.signalMessage(*self._take([stamp] * len(self.queues)))

    def _put(self, msg: Any, stamp: int, queue: dict[int, Any]) -> None:
        queue[stamp] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _take(self, stamps: Iterable[int]) -> list[Any]:
        return [queue.pop(stamp) for queue, stamp in zip(self.queues, stamps, strict=True)]


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Passes on messages whose stamps differ by less than ``slop`` seconds (never with slop 0).

    The newest message is combined with the nearest one of every other queue.
    """

    def __init__(
        self, fs: Sequence[SimpleFilter], queue_size: int, slop: float, allow_headerless: bool = False
    ) -> None:
        super().__init__(fs, queue_size)
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Adds one message, and passes on the set that it completes. Without a header its stamp is now."""
        if hasattr(msg, "header") and hasattr(msg.header, "stamp"):
            stamp = Time.from_msg(msg.header.stamp).nanoseconds
        elif self.allow_headerless:
            stamp = ROSClock().now().nanoseconds
        else:
            return
        with self.lock:
            self._put(msg, stamp, my_queue)
            stamps = self._set_around(stamp, my_queue) if stamp in my_queue else None
            if stamps is not None:
                self.signalMessage(*self._take(stamps))

    def _set_around(self, stamp: int, my_queue: dict[int, Any]) -> tuple[int, ...] | None:
        """One stamp per queue, all within the slop and nearest to ``stamp``; None if there is no such set."""
        slop = self.slop.nanoseconds
        near = [
            [stamp]
            if queue is my_queue
            else sorted((s for s in queue if abs(s - stamp) <= slop), key=lambda s: abs(s - stamp))
            for queue in self.queues
        ]
        return next((s for s in itertools.product(*near) if max(s) - min(s) < slop), None)

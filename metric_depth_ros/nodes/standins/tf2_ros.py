"""Stand-in for tf2_ros: listener and broadcasters. The node keeps transforms itself (``TransformInput``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import rclpy.logging
from geometry_msgs.msg import TransformStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from metric_depth_ros.errors import TransformError
from metric_depth_ros.messages import read_transform
from metric_depth_ros.nodes.standins import tf2_msgs

try:  # messages are serialised here, so either class works
    from tf2_msgs.msg import TFMessage
except ImportError:
    from metric_depth_ros.nodes.standins.tf2_msgs import TFMessage


def _latched(depth: int) -> QoSProfile:
    return QoSProfile(depth=depth, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformListener:
    """Fills a buffer from /tf and /tf_static, in the executor that spins ``node``."""

    def __init__(self, buffer: Any, node: Node, *, spin_thread: bool = False) -> None:
        """``buffer`` has ``set_transform`` and ``set_transform_static``, as tf2's.

        Raises TransformError if the stand-in of tf2_msgs does not work on this machine.
        """
        if spin_thread:
            raise ValueError("tf: spin_thread=True is not offered by this stand-in; spin the node yourself.")
        self.buffer = buffer
        self.node = node
        group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage, "/tf", self.callback, QoSProfile(depth=100), callback_group=group, raw=True
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage, "/tf_static", self.static_callback, _latched(100), callback_group=group, raw=True
        )

    def callback(self, data: bytes) -> None:
        """Adds the transforms of a serialised TFMessage from /tf."""
        self._take(data, self.buffer.set_transform)

    def static_callback(self, data: bytes) -> None:
        """Adds the transforms of a serialised TFMessage from /tf_static."""
        self._take(data, self.buffer.set_transform_static)

    def unregister(self) -> None:
        """Ends both subscriptions."""
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def _take(self, data: bytes, add: Callable[[Any, str], None]) -> None:
        try:
            transforms = tf2_msgs.decode(data).transforms
        except TransformError as error:
            _warn(error)
            return
        for transform in transforms:
            add(transform, "default_authority")


_LOGGER = rclpy.logging.get_logger("tf2_buffer")  # each counts the time of its lines anew


def _warn(error: Exception) -> None:
    _LOGGER.warning(str(error), throttle_duration_sec=5.0)


class TransformBroadcaster:
    """Publishes moving transforms on /tf."""

    def __init__(self, node: Node) -> None:
        """Raises TransformError if the stand-in of tf2_msgs does not work on this machine."""
        self.pub_tf = node.create_publisher(TFMessage, "/tf", QoSProfile(depth=100))

    def sendTransform(self, transform: TransformStamped | list[TransformStamped]) -> None:
        """Publishes one transform, or several in one message. Raises InputError if one is not finite."""
        self.pub_tf.publish(_encoded(_listed(transform)))


class StaticTransformBroadcaster:
    """Publishes fixed transforms on /tf_static, latched; each message repeats those sent before."""

    def __init__(self, node: Node) -> None:
        """Raises TransformError if the stand-in of tf2_msgs does not work on this machine."""
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", _latched(1))
        self._sent: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | list[TransformStamped]) -> None:
        """Publishes one or several; a child's newest counts. Raises InputError if one is not finite."""
        new = {stamped.child_frame_id: stamped for stamped in _listed(transform)}
        data = _encoded({**self._sent, **new}.values())
        self._sent.update(new)
        self.pub_tf.publish(data)


def _listed(transform: Any) -> list[Any]:
    return list(transform) if isinstance(transform, (list, tuple)) else [transform]


def _encoded(transforms: Iterable[Any]) -> bytes:
    return tf2_msgs.encode(map(read_transform, transforms))

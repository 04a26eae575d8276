"""Stand-in for tf2_ros: buffer, listener and broadcasters, on ``transforms.TransformTree``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import rclpy.logging
import yaml
from geometry_msgs.msg import TransformStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from metric_depth_ros.errors import InputError, TransformError
from metric_depth_ros.geometry import quaternion
from metric_depth_ros.messages import read_transform
from metric_depth_ros.nodes.standins import tf2_msgs
from metric_depth_ros.transforms import TransformTree
from metric_depth_ros.types import FloatArray

try:  # messages are serialised here, so either class works
    from tf2_msgs.msg import TFMessage
except ImportError:
    from metric_depth_ros.nodes.standins.tf2_msgs import TFMessage


class TransformException(Exception):
    """Base class of the transform exceptions."""


class LookupException(TransformException):
    """Raised if a frame does not exist."""


class ConnectivityException(TransformException):
    """Raised if two frames are not connected."""


class ExtrapolationException(TransformException):
    """Raised if a transform is not known at the requested time."""


class InvalidArgumentException(TransformException):
    """Raised if a frame name is empty or begins with a slash."""


class Buffer:
    """Keeps transforms for ``cache_time`` (default 10 s) and looks them up. Thread safe.

    Time zero means the newest common time. A look-up waits for at most ``timeout`` of real time, during
    which another thread must fill the buffer.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        """``node`` is ignored; the real tf2_ros uses it to offer a service."""
        self._tree = TransformTree(10.0 if cache_time is None else cache_time.nanoseconds / 1e9)
        self._changed = threading.Condition()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Adds one moving transform; one that is not finite or has no frames is logged and ignored."""
        self._add(transform, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Adds one transform that holds at all times; a bad one is logged and ignored."""
        self._add(transform, static=True)

    def clear(self) -> None:
        """Removes all moving transforms."""
        with self._changed:
            self._tree.clear()

    def all_frames_as_yaml(self) -> str:
        """Every frame that has a parent, and its parent, as YAML."""
        with self._changed:
            return yaml.safe_dump(
                {child: {"parent": parent} for child, parent in self._tree.parents().items()}
            )

    def _add(self, transform: Any, *, static: bool) -> None:
        try:
            parent, child, T, stamp_ns = read_transform(transform)
        except InputError as error:
            _warn(error)
            return
        with self._changed:
            self._tree.add(parent, child, T, stamp_ns, static=static)
            self._changed.notify_all()

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> Any:
        """Whether ``lookup_transform`` would succeed; with ``return_debug_tuple`` (bool, reason if not)."""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException as error:
            return (False, str(error)) if return_debug_tuple else False
        return (True, "") if return_debug_tuple else True

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        """T_target_source at ``time``, stamped with it.

        Raises:
            LookupException, ConnectivityException, ExtrapolationException, InvalidArgumentException.
        """
        T, stamp_ns = self._wait(lambda: self._look_up(target_frame, source_frame, time.nanoseconds), timeout)
        return _stamped(target_frame, source_frame, T, stamp_ns)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> TransformStamped:
        """Transform from the source at one time to the target at another, stamped with the target's time.

        Raises:
            LookupException, ConnectivityException, ExtrapolationException, InvalidArgumentException.
        """

        def through() -> tuple[FloatArray, int]:
            self._check_frames(target_frame, source_frame, fixed_frame)
            T_fixed_source, _ = self._look_up(fixed_frame, source_frame, source_time.nanoseconds)
            T_target_fixed, stamp_ns = self._look_up(target_frame, fixed_frame, target_time.nanoseconds)
            return T_target_fixed @ T_fixed_source, stamp_ns

        T, stamp_ns = self._wait(through, timeout)
        return _stamped(target_frame, source_frame, T, stamp_ns)

    def _wait(
        self, look_up: Callable[[], tuple[FloatArray, int]], timeout: Duration | None
    ) -> tuple[FloatArray, int]:
        """Repeats a look-up until it succeeds; after the timeout raises its last exception."""
        answers: list[tuple[FloatArray, int]] = []
        errors: list[TransformException] = []

        def answered() -> bool:
            try:
                answers.append(look_up())
            except TransformException as error:
                errors.append(error)
            return bool(answers)

        with self._changed:
            seconds = 0.0 if timeout is None else timeout.nanoseconds / 1e9
            if self._changed.wait_for(answered, seconds):
                return answers[0]
        raise errors[-1]

    def _look_up(self, target: str, source: str, stamp_ns: int) -> tuple[FloatArray, int]:
        """T_target_source (4, 4) and its time."""
        if target == source:
            return np.eye(4), stamp_ns
        self._check_frames(target, source)
        try:
            newest_ns = self._tree.latest_common_ns(target, source)
        except TransformError as error:
            raise ConnectivityException(_found(error)) from error
        stamp_ns = stamp_ns or newest_ns or 0
        try:
            return self._tree.lookup(target, source, stamp_ns), stamp_ns
        except TransformError as error:
            raise ExtrapolationException(_found(error)) from error

    def _check_frames(self, *frames: str) -> None:
        known = self._tree.frames()
        for frame in frames:
            if not frame or frame.startswith("/"):
                raise InvalidArgumentException(f"frame {frame!r}; needed a name without a leading slash")
            if frame not in known:
                raise LookupException(
                    f"frame {frame!r} does not exist; known: {', '.join(sorted(known)) or 'none'}"
                )


def _found(error: TransformError) -> str:
    """First part of an error message, what was found; callers add the place and the advice."""
    return str(error).removeprefix("tf: ").partition(". ")[0]


def _stamped(target: str, source: str, T: FloatArray, stamp_ns: int) -> TransformStamped:
    message = TransformStamped(child_frame_id=source)
    message.header.frame_id = target
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = (float(x) for x in T[:3, 3])
    rotation.x, rotation.y, rotation.z, rotation.w = (float(x) for x in quaternion(T[:3, :3]))
    return message


def _latched(depth: int) -> QoSProfile:
    return QoSProfile(depth=depth, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformListener:
    """Fills a buffer from /tf and /tf_static, in the executor that spins ``node``."""

    def __init__(self, buffer: Buffer, node: Node, *, spin_thread: bool = False) -> None:
        """Raises TransformError if the stand-in of tf2_msgs does not work on this machine."""
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

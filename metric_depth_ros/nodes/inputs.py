"""Inputs of the node: images with camera_info and regions, point clouds, and transforms."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from metric_depth_ros import messages
from metric_depth_ros.config import Config, SyncConfig
from metric_depth_ros.errors import AnchorError, InputError, MetricDepthError, TransformError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.health.input_watch import InputWatch
from metric_depth_ros.health.status import ERROR, WARN, Health
from metric_depth_ros.nodes.qos import overridable
from metric_depth_ros.nodes.ros import cv_bridge, forget_after, message_filters, tf2_ros
from metric_depth_ros.sync import CloudRing, StampGuard, jumps_back
from metric_depth_ros.types import Cloud, ImageArray

_BEST_EFFORT, _LATCHED = ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.TRANSIENT_LOCAL
# Images that wait for a camera_info of their own stamp before they get an earlier one.
_PATIENCE = 3


@dataclass(frozen=True, eq=False)
class Pair:
    """Image with its camera_info, its regions if they come by topic, and its time of arrival (monotonic)."""

    image: Any
    camera_info: Any
    regions: Any
    received_s: float


class ImageInput:
    """Subscribes image, camera_info and, if they come by topic, regions; passes them on paired by stamp.

    Images that come without a camera_info of their stamp, as where it is latched or published rarely, get the
    newest of their frame after ``_PATIENCE`` of them.

    Attributes:
        watch: detects missing inputs.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        health: Health,
        *,
        on_pair: Callable[[Pair], None],
        on_jump: Callable[[int], None],
    ) -> None:
        """``on_jump`` is called with the new time, ns, when time jumps back, before any pair from then on."""
        self._node, self._health = node, health
        self._on_pair, self._on_jump = on_pair, on_jump
        self._last_ns = 0
        self._stamps: StampGuard[Any] = StampGuard()
        self._infos: dict[str, Any] = {}  # newest camera_info by frame
        self._unpaired = 0  # images since the last one with a camera_info of its stamp
        self._served_ns = 0  # stamp of the last one that got another
        self._latched: Any = None
        image_type, topic = Image, "image"
        if config.input.image_transport == "compressed":
            # As in image_transport, a remapping of the base topic applies to the transport too.
            image_type, topic = CompressedImage, f"{node.resolve_topic_name('image')}/compressed"
        subscribe = message_filters.Subscriber
        images = subscribe(node, image_type, topic, **overridable(_BEST_EFFORT))
        companions = {"camera_info": subscribe(node, CameraInfo, "camera_info", **overridable(_BEST_EFFORT))}
        if config.regions.source == "topic":
            companions["regions"] = subscribe(node, Image, "regions", **overridable(_BEST_EFFORT))
        self._good_images, *good = (message_filters.SimpleFilter() for _ in range(1 + len(companions)))
        images.registerCallback(self._on_image)
        for (name, subscriber), passed_on in zip(companions.items(), good, strict=True):
            subscriber.registerCallback(self._on_companion, name, passed_on)
        self._pairing = message_filters.ApproximateTimeSynchronizer(
            [self._good_images, *good], config.input.queue_size, config.input.pairing_slop_s
        )
        self._pairing.registerCallback(self._on_all)
        topics = {name: subscriber.sub.topic_name for name, subscriber in companions.items()}
        self._info_topic, self._alone = topics["camera_info"], len(topics) == 1
        self.watch = InputWatch(self._health, images.sub.topic_name, topics, node.count_publishers)

    def _on_image(self, msg: Any) -> None:
        """Adds an image to the pairing."""
        self._health.count("images in")
        try:
            stamp_ns = messages.time_of_capture_ns(msg)
        except InputError as error:
            self._health.report("stamp", ERROR, f"image: {error}")
            return
        good, wrong = self._stamps.put(msg, stamp_ns, time.monotonic_ns())
        if not wrong:
            self._health.clear("stamp")
        for _ in wrong:
            self._health.report(
                "stamp", WARN, "image: a stamp far from those around it. Check the clock of its driver."
            )
        for image in good:
            self._pair(image, messages.stamp_ns(image), stamp_ns)

    def _pair(self, msg: Any, stamp_ns: int, newest_ns: int) -> None:
        """Adds an image to the pairing; ``newest_ns`` is that of the last one that came."""
        if jumps_back(self._last_ns, stamp_ns):
            self._health.count("time jumps")
            self._node.get_logger().warning(
                f"time jumped back by {(self._last_ns - stamp_ns) / 1e9:.3f} s; queues are cleared"
            )
            forget_after(self._pairing, newest_ns)
            self._served_ns = 0
            self._on_jump(newest_ns)
        self._last_ns = stamp_ns
        self._unpaired += 1
        self._good_images.signalMessage(msg)
        info = self._infos.get(messages.frame_id(msg).lstrip("/"))
        if self._unpaired > _PATIENCE and info is not None and self._alone:
            self._served_ns = stamp_ns
            self._pass_on(msg, info)

    def _on_companion(self, msg: Any, what: str, passed_on: Any) -> None:
        """Adds a message that belongs to an image to the pairing."""
        self._health.count(f"{what} in")
        try:
            messages.stamp_ns(msg)
        except InputError as error:
            self._health.report("input", ERROR, f"{what}: {error}")
            return
        if what == "camera_info":
            self._remember(msg)
        passed_on.signalMessage(msg)

    def _on_all(self, image: Any, camera_info: Any, regions: Any = None) -> None:
        self._unpaired = 0
        if messages.stamp_ns(image) > self._served_ns:
            self._pass_on(image, camera_info, regions)

    def find_latched(self) -> None:
        """Subscribes camera_info as latched too, once a publisher latches it: its last may be old."""
        if self._latched is not None:
            return
        for publisher in self._node.get_publishers_info_by_topic(self._info_topic):
            if publisher.qos_profile.durability == _LATCHED:
                reliability = publisher.qos_profile.reliability
                qos = QoSProfile(depth=1, reliability=reliability, durability=_LATCHED)
                self._latched = self._node.create_subscription(
                    CameraInfo, self._info_topic, self._remember, qos
                )
                return

    def _remember(self, camera_info: Any) -> None:
        self._infos[messages.frame_id(camera_info).lstrip("/")] = camera_info

    def _pass_on(self, image: Any, camera_info: Any, regions: Any = None) -> None:
        self._health.count("pairs in")
        self._on_pair(Pair(image, camera_info, regions, time.monotonic()))


class AnchorInput:
    """Subscribes anchors and keeps the latest clouds, from which it finds those of an image. Thread safe."""

    def __init__(self, node: Node, config: SyncConfig, health: Health) -> None:
        self._node, self._health = node, health
        self._ring, self._changed = CloudRing(config), threading.Condition()
        self._refused = ""
        self._stopping = False
        self._topic = node.create_subscription(
            PointCloud2, "anchors", self._on_cloud, **overridable(_BEST_EFFORT)
        ).topic_name

    def clouds_for(self, stamp_ns: int, deadline_s: float, *, optional: bool) -> list[Cloud]:
        """Clouds of an image, after waiting for one that is due.

        Args:
            deadline_s: monotonic time until which to wait.
            optional: whether no cloud, or no sensor at all, is acceptable.

        Raises:
            AnchorError: no cloud fits, and it is not optional.
        """
        with self._changed:
            while (
                self._ring.awaits(stamp_ns)
                and (len(self._ring) or not optional)
                and not self._stopping
                and (left := deadline_s - time.monotonic()) > 0
            ):
                self._changed.wait(left)
            clouds = self._ring.select(stamp_ns)
        if not clouds and not optional:
            raise AnchorError(
                f"anchors: no cloud for the image at {stamp_ns / 1e9:.3f} s among {len(self._ring)} kept "
                f"of {self._health.counted('clouds in')} received on {self._topic} "
                f"({self._node.count_publishers(self._topic)} publishers). Remap anchors, compare the "
                f"clocks of camera and sensor, or raise sync.max_cloud_age_s.{self._refused}"
            )
        return clouds

    def configure(self, config: SyncConfig) -> None:
        """Changes the settings, from the next image on."""
        with self._changed:
            self._ring.config = config

    def forget_after(self, stamp_ns: int) -> None:
        """After a jump back in time, drops clouds too new for an image of this stamp."""
        with self._changed:
            self._ring.forget_after(stamp_ns)

    def stop(self) -> None:
        """Ends all waits."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _on_cloud(self, msg: Any) -> None:
        self._health.count("clouds in")
        try:
            cloud = Cloud(messages.read_points(msg), messages.frame_id(msg), messages.stamp_ns(msg))
        except MetricDepthError as error:
            self._refused = f" The last cloud was refused: {error}"
            self._health.report("cloud", ERROR, str(error))
            return
        self._health.clear("cloud")
        with self._changed:
            self._refused = ""
            self._ring.add(cloud)
            self._changed.notify()


class TransformInput:
    """Transforms from tf: a ``types.TransformSource`` on a tf2 buffer.

    Look up from another thread than the executor's, which fills the buffer while a look-up waits.
    """

    def __init__(self, node: Node, timeout_s: float) -> None:
        """If tf cannot be used on this machine, every look-up raises an error that says so."""
        self.timeout_s = timeout_s
        self._buffer = tf2_ros.Buffer()
        self._unavailable: TransformError | None = None
        try:
            self._listener = tf2_ros.TransformListener(self._buffer, node)
        except TransformError as error:
            self._unavailable = error

    def clear(self) -> None:
        """Removes moving transforms, after a jump back in time."""
        self._buffer.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """T_target_source (4, 4). Raises TransformError after ``timeout_s``."""
        return self._matrix(
            f"{source!r} to {target!r}", self._buffer.lookup_transform,
            target.lstrip("/"), source.lstrip("/"), Time(nanoseconds=stamp_ns), self._timeout(),
        )  # fmt: skip

    def lookup_through(
        self, target: str, target_ns: int, source: str, source_ns: int, fixed: str
    ) -> np.ndarray:
        """T (4, 4) between two times through a fixed frame. Raises TransformError after ``timeout_s``."""
        return self._matrix(
            f"{source!r} to {target!r} through {fixed!r}", self._buffer.lookup_transform_full,
            target.lstrip("/"), Time(nanoseconds=target_ns),
            source.lstrip("/"), Time(nanoseconds=source_ns),
            fixed.lstrip("/"), self._timeout(),
        )  # fmt: skip

    def _timeout(self) -> Duration:
        return Duration(nanoseconds=round(self.timeout_s * 1e9))

    def _matrix(self, what, look_up, *arguments) -> np.ndarray:
        if self._unavailable is not None:
            raise self._unavailable
        try:
            transform = look_up(*arguments).transform
        except tf2_ros.TransformException as error:
            raise TransformError(
                f"tf: {what}: {error}. Publish the transform (static_transform_publisher for a fixed "
                "mounting), or set extrinsics.source: parameters."
            ) from error
        t, q = transform.translation, transform.rotation
        return rigid_transform([t.x, t.y, t.z], [q.x, q.y, q.z, q.w])


_BRIDGE = cv_bridge.CvBridge()


def read_any_image(msg: Any, stretch: messages.Stretch) -> ImageArray:
    """RGB of an Image or a CompressedImage; cv_bridge reads encodings that ``messages`` does not.

    Raises:
        InputError: the image is damaged, or its encoding cannot be read.
    """
    if hasattr(msg, "format"):
        return messages.read_compressed_image(msg, stretch)
    if messages.knows_encoding(msg.encoding):
        return messages.read_image(msg, stretch)
    try:
        image: ImageArray = _BRIDGE.imgmsg_to_cv2(msg, "rgb8")
        return image
    except Exception as error:  # cv_bridge raises its own errors, cv2's and Python's
        raise InputError(
            f"image: encoding {msg.encoding!r} cannot be made rgb8 ({error}). "
            f"Publish one of {', '.join(sorted(messages.KNOWN_ENCODINGS))}."
        ) from error

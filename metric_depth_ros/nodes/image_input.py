"""Subscribes images with their camera_info and regions, and reads them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from metric_depth_ros import messages
from metric_depth_ros.config import Config
from metric_depth_ros.errors import InputError
from metric_depth_ros.health import findings
from metric_depth_ros.health.input_watch import InputWatch
from metric_depth_ros.health.status import ERROR, WARN, Health
from metric_depth_ros.nodes.ends import why_silent
from metric_depth_ros.nodes.qos import overridable, refuse_own
from metric_depth_ros.nodes.ros import cv_bridge, forget_after, message_filters
from metric_depth_ros.nodes.timers import steady_timer
from metric_depth_ros.stamps import StampGuard, jumps_back, to_ns
from metric_depth_ros.types import ImageArray

_BEST_EFFORT = ReliabilityPolicy.BEST_EFFORT
_LOOK_PERIOD_S = 0.2
_AHEAD_NS = 1_000_000_000  # regions may be so far ahead of their image, as that may come later
_BEFORE_ALL = -(2**63)  # a stamp, ns
_LOOKS = 3  # a driver's topics are not discovered all at once


@dataclass(frozen=True, eq=False)
class Pair:
    """Image with its camera_info and its regions if they come by topic; ``received_s``: when all had come."""

    image: Any
    camera_info: Any
    regions: Any
    received_s: float


class ImageInput:
    """Subscribes image, camera_info and, if they come by topic, regions; passes on what belongs together.

    Regions have the image's stamp. Of camera_infos the image's own is taken; if an image gets none before the
    next one comes, the newest of its frame holds from then on (``messages.Calibrations``).

    Attributes:
        topic: of the images.
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
        """``on_jump`` is called with the new time, ns, when time jumps back, before any pair from then on.

        Raises ConfigError if a topic is an output of this node.
        """
        for name in ("image", "camera_info", *(["regions"] if config.regions.source == "topic" else [])):
            refuse_own(node, name, name, f"remap {name}")
        self._node, self._health = node, health
        self._on_pair, self._on_jump = on_pair, on_jump
        self._last_ns = 0
        self._stamps: StampGuard[Any] = StampGuard()
        self._calibrations = messages.Calibrations(
            to_ns(config.input.pairing_slop_s), config.input.queue_size
        )
        self._without_info: tuple[Any, Any] | None = None  # the newest image and its regions
        self._latched: Any = None  # second subscription of camera_info
        self._compressed_alone = 0  # looks in a row that found compressed images alone
        self._infos = node.create_subscription(
            CameraInfo, "camera_info", self._on_info, **overridable(_BEST_EFFORT)
        )
        self._info_topic = self._infos.topic_name
        companions = {"camera_info": self._info_topic}
        self._pairing = self._regions = None
        if config.regions.source == "topic":
            companions["regions"] = self._pair_with_regions(config)
        self._transport = config.input.image_transport
        self.watch = InputWatch(self._health, "", companions, partial(why_silent, node))
        self._subscribe_images(compressed=self._transport == "compressed")
        self._timer = steady_timer(node, _LOOK_PERIOD_S, self._look)

    def destroy(self) -> None:
        """Ends the subscriptions and the timer, in the executor's thread or without one."""
        self._node.destroy_timer(self._timer)
        for each in (self._images, self._infos, self._latched, self._regions):
            if each is not None:
                self._node.destroy_subscription(each)

    @property
    def topics(self) -> list[str]:
        """Topics of images, camera_info and, if they come by topic, regions."""
        regions = [] if self._regions is None else [self._regions.topic_name]
        return [self.topic, self._info_topic, *regions]

    def forget(self) -> None:
        """Clears the queues, but calibrations hold; the next image may have any stamp."""
        self._stamps, self._last_ns, self._without_info = StampGuard(), 0, None
        self._calibrations.forget_after(_BEFORE_ALL)
        if self._pairing is not None:
            forget_after(self._pairing, _BEFORE_ALL)

    def _pair_with_regions(self, config: Config) -> str:
        """Subscribes regions, which are paired with the images by stamp; returns their topic."""
        self._good_images, good = message_filters.SimpleFilter(), message_filters.SimpleFilter()
        regions = message_filters.Subscriber(self._node, Image, "regions", **overridable(_BEST_EFFORT))
        regions.registerCallback(self._on_regions, good)
        self._regions = regions.sub
        self._pairing = message_filters.ApproximateTimeSynchronizer(
            [self._good_images, good], config.input.queue_size, config.input.pairing_slop_s
        )
        self._pairing.registerCallback(self._on_picture)
        return str(regions.sub.topic_name)

    def _subscribe_images(self, *, compressed: bool) -> None:
        # As in image_transport, a remapping of the base topic applies to the transport too.
        base = self._node.resolve_topic_name("image")
        kind, topic = (CompressedImage, f"{base}/compressed") if compressed else (Image, "image")
        self._images = self._node.create_subscription(
            kind, topic, self._on_image, **overridable(_BEST_EFFORT)
        )
        self.topic = self.watch.image_topic = self._images.topic_name

    def _look(self) -> None:
        """Follows what is published only now, and lets no image wait for long."""
        if self._transport == "auto" and not self._health.counted("images in"):
            self._look_for_compressed()
        if self._latched is None and not self._health.counted("camera_info in"):
            self._look_for_latched()
        if self._without_info is not None and self._health.since_s("images in") > _LOOK_PERIOD_S:
            self._take_of_frame()

    def _look_for_compressed(self) -> None:
        """Subscribes compressed images if for a while nobody publishes others."""
        raw, packed = (self._node.count_publishers(f"{self.topic}{end}") for end in ("", "/compressed"))
        self._compressed_alone = self._compressed_alone + 1 if packed and not raw else 0
        if self._compressed_alone > _LOOKS:
            self._transport = "compressed"
            self._node.destroy_subscription(self._images)
            self._subscribe_images(compressed=True)

    def _look_for_latched(self) -> None:
        """Subscribes a latched camera_info a second time.

        What was published before comes to reliable and transient local subscriptions alone, and these get
        nothing of ordinary publishers.
        """
        publishers = self._node.get_publishers_info_by_topic(self._info_topic)
        if any(each.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in publishers):
            latched = overridable(ReliabilityPolicy.RELIABLE, second_latched=True)
            self._latched = self._node.create_subscription(
                CameraInfo, "camera_info", self._on_info, **latched
            )

    def _on_image(self, msg: Any) -> None:
        """Checks an image's stamp: one that is far off alone is passed over."""
        self._health.count("images in")
        try:
            stamp_ns = messages.time_of_capture_ns(msg)
        except InputError as error:
            self._health.report("stamp", ERROR, f"image: {error}")
            return
        self.watch.heard("images", stamp_ns)
        good, wrong = self._stamps.put(msg, stamp_ns, time.monotonic_ns())
        if not wrong:
            self._health.clear("stamp")
        for image in wrong:
            off_s = (messages.stamp_ns(image) - stamp_ns) / 1e9
            self._health.report(
                "stamp",
                WARN,
                f"image: a stamp far from those around it, by {off_s:+.3f} s. Check the clock of its driver.",
            )
        for image in good:
            self._add(image, messages.stamp_ns(image), stamp_ns)

    def _add(self, msg: Any, stamp_ns: int, newest_ns: int) -> None:
        """Pairs an image with its regions if they come by topic; ``newest_ns``: of the last one that came."""
        if jumps_back(self._last_ns, stamp_ns):
            self._forget_after(stamp_ns, newest_ns)
        self._last_ns = stamp_ns
        if self._pairing is None:
            self._on_picture(msg)
        else:
            # A full queue drops its smallest stamps: those far ahead would stay.
            forget_after(self._pairing, stamp_ns + _AHEAD_NS)
            self._good_images.signalMessage(msg)

    def _forget_after(self, stamp_ns: int, newest_ns: int) -> None:
        """Clears the queues when time has jumped back to ``stamp_ns``."""
        self._health.count("time jumps")
        back_s = (self._last_ns - stamp_ns) / 1e9
        self._health.log("time", WARN, f"time jumped back by {back_s:.3f} s; queues are cleared")
        self._without_info = None
        self._calibrations.forget_after(newest_ns)
        if self._pairing is not None:
            forget_after(self._pairing, newest_ns)
        self._on_jump(newest_ns)

    def _on_regions(self, msg: Any, passed_on: Any) -> None:
        """Adds labels to the pairing."""
        self._health.count("regions in")
        try:
            self.watch.heard("regions", messages.stamp_ns(msg))
        except InputError as error:
            self._health.report("input", ERROR, f"regions: {error}")
            return
        passed_on.signalMessage(msg)

    def _on_info(self, msg: Any) -> None:
        """Keeps a camera_info; an image that has waited for it goes on."""
        self._health.count("camera_info in")
        try:
            self._calibrations.add(msg)
            self.watch.heard("camera_info", messages.stamp_ns(msg))
        except InputError as error:
            self._health.report("input", ERROR, f"camera_info: {error}")
            return
        if self._without_info is not None:
            self._pair(*self._without_info)

    def _on_picture(self, image: Any, regions: Any = None) -> None:
        """Pairs an image with its camera_info. One before it that still has none takes that of its frame."""
        if self._without_info is not None:
            self._take_of_frame()
        self._without_info = image, regions
        self._pair(image, regions)

    def _pair(self, image: Any, regions: Any) -> None:
        """Passes an image on if its camera_info is there."""
        info = self._calibrations.find(image)
        if info is not None:
            self._without_info = None
            self._health.count("pairs in")
            self._on_pair(Pair(image, info, regions, time.monotonic()))

    def _take_of_frame(self) -> None:
        """Passes the waiting image on with the camera_info of its frame, as its own has not come."""
        waiting, self._without_info = self._without_info, None
        self._calibrations.come_with_images = False
        self._pair(*waiting)
        frames, frame = self._calibrations.frames, messages.frame_id(waiting[0])
        if frames and self._calibrations.of_frame(waiting[0]) is None:
            self._health.report(
                "camera_info",
                ERROR,
                findings.another_camera(self._info_topic, frames, frame),
            )


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

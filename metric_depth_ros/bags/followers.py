"""Follows the images of a bag through its other topics: clouds, camera_info and label images."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from metric_depth_ros import messages
from metric_depth_ros.bags.streams import Stamped, TopicStream
from metric_depth_ros.errors import InputError, MetricDepthError
from metric_depth_ros.health.clocks import Heard, limits_of, why_apart
from metric_depth_ros.stamps import to_ns
from metric_depth_ros.sync import Source
from metric_depth_ros.types import frame_name

# Messages of each topic whose times are remembered.
_REMEMBERED = 100


@dataclass(frozen=True, eq=False)
class TimedImage(Stamped):
    """Image message with its times; ``jumped``: time has jumped back since the previous image."""

    jumped: bool


class Clouds:
    """Follows the images through the topic of one source, whose buffer it fills.

    Attributes:
        source: the source, with its buffer.
        refused: why its last message cannot be used; empty: it can.
    """

    def __init__(
        self,
        topic: str,
        stream: TopicStream,
        infos: TopicStream | None,
        source: Source,
        skip: Callable[[str, MetricDepthError], None],
    ) -> None:
        """``infos``: calibrations of depth images."""
        self.source, self.refused = source, ""
        self._topic, self._infos = topic, infos
        self._info: Any = None  # the newest
        self._late: list[Stamped] = []  # recorded after the last image
        self._lead_ns = to_ns(source.ring.config.max_cloud_lead_s) - source.offset_ns
        self._stream, self._skip = stream, skip
        self._heard: deque[Heard] = deque(maxlen=_REMEMBERED)
        self._images: deque[Heard] = deque(maxlen=_REMEMBERED)

    def advance(self, image: TimedImage) -> None:
        """Reads every cloud that the image may use."""
        if image.jumped:
            self._heard.clear()
            self._images.clear()
            self.source.ring.forget_after(image.stamp_ns)
        self._images.append(Heard(image.stamp_ns, image.recorded_ns))
        until_ns = image.stamp_ns + self._lead_ns
        camera_of = self._camera_of(image, until_ns)
        for cloud in self._come(image, until_ns):
            self._heard.append(self._times(cloud))
            try:
                self.source.ring.add(self.source.read(cloud.message, camera_of, cloud.stamp_ns))
                self.refused = ""
            except InputError as error:
                self.refused = str(error)
                self._skip(self.source.name, error)

    def _come(self, image: TimedImage, until_ns: int) -> list[Stamped]:
        """Clouds that the image may use and no earlier one did, but those that it would have to wait for."""
        taken = self._stream.take(until_ns, image.recorded_ns, jumped=image.jumped)
        come = taken if image.jumped else [*self._late, *taken]
        waits = self.source.ring.config.mode != "latest"
        self._late = [] if waits else [one for one in come if one.recorded_ns > image.recorded_ns]
        return [one for one in come if waits or one.recorded_ns <= image.recorded_ns]

    def _camera_of(self, image: TimedImage, until_ns: int) -> messages.CameraOf | None:
        """Camera of the depth images, by the newest calibration, else by the first one after them."""
        if self._infos is None:
            return None
        for newest in self._infos.take(until_ns, image.recorded_ns, jumped=image.jumped):
            self._info = newest.message
        upcoming = self._infos.upcoming
        info = self._info if self._info is not None or upcoming is None else upcoming.message
        return None if info is None else partial(messages.read_depth_camera, info, self._topic)

    def why_none(self) -> str | None:
        """Why the last image has no cloud of this source, and what to do; None without any cloud near it."""
        heard = [*self._heard]
        if (next_one := self._stream.upcoming) is not None:
            heard.append(self._times(next_one))
        reason = why_apart(self._images, heard, limits_of(self.source))
        return None if reason is None else reason.words

    def _times(self, cloud: Stamped) -> Heard:
        return Heard(cloud.stamp_ns + self.source.offset_ns, cloud.recorded_ns)


class Companions:
    """Finds an image's message in another topic: its camera_info or its label image."""

    def __init__(self, stream: TopicStream, slop_s: float) -> None:
        self._stream = stream
        self._slop_ns = to_ns(slop_s)
        self._recent: deque[Stamped] = deque(maxlen=100)

    def find(self, image: TimedImage) -> Any:
        """The message closest in time to the image, within the slop, or None."""
        until_ns = image.stamp_ns + self._slop_ns
        self._recent.extend(self._stream.take(until_ns, image.recorded_ns, jumped=image.jumped))

        def distance(other: Stamped) -> int:
            return abs(other.stamp_ns - image.stamp_ns)

        nearest = min(self._recent, key=distance, default=None)
        return nearest.message if nearest is not None and distance(nearest) <= self._slop_ns else None

    def of_frame(self, image: TimedImage) -> Any:
        """The newest message before the image with the same frame, else the first one after it, or None."""
        frame = frame_name(messages.frame_id(image.message))
        older = [*reversed(self._recent), *filter(None, [self._stream.upcoming])]
        found = (one.message for one in older if frame_name(messages.frame_id(one.message)) == frame)
        return next(found, None)

"""Which camera_info belongs to an image."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from metric_depth_ros.messages.headers import frame_id, stamp_ns
from metric_depth_ros.types import frame_name

# Frames whose newest camera_info is kept; those heard least recently go.
_MOST_FRAMES = 32


def _nearest(candidates: Iterable[Any], stamp: int, slop_ns: int) -> Any:
    """The message whose stamp is closest to ``stamp``, ns, at most ``slop_ns`` away, or None."""

    def distance(message: Any) -> int:
        return abs(stamp_ns(message) - stamp)

    found = min(candidates, key=distance, default=None)
    return found if found is not None and distance(found) <= slop_ns else None


class Calibrations:
    """The camera_infos that have come, from which that of an image is found. Not thread safe.

    An image's own has its stamp. Without one the newest of the image's frame holds, as drivers publish it
    once, rarely or without a stamp.

    Attributes:
        come_with_images: whether an image's own is expected, as far as is known.
    """

    def __init__(self, slop_ns: int, keep: int) -> None:
        """``keep``: number of camera_infos that are searched by their stamps."""
        self.come_with_images = True
        self._slop_ns = slop_ns
        self._recent: deque[Any] = deque(maxlen=keep)
        self._of_frame: dict[str, Any] = {}
        self._image_ns: int | None = None  # of the last image that was asked for

    @property
    def frames(self) -> list[str]:
        """Frames of all camera_infos that have come."""
        return sorted(self._of_frame)

    def add(self, info: Any) -> None:
        """Adds one. Raises InputError if its stamp is negative."""
        stamp = stamp_ns(info)
        self._recent.append(info)
        self._of_frame.pop(frame := frame_name(frame_id(info)), None)
        self._of_frame[frame] = info
        if len(self._of_frame) > _MOST_FRAMES:
            del self._of_frame[next(iter(self._of_frame))]
        if self._image_ns is not None and abs(stamp - self._image_ns) <= self._slop_ns:
            self.come_with_images = True

    def find(self, image: Any) -> Any:
        """The image's own; if that is not expected, the newest of its frame; None if it has yet to come."""
        self._image_ns = stamp_ns(image)
        own = _nearest(self._recent, self._image_ns, self._slop_ns)
        if own is not None:
            self.come_with_images = True
        return own if own is not None or self.come_with_images else self.of_frame(image)

    def of_frame(self, image: Any) -> Any:
        """The newest of the image's frame, or None."""
        return self._of_frame.get(frame_name(frame_id(image)))

    def forget_after(self, stamp: int) -> None:
        """After a jump back in time, none newer than ``stamp``, ns, is an image's own; calibrations hold."""
        kept = [info for info in self._recent if stamp_ns(info) <= stamp]
        self._recent = deque(kept, self._recent.maxlen)

"""Notices inputs that should come and do not."""

from __future__ import annotations

import time
from collections.abc import Callable

from metric_depth_ros.nodes.health import ERROR, WARN, Health

_SILENCE_S = 2.0  # without an image, or a pair of images, for this long, something is wrong


class InputWatch:
    """Compares what has come with what should have."""

    def __init__(
        self, health: Health, image_topic: str, camera_info_topic: str, count_publishers: Callable[[str], int]
    ) -> None:
        self._health = health
        self._image_topic = image_topic
        self._camera_info_topic = camera_info_topic
        self._count_publishers = count_publishers
        self._last_image_s = self._counted_s = time.monotonic()
        self._counted = [0, 0, 0]

    def image_came(self) -> None:
        """To be called for every image."""
        self._last_image_s = time.monotonic()

    def problem(self) -> tuple[str, int, str] | None:
        """Key, level and words of what is missing now; None when nothing is. Call it now and then."""
        now = time.monotonic()
        if now - self._last_image_s > _SILENCE_S:
            topic = self._image_topic
            return (
                "image",
                WARN,
                f"image: nothing on {topic} ({self._count_publishers(topic)} publishers). Remap image, "
                "set input.image_transport, or compare QoS (this node subscribes best effort).",
            )
        if now - self._counted_s < _SILENCE_S:
            return None
        counts = [self._health.counted(event) for event in ("images in", "camera_infos in", "pairs in")]
        images, infos, pairs = (new - old for new, old in zip(counts, self._counted, strict=True))
        self._counted, self._counted_s = counts, now
        if images < 2 or pairs:
            return None
        topic = self._camera_info_topic
        if not infos:
            words = (
                f"{images} images, but no camera_info on {topic} ({self._count_publishers(topic)} "
                "publishers). Publish it, or remap camera_info."
            )
        else:
            words = (
                f"{images} images and {infos} camera_infos, but no two stamps agree. Stamp both alike, or "
                "raise input.pairing_slop_s."
            )
        return "camera_info", ERROR, f"camera_info: {words}"

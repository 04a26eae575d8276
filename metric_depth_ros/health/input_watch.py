"""Detects missing inputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from metric_depth_ros.health.status import ERROR, WARN, Health

SILENCE_S = 2.0  # nothing of an input for this long is a fault


class InputWatch:
    """Finds missing inputs from a health's counters, such as "images in" and "pairs in"."""

    def __init__(
        self,
        health: Health,
        image_topic: str,
        companions: Mapping[str, str],
        why_silent: Callable[[str, str], str],
    ) -> None:
        """Watches for a health's node.

        Args:
            companions: input that an image needs -> its topic; camera_info is the first.
            why_silent: why nothing comes of an input on a topic, and what to do.
        """
        self._health = health
        self.image_topic = image_topic
        self._companions = companions
        self._why_silent = why_silent
        self._counted_s = time.monotonic()
        self._counted = [0] * (2 + len(companions))

    def fault(self) -> tuple[str, int, str] | None:
        """Key, level and text of what is missing now, or None. Call it periodically."""
        if self._health.since_s("images in") > SILENCE_S:
            return "image", WARN, self._why_silent("image", self.image_topic)
        now = time.monotonic()
        if now - self._counted_s < SILENCE_S:
            return None
        counts = [self._health.counted(f"{what} in") for what in ("images", "pairs", *self._companions)]
        images, pairs, *others = (new - old for new, old in zip(counts, self._counted, strict=True))
        self._counted, self._counted_s = counts, now
        if images < 2 or pairs:
            return None
        for name, topic in self._companions.items():
            if not self._health.counted(f"{name} in"):
                return name, ERROR, f"{self._why_silent(name, topic)} {images} images wait for it."
        came = " and ".join(f"{n} {name}" for name, n in zip(self._companions, others, strict=True))
        return (
            "camera_info",
            ERROR,
            f"camera_info: {images} images and {came}, but none of one stamp met, nor camera_info "
            "of the image's frame. Stamp all alike, raise input.queue_size if one comes late, or raise "
            "input.pairing_slop_s.",
        )

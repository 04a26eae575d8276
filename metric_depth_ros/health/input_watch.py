"""Detects missing inputs."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from metric_depth_ros.health.clocks import APART_S, Heard, apart_s
from metric_depth_ros.health.status import ERROR, WARN, Health

SILENCE_S = 2.0  # nothing of an input for this long is a fault
_REMEMBERED = 20  # messages of each input whose clocks are compared


class InputWatch:
    """Finds missing inputs from a health's counters, such as "images in" and "pairs in", and their clocks."""

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
        self._regular: set[str] = set()  # companions that came again and again
        self._heard: dict[str, deque[Heard]] = defaultdict(partial(deque, maxlen=_REMEMBERED))

    def heard(self, what: str, stamp_ns: int) -> None:
        """Notes the stamp of a message of "images" or a companion, which has just come; 0: it has none."""
        if stamp_ns:
            self._heard[what].append(Heard(stamp_ns, time.monotonic_ns()))

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
        heard = {name: tuple(those) for name, those in self._heard.items()}
        self._heard.clear()  # before a pause, say of a bag, stamps differed from the time otherwise
        self._regular |= {name for name, n in zip(self._companions, others, strict=True) if n > 1}
        if images < 2:
            return None
        silent = [name for name, n in zip(self._companions, others, strict=True) if not n]
        if pairs:
            return self._held_on_to(silent) or self._other_clock(heard, "clock", WARN)
        for name in silent:
            if name in self._regular or not self._health.counted(f"{name} in"):
                words = self._why_silent(name, self._companions[name])
                return name, ERROR, f"{words} {images} images wait for it."
        return self._other_clock(heard, "camera_info", ERROR) or self._none_met(images, others)

    def _held_on_to(self, silent: Sequence[str]) -> tuple[str, int, str] | None:
        """That a companion came with the images before, and its last one is used still."""
        for name in silent:
            if name in self._regular:
                words = self._why_silent(name, self._companions[name])
                return f"silence {name}", WARN, f"{words} The last one is used."
        return None

    def _other_clock(
        self, heard: Mapping[str, Sequence[Heard]], key: str, level: int
    ) -> tuple[str, int, str] | None:
        """That a companion's stamps are of another clock than the images', by when both came."""
        for name in self._companions:
            apart = apart_s(heard.get("images", ()), heard.get(name, ()))
            if abs(apart) > APART_S and name in self._regular:
                words = f"{name}: the clock of its driver is {apart:+.3f} s off that of the images, compared "
                return key, level, f"{words}by when messages came. Set it, or stamp both by one clock."
        return None

    def _none_met(self, images: int, others: Sequence[int]) -> tuple[str, int, str]:
        came = " and ".join(f"{n} {name}" for name, n in zip(self._companions, others, strict=True))
        return (
            "camera_info",
            ERROR,
            f"camera_info: {images} images and {came}, but none of one stamp met, nor camera_info "
            "of the image's frame. Stamp all alike, raise input.queue_size if one comes late, or raise "
            "input.pairing_slop_s.",
        )

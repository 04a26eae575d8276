"""Subscribes all sources of anchors, and keeps their clouds for the images."""

from __future__ import annotations

import threading
import time
from collections import deque

from rclpy.node import Node

from metric_depth_ros.config import Config
from metric_depth_ros.errors import AnchorError, ConfigError, MetricDepthError
from metric_depth_ros.health.clocks import Heard, limits_of, why_apart
from metric_depth_ros.health.input_watch import SILENCE_S
from metric_depth_ros.health.status import WARN, Health
from metric_depth_ros.nodes.source_input import SourceInput
from metric_depth_ros.nodes.timers import steady_timer
from metric_depth_ros.sync import Source
from metric_depth_ros.types import Cloud

_LOOK_PERIOD_S = 0.2
_REMEMBERED = 50  # images whose times are compared with those of the clouds


class AnchorInput:
    """Subscribes all sources of anchors and keeps their latest clouds, for the images. Thread safe."""

    def __init__(self, node: Node, config: Config, health: Health) -> None:
        self._node, self._config, self._health = node, config, health
        self._changed = threading.Condition()
        self._stopping = False
        self._tell_next_s = time.monotonic() + SILENCE_S
        self._images: deque[Heard] = deque(maxlen=_REMEMBERED)
        self._inputs: list[SourceInput] = []
        try:
            for name in config.anchors.sources or ["anchors"]:
                self._inputs.append(SourceInput(node, name, config, health, self._on_cloud))
        except ConfigError:
            for each in self._inputs:
                each.destroy()
            raise
        self._timer = steady_timer(node, _LOOK_PERIOD_S, self._look)

    def clouds_for(
        self, stamp_ns: int, received_s: float, *, optional: bool
    ) -> list[tuple[Source, list[Cloud]]]:
        """Clouds of an image by source, after waiting for those that are due.

        Args:
            received_s: monotonic time at which the image came.
            optional: whether no cloud, or no sensor at all, is acceptable.

        Raises:
            AnchorError: no cloud fits, and it is not optional.
        """
        with self._health.timings.measuring("clouds"), self._changed:
            self._images.append(Heard(stamp_ns, round(received_s * 1e9)))
            for each in self._inputs:
                if ahead_s := each.source.ring.drop_useless(stamp_ns):
                    each.tell_clock(ahead_s)
            deadline_s = received_s + self._config.sync.max_wait_s
            while (
                self._awaits(stamp_ns, optional=optional)
                and not self._stopping
                and (left := deadline_s - time.monotonic()) > 0
            ):
                self._changed.wait(left)
            chosen = [(each.source, each.source.ring.select(stamp_ns)) for each in self._inputs]
        used = [source.name for source, clouds in chosen if clouds]
        if not used and not optional:
            raise AnchorError(self._no_cloud(stamp_ns))
        for name in used if self._config.sources else ():
            self._health.count(f"{name} used")
        return chosen

    def refuse(self, name: str, error: MetricDepthError) -> None:
        """Reports a source whose points an image could not use, while those of others served."""
        self._health.report(f"cloud {name}", WARN, f"source {name}: {error}")

    def values(self) -> dict[str, str]:
        """Diagnostic values: each source in words."""
        return {f"source {each.name}": each.describe() for each in self._inputs}

    def configure(self, config: Config) -> None:
        """Changes the settings, from the next image on."""
        with self._changed:
            self._config = config
            for each in self._inputs:
                each.source.configure(config)

    def forget_after(self, stamp_ns: int) -> None:
        """After a jump back in time, drops clouds too new for an image of this stamp."""
        with self._changed:
            self._images.clear()
            for each in self._inputs:
                each.forget_after(stamp_ns)

    def forget(self) -> None:
        """Drops all clouds, and what is known of their frames."""
        with self._changed:
            self._images.clear()
            for each in self._inputs:
                each.forget()

    @property
    def topics(self) -> list[str]:
        """Topics of the sources."""
        return [each.topic for each in self._inputs]

    @property
    def oldest_s(self) -> float:
        """How old a cloud may be that an image uses."""
        return max(each.source.ring.config.max_cloud_age_s for each in self._inputs)

    def destroy(self) -> None:
        """Ends all waits, the subscriptions and the timer, in the executor's thread or without one."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._node.destroy_timer(self._timer)
        for each in self._inputs:
            each.destroy()

    def _awaits(self, stamp_ns: int, *, optional: bool) -> bool:
        """Whether a cloud is due, or none has come that could serve."""
        rings = [each.source.ring for each in self._inputs]
        missing = not optional and not any(ring.select(stamp_ns) for ring in rings)
        return any(each.source.awaits(stamp_ns) for each in self._inputs) or (
            missing and any(ring.awaits(stamp_ns) for ring in rings)
        )

    def _no_cloud(self, stamp_ns: int) -> str:
        """Why an image has no cloud."""
        told = [(each.name, self._why_none(each)) for each in self._inputs]
        words = "; ".join(why if why.startswith("source ") else f"source {name}: {why}" for name, why in told)
        words = words if self._config.sources else told[0][1]
        return f"anchors: no cloud for the image at {stamp_ns / 1e9:.3f} s. {words}"

    def _why_none(self, each: SourceInput) -> str:
        """Why images have no cloud of one source, and what to do."""
        if each.refused:
            return f"The last one on {each.topic} was refused: {each.refused}"
        if not each.heard:
            return each.why_silent()
        heard = list(each.heard)  # others come meanwhile
        reason = why_apart(list(self._images), heard, limits_of(each.source, live=True))
        if reason is not None:
            return reason.words
        return f"{len(heard)} came on {each.topic}, none near this one; the next image may have one."

    def _look(self) -> None:
        """Follows the types of what is published, and tells which sources are silent."""
        with self._changed:
            for each in self._inputs:
                each.find_type(self._config)
                each.drop_in_silence()
            self._tell_silence()

    def _tell_silence(self) -> None:
        """Reports all silent sources while images come, seldom enough not to hide what else is wrong."""
        if time.monotonic() < self._tell_next_s or self._health.since_s("images in") > SILENCE_S:
            return
        self._tell_next_s = time.monotonic() + SILENCE_S
        silent = [*filter(None, (each.silence() for each in self._inputs))]
        if silent:
            self._health.report("silence", WARN, " ".join(silent))
        else:
            self._health.clear("silence")

    def _on_cloud(self, source: Source, cloud: Cloud) -> None:
        with self._changed:
            source.ring.add(cloud)
            self._changed.notify()
            if source.ring.too_small:
                words = f"{len(source.ring)} clouds fill {source.ring.nbytes / 1e6:.0f} MB; more are merged."
                fix = "Raise sync.buffer_mb, or lower accumulate."
                self._health.report("memory", WARN, f"source {source.name}: {words} {fix}")

"""Transforms of a running node, from tf."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.node import Node

from metric_depth_ros import messages
from metric_depth_ros.errors import InputError, TransformError
from metric_depth_ros.health.status import WARN, Health
from metric_depth_ros.health.transform_guard import TransformGuard
from metric_depth_ros.nodes.ros import tf2_ros
from metric_depth_ros.transforms import StampedTransform, TransformTree
from metric_depth_ros.types import FloatArray

_KEPT_S = 10.0
_MOST_FRAMES = 100  # of images, whose fixed frames are remembered
_LOOK_AGAIN_S = 1.0  # for the fixed frame
# Moving transforms may be stamped so far ahead, for tolerance.
_AHEAD_NS = 1_000_000_000


class TransformInput:
    """Transforms from tf: a ``types.TransformSource``. Thread safe.

    tf2's listener fills it as it would a tf2 buffer. That one can neither take a transform back nor forget a
    single frame: after a wrong stamp it refuses the right ones, and a loop in it stays.

    Look up from another thread than the executor's, which adds transforms while a look-up waits.
    """

    def __init__(self, node: Node, health: Health, timeout_s: float) -> None:
        """If tf cannot be used on this machine, every look-up raises an error that says so."""
        self.timeout_s, self._health = timeout_s, health
        self._tree = TransformTree(keep_s=_KEPT_S)
        self._guard = TransformGuard(self._tree)
        self._changed, self._ending = threading.Condition(), False
        self._unavailable: TransformError | None = None
        # By frame, with the times at which it was found and looked for.
        self._fixed: dict[str, tuple[str, float, float]] = {}
        try:
            self._listener = tf2_ros.TransformListener(self, node)
        except TransformError as error:
            self._unavailable = error

    def destroy(self) -> None:
        """Ends the subscriptions; look-ups no longer wait."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._unavailable is None:
            self._listener.unregister()

    def forget_after(self, stamp_ns: int) -> None:
        """After a jump back in time, removes moving transforms of frames that have not jumped, too."""
        with self._changed:
            self._tree.clear(newer_than_ns=stamp_ns + _AHEAD_NS)

    def forget(self) -> None:
        """Removes all moving transforms."""
        with self._changed:
            self._tree.clear()
            self._fixed.clear()

    def newest(self) -> list[StampedTransform]:
        """Newest transform of every frame that has a parent; those that do not move have stamp 0."""
        with self._changed:
            return self._tree.newest()

    def fixed_frame(self, frame: str) -> str:
        """Frame that does not move while this one does; empty: unknown. It is looked for once a second."""
        last, found_s, looked_s = self._fixed.get(frame, ("", 0.0, 0.0))
        now_s = time.monotonic()
        if now_s - looked_s < _LOOK_AGAIN_S:
            return last
        with self._changed:
            found = self._tree.fixed_frame(frame)
            # After a jump in time it has no transforms for a while.
            if found or now_s - found_s > _KEPT_S:
                last, found_s = found, now_s
            if len(self._fixed) > _MOST_FRAMES:
                self._fixed.clear()
            self._fixed[frame] = last, found_s, now_s
        return last

    def latest_common_ns(self, target: str, source: str) -> int | None:
        """Newest time at which a transform is known; None if it does not move. Raises TransformError."""
        with self._changed:
            return self._tree.latest_common_ns(target, source)

    def lookup(self, target: str, source: str, stamp_ns: int, *, wait: bool = True) -> FloatArray:
        """T_target_source (4, 4). Raises TransformError, after ``timeout_s`` if it waits."""
        if self._unavailable is not None:
            raise self._unavailable
        with self._changed:
            if wait:
                self._changed.wait_for(
                    lambda: self._ending or self._tree.knows(target, source, stamp_ns), self.timeout_s
                )
            return self._tree.lookup(target, source, stamp_ns)

    # ---- what tf2's listener calls of a buffer ---------------------------------------------------

    def set_transform(self, transform: Any, authority: str) -> None:
        """Adds one moving transform; a bad one is reported and left out."""
        self._add(transform, static=False)

    def set_transform_static(self, transform: Any, authority: str) -> None:
        """Adds one transform that holds at all times; a bad one is reported and left out."""
        self._add(transform, static=True)

    def _add(self, transform: Any, *, static: bool) -> None:
        try:
            parent, child, T, stamp_ns = messages.read_transform(transform)
        except InputError as error:
            self._health.report("transforms", WARN, str(error))
            return
        with self._changed:
            wrong = self._guard.add(parent, child, T, stamp_ns, time.monotonic_ns(), static=static)
            self._changed.notify_all()
        if wrong is not None:
            self._health.report("transforms", WARN, wrong)

"""tf2 as a source of transforms for the core."""

from __future__ import annotations

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from metric_depth_ros.errors import TransformError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.nodes.ros import tf2_ros


class Tf2Source:
    """Implements ``types.TransformSource`` on a tf2 buffer. Look up from another thread than the
    executor's: the executor fills the buffer while a look-up waits.
    """

    def __init__(self, node: Node, timeout_s: float) -> None:
        """Where this machine cannot take part in tf, every look-up says so."""
        self.timeout_s = timeout_s
        self._buffer = tf2_ros.Buffer()
        self._unavailable: TransformError | None = None
        try:
            self._listener = tf2_ros.TransformListener(self._buffer, node)
        except TransformError as error:
            self._unavailable = error

    def clear(self) -> None:
        """Forgets what moves: time has jumped back."""
        self._buffer.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """(4, 4) T_target_source. Raises TransformError after ``timeout_s``."""
        return self._matrix(
            f"{source!r} to {target!r}", self._buffer.lookup_transform,
            target.lstrip("/"), source.lstrip("/"), Time(nanoseconds=stamp_ns), self._timeout(),
        )  # fmt: skip

    def lookup_through(
        self, target: str, target_ns: int, source: str, source_ns: int, fixed: str
    ) -> np.ndarray:
        """(4, 4) between two times through a fixed frame. Raises TransformError after ``timeout_s``."""
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

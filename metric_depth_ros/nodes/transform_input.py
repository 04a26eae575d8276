"""Transforms of a running node, from tf."""

from __future__ import annotations

import numpy as np
import yaml
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from metric_depth_ros.errors import TransformError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.nodes.ros import tf2_ros
from metric_depth_ros.transforms import why_unconnected
from metric_depth_ros.types import frame_name


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

    def destroy(self) -> None:
        """Ends the subscriptions; look-ups no longer wait."""
        self.timeout_s = 0.0
        if self._unavailable is None:
            self._listener.unregister()

    def clear(self) -> None:
        """Removes moving transforms, after a jump back in time."""
        self._buffer.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """T_target_source (4, 4). Raises TransformError after ``timeout_s``."""
        if self._unavailable is not None:
            raise self._unavailable
        target, source = frame_name(target), frame_name(source)
        wait = Duration(nanoseconds=round(self.timeout_s * 1e9))
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns), wait)
        except tf2_ros.ExtrapolationException as error:
            raise TransformError(
                f"tf: {source!r} to {target!r}: {error}. Check its publishers' clocks, use_sim_time, or "
                "raise extrinsics.tf_timeout_s."
            ) from error
        except tf2_ros.TransformException as error:
            raise TransformError(f"tf: {why_unconnected(target, source, self._parents())}") from error
        t, q = found.transform.translation, found.transform.rotation
        return rigid_transform([t.x, t.y, t.z], [q.x, q.y, q.z, q.w])

    def _parents(self) -> dict[str, str]:
        """Parent of every frame that has one."""
        frames = yaml.safe_load(self._buffer.all_frames_as_yaml()) or {}
        return {name: about["parent"] for name, about in dict(frames).items()}

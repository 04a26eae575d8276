"""Moves the points of clouds from when and where they were measured to the image's time and frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metric_depth_ros.config import Config, ExtrinsicsConfig
from metric_depth_ros.errors import TransformError
from metric_depth_ros.geometry import rigid_transform, transform_points
from metric_depth_ros.stamps import to_ns
from metric_depth_ros.transforms import is_named_fixed
from metric_depth_ros.types import Cloud, FloatArray, TransformSource, same_frame

# Times of a scan at which the sensor's pose is looked up; between them it moves evenly.
_POSES = 11
# A cloud that is newer than the image by no more may be placed without its own transform, which comes later.
_SOON_NS = 20_000_000
# Smaller changes of a pose during a scan do not count: metres, or parts of a turned axis.
_STILL = 1e-5


@dataclass(frozen=True, eq=False)
class Placed:
    """Cloud with its place in an image's frame at the image's time.

    Attributes:
        T: (4, 4) T_image_cloud at the cloud's stamp.
        path: (K, 4, 4) the same over its scan, from its first point's time to its last one's, evenly in time;
            None: all points were measured at once, or from one pose.
    """

    cloud: Cloud
    T: FloatArray
    path: FloatArray | None = None

    @property
    def points(self) -> FloatArray:
        """Points (N, 3) in the image's frame, each moved from its own time."""
        if self.path is None or self.cloud.offset_s is None:
            return transform_points(self.T, self.cloud.points)
        return deskewed(self.cloud.points, self.cloud.offset_s, self.path)


def deskewed(points: FloatArray, time_s: FloatArray, path: FloatArray) -> FloatArray:
    """Points (N, 3) float32, each moved by the pose at its time.

    Between two poses of the path a point moves evenly, which differs from a pose between them (slerp) by an
    eighth of the squared angle.

    Args:
        time_s: (N,) time of each point.
        path: (K, 4, 4) poses from the first point's time to the last one's, evenly in time.
    """
    first, last, steps = time_s.min(), time_s.max(), len(path) - 1
    at = (time_s - first) * (steps / max(last - first, 1e-9))
    step = np.minimum(at.astype(np.uint8), steps - 1)
    moved = np.empty(points.shape, np.float32)
    for k in range(steps):
        rows = np.flatnonzero(step == k)
        if len(rows):
            some, part = points.take(rows, axis=0), (at[rows] - k)[:, None]
            start = transform_points(path[k], some)
            moved[rows] = start + part * (transform_points(path[k + 1], some) - start)
    return moved


class Places:
    """Where clouds are in one image, at its time. Nothing is looked up twice.

    With ``extrinsics.source: tf`` they are moved through a fixed frame. If the settings name it, look-ups
    wait for it, and what is not known raises, but for clouds that are hardly newer than the image. Otherwise
    it is that of tf, nothing waits for it, and what of the motion is not known yet is left out: the image's
    pose may be up to ``sync.max_cloud_age_s`` old.
    """

    def __init__(self, frame_id: str, stamp_ns: int, transforms: TransformSource, config: Config) -> None:
        self.frame_id, self.stamp_ns = frame_id, stamp_ns
        self._transforms, self._config = transforms, config
        self._named = config.sync.names_frame
        self._looked_up: dict[str, FloatArray | TransformError] = {}

    @cached_property
    def fixed_frame(self) -> str:
        """Frame through which clouds are moved; empty: none is wanted or known."""
        if self._config.extrinsics.source != "tf" or not self._config.sync.moves or not self.frame_id:
            return ""
        return self._config.sync.fixed_frame if self._named else self._transforms.fixed_frame(self.frame_id)

    @property
    def merges(self) -> bool:
        """Whether older clouds keep their place: they are moved, and not only within the robot."""
        known = self._named or (is_named_fixed(self.fixed_frame) and self._known_ns is not None)
        return bool(self.fixed_frame) and known

    @property
    def words(self) -> str:
        """How clouds are moved, for the diagnostics."""
        if not self.fixed_frame:
            return "no motion known"
        if self._known_ns is None:
            return f"{self.fixed_frame}, but not known at the image's time: clouds are not moved"
        late_ms = (self.stamp_ns - self._known_ns) / 1e6
        return self.fixed_frame + (f", {late_ms:.0f} ms before the image" if late_ms else "")

    @property
    def in_full(self) -> bool:
        """Whether clouds are moved up to the image's time, or no motion is known at all."""
        return not self.fixed_frame or self._known_ns == self.stamp_ns

    def known_until_ns(self, frame: str) -> int:
        """Newest time at which a frame's place in the fixed frame is known; before all times: never."""
        with suppress(TransformError):
            newest_ns = self._transforms.latest_common_ns(self.fixed_frame, frame)
            return 2**63 if newest_ns is None else newest_ns
        return -(2**63)

    def of(self, cloud: Cloud) -> Placed:
        """The cloud in its place. Raises TransformError."""
        if self._config.extrinsics.source == "parameters":
            return Placed(cloud, T_camera_lidar(self._config.extrinsics))
        try:
            return self._by_tf(cloud)
        except TransformError as error:
            if len(self._config.sources) > 1:  # parameters place one sensor
                raise
            raise TransformError(f"{error} Or set extrinsics.source: parameters.") from error

    @cached_property
    def T_fixed_camera(self) -> FloatArray | None:
        """Pose (4, 4) of the camera in the fixed frame; None if that is unknown, or nothing is remembered.

        Raises TransformError if the settings name a frame whose transform is missing.
        """
        if not self._config.solver.temporal.memory_s or not self.fixed_frame:
            return None
        if not self._named and self._known_ns != self.stamp_ns:
            return None
        return np.linalg.inv(self._of_frame(self.fixed_frame))

    def _by_tf(self, cloud: Cloud) -> Placed:
        if not self.frame_id or not cloud.frame_id:
            which = "the image" if not self.frame_id else "the cloud"
            raise TransformError(
                f"tf: {which} has no frame_id; needed one to look up where the points are. "
                "Set it in the driver."
            )
        fixed = self.fixed_frame
        moved = fixed and not same_frame(fixed, cloud.frame_id)
        newer_ns = cloud.stamp_ns - self.stamp_ns
        at_once = newer_ns == 0 and cloud.offset_s is None  # with the image, so there is no motion
        if moved and self._named:
            self._of_frame(fixed)  # raises
            if not at_once and not 0 < newer_ns <= _SOON_NS:
                return self._moved(cloud, fixed, wait=True)
        if moved and not at_once and self._known_ns is not None:
            try:
                return self._moved(cloud, fixed, wait=False)
            except TransformError:  # from before the transforms began, or they have not come yet
                if -newer_ns > self._longest_ns:
                    raise
        return Placed(cloud, self._of_frame(cloud.frame_id))

    def _moved(self, cloud: Cloud, fixed: str, *, wait: bool) -> Placed:
        """The cloud, moved through the fixed frame, waiting for its place there."""
        T = self._of_frame(fixed)
        if fixed not in cloud.places:
            cloud.places[fixed] = self._at(cloud, cloud.stamp_ns, wait=wait)
        path = self._path(cloud, fixed)
        return Placed(cloud, T @ cloud.places[fixed], None if path is None else T @ path)

    def _path(self, cloud: Cloud, fixed: str) -> FloatArray | None:
        """T_fixed_cloud (K, 4, 4) over a cloud's scan; None if it tells no times, or the sensor stood still.

        At times that are not known the sensor is where it is known to be next.
        """
        if cloud.offset_s is None or not len(cloud.offset_s):
            return None
        path = cloud.paths.get(fixed)
        if path is None:
            first, last = float(cloud.offset_s.min()), float(cloud.offset_s.max())
            times_ns = cloud.stamp_ns + np.rint(1e9 * np.linspace(first, last, _POSES)).astype(np.int64)
            poses = [self._pose(cloud, int(time_ns)) for time_ns in times_ns]
            path = _filled(poses, cloud.places[fixed])
            if all(pose is not None for pose in poses):
                cloud.paths[fixed] = path
        return path if np.ptp(path, axis=0).max() > _STILL else None

    def _pose(self, cloud: Cloud, stamp_ns: int) -> FloatArray | None:
        """T_fixed_cloud (4, 4) at a time; None if it is not known."""
        with suppress(TransformError):
            return self._at(cloud, stamp_ns, wait=False)
        return None

    def _at(self, cloud: Cloud, stamp_ns: int, *, wait: bool) -> FloatArray:
        """T_fixed_cloud (4, 4) at a time."""
        return self._transforms.lookup(self.fixed_frame, cloud.frame_id, stamp_ns, wait=wait)

    def _of_frame(self, frame: str) -> FloatArray:
        """T_image_frame (4, 4) at the image's time."""
        if frame not in self._looked_up:
            try:
                T = self._transforms.lookup(self.frame_id, frame, self.stamp_ns)
            except TransformError as error:
                self._looked_up[frame] = error
            else:
                self._looked_up[frame] = T
        found = self._looked_up[frame]
        if isinstance(found, TransformError):
            raise found
        return found

    @property
    def _longest_ns(self) -> int:
        """For so long a motion may be left out."""
        return to_ns(self._config.sync.max_cloud_age_s)

    @cached_property
    def _known_ns(self) -> int | None:
        """Time of the image's pose in the fixed frame that is used, the newest; None: there is none.

        Unless the settings name the frame, which waits for its transforms.
        """
        if self._named:
            return self.stamp_ns
        for known_ns in self._times_ns():
            with suppress(TransformError):
                T = self._transforms.lookup(self.frame_id, self.fixed_frame, known_ns, wait=False)
                self._looked_up[self.fixed_frame] = T
                return known_ns
        return None

    def _times_ns(self) -> Iterator[int]:
        """Yields the image's time, and the newest of its pose in the fixed frame, unless it is too old."""
        yield self.stamp_ns
        with suppress(TransformError):
            newest_ns = self._transforms.latest_common_ns(self.frame_id, self.fixed_frame)
            if newest_ns is not None and 0 < self.stamp_ns - newest_ns <= self._longest_ns:
                yield newest_ns


def _filled(poses: Sequence[FloatArray | None], otherwise: FloatArray) -> FloatArray:
    """Poses (K, 4, 4), each that is None replaced by the nearest one that is not."""
    known = {k: pose for k, pose in enumerate(poses) if pose is not None}

    def nearest(k: int) -> FloatArray:
        return known[min(known, key=lambda other: abs(other - k))] if known else otherwise

    return np.stack([nearest(k) for k in range(len(poses))])


def T_camera_lidar(config: ExtrinsicsConfig) -> FloatArray:
    """Extrinsics (4, 4) from the parameters."""
    return rigid_transform(config.translation, config.rotation)

"""Selects the clouds that belong to an image, and moves their points into its frame.

The choice depends on stamps alone, so that the live node and an offline run choose the same clouds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from metric_depth_ros.config import Config, ExtrinsicsConfig, SyncConfig
from metric_depth_ros.errors import TransformError
from metric_depth_ros.geometry import rigid_transform, transform_points
from metric_depth_ros.types import Cloud, FloatArray, TransformSource

_CAPACITY = 32
# Smaller steps back are messages out of order, which the choice by stamps handles.
_JUMP_NS = 1_000_000_000


def jumps_back(last_ns: int, stamp_ns: int) -> bool:
    """Whether time has jumped back between two stamps: a bag loops or a simulation restarts."""
    return stamp_ns < last_ns - _JUMP_NS


_Item = TypeVar("_Item")


@dataclass(frozen=True)
class _Timed(Generic[_Item]):
    """Item with its stamp and the time of its arrival or recording, both in ns."""

    item: _Item
    stamp_ns: int
    came_ns: int

    def follows(self, other: _Timed[_Item]) -> bool:
        """Whether time has passed from the other to this one as clocks let it, at up to 20 times the pace."""
        passed_ns = self.stamp_ns - other.stamp_ns
        return -_JUMP_NS <= passed_ns <= _JUMP_NS + 20 * max(self.came_ns - other.came_ns, 0)


class StampGuard(Generic[_Item]):
    """Tells a jump in time from a single stamp that a driver sent wrong, in a stream of stamped items.

    An item whose stamp is far from the last one's is held back until another follows either: if it follows
    the one held back, time has jumped and both are good; else the one held back was wrong.
    """

    def __init__(self, *, first_too: bool = False) -> None:
        """``first_too``: the first item is held back, too, as it may be the wrong one."""
        self._last: _Timed[_Item] | None = None
        self._held: list[_Timed[_Item]] = []
        self._first_too = first_too

    def put(self, item: _Item, stamp_ns: int, came_ns: int) -> tuple[list[_Item], list[_Item]]:
        """Takes the next item. Items that are good, in their order, and those with wrong stamps."""
        new = _Timed(item, stamp_ns, came_ns)
        before = next((one for one in reversed(self._held) if new.follows(one)), None)
        at_once = self._last is None and not self._first_too
        if before is None and not at_once and (self._last is None or not new.follows(self._last)):
            self._held.append(new)
            return [], [one.item for one in self._cut()]
        wrong = [one.item for one in self._held if one is not before]
        self._last, self._held = new, []
        return ([] if before is None else [before.item]) + [item], wrong

    def end(self) -> tuple[list[_Item], list[_Item]]:
        """Good and wrong items of those that are held back, at the end of the stream."""
        left = [one.item for one in self._held]
        return ([], left) if self._last is not None else (left, [])

    def _cut(self) -> list[_Timed[_Item]]:
        """Gives up all items but those that the next may follow: one, or two before any good one."""
        kept = 1 if self._last is not None else 2
        given_up, self._held = self._held[:-kept], self._held[-kept:]
        return given_up


def cloud_is_due(last_ns: int | None, stamp_ns: int, rate_hz: float) -> bool:
    """Whether another depth cloud is due at a stamp; never at ``rate_hz`` 0, always after a jump in time."""
    if not rate_hz:
        return False
    return last_ns is None or abs(stamp_ns - last_ns) >= 0.95e9 / rate_hz


class CloudRing:
    """Buffer of the last received clouds. Not thread safe. ``config`` may be replaced at any time.

    An image at time t uses the newest ``accumulate`` clouds of [t - max_cloud_age_s,
    t + max_cloud_lead_s].
    """

    def __init__(self, config: SyncConfig) -> None:
        self.config = config
        self._clouds: list[Cloud] = []  # in order of arrival

    def __len__(self) -> int:
        return len(self._clouds)

    def add(self, cloud: Cloud) -> None:
        """Adds a cloud; drops the one received first when there are too many."""
        self._clouds.append(cloud)
        del self._clouds[: -(_CAPACITY + self.config.accumulate)]

    def select(self, stamp_ns: int) -> list[Cloud]:
        """Clouds of an image, oldest first; empty if none is close enough in time."""
        first = stamp_ns - _ns(self.config.max_cloud_age_s)
        near = [cloud for cloud in self._clouds if first <= cloud.stamp_ns <= self._latest_ns(stamp_ns)]
        return sorted(near, key=_stamp)[-self.config.accumulate :]

    def awaits(self, stamp_ns: int) -> bool:
        """Whether a cloud for this image is still expected.

        It is if none matches yet, or if the sensor's period puts its next cloud before the latest time
        that the image can use.
        """
        latest_ns = self._latest_ns(stamp_ns)
        stamps = np.unique([cloud.stamp_ns for cloud in self._clouds])[-8:]
        if len(stamps) and stamps[-1] > latest_ns:
            return False
        if not self.select(stamp_ns):
            return True
        return len(stamps) > 1 and bool(stamps[-1] + 0.9 * np.median(np.diff(stamps)) <= latest_ns)

    def forget_after(self, stamp_ns: int) -> None:
        """Drops the clouds newer than an image can use, after time has jumped back."""
        self._clouds = [cloud for cloud in self._clouds if cloud.stamp_ns <= self._latest_ns(stamp_ns)]

    def _latest_ns(self, stamp_ns: int) -> int:
        """Newest cloud stamp that an image can use."""
        return stamp_ns + _ns(self.config.max_cloud_lead_s)


def _stamp(cloud: Cloud) -> int:
    return cloud.stamp_ns


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def gather_points(
    clouds: Sequence[Cloud], frame_id: str, stamp_ns: int, transforms: TransformSource, config: Config
) -> FloatArray:
    """Points (N, 3) float32 of all clouds, in the image's frame at the image's time.

    With ``sync.fixed_frame`` set, a cloud is moved from its own time to the image's through that frame;
    without, the time difference is ignored.

    Raises:
        TransformError: a transform is missing, or the image names no frame.
    """
    moved = [
        transform_points(_T_image_cloud(cloud, frame_id, stamp_ns, transforms, config), cloud.points)
        for cloud in clouds
    ]
    return np.concatenate(moved) if moved else np.empty((0, 3), np.float32)


def points_up(
    clouds: Sequence[Cloud], frame_id: str, stamp_ns: int, transforms: TransformSource, config: Config
) -> FloatArray | None:
    """Z axis (3,) of the newest cloud's frame in the image's; None without a cloud, or in the same frame.

    Raises TransformError as ``gather_points`` does.
    """
    if not clouds or clouds[-1].frame_id.lstrip("/") == frame_id.lstrip("/"):
        return None
    return _T_image_cloud(clouds[-1], frame_id, stamp_ns, transforms, config)[:3, 2]


def _T_image_cloud(
    cloud: Cloud, frame_id: str, stamp_ns: int, transforms: TransformSource, config: Config
) -> FloatArray:
    if config.extrinsics.source == "parameters":
        return T_camera_lidar(config.extrinsics)
    if not frame_id or not cloud.frame_id:
        which = "the image" if not frame_id else "the cloud"
        raise TransformError(
            f"tf: {which} has no frame_id; needed one to look up where the points are. "
            "Set it in the driver, or set extrinsics.source: parameters."
        )
    if config.sync.fixed_frame:
        return transforms.lookup_through(
            frame_id, stamp_ns, cloud.frame_id, cloud.stamp_ns, config.sync.fixed_frame
        )
    return transforms.lookup(frame_id, cloud.frame_id, stamp_ns)


def T_fixed_camera(
    frame_id: str, stamp_ns: int, transforms: TransformSource, config: Config
) -> FloatArray | None:
    """Pose (4, 4) of the camera in ``sync.fixed_frame``; None if there is none, or nothing is remembered.

    Raises:
        TransformError: the transform is missing.
    """
    if not (config.sync.fixed_frame and config.solver.temporal.memory_s):
        return None
    return transforms.lookup(config.sync.fixed_frame, frame_id, stamp_ns)


def T_camera_lidar(config: ExtrinsicsConfig) -> FloatArray:
    """Extrinsics (4, 4) from the parameters."""
    return rigid_transform(config.translation, config.rotation)

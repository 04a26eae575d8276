"""Selects the clouds that belong to an image, and moves their points into its frame.

The choice depends on stamps alone, so that the live node and an offline run choose the same clouds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from metric_depth_ros import messages
from metric_depth_ros.config import (
    MODELS,
    Config,
    ExtrinsicsConfig,
    SourceConfig,
    SyncConfig,
    model_of,
    sync_of,
)
from metric_depth_ros.errors import MetricDepthError, TransformError
from metric_depth_ros.geometry import rigid_transform, transform_points
from metric_depth_ros.types import Cloud, FloatArray, SourcePoints, TransformSource, same_frame

_CAPACITY = 32
# Points that tell the size of a cloud's coordinates.
_LOOKED_AT = 100
# Smaller steps back are messages out of order, which the choice by stamps handles.
_JUMP_NS = 1_000_000_000
# Clouds farther ahead of an image, which came after them, are of another clock.
_AHEAD_NS = 10_000_000_000
# A frame has moved, not just been estimated anew: metres, or parts of a turned axis.
_MOVED = 0.05


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

    def follows(self, other: _Timed[Any]) -> bool:
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
        self._last: _Timed[Any] | None = None
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
        self._last, self._held = _Timed(None, stamp_ns, came_ns), []  # items may be large
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


def is_due(last_ns: int | None, stamp_ns: int, rate_hz: float) -> bool:
    """Whether another message is due at a stamp; never at ``rate_hz`` 0, always after a jump in time."""
    if not rate_hz:
        return False
    return last_ns is None or abs(stamp_ns - last_ns) >= 0.95e9 / rate_hz


class CloudRing:
    """Buffer of the last received clouds, in bounded memory. Not thread safe.

    Attributes:
        config: may be replaced at any time.
        share: part of ``sync.buffer_mb`` that it may fill.
        too_small: whether clouds had to be dropped though fewer are left than are merged.

    An image at time t uses the newest ``accumulate`` clouds of [t - max_cloud_age_s,
    t + max_cloud_lead_s].
    """

    def __init__(self, config: SyncConfig) -> None:
        self.config, self.share = config, 1.0
        self.too_small = False
        self._clouds: list[Cloud] = []  # in order of arrival

    def __len__(self) -> int:
        return len(self._clouds)

    @property
    def newest_ns(self) -> int:
        """Newest stamp; before all times without a cloud."""
        return max(map(_stamp, self._clouds), default=-(2**63))

    @property
    def nbytes(self) -> int:
        """Size of all clouds."""
        return sum(cloud.nbytes for cloud in self._clouds)

    def add(self, cloud: Cloud) -> None:
        """Adds a cloud; drops those received first when there are too many, or too many bytes."""
        self._clouds.append(cloud)
        self.too_small = False
        del self._clouds[: -(_CAPACITY + self.config.accumulate)]
        while len(self) > 1 and self.nbytes > 1e6 * self.config.buffer_mb * self.share:
            del self._clouds[0]
            self.too_small = len(self) < self.config.accumulate

    def drop_useless(self, image_ns: int) -> float:
        """Drops clouds that no image can use from one with this stamp on.

        They are too old, or so far ahead of it that their clock differs. Returns by how many seconds the one
        farthest ahead is, of those dropped; 0: none is.
        """
        first_ns = image_ns - _ns(self.config.max_cloud_age_s) - _JUMP_NS
        ahead_ns = self.newest_ns - image_ns
        self._keep(lambda cloud: first_ns <= cloud.stamp_ns <= image_ns + _AHEAD_NS)
        return max(ahead_ns, 0) / 1e9 if ahead_ns > _AHEAD_NS else 0.0

    def keep_newest(self) -> None:
        """Drops all clouds but those that an image would use that is later than all."""
        least_ns = min(sorted(map(_stamp, self._clouds))[-self.config.accumulate :], default=0)
        self._keep(lambda cloud: cloud.stamp_ns >= least_ns)

    def _keep(self, good: Callable[[Cloud], bool]) -> None:
        self._clouds = [cloud for cloud in self._clouds if good(cloud)]

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

    def clear(self) -> None:
        """Drops all clouds."""
        self._clouds.clear()

    def forget_after(self, stamp_ns: int) -> None:
        """Drops the clouds newer than an image can use, after time has jumped back."""
        self._keep(lambda cloud: cloud.stamp_ns <= self._latest_ns(stamp_ns))

    def _latest_ns(self, stamp_ns: int) -> int:
        """Newest cloud stamp that an image can use."""
        return stamp_ns + _ns(self.config.max_cloud_lead_s)


# Clouds with their T_image_cloud (4, 4).
_Placed = list[tuple[Cloud, FloatArray]]


class Source:
    """Buffer of one source of anchors: reads its messages, and knows those of an image. Not thread safe.

    Attributes:
        name: of the source; one that the settings do not name is the topic without a name.
        kind: type of its messages, a key of ``messages.SENSOR_TYPES``.
        model: what measures; empty for the topic without a name.
        ring: its clouds.
    """

    def __init__(self, name: str, kind: str, config: Config) -> None:
        self.name, self.kind = name, kind
        self._first_places: dict[str, FloatArray] = {}  # T_image_cloud of the first image, by frame
        self._moving: set[str] = set()  # frames that have moved since
        self.ring = CloudRing(config.sync)
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Takes new settings, from the next message and image on."""
        self._config, self._own = config, config.sources.get(self.name, SourceConfig())
        self.model = model_of(config, self.name, self.kind)
        self.ring.config = sync_of(config, self.name, self.model)
        self.ring.share = 1 / max(1, len(config.anchors.sources))

    @property
    def offset_ns(self) -> int:
        """What is added to the stamps of its messages."""
        return _ns(self._own.time_offset_s)

    @property
    def z_up(self) -> bool:
        """Whether the z axis of its frame mostly points up."""
        return MODELS[self.model].z_up if self.model else self.kind not in messages.NEED_CAMERA

    def read(
        self, message: Any, camera_of: messages.CameraOf | None = None, stamp_ns: int | None = None
    ) -> Cloud:
        """The cloud of a message, with frame and stamp as the settings say.

        Args:
            camera_of: camera of a depth image by its size.
            stamp_ns: its time before the settings' offset, if not the one in its header.

        Raises InputError as ``messages.read_cloud`` does.
        """
        cloud = messages.read_cloud(message, self.kind, camera_of, stamp_ns)
        frame_id = self._own.frame or cloud.frame_id
        return replace(cloud, frame_id=frame_id, stamp_ns=cloud.stamp_ns + self.offset_ns)

    def in_place(self, placed: _Placed, stamp_ns: int) -> _Placed:
        """Of an image's clouds with their T_image_cloud those that can be merged, oldest first.

        A model may assume that points keep their place. In a frame on the robot they do not: unless the
        source itself says how many to merge, only the newest counts until the frame has moved against the
        camera.

        Raises TransformError if the newest is too old for that.
        """
        sync = self._config.sync
        assumed = self.model and MODELS[self.model].in_fixed_frame and not self._own.accumulate
        if not placed or not assumed or sync.fixed_frame:
            return placed
        newest, T = placed[-1]
        if newest.frame_id not in self._moving:
            began = self._first_places.setdefault(newest.frame_id, T)
            if np.abs(T - began).max() < _MOVED:
                if stamp_ns - newest.stamp_ns > _ns(sync.max_cloud_age_s):
                    raise TransformError(self.not_merged(newest.frame_id))
                return placed[-1:]
            self._moving.add(newest.frame_id)
        return placed

    def forget(self) -> None:
        """Drops all clouds, and what is known of how their frames move."""
        self.ring.clear()
        self._first_places.clear()
        self._moving.clear()

    @staticmethod
    def not_merged(frame_id: str) -> str:
        """Why older clouds in a frame are not used."""
        return (
            f"tf: frame {frame_id!r} has not moved against the camera, so its older points may have lost "
            "their place; needed a frame that stays where it is. Set sync.fixed_frame (odom, map)."
        )

    def awaits(self, stamp_ns: int) -> bool:
        """Whether a cloud for this image is still expected of a sensor that has not fallen silent."""
        return self.ring.awaits(stamp_ns) and self.ring.newest_ns >= stamp_ns - _JUMP_NS


def _stamp(cloud: Cloud) -> int:
    return cloud.stamp_ns


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def gather_points(
    clouds: Sequence[Cloud], frame_id: str, stamp_ns: int, transforms: TransformSource, config: Config
) -> FloatArray:
    """Points (N, 3) float32 of all clouds, in the image's frame at the image's time.

    With ``sync.fixed_frame`` set, a cloud is moved from its own time to the image's through that frame;
    without, the time difference is ignored. Clouds from before the transforms began are left out.

    Raises:
        TransformError: a transform of the newest cloud is missing, or the image names no frame.
    """
    return _moved(_placed(clouds, frame_id, stamp_ns, transforms, config))


def gather_sources(
    chosen: Iterable[tuple[Source, Sequence[Cloud]]],
    frame_id: str,
    stamp_ns: int,
    transforms: TransformSource,
    config: Config,
    refused: Callable[[str, MetricDepthError], None],
) -> tuple[SourcePoints, ...]:
    """Points of every source that has some, as of ``gather_points``, with what is known of their error.

    ``refused`` is called with name and error of a source whose points, or older ones, cannot be moved, if
    others' can.

    Raises:
        TransformError: no source's points can be moved.
    """
    found: list[SourcePoints] = []
    failed: dict[str, TransformError] = {}
    for source, clouds in chosen:
        try:
            placed = _placed(clouds, frame_id, stamp_ns, transforms, config)
            merged = source.in_place(placed, stamp_ns)
        except TransformError as error:
            failed[source.name] = error
        else:
            if len(merged) < len(placed):
                refused(source.name, TransformError(source.not_merged(merged[-1][0].frame_id)))
            known = _sigma(merged), _step_m(merged)
            found.append(SourcePoints(source.name, _moved(merged), source.model, *known))
    if failed and not any(len(source.points) for source in found):
        raise next(iter(failed.values()))
    for name, reason in failed.items():
        refused(name, reason)
    return tuple(found)


def all_points(sources: Sequence[SourcePoints]) -> FloatArray:
    """Points (N, 3) of all sources, in their order."""
    if len(sources) == 1:
        return sources[0].points
    return np.concatenate([np.empty((0, 3), np.float32), *(source.points for source in sources)])


def _placed(
    clouds: Sequence[Cloud], frame_id: str, stamp_ns: int, transforms: TransformSource, config: Config
) -> _Placed:
    """Clouds with their T_image_cloud (4, 4), oldest first, from the first on that can be placed."""
    places = _Places(frame_id, stamp_ns, transforms, config)
    placed: _Placed = []
    for cloud in reversed(clouds):
        try:
            placed.append((cloud, places.of(cloud)))
        except TransformError:
            if not placed:
                raise
            break
    return placed[::-1]


def _moved(placed: _Placed) -> FloatArray:
    """Points (N, 3) of all clouds in the image's frame."""
    moved = [transform_points(T, cloud.points) for cloud, T in placed]
    return np.concatenate(moved) if moved else np.empty((0, 3), np.float32)


def points_up(
    chosen: Iterable[tuple[Source, Sequence[Cloud]]],
    frame_id: str,
    stamp_ns: int,
    transforms: TransformSource,
    config: Config,
) -> FloatArray | None:
    """Z axis (3,) of a sensor's frame in the image's; None without a sensor in another frame, whose z is up.

    Only models whose z is up count, and what is not named unless it is a depth image.
    """
    places = _Places(frame_id, stamp_ns, transforms, config)
    for source, clouds in chosen:
        if clouds and source.z_up and not same_frame(clouds[-1].frame_id, frame_id):
            with suppress(TransformError):
                return places.of(clouds[-1])[:3, 2]
    return None


def _sigma(placed: _Placed) -> FloatArray | None:
    """Sigma (N,) of all points, 0 for those whose messages tell none; None if none does."""
    if all(cloud.sigma is None for cloud, _ in placed):
        return None
    return np.concatenate(
        [
            np.zeros(len(cloud.points), np.float32) if cloud.sigma is None else cloud.sigma
            for cloud, _ in placed
        ]
    )


def _step_m(placed: Sequence[tuple[Cloud, FloatArray]]) -> float:
    """Step between neighbouring numbers of the type and size of the newest cloud's coordinates."""
    points = placed[-1][0].points if placed else np.empty((0, 3), np.float32)
    if not len(points):
        return 0.0
    size = np.abs(points[:: 1 + len(points) // _LOOKED_AT]).max(axis=1)
    return float(np.spacing(np.median(size).astype(points.dtype)))


class _Places:
    """Where clouds are in one image; nothing is looked up twice."""

    def __init__(self, frame_id: str, stamp_ns: int, transforms: TransformSource, config: Config) -> None:
        self._frame_id, self._stamp_ns = frame_id, stamp_ns
        self._transforms, self._config = transforms, config
        self._looked_up: dict[str, FloatArray] = {}

    def of(self, cloud: Cloud) -> FloatArray:
        """T_image_cloud (4, 4). Raises TransformError."""
        if self._config.extrinsics.source == "parameters":
            return T_camera_lidar(self._config.extrinsics)
        try:
            return self._by_tf(cloud)
        except TransformError as error:
            if len(self._config.sources) > 1:  # parameters place one sensor
                raise
            raise TransformError(f"{error} Or set extrinsics.source: parameters.") from error

    def _by_tf(self, cloud: Cloud) -> FloatArray:
        if not self._frame_id or not cloud.frame_id:
            which = "the image" if not self._frame_id else "the cloud"
            raise TransformError(
                f"tf: {which} has no frame_id; needed one to look up where the points are. "
                "Set it in the driver."
            )
        fixed = self._config.sync.fixed_frame
        if not fixed or same_frame(fixed, cloud.frame_id):
            return self._of_frame(cloud.frame_id)
        if fixed not in cloud.places:
            cloud.places[fixed] = self._transforms.lookup(fixed, cloud.frame_id, cloud.stamp_ns)
        return self._of_frame(fixed) @ cloud.places[fixed]

    def _of_frame(self, frame: str) -> FloatArray:
        """T_image_frame (4, 4) at the image's time."""
        if frame not in self._looked_up:
            self._looked_up[frame] = self._transforms.lookup(self._frame_id, frame, self._stamp_ns)
        return self._looked_up[frame]


def T_fixed_camera(
    frame_id: str, stamp_ns: int, transforms: TransformSource, config: Config
) -> FloatArray | None:
    """Pose (4, 4) of the camera in ``sync.fixed_frame``; None if there is none, or nothing is remembered.

    Raises:
        TransformError: the transform is missing.
    """
    wanted = config.sync.fixed_frame and config.solver.temporal.memory_s
    if not wanted or config.extrinsics.source == "parameters":  # which leaves tf alone
        return None
    return transforms.lookup(config.sync.fixed_frame, frame_id, stamp_ns)


def T_camera_lidar(config: ExtrinsicsConfig) -> FloatArray:
    """Extrinsics (4, 4) from the parameters."""
    return rigid_transform(config.translation, config.rotation)

"""Selects the clouds that belong to an image, and gathers their points in its frame.

The choice depends on stamps alone, so that the live node and an offline run choose the same clouds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from metric_depth_ros import messages
from metric_depth_ros.config import MODELS, Config, SourceConfig, SyncConfig, model_of, sync_of
from metric_depth_ros.errors import MetricDepthError, TransformError
from metric_depth_ros.motion import Placed, Places
from metric_depth_ros.stamps import JUMP_NS, to_ns
from metric_depth_ros.types import Cloud, FloatArray, SourcePoints, same_frame

_CAPACITY = 32
# Frames of a source's messages that are remembered.
_MOST_FRAMES = 100
# Points that tell the size of a cloud's coordinates.
_LOOKED_AT = 100
# Clouds farther ahead of an image, which came after them, are of another clock.
_AHEAD_NS = 10_000_000_000
# A frame has moved, not just been estimated anew: metres, or parts of a turned axis.
_MOVED = 0.05


class CloudRing:
    """Buffer of the last received clouds, in bounded memory. Other threads may only ``select``.

    Attributes:
        config: may be replaced at any time.
        share: part of ``sync.buffer_mb`` that it may fill.
        too_small: whether clouds had to be dropped though fewer are left than are merged.

    An image at time t uses ``accumulate`` clouds of [t - max_cloud_age_s, t + max_cloud_lead_s]: those
    nearest in time or, with ``mode: latest``, the newest.
    """

    def __init__(self, config: SyncConfig) -> None:
        self.config, self.share = config, 1.0
        self.too_small = False
        self._clouds: list[Cloud] = []  # in order of arrival; replaced, never changed

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
        clouds = [*self._clouds, cloud][-(_CAPACITY + self.config.accumulate) :]
        most, self.too_small = 1e6 * self.config.buffer_mb * self.share, False
        while len(clouds) > 1 and sum(each.nbytes for each in clouds) > most:
            del clouds[0]
            self.too_small = len(clouds) < self.config.accumulate
        self._clouds = clouds

    def drop_useless(self, image_ns: int) -> float:
        """Drops clouds that no image can use from one with this stamp on.

        They are too old, or so far ahead of it that their clock differs. Returns by how many seconds the one
        farthest ahead is, of those dropped; 0: none is.
        """
        first_ns = image_ns - to_ns(self.config.max_cloud_age_s) - JUMP_NS
        ahead_ns = self.newest_ns - image_ns
        self._keep(lambda cloud: first_ns <= cloud.stamp_ns <= image_ns + _AHEAD_NS)
        return max(ahead_ns, 0) / 1e9 if ahead_ns > _AHEAD_NS else 0.0

    def keep_newest(self) -> None:
        """Drops all clouds but those that an image would use that is later than all."""
        least_ns = min(sorted(map(_stamp, self._clouds))[-self.config.accumulate :], default=0)
        self._keep(lambda cloud: cloud.stamp_ns >= least_ns)

    def _keep(self, good: Callable[[Cloud], bool]) -> None:
        self._clouds = [cloud for cloud in self._clouds if good(cloud)]

    def select(self, stamp_ns: int, until_ns: int = 2**63) -> list[Cloud]:
        """Clouds of an image, oldest first, none later than a time; empty if none is close enough in time."""
        first, last = stamp_ns - to_ns(self.config.max_cloud_age_s), min(self._latest_ns(stamp_ns), until_ns)
        near = [cloud for cloud in self._clouds if first <= cloud.stamp_ns <= last]
        near.sort(key=_stamp)
        if self.config.mode != "latest":
            near.sort(key=lambda cloud: -abs(cloud.stamp_ns - stamp_ns))
        return sorted(near[-self.config.accumulate :], key=_stamp)

    def awaits(self, stamp_ns: int) -> bool:
        """Whether a cloud for this image is still expected.

        It is if none matches yet, or if the sensor's period puts its next cloud before the latest time
        that the image can use, and nearer to the image than one of those that match. With ``mode: latest``
        nothing is.
        """
        latest_ns = self._latest_ns(stamp_ns)
        stamps = np.unique([cloud.stamp_ns for cloud in self._clouds])[-8:]
        if self.config.mode == "latest" or (len(stamps) and stamps[-1] > latest_ns):
            return False
        chosen = self.select(stamp_ns)
        if not chosen or len(stamps) < 2:
            return not chosen
        next_ns = stamps[-1] + 0.9 * np.median(np.diff(stamps))
        farthest_ns = max(abs(cloud.stamp_ns - stamp_ns) for cloud in chosen)
        nearer = len(chosen) < self.config.accumulate or abs(next_ns - stamp_ns) < farthest_ns
        return bool(next_ns <= latest_ns and nearer)

    def clear(self) -> None:
        """Drops all clouds."""
        self._clouds = []

    def forget_after(self, stamp_ns: int) -> None:
        """Drops the clouds newer than an image can use, after time has jumped back."""
        self._keep(lambda cloud: cloud.stamp_ns <= self._latest_ns(stamp_ns))

    def _latest_ns(self, stamp_ns: int) -> int:
        """Newest cloud stamp that an image can use."""
        return stamp_ns + to_ns(self.config.max_cloud_lead_s)


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
        self._unmoved = sync_of(config, self.name, self.model, moved=False)

    @property
    def offset_ns(self) -> int:
        """What is added to the stamps of its messages."""
        return to_ns(self._own.time_offset_s)

    @property
    def assumes_fixed_frame(self) -> bool:
        """Whether its model takes the frame of its points for one that does not move."""
        return bool(self.model) and MODELS[self.model].in_fixed_frame

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
        timed = self.ring.config.moves and self.ring.config.deskew != "none"
        cloud = messages.read_cloud(message, self.kind, camera_of, stamp_ns, timed=timed)
        frame_id = self._own.frame or cloud.frame_id
        return replace(cloud, frame_id=frame_id, stamp_ns=cloud.stamp_ns + self.offset_ns)

    def in_place(self, placed: Sequence[Placed], stamp_ns: int, *, moved: bool) -> Sequence[Placed]:
        """Of an image's placed clouds those that can be merged, oldest first.

        A model may merge more of them where they are ``moved`` in time. Elsewhere only the newest counts,
        unless the source itself says how many to merge, or its points come in a frame that stays where it is:
        one that has moved against the camera.

        Raises TransformError if the newest is too old for that.
        """
        if not placed or moved or not self.model or self._stays(placed[-1]):
            return placed
        first_ns = stamp_ns - to_ns(self._unmoved.max_cloud_age_s)
        kept = [each for each in placed if each.cloud.stamp_ns >= first_ns][-self._unmoved.accumulate :]
        if not kept:
            age_s = (stamp_ns - placed[-1].cloud.stamp_ns) / 1e9
            raise TransformError(
                f"{self.not_merged(placed[-1].cloud.frame_id)} Or its sensor has fallen silent: its newest "
                f"points are {age_s:.1f} s old."
            )
        return kept

    def _stays(self, newest: Placed) -> bool:
        """Whether the frame of a source's clouds is one that stays where it is, as its model assumes."""
        if not self.assumes_fixed_frame or self._config.extrinsics.source != "tf":
            return False
        frame_id = newest.cloud.frame_id
        if len(self._first_places) > _MOST_FRAMES:
            self._first_places.clear()
            self._moving.clear()
        began = self._first_places.setdefault(frame_id, newest.T)
        if np.abs(newest.T - began).max() >= _MOVED:
            self._moving.add(frame_id)
        return frame_id in self._moving or self._own.accumulate > 0

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
            "their place; needed a frame that stays where it is. Publish odom or map in tf, or set "
            "sync.fixed_frame to one."
        )

    def awaits(self, stamp_ns: int) -> bool:
        """Whether a cloud for this image is still expected of a sensor that has not fallen silent."""
        return self.ring.awaits(stamp_ns) and self.ring.newest_ns >= stamp_ns - JUMP_NS


def _stamp(cloud: Cloud) -> int:
    return cloud.stamp_ns


def gather_points(clouds: Sequence[Cloud], places: Places) -> FloatArray:
    """Points (N, 3) float32 of all clouds, in the image's frame at the image's time.

    Clouds from before the transforms began are left out.

    Raises:
        TransformError: a transform of the newest cloud is missing, or the image names no frame.
    """
    return _points(_placed(clouds, places))


def gather_sources(
    chosen: Iterable[tuple[Source, Sequence[Cloud]]],
    places: Places,
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
            placed = _placed_of(source, clouds, places)
            merged = source.in_place(placed, places.stamp_ns, moved=places.merges)
        except TransformError as error:
            failed[source.name] = error
        else:
            if len(merged) < len(placed) and source.assumes_fixed_frame:
                refused(source.name, TransformError(source.not_merged(merged[-1].cloud.frame_id)))
            newest_ns = merged[-1].cloud.stamp_ns if merged else None
            known = _sigma(merged), _step_m(merged), newest_ns, _up(source, merged, places.frame_id)
            found.append(SourcePoints(source.name, _points(merged), source.model, *known))
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


def _placed_of(source: Source, clouds: Sequence[Cloud], places: Places) -> list[Placed]:
    """As ``_placed``, or if the sensor's place at the newest's time is not known yet, clouds before that."""
    try:
        return _placed(clouds, places)
    except TransformError:
        earlier = source.ring.select(places.stamp_ns, places.known_until_ns(clouds[-1].frame_id))
        if not earlier or earlier[-1] is clouds[-1]:
            raise
        return _placed(earlier, places)


def _placed(clouds: Sequence[Cloud], places: Places) -> list[Placed]:
    """Clouds in their places, oldest first, from the first on that can be placed."""
    placed: list[Placed] = []
    for cloud in reversed(clouds):
        try:
            placed.append(places.of(cloud))
        except TransformError:
            if not placed:
                raise
            break
    return placed[::-1]


def _points(placed: Sequence[Placed]) -> FloatArray:
    """Points (N, 3) of all clouds in the image's frame."""
    moved = [each.points for each in placed]
    if len(moved) == 1:
        return moved[0]
    return np.concatenate(moved) if moved else np.empty((0, 3), np.float32)


def _up(source: Source, placed: Sequence[Placed], frame_id: str) -> FloatArray | None:
    """Z axis (3,) of a source's frame in the image's; None if they are the same, or z is not up.

    It is for models whose z is up, and for what is not named unless it is a depth image.
    """
    if not placed or not source.z_up or same_frame(placed[-1].cloud.frame_id, frame_id):
        return None
    return placed[-1].T[:3, 2]


def _sigma(placed: Sequence[Placed]) -> FloatArray | None:
    """Sigma (N,) of all points, 0 for those whose messages tell none; None if none does."""
    clouds = [each.cloud for each in placed]
    if all(cloud.sigma is None for cloud in clouds):
        return None
    sigmas = (np.zeros(len(c.points), np.float32) if c.sigma is None else c.sigma for c in clouds)
    return np.concatenate([*sigmas])


def _step_m(placed: Sequence[Placed]) -> float:
    """Step between neighbouring numbers of the type and size of the newest cloud's coordinates."""
    points = placed[-1].cloud.points if placed else np.empty((0, 3), np.float32)
    if not len(points):
        return 0.0
    size = np.abs(points[:: 1 + len(points) // _LOOKED_AT]).max(axis=1)
    return float(np.spacing(np.median(size).astype(points.dtype)))

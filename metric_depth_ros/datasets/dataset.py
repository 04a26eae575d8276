"""Interface of datasets: numbered frames for training and evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from metric_depth_ros.datasets.split import CAMERA_FRAME, Split, split_depth, split_lidar, split_sparse
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import transform_points
from metric_depth_ros.types import BoolArray, Camera, FloatArray, ImageArray, IntArray, Rectification, Sample


@dataclass(frozen=True, eq=False)
class Frame:
    """One calibrated image with depth or points; None means "not given".

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) metres, NaN unknown.
        points_lidar: (N, 3) metres in the LiDAR's frame.
        T_camera_lidar, T_world_camera: (4, 4).
        sparse_depth: (H, W) metres, NaN unknown: what a dataset gives to complete, apart from the true depth.
        regions: (H, W) labels of the dataset's own masks, whole numbers from 0.
        sky: (H, W) bool, where there is no surface.
        rectification: how the image would be rectified, if it is a raw one and that is known.
        depth_is_sweep: whether depth is ``points_lidar`` itself, projected, of each pixel the nearest.
    """

    id: str
    stamp_ns: int
    image: ImageArray
    camera: Camera | None
    depth: FloatArray | None = None
    points_lidar: FloatArray | None = None
    T_camera_lidar: FloatArray | None = None
    T_world_camera: FloatArray | None = None
    sparse_depth: FloatArray | None = None
    regions: IntArray | None = None
    sky: BoolArray | None = None
    depth_is_sweep: bool = False
    rectification: Rectification | None = None

    def split(self, *, hold_out: float, anchors: int, seed: int) -> Split:
        """Divides the points into anchors and held-out points, in their own frame.

        LiDAR: the fraction ``hold_out`` of the points inside the image is held out; the others are anchors,
        thinned at random if ``anchors`` is above 0. Depth images: ``anchors`` random pixels (0: all but
        the held-out half), and up to 10000 of the others are held out. Where the dataset has sparse depth,
        the anchors are of its pixels (0: all), and of the depth image those are held out that it has not.

        Raises:
            InputError: the frame has no intrinsics, or neither points nor depth.
        """
        camera = self._calibrated()
        generator = np.random.default_rng([seed, *self.id.encode()])
        if self.points_lidar is not None and self.T_camera_lidar is not None:
            return split_lidar(self.points_lidar, self.T_camera_lidar, camera, hold_out, anchors, generator)
        if self.sparse_depth is not None:
            return split_sparse(self.sparse_depth, self.depth, camera, anchors, generator)
        if self.depth is not None:
            return split_depth(self.depth, camera, anchors, generator)
        raise InputError(
            f"frame {self.id}: neither points with T_camera_lidar nor depth; needed one to make anchors of."
        )

    def sample(
        self, *, hold_out: float = 0.0, anchors: int = 0, seed: int = 0, needs_points: bool = True
    ) -> Sample:
        """The frame as a Sample. Raises InputError as ``split`` does.

        ``needs_points``: whether a frame with neither points nor depth is an error, or a sample without.
        """
        camera = self._calibrated()
        measured = (self.points_lidar, self.depth, self.sparse_depth)
        if not needs_points and all(each is None for each in measured):
            return Sample(self.image, camera, np.empty((0, 3), np.float32), self.stamp_ns, CAMERA_FRAME)
        parts = self.split(hold_out=hold_out, anchors=anchors, seed=seed)
        seen, held_out = (self._in_camera(p, parts.frame_id) for p in (parts.anchors, parts.held_out))
        return Sample(
            self.image,
            camera,
            seen,
            self.stamp_ns,
            CAMERA_FRAME,
            (self.stamp_ns,),
            points_held_out=held_out if len(held_out) else None,
        )

    def _in_camera(self, points: FloatArray, frame_id: str) -> FloatArray:
        if frame_id == CAMERA_FRAME or self.T_camera_lidar is None:
            return points
        return transform_points(self.T_camera_lidar, points)

    def _calibrated(self) -> Camera:
        if self.camera is None:
            raise InputError(f"frame {self.id}: no intrinsics; needed fx, fy, cx, cy in calib.json.")
        return self.camera


class Picture(NamedTuple):
    """One image with depth, to train on.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres, inf for sky and NaN unknown.
        camera: None if not given.
    """

    image: ImageArray
    depth: FloatArray
    camera: Camera | None


class Dataset(ABC):
    """Frames of one dataset on disk. A new format is one file with a subclass and one line in ``DATASETS``.

    Attributes:
        rendered: whether its images are rendered.
        tells_scenes: whether ``scene`` is known; if not, frames follow each other as in one scene.
        limits_m: nearest and farthest true depth that counts in its usual evaluation; None: by the place.
        path: folder of the dataset.
    """

    rendered: ClassVar[bool] = False
    tells_scenes: ClassVar[bool] = True
    limits_m: tuple[float, float] | None = None
    path: Path

    @abstractmethod
    def __init__(self, path: str | Path) -> None: ...

    @staticmethod
    @abstractmethod
    def recognises(path: Path) -> bool:
        """Whether the path is a dataset of this format."""

    @property
    @abstractmethod
    def ids(self) -> list[str]:
        """Names of the frames."""

    @property
    @abstractmethod
    def has_one_rig(self) -> bool:
        """Whether T_camera_lidar is the same in all frames."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Frame:
        """One frame. Raises InputError if it is damaged."""

    @abstractmethod
    def picture(self, index: int) -> Picture:
        """One image with depth, to train on. Raises InputError if it is damaged or has no depth image."""

    def image(self, index: int) -> ImageArray:
        """Image (H, W, 3) uint8 RGB of a frame. Raises InputError if it is damaged."""
        return self[index].image

    def evaluated(self, frame: Frame) -> BoolArray | None:
        """Mask (H, W) of the pixels that count in the dataset's usual evaluation (its crop); None: all."""
        return None

    @abstractmethod
    def group(self, index: int) -> int:
        """Number of a frame's group; the frames of a group are all for training or all for validation."""

    @abstractmethod
    def scene(self, index: int) -> int:
        """Number of the scene that a frame shows."""

    @abstractmethod
    def stamp_ns(self, index: int) -> int:
        """Timestamp of a frame, ns."""

    def has_depth(self, index: int, *, or_points: bool = False) -> bool:
        """Whether a frame has a depth image; with ``or_points`` also if its camera sees LiDAR points.

        Reads no picture.
        """
        return True

    def family(self, index: int) -> str:
        """Kind of scene of a frame; empty if unknown."""
        return ""

    def descriptions(self, index: int, *, held_out: bool = False) -> tuple[str, ...]:
        """Sentences that say what a frame shows; empty if there are none.

        ``held_out``: those in words that training never sees, or all if the dataset has no others.
        """
        return ()

    def rescan(self) -> int:
        """Counts the frames again, with those added since; existing frames keep their numbers."""
        return len(self)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self)):
            yield self[index]

    def samples(self, *, hold_out: float = 0.0, anchors: int = 0, seed: int = 0) -> Iterator[Sample]:
        """Every frame as a Sample, see ``Frame.split``. Raises InputError for an unusable frame."""
        for frame in self:
            yield frame.sample(hold_out=hold_out, anchors=anchors, seed=seed)

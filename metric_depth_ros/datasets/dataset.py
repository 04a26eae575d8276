"""What a data set is: frames by number, for training and evaluation alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from metric_depth_ros.datasets.split import CAMERA_FRAME, Split, split_depth, split_lidar
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import transform_points
from metric_depth_ros.types import Camera, FloatArray, ImageArray, Sample


@dataclass(frozen=True, eq=False)
class Frame:
    """One calibrated picture; None is "not given".

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) metres, NaN unknown.
        points_lidar: (N, 3) metres in the LiDAR's frame.
        T_camera_lidar, T_world_camera: (4, 4).
    """

    id: str
    stamp_ns: int
    image: ImageArray
    camera: Camera | None
    depth: FloatArray | None = None
    points_lidar: FloatArray | None = None
    T_camera_lidar: FloatArray | None = None
    T_world_camera: FloatArray | None = None

    def split(self, *, hold_out: float, anchors: int, seed: int) -> Split:
        """The points a solver may see and those kept to measure it, in their own frame.

        LiDAR: all points, less the fraction ``hold_out`` of those inside the image. Depth images:
        ``anchors`` random pixels (0: all but the held-out half), and up to 10000 of the others held
        out. With LiDAR ``anchors`` above 0 thins them at random as well.

        Raises:
            InputError: the frame has no intrinsics, or neither points nor depth.
        """
        camera = self._calibrated()
        generator = np.random.default_rng([seed, *self.id.encode()])
        if self.points_lidar is not None and self.T_camera_lidar is not None:
            return split_lidar(self.points_lidar, self.T_camera_lidar, camera, hold_out, anchors, generator)
        if self.depth is not None:
            return split_depth(self.depth, camera, anchors, generator)
        raise InputError(
            f"frame {self.id}: neither points with T_camera_lidar nor depth; needed one to make anchors of."
        )

    def sample(
        self, *, hold_out: float = 0.0, anchors: int = 0, seed: int = 0, needs_points: bool = True
    ) -> Sample:
        """The frame as a Sample. Raises InputError as ``split``.

        ``needs_points``: whether a frame with neither points nor depth is an error, or a sample without.
        """
        camera = self._calibrated()
        if not needs_points and self.points_lidar is None and self.depth is None:
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


class Dataset(ABC):
    """The frames of one source on disk. A new source is one file with a child, and one line in ``DATASETS``.

    Attributes:
        rendered: whether no camera took its pictures.
        path: where it lies.
    """

    rendered: ClassVar[bool] = False
    path: Path

    @abstractmethod
    def __init__(self, path: str | Path) -> None: ...

    @staticmethod
    @abstractmethod
    def recognises(path: Path) -> bool:
        """Whether a path is of this kind."""

    @property
    @abstractmethod
    def ids(self) -> list[str]:
        """The frames' names."""

    @property
    @abstractmethod
    def has_one_rig(self) -> bool:
        """Whether the LiDAR sits in the same place in every frame."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Frame:
        """One frame. Raises InputError when it is damaged."""

    @abstractmethod
    def picture(self, index: int) -> tuple[ImageArray, FloatArray]:
        """Image (H, W, 3) uint8 RGB and depth (H, W) float32 metres, inf for sky and NaN unknown.

        What training reads. Raises InputError for a frame that is damaged or has no depth image.
        """

    @abstractmethod
    def group(self, index: int) -> int:
        """Number of a frame's group; all of a group are for training, or all for validation."""

    @abstractmethod
    def scene(self, index: int) -> int:
        """Number of the scene that a frame shows."""

    @abstractmethod
    def stamp_ns(self, index: int) -> int:
        """The frame's time."""

    def has_depth(self, index: int, *, or_points: bool = False) -> bool:
        """Whether a frame has a depth image; with ``or_points`` also if its camera sees LiDAR points.

        Reads no picture.
        """
        return True

    def family(self, index: int) -> str:
        """What kind of scene a frame shows; empty where nobody says."""
        return ""

    def rescan(self) -> int:
        """How many frames there are, with those that have come since; known ones keep their number."""
        return len(self)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self)):
            yield self[index]

    def samples(self, *, hold_out: float = 0.0, anchors: int = 0, seed: int = 0) -> Iterator[Sample]:
        """Every frame as a Sample: see ``Frame.split``. Raises InputError at one that cannot be."""
        for frame in self:
            yield frame.sample(hold_out=hold_out, anchors=anchors, seed=seed)

"""A folder of shards as calibrated frames, as the other sources of samples give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.datasets.dataset import Dataset, Frame
from metric_depth_ros.datasets.shards import ShardReader
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Camera, FloatArray, ImageArray


class ShardFrames(Dataset):
    """The samples of one folder of shards. They are of different scenes and cameras, so no frame has a
    pose in a common world; LiDAR points are there in a data set with everything.
    """

    has_one_rig = False
    rendered = True

    def __init__(self, path: str | Path, *, rate_hz: float = 10.0) -> None:
        """``rate_hz`` stamps the frames, from 1 s on. Raises InputError as ``ShardReader``."""
        self.path = Path(path)
        self._rate_hz = rate_hz
        self._reader = ShardReader(path)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder is of this kind."""
        return any(path.glob("shard_*.zip"))

    @property
    def ids(self) -> list[str]:
        """The frames' names: their places in the folder."""
        return [f"{index:08d}" for index in range(len(self))]

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> Frame:
        """One frame; sky has no depth. Raises InputError for a damaged shard."""
        parts = self._reader.read(index, ("image", "depth", "info"))
        scans: dict[str, Any] = {}
        if self._reader.has(index, "points"):
            scans = self._reader.read(index, ("points",))["points"]
        lidar, depth = scans.get("lidar"), parts["depth"]
        return Frame(
            id=f"{index:08d}",
            stamp_ns=self.stamp_ns(index),
            image=parts["image"],
            camera=self._camera(parts["info"], index),
            depth=np.where(np.isfinite(depth), depth, np.float32(np.nan)),
            points_lidar=None if lidar is None else lidar.points,
            T_camera_lidar=None if lidar is None else lidar.T_camera_sensor,
        )

    def picture(self, index: int) -> tuple[ImageArray, FloatArray]:
        """Image and depth as ``Dataset.picture``. Raises InputError for a damaged shard."""
        parts = self._reader.read(index)
        return parts["image"], parts["depth"]

    def rescan(self) -> int:
        """How many samples there are, with the shards that have come since."""
        return self._reader.rescan()

    def group(self, index: int) -> int:
        """Twenty samples in a row: samples of one scene lie together, so that groups share few scenes."""
        return index // 20

    def family(self, index: int) -> str:
        """What kind of scene a frame shows; empty where it does not say. Raises InputError as before."""
        return str(self._reader.read(index, ("info",))["info"].get("family", ""))

    def scene(self, index: int) -> int:
        """Number of the scene that a frame shows; its own where it does not say. Raises InputError."""
        return int(self._reader.read(index, ("info",))["info"].get("scene", index))

    def _camera(self, info: dict[str, Any], index: int) -> Camera:
        try:
            return Camera(info["width"], info["height"], np.array(info["K"], np.float64))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.path}, frame {index:08d}: {error!r}; needed width, height and K in its .json."
            ) from error

    def stamp_ns(self, index: int) -> int:
        """A time made of the rate."""
        return round((1 + index / self._rate_hz) * 1e9)

"""Dataset of calibrated frames from a folder of shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.datasets.dataset import Dataset, Frame, Picture
from metric_depth_ros.datasets.shards import ShardReader
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Camera, ImageArray


class ShardFrames(Dataset):
    """Samples of one folder of shards as frames.

    They are of different scenes and cameras, so frames have no pose in a common world. Only datasets with
    all parts have LiDAR points.
    """

    has_one_rig = False
    rendered = True

    def __init__(self, path: str | Path, *, rate_hz: float = 10.0) -> None:
        """``rate_hz``: rate of the frames' stamps, from 1 s on. Raises InputError as ``ShardReader`` does."""
        self.path = Path(path)
        self._rate_hz = rate_hz
        self._reader = ShardReader(path)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has shards."""
        return any(path.glob("shard_*.zip"))

    @property
    def ids(self) -> list[str]:
        """Names of the frames: their indices in the folder."""
        return [f"{index:08d}" for index in range(len(self))]

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> Frame:
        """One frame; sky has no depth, regions are the scene's things.

        Raises:
            InputError: the shard is damaged, or its parts are of different sizes.
        """
        optional = [part for part in ("points", "instances") if self._reader.has(index, part)]
        parts = self._reader.read(index, ("image", "depth", "info", *optional))
        lidar, depth = parts.get("points", {}).get("lidar"), parts["depth"]
        camera, regions = self._camera(parts, index), parts.get("instances")
        if regions is not None and regions.shape != depth.shape:
            raise InputError(f"{self.path}, frame {index:08d}: image and instances are of different sizes.")
        return Frame(
            id=f"{index:08d}",
            stamp_ns=self.stamp_ns(index),
            image=parts["image"],
            camera=camera,
            depth=np.where(np.isfinite(depth), depth, np.float32(np.nan)),
            points_lidar=None if lidar is None else lidar.points,
            T_camera_lidar=None if lidar is None else lidar.T_camera_sensor,
            regions=regions,
            sky=np.isinf(depth),
        )

    def picture(self, index: int) -> Picture:
        """One image with depth, to train on. Raises InputError for a damaged shard."""
        parts = self._reader.read(index, ("image", "depth", "info"))
        return Picture(parts["image"], parts["depth"], self._camera(parts, index))

    def image(self, index: int) -> ImageArray:
        """Image (H, W, 3) uint8 RGB of a frame. Raises InputError for a damaged shard."""
        image: ImageArray = self._reader.read(index, ("image",))["image"]
        return image

    def rescan(self) -> int:
        """Counts the samples again, with the shards added since."""
        return self._reader.rescan()

    def group(self, index: int) -> int:
        """Twenty successive samples: samples of a scene follow each other, so groups share few scenes."""
        return index // 20

    def family(self, index: int) -> str:
        """Kind of scene of a frame; empty if not stated. Raises InputError for a damaged shard."""
        return str(self._info(index).get("family", ""))

    def descriptions(self, index: int, *, held_out: bool = False) -> tuple[str, ...]:
        """Sentences that the sample's .json holds. Raises InputError for a damaged shard."""
        info = self._info(index)
        found = (held_out and info.get("held_out_descriptions")) or info.get("descriptions", ())
        return tuple(map(str, found)) if isinstance(found, list) else ()

    def scene(self, index: int) -> int:
        """Scene number of a frame; the frame's index if not stated. Raises InputError for a damaged shard."""
        scene = self._info(index).get("scene", index)
        return scene if isinstance(scene, int) else index

    def _info(self, index: int) -> dict[str, Any]:
        info: dict[str, Any] = self._reader.read(index, ("info",))["info"]
        return info

    def _camera(self, parts: dict[str, Any], index: int) -> Camera:
        """Camera of a sample. Raises InputError if it is none, or not of the size of image and depth."""
        info, size = parts["info"], parts["image"].shape[1::-1]
        where = f"{self.path}, frame {index:08d}"
        try:
            camera = Camera(info["width"], info["height"], np.array(info["K"], np.float64))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{where}: {error!r}; needed width, height and K in its .json.") from error
        if {(camera.width, camera.height), parts["depth"].shape[::-1]} != {size}:
            raise InputError(f"{where}: image, depth and .json are of different sizes. Render it again.")
        return camera

    def stamp_ns(self, index: int) -> int:
        """Timestamp from the rate, ns."""
        return round((1 + index / self._rate_hz) * 1e9)

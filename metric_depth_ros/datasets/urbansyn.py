"""UrbanSyn (Gomez et al., 2025): rendered streets.

``rgb/rgb_0001.png``, ``depth/depth_0001.exr``, ``ss/ss_0001.png`` and ``camera_metadata.json``. Depth is
stored in units of 100 km; ``ss`` has Cityscapes' training labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import named, read_levels
from metric_depth_ros.datasets.exr_file import read_exr
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    read_image,
    read_lines,
    with_shape,
)
from metric_depth_ros.datasets.tree_of_values import json_values
from metric_depth_ros.types import Camera, ImageArray, IntArray

_CAMERA = "camera_metadata.json"
_METRES = 1e5
_SKY = 10


class UrbanSyn(PublishedDataset):
    """Frames of UrbanSyn; ``regions`` are its semantic labels.

    It has no splits of its own; a list of names of pictures (rgb_0001, or 0001) may be given as one.
    """

    title = "UrbanSyn"
    url = "https://www.urbansyn.org"
    licence = "CC BY-SA 4.0"
    layout = f"folders rgb (rgb_0001.png), depth (depth_0001.exr) and ss, and {_CAMERA}"
    takes_lists: ClassVar[bool] = True
    rendered = True
    limits_m = (0.1, 80.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has pictures and depth by UrbanSyn's names."""
        return all(next(path.glob(name), None) is not None for name in ("rgb/rgb_*.png", "depth/depth_*.exr"))

    def list_items(self) -> list[Item]:
        """All pictures or those of a list, each a scene of its own."""
        found = [self._item(path) for path in named(self.path / "rgb", ".png")]
        if self.split in self.splits:
            return found
        lines = read_lines(Path(self.split), "names of pictures")
        wanted = {Path(line).stem.removeprefix("rgb_") for line in lines}
        return [item for item in found if item.scene in wanted]

    def _item(self, path: Path) -> Item:
        number = path.stem.removeprefix("rgb_")
        labels = self.path / "ss" / f"ss_{number}.png"
        files = {"image": path, "depth": self.path / "depth" / f"depth_{number}.exr"}
        return Item(path.stem, number, files | ({"labels": labels} if labels.exists() else {}))

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame; without ``ss`` the sky has the depth that is stored for it, far away."""
        image = read_image(item.files["image"])
        path, sky, labels = item.files["depth"], None, None
        depth = known_depth(with_shape(read_exr(path), image.shape[:2], path) * np.float32(_METRES))
        if "labels" in item.files:
            labels = _labels(item.files["labels"], image)
            sky = labels == _SKY
            depth[sky] = np.nan
        return Frame(item.id, stamp_ns, image, self._camera(image), depth, regions=labels, sky=sky)

    def _camera(self, image: ImageArray) -> Camera | None:
        path = self.path / _CAMERA
        if not path.exists():
            return None
        told = json_values(path, "UrbanSyn's camera").at("parameters", 0, "Camera")
        height, width = image.shape[:2]
        focal_mm = told.number("focalLength_mm")
        fx = focal_mm / max(told.number("sensorWidth_mm"), 1e-9) * width
        fy = focal_mm / max(told.number("sensorHeight_mm"), 1e-9) * height
        return camera_of(image, (fx, fy, (width - 1) / 2, (height - 1) / 2), path)


def _labels(path: Path, image: ImageArray) -> IntArray:
    return read_levels(path, image, np.uint8)[..., 0].astype(np.int32)

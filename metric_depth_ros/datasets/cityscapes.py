"""Cityscapes (Cordts et al., 2016): streets of 50 cities, with disparity from stereo.

``leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png``, ``disparity/.../NAME_disparity.png`` (16 bits, (p - 1) / 256
pixels, 0 none), ``camera/.../NAME_camera.json`` and ``gtFine/.../NAME_gtFine_labelIds.png``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import divided, folders, named, read_levels
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import camera_of, read_image
from metric_depth_ros.datasets.tree_of_values import json_values
from metric_depth_ros.types import Array, FloatArray

_IMAGE = "_leftImg8bit.png"
_SKY = 23


class Cityscapes(PublishedDataset):
    """Frames of Cityscapes; depth is baseline fx / disparity, ``regions`` are its labels."""

    title = "Cityscapes"
    url = "https://www.cityscapes-dataset.com"
    licence = "own terms, not commercial; see the site"
    layout = "leftImg8bit/train/CITY, with disparity, camera and, where wanted, gtFine beside leftImg8bit"
    splits = ("val", "train", "train_extra", "test")
    limits_m = (1e-3, 80.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has leftImg8bit, disparity and camera."""
        return all((path / part).is_dir() for part in ("leftImg8bit", "disparity", "camera"))

    def list_items(self) -> list[Item]:
        """All pictures of a split, a city after the other."""
        root = self.path / "leftImg8bit" / self.split
        return [self._item(path) for city in folders(root) for path in named(city, _IMAGE)]

    def _item(self, path: Path) -> Item:
        city, name = path.parent.name, path.name.removesuffix(_IMAGE)

        def beside(part: str, end: str) -> Path:
            return self.path / part / self.split / city / f"{name}_{end}"

        labels = beside("gtFine", "gtFine_labelIds.png")
        files = {
            "image": path,
            "disparity": beside("disparity", "disparity.png"),
            "camera": beside("camera", "camera.json"),
        }
        return Item(name, city, files | ({"labels": labels} if labels.exists() else {}))

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame; the sky has no depth where labels tell it."""
        image = read_image(item.files["image"])
        told = json_values(item.files["camera"], "a camera of Cityscapes")
        fx, fy, u0, v0 = (told.number("intrinsic", key) for key in ("fx", "fy", "u0", "v0"))
        camera = camera_of(image, (fx, fy, u0, v0), told.path)
        stored = read_levels(item.files["disparity"], image)[..., 0]
        depth = _depth(stored, abs(told.number("extrinsic", "baseline")) * fx)
        labels = sky = None
        if "labels" in item.files:
            labels = read_levels(item.files["labels"], image, np.uint8)[..., 0].astype(np.int32)
            sky = labels == _SKY
            depth[sky] = np.nan
        return Frame(item.id, stamp_ns, image, camera, depth, regions=labels, sky=sky)


def _depth(stored: Array, baseline_fx: float) -> FloatArray:
    """Depth (H, W) in metres, NaN unknown, of stored disparity: 0 is unknown, 1 infinitely far."""
    return divided(baseline_fx, (stored.astype(np.float32) - 1) / 256)

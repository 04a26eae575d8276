"""Virtual KITTI 2 (Cabon et al., 2020): five streets of KITTI, rendered in ten variations with two cameras.

``vkitti_*_rgb/Scene01/clone/frames/rgb/Camera_0/rgb_00000.jpg``, ``vkitti_*_depth`` (16-bit PNG, cm, 65535
sky), ``vkitti_*_textgt`` (intrinsic.txt, extrinsic.txt) and ``vkitti_*_classSegmentation``; or all in one
folder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import first_that_exists, folders, named, read_levels
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import camera_of, known_depth, read_image, read_table
from metric_depth_ros.errors import InputError
from metric_depth_ros.label_images import compact
from metric_depth_ros.types import Camera, FloatArray, ImageArray, IntArray

_VARIATIONS = (
    "clone", "fog", "morning", "overcast", "rain", "sunset",
    "15-deg-left", "15-deg-right", "30-deg-left", "30-deg-right",
)  # fmt: skip
_PARTS = ("rgb", "depth", "textgt", "classSegmentation")
_SKY = 65535
_INTRINSIC, _EXTRINSIC = 6, 18  # columns: frame, camera, and numbers


class VirtualKitti2(PublishedDataset):
    """Frames of Virtual KITTI 2, of the left camera in all variations; ``stereo`` has both cameras."""

    title = "Virtual KITTI 2"
    url = "https://europe.naverlabs.com/research/computer-vision/proxy-virtual-worlds-vkitti-2/"
    licence = "CC BY-NC-SA 3.0, see the site"
    layout = "vkitti_*_rgb/Scene01/clone/frames/rgb/Camera_0, and vkitti_*_depth and vkitti_*_textgt beside"
    splits = ("all", "stereo", *_VARIATIONS)
    rendered = True
    limits_m = (1e-3, 80.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has a scene with pictures by its names."""
        inside = "Scene*/*/frames/rgb/Camera_0"
        return any(next(path.glob(f"{place}{inside}"), None) for place in ("vkitti_*_rgb/", ""))

    def list_items(self) -> list[Item]:
        """All frames of the chosen variations and cameras."""
        self._tables: dict[Path, FloatArray] = {}  # of textgt, read once
        self._parts = {name: self._part(name) for name in _PARTS}
        cameras = ("Camera_0", "Camera_1") if self.split == "stereo" else ("Camera_0",)
        return [
            self._item(path, variation)
            for scene in folders(self._parts["rgb"])
            if scene.name.startswith("Scene")
            for variation in folders(scene)
            if self.split in ("all", "stereo", variation.name)
            for camera in cameras
            for path in named(variation / "frames/rgb" / camera, ".jpg")
        ]

    def _part(self, name: str) -> Path:
        """Folder that a part of the dataset was unpacked into."""
        return next((each for each in folders(self.path) if each.match(f"vkitti_*_{name}")), self.path)

    def _item(self, image: Path, variation: Path) -> Item:
        camera, number = image.parent.name, image.stem.removeprefix("rgb_")
        scene, name = variation.parent.name, variation.name

        def frame(part: str, folder: str, start: str) -> Path:
            return self._parts[part] / scene / name / "frames" / folder / camera / f"{start}_{number}.png"

        labels = first_that_exists(
            *(
                frame("classSegmentation", each, "classgt")
                for each in ("classSegmentation", "classsegmentation")
            )
        )
        files = {
            "image": image,
            "depth": frame("depth", "depth", "depth"),
            "text": self._parts["textgt"] / scene / name,
        }
        files |= {"labels": labels} if labels else {}
        place = (int(number) if number.isdigit() else 0) * 2 + int(camera[-1])
        return Item(f"{scene}_{name}_{camera}_{number}", scene, files, entry=place)

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame; ``regions`` are its classes, renumbered by their colours."""
        image = read_image(item.files["image"])
        stored = read_levels(item.files["depth"], image)[..., 0]
        sky = stored == _SKY
        depth = known_depth(stored * np.float32(0.01), ~sky)
        labels = _labels(item.files["labels"], image) if "labels" in item.files else None
        camera, T_world_camera = self._calibration(item, image)
        return Frame(
            item.id, stamp_ns, image, camera, depth, T_world_camera=T_world_camera, regions=labels, sky=sky
        )

    def _calibration(self, item: Item, image: ImageArray) -> tuple[Camera | None, FloatArray | None]:
        """Camera and pose of a frame; None without the textgt."""
        folder = item.files["text"]
        intrinsic, extrinsic = folder / "intrinsic.txt", folder / "extrinsic.txt"
        camera = pose = None
        if intrinsic.exists():
            fx, fy, cx, cy = self._row(intrinsic, _INTRINSIC, item.entry)
            camera = camera_of(image, (fx, fy, cx, cy), intrinsic)
        if extrinsic.exists():
            T_camera_world = self._row(extrinsic, _EXTRINSIC, item.entry).reshape(4, 4)
            if abs(np.linalg.det(T_camera_world)) < 0.5:
                raise InputError(f"{extrinsic}: no rotation for frame {item.id}; needed one.")
            pose = np.linalg.inv(T_camera_world)
        return camera, pose

    def _row(self, path: Path, columns: int, entry: int) -> FloatArray:
        """Numbers of the frame and camera ``entry``: twice the frame, plus the camera."""
        table = self._tables.get(path)
        if table is None:
            table = self._tables[path] = read_table(path, columns, header=1)
        found = table[2 * table[:, 0] + table[:, 1] == entry]
        if len(found) != 1:
            raise InputError(
                f"{path}: {len(found)} rows of frame {entry // 2}, camera {entry % 2}; needed one."
            )
        return np.asarray(found[0, 2:])


def _labels(path: Path, image: ImageArray) -> IntArray:
    colours = read_levels(path, image, np.uint8).astype(np.int32)
    if colours.shape[2] != 3:
        raise InputError(f"{path}: a grey picture; needed classes as colours.")
    return compact(colours @ np.array([1 << 16, 1 << 8, 1], np.int32))

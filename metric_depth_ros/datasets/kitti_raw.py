"""KITTI raw: drives of a car with two colour cameras, a LiDAR and GPS; the split of Eigen et al. (2014).

``DAY/calib_*.txt``, ``DAY/DRIVE/image_02/data/N.png`` (or .jpg), ``image_03``, ``image_0x/timestamps.txt``,
``DAY/DRIVE/velodyne_points/data/N.bin`` and ``oxts/data/N.txt``. The improved ground truth of Uhrig et al.
(2017) may be unpacked there, beside it, or into the drives.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from metric_depth_ros.datasets import kitti_rig as kitti
from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import (
    first_that_exists,
    folders,
    named,
    projected_depth,
    read_points,
)
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import read_image, read_lines
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import transform_points
from metric_depth_ros.types import BoolArray, FloatArray

# Files of a split by the names that they have in public repositories, sought beside the data.
_LISTS = {
    "eigen_train": ("eigen_train_files.txt", "train_files.txt", "eigen_train_files_with_gt.txt"),
    "eigen_val": ("eigen_val_files.txt", "val_files.txt"),
    "eigen_test": ("eigen_test_files.txt", "test_files.txt", "eigen_test_files_with_gt.txt"),
}
_PLACES = (".", "splits", "splits/eigen", "splits/eigen_full", "eigen", "..", "../splits/eigen")
_IMPROVED = "proj_depth/groundtruth"
_SIDES = {"l": "02", "r": "03"}
_LINE = re.compile(r"image_(0[23])/data/(\d+)\.|\s(\d+)\s+([lr])\b")
_LONGEST_LINE = 1000
_LIDAR_COLUMNS = 4


class KittiRaw(PublishedDataset):
    """Frames of KITTI raw, of camera 2 unless a list says otherwise.

    Depth is the improved ground truth where it is there, else the sweep's points projected, of each pixel the
    nearest: of ``eigen_test`` always the sweep, as in papers that report 697 frames, of
    ``eigen_test_improved`` always the improved one, which 652 of them have. Public code for the first shifts
    points by one pixel, this does not.
    """

    title = "KITTI raw"
    url = "https://www.cvlibs.net/datasets/kitti/raw_data.php"
    licence = kitti.KITTI_LICENCE
    layout = (
        "2011_09_26/calib_cam_to_cam.txt and 2011_09_26/2011_09_26_drive_0001_sync/image_02/data, with "
        "velodyne_points or data_depth_annotated"
    )
    splits = ("all", *_LISTS, "eigen_test_eigen_crop", "eigen_test_improved")
    takes_lists: ClassVar[bool] = True
    limits_m = (1e-3, 80.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has days of recording with a calibration of cameras."""
        return any(each.parent.is_dir() for each in path.glob(f"????_??_??/{kitti.CAM_TO_CAM}"))

    @property
    def has_one_rig(self) -> bool:
        """Whether all frames are of one drive and camera."""
        return super().has_one_rig and len({item.files["image"].parent for item in self._items}) == 1

    def evaluated(self, frame: Frame) -> BoolArray | None:
        """Crop of Garg et al. for Eigen's splits, Eigen's own for ``eigen_test_eigen_crop``; else none."""
        if not self.split.startswith("eigen_") or self.split not in self.splits:
            return None
        crop = kitti.eigen_crop if self.split == "eigen_test_eigen_crop" else kitti.garg_crop
        return crop(*frame.image.shape[:2])

    def has_depth(self, index: int, *, or_points: bool = False) -> bool:
        """Whether the frame has a sweep or improved ground truth."""
        files = self._items[index].files
        return "depth" in files or files["lidar"].exists()

    # ---- frames ------------------------------------------------------------------------------

    def list_items(self) -> list[Item]:
        """All frames, or those of a list that have what the split needs."""
        self._drives: dict[Path, _Drive] = {}
        if self.split == "all":
            found = [
                self._item(drive, "02", path.stem)
                for drive in self._all_drives()
                for path in named(drive / "image_02/data", self._drive(drive).suffix)
            ]
        else:
            found = list(map(self._listed, read_lines(self._list(), "a frame a line")))
        return [item for item in found if "depth" in item.files or self.split != "eigen_test_improved"]

    def _all_drives(self) -> list[Path]:
        return [
            drive for day in folders(self.path) for drive in folders(day) if kitti.DRIVE.match(drive.name)
        ]

    def _list(self) -> Path:
        if self.split not in self.splits:
            return Path(self.split)
        names = next(names for split, names in _LISTS.items() if self.split.startswith(split))
        found = first_that_exists(*(self.path / place / name for place in _PLACES for name in names))
        if found is None:
            raise InputError(
                f"{self.path}: no list of {self.split}; needed one of {', '.join(names)} there or in "
                f"splits/eigen. Copy it from a public repository, or name it: kitti_raw@LIST:{self.path}."
            )
        return found

    def _listed(self, line: str) -> Item:
        drive, frame = kitti.DRIVE.search(line[:_LONGEST_LINE]), _LINE.search(line[:_LONGEST_LINE])
        if drive is None or frame is None:
            raise InputError(
                f"{self._list()}: {line[:80]!r}; needed DAY/DRIVE/image_02/data/N.png, or DAY/DRIVE N l."
            )
        camera = frame[1] or _SIDES[frame[4]]
        return self._item(self.path / drive[1] / drive[0], camera, (frame[2] or frame[3]).zfill(10))

    def _item(self, path: Path, camera: str, name: str) -> Item:
        drive = self._drive(path)
        files = {
            "image": path / f"image_{camera}/data/{name}{drive.suffix}",
            "lidar": path / f"velodyne_points/data/{name}.bin",
            "oxts": path / f"oxts/data/{name}.txt",
        }
        if drive.improved is not None and self.split not in ("eigen_test", "eigen_test_eigen_crop"):
            depth = drive.improved / f"image_{camera}" / f"{name}.png"
            files |= {"depth": depth} if depth.exists() else {}
        return Item(f"{path.name}_{camera}_{name}", path.name, files, drive.stamp_ns(camera, int(name)))

    def _drive(self, path: Path) -> _Drive:
        if path not in self._drives:
            roots = [self.path / "data_depth_annotated", self.path.parent / "data_depth_annotated", self.path]
            parts = [root / part / path.name / _IMPROVED for root in roots for part in ("train", "val")]
            self._drives[path] = _Drive(path, first_that_exists(path / _IMPROVED, *parts))
        return self._drives[path]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame, with its sweep, and its pose where GPS is there."""
        path = item.files["image"]
        drive, camera = path.parents[2], path.parents[1].name[-2:]
        image = read_image(path)
        rig = kitti.read_rig(drive.parent, camera, image)
        points = None
        if rig.T_camera_lidar is not None and item.files["lidar"].exists():
            points = read_points(item.files["lidar"], _LIDAR_COLUMNS)
        depth = None
        if "depth" in item.files:
            depth = kitti.read_depth_png(item.files["depth"], image)
        elif points is not None and rig.T_camera_lidar is not None:
            depth = projected_depth(transform_points(rig.T_camera_lidar, points), rig.camera)
        return Frame(
            item.id,
            stamp_ns,
            image,
            rig.camera,
            depth,
            points,
            None if points is None else rig.T_camera_lidar,
            self._pose(item, drive, rig.T_camera_lidar),
            depth_is_sweep=depth is not None and "depth" not in item.files,
        )

    def _pose(self, item: Item, drive: Path, T_camera_lidar: FloatArray | None) -> FloatArray | None:
        calibration, origin = drive.parent / kitti.IMU_TO_VELO, self._drive(drive).origin
        if T_camera_lidar is None or origin is None or not calibration.exists():
            return None
        T_world_imu = kitti.read_pose(item.files["oxts"], kitti.read_oxts(origin))
        return T_world_imu @ np.linalg.inv(T_camera_lidar @ kitti.read_transform(calibration))


class _Drive:
    """What is known of a drive before its frames are read.

    Attributes:
        improved: folder with improved ground truth; None: none.
        suffix: of its pictures, which some convert to JPEG.
        origin: its first pose; None: none.
    """

    def __init__(self, path: Path, improved: Path | None) -> None:
        pictures = named(path / "image_02/data", "g")
        self.improved = improved
        self.suffix = pictures[0].suffix if pictures else ".png"
        self.origin = next(iter(named(path / "oxts/data", ".txt")), None)
        times = {camera: path / f"image_{camera}/timestamps.txt" for camera in _SIDES.values()}
        self._stamps = {camera: kitti.read_stamps(each) for camera, each in times.items() if each.exists()}

    def stamp_ns(self, camera: str, number: int) -> int | None:
        """Time of a frame, ns; None: not told."""
        stamps = self._stamps.get(camera, [])
        return stamps[number] if number < len(stamps) else None

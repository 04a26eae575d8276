"""ScanNet (Dai et al., CVPR 2017): scans of rooms, as .sens files or exported by SensReader."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    read_depth,
    read_image,
    read_lines,
    read_numbers,
)
from metric_depth_ros.datasets.sens_file import SensFile, SensFrame
from metric_depth_ros.types import FloatArray, ImageArray

_BELOW = ("", "scans", "scans_test")


class ScanNet(PublishedDataset):
    """Frames at the size of the depth camera, to which the colour image is resized."""

    title = "ScanNet"
    url = "http://www.scan-net.org"
    licence = "ScanNet Terms of Use, non-commercial; see the site"
    layout = (
        "scans/sceneNNNN_NN/ with NAME.sens, or color, depth, pose and intrinsic; for train, val and test "
        "scannetv2_train.txt, scannetv2_val.txt, scannetv2_test.txt"
    )
    splits = ("all", "train", "val", "test")
    limits_m = (1e-3, 10.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is a .sens file or a scan, or holds scans."""
        return path.suffix == ".sens" or any(map(_is_scan, _scans(path)))

    def list_items(self) -> list[Item]:
        """All frames of the split, by scan and number."""
        self._files: dict[Path, SensFile] = {}
        if self.path.suffix == ".sens":
            return self._of_sens(self.path)
        scans = [scan for scan in _scans(self.path) if _is_scan(scan)]
        if self.split != "all":
            chosen = self._chosen()
            scans = [scan for scan in scans if scan.name in chosen]
        return [item for scan in scans for item in self._items_of(scan)]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame; no pose where tracking was lost."""
        path = item.files["from"]
        if path.suffix == ".sens":
            file = self._file(path)
            (image, depth, pose), K = file.frame(item.entry), file.K
        else:
            (image, depth, pose), path = _exported(path, item.entry), path / "intrinsic/intrinsic_depth.txt"
            K = read_numbers(path, 4, 4)
        image = _resized(image, depth)
        return Frame(
            item.id,
            stamp_ns,
            image,
            camera_of(image, (K[0, 0], K[1, 1], K[0, 2], K[1, 2]), path),
            depth=depth,
            T_world_camera=pose if np.isfinite(pose).all() else None,
        )

    def _items_of(self, scan: Path) -> list[Item]:
        stems = [image.stem for image in (scan / "color").glob("*.jpg")]
        numbers = sorted(int(stem) for stem in stems if stem.isdecimal())
        if not numbers:
            return [item for file in sorted(scan.glob("*.sens")) for item in self._of_sens(file)]
        return _items(scan, scan.name, numbers)

    def _of_sens(self, path: Path) -> list[Item]:
        return _items(path, path.stem, range(len(self._file(path))))

    def _file(self, path: Path) -> SensFile:
        if path not in self._files:
            self._files[path] = SensFile(path)
        return self._files[path]

    def _chosen(self) -> set[str]:
        """Names of the scans of the split."""
        path = self.path / f"scannetv2_{self.split}.txt"
        return set(read_lines(path, "a list of scans"))


def _scans(path: Path) -> list[Path]:
    """The path and the folders of scans below it."""
    return [path, *(scan for below in _BELOW for scan in sorted((path / below).glob("scene*")))]


def _is_scan(path: Path) -> bool:
    exported = all((path / name).is_dir() for name in ("color", "depth", "intrinsic"))
    return exported or any(path.glob("*.sens"))


def _items(source: Path, name: str, numbers: Iterable[int]) -> list[Item]:
    files = {"from": source}  # shared: there are millions of frames
    return [Item(f"{name}/{number}", name, files, entry=number) for number in numbers]


def _exported(scan: Path, number: int) -> SensFrame:
    depth = read_depth(scan / f"depth/{number}.png", per_metre=1000)
    return SensFrame(read_image(scan / f"color/{number}.jpg"), depth, _pose(scan / f"pose/{number}.txt"))


def _pose(path: Path) -> FloatArray:
    """T_world_camera (4, 4) of a text; NaN where tracking was lost, of which it says -inf."""
    if any("inf" in line or "nan" in line for line in read_lines(path, "4x4 numbers")):
        return np.full((4, 4), np.nan)
    return read_numbers(path, 4, 4)


def _resized(image: ImageArray, depth: FloatArray) -> ImageArray:
    height, width = depth.shape
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

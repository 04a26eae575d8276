"""VOID (Wong et al., RA-L 2020): RealSense images with points of a visual-inertial odometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    listed_file,
    read_codes,
    read_depth,
    read_image,
    read_lines,
    read_numbers,
)
from metric_depth_ros.stamps import to_ns
from metric_depth_ros.types import FloatArray

_PER_METRE = 256
# Densities of the sparse depth, the default first.
_FOLDERS = ("void_1500", "void_500", "void_150")
_LAST_S = 9e9


class Void(PublishedDataset):
    """Frames of one density, 150, 500 or 1500 points: that of the path, else the densest below it."""

    title = "VOID"
    url = "https://github.com/alexklwong/void-dataset"
    licence = "UC Regents, research purposes only; see the site"
    layout = "void_1500, void_500 or void_150 with test_image.txt, train_image.txt and data/SEQUENCE/"
    splits = ("test", "train")
    limits_m = (0.2, 5.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is the folder of a density, or holds one."""
        return any((folder / "test_sparse_depth.txt").exists() for folder in _folders(path))

    def list_items(self) -> list[Item]:
        """All frames of the official list."""
        name = f"{self.split}_image.txt"
        folder = next((folder for folder in _folders(self.path) if (folder / name).exists()), None)
        if folder is None:
            raise self.missing(f"no {name}")
        return [
            _item(folder, line, folder / name) for line in read_lines(folder / name, "a list of pictures")
        ]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame; sparse depth only where the validity map is not 0."""
        files = item.files
        image = read_image(files["image"])
        shape = image.shape[:2]
        valid = read_codes(files["validity_map"], shape) > 0
        K = read_numbers(files["K"], 3, 3)
        pose = files["absolute_pose"]
        return Frame(
            item.id,
            stamp_ns,
            image,
            camera_of(image, (K[0, 0], K[1, 1], K[0, 2], K[1, 2]), files["K"]),
            depth=read_depth(files["ground_truth"], shape, per_metre=_PER_METRE),
            sparse_depth=known_depth(read_depth(files["sparse_depth"], shape, per_metre=_PER_METRE), valid),
            T_world_camera=_pose(pose) if pose.exists() else None,
        )


def _folders(path: Path) -> list[Path]:
    return [path, *(path / name for name in _FOLDERS)]


def _item(folder: Path, line: str, path: Path) -> Item:
    """Item of a line like void_1500/data/SEQUENCE/image/STAMP.png, wherever the list says the root is."""
    name, stem = "/".join(line.split("/")[-3:]).lstrip("/"), Path(line).stem
    sequence = listed_file(folder / "data", name, path).parents[1]
    parts = ("image", "sparse_depth", "validity_map", "ground_truth")
    files = {part: sequence / part / f"{stem}.png" for part in parts}
    files |= {"absolute_pose": sequence / "absolute_pose" / f"{stem}.txt", "K": sequence / "K.txt"}
    return Item(f"{sequence.name}/{stem}", sequence.name, files, _stamp_ns(stem))


def _stamp_ns(text: str) -> int | None:
    try:
        return to_ns(float(text)) if 0 <= float(text) < _LAST_S else None
    except ValueError:
        return None


def _pose(path: Path) -> FloatArray:
    return np.vstack([read_numbers(path, 3, 4), [0, 0, 0, 1]])

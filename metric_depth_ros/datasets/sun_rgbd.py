"""SUN RGB-D (Song et al., CVPR 2015): four depth cameras, from one folder for each picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.matlab_file import read_matlab
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    read_codes,
    read_image,
    read_numbers,
    with_shape,
)
from metric_depth_ros.errors import InputError
from metric_depth_ros.label_images import compact
from metric_depth_ros.types import Array, FloatArray, IntArray

_SENSORS = ("kv1", "kv2", "realsense", "xtion")
_TOOLBOX = "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"
_DEEPEST = 6  # folders between SUNRGBD and a picture's


class SunRgbd(PublishedDataset):
    """Frames of the folder SUNRGBD; depth as its authors filled it (depth_bfx), else as measured (depth)."""

    title = "SUN RGB-D"
    url = "https://rgbd.cs.princeton.edu"
    licence = "see the site"
    layout = (
        f"SUNRGBD with {', '.join(_SENSORS)}; for test (5050) and train (5285) allsplit.mat of SUNRGBDtoolbox"
    )
    splits = ("test", "train", "all")
    limits_m = (0.1, 10.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is SUNRGBD or holds it."""
        return _root(path) is not None

    def list_items(self) -> list[Item]:
        """All frames of the split: of the official file, or of the whole tree by name."""
        root = _root(self.path)
        if root is None:
            raise self.missing("no folder of a sensor")
        if self.split == "all":
            return [_item(root, folder) for folder in _folders(str(root))]
        return [_item(root, root / name) for name in self._listed(root)]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame; regions are the objects of seg.mat, those without a label together."""
        folder = item.files["folder"]
        image = read_image(_only(folder / "image", ".jpg"))
        filled = folder / "depth_bfx"
        path = _only(filled if filled.is_dir() else folder / "depth", ".png")
        K, labels = read_numbers(folder / "intrinsics.txt", 3, 3), folder / "seg.mat"
        return Frame(
            item.id,
            stamp_ns,
            image,
            camera_of(image, (K[0, 0], K[1, 1], K[0, 2], K[1, 2]), folder / "intrinsics.txt"),
            depth=_depth(read_codes(path, image.shape[:2]), path),
            regions=_regions(labels, image.shape[:2]) if labels.exists() else None,
        )

    def _listed(self, root: Path) -> list[str]:
        """Folders of the split below the root."""
        places = (root, root.parent, root.parent.parent)
        found = [place / name for place in places for name in (_TOOLBOX, "allsplit.mat")]
        path = next((path for path in found if path.exists()), None)
        if path is None:
            raise self.missing("no allsplit.mat")
        [cells] = read_matlab(path, f"all{self.split}")
        names = cells if isinstance(cells, list) else [""]
        inside = [str(name).strip("/").rpartition("SUNRGBD/")[2] for name in names]
        if not all(name and ".." not in Path(name).parts for name in inside):
            raise InputError(f"{path}: all{self.split} holds something else; needed folders of SUNRGBD.")
        return inside


def _root(path: Path) -> Path | None:
    below = (path, path / "SUNRGBD")
    return next((root for root in below if any((root / name).is_dir() for name in _SENSORS)), None)


def _folders(root: str, depth: int = 0) -> Iterator[Path]:
    """Folders with intrinsics.txt, by name; nothing is looked for below one."""
    try:
        with os.scandir(root) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    if any(entry.name == "intrinsics.txt" for entry in found):
        yield Path(root)
    elif depth < _DEEPEST:
        for entry in found:
            if entry.is_dir():
                yield from _folders(entry.path, depth + 1)


def _item(root: Path, folder: Path) -> Item:
    name = folder.relative_to(root).as_posix()
    return Item(name, folder.parent.relative_to(root).as_posix(), {"folder": folder})


def _only(folder: Path, suffix: str) -> Path:
    """The one file of a folder, whose name is not told elsewhere."""
    found = sorted(folder.glob(f"*{suffix}"))
    if not found:
        raise InputError(f"{folder}: is missing, or holds no picture; needed one *{suffix}.")
    return found[0]


def _depth(codes: Array, path: Path) -> FloatArray:
    """Depth of codes whose bits are rotated by three: millimetres, to the left."""
    if codes.dtype != np.uint16:
        raise InputError(f"{path}: a picture of {codes.dtype.name}; needed depth in 16 bits.")
    return known_depth(((codes >> 3) | (codes << 13)) / np.float32(1000))


def _regions(path: Path, shape: tuple[int, ...]) -> IntArray:
    [labels] = read_matlab(path, "seglabel")
    if not isinstance(labels, np.ndarray):
        raise InputError(f"{path}: seglabel holds no numbers; needed a label for each pixel.")
    return compact(np.nan_to_num(with_shape(labels, shape, path)).astype(np.int64))

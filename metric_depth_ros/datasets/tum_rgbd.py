"""TUM RGB-D (Sturm et al., IROS 2012): Kinect sequences with poses of a motion capture system."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    listed_file,
    numbers_of,
    read_depth,
    read_image,
    read_lines,
    read_table,
)
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.stamps import to_ns
from metric_depth_ros.types import Camera, FloatArray, ImageArray

_PER_METRE = 5000
_LONGEST_S = 0.02  # between an image and its depth or pose, as in the authors' associate.py
_MOST_NEAR = 100  # depth images within that time of an image
# fx, fy, cx, cy and the lens of the colour camera, by what the folder is called (file_formats of the site).
_CAMERAS = {
    "freiburg1": ((517.3, 516.5, 318.6, 255.3), (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "freiburg2": ((520.9, 521.0, 325.1, 249.7), (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "freiburg3": ((535.4, 539.2, 320.1, 247.6), ()),
}
_OTHER: tuple[tuple[float, ...], tuple[float, ...]] = ((525.0, 525.0, 319.5, 239.5), ())
_LISTS = ("rgb.txt", "depth.txt")


class TumRgbd(PublishedDataset):
    """Images with the depth nearest in time, of one sequence or of a folder of some."""

    title = "TUM RGB-D"
    url = "https://cvg.cit.tum.de/data/datasets/rgbd-dataset"
    licence = "CC BY 4.0"
    layout = "rgbd_dataset_freiburgN_NAME/ with rgb.txt, depth.txt and groundtruth.txt"
    limits_m = (0.1, 10.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is a sequence, or holds some."""
        return bool(_sequences(path))

    def list_items(self) -> list[Item]:
        """All images that have depth, in time."""
        self._poses: dict[Path, FloatArray] = {}
        return [item for sequence in _sequences(self.path) for item in _items(sequence)]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One image; the pose is the nearest in time, if there is one within 20 ms."""
        image = read_image(item.files["image"])
        sequence = item.files["sequence"]
        return Frame(
            item.id,
            stamp_ns,
            image,
            _camera(image, sequence),
            depth=read_depth(item.files["depth"], image.shape[:2], per_metre=_PER_METRE),
            T_world_camera=self._pose(sequence / "groundtruth.txt", stamp_ns / 1e9),
        )

    def _pose(self, path: Path, stamp_s: float) -> FloatArray | None:
        if path not in self._poses:
            self._poses[path] = read_table(path, 8) if path.exists() else np.empty((0, 8))
        known = self._poses[path]
        if not len(known):
            return None
        nearest = known[np.abs(known[:, 0] - stamp_s).argmin()]
        if abs(nearest[0] - stamp_s) > _LONGEST_S:
            return None
        try:
            return rigid_transform(nearest[1:4], nearest[4:])
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _sequences(path: Path) -> list[Path]:
    folders = [path, *sorted(path.glob("*"))]
    return [folder for folder in folders if all((folder / name).exists() for name in _LISTS)]


def _items(sequence: Path) -> list[Item]:
    (times, images), (depth_times, depths) = (_stamped(sequence / name) for name in _LISTS)
    pairs = _associated(times, depth_times)
    return [
        Item(
            f"{sequence.name}/{images[i].stem}",
            sequence.name,
            {"image": images[i], "depth": depths[j], "sequence": sequence},
            to_ns(float(times[i])),
        )
        for i, j in pairs
    ]


def _stamped(path: Path) -> tuple[FloatArray, list[Path]]:
    """Times (N,) and files of a list with both in each line."""
    rows = [line.split() for line in read_lines(path, "times and files") if not line.startswith("#")]
    if any(len(row) != 2 for row in rows):
        raise InputError(f"{path}: a line without a time and a file; needed both.")
    times = numbers_of(" ".join(row[0] for row in rows), path)
    if (np.abs(times) > 9e9).any():
        raise InputError(f"{path}: a time of {np.abs(times).max():g}; needed seconds.")
    return times, [listed_file(path.parent, row[1], path) for row in rows]


def _associated(times: FloatArray, others: FloatArray) -> list[tuple[int, int]]:
    """Pairs of indices within 20 ms, each in one pair alone, the closest first; in the order of ``times``."""
    order = np.argsort(others, kind="stable")
    first = np.searchsorted(others[order], times - _LONGEST_S)
    last = np.minimum(np.searchsorted(others[order], times + _LONGEST_S, side="right"), first + _MOST_NEAR)
    near = [(i, int(j)) for i in range(len(times)) for j in order[first[i] : last[i]]]
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for i, j in sorted(near, key=lambda pair: abs(times[pair[0]] - others[pair[1]])):
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return sorted(pairs.items())


def _camera(image: ImageArray, sequence: Path) -> Camera:
    intrinsics, lens = next((_CAMERAS[key] for key in _CAMERAS if key in sequence.name), _OTHER)
    return camera_of(image, intrinsics, sequence, "plumb_bob" if lens else "none", lens)

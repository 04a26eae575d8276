"""iBims-1 (Koch et al., ECCV workshops 2018): 100 interiors with laser depth and masks of planes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.matlab_file import matlab_fields, read_matlab
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    read_codes,
    read_depth,
    read_image,
    read_lines,
    read_numbers,
    with_shape,
)
from metric_depth_ros.errors import InputError
from metric_depth_ros.label_images import compact
from metric_depth_ros.types import Array, FloatArray

_FOLDERS, _LIST = ("ibims1_core_mat", "ibims1_core_raw"), "imagelist.txt"
_VALID, _PLANES = ("mask_invalid", "mask_transp"), ("mask_wall", "mask_table", "mask_floor")
_PER_METRE = 65535 / 50  # of the pictures of depth
_FIRST = np.array([0, 0, 1, 1])  # of fx, fy, cx, cy: MATLAB's pixels count from 1


class _Parts(NamedTuple):
    """What both forms hold of a picture: image (H, W, 3), calibration, and (H, W) of the others."""

    image: Array
    intrinsics: FloatArray
    depth: Array
    valid: list[Array]
    planes: list[Array]


class Ibims(PublishedDataset):
    """Frames of the .mat files or of pictures; no depth where it is invalid or the surface transparent."""

    title = "iBims-1"
    url = "https://www.asg.ed.tum.de/lmf/ibims1/"
    licence = "see the site"
    layout = (
        "ibims1_core_mat with a NAME.mat for each picture, or ibims1_core_raw with rgb, depth, calib, masks"
    )
    splits = ("test",)
    limits_m = (1e-3, 10.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is the folder of the .mat files or of the pictures, or holds one."""
        return any(path.name == name or (path / name).is_dir() for name in _FOLDERS)

    def list_items(self) -> list[Item]:
        """All pictures, in the order of imagelist.txt if there is one."""
        below = (self.path / name for name in _FOLDERS)
        folder = next((each for each in below if each.is_dir()), self.path)
        listed = next((at / _LIST for at in (folder, folder.parent) if (at / _LIST).exists()), None)
        names = [Path(line).name for line in read_lines(listed, "names of pictures")] if listed else []
        found = sorted(path.stem for path in (*folder.glob("*.mat"), *folder.glob("rgb/*.png")))
        return [Item(name, name, {"folder": folder}) for name in names or found]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One picture; regions are the planes of wall, table and floor, and the rest together."""
        folder = item.files["folder"]
        raw = (folder / "rgb").is_dir()
        path = folder / (f"rgb/{item.id}.png" if raw else f"{item.id}.mat")
        image, intrinsics, depth, valid, planes = _read_raw(folder, item.id) if raw else _read_mat(path)
        return Frame(
            item.id,
            stamp_ns,
            np.ascontiguousarray(image),
            camera_of(image, intrinsics, path),
            depth=known_depth(depth, (valid[0] != 0) & (valid[1] != 0)),
            regions=compact(_labels(planes)),
        )


def _read_mat(path: Path) -> _Parts:
    [record] = read_matlab(path, "data")
    image, calibration = matlab_fields(record, path, "rgb", "calib")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"{path}: rgb of {image.dtype}, {image.shape}; needed RGB of 8 bits.")
    arrays = matlab_fields(record, path, "depth", *_VALID, *_PLANES)
    depth, *masks = (with_shape(array, image.shape[:2], path) for array in arrays)
    return _Parts(image, _intrinsics(calibration, path), depth, masks[:2], masks[2:])


def _read_raw(folder: Path, name: str) -> _Parts:
    image = read_image(folder / f"rgb/{name}.png")
    shape = image.shape[:2]
    depth = read_depth(folder / f"depth/{name}.png", shape, per_metre=_PER_METRE)
    valid = [read_codes(folder / part / f"{name}.png", shape) for part in _VALID]
    paths = [folder / part / f"{name}.png" for part in _PLANES]
    planes = [read_codes(path, shape) if path.exists() else np.zeros(shape, int) for path in paths]
    intrinsics = read_numbers(folder / f"calib/{name}.txt", 4)
    return _Parts(image, intrinsics - _FIRST, depth, valid, planes)


def _labels(planes: list[Array]) -> Array:
    """A label for each plane of each kind."""
    kinds = [np.nan_to_num(plane).astype(np.int64) for plane in planes]
    return kinds[0] + 1000 * kinds[1] + 1_000_000 * kinds[2]


def _intrinsics(calibration: Array, path: Path) -> FloatArray:
    """fx, fy, cx, cy of a matrix as MATLAB has it: transposed."""
    K = np.asarray(calibration, np.float64)
    if K.shape != (3, 3):
        raise InputError(f"{path}: calib of shape {K.shape}; needed 3x3.")
    K = K if K[2, 0] == K[2, 1] == 0 else K.T
    return np.asarray(np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2]]) - _FIRST)

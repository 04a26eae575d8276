"""iBims-1 (Koch et al., ECCV workshops 2018): 100 interiors with laser depth and masks of planes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.matlab_file import matlab_fields, read_matlab
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import camera_of, known_depth, read_lines, with_shape
from metric_depth_ros.errors import InputError
from metric_depth_ros.label_images import compact
from metric_depth_ros.types import Array, FloatArray

_FOLDER, _LIST = "ibims1_core_mat", "imagelist.txt"
_PLANES = ("mask_wall", "mask_table", "mask_floor")
_VALID = ("mask_invalid", "mask_transp")


class Ibims(PublishedDataset):
    """Frames of the .mat files; no depth where it is invalid or the surface transparent."""

    title = "iBims-1"
    url = "https://www.asg.ed.tum.de/lmf/ibims1/"
    licence = "see the site"
    layout = f"{_FOLDER} with a NAME.mat for each picture"
    splits = ("test",)
    limits_m = (1e-3, 10.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is the folder of the .mat files, or holds it."""
        return path.name == _FOLDER or (path / _FOLDER).is_dir()

    def list_items(self) -> list[Item]:
        """All pictures, in the order of imagelist.txt if there is one."""
        folder = self.path / _FOLDER if (self.path / _FOLDER).is_dir() else self.path
        listed = next((at / _LIST for at in (folder, folder.parent) if (at / _LIST).exists()), None)
        names = read_lines(listed, "names of pictures") if listed else []
        names = [Path(name).name for name in names] or sorted(path.stem for path in folder.glob("*.mat"))
        return [Item(name, name, {"mat": folder / f"{name}.mat"}) for name in names]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One picture; regions are the planes of wall, table and floor, and the rest together."""
        path = item.files["mat"]
        [record] = read_matlab(path, "data")
        image, calibration = matlab_fields(record, path, "rgb", "calib")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(f"{path}: rgb of {image.dtype}, {image.shape}; needed RGB of 8 bits.")
        arrays = matlab_fields(record, path, "depth", *_VALID, *_PLANES)
        depth, invalid, transparent, *planes = (with_shape(a, image.shape[:2], path) for a in arrays)
        return Frame(
            item.id,
            stamp_ns,
            np.ascontiguousarray(image),
            camera_of(image, _intrinsics(calibration, path), path),
            depth=known_depth(depth, (invalid != 0) & (transparent != 0)),
            regions=compact(_labels(planes)),
        )


def _labels(planes: list[Array]) -> Array:
    """A label for each plane of each kind."""
    kinds = [np.nan_to_num(plane).astype(np.int64) for plane in planes]
    return kinds[0] + 1000 * kinds[1] + 1_000_000 * kinds[2]


def _intrinsics(calibration: Array, path: Path) -> FloatArray:
    """fx, fy, cx, cy of a matrix as MATLAB has it: transposed, with pixels that count from 1."""
    K = np.asarray(calibration, np.float64)
    if K.shape != (3, 3):
        raise InputError(f"{path}: calib of shape {K.shape}; needed 3x3.")
    K = K if K[2, 0] == K[2, 1] == 0 else K.T
    return np.array([K[0, 0], K[1, 1], K[0, 2] - 1, K[1, 2] - 1])

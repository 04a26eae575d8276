"""ETH3D high-resolution multi-view (Schoeps et al., CVPR 2017): DSLR images with laser depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    numbers_of,
    read_bytes,
    read_image,
    read_lines,
)
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.types import Camera, FloatArray, ImageArray

_IMAGES, _DEPTH, _CALIBRATION = "images/dslr_images", "ground_truth_depth/dslr_images", "dslr_calibration_jpg"
# Parameters of COLMAP's camera models that are read, fx, fy, cx, cy first.
_PARAMETERS = {"PINHOLE": 4, "THIN_PRISM_FISHEYE": 12}


class _View(NamedTuple):
    """Model and parameters of an image's camera, and the pose.

    Attributes:
        values: fx, fy, cx, cy, and the model's own; (0, 0) is the corner of the first pixel.
        T_world_camera: (4, 4).
    """

    model: str
    values: FloatArray
    T_world_camera: FloatArray


class Eth3d(PublishedDataset):
    """Images with ground truth of the training scenes.

    Of the lens (THIN_PRISM_FISHEYE) the radial part is kept, as an equidistant camera; the tangential and
    prism terms, of about a pixel, are left out.
    """

    title = "ETH3D"
    url = "https://www.eth3d.net/datasets"
    licence = "CC BY-NC-SA 4.0"
    layout = f"SCENE/ with {_IMAGES}, {_DEPTH} and {_CALIBRATION} (cameras.txt, images.txt)"

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is a scene, or holds some."""
        return any(any(path.glob(f"{below}{_DEPTH}")) for below in ("", "*/"))

    def list_items(self) -> list[Item]:
        """All images of the scenes with depth, by scene and name."""
        self._views: dict[Path, dict[str, _View]] = {}
        scenes = [self.path] if (self.path / _DEPTH).is_dir() else sorted(self.path.glob("*"))
        return [_item(scene, image) for scene in scenes for image in _images(scene)]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One image; depth is float32 row by row, infinite where there is none."""
        path = item.files["image"]
        image = read_image(path)
        scene = path.parents[2]
        if scene not in self._views:
            self._views[scene] = _read_views(scene / _CALIBRATION)
        view = self._views[scene].get(path.name)
        if view is None:
            raise InputError(f"{scene / _CALIBRATION / 'images.txt'}: no {path.name}; needed its pose.")
        return Frame(
            item.id,
            stamp_ns,
            image,
            _camera(image, view, scene / _CALIBRATION / "cameras.txt"),
            depth=_read_depth(item.files["depth"], image.shape[:2]),
            T_world_camera=view.T_world_camera,
        )


def _images(scene: Path) -> list[Path]:
    return sorted((scene / _IMAGES).glob("*")) if (scene / _DEPTH).is_dir() else []


def _item(scene: Path, image: Path) -> Item:
    files = {"image": image, "depth": scene / _DEPTH / image.name}
    return Item(f"{scene.name}/{image.stem}", scene.name, files)


def _read_depth(path: Path, shape: tuple[int, ...]) -> FloatArray:
    data = read_bytes(path, "depth in float32")
    if len(data) != 4 * shape[0] * shape[1]:
        raise InputError(
            f"{path}: {len(data)} bytes; needed {shape[1]}x{shape[0]} float32, as the image has."
        )
    return known_depth(np.frombuffer(data, "<f4").reshape(shape))


def _read_views(folder: Path) -> dict[str, _View]:
    """Views by the names of the images."""
    cameras = {}
    path = folder / "cameras.txt"
    for words in _rows(path):
        model = words[1] if len(words) > 1 else ""
        values = numbers_of(" ".join(words[4:]), path)
        if values.size != _PARAMETERS.get(model, -1):
            raise InputError(f"{path}: {values.size} parameters of {model!r}; known are {_PARAMETERS}.")
        cameras[words[0]] = model, values
    path, views = folder / "images.txt", {}
    for words in _rows(path):
        if len(words) == 10:  # of each image; the rows between have three words for each point
            if words[8] not in cameras:
                raise InputError(f"{path}: no camera {words[8]!r} in cameras.txt; needed one.")
            views[Path(words[9]).name] = _View(*cameras[words[8]], _pose(words[1:8], path))
    return views


def _rows(path: Path) -> list[list[str]]:
    return [line.split() for line in read_lines(path, "a text of COLMAP") if not line.startswith("#")]


def _pose(words: Sequence[str], path: Path) -> FloatArray:
    """T_world_camera from the quaternion w, x, y, z and translation of T_camera_world."""
    w, x, y, z, *translation = numbers_of(" ".join(words), path)
    try:
        return np.asarray(np.linalg.inv(rigid_transform(translation, [x, y, z, w])))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _camera(image: ImageArray, view: _View, path: Path) -> Camera:
    fx, fy, cx, cy, *lens = view.values
    intrinsics = (fx, fy, cx - 0.5, cy - 0.5)
    if view.model == "PINHOLE":
        return camera_of(image, intrinsics, path)
    k1, k2, _, _, k3, k4, _, _ = lens
    return camera_of(image, intrinsics, path, "equidistant", (k1, k2, k3, k4))

"""C3VD (Bobrow et al., Medical Image Analysis 2023): a colonoscope in silicone models of known shape."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import known_depth, read_codes, read_image, read_table
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import resize_camera
from metric_depth_ros.types import Camera, FloatArray, ImageArray

_FARTHEST_M, _LARGEST = 0.1, 65535
# Omnidirectional calibration (Scaramuzza et al., IROS 2006) of the colonoscope, of the authors' loader:
# size, principal point, and z of the ray at a radius of r pixels, z = a0 + a2 r^2 + a3 r^3 + a4 r^4.
_SIZE, _CENTRE = (1350, 1080), (678.544839263292, 542.975887548343)
_Z = (-1.19662182144280e-09, 6.25674244578925e-07, -0.000812770624150226, 0.0, 769.243600037458)
_WIDEST = 800  # pixels from the centre, to which the lens is fitted


class C3vd(PublishedDataset):
    """Frames of the registered videos; depth beyond 100 mm is unknown.

    The omnidirectional camera is fitted by an equidistant one, to a quarter of a pixel along the radius; its
    affine part, a roll of 0.2 degrees, is left out.
    """

    title = "C3VD"
    url = "https://durrlab.github.io/C3VD"
    licence = "CC BY-NC-SA 4.0, see the site"
    layout = "VIDEO/ with 0000_color.png, 0000_depth.tiff and pose.txt"
    limits_m = (1e-3, _FARTHEST_M)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is a video, or holds some."""
        return any(any(path.glob(f"{below}*_depth.tiff")) for below in ("", "*/"))

    def list_items(self) -> list[Item]:
        """All frames by video and number."""
        self._poses: dict[Path, FloatArray] = {}
        videos = [self.path, *sorted(self.path.glob("*"))]
        return [item for video in videos for item in _items(video)]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame."""
        image = read_image(item.files["image"])
        path = item.files["depth"]
        codes = read_codes(path, image.shape[:2])
        if codes.dtype != np.uint16:
            raise InputError(f"{path}: a picture of {codes.dtype.name}; needed depth in 16 bits.")
        depth = codes * np.float32(_FARTHEST_M / _LARGEST)
        return Frame(
            item.id,
            stamp_ns,
            image,
            _camera(image),
            depth=known_depth(depth, codes < _LARGEST),
            T_world_camera=self._pose(item),
        )

    def _pose(self, item: Item) -> FloatArray | None:
        """T_world_camera; a row of pose.txt has it for row vectors, in millimetres."""
        path = item.files["poses"]
        if path not in self._poses:
            self._poses[path] = read_table(path, 16) if path.exists() else np.empty((0, 16))
        known = self._poses[path]
        if not 0 <= item.entry < len(known):
            return None
        T: FloatArray = known[item.entry].reshape(4, 4).T.copy()
        T[:3, 3] /= 1000
        return T


def _items(video: Path) -> list[Item]:
    """Frames of a video by number, whose pictures can have another number of digits."""
    depths = {_number(path): path for path in video.glob("*_depth.tiff")}
    images = {_number(path): path for path in video.glob("*_color.png")} if depths else {}
    return [
        Item(
            f"{video.name}/{number:04d}",
            video.name,
            {
                "image": images.get(number, video / f"{number:04d}_color.png"),
                "depth": depths.get(number, video / f"{number:04d}_depth.tiff"),
                "poses": video / "pose.txt",
            },
            entry=number,
        )
        for number in sorted(images | depths)
    ]


def _number(path: Path) -> int:
    start = path.name.split("_")[0]
    return int(start) if start.isdecimal() else -1


def _camera(image: ImageArray) -> Camera:
    height, width = image.shape[:2]
    return resize_camera(_fitted_camera(), width, height)


@lru_cache(maxsize=1)
def _fitted_camera() -> Camera:
    """Equidistant camera whose radius at each angle is nearest that of the calibration."""
    radius = np.arange(1.0, _WIDEST)
    angle = np.arctan2(radius, np.polyval(_Z, radius))
    powers = angle[:, None] ** np.arange(1, 10, 2)
    factors = np.linalg.lstsq(powers, radius, rcond=None)[0]
    focal = factors[0]
    K = np.array([[focal, 0, _CENTRE[0]], [0, focal, _CENTRE[1]], [0, 0, 1]])
    return Camera(*_SIZE, K, "equidistant", tuple(factors[1:] / focal))

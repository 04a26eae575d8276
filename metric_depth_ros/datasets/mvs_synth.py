"""MVS-Synth (Huang et al., 2018): 120 sequences of 100 frames from a computer game.

``0000/images/0000.png``, ``0000/depths/0000.exr`` (infinite in the sky), ``0000/poses/0000.json`` with f_x,
f_y, c_x, c_y and ``extrinsic``, world to camera. Depth has no stated unit; one of 0.1 m fits cars and people
(MapAnything's reader).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import folders, named
from metric_depth_ros.datasets.exr_file import read_exr
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import camera_of, known_depth, read_image, with_shape
from metric_depth_ros.datasets.tree_of_values import Values, json_values
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Camera, FloatArray, ImageArray

_METRES = 0.1
_CENTRED_PX = 2.0


class MvsSynth(PublishedDataset):
    """Frames of MVS-Synth, of GTAV_1080, GTAV_720 or GTAV_540."""

    title = "MVS-Synth"
    url = "https://phuang17.github.io/DeepMVS/mvs-synth.html"
    licence = "not commercial, see the site"
    layout = "0000/images/0000.png, 0000/depths/0000.exr and 0000/poses/0000.json"
    rendered = True
    limits_m = (1e-3, 80.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has sequences with images, depths and poses."""
        first = next(path.glob("[0-9][0-9][0-9][0-9]"), path)
        return all((first / part).is_dir() for part in ("images", "depths", "poses"))

    def list_items(self) -> list[Item]:
        """All frames of all sequences."""
        return [
            _item(scene, path) for scene in folders(self.path) for path in named(scene / "images", ".png")
        ]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame with its pose, in metres."""
        image = read_image(item.files["image"])
        path = item.files["depth"]
        stored = with_shape(read_exr(path), image.shape[:2], path)
        told = json_values(item.files["pose"], "a pose of MVS-Synth")
        return Frame(
            item.id,
            stamp_ns,
            image,
            _camera(told, image),
            known_depth(stored * np.float32(_METRES)),
            T_world_camera=_pose(told),
            sky=np.isposinf(stored),
        )


def _item(scene: Path, image: Path) -> Item:
    files = {
        "image": image,
        "depth": scene / "depths" / f"{image.stem}.exr",
        "pose": scene / "poses" / f"{image.stem}.json",
    }
    return Item(f"{scene.name}_{image.stem}", scene.name, files)


def _camera(told: Values, image: ImageArray) -> Camera:
    """Camera; intrinsics of a larger picture, whose centre its principal point is, are scaled to this one."""
    fx, fy, cx, cy = (told.number(key) for key in ("f_x", "f_y", "c_x", "c_y"))
    height, width = image.shape[:2]
    if abs(2 * cx - width) > _CENTRED_PX and abs(2 * cy - height) > _CENTRED_PX and min(cx, cy) > 0:
        across, down = width / (2 * cx), height / (2 * cy)
        fx, fy, cx, cy = fx * across, fy * down, cx * across, cy * down
    return camera_of(image, (fx, fy, cx, cy), told.path)


def _pose(told: Values) -> FloatArray:
    """T_world_camera (4, 4) in metres; a left-handed world, as the game's, is mirrored in y."""
    T_camera_world = told.matrix(4, 4, "extrinsic")
    turn = np.linalg.det(T_camera_world[:3, :3])
    if abs(abs(turn) - 1) > 0.1:
        raise InputError(f"{told.path}: extrinsic of determinant {turn:.3g}; needed a rotation.")
    T: FloatArray = np.linalg.inv(T_camera_world)
    if turn < 0:
        T[1] *= -1
    T[:3, 3] *= _METRES
    return T

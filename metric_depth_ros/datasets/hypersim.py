"""Hypersim (Roberts et al., ICCV 2021): rendered interiors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.linalg import rq

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.hdf5_file import Hdf5File
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    numbers_of,
    read_csv,
    read_image,
    with_shape,
)
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import pixel_rays
from metric_depth_ros.label_images import compact
from metric_depth_ros.types import Array, Camera, FloatArray, ImageArray, IntArray

_SPLIT = "metadata_images_split_scene_v1.csv"
_COLUMNS = ("scene_name", "camera_name", "frame_id", "split_partition_name")
# The camera of each scene: from u, v, 1, with -1 and 1 at the image's edges, to x right, y up, z back.
_CAMERAS = "metadata_camera_parameters.csv"
_FROM_UV = [f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3)]
_HALF_WIDTH = np.tan(np.radians(60 / 2))  # of the image, one unit away, where no camera is told
# From x right, y up, z back, as the poses have it, to x right, y down, z forward.
_OPTICAL = np.diag([1.0, -1.0, -1.0])
_MOST_DIGITS = 10  # of the number of a frame
_LEAST = 1e-6  # determinant of a matrix of a camera


class Hypersim(PublishedDataset):
    """Tone-mapped previews with depth along the optical axis; the files hold the distance along the ray."""

    title = "Hypersim"
    url = "https://github.com/apple/ml-hypersim"
    licence = "CC BY-SA 3.0"
    layout = (
        f"ai_VVV_NNN/images/scene_cam_XX_*; for train, val and test {_SPLIT}; for scenes with a camera of "
        f"their own {_CAMERAS}"
    )
    splits = ("test", "val", "train", "all")
    rendered = True
    limits_m = (1e-3, 80.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether there are folders of scenes with previews."""
        return any(path.glob("ai_*_*/images/scene_cam_*_final_preview"))

    def list_items(self) -> list[Item]:
        """All frames of the split whose preview is there, by scene, camera and number."""
        self._cameras = self._read_cameras()
        images = sorted(self.path.glob("ai_*_*/images/scene_cam_*_final_preview/frame.*.jpg"))
        # Tone-mapped, where there is also one that is not.
        found = {_key(image): image for image in images if image.name.count(".") == 3}
        if self.split != "all":
            chosen = self._chosen()
            found = {key: image for key, image in found.items() if key in chosen}
        return [_item(key, image) for key, image in found.items()]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame; regions are the instances, or else the classes, those without a label together."""
        image = read_image(item.files["image"])
        K, turn = _projection(image, self._cameras.get(item.scene))
        camera = camera_of(image, (K[0, 0], K[1, 1], K[0, 2], K[1, 2]), item.files["image"])
        path = item.files["depth"]
        return Frame(
            item.id,
            stamp_ns,
            image,
            camera,
            depth=_planar(with_shape(_array(path), image.shape[:2], path), camera),
            regions=_regions(item, image),
            T_world_camera=_pose(item, turn),
        )

    def _chosen(self) -> set[tuple[str, str, int]]:
        """Scene, camera and number of the frames of the split."""
        rows = read_csv(self.path / _SPLIT, *_COLUMNS)
        return {(scene, camera, _number(text)) for scene, camera, text, split in rows if split == self.split}

    def _read_cameras(self) -> dict[str, FloatArray]:
        """Matrices (3, 3) by scene; empty if the file is not there."""
        path = self.path / _CAMERAS
        rows = read_csv(path, "scene_name", *_FROM_UV) if path.exists() else []
        return {scene: _whole(numbers_of(" ".join(values), path), path) for scene, *values in rows}


def _whole(values: FloatArray, path: Path) -> FloatArray:
    if values.size != 9 or abs(np.linalg.det(values.reshape(3, 3))) < _LEAST:
        raise InputError(f"{path}: no invertible 3x3 matrix of a scene; needed its camera.")
    return values.reshape(3, 3)


def _projection(image: ImageArray, M: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """K of an image, and the rotation to its frame, whose z is across the image, from the pose's."""
    height, width = image.shape[:2]
    if M is None:
        M = np.diag([_HALF_WIDTH, _HALF_WIDTH * height / width, -1.0])
    uv = np.array([[2 / width, 0, 1 / width - 1], [0, -2 / height, 1 - 1 / height], [0, 0, 1]])
    forward = np.linalg.inv(_OPTICAL @ M @ uv)
    K, turn = rq(forward * np.sign(np.linalg.det(forward)))
    signs = np.sign(np.diag(K))
    K, turn = K * signs, signs[:, None] * turn
    return K / K[2, 2], turn


def _key(image: Path) -> tuple[str, str, int]:
    """Scene, camera and number of ai_VVV_NNN/images/scene_cam_XX_final_preview/frame.IIII.KIND.jpg."""
    camera = image.parent.name.removeprefix("scene_").removesuffix("_final_preview")
    return image.parents[2].name, camera, _number(image.name.split(".")[1])


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < _MOST_DIGITS else -1


def _item(key: tuple[str, str, int], image: Path) -> Item:
    scene, camera, number = key
    geometry = image.parents[1] / f"scene_{camera}_geometry_hdf5"
    start = f"frame.{image.name.split('.')[1]}"
    files = {"image": image, "detail": image.parents[2] / "_detail", "camera": Path(camera)}
    for part in ("depth_meters", "semantic_instance", "semantic"):
        files[part.removesuffix("_meters")] = geometry / f"{start}.{part}.hdf5"
    return Item(f"{scene}/{camera}/{number:04d}", scene, files, entry=number)


def _planar(distance: Array, camera: Camera) -> FloatArray:
    """Depth from the distance along each pixel's ray: z = distance / |(x, y, 1)|."""
    return known_depth(distance.astype(np.float32) / np.linalg.norm(pixel_rays(camera), axis=-1))


def _regions(item: Item, image: ImageArray) -> IntArray | None:
    paths = [item.files[part] for part in ("semantic_instance", "semantic") if item.files[part].exists()]
    if not paths:
        return None
    return compact(with_shape(_array(paths[0]), image.shape[:2], paths[0]).astype(np.int64))


def _pose(item: Item, turn: FloatArray) -> FloatArray | None:
    """T_world_camera in metres; None where the scene's _detail is not there."""
    detail = item.files["detail"]
    folder, scale = detail / item.files["camera"], detail / "metadata_scene.csv"
    paths = [folder / f"camera_keyframe_{part}.hdf5" for part in ("orientations", "positions")]
    if not all(path.exists() for path in (*paths, scale)):
        return None
    orientations, positions = map(_array, paths)
    if orientations.shape != (len(positions), 3, 3) or positions.shape[1:] != (3,):
        raise InputError(f"{paths[0]}: {orientations.shape} for {positions.shape}; needed N x 3 x 3, N x 3.")
    indices = folder / "camera_keyframe_frame_indices.hdf5"
    numbers = _array(indices).ravel().tolist() if indices.exists() else list(range(len(positions)))
    if item.entry not in numbers[: len(positions)]:
        raise InputError(f"{paths[0]}: no pose of frame {item.entry}; needed one.")
    at, T = numbers.index(item.entry), np.eye(4)
    T[:3, :3], T[:3, 3] = orientations[at] @ _OPTICAL @ turn.T, positions[at] * _metres(scale)
    return T


def _metres(path: Path) -> float:
    """Metres in one unit of the scene."""
    rows = dict(read_csv(path, "parameter_name", "parameter_value"))
    values = numbers_of(rows.get("meters_per_asset_unit", ""), path)
    if values.size != 1 or values[0] <= 0:
        raise InputError(f"{path}: no meters_per_asset_unit; needed a positive number.")
    return float(values[0])


def _array(path: Path) -> Array:
    return Hdf5File(path, "one array of Hypersim").read("dataset")

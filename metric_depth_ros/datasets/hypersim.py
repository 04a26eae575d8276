"""Hypersim (Roberts et al., ICCV 2021): rendered interiors."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.hdf5_file import Hdf5File
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    read_image,
    read_lines,
    with_shape,
)
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import pixel_rays
from metric_depth_ros.label_images import compact
from metric_depth_ros.types import Array, Camera, FloatArray, ImageArray, IntArray

_SPLIT = "metadata_images_split_scene_v1.csv"
_COLUMNS = ("scene_name", "camera_name", "frame_id", "included_in_public_release", "split_partition_name")
_HALF_WIDTH = np.tan(np.radians(60 / 2))  # of an image one unit away: 60 degrees across
# From x right, y up, z back, as the poses have it, to x right, y down, z forward.
_OPTICAL = np.diag([1.0, -1.0, -1.0])


class Hypersim(PublishedDataset):
    """Tone-mapped previews with depth along the optical axis; the files hold the distance along the ray."""

    title = "Hypersim"
    url = "https://github.com/apple/ml-hypersim"
    licence = "CC BY-SA 3.0"
    layout = f"ai_VVV_NNN/images/scene_cam_XX_*; for train, val and test {_SPLIT}"
    splits = ("test", "val", "train", "all")
    rendered = True
    limits_m = (1e-3, 80.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether there are folders of scenes with previews."""
        return any(path.glob("ai_*_*/images/scene_cam_*_final_preview"))

    def list_items(self) -> list[Item]:
        """All frames of the split whose preview is there, by scene, camera and number."""
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
        focal, centre = image.shape[1] / 2 / _HALF_WIDTH, (np.array(image.shape[1::-1]) - 1) / 2
        camera = camera_of(image, (focal, focal, *centre), item.files["image"])
        path = item.files["depth"]
        return Frame(
            item.id,
            stamp_ns,
            image,
            camera,
            depth=_planar(with_shape(_array(path), image.shape[:2], path), camera),
            regions=_regions(item, image),
            T_world_camera=_pose(item),
        )

    def _chosen(self) -> set[tuple[str, str, int]]:
        """Scene, camera and number of the frames of the split."""
        path = self.path / _SPLIT
        rows = csv.DictReader(read_lines(path, "the table of splits"))
        if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
            raise InputError(f"{path}: no column {', '.join(missing)}; needed the table of splits.")
        return {
            (row["scene_name"], row["camera_name"], int(row["frame_id"]))
            for row in rows
            if row["split_partition_name"] == self.split and (row["frame_id"] or "").isdecimal()
        }


def _key(image: Path) -> tuple[str, str, int]:
    """Scene, camera and number of ai_VVV_NNN/images/scene_cam_XX_final_preview/frame.IIII.KIND.jpg."""
    number = image.name.split(".")[1]
    camera = image.parent.name.removeprefix("scene_").removesuffix("_final_preview")
    return image.parents[2].name, camera, int(number) if number.isdecimal() else -1


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


def _pose(item: Item) -> FloatArray | None:
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
    T[:3, :3], T[:3, 3] = orientations[at] @ _OPTICAL, positions[at] * _metres(scale)
    return T


def _metres(path: Path) -> float:
    """Metres in one unit of the scene."""
    for row in csv.reader(read_lines(path, "a table with meters_per_asset_unit")):
        if row[:1] == ["meters_per_asset_unit"] and len(row) > 1:
            try:
                return float(row[1])
            except ValueError:
                break
    raise InputError(f"{path}: no number meters_per_asset_unit; needed one.")


def _array(path: Path) -> Array:
    return Hdf5File(path, "one array of Hypersim").read("dataset")

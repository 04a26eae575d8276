"""ARKitScenes (Baruch et al., NeurIPS 2021): tablet LiDAR, with laser depth for upsampling."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    read_codes,
    read_depth,
    read_image,
    read_numbers,
    read_table,
    with_shape,
)
from metric_depth_ros.errors import InputError
from metric_depth_ros.stamps import to_ns
from metric_depth_ros.types import Camera, FloatArray, ImageArray

_FOLDS = {"val": "Validation", "train": "Training"}
_BELOW = ("", "upsampling", "raw", "3dod", "depth_upsampling")
# Folders of images of high and of low resolution.
_FINE, _COARSE = ("wide", "color"), ("lowres_wide",)
_SURE = 2  # of confidences 0 to 2
_LONGEST_S = 0.05  # between an image and its pose, which come at 10 Hz
_TRAJECTORY = "lowres_wide.traj"


class ArkitScenes(PublishedDataset):
    """Images with laser depth and the tablet's LiDAR as sparse depth; of videos without, the LiDAR as depth.

    LiDAR depth counts only with full confidence.
    """

    title = "ARKitScenes"
    url = "https://github.com/apple/ARKitScenes"
    licence = "Apple, non-commercial; see the site"
    layout = (
        "Validation/VIDEO and Training/VIDEO with color or wide, highres_depth, lowres_depth and confidence "
        "(upsampling, raw), or lowres_wide and lowres_depth (raw, 3dod)"
    )
    splits = ("val", "train", "all")

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether there are Validation or Training with videos."""
        folds = [path / below / fold for below in _BELOW for fold in _FOLDS.values()]
        return any(any(fold.glob(f"{video}/lowres_depth")) for fold in folds for video in ("*", "*/*_frames"))

    def list_items(self) -> list[Item]:
        """All images that have depth, by video and time."""
        self._trajectories: dict[Path, FloatArray] = {}
        folds = [_FOLDS[name] for name in _FOLDS if self.split in (name, "all")]
        roots = [self.path / below / fold for below in _BELOW for fold in folds]
        return [item for root in roots for video in sorted(root.glob("*")) for item in _items(video)]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One image; no intrinsics where its .pincam is not there, as for upsampling."""
        path = item.files["image"]
        root, image = path.parents[1], read_image(path)
        shape, lidar = image.shape[:2], root / "lowres_depth" / path.name
        confidence = root / "confidence" / path.name
        sparse = None
        if path.parent.name in _COARSE:
            depth = with_shape(_lidar(lidar, confidence), shape, lidar)
        else:
            depth = read_depth(root / "highres_depth" / path.name, shape, per_metre=1000)
            sparse = _spread(_lidar(lidar, confidence), image) if lidar.exists() else None
        return Frame(
            item.id,
            stamp_ns,
            image,
            _camera(image, path),
            depth=depth,
            sparse_depth=sparse,
            T_world_camera=self._pose(root / _TRAJECTORY, stamp_ns / 1e9),
        )

    def _pose(self, path: Path, stamp_s: float) -> FloatArray | None:
        """T_world_camera nearest in time; the file has T_camera_world as a rotation vector and metres."""
        if path not in self._trajectories:
            self._trajectories[path] = read_table(path, 7) if path.exists() else np.empty((0, 7))
        known = self._trajectories[path]
        if not len(known):
            return None
        nearest = known[np.abs(known[:, 0] - stamp_s).argmin()]
        if abs(nearest[0] - stamp_s) > _LONGEST_S:
            return None
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = cv2.Rodrigues(nearest[1:4])[0], nearest[4:]
        return np.asarray(np.linalg.inv(T))


def _items(video: Path) -> list[Item]:
    """Items of one video: of high resolution if it has laser depth."""
    frames = video / f"{video.name}_frames"  # 3dod has this folder between
    root = frames if frames.is_dir() else video
    names = _FINE if (root / "highres_depth").is_dir() else _COARSE
    folder = next((root / name for name in names if (root / name).is_dir()), root / names[0])
    images = sorted(folder.glob("*.png"), key=_seconds)
    return [
        Item(f"{video.name}/{image.stem}", video.name, {"image": image}, to_ns(_seconds(image)))
        for image in images
    ]


def _seconds(image: Path) -> float:
    """Time of VIDEO_SECONDS.png; 0 of another name."""
    try:
        seconds = float(image.stem.rpartition("_")[2])
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 9e9 else 0.0


def _camera(image: ImageArray, path: Path) -> Camera | None:
    """Camera of the image's .pincam: width, height, fx, fy, cx, cy; None if it is not there.

    Its name can be a millisecond off.
    """
    start, seconds = path.stem.rpartition("_")[0], _seconds(path)
    folder = path.parent.with_name(f"{path.parent.name}_intrinsics")
    names = (path.stem, *(f"{start}_{seconds + shift:.3f}" for shift in (-1e-3, 1e-3)))
    found = (folder / f"{name}.pincam" for name in names)
    pincam = next((file for file in found if file.exists()), None)
    if pincam is None:
        return None
    values = read_numbers(pincam, 6)
    if tuple(values[:2]) != image.shape[1::-1]:
        raise InputError(f"{pincam}: of {values[0]:g}x{values[1]:g} pixels; needed those of the image.")
    return camera_of(image, values[2:], pincam)


def _lidar(depth: Path, confidence: Path) -> FloatArray:
    """Depth (h, w) of the tablet's LiDAR where its confidence is full, or everywhere if it is not told."""
    values = read_depth(depth, per_metre=1000)
    return (
        known_depth(values, read_codes(confidence, values.shape) >= _SURE) if confidence.exists() else values
    )


def _spread(coarse: FloatArray, image: ImageArray) -> FloatArray:
    """Depth (H, W) of the image's size with each coarse value at the pixel in its middle, NaN elsewhere."""
    height, width = image.shape[:2]
    v, u = np.nonzero(np.isfinite(coarse))
    spread = np.full((height, width), np.nan, np.float32)
    rows = ((v + 0.5) * height / coarse.shape[0]).astype(int)
    columns = ((u + 0.5) * width / coarse.shape[1]).astype(int)
    spread[rows, columns] = coarse[v, u]
    return spread

"""DSEC (Gehrig et al., 2021): driving with event and frame cameras, and disparity of the left frame camera.

``train_images/SEQUENCE/images/left/rectified/N.png``, ``train_disparity/SEQUENCE/disparity/image/N.png`` (16
bits, 1/256 pixel) and ``train_calibration/SEQUENCE/calibration/cam_to_cam.yaml``; or all unpacked into
``SEQUENCE`` or ``train/SEQUENCE``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import divided, first_that_exists, folders, named, read_levels
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import camera_of, read_image, read_table
from metric_depth_ros.datasets.tree_of_values import Values, yaml_values
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Array, Camera, FloatArray, ImageArray

_IMAGES, _DISPARITY, _CALIBRATION = "images/left/rectified", "disparity/image", "calibration/cam_to_cam.yaml"
_CAMERA, _STEREO = "camRect1", "cams_12"  # the left frame camera, rectified; the two frame cameras


class Dsec(PublishedDataset):
    """Frames of DSEC that have disparity, of the frame camera; events are not read."""

    title = "DSEC"
    url = "https://dsec.ifi.uzh.ch"
    licence = "CC BY-SA 4.0, see the site"
    layout = f"train_images/SEQUENCE/{_IMAGES}, train_disparity and train_calibration, or SEQUENCE/{_IMAGES}"
    limits_m = (1e-3, 80.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has sequences with disparity of images."""
        return any(
            next(path.glob(f"{place}*/{_DISPARITY}"), None) is not None
            for place in ("", "train/", "train_disparity/")
        )

    def list_items(self) -> list[Item]:
        """All frames with disparity."""
        roots = (self.path / "train_disparity", self.path / "train", self.path)
        return [
            item
            for root in roots
            for sequence in folders(root)
            if (sequence / _DISPARITY).is_dir()
            for item in self._sequence(sequence)
        ]

    def _sequence(self, sequence: Path) -> list[Item]:
        images = self._of(sequence, "train_images", _IMAGES)
        calibration = self._of(sequence, "train_calibration", _CALIBRATION)
        stamps = self._of(sequence, "train_images", "images/timestamps.txt")
        times = read_table(stamps, 1)[:, 0] if stamps.exists() else np.empty(0)
        return [
            Item(
                f"{sequence.name}_{path.stem}",
                sequence.name,
                {"image": images / path.name, "disparity": path, "calibration": calibration},
                _stamp_ns(path, times),
            )
            for path in named(sequence / _DISPARITY, ".png")
        ]

    def _of(self, sequence: Path, part: str, inside: str) -> Path:
        """Where a part of a sequence was unpacked; if it was not, where it should be."""
        parts = self.path / part / sequence.name / inside
        return first_that_exists(sequence / inside, parts) or parts

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame."""
        image = read_image(item.files["image"])
        told = yaml_values(item.files["calibration"], "DSEC's calibration")
        stored = read_levels(item.files["disparity"], image)[..., 0]
        return Frame(item.id, stamp_ns, image, _camera(told, image), _depth(stored, told))


def _stamp_ns(path: Path, times: FloatArray) -> int | None:
    """Time of a picture, whose name is its number, from microseconds."""
    number = int(path.stem) if path.stem.isdigit() else len(times)
    return int(times[number]) * 1000 if number < len(times) else None


def _camera(told: Values, image: ImageArray) -> Camera:
    fx, fy, cx, cy = told.matrix(1, 4, "intrinsics", _CAMERA, "camera_matrix")[0]
    return camera_of(image, (fx, fy, cx, cy), told.path)


def _depth(stored: Array, told: Values) -> FloatArray:
    """Depth (H, W) in metres, NaN unknown, of stored disparity: the last two rows of Q [x, y, d, 1]."""
    Q = told.matrix(4, 4, "disparity_to_depth", _STEREO)
    if Q[2, 3] <= 0 or Q[3, 2] <= 0:
        raise InputError(
            f"{told.path}: {_STEREO}: focal {Q[2, 3]:g}, 1 / baseline {Q[3, 2]:g}; needed more than 0."
        )
    disparity = stored.astype(np.float32) / 256
    scale = np.float32(Q[3, 2]) * disparity + np.float32(Q[3, 3])
    return divided(float(Q[2, 3]), np.where(stored > 0, scale, 0))

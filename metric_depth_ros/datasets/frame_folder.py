"""Folder of calibrated frames: images, and a calib.json with the data of each.

``calib.json`` holds ``frames``, a list of objects; a key inside a frame overrides the same key at
the top level:

- ``id``, ``rgb`` (picture file), ``timestamp`` (seconds, optional)
- ``fx``, ``fy``, ``cx``, ``cy`` in pixels; null if unknown
- ``distortion``: list of coefficients with ``distortion_model``; absent or a text for none
- ``depth``: 16-bit PNG (metres = value * ``depth_scale``) or .npz with key ``depth`` in metres; 0 unknown
- ``points``: PCD, NPY, or little-endian float32, rows of x, y, z and more in metres, ``points_columns`` long
  (default 4; of .pcd.bin 5); ``T_camera_lidar`` (4x4)
- ``T_world_camera`` (4x4)
- ``description``: a sentence, or a list of some, that says what the frame shows
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.datasets.dataset import Dataset, Frame, Picture
from metric_depth_ros.datasets.point_file import read_point_file
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import DISTORTION_MODELS, Camera, FloatArray, ImageArray

_INTRINSICS = ("fx", "fy", "cx", "cy")


class FrameFolder(Dataset):
    """Frames of one folder, in the order of its calib.json. Images are read on demand."""

    def __init__(self, path: str | Path, *, rate_hz: float = 10.0) -> None:
        """``rate_hz``: rate of the stamps, from 1 s on, of frames without a timestamp.

        Raises:
            InputError: calib.json is missing, not JSON, or lists no frames.
        """
        self.path = Path(path)
        self._rate_hz = rate_hz
        self._entries = _read_entries(self.path / "calib.json")

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has a calib.json."""
        return (path / "calib.json").is_file()

    @property
    def ids(self) -> list[str]:
        """Names of the frames."""
        return [str(entry["id"]) for entry in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Frame:
        """One frame. Raises InputError if one of its files is missing or does not fit."""
        entry = self._entries[index]
        where = f"{self.path}, frame {entry['id']}"
        image = _read_picture(self._file(entry, "rgb", where), where)
        camera = _camera(entry, image, where)
        depth_file, points_file = (entry.get(key) for key in ("depth", "points"))
        return Frame(
            id=str(entry["id"]),
            stamp_ns=self.stamp_ns(index),
            image=image,
            camera=camera,
            depth=_read_depth(self.path / depth_file, entry, image, where) if depth_file else None,
            points_lidar=_read_points(self.path / points_file, entry, where) if points_file else None,
            T_camera_lidar=_matrix(entry, "T_camera_lidar", where),
            T_world_camera=_matrix(entry, "T_world_camera", where),
        )

    @property
    def has_one_rig(self) -> bool:
        """Whether T_camera_lidar is the same in all frames."""
        return all(e.get("T_camera_lidar") == self._entries[0].get("T_camera_lidar") for e in self._entries)

    def picture(self, index: int) -> Picture:
        """One image with depth, to train on. Raises InputError for a frame without a depth image."""
        frame = self[index]
        if frame.depth is None:
            raise InputError(f"{self.path}, frame {frame.id}: no depth image; needed one.")
        return Picture(frame.image, frame.depth, frame.camera)

    def has_depth(self, index: int, *, or_points: bool = False) -> bool:
        """Whether calib.json names a depth image, or points and all that places them in the picture."""
        entry = self._entries[index]
        placed = all(entry.get(key) is not None for key in ("points", "T_camera_lidar", *_INTRINSICS))
        return bool(entry.get("depth")) or (or_points and placed)

    def group(self, index: int) -> int:
        """Twenty frames in a row, or a fiftieth of a short folder."""
        return index // max(1, min(20, len(self) // 50))

    def descriptions(self, index: int, *, held_out: bool = False) -> tuple[str, ...]:
        """Sentences of calib.json. Raises InputError if they are no texts."""
        entry = self._entries[index]
        given = entry.get("description") or []
        found = [given] if isinstance(given, str) else given
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise InputError(
                f"{self.path}, frame {entry['id']}: description {given!r}; needed a text or a list of some."
            )
        return tuple(found)

    def scene(self, index: int) -> int:
        """The frame's group, since the scenes are unknown."""
        return self.group(index)

    def stamp_ns(self, index: int) -> int:
        """The frame's own timestamp, ns, or one from the rate."""
        stamp_s = self._entries[index].get("timestamp", 1 + index / self._rate_hz)
        return round(float(stamp_s) * 1e9)

    def _file(self, entry: dict[str, Any], key: str, where: str) -> Path:
        if not isinstance(entry.get(key), str):
            raise InputError(f"{where}: no {key!r}; needed the name of a file.")
        return self.path / str(entry[key])


def _read_entries(path: Path) -> list[dict[str, Any]]:
    """Entries of the frames in a calib.json; each has the top-level keys as defaults."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); needed a JSON file.") from error
    frames = tree.get("frames") if isinstance(tree, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(f, dict) for f in frames):
        raise InputError(f"{path}: no frames; needed a list of objects under 'frames'.")
    shared = {key: value for key, value in tree.items() if key != "frames"}
    return [{"id": f"{index:06d}", **shared, **frame} for index, frame in enumerate(frames)]


def _read_picture(path: Path, where: str) -> ImageArray:
    """Image (H, W, 3), RGB. EXIF orientation is ignored: the calibration is for the stored pixels."""
    picture = _decoded(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        raise InputError(f"{where}: {path.name} is missing or no picture.")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _decoded(path: Path, flags: int) -> Any:
    """Array decoded by OpenCV, or None. OpenCV's own reader would print a warning about a missing file."""
    return cv2.imread(str(path), flags) if path.is_file() else None


def _camera(entry: dict[str, Any], image: ImageArray, where: str) -> Camera | None:
    """Camera of an entry; None without intrinsics."""
    height, width = image.shape[:2]
    given = (int(entry.get("width") or width), int(entry.get("height") or height))
    if given != (width, height):
        raise InputError(
            f"{where}: the picture is {width}x{height}; calib.json says {given[0]}x{given[1]}. Correct it."
        )
    values = [entry.get(key) for key in _INTRINSICS]
    if any(value is None for value in values):
        return None
    fx, fy, cx, cy = (float(value) for value in values if value is not None)
    model, D = _distortion(entry, where)
    return Camera(width, height, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), model, D)


def _distortion(entry: dict[str, Any], where: str) -> tuple[str, tuple[float, ...]]:
    coefficients = entry.get("distortion")
    if not isinstance(coefficients, list) or not coefficients:
        return "none", ()
    model = (str(entry.get("distortion_model", "plumb_bob")).split() or ["plumb_bob"])[0]
    if model not in DISTORTION_MODELS:
        raise InputError(f"{where}: distortion model {model!r}; known are {', '.join(DISTORTION_MODELS)}.")
    return model, tuple(float(value) for value in coefficients)


def _read_depth(path: Path, entry: dict[str, Any], image: ImageArray, where: str) -> FloatArray:
    """Depth (H, W) float32 in metres, NaN unknown."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                stored = archive["depth"].astype(np.float32)
        else:
            picture = _decoded(path, cv2.IMREAD_UNCHANGED)
            stored = None if picture is None else picture.astype(np.float32) * float(entry["depth_scale"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: {path.name} and depth_scale cannot be read ({error!r}).") from error
    if stored is None or stored.shape != image.shape[:2]:
        found = "is missing or no picture" if stored is None else f"is {stored.shape[::-1]}"
        raise InputError(f"{where}: {path.name} {found}; needed depth of {image.shape[1]}x{image.shape[0]}.")
    depth: FloatArray = stored.astype(np.float32)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def _read_points(path: Path, entry: dict[str, Any], where: str) -> FloatArray:
    """Points (N, 3) in metres, as of ``read_point_file``."""
    columns = entry.get("points_columns")
    if columns is not None and not (type(columns) is int and columns >= 3):
        raise InputError(f"{where}: points_columns {columns!r}; needed a whole number, 3 or more.")
    try:
        return read_point_file(path, columns)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _matrix(entry: dict[str, Any], key: str, where: str) -> FloatArray | None:
    if entry.get(key) is None:
        return None
    try:
        T = np.array(entry[key], np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {key} is no matrix ({error}); needed 4x4 numbers.") from error
    if T.shape != (4, 4) or not np.isfinite(T).all():
        raise InputError(f"{where}: {key} has shape {T.shape}; needed 4x4 finite numbers.")
    return T

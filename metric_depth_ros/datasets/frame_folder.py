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
- ``sparse``: what a sensor measured apart from ``depth``, as that; of a list the last
- ``regions``: a PNG of 8 or 16 bits with a label for each pixel
- ``description``: a sentence, or a list of some, that says what the frame shows
"""

from __future__ import annotations

import os
from collections import ChainMap
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.array_files import read_npz
from metric_depth_ros.datasets.dataset import Dataset, Frame, Picture
from metric_depth_ros.datasets.frame_entry import FrameEntry
from metric_depth_ros.datasets.point_file import read_point_file
from metric_depth_ros.documents import read_json
from metric_depth_ros.encoded_pictures import decode_picture, picture_size
from metric_depth_ros.errors import InputError, kind_of, shown
from metric_depth_ros.files import open_regular, read_limited
from metric_depth_ros.stamps import to_ns
from metric_depth_ros.types import DISTORTION_MODELS, Array, Camera, FloatArray, ImageArray, IntArray

_INTRINSICS = ("fx", "fy", "cx", "cy")
# Bytes of a picture's file, and of an .npz with depth for each pixel.
_LARGEST_PICTURE, _BYTES_PER_PIXEL = 1 << 29, 16
# Largest stamp, s, whose nanoseconds have 64 bits.
_LAST_S = 9e9


class FrameFolder(Dataset):
    """Frames of one folder, in the order of its calib.json. Images are read on demand."""

    tells_scenes = False

    def __init__(self, path: str | Path, *, rate_hz: float = 10.0) -> None:
        """``rate_hz``: rate of the stamps, from 1 s on, of frames without a timestamp.

        Raises:
            InputError: calib.json is missing, not JSON, or lists no frames.
        """
        self.path = Path(path)
        self._rate_hz = rate_hz
        self._frames, self._shared = _read_frames(self.path / "calib.json")

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has a calib.json."""
        return os.path.exists(path / "calib.json")

    @property
    def ids(self) -> list[str]:
        """Names of the frames."""
        return [self._entry(index).id for index in range(len(self))]

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Frame:
        """One frame. Raises InputError if one of its files is missing or does not fit."""
        entry = self._entry(index)
        image = _read_image(entry)
        return Frame(
            id=entry.id,
            stamp_ns=self.stamp_ns(index),
            image=image,
            camera=_camera(entry, image),
            depth=_read_depth(entry, image) if entry.values.get("depth") else None,
            points_lidar=_read_points(entry) if entry.values.get("points") else None,
            T_camera_lidar=entry.matrix("T_camera_lidar"),
            T_world_camera=entry.matrix("T_world_camera"),
            sparse_depth=_read_sparse(entry, image),
            regions=_read_regions(entry, image) if entry.values.get("regions") else None,
        )

    @property
    def has_one_rig(self) -> bool:
        """Whether T_camera_lidar is the same in all frames."""
        rigs = [self._entry(index).values.get("T_camera_lidar") for index in range(len(self))]
        return all(rig == rigs[0] for rig in rigs)

    def picture(self, index: int) -> Picture:
        """One image with depth, to train on. Raises InputError for a frame without a depth image."""
        frame = self[index]
        if frame.depth is None:
            raise InputError(f"{self.path}, frame {frame.id}: no depth image; needed one.")
        return Picture(frame.image, frame.depth, frame.camera)

    def has_depth(self, index: int, *, or_points: bool = False) -> bool:
        """Whether calib.json names a depth image, or points and all that places them in the picture."""
        entry = self._entry(index)
        placed = entry.has("points", "T_camera_lidar", *_INTRINSICS)
        return bool(entry.values.get("depth")) or (or_points and placed)

    def group(self, index: int) -> int:
        """Twenty frames in a row, or a fiftieth of a short folder."""
        return index // max(1, min(20, len(self) // 50))

    def descriptions(self, index: int, *, held_out: bool = False) -> tuple[str, ...]:
        """Sentences of calib.json. Raises InputError if they are no texts."""
        return self._entry(index).texts("description")

    def scene(self, index: int) -> int:
        """The frame's group, since the scenes are unknown."""
        return self.group(index)

    def stamp_ns(self, index: int) -> int:
        """The frame's own timestamp, ns, or one from the rate. Raises InputError if it is no time."""
        entry = self._entry(index)
        stamp_s = entry.number("timestamp") if "timestamp" in entry.values else 1 + index / self._rate_hz
        if abs(stamp_s) > _LAST_S:
            raise entry.error(f"timestamp {stamp_s:g}; needed seconds.")
        return to_ns(stamp_s)

    def coarse_depth(self, index: int) -> FloatArray | None:
        """Depth image ``lowres_depth`` (h, w) of lower resolution, metres, 0 unknown; None without one.

        Raises:
            InputError: it cannot be read.
        """
        entry = self._entry(index)
        if not entry.has("lowres_depth"):
            return None
        depth = _stored_depth(entry, "lowres_depth")
        if depth.ndim != 2:
            raise entry.error(f"{entry.file('lowres_depth').name} is a picture in colour; needed depth.")
        return depth

    def _entry(self, index: int) -> FrameEntry:
        own = self._frames[index]
        return FrameEntry(self.path, ChainMap(own, self._shared, {"id": f"{index % len(self):06d}"}))


def _read_frames(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Values of each frame of a calib.json, and those that all share."""
    tree = read_json(path, InputError, "a JSON file")
    frames = tree.get("frames") if isinstance(tree, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(f, dict) for f in frames):
        raise InputError(f"{path}: no frames; needed a list of objects under 'frames'.")
    for named in (tree, *frames):
        if not isinstance(named.get("id", ""), (str, int)):
            raise InputError(f"{path}: id is {kind_of(named['id'])}; needed the name of a frame.")
    return frames, {key: value for key, value in tree.items() if key != "frames"}


def _read_image(entry: FrameEntry) -> ImageArray:
    """Image (H, W, 3), RGB. EXIF orientation is ignored: the calibration is for the stored pixels."""
    data = _picture_data(entry, "rgb")
    size = picture_size(data) or (0, 0)
    given = entry.whole("width", 0) or size[0], entry.whole("height", 0) or size[1]
    if size != (0, 0) and given != size:
        raise entry.error(
            f"the picture is {size[0]}x{size[1]}; calib.json says {given[0]}x{given[1]}. Correct it."
        )
    picture = _decoded(entry, "rgb", data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _picture_data(entry: FrameEntry, key: str) -> bytes:
    path = entry.file(key)
    try:
        return read_limited(path, _LARGEST_PICTURE)
    except OSError as error:
        found = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise entry.error(f"{path.name} {found}; needed a picture, PNG or JPEG.") from error


def _decoded(entry: FrameEntry, key: str, data: bytes, flags: int) -> Array:
    try:
        return decode_picture(data, flags)
    except InputError as error:
        raise entry.error(f"{entry.file(key).name} {error}; needed a picture, PNG or JPEG.") from error


def _camera(entry: FrameEntry, image: ImageArray) -> Camera | None:
    """Camera of an entry; None without intrinsics."""
    if not entry.has(*_INTRINSICS):
        return None
    height, width = image.shape[:2]
    fx, fy, cx, cy = map(entry.number, _INTRINSICS)
    model, D = _distortion(entry)
    try:
        return Camera(width, height, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), model, D)
    except InputError as error:
        raise entry.error(str(error)) from error


def _distortion(entry: FrameEntry) -> tuple[str, tuple[float, ...]]:
    coefficients = entry.numbers("distortion")
    if not coefficients:
        return "none", ()
    model = (str(entry.values.get("distortion_model", "plumb_bob")).split() or ["plumb_bob"])[0]
    if model not in DISTORTION_MODELS:
        raise entry.error(f"distortion model {shown(model)}; known are {', '.join(DISTORTION_MODELS)}.")
    return model, coefficients


def _read_regions(entry: FrameEntry, image: ImageArray) -> IntArray:
    """Labels (H, W) of 8 or 16 bits."""
    data = _picture_data(entry, "regions")
    _need_shape(entry, "regions", _stated_shape(data), image)
    labels = _decoded(entry, "regions", data, cv2.IMREAD_UNCHANGED)
    _need_shape(entry, "regions", labels.shape, image)
    return labels


def _stated_shape(data: bytes) -> tuple[int, int] | None:
    """Shape that the header of a picture states; None if it has none."""
    size = picture_size(data)
    return size and (size[1], size[0])


def _need_shape(entry: FrameEntry, key: str, found: tuple[int, ...] | None, image: ImageArray) -> None:
    """Raises InputError for labels or depth of another shape than the image's; None is not known yet."""
    height, width = image.shape[:2]
    if found is not None and found != (height, width):
        size, what = "x".join(map(str, found[::-1])), "labels" if key == "regions" else "depth"
        raise entry.error(f"{entry.file(key).name} is {size}; needed {what} of {width}x{height}.")


def _read_depth(entry: FrameEntry, image: ImageArray, key: str = "depth") -> FloatArray:
    """Depth (H, W) float32 in metres, NaN unknown."""
    depth = _stored_depth(entry, key, image)
    _need_shape(entry, key, depth.shape, image)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def _read_sparse(entry: FrameEntry, image: ImageArray) -> FloatArray | None:
    """Depth of ``sparse``, of a list the last, as ``_read_depth``; None if there is none."""
    names = entry.texts("sparse")
    if not names:
        return None
    return _read_depth(FrameEntry(entry.folder, {**entry.values, "sparse": names[-1]}), image, "sparse")


def _stored_depth(entry: FrameEntry, key: str, image: ImageArray | None = None) -> FloatArray:
    """Depth in metres as stored in a picture or, beside an image of its size, in an .npz."""
    path = entry.file(key)
    if path.suffix == ".npz":
        pixels = 0 if image is None else image.shape[0] * image.shape[1]
        return _packed_depth(entry, path, pixels * _BYTES_PER_PIXEL)
    data = _picture_data(entry, key)
    if image is not None:
        _need_shape(entry, key, _stated_shape(data), image)
    values = _decoded(entry, key, data, cv2.IMREAD_UNCHANGED)
    return np.asarray(values.astype(np.float32) * np.float32(entry.number("depth_scale")))


def _packed_depth(entry: FrameEntry, path: Path, limit: int) -> FloatArray:
    try:
        with open_regular(path) as file:
            values = read_npz(file, ["depth"], limit)["depth"]
    except OSError as error:
        raise entry.error(f"{path.name} cannot be read ({error.strerror}); needed an .npz file.") from error
    except InputError as error:
        raise entry.error(f"{path.name} {error}; needed an .npz file with depth.") from error
    if values.dtype.kind not in "fiu":
        raise entry.error(f"{path.name} holds {values.dtype.name}; needed numbers.")
    with np.errstate(over="ignore"):  # what float32 cannot hold is no depth
        return values.astype(np.float32)


def _read_points(entry: FrameEntry) -> FloatArray:
    """Points (N, 3) in metres, as of ``read_point_file``."""
    path, columns = entry.file("points"), entry.whole("points_columns", 3)
    try:
        return read_point_file(path, columns)
    except InputError as error:
        raise entry.error(str(error)) from error

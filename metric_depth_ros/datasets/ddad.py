"""DDAD (Guizilini et al., 2020): six cameras and a LiDAR of long range, in the layout of TRI's DGP.

``ddad.json`` names the scenes of each split, ``SCENE/scene_HASH.json`` their data: samples of one time, each
with a calibration and data by keys, pictures and clouds with their poses in the world;
``SCENE/calibration/KEY.json``, ``SCENE/point_cloud/LIDAR/TIME.npz``.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from metric_depth_ros.array_files import read_npz
from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import swept_frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import camera_of, listed_file, read_image
from metric_depth_ros.datasets.tree_of_values import Values, json_values
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import open_regular
from metric_depth_ros.types import FloatArray

_PARTS = {"train": "0", "val": "1"}
_LIDAR = "LIDAR"
# The front camera first.
_CAMERAS = tuple(f"CAMERA_0{number}" for number in (1, 5, 6, 7, 8, 9))
_MOST_BYTES = 1 << 30
# Of a stamp: years beyond do not fit into 64 bits of nanoseconds.
_LAST_YEAR = 2200


class Ddad(PublishedDataset):
    """Frames of DDAD: of the front camera, or of all six for ``val_all`` and ``train_all``.

    Depth is the cloud's points projected, moved by what the car drove between the two.
    """

    title = "DDAD"
    url = "https://github.com/TRI-ML/DDAD"
    licence = "CC BY-NC-SA 4.0"
    layout = "ddad.json, and a folder for each scene with scene_*.json, calibration, rgb and point_cloud"
    splits = ("val", "train", "val_all", "train_all")
    limits_m = (1e-3, 200.0)
    has_one_rig = False

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has a ddad.json, or is one."""
        return path.name == "ddad.json" or (path / "ddad.json").exists()

    def list_items(self) -> list[Item]:
        """Pictures of all samples that have a cloud."""
        self._last: dict[Path, _Scene] = {}
        listed = self.path if self.path.is_file() else self.path / "ddad.json"
        told = json_values(listed, self.layout)
        part = _PARTS[self.split.removesuffix("_all")]
        if part not in told.mapping("scene_splits"):
            return []
        names = told.all("scene_splits", part, "filenames")
        return [
            item for name in names for item in self._items_of(listed_file(listed.parent, name.text(), listed))
        ]

    def _items_of(self, path: Path) -> list[Item]:
        """Frames of a scene; their ``entry`` are the places of sample and camera."""
        scene, found = _Scene(path), []
        for number, sample in enumerate(scene.samples):
            data = scene.data(sample)
            wanted = _CAMERAS if self.split.endswith("_all") else _CAMERAS[:1]
            for place, name in enumerate(wanted):
                if not {name, _LIDAR} <= set(data):
                    continue
                stamp_ns = _stamp_ns(data[name].text("id", "timestamp"))
                name = f"{path.parent.name}_{number:04d}_{name}"
                entry = number * len(_CAMERAS) + place
                found.append(Item(name, path.parent.name, {"scene": path}, stamp_ns, entry))
        return found

    def _scene(self, path: Path) -> _Scene:
        """A scene; the last one is kept, as it has megabytes and a hundred samples."""
        scene = self._last.get(path)
        if scene is None:
            scene = _Scene(path)
            self._last = {path: scene}
        return scene

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame with its cloud."""
        path = item.files["scene"]
        scene, (number, place) = self._scene(path), divmod(item.entry, len(_CAMERAS))
        sample, name = scene.samples[number], _CAMERAS[place]
        data = scene.data(sample)
        picture, cloud = data[name].at("datum", "image"), data[_LIDAR].at("datum", "point_cloud")
        image = read_image(listed_file(path.parent, picture.text("filename"), path))
        key = f"calibration/{sample.text('calibration_key')}.json"
        calibration = json_values(listed_file(path.parent, key, path), "a calibration of DGP")
        K = calibration.at("intrinsics", _place(calibration, name))
        camera = camera_of(image, [K.number(key) for key in ("fx", "fy", "cx", "cy")], calibration.path)
        points = _points(listed_file(path.parent, cloud.text("filename"), path))
        return swept_frame(item.id, stamp_ns, image, camera, points, _pose(picture), _pose(cloud))


class _Scene:
    """Samples of a scene, and what their sensors gave."""

    def __init__(self, path: Path) -> None:
        told = json_values(path, "a scene of DGP")
        self.samples = list(told.all("samples"))
        self._by_key = {datum.text("key"): datum for datum in told.all("data")}

    def data(self, sample: Values) -> dict[str, Values]:
        """Data of a sample by the names of their sensors, in capitals."""
        found = (self._by_key.get(key.text()) for key in sample.all("datum_keys"))
        return {datum.text("id", "name").upper(): datum for datum in found if datum is not None}


def _place(calibration: Values, name: str) -> int:
    names = [each.text().upper() for each in calibration.all("names")]
    if name not in names:
        raise InputError(f"{calibration.path}: no {name} among {', '.join(names)}; needed it.")
    return names.index(name)


def _pose(datum: Values) -> FloatArray:
    """T_world_sensor (4, 4) of a picture or cloud."""
    at, turn = datum.at("pose", "translation"), datum.at("pose", "rotation")
    translation = np.array([at.number(axis) for axis in "xyz"])
    return datum.pose(translation, np.array([turn.number(f"q{axis}") for axis in "wxyz"]))


def _points(path: Path) -> FloatArray:
    """Points (N, 3) float32 of an .npz: rows of x, y, z and more, or fields X, Y, Z."""
    needed = "an .npz of points"
    try:
        with open_regular(path) as file:
            data = read_npz(file, ["data"], _MOST_BYTES)["data"]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed {needed}.") from error
    except InputError as error:
        raise InputError(f"{path}: {error}; needed {needed}.") from error
    if {"X", "Y", "Z"} <= set(data.dtype.names or ()):
        data = np.stack([data[axis].ravel() for axis in "XYZ"], axis=1)
    if data.ndim != 2 or data.shape[1] < 3 or data.dtype.kind not in "fiu":
        raise InputError(f"{path}: shape {data.shape} of {data.dtype}; needed {needed}, x, y, z first.")
    return np.ascontiguousarray(data[:, :3], np.float32)


def _stamp_ns(text: str) -> int | None:
    """Nanoseconds of 2019-03-01T12:00:00.123456Z; None for another text, or a year far ahead."""
    try:
        second = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
        part = int(text[20:].rstrip("Z").ljust(9, "0")[:9] or 0)
    except ValueError:
        return None
    return int(second.timestamp()) * 1_000_000_000 + part if second.year < _LAST_YEAR else None

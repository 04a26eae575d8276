"""nuScenes (Caesar et al., 2020): six cameras and a LiDAR of 32 beams, described by tables of records.

``v1.0-trainval/sample_data.json``, ``sample.json``, ``scene.json``, ``calibrated_sensor.json``,
``sensor.json`` and ``ego_pose.json`` (or of ``v1.0-mini``, ``v1.0-test``) beside ``samples/CAM_FRONT/*.jpg``
and ``samples/LIDAR_TOP/*.pcd.bin``.
"""

from __future__ import annotations

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import first_that_exists, read_points, swept_frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import camera_of, listed_file, read_image, read_lines
from metric_depth_ros.datasets.tree_of_values import Values
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import open_regular
from metric_depth_ros.types import FloatArray

_VERSIONS = ("trainval", "mini", "test")
_LIDAR, _FRONT = "LIDAR_TOP", "CAM_FRONT"
_COLUMNS = 5  # x, y, z, intensity, ring
# Bytes of a table that are read at once, and of a record.
_BLOCK, _LONGEST_RECORD = 1 << 20, 1 << 24
_BETWEEN = re.compile(r"[\s,]*")


class _Shot(NamedTuple):
    """What one sensor gave for a sample: a picture or a sweep."""

    sensor: str
    sample: str
    file: str
    stamp_ns: int
    calibration: str
    pose: str


class NuScenes(PublishedDataset):
    """Key frames of nuScenes: of the front camera, or of all six for ``all_cameras``.

    A list of scenes' names (the devkit's train or val) may be given as a split. Depth is the sweep's points
    projected, moved by what the car drove between the two.
    """

    title = "nuScenes"
    url = "https://www.nuscenes.org/nuscenes"
    licence = "CC BY-NC-SA 4.0, with terms of its own"
    layout = "v1.0-trainval, v1.0-mini or v1.0-test with tables, and samples"
    splits = ("front", "all_cameras")
    takes_lists: ClassVar[bool] = True
    limits_m = (1e-3, 80.0)
    has_one_rig = False

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has tables of a version."""
        return any((path / f"v1.0-{name}" / "sample_data.json").exists() for name in _VERSIONS)

    def list_items(self) -> list[Item]:
        """Pictures of all samples with a sweep, by scene and time."""
        folder = first_that_exists(*(self.path / f"v1.0-{name}" for name in _VERSIONS))
        if folder is None:
            raise self.missing("no tables")
        self._folder = folder
        samples = self._samples(folder)
        self._sensors = {
            record.text("token"): record for record in _records(folder / "calibrated_sensor.json")
        }
        shots = list(self._shots(folder, samples))
        if not shots:
            raise self.missing(f"no key frame in {folder.name}/sample_data.json")
        sweeps = {shot.sample: shot for shot in shots if shot.sensor == _LIDAR}
        pictures = [shot for shot in shots if shot.sensor != _LIDAR and shot.sample in sweeps]
        pictures.sort(key=lambda shot: (samples[shot.sample], shot.stamp_ns, shot.sensor))
        self._pairs = [(picture, sweeps[picture.sample]) for picture in pictures]
        needed = {shot.pose for pair in self._pairs for shot in pair}
        self._poses = {
            record.text("token"): record
            for record in _records(folder / "ego_pose.json", lambda each: _is_in(needed, each, "token"))
        }
        return [
            Item(
                f"{samples[shot.sample]}_{shot.sensor}_{shot.stamp_ns // 1000}",
                samples[shot.sample],
                stamp_ns=shot.stamp_ns,
                entry=place,
            )
            for place, shot in enumerate(pictures)
        ]

    def _samples(self, folder: Path) -> dict[str, str]:
        """Names of their scenes by the tokens of the wanted samples."""
        wanted = None if self.split in self.splits else set(read_lines(Path(self.split), "names of scenes"))
        scenes = {record.text("token"): record.text("name") for record in _records(folder / "scene.json")}
        scenes = {token: name for token, name in scenes.items() if wanted is None or name in wanted}
        found = ((each.text("token"), each.text("scene_token")) for each in _records(folder / "sample.json"))
        return {token: scenes[scene] for token, scene in found if scene in scenes}

    def _shots(self, folder: Path, samples: dict[str, str]) -> Iterator[_Shot]:
        """Sweeps and wanted pictures of samples."""
        sensors = {
            record.text("token"): record.text("channel") for record in _records(folder / "sensor.json")
        }
        names = {token: sensors.get(each.text("sensor_token"), "") for token, each in self._sensors.items()}
        all_cameras = self.split == "all_cameras"
        used = {
            token: name
            for token, name in names.items()
            if name in (_LIDAR, _FRONT) or (all_cameras and name.startswith("CAM_"))
        }

        def is_used(record: dict[str, Any]) -> bool:
            return (
                record.get("is_key_frame") is True
                and _is_in(samples, record, "sample_token")
                and _is_in(used, record, "calibrated_sensor_token")
            )

        for record in _records(folder / "sample_data.json", is_used):
            calibration = record.text("calibrated_sensor_token")
            yield _Shot(
                used[calibration],
                record.text("sample_token"),
                record.text("filename"),
                int(record.number("timestamp")) * 1000,
                calibration,
                record.text("ego_pose_token"),
            )

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame with its sweep."""
        shot, sweep = self._pairs[item.entry]
        image = read_image(self._file(shot))
        sensor = self._sensors[shot.calibration]
        K = sensor.matrix(3, 3, "camera_intrinsic")
        camera = camera_of(image, (K[0, 0], K[1, 1], K[0, 2], K[1, 2]), sensor.path)
        points = read_points(self._file(sweep), _COLUMNS)
        return swept_frame(item.id, stamp_ns, image, camera, points, self._place(shot), self._place(sweep))

    def _file(self, shot: _Shot) -> Path:
        return listed_file(self.path, shot.file, self._folder / "sample_data.json")

    def _place(self, shot: _Shot) -> FloatArray:
        """T_world_sensor (4, 4) at the time of a shot."""
        if shot.pose not in self._poses:
            raise InputError(
                f"{self.path}: ego_pose.json: no {shot.pose[:80]!r} of {shot.file[:80]}; needed it."
            )
        return _transform(self._poses[shot.pose]) @ _transform(self._sensors[shot.calibration])


def _is_in(known: Collection[str], record: dict[str, Any], key: str) -> bool:
    value = record.get(key)
    return isinstance(value, str) and value in known


def _transform(record: Values) -> FloatArray:
    """Transform (4, 4) of a record's translation and rotation."""
    return record.pose(record.matrix(3, 1, "translation"), record.matrix(4, 1, "rotation"))


def _records(path: Path, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> Iterator[Values]:
    """Records of a table, a JSON list of objects; read a block at a time, as some have a gigabyte.

    Raises:
        InputError: it cannot be read, or is no list of objects.
    """
    try:
        with open_regular(path) as file:
            for number, record in enumerate(_objects(file)):
                if wanted(record):
                    yield Values(path, record, (number,))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed a table of nuScenes.") from error
    except (ValueError, RecursionError) as error:  # JSON or text
        raise InputError(f"{path}: is damaged, or no list of records; needed a table of nuScenes.") from error


def _objects(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Objects of a JSON list. Raises ValueError for anything else."""
    decode, decoder = json.JSONDecoder().raw_decode, getincrementaldecoder("utf-8")()
    text = decoder.decode(file.read(_BLOCK)).lstrip()
    if not text.startswith("["):
        raise ValueError("no list")
    at = 1
    while True:
        at += len(_BETWEEN.match(text, at)[0])  # type: ignore[index]  # it matches nothing at all too
        try:
            value, at = (None, at) if text.startswith("]", at) else decode(text, at)
        except ValueError:  # it may go on in the next block
            block = file.read(_BLOCK)
            if not block or len(text) - at > _LONGEST_RECORD:
                raise
            text, at = text[at:] + decoder.decode(block), 0
            continue
        if value is None:
            return
        if not isinstance(value, dict):
            raise ValueError("no object")
        yield value

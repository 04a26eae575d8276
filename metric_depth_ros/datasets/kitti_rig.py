"""Calibration, poses, crops and depth pictures that KITTI's datasets share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from metric_depth_ros.datasets.published_files import read_depth, read_lines, read_table
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import BoolArray, Camera, FloatArray, ImageArray

KITTI_LICENCE = "CC BY-NC-SA 3.0"
CAM_TO_CAM, VELO_TO_CAM, IMU_TO_VELO = (
    f"calib_{name}.txt" for name in ("cam_to_cam", "velo_to_cam", "imu_to_velo")
)
DRIVE = re.compile(r"(\d{4}_\d\d_\d\d)_drive_\d{4}_sync")
_EARTH_M = 6378137.0
_OXTS_COLUMNS = 30
_OXTS = "latitude, longitude, altitude, roll, pitch, yaw, and 24 numbers more"


@dataclass(frozen=True, eq=False)
class Rig:
    """Rectified camera of a day, and where the LiDAR is.

    Attributes:
        camera: of a rectified picture.
        T_camera_lidar: (4, 4); None without calib_velo_to_cam.txt.
    """

    camera: Camera
    T_camera_lidar: FloatArray | None


def read_rig(day: Path, number: str, image: ImageArray) -> Rig:
    """Rig of camera ``number`` (02, 03) from the calibration of a day.

    With P = K [I | t] of the rectified camera and R of camera 0, p_camera = R p_0 + t.

    Raises:
        InputError: a file cannot be read, or the picture is of another size than the calibration tells.
    """
    path = day / CAM_TO_CAM
    told = read_calibration(path)
    P, R = matrix(told, path, f"P_rect_{number}", 3, 4), matrix(told, path, "R_rect_00", 3, 3)
    width, height = matrix(told, path, f"S_rect_{number}", 1, 2)[0].astype(int)
    if image.shape[:2] != (height, width):
        raise InputError(
            f"{path}: S_rect_{number} {width}x{height}, but a picture is {image.shape[1]}x{image.shape[0]}; "
            "needed pictures as they are distributed."
        )
    camera = Camera(width, height, P[:, :3])
    if not (day / VELO_TO_CAM).exists():
        return Rig(camera, None)
    T_camera_0 = np.eye(4)
    T_camera_0[:3, :3], T_camera_0[:3, 3] = R, np.linalg.solve(P[:, :3], P[:, 3])
    return Rig(camera, T_camera_0 @ read_transform(day / VELO_TO_CAM))


def read_transform(path: Path) -> FloatArray:
    """Transform (4, 4) of a file with R and T. Raises InputError."""
    told, T = read_calibration(path), np.eye(4)
    T[:3, :3], T[:3, 3] = matrix(told, path, "R", 3, 3), matrix(told, path, "T", 1, 3)[0]
    return T


def read_calibration(path: Path) -> dict[str, str]:
    """What a file tells by its keys: lines of KEY: VALUES. Raises InputError if it cannot be read."""
    lines = (line.partition(":") for line in read_lines(path, "KITTI's calibration"))
    return {key.strip(): values for key, _, values in lines}


def matrix(told: dict[str, str], path: Path, key: str, rows: int, columns: int) -> FloatArray:
    """Matrix of a key. Raises InputError if there is none."""
    try:
        values = np.array(told[key].split(), np.float64).reshape(rows, columns)
    except (KeyError, ValueError):
        values = np.full((1, 1), np.nan)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: no {key} of {rows * columns} numbers; needed it.")
    return values


def read_pose(path: Path, origin: FloatArray) -> FloatArray:
    """Pose T_world_imu (4, 4): Mercator's projection at the latitude of ``origin``, which is the world's.

    ``origin``: as of ``read_oxts``. Raises InputError if the file cannot be read.
    """
    here, scale = read_oxts(path), np.cos(np.radians(origin[0]))
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", here[3:6]).as_matrix()
    T[:3, 3] = _mercator(here, scale) - _mercator(origin, scale)
    return T


def read_oxts(path: Path) -> FloatArray:
    """First six numbers of GPS and IMU: degrees of latitude and longitude, altitude, three angles."""
    table = read_table(path, _OXTS_COLUMNS)
    if len(table) != 1:
        raise InputError(f"{path}: {len(table)} rows; needed one: {_OXTS}.")
    return np.asarray(table[0, :6])


def _mercator(oxts: FloatArray, scale: float) -> FloatArray:
    latitude, longitude = np.radians(oxts[:2])
    x = scale * _EARTH_M * longitude
    y = scale * _EARTH_M * np.log(np.tan(np.pi / 4 + latitude / 2))
    return np.array([x, y, oxts[2]])


def read_stamps(path: Path) -> list[int]:
    """Times of a timestamps.txt, ns since 1970, as UTC. Raises InputError."""
    return [_stamp_ns(path, line) for line in read_lines(path, "a time a line")]


def _stamp_ns(path: Path, line: str) -> int:
    try:
        second = datetime.strptime(line[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
        return int(second.timestamp()) * 1_000_000_000 + int((line[20:] or "0").ljust(9, "0")[:9])
    except ValueError:
        raise InputError(f"{path}: {line[:40]!r}; needed a time as 2011-09-26 13:02:25.964389445.") from None


def read_depth_png(path: Path, image: ImageArray) -> FloatArray:
    """Depth (H, W) metres, NaN unknown, of a 16-bit PNG in 1/256 m. Raises InputError."""
    return read_depth(path, image.shape[:2], per_metre=256)


def garg_crop(height: int, width: int) -> BoolArray:
    """Mask (H, W) of the crop of Garg et al. (2016), which evaluations of the Eigen split use since."""
    return _crop(height, width, (0.40810811, 0.99189189), (0.03594771, 0.96405229))


def eigen_crop(height: int, width: int) -> BoolArray:
    """Mask (H, W) of the crop of Eigen et al. (2014)."""
    return _crop(height, width, (0.3324324, 0.91351351), (0.0359477, 0.96405229))


def _crop(height: int, width: int, rows: tuple[float, float], columns: tuple[float, float]) -> BoolArray:
    mask = np.zeros((height, width), bool)
    (top, bottom), (left, right) = (
        (int(low * size), int(high * size)) for (low, high), size in ((rows, height), (columns, width))
    )
    mask[top:bottom, left:right] = True
    return mask

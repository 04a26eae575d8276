"""Reads calibrations from YAML files, for bags that hold no camera_info."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from metric_depth_ros.documents import read_yaml
from metric_depth_ros.errors import InputError
from metric_depth_ros.messages import base_topic, topic_name

_ROI = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
# Keys of ROS' camera_calibration, and of a printed camera_info.
_MATRICES = {
    "d": ("distortion_coefficients", "d", "D"),
    "k": ("camera_matrix", "k", "K"),
    "r": ("rectification_matrix", "r", "R"),
    "p": ("projection_matrix", "p", "P"),
}
_SIZES = {"r": 9, "p": 12}


def read_calibration(path: Path, image_topic: str) -> SimpleNamespace:
    """The camera_info that a file describes: its fields are those of sensor_msgs/CameraInfo.

    The file is one of ROS' camera_calibration, a printed camera_info, a camchain of Kalibr or the sensor.yaml
    of a dataset like EuRoC. Of several cameras the one is taken whose ``rostopic`` is the image's.

    Raises:
        InputError: the file cannot be read, describes no camera or another than a pinhole, or several.
    """
    where = f"calibration {path}"
    try:
        tree = read_yaml(path, InputError, "a readable YAML file", first_of_many=True)
    except InputError as error:
        raise InputError(f"calibration {error}") from error
    tree = tree if isinstance(tree, dict) else {}
    try:
        if _found(tree, _MATRICES["k"]) is not None:
            return _of_ros(tree)
        return _of_kalibr(_chosen(tree, image_topic))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: {error!r}; needed sizes and matrices as numbers.") from error


def _of_ros(tree: Mapping[str, Any]) -> SimpleNamespace:
    found = {name: _numbers(_found(tree, keys)) for name, keys in _MATRICES.items()}
    found.update({name: np.zeros(size) for name, size in _SIZES.items() if not len(found[name])})
    width, height = (tree.get(f"image_{side}", tree.get(side, 0)) for side in ("width", "height"))
    model = str(tree.get("distortion_model", tree.get("camera_model", "")))
    return _camera_info(int(width), int(height), model, **found)


def _of_kalibr(camera: Mapping[str, Any]) -> SimpleNamespace:
    if (projection := camera.get("camera_model", "pinhole")) != "pinhole":
        raise InputError(f"camera_model {projection!r}; needed pinhole. Calibrate it as such.")
    fx, fy, cx, cy = map(float, camera["intrinsics"])
    D = _numbers(_found(camera, ("distortion_coeffs", "distortion_coefficients")))
    width, height = camera.get("resolution", (0, 0))
    K = np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1])
    model = str(camera.get("distortion_model", ""))
    return _camera_info(int(width), int(height), model, d=D, k=K, r=np.zeros(9), p=np.zeros(12))


def _chosen(tree: Mapping[str, Any], image_topic: str) -> Mapping[str, Any]:
    """The camera of a camchain that publishes the images, else the only one. Raises InputError."""
    cameras: dict[str, Mapping[str, Any]] = {
        name: part for name, part in tree.items() if isinstance(part, dict) and "intrinsics" in part
    }
    if "intrinsics" in tree:
        cameras = {"": tree}
    topics = {name: base_topic(str(part.get("rostopic", ""))) for name, part in cameras.items()}
    wanted = topic_name(base_topic(image_topic))
    own = [name for name, topic in topics.items() if topic_name(topic) == wanted]
    if len(own or cameras) != 1:
        listed = ", ".join(f"{name} ({topic or 'without rostopic'})" for name, topic in topics.items())
        raise InputError(
            f"holds {listed or 'no camera'}; needed the camera of {image_topic}: camera_matrix as ROS writes "
            "it, or intrinsics as Kalibr does. Set its rostopic to the image's topic."
        )
    return cameras[(own or list(cameras))[0]]


def _found(tree: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((tree[key] for key in keys if tree.get(key) is not None), None)


def _numbers(values: Any) -> Any:
    """Numbers of a list, or of a matrix as OpenCV writes it; empty for None."""
    if isinstance(values, dict):
        values = values["data"]
    return np.array([] if values is None else values, np.float64).ravel()


def _camera_info(width: int, height: int, model: str, **matrices: Any) -> SimpleNamespace:
    return SimpleNamespace(
        width=width, height=height, distortion_model=model, binning_x=0, binning_y=0, roi=_ROI, **matrices
    )

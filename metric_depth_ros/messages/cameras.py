"""Converts sensor_msgs/CameraInfo to Camera and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Camera, FloatArray, Rectification


def read_camera(message: Any, *, rectified: bool) -> Camera:
    """Camera from a sensor_msgs/CameraInfo, with binning and ROI applied.

    A raw image has K, D and the distortion model. A rectified image has the pinhole in P or, if both P
    and D are zero, K.

    Raises:
        InputError: K (or P) is zero or not finite, the size is not positive, D does not fit the
            distortion model, or ``rectified`` with P zero and D not.
    """
    width, height = _image_size(message)
    if not rectified:
        model, D = _distortion(message)
        return Camera(width, height, _of_image(_matrix(message, "k", 3, 3), message), model, D)
    wanted = read_rectification(message)
    if wanted is None:
        model, D = _distortion(message)
        raw = Camera(width, height, _of_image(_matrix(message, "k", 3, 3), message), model, D)
        if raw.distorted:
            raise InputError(
                "camera_info: P is zero though the lens is distorted; needed P, the camera of the "
                "rectified image. Publish P, or set input.rectification: rectify for raw images."
            )
        return raw
    return Camera(width, height, wanted.K)


def read_rectification(message: Any) -> Rectification | None:
    """Rectification from a CameraInfo: R, and K from P with binning and ROI applied; None if P is zero.

    A zero R, which some drivers send, is the identity.

    Raises:
        InputError: R is not a rotation, or P is not a pinhole camera.
    """
    P, R = _matrix(message, "p", 3, 4), _matrix(message, "r", 3, 3)
    if not P.any():
        return None
    R = R if R.any() else np.eye(3)
    if not (np.abs(R @ R.T - np.eye(3)).max() < 1e-3 and np.linalg.det(R) > 0):
        raise InputError(f"camera_info: R {R.ravel()}; needed a rotation. Correct the calibration.")
    if not (np.isfinite(P).all() and P[2].tolist() == [0, 0, 1, 0] and P[0, 0] > 0 and P[1, 1] > 0):
        raise InputError(
            f"camera_info: P {P.ravel()}; needed positive focal lengths and a last row of 0 0 1 0. "
            "Correct the calibration."
        )
    return Rectification(_of_image(P[:, :3], message), R)


def camera_info_fields(camera: Camera) -> dict[str, Any]:
    """Fields of a sensor_msgs/CameraInfo, float64 arrays; R is the identity and P = [K | 0].

    A camera without distortion is written as plumb_bob with five zeros, as is customary.
    """
    model, D = camera.distortion_model, camera.D
    if model in ("none", "plumb_bob"):
        model, D = "plumb_bob", (*D, *[0.0] * (5 - len(D)))
    return {
        "height": camera.height,
        "width": camera.width,
        "distortion_model": model,
        "d": np.array(D, np.float64),
        "k": camera.K.astype(np.float64).reshape(-1),
        "r": np.eye(3).reshape(-1),
        "p": np.concatenate([camera.K, np.zeros((3, 1))], axis=1).reshape(-1),
    }


def _field(message: Any, name: str) -> Any:
    """A calibration field; ROS 1 writes them in capitals."""
    return getattr(message, name) if hasattr(message, name) else getattr(message, name.upper())


def _matrix(message: Any, name: str, rows: int, columns: int) -> FloatArray:
    values = np.asarray(_field(message, name), np.float64)
    if values.size != rows * columns:
        raise InputError(f"camera_info: {name.upper()} has {values.size} values; needed {rows * columns}.")
    return values.reshape(rows, columns)


def _distortion(message: Any) -> tuple[str, tuple[float, ...]]:
    """Distortion model and coefficients; the length of D decides plumb_bob or rational_polynomial.

    Drivers confuse the two names. The first five coefficients mean the same in both.
    """
    D = tuple(float(x) for x in _field(message, "d"))
    model = str(message.distortion_model)
    if model in ("", "plumb_bob", "rational_polynomial", "none") and not any(D):
        return "none", ()
    if model in ("plumb_bob", "rational_polynomial"):
        model = "plumb_bob" if len(D) <= 5 else "rational_polynomial"
    return model, D


def _binning(message: Any) -> tuple[int, int]:
    """Binning: sensor columns and rows per image pixel; 0 means 1."""
    return max(int(message.binning_x), 1), max(int(message.binning_y), 1)


def _image_size(message: Any) -> tuple[int, int]:
    """Width and height of the image: those of the ROI (zero: the whole sensor) over the binning."""
    bin_x, bin_y = _binning(message)
    width, height = message.roi.width or message.width, message.roi.height or message.height
    return int(width) // bin_x, int(height) // bin_y


def _of_image(K: FloatArray, message: Any) -> FloatArray:
    """K of the image from K of the full sensor: ROI first, then binning.

    A binned pixel covers several, its centre lies between theirs: c' = (c + 0.5) / binning - 0.5.
    """
    bin_x, bin_y = _binning(message)
    shift = np.array([[1, 0, -message.roi.x_offset], [0, 1, -message.roi.y_offset], [0, 0, 1]], np.float64)
    shrink = np.array([[1 / bin_x, 0, (1 / bin_x - 1) / 2], [0, 1 / bin_y, (1 / bin_y - 1) / 2], [0, 0, 1]])
    return np.asarray(shrink @ shift @ K)

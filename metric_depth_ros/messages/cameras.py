"""Converts sensor_msgs/CameraInfo to Camera and back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.messages.names import words_of
from metric_depth_ros.types import DISTORTION_MODELS, Camera, FloatArray, Rectification

# Names of the distortion models of sensor_msgs/CameraInfo and of calibration tools.
_MODELS = {
    "plumb_bob": ("plumb_bob", "plumbbob", "radtan", "radial_tangential", "brown", "brown_conrady", "opencv"),
    "rational_polynomial": ("rational_polynomial", "rational"),
    "equidistant": (
        "equidistant", "equi", "fisheye", "opencv_fisheye", "kannala_brandt", "kannala_brandt4", "kb", "kb4",
    ),
    "none": ("", "none", "pinhole", "perspective", "rectilinear", "undistorted", "rectified"),
}  # fmt: skip
_MODEL_OF = {alias: model for model, aliases in _MODELS.items() for alias in aliases}
# Frames with such a word are a right camera's own; its offset is in tf.
_RIGHT = re.compile(r"right.*|infra2")


class CameraInfo(NamedTuple):
    """What a sensor_msgs/CameraInfo says of its image.

    Attributes:
        camera: of the image as it is.
        rectification: how it is to be rectified; None: not at all.
        note: that the offset of a right camera in P is not used because of its frame's name; or None.
    """

    camera: Camera
    rectification: Rectification | None
    note: str | None


def read_camera(message: Any, *, rectified: bool, image_size: tuple[int, int] | None = None) -> Camera:
    """Camera of a sensor_msgs/CameraInfo, as ``read_camera_info``."""
    return read_camera_info(message, rectified=rectified, image_size=image_size).camera


def read_camera_info(
    message: Any,
    *,
    rectified: bool,
    image_size: tuple[int, int] | None = None,
    stereo_offset: str = "auto",
) -> CameraInfo:
    """Camera and rectification from a sensor_msgs/CameraInfo, with binning and ROI applied.

    A raw image has K, D and the distortion model; it is rectified by R, and K from P, unless P is zero. A
    rectified image has the pinhole in P or, if both P and D are zero, K. A zero R, which some drivers send,
    is the identity. P's last column is the offset of a right (or lower) camera in the frame of the left one,
    [u v w] = P [X Y Z 1].

    Args:
        image_size: width and height of the image. It decides where the message gives no size, and whether
            binning and ROI are in the numbers already.
        stereo_offset: "use" or "ignore" that offset; "auto": use it where it places a right camera and the
            frame's name is not a right camera's own, whose offset is in tf. The last column of KITTI's P,
            told by its last row, is none.

    Raises:
        InputError: K (or P) is zero or not finite, the size is not positive, D does not fit the
            distortion model, R is not a rotation, P is not a pinhole camera, or ``rectified`` with P zero
            and D not.
    """
    width, height, S = _view(message, image_size)
    wanted, note = _rectification(message, S, stereo_offset)
    if rectified and wanted is not None:
        camera = Camera(width, height, wanted.K, position_m=wanted.position_m)
        return CameraInfo(camera, None, note)
    model, D = _distortion(message)
    raw = Camera(width, height, S @ _matrix(message, "k", 3, 3), model, D)
    if rectified and raw.distorted:
        raise InputError(
            "camera_info: P is zero though the lens is distorted; needed P, the camera of the "
            "rectified image. Publish P, or set input.rectification: rectify for raw images."
        )
    if wanted is None:
        return CameraInfo(raw, None, note)
    x, y, z = wanted.R.T @ wanted.position_m
    return CameraInfo(replace(raw, position_m=(float(x), float(y), float(z))), wanted, note)


def check_image_size(image_size: tuple[int, int], camera: Camera) -> None:
    """Raises InputError if an image, of a width and height, is not the camera's."""
    if image_size != (camera.width, camera.height):
        raise InputError(
            f"image: {image_size[0]}x{image_size[1]}, but camera_info is for "
            f"{camera.width}x{camera.height}. Publish the camera_info of this image."
        )


def _rectification(
    message: Any, S: FloatArray, stereo_offset: str
) -> tuple[Rectification | None, str | None]:
    """Rectification, None if P is zero, and ``CameraInfo.note``; S as of ``_view``."""
    P, R = _matrix(message, "p", 3, 4), _matrix(message, "r", 3, 3)
    if not P.any():
        return None, None
    R = R if R.any() else np.eye(3)
    if not (np.abs(R @ R.T - np.eye(3)).max() < 1e-3 and np.linalg.det(R) > 0):
        raise InputError(f"camera_info: R {R.ravel()}; needed a rotation. Correct the calibration.")
    if not (np.isfinite(P).all() and P[2, :3].tolist() == [0, 0, 1] and P[0, 0] > 0 and P[1, 1] > 0):
        raise InputError(
            f"camera_info: P {P.ravel()}; needed positive focal lengths and a last row of 0 0 1. "
            "Correct the calibration."
        )
    by_name = stereo_offset == "auto" and _places_right(P)
    in_tf = by_name and _frame_is_right(message)
    used = stereo_offset == "use" or (by_name and not in_tf)
    position_m = (*_offset(P), 0.0) if used else (0.0, 0.0, 0.0)
    return Rectification(S @ P[:, :3], R, position_m), _left_out(message, P) if in_tf else None


def _left_out(message: Any, P: FloatArray) -> str:
    return (
        f"camera_info: P places the camera {max(_offset(P)):.3g} m beside its frame, but "
        f"{message.header.frame_id!r} has the name of a right camera's own frame: the offset is left out. If "
        "tf lacks it, set input.stereo_offset: use; if tf has it, ignore."
    )


def _offset(P: FloatArray) -> tuple[float, float]:
    """Position (x, y) in metres of the camera of P (3, 4) in its frame."""
    return float(-P[0, 3] / P[0, 0]), float(-P[1, 3] / P[1, 1])


def _places_right(P: FloatArray) -> bool:
    """Whether P (3, 4) places a right or lower camera; the last row of KITTI's P tells that it does not."""
    return P[2, 3] == 0 and min(_offset(P)) >= 0 < max(_offset(P))


def _frame_is_right(message: Any) -> bool:
    """Whether the frame of a message has the name of a right camera's own."""
    frame = str(getattr(getattr(message, "header", None), "frame_id", ""))
    return any(_RIGHT.fullmatch(word) for word in words_of(frame))


def camera_info_fields(camera: Camera) -> dict[str, Any]:
    """Fields of a sensor_msgs/CameraInfo, float64 arrays; R is the identity and P = K [I | -position].

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
        "p": np.c_[camera.K, 0.0 - camera.K @ camera.position_m].reshape(-1),
    }


def calibration_field(message: Any, name: str) -> Any:
    """A calibration field; ROS 1 writes them in capitals."""
    return getattr(message, name) if hasattr(message, name) else getattr(message, name.upper())


def _matrix(message: Any, name: str, rows: int, columns: int) -> FloatArray:
    values = np.asarray(calibration_field(message, name), np.float64)
    if values.size != rows * columns:
        raise InputError(f"camera_info: {name.upper()} has {values.size} values; needed {rows * columns}.")
    return values.reshape(rows, columns)


def _distortion(message: Any) -> tuple[str, tuple[float, ...]]:
    """Distortion model and coefficients; the length of D decides plumb_bob or rational_polynomial.

    Drivers confuse the two names. The first five coefficients mean the same in both. Zeros at the end of D do
    not matter, so a D of another length gets the one that its model needs.
    """
    name = str(message.distortion_model)
    model = _MODEL_OF.get(name.strip().lower().replace("-", "_").replace(" ", "_"), name)
    D = tuple(float(x) for x in calibration_field(message, "d"))
    used = max((i + 1 for i, x in enumerate(D) if x != 0), default=0)
    if model in _MODELS and model != "equidistant" and not used:
        return "none", ()
    brown = model in ("plumb_bob", "rational_polynomial")
    if brown:
        model = "plumb_bob" if used <= 5 else "rational_polynomial"
    lengths = [n for n in DISTORTION_MODELS.get(model, ()) if n >= used]
    if not lengths or len(D) in lengths or (brown and len(D) == used == 3):  # Camera says what is wrong
        return model, D
    return model, (*D[:used], *[0.0] * (lengths[0] - used))


def _view(message: Any, image_size: tuple[int, int] | None) -> tuple[int, int, FloatArray]:
    """Width and height of the image, and S (3, 3): K of the image is S times K of the message.

    ROI first, then binning; zero ROI: the whole sensor. A binned pixel covers several, its centre lies
    between theirs: c' = (c + 0.5) / binning - 0.5. If the message's size is the image's and either ROI or
    binning contradicts that, they are in K already.
    """
    bin_x, bin_y = max(int(message.binning_x), 1), max(int(message.binning_y), 1)
    roi, size = message.roi, (int(message.width), int(message.height))
    declared = (int(roi.width) or size[0]) // bin_x, (int(roi.height) or size[1]) // bin_y
    outside = roi.x_offset + roi.width > size[0] or roi.y_offset + roi.height > size[1]
    if image_size == size and (outside or declared != size):
        return *size, np.eye(3)
    if image_size is not None and 0 in size:
        declared = image_size
    shift = np.array([[1, 0, -roi.x_offset], [0, 1, -roi.y_offset], [0, 0, 1]], np.float64)
    shrink = np.array([[1 / bin_x, 0, (1 / bin_x - 1) / 2], [0, 1 / bin_y, (1 / bin_y - 1) / 2], [0, 0, 1]])
    return *declared, np.asarray(shrink @ shift)

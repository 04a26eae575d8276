"""Pinhole geometry with the distortion models of sensor_msgs/CameraInfo, and rigid transforms.

Pixels ``uv`` are (N, 2), u right and v down, integers at pixel centres. Points are (N, 3) metres in
the optical frame: x right, y down, z forward.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import BoolArray, Camera, FloatArray, ImageArray, IntArray, Rectification

# A calibration is broken if it fills less than this fraction of the rectified image.
_LEAST_SEEN = 0.1


def transform_points(T_target_source: FloatArray, points: FloatArray) -> FloatArray:
    """Points (N, 3), float32, in the target frame; float64 ones are moved in double precision."""
    kind = np.float64 if points.dtype == np.float64 else np.float32
    points = np.ascontiguousarray(points, kind).reshape(-1, 1, 3)
    if not len(points):
        return np.empty((0, 3), np.float32)
    # Not a matrix product: BLAS would wake its threads, which costs far more than it saves when the
    # processor's cores are busy.
    moved = cv2.transform(points, np.asarray(T_target_source, np.float64)[:3])
    with np.errstate(over="ignore"):  # beyond float32 is infinite
        return np.asarray(moved, np.float32).reshape(-1, 3)


def rigid_transform(translation: FloatArray | list[float], rotation: FloatArray | list[float]) -> FloatArray:
    """Transform (4, 4) from x, y, z in metres and a quaternion x, y, z, w of any positive length.

    Raises:
        InputError: a value is not finite, or the quaternion has length zero.
    """
    t, q = np.asarray(translation, np.float64), np.asarray(rotation, np.float64)
    length = np.linalg.norm(q)
    if not (np.isfinite(t).all() and np.isfinite(length)) or length < 1e-6:
        raise InputError(
            f"transform: translation {t}, rotation {q}; needed finite numbers and a unit quaternion."
        )
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.from_quat(q).as_matrix(), t
    return T


def quaternion(R: FloatArray) -> FloatArray:
    """Unit quaternion (4,), x, y, z, w with w >= 0, of a rotation matrix (3, 3) with small errors allowed.

    Raises:
        InputError: R is a reflection, or is not finite.
    """
    if not (np.isfinite(R).all() and np.linalg.det(R) > 0):
        raise InputError(f"transform: rotation matrix {np.asarray(R).tolist()}; needed determinant 1.")
    q: FloatArray = Rotation.from_matrix(R).as_quat()
    return -q if q[3] < 0 else q


def resize_camera(camera: Camera, width: int, height: int) -> Camera:
    """The camera of the image resized to (width, height): c' = (c + 0.5) * scale - 0.5."""
    sx, sy = width / camera.width, height / camera.height
    S = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
    return dataclasses.replace(camera, width=width, height=height, K=S @ camera.K)


def project(points: FloatArray, camera: Camera) -> tuple[FloatArray, FloatArray]:
    """Pixels (N, 2) and depths (N,) of points in the frame of the camera; NaN pixels where z <= 0.

    Distortion follows OpenCV (plumb_bob, rational_polynomial) and cv2.fisheye (equidistant). Pixels are
    NaN too for points so far off the axis that the distortion polynomial folds back: they are outside the
    image, but the formula would put them inside.
    """
    K = camera.K.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # infinite is outside the image
        points = np.asarray(points, np.float32).reshape(-1, 3)
        if any(camera.position_m):
            points = points - np.array(camera.position_m, np.float32)
        # Column by column: NumPy is several times slower along rows of two or three.
        z = np.ascontiguousarray(points[:, 2])
        nearness = np.where(z > 0, 1 / z, np.float32(np.nan))
        xy = np.stack([points[:, 0] * nearness, points[:, 1] * nearness]).T
        if camera.distorted:
            xy = _distort(xy, camera)
        u = xy[:, 0] * K[0, 0] + (xy[:, 1] * K[0, 1] + K[0, 2] if K[0, 1] else K[0, 2])
        v = xy[:, 1] * K[1, 1] + K[1, 2]
    return np.stack([u, v]).T, z


def possibly_seen(points: FloatArray, camera: Camera) -> IntArray:
    """Indices (M,) of points (N, 3) in the frame of the camera that may lie inside the image, or near it.

    In a scan all around few do, and to find these is quicker than to project all.
    """
    if not len(points):
        return np.empty(0, np.intp)
    columns = cv2.split(np.ascontiguousarray(points, np.float32).reshape(-1, 1, 3))
    x, y, z = (
        column.ravel() - np.float32(at) if at else column.ravel()
        for column, at in zip(columns, camera.position_m, strict=True)
    )
    seen = (z > 0) & (z < np.inf)
    if camera.distorted:
        return np.flatnonzero(seen & np.isfinite(x) & np.isfinite(y))
    # Pixels times z, a pixel more on each side: the exact test is that of what is left.
    K, size = camera.K.astype(np.float32), (camera.width, camera.height)
    with np.errstate(over="ignore", invalid="ignore"):
        across = x * K[0, 0] + y * K[0, 1] if K[0, 1] else x * K[0, 0]
        for axis, pixel_z in enumerate((across, y * K[1, 1])):
            seen &= (pixel_z >= (-1 - K[axis, 2]) * z) & (pixel_z <= (size[axis] - K[axis, 2]) * z)
    return np.flatnonzero(seen)


def _distort(xy: FloatArray, camera: Camera) -> FloatArray:
    """Distorted normalised coordinates (N, 2) of undistorted ones; NaN beyond the model's fold."""
    radius = np.hypot(xy[:, 0], xy[:, 1])
    usable = np.isfinite(radius) & (radius < _fold_radius(camera.distortion_model, camera.D))
    distorted = np.full_like(xy, np.nan)
    if not usable.any():
        return distorted
    rays = xy[usable].astype(np.float64)
    if camera.distortion_model == "equidistant":
        distorted[usable] = cv2.fisheye.distortPoints(rays[None], np.eye(3), np.array(camera.D))[0]
    else:
        rays = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
        distorted[usable] = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), np.array(camera.D))[
            0
        ][:, 0]
    return distorted


@lru_cache(maxsize=16)
def _fold_radius(model: str, D: tuple[float, ...]) -> float:
    """Largest undistorted radius up to which the distorted radius still grows."""
    angle = np.linspace(0, np.pi / 2 - 1e-3, 2000)
    if model == "equidistant":
        t2 = angle**2
        bent = angle * (1 + t2 * (D[0] + t2 * (D[1] + t2 * (D[2] + t2 * D[3]))))
    else:
        k = [*D, *[0.0] * (8 - len(D))]
        r2 = np.tan(angle) ** 2
        top = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))
        bent = np.tan(angle) * top / (1 + r2 * (k[5] + r2 * (k[6] + r2 * k[7])))
    folded = np.flatnonzero(np.diff(bent) <= 0)
    return float(np.tan(angle[folded[0]])) if len(folded) else np.inf


def unproject(uv: FloatArray, depth: FloatArray, camera: Camera) -> FloatArray:
    """Points (N, 3) of pixels (N, 2) with depths (N,) along the optical axis."""
    rays = _undistorted_rays(np.asarray(uv, np.float64).reshape(-1, 2), camera)
    points = rays * np.asarray(depth, np.float32)[:, None]
    return points + np.array(camera.position_m, np.float32) if any(camera.position_m) else points


def _undistorted_rays(uv: FloatArray, camera: Camera) -> FloatArray:
    """Rays (N, 3), float32, with z = 1 through pixels; NaN where the distortion has no inverse."""
    xy = (uv - camera.K[:2, 2]) / [camera.K[0, 0], camera.K[1, 1]]
    xy[:, 0] -= camera.K[0, 1] / camera.K[0, 0] * xy[:, 1]
    if camera.distorted and len(uv):
        xy = _undistort(xy, camera)
    return np.concatenate([xy, np.ones((len(xy), 1))], axis=1).astype(np.float32)


def _undistort(bent: FloatArray, camera: Camera) -> FloatArray:
    """Inverse of ``_distort``: undistorted normalised coordinates (N, 2); NaN where there are none.

    Starts from OpenCV's result, whose number of iterations differs between versions, and refines it.
    """
    D = np.array(camera.D)
    if camera.distortion_model == "equidistant":
        straight = cv2.fisheye.undistortPoints(bent[None], np.eye(3), D)[0]
    else:
        straight = cv2.undistortPoints(bent[:, None], np.eye(3), D)[:, 0]
    for _ in range(30):
        step = bent - _distort(straight, camera)
        straight = straight + step / (1 + np.sum(straight**2, axis=1, keepdims=True)) ** 0.5
        if not (np.abs(step) >= 1e-10).any():
            break
    wrong = ~(np.abs(step).max(axis=1) < 1e-6)
    straight[wrong] = np.nan
    return np.asarray(straight)


@lru_cache(maxsize=4)
def _pixel_rays(
    width: int, height: int, K: bytes, model: str, D: tuple[float, ...], stride: int
) -> FloatArray:
    camera = Camera(width, height, np.frombuffer(K).reshape(3, 3), model, D)
    u, v = np.meshgrid(np.arange(0, width, stride), np.arange(0, height, stride))
    rays = _undistorted_rays(np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64), camera)
    rays = rays.reshape(*u.shape, 3)
    rays.flags.writeable = False
    return rays


def veils(depth: FloatArray, camera: Camera, min_angle_deg: float) -> BoolArray:
    """Mask (H, W) of pixels on surfaces that are seen at less than an angle: veils from a thing to its back.

    Depth maps have them where depth changes over several pixels at an edge. A pixel counts if depth changes
    too fast to both of its neighbours in its row, or in its column: so a step from one pixel to the next
    has none. Beside unknown depth (NaN) there is none.
    """
    K = camera.K
    # Between neighbours the ray turns by 1 / f, and a surface at angle a recedes by z / (f tan a).
    across, down = (1 / (focal * np.tan(np.radians(min_angle_deg))) for focal in (K[0, 0], K[1, 1]))
    found = np.zeros(depth.shape, bool)
    beside = _steep(depth[:, 1:], depth[:, :-1], across)
    found[:, 1:-1] = beside[:, 1:] & beside[:, :-1]
    above = _steep(depth[1:], depth[:-1], down)
    found[1:-1] |= above[1:] & above[:-1]
    return found


def _steep(depth: FloatArray, other: FloatArray, most: float) -> BoolArray:
    """Mask of pixels whose depth differs from a neighbour's by more than a part of the smaller one."""
    return np.asarray(np.abs(depth - other) > np.float32(most) * np.minimum(depth, other))


def pixel_rays(camera: Camera, stride: int = 1) -> FloatArray:
    """Rays with z = 1 through every stride-th pixel, float32; cached, do not modify.

    Shape (ceil(H / stride), ceil(W / stride), 3). ``rays * depth[::stride, ::stride, None]`` are the points
    of a depth image.
    """
    return _pixel_rays(
        camera.width, camera.height, camera.K.tobytes(), camera.distortion_model, camera.D, stride
    )


class Rectifier:
    """Rectifies the images of a camera. Build it once per camera; the maps, 6 bytes a pixel, are kept.

    Attributes:
        rectified: the pinhole camera of the result; same size.
        changes: whether a rectified image differs from the raw one.
    """

    def __init__(self, raw: Camera, wanted: Rectification | None = None) -> None:
        """``wanted``: rotation and matrix of the rectified camera; None keeps K and removes the distortion.

        Raises:
            InputError: almost no pixel of the rectified image lies in the raw one.
        """
        self._raw = raw
        self._wanted = wanted or Rectification(raw.K, np.eye(3), raw.position_m)
        self.rectified = Camera(raw.width, raw.height, self._wanted.K, position_m=self._wanted.position_m)
        same = np.allclose(self._wanted.K, raw.K) and np.allclose(self._wanted.R, np.eye(3))
        self.changes = raw.distorted or not same
        self._maps = self._made_maps() if self.changes else None

    def _made_maps(self) -> tuple[Any, Any]:
        """Where each pixel of the rectified image lies in the raw one, for ``cv2.remap``."""
        raw = self._raw
        initialise = (
            cv2.fisheye.initUndistortRectifyMap
            if raw.distortion_model == "equidistant"
            else cv2.initUndistortRectifyMap
        )
        size, D = (raw.width, raw.height), np.array(raw.D or (0.0,) * 4)
        u, v = initialise(raw.K, D, self._wanted.R, self._wanted.K, size, cv2.CV_32FC1)
        if skew := raw.K[0, 1]:  # which OpenCV passes over
            u += np.float32(skew / raw.K[1, 1]) * (v - np.float32(raw.K[1, 2]))
        seen = float(np.mean((u >= 0) & (u < raw.width) & (v >= 0) & (v < raw.height)))
        if seen < _LEAST_SEEN:
            raise InputError(
                f"camera: {100 * seen:.0f} % of the rectified image lies in the raw one; needed "
                f"{100 * _LEAST_SEEN:.0f} %. Correct K, D, R and P in camera_info."
            )
        return cv2.convertMaps(u, v, cv2.CV_16SC2)

    def fits(self, raw: Camera, wanted: Rectification | None) -> bool:
        """Whether this Rectifier is for this camera and this rectification."""
        mine, other = self._raw, raw
        K, R = (raw.K, np.eye(3)) if wanted is None else (wanted.K, wanted.R)
        position_m = raw.position_m if wanted is None else wanted.position_m
        return (
            position_m == self._wanted.position_m
            and (mine.width, mine.height, mine.distortion_model, mine.D)
            == (other.width, other.height, other.distortion_model, other.D)
            and np.array_equal(mine.K, other.K)
            and np.array_equal(K, self._wanted.K)
            and np.array_equal(R, self._wanted.R)
        )

    def rectify(self, image: ImageArray) -> ImageArray:
        """Rectified image (H, W, 3); black where the raw image has no pixel.

        Raises:
            InputError: the image is not of the camera's size.
        """
        if image.shape[:2] != (self._raw.height, self._raw.width):
            raise InputError(
                f"image: {image.shape[1]}x{image.shape[0]}; its camera is "
                f"{self._raw.width}x{self._raw.height}. Check that camera_info belongs to this image."
            )
        if self._maps is None:
            return image
        return np.asarray(cv2.remap(image, *self._maps, cv2.INTER_LINEAR), np.uint8)

    def rectify_labels(self, labels: IntArray) -> IntArray:
        """Rectified labels (H, W) from 0, int32.

        ``labels`` have the camera's size. Pixels outside the raw image become a region of their own.
        """
        if self._maps is None:
            return labels.astype(np.int32, copy=False)
        unseen = float(labels.max(initial=-1) + 1)
        # With fixed-point maps OpenCV picks the wrong neighbour (issue 24106; all versions but the newest).
        u, v = cv2.convertMaps(*self._maps, cv2.CV_32FC1)
        moved = cv2.remap(
            labels.astype(np.float32), u, v, cv2.INTER_NEAREST, None, cv2.BORDER_CONSTANT, unseen
        )
        return np.asarray(moved, np.int32)


def nearest_known(known: BoolArray) -> IntArray:
    """Flat index (H * W,) of the known pixel nearest to each pixel; at least one must be known."""
    _, label = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(label.max()) + 1, np.intp)
    places = np.flatnonzero(known)
    of_label[label.ravel()[places]] = places
    return np.asarray(of_label[label.ravel()])


def filled(values: FloatArray, known: BoolArray) -> FloatArray:
    """Values (H, W), at each pixel that of the nearest known pixel; at least one must be known."""
    return np.asarray(values.ravel()[nearest_known(known)].reshape(values.shape))

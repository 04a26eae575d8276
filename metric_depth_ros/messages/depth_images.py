"""Converts depth images, raw and compressed (image_transport's compressedDepth), to points."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.encoded_pictures import is_whole_png, picture_size
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import pixel_rays
from metric_depth_ros.messages.images import (
    checked_size,
    data_bytes,
    depth_encoding,
    depth_in_metres,
    depth_view,
    raw_size,
)
from metric_depth_ros.types import Array, Camera, FloatArray

# Pixels taken of a depth image, evenly spaced: about one per 8x8 square at VGA, as many as anchors need.
_SAMPLES = 4800
# Camera of an image by its width and height.
CameraOf = Callable[[tuple[int, int]], Camera]
_PNG = b"\x89PNG"
# Its header, in which bit depth and colour type stand behind the size.
_PNG_HEAD, _KIND, _GREY_16 = 33, slice(24, 26), bytes((16, 0))
# Compressed depth begins with a format number and two parameters of the quantisation.
_HEADER = np.dtype([("format", "<i4"), ("scale", "<f4"), ("shift", "<f4")])
_MOST_QUANTISED = 65500


def read_depth_points(message: Any, camera_of: CameraOf) -> FloatArray:
    """Points (N, 3) float32 in the depth camera's optical frame, of evenly spaced pixels of a depth image.

    About 4800 pixels are taken, those without depth left out (``depth_in_metres``).

    Args:
        camera_of: calibration of this image, which may differ from that of any other.

    Raises:
        InputError: as ``depth_view``, another size, or an unusable calibration.
    """
    camera = _camera(camera_of, raw_size(message))
    return _points(depth_in_metres, depth_view(message), camera)


def read_depth_image(message: Any, size: tuple[int, int]) -> FloatArray:
    """Depth (H, W) float32 in metres of a depth image, raw or compressed, NaN unknown.

    Args:
        size: width and height that it must have.

    Raises:
        InputError: another size, or as ``depth_view`` or ``read_compressed_depth_points``.
    """
    if not hasattr(message, "format"):
        _check(size, raw_size(message))
        return depth_in_metres(depth_view(message))
    encoding = depth_encoding(str(message.format).split(";")[0])
    data, check = data_bytes(message.data), partial(_check, size)
    values, scale, shift = _decoded(data, str(message.format), encoding, check)
    return _from_inverse(values, scale, shift) if encoding == "32FC1" else depth_in_metres(values)


def compressed_depth_fields(depth: FloatArray) -> dict[str, Any]:
    """Fields of a sensor_msgs/CompressedImage (compressedDepth) for depth (H, W) in metres, NaN unknown.

    32FC1: a PNG of inverse depth with the largest scale that holds the nearest pixel, so that a depth is
    rounded by at most depth^2 / (131000 nearest): 0.04 m at 100 m if the nearest is 2 m away.
    """
    known = np.isfinite(depth) & (depth > 0)
    scale = np.float32(_MOST_QUANTISED * (depth[known].min() if known.any() else 1))
    inverse = np.divide(scale, depth, out=np.zeros(depth.shape, np.float32), where=known)
    header = np.array([(0, scale, 0)], _HEADER).tobytes()
    picture = cv2.imencode(".png", np.rint(inverse).astype(np.uint16), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    data = np.concatenate([np.frombuffer(header, np.uint8), picture.reshape(-1)])
    return {"format": "32FC1; compressedDepth png", "data": data}


def read_compressed_depth_points(message: Any, camera_of: CameraOf) -> tuple[FloatArray, FloatArray]:
    """Points (N, 3) as of ``read_depth_points``, and the sigma (N,) of what compression rounded, metres.

    The data is a PNG, mostly after 12 bytes of parameters. 16UC1 is in millimetres. 32FC1 holds inverse
    depth: value = scale / depth + shift, rounded, so sigma is depth^2 / (scale sqrt(12)).

    Raises:
        InputError: no compressed depth, another compression or size than above, an unusable calibration, or
            damaged data.
    """
    encoding = depth_encoding(str(message.format).split(";")[0])
    data = data_bytes(message.data)
    check = partial(_camera, camera_of)
    values, scale, shift = _decoded(data, str(message.format), encoding, check)
    camera = check(values.shape[::-1])
    if encoding != "32FC1":
        points = _points(depth_in_metres, values, camera)
        return points, np.zeros(len(points), np.float32)
    points = _points(lambda taken: _from_inverse(taken, scale, shift), values, camera)
    return points, points[:, 2] ** 2 / np.float32(scale * math.sqrt(12))


def _decoded(
    data: Any, form: str, encoding: str | None, check: Callable[[tuple[int, int]], object]
) -> tuple[Array, float, float]:
    """Values (H, W) uint16 of compressed depth, and the two parameters of its quantisation.

    ``check`` gets width and height before they are decoded.
    """
    start = 0 if data[:4].tobytes() == _PNG else _HEADER.itemsize
    picture = data[start:]
    values, size = None, picture_size(picture[:_PNG_HEAD].data)
    is_png = size is not None and picture[_KIND].tobytes() == _GREY_16 and is_whole_png(picture.data)
    if encoding is not None and size is not None and is_png:
        check(checked_size(*size))
        with suppress(cv2.error):
            values = cv2.imdecode(picture, cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 2:
        raise InputError(
            f"compressed depth: {data.size} bytes of {form!r}; needed a whole 16-bit PNG of 16UC1 or 32FC1. "
            "Subscribe TOPIC/compressedDepth (not TOPIC/compressed), and set its format to png."
        )
    header = np.zeros(1, _HEADER) if start == 0 else data[:start].view(_HEADER)
    scale, shift = float(header["scale"][0]), float(header["shift"][0])
    if encoding == "32FC1" and not (scale > 0 and math.isfinite(shift)):
        raise InputError(
            f"compressed depth: 32FC1 with parameters {scale:g}, {shift:g}; needed those that "
            "compressed_depth_image_transport writes. Publish 16UC1, or the raw depth image."
        )
    return values, scale, shift


def _check(size: tuple[int, int], found: tuple[int, int]) -> None:
    if found != size:
        raise InputError(
            f"depth image: {found[0]}x{found[1]}, but the image is {size[0]}x{size[1]}; needed the true "
            "depth of the image's pixels. Name another topic."
        )


def _camera(camera_of: CameraOf, size: tuple[int, int]) -> Camera:
    """Camera of an image of a width and height, before it is decoded, as its header may lie."""
    camera = camera_of(size)
    if size != (camera.width, camera.height):
        raise InputError(
            f"depth image: {size[0]}x{size[1]}, but its camera_info is for {camera.width}x{camera.height}. "
            "Name the camera_info of this depth image in the source's camera_info."
        )
    return camera


def _points(metres: Callable[[Array], FloatArray], values: Array, camera: Camera) -> FloatArray:
    """Points (N, 3) of evenly spaced pixels; ``metres`` turns their values into depth, NaN unknown."""
    height, width = values.shape
    stride = max(1, round(math.sqrt(width * height / _SAMPLES)))
    depth = metres(values[::stride, ::stride])
    rays = pixel_rays(camera, stride)
    known = np.isfinite(depth)
    if camera.distorted:
        known &= np.isfinite(rays[..., 0])
    return np.asarray(rays[known] * depth[known][:, None] + np.array(camera.position_m, np.float32))


def _from_inverse(values: Array, scale: float, shift: float) -> FloatArray:
    """Depth from quantised inverse depth; 0 is unknown."""
    inverse = values.astype(np.float32) - np.float32(shift)
    known = (values > 0) & (inverse > 0)
    return np.asarray(np.where(known, np.float32(scale) / np.where(known, inverse, 1), np.float32(np.nan)))

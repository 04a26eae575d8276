"""Converts sensor_msgs/CompressedImage to arrays; sizes are known before anything is decoded."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.encoded_pictures import is_whole_png, picture_size
from metric_depth_ros.errors import InputError
from metric_depth_ros.messages.images import Stretch, checked_size, data_bytes, raw_size
from metric_depth_ros.types import ImageArray

# The size stands in the first bytes of a PNG, and of a JPEG behind what its camera tells of itself.
_HEAD = 1 << 20


def read_compressed_image(message: Any, stretch: Stretch | None = None) -> ImageArray:
    """RGB image (H, W, 3) uint8 from a sensor_msgs/CompressedImage (JPEG, PNG).

    16-bit pixels are stretched as by ``read_image``. An EXIF orientation is ignored: the camera's calibration
    holds for the pixels as stored.

    Raises:
        InputError: as ``image_size``, or the data is empty, truncated, video or depth.
    """
    data = data_bytes(message.data)
    _compressed_size(message, data)
    bgr = None
    if _is_complete(data):
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
        with suppress(cv2.error):  # OpenCV raises for some damage and returns None for other
            bgr = cv2.imdecode(data, flags)
    if bgr is None:
        raise _undecodable(message, data)
    if bgr.dtype == np.uint16:
        bgr = (stretch or Stretch())(bgr)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def compressed_image_fields(image: ImageArray, quality: int = 92) -> dict[str, Any]:
    """Fields of a sensor_msgs/CompressedImage (JPEG) for RGB (H, W, 3) uint8; ``quality`` up to 100."""
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[
        1
    ]
    return {"format": "rgb8; jpeg compressed bgr8", "data": jpeg.reshape(-1)}


def image_size(message: Any) -> tuple[int, int]:
    """Width and height of an Image or CompressedImage, as its header states them.

    Compare them with the camera_info before the image is decoded: few bytes can hold a huge one.

    Raises:
        InputError: another format than JPEG and PNG, or more pixels than any image has that is read.
    """
    if hasattr(message, "format"):
        return _compressed_size(message, data_bytes(message.data))
    return raw_size(message)


def _compressed_size(message: Any, data: ImageArray) -> tuple[int, int]:
    if other := _other_than_picture(message, data):
        raise InputError(f"image: {other} in a CompressedImage; needed JPEG or PNG.{_OTHERS[other]}")
    size = picture_size(data[:_HEAD].data)
    if size is None:
        raise _undecodable(message, data)
    return checked_size(*size)


def _undecodable(message: Any, data: ImageArray) -> InputError:
    return InputError(
        f"image: {data.size} bytes of {message.format!r} cannot be decoded; needed a whole JPEG or PNG. "
        "Check the link to the camera, or set input.image_transport: raw."
    )


# What a CompressedImage may hold besides pictures, and what to do then.
_OTHERS = {
    "video (H.264, H.265 or AV1)": " Decode it first (image_transport republish), or record pictures.",
    "compressed depth": " It is no camera image: choose another topic.",
}


def _other_than_picture(message: Any, data: ImageArray) -> str:
    """Key of ``_OTHERS``, by the format or the first bytes; empty for a picture."""
    form = str(message.format).lower()
    video, depth = _OTHERS
    if "compresseddepth" in form.replace(" ", ""):
        return depth
    named = any(word in form for word in ("264", "265", "hevc", "avc", "av1"))
    starts = data[:4].tobytes()
    return video if named or starts == b"\0\0\0\1" or starts[:3] == b"\0\0\1" else ""


def _is_complete(data: ImageArray) -> bool:
    """Whether a JPEG or PNG has its end; OpenCV fills a missing part with grey, without an error."""
    if data[:2].tobytes() == b"\xff\xd8":
        return b"\xff\xd9" in data[data.size // 2 :].tobytes()
    return is_whole_png(data.data)

"""Stand-in for cv_bridge: image messages <-> OpenCV arrays, for less common encodings.

The usual colour encodings are read faster by ``metric_depth_ros.messages``.
"""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import Image

from metric_depth_ros.errors import InputError
from metric_depth_ros.messages.images import pixel_view

_KINDS = {"8U": "u1", "8S": "i1", "16U": "u2", "16S": "i2", "32S": "i4", "32F": "f4", "64F": "f8"}
_ORDERS = {"mono": "GRAY", "rgb": "RGB", "bgr": "BGR", "rgba": "RGBA", "bgra": "BGRA"}
_CHANNELS = {"mono": 1, "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4, "bayer": 1, "yuv": 2}
_BAYER = {"rggb": "BayerBG", "bggr": "BayerRG", "gbrg": "BayerGR", "grbg": "BayerGB"}
_YUV = {"yuv422": "UYVY", "uyvy": "UYVY", "yuv422_yuy2": "YUY2", "yuyv": "YUY2"}


class CvBridgeError(TypeError):
    """Raised if an image cannot be converted."""


class CvBridge:
    """Converts between image messages and arrays (H, W) or (H, W, C)."""

    def imgmsg_to_cv2(self, img_msg: Any, desired_encoding: str = "passthrough") -> Any:
        """Image as an array; with "passthrough" unchanged, possibly a view of the message.

        Raises:
            CvBridgeError: an encoding is unknown, there is no conversion between the two, or the data
                is cut short.
        """
        family, kind, channels = _layout(img_msg.encoding)
        try:
            pixels = pixel_view(img_msg, kind, channels)
        except InputError as error:
            raise CvBridgeError(str(error)) from error
        pixels = np.asarray(pixels, kind)  # the machine's byte order
        if channels == 1:
            pixels = pixels[..., 0]
        if desired_encoding in ("passthrough", img_msg.encoding):
            return pixels
        return _converted(pixels, img_msg.encoding, family, desired_encoding)

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg: Any, desired_encoding: str = "passthrough") -> Any:
        """Decoded image: "passthrough" as stored (BGR or grey), else converted 8-bit colour.

        Raises:
            CvBridgeError: the data is not an image, or the encoding is unknown.
        """
        flag = cv2.IMREAD_UNCHANGED if desired_encoding == "passthrough" else cv2.IMREAD_COLOR
        try:
            decoded = cv2.imdecode(np.frombuffer(cmprs_img_msg.data, np.uint8), flag)
        except (cv2.error, ValueError):
            decoded = None
        if decoded is None:
            raise CvBridgeError(f"{cmprs_img_msg.format!r} cannot be decoded; needed a whole picture.")
        if desired_encoding in ("passthrough", "bgr8"):
            return decoded
        return _converted(decoded, "bgr8", "bgr", desired_encoding)

    def cv2_to_imgmsg(self, cvim: Any, encoding: str = "passthrough", header: Any = None) -> Image:
        """sensor_msgs/Image from an array; with "passthrough" the encoding is its type, such as 8UC3.

        Raises:
            CvBridgeError: the array does not have the type and channels of the encoding.
        """
        if not isinstance(cvim, np.ndarray) or cvim.ndim not in (2, 3):
            raise TypeError("Your input type is not a numpy array (H, W) or (H, W, C)")
        channels = 1 if cvim.ndim == 2 else cvim.shape[2]
        names = {kind: name for name, kind in _KINDS.items()}
        found = cvim.dtype.str[1:], channels
        if found[0] not in names:
            raise CvBridgeError(f"image of {cvim.dtype}; needed one of {', '.join(names)}.")
        if encoding == "passthrough":
            encoding = f"{names[found[0]]}C{channels}"
        elif _layout(encoding)[1:] != found:
            raise CvBridgeError(
                f"encoding specified as {encoding}, but image has type {names[found[0]]}C{channels}"
            )
        native = np.ascontiguousarray(cvim, "<" + found[0])
        message = Image(
            height=cvim.shape[0], width=cvim.shape[1], encoding=encoding, is_bigendian=0,
            step=cvim.shape[1] * channels * native.itemsize,
        )  # fmt: skip
        message.data.frombytes(native.reshape(-1).view(np.uint8))
        if header is not None:
            message.header = header
        return message


def _layout(encoding: str) -> tuple[str, str, int]:
    """Colour family ("" for types such as 8UC3), NumPy type and channels. Raises CvBridgeError."""
    if bare := re.fullmatch(r"(8U|8S|16U|16S|32S|32F|64F)(?:C([1-9]\d*))?", encoding):
        return "", _KINDS[bare[1]], int(bare[2] or 1)
    if colour := re.fullmatch(r"(mono|rgb|bgr|rgba|bgra|bayer)(?:_(rggb|bggr|gbrg|grbg))?(8|16)", encoding):
        if (colour[1] == "bayer") == (colour[2] is not None):
            return colour[1], f"u{int(colour[3]) // 8}", _CHANNELS[colour[1]]
    elif encoding in _YUV:
        return "yuv", "u1", _CHANNELS["yuv"]
    raise CvBridgeError(f"Unrecognized image encoding [{encoding}]")


def _converted(pixels: Any, encoding: str, family: str, desired: str) -> Any:
    """Pixels in the desired encoding. Colours are converted first, then the type, as in cv_bridge."""
    wanted, kind, channels = _layout(desired)
    found = 1 if pixels.ndim == 2 else pixels.shape[2]
    if wanted and not family:
        raise CvBridgeError(f"[{encoding}] is not a color format, but [{desired}] is")
    if not wanted and found != channels:
        raise CvBridgeError(f"[{encoding}] has {found} channels, [{desired}] has {channels}")
    if wanted and wanted not in _ORDERS:
        raise CvBridgeError(f"[{encoding}] cannot be converted to [{desired}]")
    if wanted and family != wanted:
        pixels = _recoloured(pixels, encoding, family, wanted)
    return _retyped(pixels, np.dtype(kind))


def _recoloured(pixels: Any, encoding: str, family: str, wanted: str) -> Any:
    """Pixels with other colour channels; OpenCV has a constant for each pair."""
    if family == "yuv":
        name = f"COLOR_YUV2{_ORDERS[wanted]}_{_YUV[encoding]}"
    else:
        source = _BAYER[encoding[6:10]] if family == "bayer" else _ORDERS[family]
        name = f"COLOR_{source}2{_ORDERS[wanted]}"
    code = getattr(cv2, name, None)
    if code is None:
        raise CvBridgeError(f"[{encoding}] cannot be converted: OpenCV has no {name}")
    return cv2.cvtColor(pixels, code)


def _retyped(pixels: Any, kind: Any) -> Any:
    """Pixels as another type: full scale stays full scale between u1 and u2, others saturate."""
    if (pixels.dtype, kind) == (np.uint8, np.uint16):
        return pixels.astype(np.uint16) * np.uint16(257)
    if (pixels.dtype, kind) == (np.uint16, np.uint8):
        return np.rint(pixels / 257).astype(np.uint8)
    if kind.kind == "f" or pixels.dtype == kind:
        return pixels.astype(kind, copy=False)
    limits = np.iinfo(kind)
    return np.clip(np.rint(pixels), limits.min, limits.max).astype(kind)

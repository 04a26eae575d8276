"""Converts sensor_msgs/Image and CompressedImage to arrays and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.encoded_pictures import check_size
from metric_depth_ros.errors import InputError
from metric_depth_ros.label_images import compact
from metric_depth_ros.types import FloatArray, ImageArray, IntArray

# Which part of the way the limits of a stretch go to those of a new picture, ...
_PACE = 0.1
# ... unless they are off by more than this part of their distance: then the scene is another one.
_CUT = 0.5


class Stretch:
    """Turns 16-bit pixels into 8-bit ones: what lies between two percentiles gets the whole range.

    The limits follow the pictures slowly, so that the contrast of a stream does not flicker. Keep one object
    per stream; ``clip_percent`` may be changed at any time.
    """

    def __init__(self, clip_percent: float = 0.5) -> None:
        """``clip_percent``: this part of the pixels becomes black, and as many white."""
        self.clip_percent = clip_percent
        self._limits: FloatArray | None = None

    def __call__(self, pixels: Any) -> ImageArray:
        """Pixels of any shape, uint16 in any byte order, as uint8."""
        pixels = np.asarray(pixels, np.uint16)
        step = max(1, round((pixels.shape[0] * pixels.shape[1] / 100_000) ** 0.5))
        counts = np.cumsum(np.bincount(pixels[::step, ::step].ravel(), minlength=65536))
        part = self.clip_percent / 100
        new = np.searchsorted(counts, [part * counts[-1], (1 - part) * counts[-1]]).astype(np.float64)
        if self._limits is None or np.abs(new - self._limits).max() > _CUT * np.ptp(self._limits):
            self._limits = new
        self._limits = low, high = self._limits + _PACE * (new - self._limits)
        levels = (np.arange(65536) - low) * (255 / max(high - low, 1))
        return np.asarray(np.rint(levels.clip(0, 255)).astype(np.uint8)[pixels])


def read_image(message: Any, stretch: Stretch | None = None) -> ImageArray:
    """RGB image (H, W, 3) uint8 from a sensor_msgs/Image; an unpadded rgb8 image is a view of the message.

    16-bit pixels are stretched, by a new ``Stretch`` by default. YUV is taken as BT.601, as cv_bridge does.

    Raises:
        InputError: the encoding is unknown, the size is zero or odd where the encoding needs pairs
            of pixels, or the data is too short for size and step.
    """
    reader = _reader(message.encoding)
    if reader is None:
        raise InputError(
            f"image: encoding {message.encoding!r}; known are {', '.join(KNOWN_ENCODINGS)}. "
            "Convert it in the camera driver."
        )
    return reader(message, stretch or Stretch())


def knows_encoding(name: str) -> bool:
    """Whether ``read_image`` reads an encoding."""
    return _reader(name) is not None


# Encodings of depth images -> type of their pixels. Whole numbers are millimetres, others metres.
_DEPTH = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4", "64FC1": "f8"}


def read_depth(message: Any) -> FloatArray:
    """Depth (H, W) float32 in metres from a depth image, NaN unknown: ``depth_in_metres``. Always a copy.

    Raises:
        InputError: as ``depth_view``.
    """
    return depth_in_metres(depth_view(message))


def depth_view(message: Any) -> Any:
    """Pixels (H, W) of a depth image as sent: a view.

    Raises:
        InputError: the encoding is not 16UC1 (or mono16), 32FC1 or 64FC1, the size is zero, or the data is
            too short for size and step.
    """
    encoding = depth_encoding(message.encoding)
    if encoding is None:
        raise InputError(
            f"depth image: encoding {message.encoding!r}; needed 16UC1 (millimetres) or 32FC1 (metres). "
            "Check that the topic has depth, not colours."
        )
    return pixel_view(message, _DEPTH[encoding], 1, what="depth image")[..., 0]


def depth_encoding(name: str) -> str | None:
    """Encoding of a depth image by its usual name; None if it is none of depth."""
    usual = _ALIASES.get(name.strip().lower(), "")
    return usual if usual in _DEPTH else None


def depth_in_metres(values: Any) -> FloatArray:
    """Depth float32 in metres of pixels, of any shape; NaN unknown.

    Unknown is what is not finite or not positive (REP 118 lets cameras write it), and 65535 of whole numbers.
    """
    with np.errstate(over="ignore"):  # beyond float32 is infinite
        depth: FloatArray = np.array(values, np.float32)
    if values.dtype.kind != "f":
        depth[values == 65535] = np.nan
        depth *= np.float32(0.001)
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


_LABELS = {
    "mono8": "u1", "8UC1": "u1", "8SC1": "i1", "mono16": "u2", "16UC1": "u2", "16SC1": "i2", "32SC1": "i4",
}  # fmt: skip


def read_labels(message: Any) -> IntArray:
    """Region labels (H, W) int32 from a label image, renumbered 0 to n-1 in ascending order.

    Raises:
        InputError: another encoding than the 8- and 16-bit ones of one channel and 32SC1, zero size, or
            the data is too short for size and step.
    """
    kind = _LABELS.get(message.encoding)
    if kind is None:
        raise InputError(
            f"regions: encoding {message.encoding!r}; needed one of {', '.join(_LABELS)}. Publish "
            "labels, not colours."
        )
    return compact(pixel_view(message, kind, 1, what="regions")[..., 0].astype(np.int64))


def depth_fields(depth: FloatArray, encoding: str) -> dict[str, Any]:
    """Fields of a sensor_msgs/Image for depth (H, W) in metres, NaN unknown (REP 118).

    32FC1 keeps metres and NaN; 16UC1 rounds to millimetres, and what is unknown, not positive or
    beyond 65.534 m becomes 0. ``data`` is 1-D uint8, with 32FC1 perhaps a view of ``depth``.

    Raises:
        InputError: ``depth`` is not 2-D, or another encoding.
    """
    if depth.ndim != 2 or encoding not in ("32FC1", "16UC1"):
        raise InputError(f"depth image: shape {depth.shape}, {encoding!r}; needed (H, W), 32FC1 or 16UC1.")
    if encoding == "32FC1":
        return _image_fields(np.ascontiguousarray(depth, "<f4"), encoding)
    millimetres = np.rint(depth * np.float32(1000))
    known = (millimetres > 0) & (millimetres < 65535)
    return _image_fields(np.where(known, millimetres, 0).astype("<u2"), encoding)


def image_fields(image: ImageArray) -> dict[str, Any]:
    """Fields of a sensor_msgs/Image (rgb8) for RGB (H, W, 3) uint8; ``data`` may be a view of it.

    Raises:
        InputError: another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"image: {image.dtype} {image.shape}; needed uint8 (H, W, 3).")
    return _image_fields(np.ascontiguousarray(image), "rgb8")


def _image_fields(pixels: Any, encoding: str) -> dict[str, Any]:
    return {
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "encoding": encoding,
        "is_bigendian": 0,
        "step": pixels.strides[0] if pixels.size else 0,
        "data": pixels.reshape(-1).view(np.uint8),
    }


def data_bytes(data: Any) -> ImageArray:
    """A message's data as 1-D uint8; no copy if it is contiguous."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    return np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)


def pixel_view(
    message: Any, kind: str, channels: int, rows: int | None = None, *, what: str = "image"
) -> Any:
    """View (rows, W, channels) of an image's data, with its step and byte order; rows default to H.

    A wrong step does not matter where the data is as long as the pixels need. ``what`` names the image in
    errors.
    """
    data = data_bytes(message.data)
    (width, height), step = raw_size(message, what), int(message.step)
    rows = rows or height
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    line = width * channels * dtype.itemsize
    if data.size == rows * line:
        step = line
    if step < line:
        raise InputError(
            f"{what}: step {step} for {width} pixels of {message.encoding}; needed at least {line} bytes. "
            "Check its driver."
        )
    needed = (rows - 1) * step + line
    if data.size < needed:
        raise InputError(
            f"{what}: {data.size} bytes for {width}x{height} {message.encoding}, step {step}; "
            f"needed {needed}. The message is cut short: check its driver."
        )
    strides = (step, channels * dtype.itemsize, dtype.itemsize)
    return np.ndarray((rows, width, channels), dtype, data.data, 0, strides)


def raw_size(message: Any, what: str = "image") -> tuple[int, int]:
    """Width and height of an Image. Raises InputError if there is none, or it is too large to be read."""
    width, height = int(message.width), int(message.height)
    if height < 1 or width < 1:
        raise InputError(f"{what}: size {width}x{height}; needed at least 1x1. Check its driver.")
    return checked_size(width, height, what)


def checked_size(width: int, height: int, what: str = "image") -> tuple[int, int]:
    """The size of an image. Raises InputError if it is too large to be read."""
    try:
        check_size(width, height)
    except InputError as error:
        raise InputError(f"{what}: {error}. Check its driver.") from error
    return width, height


def _need_multiple(message: Any, wide: int, high: int, smallest: int = 1) -> None:
    width, height = int(message.width), int(message.height)
    if width % wide or height % high or min(width, height) < smallest:
        raise InputError(
            f"image: size {width}x{height}; {message.encoding} needs a width divisible by {wide}, a "
            f"height by {high}, both at least {smallest}. Check the camera driver."
        )


_Reader = Callable[[Any, Stretch], ImageArray]


def _bytes(message: Any, kind: str, channels: int, stretch: Stretch) -> Any:
    """Pixels (H, W, channels) uint8: 8-bit ones as they are, 16-bit ones stretched."""
    pixels = pixel_view(message, kind, channels)
    return pixels if kind == "u1" else stretch(pixels)


def _plain(channels: int, code: int | None, kind: str = "u1") -> _Reader:
    """A reader for pixels that OpenCV converts in one step, or that are RGB already."""

    def read(message: Any, stretch: Stretch) -> ImageArray:
        pixels = _bytes(message, kind, channels, stretch)
        return np.asarray(pixels if code is None else cv2.cvtColor(pixels, code), np.uint8)

    return read


def _bayer(code: int, kind: str = "u1") -> _Reader:
    def read(message: Any, stretch: Stretch) -> ImageArray:
        _need_multiple(message, 1, 1, smallest=3)  # OpenCV returns black for less
        return np.asarray(cv2.cvtColor(_bytes(message, kind, 1, stretch), code), np.uint8)

    return read


def _yuv422(code: int, *, swapped: bool = False) -> _Reader:
    """A reader for packed YUV 4:2:2; ``swapped``: the two bytes of each pair are in the other order."""

    def read(message: Any, stretch: Stretch) -> ImageArray:
        _need_multiple(message, 2, 1)
        pixels = pixel_view(message, "u1", 2)
        return np.asarray(
            cv2.cvtColor(np.ascontiguousarray(pixels[..., ::-1]) if swapped else pixels, code), np.uint8
        )

    return read


def _yuv422_planes(code: int) -> _Reader:
    """A reader for a plane of Y and one in which U and V alternate, both of the image's size."""

    def read(message: Any, stretch: Stretch) -> ImageArray:
        _need_multiple(message, 2, 1)
        height = int(message.height)
        planes = pixel_view(message, "u1", 1, rows=2 * height)[..., 0]
        return np.asarray(cv2.cvtColor(np.stack([planes[:height], planes[height:]], axis=-1), code), np.uint8)

    return read


def _yuv420(code: int) -> _Reader:
    def read(message: Any, stretch: Stretch) -> ImageArray:
        _need_multiple(message, 2, 2)
        planes = pixel_view(message, "u1", 1, rows=int(message.height) * 3 // 2)
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(planes), code), np.uint8)

    return read


# ROS names a Bayer pattern by its first two rows, OpenCV by its second row: rggb is BG there.
_READERS: dict[str, _Reader] = {
    "rgb8": _plain(3, None),
    "bgr8": _plain(3, cv2.COLOR_BGR2RGB),
    "8UC3": _plain(3, cv2.COLOR_BGR2RGB),
    "rgba8": _plain(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _plain(4, cv2.COLOR_BGRA2RGB),
    "8UC4": _plain(4, cv2.COLOR_BGRA2RGB),
    "mono8": _plain(1, cv2.COLOR_GRAY2RGB),
    "8UC1": _plain(1, cv2.COLOR_GRAY2RGB),
    "mono16": _plain(1, cv2.COLOR_GRAY2RGB, "u2"),
    "16UC1": _plain(1, cv2.COLOR_GRAY2RGB, "u2"),
    "rgb16": _plain(3, None, "u2"),
    "bgr16": _plain(3, cv2.COLOR_BGR2RGB, "u2"),
    "16UC3": _plain(3, cv2.COLOR_BGR2RGB, "u2"),
    "rgba16": _plain(4, cv2.COLOR_RGBA2RGB, "u2"),
    "bgra16": _plain(4, cv2.COLOR_BGRA2RGB, "u2"),
    "16UC4": _plain(4, cv2.COLOR_BGRA2RGB, "u2"),
    "bayer_rggb8": _bayer(cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": _bayer(cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": _bayer(cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": _bayer(cv2.COLOR_BayerGB2RGB),
    "bayer_rggb16": _bayer(cv2.COLOR_BayerBG2RGB, "u2"),
    "bayer_bggr16": _bayer(cv2.COLOR_BayerRG2RGB, "u2"),
    "bayer_gbrg16": _bayer(cv2.COLOR_BayerGR2RGB, "u2"),
    "bayer_grbg16": _bayer(cv2.COLOR_BayerGB2RGB, "u2"),
    "yuv422": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    "yvyu": _yuv422(cv2.COLOR_YUV2RGB_YVYU),
    "vyuy": _yuv422(cv2.COLOR_YUV2RGB_YVYU, swapped=True),
    "nv16": _yuv422_planes(cv2.COLOR_YUV2RGB_YUY2),
    "nv61": _yuv422_planes(cv2.COLOR_YUV2RGB_YVYU),
    "nv12": _yuv420(cv2.COLOR_YUV2RGB_NV12),
    "nv21": _yuv420(cv2.COLOR_YUV2RGB_NV21),
    "yuv420": _yuv420(cv2.COLOR_YUV2RGB_I420),
    "yv12": _yuv420(cv2.COLOR_YUV2RGB_YV12),
}
KNOWN_ENCODINGS = tuple(_READERS)
# Other names for them, in any case.
_ALIASES = {name.lower(): name for name in (*_READERS, *_DEPTH)} | {
    "rgb": "rgb8", "bgr": "bgr8", "rgba": "rgba8", "bgra": "bgra8", "rgb888": "rgb8", "bgr888": "bgr8",
    "mono": "mono8", "gray": "mono8", "grey": "mono8", "gray8": "mono8", "grey8": "mono8", "y8": "mono8",
    "8uc": "8UC1", "8u": "8UC1", "16u": "mono16", "gray16": "mono16", "grey16": "mono16", "y16": "mono16",
    "z16": "16UC1", "mono10": "mono16", "mono12": "mono16", "mono14": "mono16",
    "yuy2": "yuyv", "yuv422_uyvy": "uyvy", "yuv422_yuyv": "yuyv",
    "i420": "yuv420", "iyuv": "yuv420", "yuv420p": "yuv420", "yuv_i420": "yuv420", "yuv420_nv12": "nv12",
}  # fmt: skip


def _reader(encoding: str) -> _Reader | None:
    return _READERS.get(encoding) or _READERS.get(_ALIASES.get(encoding.strip().lower(), ""))

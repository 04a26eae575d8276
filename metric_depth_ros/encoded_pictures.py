"""Decodes PNG, JPEG and grey TIFF; the size is read first, since a small file can hold a huge picture."""

from __future__ import annotations

import struct
from contextlib import suppress

import cv2
import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Array

# Pixels of the largest picture that is read; cameras have up to 24 million. Decoding takes up to 12 bytes of
# each. OpenCV maps no longer side.
MOST_PIXELS, _LONGEST_SIDE = 32_000_000, 32_000
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# First bytes of a TIFF, and the order of its others. Tags of its width, height and number of channels.
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_TAGS, _SHORT, _LONG = (256, 257, 277), 3, 4
# Markers of a JPEG: those that begin a frame, with its size, and those without a length.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD8)}


def decode_picture(data: bytes, flags: int) -> Array:
    """Pixels of a PNG or JPEG as ``cv2.imdecode`` gives them.

    Raises:
        InputError: the data is another format, damaged, or too large for ``check_size``.
    """
    size = picture_size(data)
    if size is None:
        raise InputError("is no PNG or JPEG")
    check_size(*size)
    if data.startswith(_PNG) and not is_whole_png(data):
        raise InputError("is cut short")
    with suppress(cv2.error):  # OpenCV raises for some damage and returns None for other
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if pixels is not None:
            return np.asarray(pixels)
    raise InputError("cannot be decoded")


def is_tiff(data: bytes) -> bool:
    """Whether the data begins as a TIFF does."""
    return data[:4] in _TIFF


def decode_tiff(data: bytes) -> Array:
    """Values (H, W) of a TIFF with one channel as ``cv2.imdecode`` gives them.

    Raises:
        InputError: it has more channels, is damaged, or too large for ``check_size``.
    """
    try:
        width, height, channels = _tiff_tags(data)
    except struct.error as error:
        raise InputError("is cut short") from error
    check_size(width, height)
    if channels != 1:
        raise InputError(f"has {channels} channels; needed one")
    with suppress(cv2.error):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is not None:
            return np.asarray(pixels)
    raise InputError("cannot be decoded")


def _tiff_tags(data: bytes) -> list[int]:
    """Width, height and number of channels that the first directory of a TIFF states."""
    order = _TIFF[data[:4]]
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    found = {_TAGS[2]: 1}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in _TAGS and kind in (_SHORT, _LONG):
            (found[tag],) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), data, entry + 8)
    return [found.get(tag, 0) for tag in _TAGS]


def check_size(width: int, height: int) -> None:
    """Raises InputError for a picture that is larger than any that is read."""
    if width * height > MOST_PIXELS or max(width, height) > _LONGEST_SIDE:
        raise InputError(
            f"is of {width}x{height} pixels; at most {MOST_PIXELS} are read, {_LONGEST_SIDE} on a side"
        )


def picture_size(data: bytes | memoryview) -> tuple[int, int] | None:
    """Width and height that the header of a PNG or JPEG states; None for other data."""
    if data[:8] == _PNG and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    return _jpeg_size(data) if data[:3] == _JPEG else None


def is_whole_png(data: bytes | memoryview) -> bool:
    """Whether the chunks of a PNG fit its data, up to the last; OpenCV allocates what a chunk says it has."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if kind == b"IEND":
            return bool(at <= len(data))
    return False


def _jpeg_size(data: bytes | memoryview) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker == 0xFF:  # padding
            at += 1
        else:
            at += 2 if marker in _ALONE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None

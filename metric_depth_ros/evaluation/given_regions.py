"""Regions that come with frames: a dataset's own masks, or a folder of label images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2

from metric_depth_ros.datasets import Frame
from metric_depth_ros.encoded_pictures import decode_picture
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import inside, read_limited
from metric_depth_ros.types import IntArray

# The dataset's own masks, in place of a folder.
OWN = "dataset"
# Bytes of the largest file of labels.
_LARGEST = 1 << 28

# Function from the name of a set and a frame to labels (H, W); None where there are none.
RegionSource = Callable[[str, Frame], IntArray | None]


def region_source(where: str) -> RegionSource:
    """Source of given regions: "dataset", its own masks, or a folder of labels ``FOLDER/SET/FRAME.png``.

    Label images have 8 or 16 bits, one channel, and the size of their image. The source raises InputError if
    a frame's file is missing or cannot be used.

    Raises:
        InputError: there is no such folder.
    """
    if where == OWN:
        return lambda name, frame: frame.regions
    if not Path(where).is_dir():
        raise InputError(f"--regions {where}: no folder; needed {OWN}, or FOLDER/SET/FRAME.png.")
    return lambda name, frame: _labels(Path(where), f"{name}/{frame.id}.png", frame)


def _labels(folder: Path, name: str, frame: Frame) -> IntArray:
    try:
        found = decode_picture(read_limited(inside(folder, name), _LARGEST), cv2.IMREAD_UNCHANGED)
    except (OSError, InputError) as error:
        told = getattr(error, "strerror", None) or error
        raise InputError(f"{folder / name}: cannot be read ({told}); needed a label image.") from error
    if found.shape != frame.image.shape[:2] or found.dtype.kind not in "ui":
        height, width = frame.image.shape[:2]
        raise InputError(
            f"{folder / name}: {found.shape} of {found.dtype}; needed one channel of {width}x{height} labels."
        )
    return found

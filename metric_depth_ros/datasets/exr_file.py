"""Reads OpenEXR files that others wrote: one channel, of bounded size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.encoded_pictures import check_size
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import need_regular
from metric_depth_ros.types import Array, FloatArray

_NEEDED = "an OpenEXR file"


def read_exr(path: Path) -> FloatArray:
    """First channel (H, W) float32 of an OpenEXR file: Y if there is one, else R, else the first by name.

    Raises:
        InputError: it cannot be read, has no channel, or the package OpenEXR is not installed.
    """
    library = _library(path)
    try:
        need_regular(path)
        channels = _channels(library, path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed {_NEEDED}.") from error
    except InputError as error:
        raise InputError(f"{path}: {error}; needed {_NEEDED}.") from error
    except Exception as error:  # the library raises whatever a damaged byte leads to
        raise InputError(f"{path}: is damaged, or of another format; needed {_NEEDED}.") from error
    name = next((each for each in ("Y", "R", *sorted(channels)) if each in channels), None)
    if name is None or channels[name].ndim != 2:
        raise InputError(f"{path}: no channel; needed {_NEEDED} with one.")
    return np.asarray(channels[name], np.float32)


def _channels(library: Any, path: Path) -> dict[str, Array]:
    """Channels by their names, once the header tells that they are not too large."""
    with library.File(str(path), header_only=True) as file:
        low, high = np.asarray(file.header()["dataWindow"], np.int64)
        check_size(*(int(side) for side in high - low + 1))
    with library.File(str(path), separate_channels=True) as file:
        return {name: np.asarray(channel.pixels) for name, channel in file.channels().items()}


def _library(path: Path) -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(
            f"{path}: OpenEXR is not installed; needed to read it. Install metric_depth_ros[datasets]."
        ) from error
    return OpenEXR

"""Rendered samples on disk: zip files of pictures that are read while more are being made.

``shard_00000.zip`` (stored, not deflated: the pictures are compressed already) holds for every sample:

- ``00000012.jpg``: the picture, as the camera stored it
- ``00000012.depth.png``: 16 bits, see ``encode_depth``
- ``00000012.json``: family, seed, scene, size, K, T_world_camera, ...

and, in a data set with everything, ``.labels.png`` (8 bits), ``.instances.png`` (16 bits),
``.normals.png`` (RGB, round(127 n) + 128, 0 for sky) and ``.points.npz`` (the sensors' points).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import BoolArray, FloatArray, ImageArray, IntArray

NEAREST_M, FARTHEST_M = 0.05, 4000.0
_SPAN = float(np.log(FARTHEST_M / NEAREST_M))
_STEPS = 65534


@dataclass(frozen=True, eq=False)
class Scan:
    """What a sensor delivers at one time.

    Attributes:
        points: (N, 3) float32 metres in the sensor's frame.
        thing: (N,) int32 instance that the beam met, 1 + index in the scene's things.
        outlier: (N,) whether the point does not lie where its beam met something, by more than noise.
        T_camera_sensor: (4, 4).
    """

    points: FloatArray
    thing: IntArray
    outlier: BoolArray
    T_camera_sensor: FloatArray

    PARTS: ClassVar[tuple[str, ...]] = ("points", "thing", "outlier", "T_camera_sensor")

    def __len__(self) -> int:
        return len(self.points)


def encode_depth(depth: FloatArray) -> IntArray:
    """(H, W) uint16 of metres: 0 for inf (sky), else 1 + round(65534 ln(d / 0.05) / ln(80000)).

    From 0.05 m to 4000 m the relative error is below 1e-4; what is beyond is clipped to the end.

    Raises:
        InputError: a depth is NaN, zero or negative.
    """
    depth = np.asarray(depth, np.float32)
    if not (depth > 0).all():
        raise InputError(
            "shard: depth holds NaN or values that are not positive; needed metres, inf for sky."
        )
    level = np.log(depth * np.float32(1 / NEAREST_M)) * np.float32(_STEPS / _SPAN)
    code: IntArray = np.rint(np.clip(level, 0, _STEPS)).astype(np.uint16) + np.uint16(1)
    code[np.isinf(depth)] = 0
    return code


def decode_depth(code: IntArray) -> FloatArray:
    """(H, W) float32 metres of ``encode_depth``'s codes; inf for sky."""
    depth: FloatArray = _DEPTHS[code]
    return depth


def _all_depths() -> FloatArray:
    depths = (NEAREST_M * np.exp((np.arange(_STEPS + 2) - 1.0) / _STEPS * _SPAN)).astype(np.float32)
    depths[0] = np.inf
    return depths


_DEPTHS = _all_depths()


def encode_normals(normals: FloatArray) -> ImageArray:
    """(H, W, 3) uint8 of unit normals: round(127 n) + 128; 0 where the normal is 0, in the sky."""
    code: ImageArray = (np.rint(normals * np.float32(127)) + 128).astype(np.uint8)
    code[~normals.any(axis=-1)] = 0
    return code


def decode_normals(code: ImageArray) -> FloatArray:
    """(H, W, 3) float32 normals, to half a degree; 0 for sky."""
    normals: FloatArray = (code.astype(np.float32) - 128) / 127
    normals[~code.any(axis=-1)] = 0
    return normals


def encode_scans(scans: Mapping[str, Scan]) -> bytes:
    """An .npz file of several sensors' scans, by the sensor's name."""
    arrays: dict[str, Any] = {}
    for name, scan in scans.items():
        arrays |= {f"{name}/{part}": getattr(scan, part) for part in Scan.PARTS}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def decode_scans(data: bytes) -> dict[str, Scan]:
    """The scans of ``encode_scans``. Raises ValueError, OSError or KeyError for other bytes."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        names = {key.split("/")[0]: None for key in archive.files}
        return {name: Scan(*(archive[f"{name}/{part}"] for part in Scan.PARTS)) for name in names}

"""File layout of shards: zip files of rendered samples, which can be read while more are written.

``shard_00000.zip`` (stored, not deflated: the images are already compressed) holds for every sample:

- ``00000012.jpg``: the image, as the camera stored it
- ``00000012.depth.png``: 16 bits, see ``encode_depth``
- ``00000012.json``: family, seed, scene, size, K, T_world_camera, kind, descriptions (and
  held_out_descriptions, in words that no training sees), ...

and, in a dataset with all parts, ``.labels.png`` (8 bits), ``.instances.png`` (16 bits),
``.normals.png`` (RGB, round(127 n) + 128, 0 for sky) and ``.points.npz`` (the sensors' points).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from metric_depth_ros.array_files import read_npz
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import BoolArray, FloatArray, ImageArray, IntArray

NEAREST_M, FARTHEST_M = 0.05, 4000.0
_SPAN = float(np.log(FARTHEST_M / NEAREST_M))
_STEPS = 65534
# Bytes of an array in a file of scans.
_MOST_SCAN = 1 << 28


@dataclass(frozen=True, eq=False)
class Scan:
    """Points of a sensor at one time.

    Attributes:
        points: (N, 3) float32 metres in the sensor's frame.
        thing: (N,) int32 instance that the beam hit, 1 + index in the scene's things.
        outlier: (N,) whether the point is off the surface that its beam hit, by more than noise.
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
    """Codes (H, W) uint16 of depth in metres: 0 for inf (sky), else 1 + round(65534 ln(d / 0.05) / ln(8e4)).

    From 0.05 m to 4000 m the relative error is below 1e-4; depths outside are clipped to this range.

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
    """Depth (H, W) float32 in metres from codes of ``encode_depth``; inf for sky."""
    depth: FloatArray = _DEPTHS[code]
    return depth


def _all_depths() -> FloatArray:
    depths = (NEAREST_M * np.exp((np.arange(_STEPS + 2) - 1.0) / _STEPS * _SPAN)).astype(np.float32)
    depths[0] = np.inf
    return depths


_DEPTHS = _all_depths()


def encode_normals(normals: FloatArray) -> ImageArray:
    """Unit normals as codes (H, W, 3) uint8: round(127 n) + 128; 0 where the normal is 0, in the sky."""
    code: ImageArray = (np.rint(normals * np.float32(127)) + 128).astype(np.uint8)
    code[~normals.any(axis=-1)] = 0
    return code


def decode_normals(code: ImageArray) -> FloatArray:
    """Normals (H, W, 3) float32 from codes, accurate to half a degree; 0 for sky."""
    normals: FloatArray = (code.astype(np.float32) - 128) / 127
    normals[~code.any(axis=-1)] = 0
    return normals


def encode_scans(scans: Mapping[str, Scan]) -> bytes:
    """Scans by sensor name as the bytes of an .npz file."""
    arrays: dict[str, Any] = {}
    for name, scan in scans.items():
        arrays |= {f"{name}/{part}": getattr(scan, part) for part in Scan.PARTS}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def decode_scans(data: bytes) -> dict[str, Scan]:
    """Scans by sensor name from ``encode_scans``. Raises InputError for other bytes."""
    arrays = read_npz(io.BytesIO(data), limit=_MOST_SCAN)
    scans = {}
    for name in {key.split("/")[0]: None for key in arrays}:
        if missing := [part for part in Scan.PARTS if f"{name}/{part}" not in arrays]:
            raise InputError(f"{name} has no {', '.join(missing)}")
        scans[name] = scan = Scan(*(arrays[f"{name}/{part}"] for part in Scan.PARTS))
        count = len(scan.points) if scan.points.ndim else 0
        if [np.shape(getattr(scan, part)) for part in Scan.PARTS] != [(count, 3), (count,), (count,), (4, 4)]:
            raise InputError(f"{name} is no scan")
        if not all(getattr(scan, part).dtype.kind in "fiub" for part in Scan.PARTS):
            raise InputError(f"{name} holds something else than numbers")
    return scans

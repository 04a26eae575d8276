"""The bag that `metric_depth run` writes."""

from __future__ import annotations

import sys
from collections.abc import Collection

import numpy as np

from metric_depth_ros.bags import BagWriter
from metric_depth_ros.config import Config
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.run_outputs import CALIBRATION, DEPTH, SIGMA
from metric_depth_ros.pipeline import Result, cloud_of
from metric_depth_ros.stamps import is_due
from metric_depth_ros.types import FloatArray

# By the size of so many images that of all is estimated; it is told from so many bytes on.
_ESTIMATED_AFTER, _LARGE_BYTES = 10, 1e9


class DepthBag:
    """Writes results to a bag, as the node would publish them, but sigma to 8 bits, half a percent."""

    def __init__(self, bag: BagWriter, config: Config, maps: Collection[str], count: int) -> None:
        """``maps``: what it holds beside camera_info; ``count``: of images, whose room is looked for."""
        self._bag, self._maps, self._count, self._written = bag, maps, count, 0
        self._encoding = config.output.encoding
        self._cloud = config.cloud
        self._last_cloud_ns: int | None = None

    def write(self, _index: int, result: Result) -> None:
        """Writes depth, its sigma and camera_info, and the cloud when one is due.

        Raises InputError if by the first images there is no room for all.
        """
        depth, camera = result.metric.depth, result.camera
        stamp_ns, frame_id = result.stamp_ns, result.frame_id
        if "depth" in self._maps:
            self._bag.write_depth(DEPTH, depth, stamp_ns, frame_id, encoding=self._encoding)
        self._bag.write_camera_info(CALIBRATION, camera, stamp_ns, frame_id)
        if "sigma" in self._maps and result.metric.sigma is not None:
            sigma = _rounded(result.metric.sigma)
            self._bag.write_depth(SIGMA, sigma, stamp_ns, frame_id, encoding="32FC1")
        if "points" in self._maps and is_due(self._last_cloud_ns, stamp_ns, self._cloud.rate_hz):
            self._last_cloud_ns = stamp_ns
            self._bag.write_cloud("/depth/points", cloud_of(result, self._cloud), stamp_ns, frame_id)
        self._written += 1
        if self._written == _ESTIMATED_AFTER < self._count:
            self._look_for_room()

    def _look_for_room(self) -> None:
        left = self._count - self._written
        needed, free = left * self._bag.nbytes / self._written, self._bag.free_bytes
        words = f"{left} more images need about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        if needed > free:
            raise InputError(
                f"{self._bag.path}: {words}. Make room, choose another --out, or write less: --maps depth, "
                "--set output.encoding=16UC1, --limit."
            )
        if needed > _LARGE_BYTES:
            print(f"metric_depth: {self._bag.path}: {words}.", file=sys.stderr)


def _rounded(values: FloatArray) -> FloatArray:
    """Positive values (H, W) rounded to 8 bits of mantissa, so that a bag's compression takes hold."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    return np.asarray(((bits + 0x8000) & np.uint32(0xFFFF0000)).view(np.float32))

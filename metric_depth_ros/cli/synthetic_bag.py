"""Writes a bag of a camera's drive through one synthetic scene while rendering it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from metric_depth_ros.bags import BagWriter
from metric_depth_ros.cli.frames_to_bag import CAMERA_INFO, HELD_OUT, IMAGE, POINTS
from metric_depth_ros.datasets import CAMERA_FRAME, LIDAR_FRAME
from metric_depth_ros.datasets.shard_layout import Scan
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import unproject
from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.dataset import SyntheticDataset
from metric_depth_synthetic.drive import LIDAR, render_drive
from metric_depth_synthetic.render import View

DEPTH, DEPTH_INFO = "/camera/depth_gt/image_rect", "/camera/depth_gt/camera_info"
ODOM_FRAME, BASE_FRAME = "odom", "base_link"
_HELD_OUT_POINTS = 2000

# The base is under the camera with x forward: the camera's height, and the rotation to ROS axes.
_T_BASE_CAMERA = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.3], [0, 0, 0, 1]], np.float64)


def write_drive(
    dataset: SyntheticDataset,
    out: Path,
    *,
    seconds: float,
    rate_hz: float,
    workers: int = 2,
    overwrite: bool = False,
) -> None:
    """Writes a bag of one scene of a single-family dataset. Raises MetricDepthError, leaving no bag."""
    if len(dataset.families) != 1 or dataset.size is None:
        raise InputError("synthesize --bag: needed OUT, one --family, and a --size in pixels.")
    if not (0 < rate_hz <= 1000 and 0 < seconds < math.inf):
        raise InputError("synthesize --bag: --rate (at most 1000) and --seconds must be positive.")
    written = 0
    with BagWriter(out, overwrite=overwrite) as bag:
        for view, scan in render_drive(dataset, seconds=seconds, rate_hz=rate_hz, workers=workers):
            if not written:
                _write_mountings(bag, view.stamp_ns)
            _write_frame(bag, view, scan, np.random.default_rng([dataset.seed, 2, written]))
            written += 1
    print(f"{out}: {written} frames of {dataset.families[0]}, {written / rate_hz:.1f} s")


def _write_mountings(bag: BagWriter, stamp_ns: int) -> None:
    bag.write_tf_static(
        [
            (BASE_FRAME, CAMERA_FRAME, _T_BASE_CAMERA, stamp_ns),
            (CAMERA_FRAME, LIDAR_FRAME, LIDAR.T_camera_sensor, stamp_ns),
        ]
    )


def _write_frame(bag: BagWriter, view: View, scan: Scan | None, rng: np.random.Generator) -> None:
    stamp_ns = view.stamp_ns
    T_odom_base = view.T_world_camera @ np.linalg.inv(_T_BASE_CAMERA)
    bag.write_tf([(ODOM_FRAME, BASE_FRAME, T_odom_base, stamp_ns)])
    if scan is not None:
        bag.write_points(POINTS, scan.points, stamp_ns, LIDAR_FRAME)
    bag.write_points(HELD_OUT, _true_points(view, rng), stamp_ns, CAMERA_FRAME)
    bag.write_camera_info(CAMERA_INFO, view.camera, stamp_ns, CAMERA_FRAME)
    bag.write_image(IMAGE, view.image, stamp_ns, CAMERA_FRAME)
    bag.write_camera_info(DEPTH_INFO, view.camera, stamp_ns, CAMERA_FRAME)
    bag.write_depth(DEPTH, view.depth, stamp_ns, CAMERA_FRAME)


def _true_points(view: View, rng: np.random.Generator) -> FloatArray:
    """Exact points (N, 3) of random pixels, in the optical frame."""
    v, u = np.nonzero(np.isfinite(view.depth))
    chosen = np.sort(rng.permutation(len(u))[:_HELD_OUT_POINTS])
    u, v = u[chosen], v[chosen]
    uv = np.stack([u, v], axis=1).astype(np.float32)
    return unproject(uv, view.depth[v, u], view.camera)

"""Writes a bag of a camera's drive through one synthetic scene while rendering it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.bags import BagWriter
from metric_depth_ros.cli.frames_to_bag import CAMERA_INFO, HELD_OUT, IMAGE, POINTS
from metric_depth_ros.datasets import CAMERA_FRAME
from metric_depth_ros.datasets.shard_layout import Scan
from metric_depth_ros.errors import InputError
from metric_depth_ros.fleet import Fleet
from metric_depth_ros.geometry import project, transform_points, unproject
from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.dataset import SyntheticDataset
from metric_depth_synthetic.drive import DEPTH_CAMERA, RANGE_FINDER, SCANNER, Shot, render_drive
from metric_depth_synthetic.render import View

DEPTH, DEPTH_INFO = "/camera/depth_gt/image_rect", "/camera/depth_gt/camera_info"
ODOM_FRAME, BASE_FRAME = "odom", "base_link"
# Topics of the sensors beside a LiDAR; a frame is named after the sensor, map points are in odom.
VIO, RADAR, RANGE, SCAN = "/vio/points", "/radar/points", "/range", "/scan"
DEPTH_IMAGE, DEPTH_IMAGE_INFO = "/depth_camera/image_raw", "/depth_camera/camera_info"
_HELD_OUT_POINTS = 2000
_TWO_PROCESSES = Fleet(workers=2)

# The base is under the camera with x forward: the camera's height, and the rotation to ROS axes.
_T_BASE_CAMERA = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.3], [0, 0, 0, 1]], np.float64)


def render_bag(
    out: Path, family: str, *, seed: int, size: tuple[int, int], seconds: float, rate_hz: float
) -> None:
    """Writes a bag of a drive through one scene of a family, in place of an earlier one.

    Raises MetricDepthError, leaving no bag.
    """
    dataset = SyntheticDataset([family], seed, size=size)
    write_drive(dataset, out, seconds=seconds, rate_hz=rate_hz, overwrite=True)


def write_drive(
    dataset: SyntheticDataset,
    out: Path,
    *,
    seconds: float,
    rate_hz: float,
    fleet: Fleet | None = _TWO_PROCESSES,
    sensors: Sequence[str] = ("lidar",),
    compact: bool = False,
    overwrite: bool = False,
) -> None:
    """Writes a bag of one scene of a single-family dataset, with what some sensors see beside the camera.

    ``compact``: images as JPEG, true depth as PNG, of a LiDAR the points in the image, no held-out points.

    Raises MetricDepthError, leaving no bag.
    """
    if len(dataset.families) != 1 or dataset.size is None:
        raise InputError("synthesize --bag: needed OUT, one --family, and a --size in pixels.")
    if not (0 < rate_hz <= 1000 and 0 < seconds < math.inf):
        raise InputError("synthesize --bag: --rate (at most 1000) and --seconds must be positive.")
    written = 0
    with BagWriter(out, overwrite=overwrite) as bag:
        shots = render_drive(dataset, seconds=seconds, rate_hz=rate_hz, fleet=fleet, sensors=sensors)
        for shot in shots:
            if not written:
                _write_mountings(bag, shot)
            _write_calibration(bag, shot.view)
            if compact:
                _write_compact(bag, shot.view)
                shot = _in_view(shot)
            else:
                _write_frame(bag, shot.view, np.random.default_rng([dataset.seed, 2, written]))
            _write_sensors(bag, shot)
            written += 1
    print(f"{out}: {written} frames of {dataset.families[0]}, {written / rate_hz:.1f} s")


def _write_mountings(bag: BagWriter, first: Shot) -> None:
    places = {name: scan.T_camera_sensor for name, scan in first.scans.items() if name != "vio"}
    if first.depth is not None:
        places["depth_camera"] = DEPTH_CAMERA.T_camera_sensor
    stamp_ns = first.view.stamp_ns
    mounted = [(CAMERA_FRAME, name, T, stamp_ns) for name, T in places.items()]
    bag.write_tf_static([(BASE_FRAME, CAMERA_FRAME, _T_BASE_CAMERA, stamp_ns), *mounted])


def _write_sensors(bag: BagWriter, shot: Shot) -> None:
    """Writes what the sensors measured, each in the messages that its drivers publish."""
    stamp_ns = shot.view.stamp_ns
    for name, scan in shot.scans.items():
        if name == "vio":
            points = transform_points(shot.view.T_world_camera, scan.points)
            bag.write_points(VIO, points, stamp_ns, ODOM_FRAME)
        elif name == "range_finder":
            range_m = float(scan.points[0, 0]) if len(scan) else math.inf
            limits = RANGE_FINDER.min_range_m, RANGE_FINDER.max_range_m
            width = math.radians(RANGE_FINDER.cone_deg)
            bag.write_range(RANGE, range_m, stamp_ns, name, limits_m=limits, width=width)
        elif name == "scan_2d":
            _write_scan(bag, scan, stamp_ns)
        else:
            bag.write_points({"lidar": POINTS, "radar": RADAR}[name], scan.points, stamp_ns, name)
    if shot.depth is not None:
        bag.write_camera_info(DEPTH_IMAGE_INFO, DEPTH_CAMERA.camera, stamp_ns, "depth_camera")
        bag.write_depth(DEPTH_IMAGE, shot.depth, stamp_ns, "depth_camera", encoding="16UC1")


def _write_scan(bag: BagWriter, scan: Scan, stamp_ns: int) -> None:
    """Writes the ranges of all beams of a 2D LiDAR, infinite where nothing came back."""
    azimuths = np.arctan2(SCANNER.directions[:, 1], SCANNER.directions[:, 0])
    ranges = np.full(len(azimuths), np.inf, np.float32)
    hit = np.searchsorted(azimuths, np.arctan2(scan.points[:, 1], scan.points[:, 0]) - 1e-3)
    ranges[hit] = np.linalg.norm(scan.points, axis=1)
    angles, limits = (azimuths[0], azimuths[-1]), (SCANNER.min_range_m, SCANNER.max_range_m)
    bag.write_scan(SCAN, ranges, stamp_ns, "scan_2d", limits_m=limits, angles=angles)


def _write_calibration(bag: BagWriter, view: View) -> None:
    T_odom_base = view.T_world_camera @ np.linalg.inv(_T_BASE_CAMERA)
    bag.write_tf([(ODOM_FRAME, BASE_FRAME, T_odom_base, view.stamp_ns)])
    for topic in (CAMERA_INFO, DEPTH_INFO):
        bag.write_camera_info(topic, view.camera, view.stamp_ns, CAMERA_FRAME)


def _write_frame(bag: BagWriter, view: View, rng: np.random.Generator) -> None:
    bag.write_points(HELD_OUT, _true_points(view, rng), view.stamp_ns, CAMERA_FRAME)
    bag.write_image(IMAGE, view.image, view.stamp_ns, CAMERA_FRAME)
    bag.write_depth(DEPTH, view.depth, view.stamp_ns, CAMERA_FRAME)


def _write_compact(bag: BagWriter, view: View) -> None:
    bag.write_compressed_image(f"{IMAGE}/compressed", view.image, view.stamp_ns, CAMERA_FRAME)
    bag.write_compressed_depth(f"{DEPTH}/compressedDepth", view.depth, view.stamp_ns, CAMERA_FRAME)


def _in_view(shot: Shot) -> Shot:
    """The shot with those points of its LiDAR that fall into the image."""
    if "lidar" not in shot.scans:
        return shot
    scan, camera = shot.scans["lidar"], shot.view.camera
    uv, depth = project(transform_points(scan.T_camera_sensor, scan.points), camera)
    seen = (depth > 0) & inside_image(uv, camera.width, camera.height)
    kept = {part: getattr(scan, part)[seen] for part in ("points", "thing", "outlier")}
    return replace(shot, scans={**shot.scans, "lidar": replace(scan, **kept)})


def _true_points(view: View, rng: np.random.Generator) -> FloatArray:
    """Exact points (N, 3) of random pixels, in the optical frame."""
    v, u = np.nonzero(np.isfinite(view.depth))
    chosen = np.sort(rng.permutation(len(u))[:_HELD_OUT_POINTS])
    u, v = u[chosen], v[chosen]
    uv = np.stack([u, v], axis=1).astype(np.float32)
    return unproject(uv, view.depth[v, u], view.camera)

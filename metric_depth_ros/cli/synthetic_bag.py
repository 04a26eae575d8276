"""A bag of a camera's way through one synthetic scene, written while it is rendered."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from metric_depth_ros.bags import BagWriter
from metric_depth_ros.cli.frames_to_bag import CAMERA_INFO, HELD_OUT, IMAGE, POINTS
from metric_depth_ros.datasets import CAMERA_FRAME, LIDAR_FRAME
from metric_depth_ros.datasets.shard_layout import Scan
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import unproject
from metric_depth_ros.types import Camera, FloatArray
from metric_depth_synthetic.dataset import SyntheticDataset
from metric_depth_synthetic.lidars import LIDARS
from metric_depth_synthetic.make_shards import Tally, Workers
from metric_depth_synthetic.photography import Photography
from metric_depth_synthetic.render import View, World, draw_camera, render
from metric_depth_synthetic.scene import Scene
from metric_depth_synthetic.scenes import build_scene
from metric_depth_synthetic.sensors import mounted
from metric_depth_synthetic.sequence import frames, scene_time_s
from metric_depth_synthetic.textures import TextureBank

DEPTH, DEPTH_INFO = "/camera/depth_gt/image_rect", "/camera/depth_gt/camera_info"
ODOM_FRAME, BASE_FRAME = "odom", "base_link"
_HELD_OUT_POINTS = 2000
_LIDAR_HZ = 10.0

# The base is under the camera, its x ahead: a camera's axes turned to ROS's, and its height.
_T_BASE_CAMERA = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.3], [0, 0, 0, 1]], np.float64)
_LIDAR = replace(LIDARS["VLP-16"], T_camera_sensor=mounted(0.05, -0.18, -0.12))
# A good camera in auto exposure: the data set's have more wrong with them.
_PHOTOGRAPHY = Photography(
    metering=60.0,
    shoulder=0.6,
    contrast=0.15,
    vignetting=0.1,
    blur_px=0.45,
    shot_noise=2e-4,
    read_noise=1.5e-3,
    sharpening=0.2,
)


# A frame's number, stamp and T_world_camera; whether the LiDAR turns at it.
Job = tuple[int, int, FloatArray, bool]


class Shoot:
    """What every frame of a sequence has in common; renders any of them."""

    def __init__(self, scene: Scene, bank: TextureBank, camera: Camera, seed: int) -> None:
        self._scene, self._bank, self._camera, self._seed = scene, bank, camera, seed
        self._moves = any(thing.motion is not None for thing in scene.things)
        self._world: World | None = None

    def frame(self, job: Job) -> tuple[View, Scan | None]:
        """The picture and, when the LiDAR turns, its scan."""
        number, stamp_ns, T_world_camera, turned = job
        if self._world is None or self._moves:
            self._world = World(self._scene, scene_time_s(stamp_ns))
        rng = np.random.default_rng([self._seed, 1, number])
        camera, world = self._camera, self._world
        view = render(
            world, self._bank, camera, T_world_camera, rng, photography=_PHOTOGRAPHY, stamp_ns=stamp_ns
        )
        return view, _LIDAR.scan(world, T_world_camera, rng) if turned else None


def write_drive(
    dataset: SyntheticDataset,
    out: Path,
    *,
    seconds: float,
    rate_hz: float,
    workers: int = 2,
    overwrite: bool = False,
) -> None:
    """Writes a bag of one scene of a data set of one family. Raises MetricDepthError; then there is none."""
    if len(dataset.families) != 1 or dataset.size is None:
        raise InputError("synthesize --bag: needed OUT, one --family, and a --size in pixels.")
    if not (0 < rate_hz <= 1000 and 0 < seconds < math.inf):
        raise InputError("synthesize --bag: --rate (at most 1000) and --seconds must be positive.")
    seed = dataset.seed
    with BagWriter(out, overwrite=overwrite) as bag:
        rng = np.random.default_rng([seed, 0])
        scene = build_scene(dataset.families[0], rng, dataset.bank)
        camera = draw_camera(rng, *dataset.size)
        shoot = Shoot(scene, dataset.bank, camera, seed)
        jobs = _jobs(scene, rng, seconds, rate_hz)
        for job, (view, scan) in zip(jobs, _frames(shoot, jobs, workers), strict=True):
            _write_frame(bag, view, scan, np.random.default_rng([seed, 2, job[0]]), first=job[0] == 0)
    print(f"{out}: {len(jobs)} frames of {dataset.families[0]}, {len(jobs) / rate_hz:.1f} s")


def _jobs(scene: Scene, rng: np.random.Generator, seconds: float, rate_hz: float) -> list[Job]:
    jobs, turns = [], 0
    for number, (stamp_ns, T) in enumerate(frames(scene, rng, seconds=seconds, rate_hz=rate_hz)):
        # The LiDAR turns at its own rate, stamped with the first image after it is due.
        due = number / rate_hz * _LIDAR_HZ >= turns - 1e-6
        turns += due
        jobs.append((number, stamp_ns, T, due))
    return jobs


def _frames(shoot: Shoot, jobs: list[Job], count: int) -> Iterator[tuple[View, Scan | None]]:
    """The frames in order, by so many processes, a few ahead at most."""
    progress: dict[str, Any] = {"total": len(jobs), "unit": "frame", "disable": None}
    if count == 1:
        yield from tqdm(map(shoot.frame, jobs), **progress)
        return
    with Workers(count, _start_worker, shoot) as workers:
        ahead = 4 * count
        waiting = [workers.submit(_worker_frame, job) for job in jobs[:ahead]]
        for number in tqdm(range(len(jobs)), **progress):
            yield workers.result(waiting.pop(0))
            if number + ahead < len(jobs):
                waiting.append(workers.submit(_worker_frame, jobs[number + ahead]))


_worker: dict[str, Shoot] = {}


def _start_worker(_: Tally, shoot: Shoot) -> None:
    _worker["shoot"] = shoot


def _worker_frame(job: Job) -> tuple[View, Scan | None]:
    return _worker["shoot"].frame(job)


def _write_frame(
    bag: BagWriter, view: View, scan: Scan | None, rng: np.random.Generator, *, first: bool
) -> None:
    stamp_ns = view.stamp_ns
    if first:
        fixed = [
            (BASE_FRAME, CAMERA_FRAME, _T_BASE_CAMERA, stamp_ns),
            (CAMERA_FRAME, LIDAR_FRAME, _LIDAR.T_camera_sensor, stamp_ns),
        ]
        bag.write_tf_static(fixed)
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
    """(N, 3) exact points of random pixels in the optical frame."""
    v, u = np.nonzero(np.isfinite(view.depth))
    chosen = np.sort(rng.permutation(len(u))[:_HELD_OUT_POINTS])
    u, v = u[chosen], v[chosen]
    uv = np.stack([u, v], axis=1).astype(np.float32)
    return unproject(uv, view.depth[v, u], view.camera)

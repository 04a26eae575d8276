"""Renders a drive of a camera and its sensors through one synthetic scene, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from metric_depth_ros.datasets.shard_layout import Scan
from metric_depth_ros.errors import InputError
from metric_depth_ros.fleet import Fleet, run_jobs
from metric_depth_ros.types import Camera, FloatArray
from metric_depth_synthetic.dataset import SyntheticDataset
from metric_depth_synthetic.lidars import LIDARS
from metric_depth_synthetic.photography import Photography
from metric_depth_synthetic.render import View, World, draw_camera, render
from metric_depth_synthetic.scene import Scene
from metric_depth_synthetic.scenes import build_scene
from metric_depth_synthetic.sensors import DepthCamera, Radar, RangeFinder, Sensor, VioPoints, mounted
from metric_depth_synthetic.sequence import frames, scene_time_s
from metric_depth_synthetic.textures import TextureBank

LIDAR = replace(LIDARS["VLP-16"], T_camera_sensor=mounted(0.05, -0.18, -0.12))
RANGE_FINDER = RangeFinder()
# A 2D LiDAR on a low robot's deck.
SCANNER = replace(LIDARS["single-line"], T_camera_sensor=mounted(0.0, 0.12, 0.05))
DEPTH_CAMERA = DepthCamera()
# Sensors beside the camera by name; those that see the camera's own image are told apart.
_BESIDE: Mapping[str, Sensor] = {
    "lidar": LIDAR, "radar": Radar(), "range_finder": RANGE_FINDER, "scan_2d": SCANNER,
}  # fmt: skip
_VIO = VioPoints(mapped=20)
SENSORS = (*_BESIDE, "vio", "depth_camera")
_SCANS_HZ = 10.0
# A good camera with auto exposure; the dataset's cameras have more defects.
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


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame of a drive.

    Attributes:
        view: image and truth.
        scans: points by the sensor's name.
        depth: image (H, W) of the depth camera, metres, NaN unknown; None: no such camera.
    """

    view: View
    scans: Mapping[str, Scan]
    depth: FloatArray | None = None


def render_drive(
    dataset: SyntheticDataset,
    *,
    seconds: float,
    rate_hz: float,
    fleet: Fleet | None = None,
    sensors: Sequence[str] = ("lidar",),
) -> Iterator[Shot]:
    """Yields the frames of a drive through one scene of a dataset's first family, in order.

    Each stamped image comes with what ``sensors`` measure if it is due: at 10 Hz or, if images are slower,
    with every image. The dataset's seed determines everything. ``fleet`` says where frames
    are rendered; None: in this process.

    Raises:
        InputError: seconds or rate are not positive, the image size varies, a sensor is unknown, or no clear
            path was found.
    """
    unknown = sorted({*sensors} - {*SENSORS})
    if unknown:
        raise InputError(f"synthetic: sensors {', '.join(unknown)}; needed some of {', '.join(SENSORS)}.")
    if dataset.size is None:
        raise InputError("synthetic: a drive in pictures of any size; needed one width and height.")
    rng = np.random.default_rng([dataset.seed, 0])
    scene = build_scene(dataset.families[0], rng, dataset.bank)
    shoot = _Shoot(scene, dataset.bank, draw_camera(rng, *dataset.size), dataset.seed, sensors)
    yield from _rendered(shoot, _moments(scene, rng, seconds, rate_hz), fleet)


@dataclass(frozen=True, eq=False)
class _Moment:
    """Number, stamp and T_world_camera (4, 4) of a frame, and whether its sensors measure."""

    number: int
    stamp_ns: int
    T_world_camera: FloatArray
    measured: bool
    size: int = 1

    @property
    def name(self) -> str:
        return f"frame {self.number}"


class _Shoot:
    """Data common to all frames of a drive; renders any frame."""

    def __init__(
        self, scene: Scene, bank: TextureBank, camera: Camera, seed: int, sensors: Sequence[str]
    ) -> None:
        self._scene, self._bank, self._camera, self._seed = scene, bank, camera, seed
        self._sensors = [name for name in SENSORS if name in sensors]
        self._moves = any(thing.motion is not None for thing in scene.things)
        self._world: World | None = None

    def frame(self, moment: _Moment) -> Shot:
        """Image and, if the sensors measure, what they do."""
        if self._world is None or self._moves:
            self._world = World(self._scene, scene_time_s(moment.stamp_ns))
        world, T_world_camera = self._world, moment.T_world_camera
        rng = np.random.default_rng([self._seed, 1, moment.number])
        view = render(
            world, self._bank, self._camera, T_world_camera, rng, photography=_PHOTOGRAPHY,
            stamp_ns=moment.stamp_ns,
        )  # fmt: skip
        scans: dict[str, Scan] = {}
        depth = None
        for name in self._sensors if moment.measured else ():
            if name == "depth_camera":
                depth = DEPTH_CAMERA.image(world, T_world_camera, rng)
            else:
                scans[name] = (
                    _VIO.scan(view, rng) if name == "vio" else _BESIDE[name].scan(world, T_world_camera, rng)
                )
        return Shot(view, scans, depth)


def _moments(scene: Scene, rng: np.random.Generator, seconds: float, rate_hz: float) -> list[_Moment]:
    moments, turns = [], 0
    for number, (stamp_ns, T) in enumerate(frames(scene, rng, seconds=seconds, rate_hz=rate_hz)):
        # Sensors measure at their own rate, with the stamp of the first image after they are due.
        due = number / rate_hz * _SCANS_HZ >= turns - 1e-6
        turns += due
        moments.append(_Moment(number, stamp_ns, T, due))
    return moments


def _rendered(shoot: _Shoot, moments: list[_Moment], fleet: Fleet | None) -> Iterator[Shot]:
    """Frames in order."""
    with tqdm(total=len(moments), unit="frame", disable=None) as progress:
        for ended in run_jobs(shoot.frame, moments, fleet, tell=progress.update, in_order=True):
            yield ended.value

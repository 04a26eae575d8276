"""Synthetic dataset: sample i depends only on the seed and i, on any machine and in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.datasets.shard_layout import Scan
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import IntArray
from metric_depth_synthetic.describe import describe
from metric_depth_synthetic.lidars import SolidStateLidar, SpinningLidar
from metric_depth_synthetic.render import View, World, draw_camera, draw_size, draw_view, render
from metric_depth_synthetic.scene import Scene
from metric_depth_synthetic.scenes import FAMILIES, build_scene
from metric_depth_synthetic.sensors import Radar, RangeFinder, Sensor, VioPoints, mounted
from metric_depth_synthetic.textures import TextureBank, make_bank

# Random streams for different purposes from the same seed.
_SCENE, _VIEW, _SENSORS, _WORDS = range(4)
# Sentences about each picture: as many as in paper 003, and some in words that training never sees.
_SENTENCES, _HELD_OUT = 5, 2


class SyntheticDataset:
    """Images of random scenes with exact ground truth. It has no end: iterate over a ``range`` of indices.

    Successive samples share a scene: read them in order, as building a scene takes time.
    """

    def __init__(
        self,
        families: Sequence[str] = tuple(FAMILIES),
        seed: int = 0,
        *,
        size: tuple[int, int] | None = (320, 240),
        views_per_scene: int = 4,
        textures: int = 400,
        photos: Path | None = None,
        bank: TextureBank | None = None,
    ) -> None:
        """Only stores the settings; renders nothing.

        Args:
            families: families of scenes, used in turn.
            size: width and height; None draws the aspect ratio, 4:3 to 3:1, at 320 * 240 pixels.
            textures: number of procedural textures.
            photos: folder of images to use as further textures.
            bank: all textures; None makes them from the seed and the two above.

        Raises:
            InputError: a family is unknown, or there is none.
        """
        unknown = sorted(set(families) - set(FAMILIES))
        if unknown or not families:
            found = ", ".join(unknown) or "none"
            raise InputError(f"synthetic: families {found}; needed some of {', '.join(FAMILIES)}.")
        self.families = tuple(families)
        self.seed = seed
        self.size = size
        self.views_per_scene = views_per_scene
        self.textures = textures
        self.photos = photos
        self._bank = bank
        self._latest: tuple[int, Scene, World] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that determine the samples, for a file."""
        return {
            "families": list(self.families),
            "seed": self.seed,
            "size": None if self.size is None else list(self.size),
            "views_per_scene": self.views_per_scene,
            "textures": self.textures,
            "photos": None if self.photos is None else str(self.photos),
        }

    @cached_property
    def bank(self) -> TextureBank:
        """Textures; making them takes seconds. Raises InputError as ``make_bank`` does."""
        if self._bank is not None:
            return self._bank
        return make_bank(self.seed, count=self.textures, photos=self.photos)

    def __getitem__(self, index: int) -> View:
        """Sample ``index``, 0 or more."""
        scene, world = self._world(index)
        rng = np.random.default_rng([self.seed, _VIEW, index])
        camera = draw_camera(rng, *(draw_size(rng) if self.size is None else self.size))
        return render(world, self.bank, camera, draw_view(scene, world, rng, camera), rng)

    def scans(self, index: int, view: View) -> dict[str, Scan]:
        """Scans of the sensors beside the camera of sample ``index``, by sensor name."""
        _, world = self._world(index)
        rng = np.random.default_rng([self.seed, _SENSORS, index])
        scans = {name: s.scan(world, view.T_world_camera, rng) for name, s in draw_rig(rng).items()}
        return {**scans, "vio": VioPoints().scan(view, rng)}

    def info(self, index: int, view: View) -> dict[str, Any]:
        """Origin, camera pose and descriptions of sample ``index``, for a file."""
        return {
            **self.words(index, view.labels),
            "family": self._family(index),
            "seed": self.seed,
            "scene": index // self.views_per_scene,
            "width": view.camera.width,
            "height": view.camera.height,
            "K": view.camera.K.tolist(),
            "T_world_camera": view.T_world_camera.tolist(),
        }

    def words(self, index: int, labels: IntArray) -> dict[str, Any]:
        """What sample ``index`` with these labels (H, W) shows, in words."""
        kind = self._world(index)[0].kind
        rng = np.random.default_rng([self.seed, _WORDS, index])
        return {
            "kind": kind,
            "descriptions": describe(kind, labels, rng, _SENTENCES),
            "held_out_descriptions": describe(kind, labels, rng, _HELD_OUT, held_out=True),
        }

    def _family(self, index: int) -> str:
        return self.families[index // self.views_per_scene % len(self.families)]

    def _world(self, index: int) -> tuple[Scene, World]:
        number = index // self.views_per_scene
        if self._latest is None or self._latest[0] != number:
            rng = np.random.default_rng([self.seed, _SCENE, number])
            scene = build_scene(self._family(index), rng, self.bank)
            self._latest = number, scene, World(scene)
        return self._latest[1], self._latest[2]


def draw_rig(rng: np.random.Generator) -> Mapping[str, Sensor]:
    """Random sensors around a camera, each with its own position and tilt, so they see behind edges.

    The LiDAR has 1 to 64 lines and looks only forward, where the camera looks.
    """

    def place(spread_m: float) -> Any:
        turns = rng.normal(0, 1.5, 3)
        at = rng.normal(0, spread_m, 3)
        return mounted(*at, yaw_deg=turns[0], pitch_deg=turns[1], roll_deg=turns[2])

    lines = int(rng.choice([1, 4, 8, 16, 32, 64]))
    half = rng.uniform(8, 20)
    lidar = SpinningLidar(
        lines,
        *((0.0, 0.0) if lines == 1 else (-half - 5, half - 5)),
        azimuth_step_deg=float(rng.uniform(0.18, 0.5)),
        azimuth_deg=(-75.0, 75.0),
        T_camera_sensor=place(0.15),
    )
    return {
        "lidar": lidar,
        "solid_state": SolidStateLidar(T_camera_sensor=place(0.06)),
        "radar": Radar(T_camera_sensor=place(0.2)),
        "range_finder": RangeFinder(T_camera_sensor=place(0.03)),
    }

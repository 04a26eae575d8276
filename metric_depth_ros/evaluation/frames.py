"""Views for solvers from datasets of calibrated frames: image, relative depth, known pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from metric_depth_ros.array_files import read_npz
from metric_depth_ros.config import EngineConfig, RegionsConfig
from metric_depth_ros.datasets import is_dataset, open_dataset
from metric_depth_ros.engines import build_engine, build_second
from metric_depth_ros.engines.averaged import averaged
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.evaluation.known_depth import KnownDepth, known_depth, known_pixels, unusable_border_px
from metric_depth_ros.evaluation.places import CAP_M, Place, place_of
from metric_depth_ros.evaluation.protocols import LEAST_EVALUATED
from metric_depth_ros.files import inside, open_regular
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.types import Camera, Engine, FloatArray, ImageArray, IntArray, Kind, RelativeDepth

# A set with this many frames or more is a sequence: its first and last frame represent all of them.
_SEQUENCE = 5
# Stored depth must be positive; other values become this one, which is below all valid depths.
_LEAST_RELATIVE = 1e-3

# Function from set, frame, image and its camera to relative depth of the image's size.
RelativeSource = Callable[[str, str, ImageArray, Camera | None], RelativeDepth]


@dataclass(frozen=True, eq=False)
class KnownView:
    """One image to solve, with its relative depth and its known depth.

    Attributes:
        set_name, frame_id: its origin.
        image: (H, W, 3) uint8 RGB.
        camera: None if the set has no intrinsics.
        relative: the network's depth (H, W).
        known: pixels with depth, up to the place's ``CAP_M``.
        description: the frame's first sentence, in words that no training has seen if it has such; or empty.
        T_world_camera: (4, 4), None if the set has no poses.
        scene: number of the scene in the set; frames of one follow each other in time.
    """

    set_name: str
    frame_id: str
    place: Place
    image: ImageArray
    camera: Camera | None
    relative: RelativeDepth
    known: KnownDepth
    description: str = ""
    T_world_camera: FloatArray | None = None
    scene: int = 0
    _regions: dict[RegionsConfig, IntArray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the set and the frame."""
        return f"{self.set_name}/{self.frame_id}"

    def regions(self, config: RegionsConfig) -> IntArray:
        """Labels (H, W) by the built-in segmenter, computed once for each configuration."""
        if config not in self._regions:
            self._regions[config] = build_segmenter(config).segment(self.image, self.relative)
        return self._regions[config]


def find_sets(paths: Sequence[str | Path]) -> list[Path]:
    """Datasets by name: the paths that are datasets, and those inside the other paths.

    Raises:
        InputError: a path does not exist or holds no dataset, or two folders have the same name.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.iterdir()) if path.is_dir() and not is_dataset(path) else [path]
        sets = [folder.resolve() for folder in inside if is_dataset(folder)]
        if not sets:
            missing = "no set" if path.exists() else "does not exist"
            raise InputError(f"{path}: {missing}; needed a folder with calib.json or shards, or one of such.")
        found += sets
    names = [path.name for path in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"sets: {', '.join(twice)} more than once; needed names that differ.")
    return found


def build_source(
    config: EngineConfig,
    engine: str | Path | None = None,
    *,
    focus_m: float | None = None,
    flip: bool = False,
) -> RelativeSource:
    """Source of relative depth: a network or stored outputs.

    Args:
        config: settings of the network, and of a second one, which is averaged with stored outputs too.
        engine: a folder of stored outputs (``stored_outputs``), or a manifest instead of the configured one.
        focus_m: focus for networks that take one.
        flip: whether to average the depths of an image and its mirror image (paper 004, section G);
            features are those of the image.

    Raises:
        ConfigError: ``flip`` with stored outputs.
        ModelError: the network cannot be used.
    """
    if engine is not None and Path(engine).is_dir():
        if flip:
            raise ConfigError(f"flip: {engine} holds stored outputs; needed a network to run.")
        stored = stored_outputs(engine)
        return _averaged(stored, build_second(config)) if config.second else stored
    if engine is not None:
        config = dataclasses.replace(config, manifest=str(engine))
    network = build_engine(config)

    def run(set_name: str, frame_id: str, image: ImageArray, camera: Camera | None) -> RelativeDepth:
        found = network.predict(image, focus_m=focus_m, camera=camera)
        if flip:
            turned = np.ascontiguousarray(image[:, ::-1])
            mirrored = network.predict(turned, focus_m=focus_m, camera=camera)
            found = dataclasses.replace(found, values=(found.values + mirrored.values[:, ::-1]) / 2)
        return found

    return run


def _averaged(stored: RelativeSource, second: Engine) -> RelativeSource:
    """Source of stored outputs averaged with a second network's."""

    def run(set_name: str, frame_id: str, image: ImageArray, camera: Camera | None) -> RelativeDepth:
        first = stored(set_name, frame_id, image, camera)
        return averaged(first, second.predict(image, camera=camera))

    return run


def stored_outputs(folder: str | Path) -> RelativeSource:
    """Source that reads network outputs from FOLDER/SET/FRAME.npz, enlarged bilinearly to the image.

    A file holds ``relative``, (h, w) of any size, and ``kind``. Depth that is not positive becomes 0.001.
    The source raises InputError if a frame's file is missing or cannot be used.
    """

    def read(set_name: str, frame_id: str, image: ImageArray, _: Camera | None) -> RelativeDepth:
        values, kind = _stored(Path(folder), f"{set_name}/{frame_id}.npz")
        if kind == "depth":
            values = np.maximum(values, np.float32(_LEAST_RELATIVE))
        size = image.shape[1::-1]
        return RelativeDepth(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), kind)

    return read


def _stored(folder: Path, name: str) -> tuple[FloatArray, Kind]:
    path = folder / name
    try:
        with open_regular(inside(folder, name)) as file:
            found = read_npz(file, ["relative", "kind"])
        values, kind = np.asarray(found["relative"], np.float32), str(found["kind"])
    except (OSError, InputError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); needed a stored network output.") from error
    if values.ndim != 2 or not values.size or kind not in ("depth", "inverse_depth"):
        raise InputError(
            f"{path}: relative {values.shape} of kind {kind!r}; needed (h, w) and depth or inverse_depth."
        )
    return values, cast(Kind, kind)


def read_views(folder: str | Path, source: RelativeSource, *, every: bool = False) -> Iterator[KnownView]:
    """Views of a set's frames that have enough known depth: 400 pixels or more.

    Args:
        folder: a dataset.
        source: source of relative depth.
        every: whether to read all frames; if not, only the first and last of sets of five or more.

    Raises:
        InputError: the folder, a frame or its relative depth cannot be read.
    """
    frames = open_dataset(folder)
    name = frames.path.resolve().name
    count = len(frames)
    for index in range(count) if every or count < _SEQUENCE else (0, count - 1):
        frame = frames[index]
        pixels = known_pixels(frame)
        place = place_of(pixels.depth)
        known = known_depth(frame, pixels, cap_m=CAP_M[place], border_px=unusable_border_px(frame.image))
        if len(known) >= LEAST_EVALUATED:
            relative = source(name, frame.id, frame.image, frame.camera)
            told = next(iter(frames.descriptions(index, held_out=True)), "")
            yield KnownView(
                name, frame.id, place, frame.image, frame.camera, relative, known, told,
                T_world_camera=frame.T_world_camera, scene=frames.scene(index) if frames.tells_scenes else 0,
            )  # fmt: skip

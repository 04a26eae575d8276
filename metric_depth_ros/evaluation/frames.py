"""Views for solvers from datasets of calibrated frames: image, relative depth, known pixels."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from metric_depth_ros.array_files import read_npz
from metric_depth_ros.config import EngineConfig, RegionsConfig
from metric_depth_ros.datasets import DATASETS, Dataset, Frame, is_dataset, open_dataset, set_parts
from metric_depth_ros.datasets.captions import Captions, descriptions_of
from metric_depth_ros.datasets.published import PublishedDataset
from metric_depth_ros.engines import build_engine, build_second, manifest_paths
from metric_depth_ros.engines.averaged import averaged
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.evaluation.given_regions import RegionSource
from metric_depth_ros.evaluation.known_depth import (
    KnownDepth,
    TruthRules,
    known_depth,
    known_pixels,
    unusable_border_px,
)
from metric_depth_ros.evaluation.output_cache import OutputCache, fingerprint
from metric_depth_ros.evaluation.places import CAP_M, Place, place_of
from metric_depth_ros.evaluation.protocols import LEAST_EVALUATED
from metric_depth_ros.files import inside, open_regular
from metric_depth_ros.label_images import compact
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.regions.merging import few_enough
from metric_depth_ros.types import (
    Anchors,
    BoolArray,
    Camera,
    Engine,
    FloatArray,
    ImageArray,
    IntArray,
    Kind,
    RelativeDepth,
)

# A set with this many frames or more is a sequence: its first and last frame represent all of them.
_SEQUENCE = 5
# Stored depth must be positive; other values become this one, which is below all valid depths.
_LEAST_RELATIVE = 1e-3

# Function from a set's and a frame's name and its known depth to whether the frame is wanted.
Wanted = Callable[[str, str, KnownDepth], bool]
# Function from a set's name and a frame of it to relative depth of the image's size.
RelativeSource = Callable[[str, Frame], RelativeDepth]


@dataclass(frozen=True, eq=False)
class KnownView:
    """One image to solve, with its relative depth and its known depth.

    Attributes:
        set_name, frame_id: its origin.
        image: (H, W, 3) uint8 RGB.
        camera: None if the set has no intrinsics.
        relative: the network's depth (H, W).
        known: pixels with depth, within ``limits_m``.
        description: the frame's first sentence, in words that no training has seen if it has such; or empty.
        sentences: all that say what the frame shows, in words for training.
        scene: name of the scene that it shows; frames of one follow each other in time.
        limits_m: nearest and farthest true depth that counts.
        given_regions: (H, W) labels for ``regions.source: topic``; None: there are none.
        engine: label of the network.
        dataset: published dataset and split, as "nyuv2@test"; empty: none.
        T_world_camera: (4, 4), None if the set has no poses.
    """

    set_name: str
    frame_id: str
    place: Place
    image: ImageArray
    camera: Camera | None
    relative: RelativeDepth
    known: KnownDepth
    description: str = ""
    sentences: tuple[str, ...] = ()
    scene: str = ""
    limits_m: tuple[float, float] = (0.0, CAP_M["indoor"])
    given_regions: IntArray | None = None
    engine: str = ""
    dataset: str = ""
    T_world_camera: FloatArray | None = None
    _regions: dict[RegionsConfig, IntArray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the set and the frame."""
        return f"{self.set_name}/{self.frame_id}"

    def regions(self, config: RegionsConfig) -> IntArray:
        """Labels (H, W) by the configured segmenter, computed once for each configuration.

        Raises:
            InputError: ``regions.source`` is topic, and no regions are given.
            ModelError: the segmenter's network cannot be used.
        """
        if config not in self._regions:
            self._regions[config] = self._labels(config)
        return self._regions[config]

    def _labels(self, config: RegionsConfig) -> IntArray:
        if config.source != "topic":
            return _segmenter(config).segment(self.image, self.relative)
        if self.given_regions is None:
            raise InputError(
                f"{self.name}: no regions are given; needed the dataset's own masks, or a folder of labels "
                "(--regions)."
            )
        return few_enough(compact(self.given_regions), self.image, config.min_area)


# Networks of segmenters are loaded once.
_segmenter = lru_cache(maxsize=4)(build_segmenter)


def find_sets(paths: Iterable[str | Path]) -> list[Path]:
    """Datasets by name: the paths that are datasets, and those inside the other paths.

    Paths may be NAME:PATH or NAME@SPLIT:PATH, as for ``open_dataset``, and stay so.

    Raises:
        InputError: a path does not exist or holds no dataset, or two datasets have the same name.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.iterdir()) if path.is_dir() and not is_dataset(path) else [path]
        sets = [each if set_parts(each)[0] else each.resolve() for each in inside if is_dataset(each)]
        if not sets:
            missing = "no set" if path.exists() else "does not exist"
            raise InputError(
                f"{path}: {missing}; needed a folder with calib.json or shards, one of such, or NAME:PATH "
                "with a NAME that metric_depth datasets lists, or bag."
            )
        found += sets
    names = [set_name(path) for path in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"sets: {', '.join(twice)} more than once; needed names that differ. Take them in turn."
        )
    return found


def build_source(
    config: EngineConfig,
    engine: str | Path | None = None,
    *,
    focus_m: float | None = None,
    flip: bool = False,
    cache: OutputCache | None = None,
) -> RelativeSource:
    """Source of relative depth: a network or stored outputs.

    Args:
        config: settings of the network, and of a second one, which is averaged with stored outputs too.
        engine: a folder of stored outputs (``stored_outputs``), or a manifest instead of the configured one.
        focus_m: focus for networks that take one.
        flip: whether to average the depths of an image and its mirror image (paper 004, section G);
            features are those of the image.
        cache: keeps the network's outputs; None: none are kept. Stored outputs need none.

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

    def run(set_name: str, frame: Frame) -> RelativeDepth:
        found = network.predict(frame.image, focus_m=focus_m, camera=frame.camera)
        if flip:
            turned = np.ascontiguousarray(frame.image[:, ::-1])
            mirrored = network.predict(turned, focus_m=focus_m, camera=frame.camera)
            found = dataclasses.replace(found, values=(found.values + mirrored.values[:, ::-1]) / 2)
        return found

    return run if cache is None else _cached(run, cache, _identity(config, network, focus_m, flip))


def _cached(source: RelativeSource, cache: OutputCache, network: str) -> RelativeSource:
    """Source that looks into a cache first."""

    def run(set_name: str, frame: Frame) -> RelativeDepth:
        key = fingerprint(network, frame.image, frame.camera)
        return cache.through(key, lambda: source(set_name, frame))

    return run


def _identity(config: EngineConfig, network: Engine, focus_m: float | None, flip: bool) -> str:
    """What an output depends on beside the image: manifests, which name models' sha256, and settings."""
    manifests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in manifest_paths(config)]
    settings = {**dataclasses.asdict(config), "manifest": "", "second": ""}
    return json.dumps([manifests, settings, network.label, focus_m, flip])


def _averaged(stored: RelativeSource, second: Engine) -> RelativeSource:
    """Source of stored outputs averaged with a second network's."""

    def run(set_name: str, frame: Frame) -> RelativeDepth:
        return averaged(stored(set_name, frame), second.predict(frame.image, camera=frame.camera))

    return run


def stored_outputs(folder: str | Path) -> RelativeSource:
    """Source that reads network outputs from FOLDER/SET/FRAME.npz, enlarged bilinearly to the image.

    A file holds ``relative``, (h, w) of any size, and ``kind``. Depth that is not positive becomes 0.001.
    The source raises InputError if a frame's file is missing or cannot be used.
    """

    def read(set_name: str, frame: Frame) -> RelativeDepth:
        values, kind = _stored(Path(folder), f"{set_name}/{frame.id}.npz")
        if kind == "depth":
            values = np.maximum(values, np.float32(_LEAST_RELATIVE))
        size = frame.image.shape[1::-1]
        return RelativeDepth(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), kind)

    return read


def _stored(folder: Path, name: str) -> tuple[FloatArray, Kind]:
    path = folder / name
    try:
        with open_regular(inside(folder, name)) as file:
            found = read_npz(file, ["relative", "kind"])
        values, kind = np.asarray(found["relative"], np.float32), str(found["kind"])
    except (OSError, InputError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({told}); needed a stored network output.") from error
    if values.ndim != 2 or not values.size or kind not in ("depth", "inverse_depth"):
        raise InputError(
            f"{path}: relative {values.shape} of kind {kind!r}; needed (h, w) and depth or inverse_depth."
        )
    return values, cast(Kind, kind)


def set_name(path: str | Path) -> str:
    """Name of a set in tables and stored outputs: its path's last part, and its split or list."""
    _, split, place = set_parts(path)
    return place.resolve().name + (f"@{Path(split).stem}" if split else "")


def read_views(
    folder: str | Path,
    source: RelativeSource,
    *,
    every: bool = False,
    rules: TruthRules = TruthRules(),  # noqa: B008  # frozen
    regions: RegionSource | None = None,
    engine: str = "",
    captions: Captions | None = None,
    wanted: Wanted | None = None,
    only: Sequence[int] | None = None,
    opened: Dataset | None = None,
) -> Iterator[KnownView]:
    """Views of a set's frames that have enough known depth: 400 pixels or more.

    Args:
        folder: a dataset.
        source: source of relative depth.
        every: whether to read all frames; if not, only the first and last of sets of five or more, unless
            they are a split of a published dataset.
        rules: what of the known depth counts.
        regions: source of the given regions; None: none.
        engine: label of the network.
        captions: descriptions of frames, before those of the dataset; None: none.
        wanted: tells by a frame's set, name and known depth whether it is wanted, before its relative depth
            is computed; None: all are.
        only: numbers of frames, instead of those that ``every`` chooses.
        opened: the dataset, if it is open already.

    Raises:
        InputError: the folder, a frame, its relative depth or its regions cannot be read.
    """
    frames, name = opened or open_dataset(folder), set_name(folder)
    dataset = published_name(frames)
    for index in frames_of(frames, every=every) if only is None else only:
        frame = frames[index]
        pixels = known_pixels(frame)
        place = place_of(pixels.depth)
        limits_m = rules.limits_m or frames.limits_m or (0.0, CAP_M[place])
        known = _known(frame, pixels, limits_m, frames.evaluated(frame), rules)
        if len(known) >= LEAST_EVALUATED and (wanted is None or wanted(name, frame.id, known)):
            relative = source(name, frame)
            sentences, held_out = descriptions_of(frames, index, frame.id, captions)
            given = None if regions is None else regions(name, frame)
            yield KnownView(
                name,
                frame.id,
                place,
                frame.image,
                frame.camera,
                relative,
                known,
                description=next(iter(held_out), ""),
                sentences=sentences,
                scene=f"{name}/{frames.scene(index) if frames.tells_scenes else 0}",
                limits_m=limits_m,
                given_regions=given,
                engine=engine,
                dataset=dataset,
                T_world_camera=frame.T_world_camera,
            )


def frames_of(frames: Dataset, *, every: bool = False) -> Sequence[int]:
    """Numbers of the frames that represent a dataset: all, or the first and last of a sequence."""
    count = len(frames)
    every = every or count < _SEQUENCE or isinstance(frames, PublishedDataset)
    return range(count) if every else (0, count - 1)


def published_name(frames: Dataset) -> str:
    """Format and split of a published dataset, as "nyuv2@test"; empty for others."""
    if not isinstance(frames, PublishedDataset):
        return ""
    names = [name for name, kind in DATASETS.items() if kind is type(frames)]
    return f"{names[0]}@{frames.split}" if names else ""


def _known(
    frame: Frame,
    pixels: Anchors,
    limits_m: tuple[float, float],
    mask: BoolArray | None,
    rules: TruthRules,
) -> KnownDepth:
    """Known depth that counts; a dataset's own crop replaces the one of pictures with a white frame."""
    border_px = unusable_border_px(frame.image) if mask is None else 0
    return known_depth(
        frame, pixels, limits_m=limits_m, border_px=border_px, mask=mask, anchor_pixels=rules.anchor_pixels
    )

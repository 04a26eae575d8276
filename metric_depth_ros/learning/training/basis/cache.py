"""Cache on disk of a frozen depth network's outputs on datasets, for training basis generators.

A folder of memory-mapped arrays over N images, at a quarter of the network's input size (h, w):

- ``features.npy`` (N, C, h, w) uint8: offset + step * code per channel (``cache.json``); absent for C = 0
- ``log_relative.npy`` (N, h, w) float32: log of ``positive_depth``
- ``log_depth.npy`` (N, h, w) float32: log of metres; NaN unknown, sky, or outside the limits, 0.1 to 80 m
- ``cache.json``: the network's name and sha256, C, sizes, number of images at the end for validation
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.datasets import Dataset, Frame
from metric_depth_ros.depth import positive_depth
from metric_depth_ros.documents import read_json
from metric_depth_ros.engines import build_depth_engine
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.manifest import Manifest
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.evaluation.known_depth import known_pixels
from metric_depth_ros.evaluation.places import CAP_M, place_of
from metric_depth_ros.learning.training.augment import reframed, relit
from metric_depth_ros.learning.training.loader import open_with_depth
from metric_depth_ros.learning.training.sparse import gridded, reduced_depth
from metric_depth_ros.types import FloatArray, IntArray, RelativeDepth

NEAREST_M, FARTHEST_M = 0.1, 80.0
# Name of the engine's features that the generator uses.
FEATURES = "f"
_REDUCTION = 4
# One of this many scenes is for validation.
_SCENES = 50
# Number of images that determine the range of each channel, and the fraction of values within the range.
_PROBED, _WITHIN = 48, 0.9995


@dataclass(frozen=True)
class CacheInfo:
    """Content of ``cache.json``.

    Attributes:
        engine, sha256: the network's name and its file's digest.
        kind: kind of its output.
        channels: of the features, 0 without features.
        height, width: of the maps.
        count, validation: images in all, and images at the end for validation.
        offset, step: of the features, per channel.
        families: kinds of scenes; ``family.npy`` (N,) holds indices into it. One empty name if unknown.
        masked, augmented: as told to ``write_cache``.
    """

    engine: str
    sha256: str
    kind: str
    channels: int
    height: int
    width: int
    count: int
    validation: int
    offset: tuple[float, ...]
    step: tuple[float, ...]
    families: tuple[str, ...]
    masked: bool = False
    augmented: bool = True


class BasisCache:
    """Reads a folder of cached images, on demand."""

    def __init__(self, folder: str | Path) -> None:
        """Raises InputError if the folder holds no complete cache."""
        self.folder = Path(folder)
        try:
            tree = read_json(self.folder / "cache.json", InputError, "a cache's description")
            tree |= {name: tuple(tree[name]) for name in ("offset", "step", "families")}
            self.info = CacheInfo(**tree)
            self._arrays = {
                name: np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in _names(self.info)
            }
        except (OSError, InputError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{folder}: no whole cache ({error}); needed what metric_depth train basis-cache writes."
            ) from error

    def __len__(self) -> int:
        """Number of training images."""
        return self.info.count - self.info.validation

    @property
    def family(self) -> IntArray:
        """Index (N,) in ``info.families`` of each image."""
        return np.asarray(self._arrays["family"])

    @property
    def validation(self) -> range:
        """Indices of the validation images."""
        return range(len(self), self.info.count)

    def of_families(self, families: Sequence[str]) -> tuple[IntArray, IntArray]:
        """Training and validation indices of some kinds of scenes; an empty list means all kinds.

        Raises:
            ConfigError: the cache has no such kind, or no image of it for training or validation.
        """
        index, known = np.arange(self.info.count), self.info.families
        unknown = [name for name in families if name not in known]
        if unknown:
            raise ConfigError(f"families: {', '.join(unknown)}; the cache has {', '.join(known)}.")
        if families:
            index = index[np.isin(self.family, [known.index(name) for name in families])]
        training, validation = index[index < len(self)], index[index >= len(self)]
        if not len(training) or not len(validation):
            raise ConfigError(
                f"families: {len(training)} pictures to train on and {len(validation)} for validation; "
                "needed 1 of each. Make a larger cache (--count)."
            )
        return training, validation

    def read(self, index: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Features (B, C, h, w), log relative and log metric depth (B, h, w) of some images."""
        parts = {name: np.asarray(array[index]) for name, array in self._arrays.items() if name != "family"}
        shape = (len(index), 0, self.info.height, self.info.width)
        features = np.zeros(shape, np.float32)
        if "features" in parts:
            offset, step = (
                np.array(values, np.float32)[:, None, None] for values in (self.info.offset, self.info.step)
            )
            features = offset + step * parts["features"]
        return features, parts["log_relative"], parts["log_depth"]


def write_cache(
    folders: Sequence[str | Path],
    config: EngineConfig,
    out: str | Path,
    *,
    count: int,
    seed: int = 0,
    augment: bool = True,
    threads: int = 2,
    validate: Sequence[str | Path] = (),
    masked: bool = False,
) -> Iterator[int]:
    """Writes up to ``count`` random images of datasets, ``cache.json`` last; yields the number written.

    Args:
        folders: datasets that the package reads, with dense depth or LiDAR points.
        validate: datasets to validate on, all of them, beside ``count``; none: one scene in fifty of
            ``folders``.
        masked: whether depth is known within each dataset's own limits (``Dataset.limits_m``, else 0.1 to
            10 m indoors and 80 m outdoors), as paper 001 has it, not from 0.1 to 80 m everywhere.
        config: of the network; each thread loads its own.
        augment: whether to augment training images with dense depth; validation images are not changed.

    Raises:
        ConfigError: fewer than 2 images, or no thread.
        InputError: no data, or the folder cannot be written.
        ModelError: the network cannot be used.
    """
    if count < 2 or threads < 1 or seed < 0:
        raise ConfigError(f"count {count}, threads {threads}, seed {seed}; needed at least 2, 1 and 0.")
    picked, validation = _picked(open_with_depth(folders, or_points=True), count, seed, apart=bool(validate))
    if validate:
        held_out = open_with_depth(validate, or_points=True)
        looked = [(data, i) for data in held_out for i in _with_depth(data)]
        picked, validation = picked + looked, len(looked)
    engines = [build_depth_engine(dataclasses.replace(config, threads=1)) for _ in range(threads)]
    manifest = engines[0].manifest
    size = reduced_size(manifest)
    training = len(picked) - validation
    jobs = [
        _Job(data, index, size, (seed, place), augment and place < training, masked)
        for place, (data, index) in enumerate(picked)
    ]
    low, step = _reach(jobs, engines[0])
    info = CacheInfo(
        manifest.name, manifest.sha256, manifest.output.kind, len(low), size[1], size[0], len(jobs),
        validation,
        tuple(low.tolist()), tuple(step.tolist()), tuple(dict.fromkeys(job.family for job in jobs)),
        masked, augment,
    )  # fmt: skip
    arrays = _created(Path(out), info)
    arrays["family"][:] = [info.families.index(job.family) for job in jobs]
    yield from _filled(arrays, jobs, engines, low, step)
    for array in arrays.values():
        array.flush()
    (Path(out) / "cache.json").write_text(json.dumps(dataclasses.asdict(info)), encoding="utf-8")


def _filled(
    arrays: Mapping[str, np.memmap],
    jobs: Sequence[_Job],
    engines: Sequence[DepthEngine],
    low: FloatArray,
    step: FloatArray,
) -> Iterator[int]:
    """Writes the jobs' images into the arrays, a thread for each engine; yields the number written."""

    def work(part: int) -> Iterator[None]:
        for place in range(part, len(jobs), len(engines)):
            features, log_relative, log_depth = jobs[place].made(engines[part])
            if len(low):
                code = np.rint((features - low[:, None, None]) / step[:, None, None])
                arrays["features"][place] = np.clip(code, 0, 255)
            arrays["log_relative"][place], arrays["log_depth"][place] = log_relative, log_depth
            yield

    workers = [work(part) for part in range(len(engines))]
    with ThreadPoolExecutor(len(engines)) as pool:
        for done in range(0, len(jobs), len(engines)):
            list(pool.map(lambda worker: next(worker, None), workers))
            yield min(done + len(engines), len(jobs))


@dataclass(frozen=True, eq=False)
class _Job:
    """Job that caches one image."""

    data: Dataset
    index: int
    size: tuple[int, int]
    seed: tuple[int, int]
    augment: bool
    masked: bool

    @property
    def family(self) -> str:
        """Kind of scene; empty if unknown."""
        return self.data.family(self.index)

    def made(self, engine: DepthEngine) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Features (C, h, w), log relative and log metric depth (h, w) of the image."""
        item = engine.manifest.input
        frame, rng = self.data[self.index], np.random.default_rng(self.seed)
        image = frame.image
        if self.augment and frame.depth is not None:
            image, depth = reframed(image, frame.depth, (item.width, item.height), self.size, rng)
            image = relit(image, image, rng)
        else:
            depth = depth_grid(frame, self.size)
        relative = engine.predict(image)
        nearest, farthest = self._limits_m(depth)
        usable = (depth >= nearest) & (depth <= farthest)
        log_depth = np.log(np.where(usable, depth, np.float32(np.nan)))
        return reduced_features(relative, self.size), log_relative(relative, self.size), log_depth

    def _limits_m(self, depth: FloatArray) -> tuple[float, float]:
        """Nearest and farthest depth that is known, metres."""
        if not self.masked:
            return NEAREST_M, FARTHEST_M
        return self.data.limits_m or (NEAREST_M, CAP_M[place_of(depth[np.isfinite(depth)])])


def reduced_size(manifest: Manifest) -> tuple[int, int]:
    """Width and height of the cached maps: a quarter of the network's input size."""
    sides = manifest.input.width, manifest.input.height
    width, height = (max(8, round(side / _REDUCTION)) for side in sides)
    return width, height


def _reach(jobs: Sequence[_Job], engine: DepthEngine) -> tuple[FloatArray, FloatArray]:
    """Offset and step (C,) of the 8-bit code of each feature channel; C = 0 without features."""
    probes = np.stack([job.made(engine)[0] for job in jobs[:_PROBED]])
    channels = probes.shape[1]
    if not channels:
        return np.zeros(0), np.zeros(0)
    flat = probes.transpose(1, 0, 2, 3).reshape(channels, -1)
    low, high = (np.quantile(flat, part, axis=1) for part in (1 - _WITHIN, _WITHIN))
    return low, np.maximum(high - low, 1e-6) / 255


def log_relative(relative: RelativeDepth, size: tuple[int, int]) -> FloatArray:
    """Log (h, w) float32 of the positive depth of a map reduced to ``size`` (width, height)."""
    values = cv2.resize(relative.values, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.log(positive_depth(dataclasses.replace(relative, values=values))))


def reduced_features(relative: RelativeDepth, size: tuple[int, int]) -> FloatArray:
    """The engine's features (C, h, w) float32 reduced to ``size``; C = 0 without features."""
    features = relative.features.get(FEATURES)
    if features is None:
        return np.zeros((0, size[1], size[0]), np.float32)
    if features.shape[1:] == size[::-1]:
        return np.asarray(features, np.float32)
    return np.stack(
        [cv2.resize(np.asarray(c, np.float32), size, interpolation=cv2.INTER_LINEAR) for c in features]
    )


def depth_grid(frame: Frame, size: tuple[int, int]) -> FloatArray:
    """Depth (h, w) float32 in metres of one known pixel or point per grid cell; NaN without one."""
    if frame.depth is not None:
        return reduced_depth(frame.depth, size)
    pixels = known_pixels(frame)
    return gridded(pixels.uv, pixels.depth, frame.image.shape[1::-1], size)


def _with_depth(data: Dataset) -> Iterator[int]:
    return (index for index in range(len(data)) if data.has_depth(index, or_points=True))


def _picked(
    sets: Sequence[Dataset], count: int, seed: int, *, apart: bool = False
) -> tuple[list[tuple[Dataset, int]], int]:
    """Random images, validation images last, and the number of validation images; ``apart``: none of them."""
    training: list[tuple[Dataset, int]] = []
    validation: list[tuple[Dataset, int]] = []
    for data in sets:
        numbers: dict[int, int] = {}
        for index in _with_depth(data):
            turn, number = divmod(numbers.setdefault(data.scene(index), len(numbers)), _SCENES)
            # Shifted in each round, as kinds of scenes follow each other in a fixed order.
            held_out = number == turn % _SCENES and not apart
            (validation if held_out else training).append((data, index))
    if not training:
        raise InputError(
            f"basis cache: no picture to train on; the first scene, and one in {_SCENES}, is for validation. "
            "Add pictures, or render some: metric_depth synthesize."
        )
    rng = np.random.default_rng(seed)
    order, kept = rng.permutation(len(training)), max(1, count // _SCENES)
    looked = rng.permutation(len(validation))[:kept]
    chosen = [training[i] for i in order[: count - len(looked)]] + [validation[i] for i in looked]
    return chosen, len(looked)


def _names(info: CacheInfo) -> tuple[str, ...]:
    return (*(("features",) if info.channels else ()), "log_relative", "log_depth", "family")


def _created(folder: Path, info: CacheInfo) -> dict[str, np.memmap]:
    shapes = {
        "features": ((info.count, info.channels, info.height, info.width), np.uint8),
        "log_relative": ((info.count, info.height, info.width), np.float32),
        "log_depth": ((info.count, info.height, info.width), np.float32),
        "family": ((info.count,), np.uint8),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cache.json").unlink(missing_ok=True)
        return {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
            for name, (shape, dtype) in shapes.items()
            if name in _names(info)
        }
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; needed room and leave to write it.") from error

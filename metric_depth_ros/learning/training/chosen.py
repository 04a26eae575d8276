"""Pictures chosen at random from datasets, for which a depth network's output is stored once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from metric_depth_ros.array_files import read_npz
from metric_depth_ros.config import EngineConfig
from metric_depth_ros.datasets import Dataset, address, open_dataset
from metric_depth_ros.engines import build_network
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.engines.metric_solver import MetricSolverEngine
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.files import open_regular
from metric_depth_ros.learning.training.loader import open_with_depth
from metric_depth_ros.types import Array, BoolArray, Engine, ImageArray, IntArray

Made = TypeVar("Made")
About = TypeVar("About")

_ARRAYS = ("place", "group", "family")
# Of the groups of pictures (``Dataset.group``), one of this many is for validation.
_GROUPS = 5


@dataclass(frozen=True)
class ChosenPictures:
    """Pictures of datasets.

    Attributes:
        sets: the datasets.
        place: (N, 2) number of the dataset, and of the picture in it.
        group, family: (N,) of ``Dataset``.
    """

    sets: Sequence[Dataset]
    place: IntArray
    group: IntArray
    family: Any

    @classmethod
    def choose(cls, folders: Sequence[str | Path], count: int, seed: int) -> ChosenPictures:
        """Up to ``count`` random pictures with depth.

        Raises:
            ConfigError: fewer than 2 pictures.
            InputError: a folder is no dataset, or has no depth.
        """
        if count < 2:
            raise ConfigError(f"count: {count}; needed at least 2 pictures.")
        sets = open_with_depth(folders)
        places = [(d, i) for d, data in enumerate(sets) for i in range(len(data)) if data.has_depth(i)]
        order = np.sort(np.random.default_rng(seed).permutation(len(places))[:count])
        place = np.array([places[k] for k in order])
        group = np.array([sets[d].group(i) for d, i in place.tolist()])
        family = np.array([sets[d].family(i) for d, i in place.tolist()])
        return cls(sets, place, group, family)

    @classmethod
    def stored(cls, path: Path, arrays: Mapping[str, Any], about: Any) -> ChosenPictures:
        """The pictures of a file that holds ``arrays``, and ``about`` with ``data`` and ``frames``.

        Raises:
            InputError: a dataset is gone or has fewer frames.
        """
        try:
            sets = [open_dataset(folder) for folder in about.data]
        except InputError as error:
            raise InputError(f"{path}: made of data that is gone: {error}") from error
        for data, frames in zip(sets, about.frames, strict=True):
            if len(data) < frames:
                raise InputError(f"{path}: {data.path} has {len(data)} frames, had {frames}. Make them anew.")
        return cls(sets, *(arrays[name] for name in _ARRAYS))

    def __len__(self) -> int:
        return len(self.place)

    @property
    def arrays(self) -> dict[str, Any]:
        """Arrays by name, for a file."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @property
    def about(self) -> dict[str, Any]:
        """What opens the datasets again, and their numbers of frames, for a file."""
        return {
            "data": tuple(map(address, self.sets)),
            "frames": tuple(map(len, self.sets)),
        }

    def of(self, index: int) -> tuple[Dataset, int]:
        """Dataset of a picture, and its number in it."""
        data, number = self.place[index].tolist()
        return self.sets[data], number

    def image(self, index: int) -> ImageArray:
        """Image (H, W, 3) uint8 RGB of a picture. Raises InputError if it is damaged."""
        data, number = self.of(index)
        return data.image(number)

    def only(self, kept: BoolArray) -> ChosenPictures:
        """The pictures of a mask (N,)."""
        return ChosenPictures(self.sets, *(values[kept] for values in self.arrays.values()))

    def of_families(self, families: Sequence[str]) -> BoolArray:
        """Mask (N,) of the pictures of some kinds of scenes; of all for no kind."""
        return np.isin(self.family, families) if families else np.ones(len(self), bool)

    def check_split(self) -> None:
        """Raises InputError unless there are pictures to train on and for validation, before more is made."""
        self.split(np.ones(len(self), bool), ", ".join(self.about["data"]))

    def split(
        self, kept: BoolArray, path: str | Path, families: Sequence[str] = ()
    ) -> tuple[IntArray, IntArray]:
        """Indices of those of a mask (N,) that are for training and for validation.

        Raises:
            InputError: there are none; ``path`` and ``families`` are named.
        """
        training, validation = np.flatnonzero(kept & ~self.held_out), np.flatnonzero(kept & self.held_out)
        if not len(training) or not len(validation):
            wanted = f" of {', '.join(families)}" if families else ""
            raise InputError(
                f"{path}: {len(training)} pictures{wanted} to train on and {len(validation)} for "
                "validation; needed 1 of each. Add pictures."
            )
        return training, validation

    @property
    def held_out(self) -> BoolArray:
        """Mask (N,) of the pictures for validation: a fifth of the groups."""
        return np.asarray(self.group % _GROUPS == 0)

    def each(self, engines: Sequence[Engine], make: Callable[[Engine, Dataset, int], Made]) -> Iterator[Made]:
        """``make(engine, dataset, number)`` of every picture in turn, with a thread per engine."""
        with ThreadPoolExecutor(len(engines)) as pool:
            for begin in range(0, len(self), len(engines)):
                part = range(begin, min(begin + len(engines), len(self)))
                yield from pool.map(lambda engine, index: make(engine, *self.of(index)), engines, part)


def engines_for(config: EngineConfig, threads: int) -> list[DepthEngine | MetricSolverEngine]:
    """One engine per thread, each on a single one.

    Raises:
        ConfigError: no thread.
        ModelError: the network cannot be used.
    """
    if threads < 1:
        raise ConfigError(f"threads: {threads}; needed at least 1.")
    return [build_network(replace(config, threads=1)) for _ in range(threads)]


def save_about(path: Path, arrays: Mapping[str, Any], about: Any) -> None:
    """Writes arrays and the dataclass ``about`` to a .npz file, whole or not at all. Raises InputError."""
    growing = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with growing.open("wb") as file:
            np.savez(file, **arrays, about=json.dumps(asdict(about)))
        os.replace(growing, path)
    except OSError as error:
        raise InputError(f"{path.parent}: {error.strerror}; needed a folder to write to.") from error


def load_about(path: Path, kind: type[About], made_by: str) -> tuple[dict[str, Any], About]:
    """Arrays of a file of ``save_about``, and its ``about`` of this kind.

    Raises:
        InputError: there is none, or it is of another kind; ``made_by`` says what makes it.
    """
    try:
        with open_regular(path) as file:
            arrays = read_npz(file)
        told = json.loads(str(arrays.pop("about")))
        return arrays, kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in told.items()})
    except (OSError, InputError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); needed what {made_by} makes.") from error


def open_maps(folder: Path, names: Sequence[str]) -> list[Array]:
    """The arrays NAME.npy of a folder, mapped, not read. Raises InputError if one is missing or damaged."""
    try:
        return [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: maps cannot be read ({error}). Make them anew.") from error


def check_same_about(what: str, about: Any, before: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raises ConfigError if a run is resumed with other data; ``before``: fields of its own ``about``."""
    now = asdict(about)
    for name in names:
        if before[name] != now[name]:
            raise ConfigError(
                f"{what}: {name} {now[name]!r}; the run that is resumed has {before[name]!r}. Name the run's "
                f"own {what}, or begin anew."
            )

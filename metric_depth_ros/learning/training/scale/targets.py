"""Targets of scale networks: every picture's best scale for a depth network (paper 002, algorithm 1)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.datasets import Dataset, open_dataset
from metric_depth_ros.engines import build_engine
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.learning.training.basis.cache import FARTHEST_M
from metric_depth_ros.learning.training.loader import canonical_focal, open_with_depth
from metric_depth_ros.scale import best_scale, bounds_of, unit_depth
from metric_depth_ros.types import Engine, FloatArray, ImageArray, IntArray

FILE = "targets.npz"
_ARRAYS = ("place", "group", "family", "log_scale")
# Of the groups of pictures (``Dataset.group``), one of this many is for validation: the paper's 20 %.
_GROUPS = 5
# Factors outside these percentiles are left out (algorithm 1, "dynamic filtering").
_PERCENTILES = (5, 95)
# Depth maps are compared at this many pixels: all of them give the same.
_PIXELS = 20_000


@dataclass(frozen=True)
class About:
    """What the targets are of.

    Attributes:
        data: folders of the datasets, absolute.
        frames: numbers of their frames.
        engine: name of the depth network.
        metric: whether it gives metres, which the factor corrects; else the factor is the usual depth.
        canonical: whether factors are divided by the camera's ``relative_focal`` (unitless maps alone).
        digest: sha256 of the pictures' places and factors.
    """

    data: tuple[str, ...]
    frames: tuple[int, ...]
    engine: str
    metric: bool
    canonical: bool
    digest: str = ""


class ScaleTargets:
    """Pictures with the logarithm of their best scale, apart for training and validation.

    Attributes:
        about: what they are of.
        log_scale: (N,) float32.
        training, validation: indices of the pictures.
        held_out: those for validation, with those that the filter leaves out.
    """

    def __init__(self, folder: str | Path, *, filtered: bool = True, families: Sequence[str] = ()) -> None:
        """``filtered``: without factors outside the 5th to 95th percentile; ``families``: kinds of scenes.

        Raises:
            InputError: there are no targets, their data is gone or has changed, or nothing is left.
        """
        path = Path(folder) / FILE
        try:
            with np.load(path, allow_pickle=False) as stored:
                place, group, family, log_scale = (stored[name] for name in _ARRAYS)
                about = json.loads(str(stored["about"]))
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); needed targets of train scale.") from error
        self.about = About(**{**about, "data": tuple(about["data"]), "frames": tuple(about["frames"])})
        self.log_scale: FloatArray = log_scale.astype(np.float32)
        self._place, self._sets = place, _opened(path, self.about)
        used = np.isin(family, families) if families else np.ones(len(family), bool)
        kept = used.copy()
        if filtered and used.any():
            low, high = np.percentile(log_scale[used], _PERCENTILES)
            kept &= (log_scale >= low) & (log_scale <= high)
        apart = group % _GROUPS == 0
        self.training: IntArray = np.flatnonzero(kept & ~apart)
        self.validation: IntArray = np.flatnonzero(kept & apart)
        self.held_out: IntArray = np.flatnonzero(used & apart)
        if not len(self.training) or not len(self.validation):
            wanted = f" of {', '.join(families)}" if families else ""
            raise InputError(
                f"{path}: {len(self.training)} pictures{wanted} to train on and {len(self.validation)} for "
                "validation; needed 1 of each. Add pictures."
            )

    def image(self, index: int) -> ImageArray:
        """Image (H, W, 3) uint8 RGB of a picture. Raises InputError if it is damaged."""
        data, number = self._place[index].tolist()
        dataset: Dataset = self._sets[data]
        return dataset.image(number)


def _opened(path: Path, about: About) -> list[Dataset]:
    """The datasets of targets. Raises InputError if one is gone or has fewer frames."""
    try:
        sets = [open_dataset(folder) for folder in about.data]
    except InputError as error:
        raise InputError(f"{path}: made of data that is gone: {error}") from error
    for data, frames in zip(sets, about.frames, strict=True):
        if len(data) < frames:
            raise InputError(f"{path}: {data.path} has {len(data)} frames, had {frames}. Make them anew.")
    return sets


def write_targets(
    folders: Sequence[str | Path],
    config: EngineConfig,
    out: str | Path,
    *,
    count: int,
    seed: int = 0,
    canonical: bool = True,
    threads: int = 2,
) -> Iterator[int]:
    """Runs a depth network over up to ``count`` random pictures and stores their best scales.

    Yields the number of pictures done; the file is written at the end.

    Raises:
        ConfigError: fewer than 2 pictures, or no thread.
        InputError: no data, a camera that is needed is missing, or the folder cannot be written.
        ModelError: the network cannot be used.
    """
    if count < 2 or threads < 1:
        raise ConfigError(f"count {count}, threads {threads}; needed at least 2 and 1.")
    sets = open_with_depth(folders)
    places = [(d, i) for d, data in enumerate(sets) for i in range(len(data)) if data.has_depth(i)]
    order = np.sort(np.random.default_rng(seed).permutation(len(places))[:count])
    chosen = [places[k] for k in order]
    engines = [build_engine(replace(config, threads=1)) for _ in range(threads)]
    first, number = chosen[0]
    metric = engines[0].predict(sets[first].image(number)).metric
    canonical = canonical and not metric
    found: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        for begin in range(0, len(chosen), threads):
            part = chosen[begin : begin + threads]
            found += pool.map(
                lambda engine, at: _log_scale(engine, sets[at[0]], at[1], canonical), engines, part
            )
            yield len(found)
    known = np.isfinite(found)
    arrays = {
        "place": np.array(chosen)[known],
        "group": np.array([sets[d].group(i) for d, i in chosen])[known],
        "family": np.array([sets[d].family(i) for d, i in chosen])[known],
        "log_scale": np.array(found)[known],
    }
    about = About(
        tuple(str(data.path.resolve()) for data in sets),
        tuple(map(len, sets)),
        engines[0].manifest.name,
        metric,
        canonical,
        hashlib.sha256(arrays["place"].tobytes() + arrays["log_scale"].tobytes()).hexdigest(),
    )
    _write(Path(out), arrays, about)


def _write(out: Path, arrays: Mapping[str, Any], about: About) -> None:
    """Writes the targets whole or not at all. Raises InputError."""
    growing = out / f"{FILE}.tmp"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with growing.open("wb") as file:
            np.savez(file, **arrays, about=json.dumps(asdict(about)))
        os.replace(growing, out / FILE)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}; needed a folder to write to.") from error


def _log_scale(engine: Engine, data: Dataset, index: int, canonical: bool) -> float:
    """Logarithm of a picture's best scale; NaN if nothing in it has known depth."""
    image, depth, camera = data.picture(index)
    relative = engine.predict(image, camera=camera)
    focal = canonical_focal(data, index, camera) if canonical else 1.0
    step = max(1, round((image.shape[0] * image.shape[1] / _PIXELS) ** 0.5))
    predicted = unit_depth(relative)[::step, ::step]
    truth = cv2.resize(depth, predicted.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    truth = np.where(truth <= FARTHEST_M, truth, np.float32(np.nan))
    if not (np.isfinite(truth) & np.isfinite(predicted)).any():
        return float("nan")
    return float(np.log(best_scale(predicted, truth, bounds_of(relative)) / focal))

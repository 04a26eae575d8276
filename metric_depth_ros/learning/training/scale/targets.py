"""Targets of scale networks: every picture's best scale for a depth network (paper 002, algorithm 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.datasets import Dataset
from metric_depth_ros.learning.training.basis.cache import FARTHEST_M
from metric_depth_ros.learning.training.chosen import ChosenPictures, engines_for, load_about, save_about
from metric_depth_ros.learning.training.loader import canonical_focal
from metric_depth_ros.learning.training.sparse import reduced_depth
from metric_depth_ros.scale import best_scale, bounds_of, unit_depth
from metric_depth_ros.types import Engine, FloatArray, ImageArray, IntArray

FILE = "targets.npz"
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
    digest: str


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
        arrays, self.about = load_about(path, About, "train scale")
        log_scale = arrays["log_scale"]
        self.log_scale: FloatArray = log_scale.astype(np.float32)
        self._pictures = ChosenPictures.stored(path, arrays, self.about)
        used = self._pictures.of_families(families)
        kept = used.copy()
        if filtered and used.any():
            low, high = np.percentile(log_scale[used], _PERCENTILES)
            kept &= (log_scale >= low) & (log_scale <= high)
        self.training, self.validation = self._pictures.split(kept, path, families)
        self.held_out: IntArray = np.flatnonzero(used & self._pictures.held_out)

    def image(self, index: int) -> ImageArray:
        """Image (H, W, 3) uint8 RGB of a picture. Raises InputError if it is damaged."""
        return self._pictures.image(index)


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
    pictures = ChosenPictures.choose(folders, count, seed)
    pictures.check_split()
    engines = engines_for(config, threads)
    said = engines[0].predict(pictures.image(0))
    metric, canonical = said.metric, canonical and not said.metric
    found: list[float] = []
    for log_scale in pictures.each(engines, partial(_log_scale, canonical=canonical)):
        found.append(log_scale)
        yield len(found)
    known = np.isfinite(found)
    pictures = pictures.only(known)
    arrays = {**pictures.arrays, "log_scale": np.array(found)[known]}
    digest = hashlib.sha256(arrays["place"].tobytes() + arrays["log_scale"].tobytes()).hexdigest()
    about = About(**pictures.about, engine=said.network, metric=metric, canonical=canonical, digest=digest)
    save_about(Path(out) / FILE, arrays, about)


def _log_scale(engine: Engine, data: Dataset, index: int, *, canonical: bool) -> float:
    """Logarithm of a picture's best scale; NaN if nothing in it has known depth."""
    image, depth, camera = data.picture(index)
    relative = engine.predict(image, camera=camera)
    focal = canonical_focal(data, index, camera) if canonical else 1.0
    step = max(1, round((image.shape[0] * image.shape[1] / _PIXELS) ** 0.5))
    predicted = unit_depth(relative)[::step, ::step]
    truth = reduced_depth(depth, predicted.shape[::-1])
    truth = np.where(truth <= FARTHEST_M, truth, np.float32(np.nan))
    if not (np.isfinite(truth) & np.isfinite(predicted)).any():
        return float("nan")
    return float(np.log(best_scale(predicted, truth, bounds_of(relative)) / focal))

"""Targets of scale networks: every picture's best scale for a depth network (paper 002, algorithm 1)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.datasets import Dataset, open_dataset
from metric_depth_ros.datasets.dataset import Picture
from metric_depth_ros.engines import build_engine
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.learning.training.loader import open_with_depth
from metric_depth_ros.scale import best_scale, bounds_of, unit_depth
from metric_depth_ros.types import Engine, FloatArray, ImageArray, IntArray

FILE = "targets.npz"
# Of the groups of pictures (``Dataset.group``), one of this many is for validation: the paper's 20 %.
_GROUPS = 5
# Factors outside these percentiles are left out (algorithm 1, "dynamic filtering").
_PERCENTILES = (5, 95)
# Depths beyond this are not used, as in the other trainings.
_FARTHEST_M = 80.0
# Depth maps are compared at this many pixels: all of them give the same.
_PIXELS = 20_000


@dataclass(frozen=True)
class About:
    """What the targets are of.

    Attributes:
        data: folders of the datasets.
        engine: name of the depth network.
        metric: whether it gives metres, which the factor corrects; else the factor is the usual depth.
        canonical: whether factors are divided by the camera's ``relative_focal`` (unitless maps alone).
    """

    data: tuple[str, ...]
    engine: str
    metric: bool
    canonical: bool


class ScaleTargets:
    """Pictures with the logarithm of their best scale, apart for training and validation.

    Attributes:
        training, validation: indices of the pictures.
        log_scale: (N,) float32.
    """

    def __init__(self, folder: str | Path, *, filtered: bool = True) -> None:
        """``filtered``: without factors outside the 5th to 95th percentile. Raises InputError."""
        path = Path(folder) / FILE
        try:
            with np.load(path, allow_pickle=False) as stored:
                place, group, log_scale = (stored[name] for name in ("place", "group", "log_scale"))
                about = json.loads(str(stored["about"]))
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); needed targets of train scale.") from error
        self.about = About(**{**about, "data": tuple(about["data"])})
        self.log_scale: FloatArray = log_scale.astype(np.float32)
        self._place = place
        self._sets = [open_dataset(path) for path in self.about.data]
        kept = np.ones(len(log_scale), bool)
        if filtered:
            low, high = np.percentile(log_scale, _PERCENTILES)
            kept = (log_scale >= low) & (log_scale <= high)
        held_out = group % _GROUPS == 0
        self.training: IntArray = np.flatnonzero(kept & ~held_out)
        self.validation: IntArray = np.flatnonzero(kept & held_out)
        if not len(self.training) or not len(self.validation):
            raise InputError(
                f"{path}: {len(self.training)} pictures to train on and {len(self.validation)} for "
                "validation; needed 1 of each. Add pictures."
            )

    def image(self, index: int) -> ImageArray:
        """Image (H, W, 3) uint8 RGB of a picture. Raises InputError if it is damaged."""
        data, number = self._place[index].tolist()
        picture: Picture = self._sets[data].picture(number)
        return picture.image


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
    metric = engines[0].predict(sets[0].picture(chosen[0][1]).image).metric
    about = About(tuple(map(str, folders)), engines[0].manifest.name, metric, canonical and not metric)
    found: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        for begin in range(0, len(chosen), threads):
            part = chosen[begin : begin + threads]
            found += pool.map(
                lambda engine, at: _log_scale(engine, sets[at[0]], at[1], about.canonical), engines, part
            )
            yield len(found)
    known = np.isfinite(found)
    group = np.array([sets[d].group(i) for d, i in chosen])
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        with (Path(out) / FILE).open("wb") as file:
            np.savez(
                file, place=np.array(chosen)[known], group=group[known], log_scale=np.array(found)[known],
                about=json.dumps(asdict(about)),
            )  # fmt: skip
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}; needed a folder to write to.") from error


def _log_scale(engine: Engine, data: Dataset, index: int, canonical: bool) -> float:
    """Logarithm of a picture's best scale; NaN if nothing in it has known depth."""
    image, depth, camera = data.picture(index)
    if canonical and camera is None:
        raise InputError(f"{data.path}, frame {index}: no intrinsics; needed fx, fy, or --no-canonical.")
    relative = engine.predict(image, camera=camera)
    step = max(1, round((image.shape[0] * image.shape[1] / _PIXELS) ** 0.5))
    predicted = unit_depth(relative)[::step, ::step]
    size = predicted.shape[::-1]
    truth = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST_EXACT)
    truth = np.where(truth <= _FARTHEST_M, truth, np.float32(np.nan))
    if not (np.isfinite(truth) & np.isfinite(predicted)).any():
        return float("nan")
    scale = best_scale(predicted, truth, bounds_of(relative))
    return float(np.log(scale / camera.relative_focal if canonical and camera is not None else scale))

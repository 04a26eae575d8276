"""Renders the synthetic dataset into shards, with one or several processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from metric_depth_ros.datasets.shards import shard_sizes
from metric_depth_ros.errors import InputError
from metric_depth_ros.fleet import Fleet, count, run_jobs
from metric_depth_synthetic.dataset import SyntheticDataset
from metric_depth_synthetic.photography import encode_jpeg
from metric_depth_synthetic.shard_writer import ShardWriter

SETTINGS = "dataset.json"


def write_shards(
    dataset: SyntheticDataset,
    folder: Path,
    *,
    samples: int,
    shard_size: int = 500,
    everything: bool = False,
    fleet: Fleet | None = None,
) -> None:
    """Renders the missing shards of a folder, and prints how many samples are new.

    Args:
        samples: in all.
        shard_size: samples per shard.
        everything: as for ``write_shard``.
        fleet: where shards are rendered; None: in this process.

    Raises:
        InputError: the folder holds another dataset, or cannot be written.
        WorkerError: workers died, again and again; whole shards stay.
    """
    missing = _missing(folder, samples, shard_size)
    if missing:
        _ = dataset.bank  # before anything is written: fails here for a wrong folder of photos
    _settle_settings(folder, {**dataset.settings, "shard_size": shard_size, "everything": everything})
    new = sum(shard.size for shard in missing)
    started = time.perf_counter()
    _clear(folder)
    with tqdm(total=samples, initial=samples - new, unit="image", disable=None) as progress:
        work = _RenderShard(dataset, folder.absolute(), everything)
        for ended in run_jobs(work, missing, fleet, tell=progress.update):
            _ = ended.value
    _clear(folder)
    seconds = max(time.perf_counter() - started, 1e-9)
    print(f"{folder}: {samples} samples, {new} of them new; {new / seconds:.1f} images/s")


def write_shard(
    dataset: SyntheticDataset,
    folder: Path,
    number: int,
    samples: Sequence[int],
    *,
    everything: bool = False,
    on_sample: Callable[[], object] = lambda: None,
) -> None:
    """Renders samples into one shard of a folder.

    Args:
        everything: whether to write labels, instances, normals and sensors too.
        on_sample: called after every sample.

    Raises:
        InputError: the folder cannot be written.
    """
    with ShardWriter(folder, number) as shard:
        for index in samples:
            view = dataset[index]
            more: dict[str, Any] = {}
            if everything:
                more = {"labels": view.labels, "instances": view.instances, "normals": view.normals}
                more["scans"] = dataset.scans(index, view)
            jpeg = encode_jpeg(view.image, view.jpeg_quality)
            shard.write(index, jpeg, view.depth, dataset.info(index, view), **more)
            on_sample()


def _missing(folder: Path, count: int, shard_size: int) -> list[_Shard]:
    """Every shard that is missing or must become longer."""
    there = shard_sizes(folder)
    shards = [
        _Shard(number, range(first, min(first + shard_size, count)))
        for number, first in enumerate(range(0, count, shard_size))
    ]
    return [shard for shard in shards if there.get(shard.number, 0) < shard.size]


def _clear(folder: Path) -> None:
    """Removes what workers that were killed have left."""
    for path in folder.glob("shard_*.tmp"):
        path.unlink(missing_ok=True)


def _settle_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Writes the dataset's settings to the folder. Raises InputError if it holds other settings."""
    path = folder / SETTINGS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        if not path.is_file():
            raise ValueError("no regular file")
        known = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(known, dict):
            raise ValueError("no settings of a data set")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}; needed a folder to write to. Choose another OUT.") from error
    differing = [f"{key} {known.get(key)}" for key in settings if known.get(key) != settings[key]]
    if differing:
        raise InputError(
            f"{folder}: holds a data set with {', '.join(differing)}. Ask for that, or choose another OUT."
        )


@dataclass(frozen=True)
class _Shard:
    """A shard to render: its number and samples."""

    number: int
    samples: range

    @property
    def name(self) -> str:
        return f"shard {self.number}"

    @property
    def size(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class _RenderShard:
    """Renders shards of a dataset into a folder."""

    dataset: SyntheticDataset
    folder: Path
    everything: bool

    def __call__(self, shard: _Shard) -> None:
        write_shard(
            self.dataset, self.folder, shard.number, shard.samples, everything=self.everything,
            on_sample=partial(count, 1),
        )  # fmt: skip

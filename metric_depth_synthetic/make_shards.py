"""Renders the synthetic dataset into shards, with one or several processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from metric_depth_ros.datasets.shards import shard_sizes
from metric_depth_ros.errors import InputError
from metric_depth_synthetic.dataset import SyntheticDataset
from metric_depth_synthetic.photography import encode_jpeg
from metric_depth_synthetic.shard_writer import ShardWriter
from metric_depth_synthetic.workers import Workers, count_one

SETTINGS = "dataset.json"


def write_shards(
    dataset: SyntheticDataset,
    folder: Path,
    *,
    count: int,
    shard_size: int = 500,
    everything: bool = False,
    workers: int = 1,
) -> None:
    """Renders the missing shards of a folder; returns the number of new samples.

    Args:
        count: samples in all.
        shard_size: samples per shard.
        everything: as for ``write_shard``.
        workers: processes.

    Raises:
        InputError: the folder holds another dataset, or cannot be written.
    """
    missing = _missing(folder, count, shard_size)
    if missing:
        _ = dataset.bank  # before anything is written: fails here for a wrong folder of photos
    _settle_settings(folder, {**dataset.settings, "shard_size": shard_size, "everything": everything})
    new = sum(len(samples) for _, samples in missing)
    started = time.perf_counter()
    with tqdm(total=count, initial=count - new, unit="image", disable=None) as progress:
        if workers == 1 or len(missing) <= 1:
            for number, samples in missing:
                write_shard(
                    dataset, folder, number, samples, everything=everything, on_sample=progress.update
                )
        else:
            work = partial(_render_shard, dataset, folder, everything)
            _write_together(work, missing, workers, progress)
    seconds = max(time.perf_counter() - started, 1e-9)
    print(f"{folder}: {count} samples, {new} of them new; {new / seconds:.1f} images/s")


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


def _missing(folder: Path, count: int, shard_size: int) -> list[tuple[int, range]]:
    """Number and samples of every shard that is missing or must become longer."""
    there = shard_sizes(folder)
    shards = [
        (number, range(first, min(first + shard_size, count)))
        for number, first in enumerate(range(0, count, shard_size))
    ]
    return [(number, samples) for number, samples in shards if there.get(number, 0) < len(samples)]


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


def _write_together(
    work: Callable[[tuple[int, range]], None], missing: list[tuple[int, range]], count: int, progress: Any
) -> None:
    with Workers(count, work) as workers:
        waiting, shown = {workers.submit(shard) for shard in missing}, 0
        while waiting:
            finished, waiting = wait(waiting, timeout=0.5)
            progress.update(workers.counted - shown)
            shown = workers.counted
            for shard in finished:
                workers.result(shard)


def _render_shard(
    dataset: SyntheticDataset, folder: Path, everything: bool, shard: tuple[int, range]
) -> None:
    write_shard(dataset, folder, *shard, everything=everything, on_sample=count_one)

"""Many processes that render one synthetic data set."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from metric_depth_ros.datasets.shards import shard_sizes
from metric_depth_ros.errors import InputError
from metric_depth_synthetic.dataset import SyntheticDataset, write_shard

SETTINGS = "dataset.json"


def write_shards(dataset: SyntheticDataset, args: argparse.Namespace) -> None:
    """Renders the shards that are missing in ``args.out`` of ``args.count`` samples.

    Raises:
        InputError: the folder holds another data set, or cannot be written.
    """
    missing = _missing(args.out, args.count, args.shard_size)
    if missing:
        _ = dataset.bank  # before anything is written: a wrong folder of photos shows here
    _settle_settings(
        args.out, {**dataset.settings, "shard_size": args.shard_size, "everything": args.everything}
    )
    count = sum(len(samples) for _, samples in missing)
    started = time.perf_counter()
    with tqdm(total=args.count, initial=args.count - count, unit="image", disable=None) as progress:
        if args.workers == 1 or len(missing) <= 1:
            for number, samples in missing:
                write_shard(
                    dataset,
                    args.out,
                    number,
                    samples,
                    everything=args.everything,
                    on_sample=lambda: progress.update(),
                )
        else:
            _write_together(dataset, args, missing, progress)
    seconds = max(time.perf_counter() - started, 1e-9)
    print(f"{args.out}: {args.count} samples, {count} of them new; {count / seconds:.1f} images/s")


def _write_together(
    dataset: SyntheticDataset, args: argparse.Namespace, missing: list[tuple[int, range]], progress: Any
) -> None:
    with Workers(args.workers, _start_worker, dataset, args.out, args.everything) as workers:
        shards = [workers.submit(_render_shard, job) for job in missing]
        waiting, shown = set(shards), 0
        while waiting:
            finished, waiting = wait(waiting, timeout=0.5)
            progress.update(workers.counted - shown)
            shown = workers.counted
            for shard in finished:
                workers.result(shard)


def _missing(folder: Path, count: int, shard_size: int) -> list[tuple[int, range]]:
    """Number and samples of every shard that is not there, or that has become longer."""
    there = shard_sizes(folder)
    shards = [
        (number, range(first, min(first + shard_size, count)))
        for number, first in enumerate(range(0, count, shard_size))
    ]
    return [(number, samples) for number, samples in shards if there.get(number, 0) < len(samples)]


def _settle_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Notes what the folder holds, so that nothing else is mixed in. Raises InputError when it differs."""
    path = folder / SETTINGS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; needed a folder to write to. Choose another OUT.") from error
    differing = [f"{key} {known.get(key)}" for key in settings if known.get(key) != settings[key]]
    if differing:
        raise InputError(
            f"{folder}: holds a data set with {', '.join(differing)}. Ask for that, or choose another OUT."
        )


# ---- workers ---------------------------------------------------------------------------------


class Workers(AbstractContextManager["Workers"]):
    """Processes that share a count, and stop with the block: soon after a failure or Ctrl-C."""

    def __init__(self, count: int, start: Callable[..., None], *args: Any) -> None:
        """Each process begins with ``start(tally, *args)``."""
        # Spawned, not forked: they share no locks with threads of OpenCV here.
        context = multiprocessing.get_context("spawn")
        self._tally = Tally(context.Value("q", 0), context.Event())
        self._pool = ProcessPoolExecutor(count, context, _start_process, (start, self._tally, *args))
        self._threads = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        # There are as many processes as cores: threads in them would get in each other's way.
        os.environ.update(dict.fromkeys(self._threads, "1"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._tally.stop.set()
        self._pool.shutdown(cancel_futures=True)
        for name, value in self._threads.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

    @property
    def counted(self) -> int:
        """What the processes have counted together."""
        return int(self._tally.done.value)

    def submit(self, work: Callable[[Any], Any], job: Any) -> Future[Any]:
        """Queues ``work(job)``."""
        return self._pool.submit(work, job)

    def result(self, future: Future[Any]) -> Any:
        """What work gave, when it is ready. Raises what it raised; InputError when a process was killed."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "synthesize: a worker process was killed, perhaps for want of memory. Run it again with "
                "fewer --workers: whole shards stay."
            ) from error


@dataclass(frozen=True, eq=False)
class Tally:
    """What processes share: a count, and whether to stop."""

    done: Any
    stop: Any

    def add(self) -> None:
        """Counts one. Raises KeyboardInterrupt when the processes are to stop."""
        with self.done.get_lock():
            self.done.value += 1
        if self.stop.is_set():
            raise KeyboardInterrupt


def _start_process(start: Callable[..., None], *args: Any) -> None:
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and tells
    cv2.setNumThreads(1)
    start(*args)


_worker: dict[str, Any] = {}


def _start_worker(tally: Tally, dataset: SyntheticDataset, folder: Path, everything: bool) -> None:
    _worker.update(tally=tally, dataset=dataset, folder=folder, everything=everything)


def _render_shard(job: tuple[int, range]) -> None:
    number, samples = job
    dataset, folder, everything = (_worker[name] for name in ("dataset", "folder", "everything"))
    write_shard(dataset, folder, number, samples, everything=everything, on_sample=_worker["tally"].add)

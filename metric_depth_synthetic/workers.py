"""Parallel processes for rendering."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from metric_depth_ros.errors import InputError


class Workers(AbstractContextManager["Workers"]):
    """Context of worker processes with a shared counter; they stop soon after a failure or Ctrl-C."""

    def __init__(self, count: int, work: Callable[[Any], Any]) -> None:
        """``work`` is sent to each process once and does its jobs; it may call ``count_one``."""
        # Spawned, not forked: so they share no locks with OpenCV's threads in this process.
        context = multiprocessing.get_context("spawn")
        self._done, self._stop = context.Value("q", 0), context.Event()
        self._pool = ProcessPoolExecutor(count, context, _start_process, (work, self._done, self._stop))
        self._threads = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        # There are as many processes as cores: more threads would only compete for the cores.
        os.environ.update(dict.fromkeys(self._threads, "1"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        for name, value in self._threads.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

    @property
    def counted(self) -> int:
        """Total count of all processes."""
        return int(self._done.value)

    def submit(self, job: Any) -> Future[Any]:
        """Queues a job."""
        return self._pool.submit(_do, job)

    def result(self, future: Future[Any]) -> Any:
        """Waits for the result of a job. Raises what it raised, or InputError if a process was killed."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "synthesize: a worker process was killed, perhaps for want of memory. Run it again with "
                "fewer --workers: whole shards stay."
            ) from error


def count_one() -> None:
    """Adds one to ``Workers.counted``; called in work. Raises KeyboardInterrupt if the process is to stop."""
    with _process["done"].get_lock():
        _process["done"].value += 1
    if _process["stop"].is_set():
        raise KeyboardInterrupt


# Arguments with which this process was started.
_process: dict[str, Any] = {}


def _start_process(work: Callable[[Any], Any], done: Any, stop: Any) -> None:
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it and stops this process
    cv2.setNumThreads(1)
    _process.update(work=work, done=done, stop=stop)


def _do(job: Any) -> Any:
    return _process["work"](job)

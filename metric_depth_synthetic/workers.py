"""Processes that render side by side."""

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
    """Processes that share a count, and stop with the block: soon after a failure or Ctrl-C."""

    def __init__(self, count: int, work: Callable[[Any], Any]) -> None:
        """``work`` goes to each process once, and does all its jobs; it may call ``count_one``."""
        # Spawned, not forked: they share no locks with threads of OpenCV here.
        context = multiprocessing.get_context("spawn")
        self._done, self._stop = context.Value("q", 0), context.Event()
        self._pool = ProcessPoolExecutor(count, context, _start_process, (work, self._done, self._stop))
        self._threads = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        # There are as many processes as cores: threads in them would get in each other's way.
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
        """What the processes have counted together."""
        return int(self._done.value)

    def submit(self, job: Any) -> Future[Any]:
        """Queues a job."""
        return self._pool.submit(_do, job)

    def result(self, future: Future[Any]) -> Any:
        """What work gave, when it is ready. Raises what it raised; InputError when a process was killed."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "synthesize: a worker process was killed, perhaps for want of memory. Run it again with "
                "fewer --workers: whole shards stay."
            ) from error


def count_one() -> None:
    """Adds one to ``Workers.counted``, in work. Raises KeyboardInterrupt when the processes are to stop."""
    with _process["done"].get_lock():
        _process["done"].value += 1
    if _process["stop"].is_set():
        raise KeyboardInterrupt


# What this process was started with.
_process: dict[str, Any] = {}


def _start_process(work: Callable[[Any], Any], done: Any, stop: Any) -> None:
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and tells
    cv2.setNumThreads(1)
    _process.update(work=work, done=done, stop=stop)


def _do(job: Any) -> Any:
    return _process["work"](job)

"""Workers that are processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

from metric_depth_ros.errors import WorkerError
from metric_depth_ros.fleet.jobs import Attempt, Job, attempt_elsewhere
from metric_depth_ros.fleet.workers import Hear, Work

# Given to a process to remove what it has begun to write.
_GRACE_S = 10.0
_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Process(NamedTuple):
    """A worker, and this end of the pipe to it."""

    process: SpawnProcess
    pipe: Connection


class Processes(AbstractContextManager["Processes"]):
    """Processes that are started when they are needed; a new one takes the place of one that dies."""

    def __init__(self, work: Work, count: int, threads: int) -> None:
        """``work`` is pickled for each process; ``threads`` are those of its libraries."""
        self._work, self.count, self._threads = work, count, threads
        self._idle: list[_Process] = []
        self._busy: dict[Connection, tuple[_Process, int]] = {}

    def __exit__(self, *_: object) -> None:
        """Ends all processes: idle ones at once, others as Ctrl-C does, and after 10 s by force."""
        for worker, _number in self._busy.values():
            worker.process.terminate()
        everyone = [*self._idle, *(worker for worker, _number in self._busy.values())]
        for worker in everyone:
            worker.pipe.close()
        deadline = time.monotonic() + _GRACE_S
        for worker in everyone:
            worker.process.join(max(deadline - time.monotonic(), 0))
            worker.process.kill()
            worker.process.join()

    @property
    def free(self) -> bool:
        """Whether a process has no job, or may be started."""
        return len(self._busy) < self.count

    def submit(self, number: int, job: Job) -> None:
        """Gives a job to an idle process, or to a new one."""
        worker = self._idle.pop() if self._idle else self._start()
        self._busy[worker.pipe] = worker, number
        with suppress(OSError):  # if it has died, that is heard of
            worker.pipe.send(job)

    def wait(self, timeout_s: float, hear: Hear) -> None:
        """Waits for news of the jobs, at most so long, and passes them on."""
        for pipe in wait(list(self._busy), timeout_s):
            worker, number = self._busy[pipe]  # type: ignore[index]  # only pipes are waited for
            try:
                news = worker.pipe.recv()
            except (EOFError, OSError):
                news = Attempt(error=_dead(worker), passing=True)
                del self._busy[worker.pipe]
            else:
                if isinstance(news, Attempt):
                    self._idle.append(self._busy.pop(worker.pipe)[0])
            hear(number, news)

    def _start(self) -> _Process:
        # Spawned, not forked: so they share no locks with the threads of this process.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._work, self._threads), daemon=True)
        with theirs, _threads(self._threads), _without_interrupts():
            process.start()
        return _Process(process, ours)


def _dead(worker: _Process) -> WorkerError:
    """Why a process has died."""
    worker.pipe.close()
    worker.process.join()
    code = worker.process.exitcode or 0
    return WorkerError(f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Sets how many threads the libraries of a process have that is started in this context."""
    before = {name: os.environ.get(name) for name in _LIBRARIES}
    os.environ.update(dict.fromkeys(_LIBRARIES, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            os.environ.update({} if value is None else {name: value})


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C comes to this thread after this context, and never to processes that are started in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- in the process --------------------------------------------------------------------------


class _Ending:
    """Handler of a signal that ends the job at hand, in the course of which it is cleaned up."""

    def __init__(self) -> None:
        signal.signal(signal.SIGTERM, self)
        self._ending = False

    def __call__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends once
        self._ending, sys.unraisablehook = True, lambda _: None
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt if Python has swallowed it, as it does in destructors."""
        if self._ending:
            raise KeyboardInterrupt


def _serve(pipe: Connection, work: Work, threads: int) -> None:
    """Does the jobs that come through the pipe, until it is closed or this process is ended."""
    ending = _Ending()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settle(threads)

    def tell(amount: float) -> None:
        ending.check()
        pipe.send(amount)

    with suppress(KeyboardInterrupt, EOFError, OSError):
        while True:
            job = pipe.recv()
            pipe.send(attempt_elsewhere(work, job, tell))
    # At once: threads of networks may still be at work, which C++ takes amiss at an orderly exit.
    sys.stdout.flush()
    os._exit(0)


def settle(threads: int) -> None:
    """Limits the threads of what heeds no variable of the environment."""
    import cv2

    cv2.setNumThreads(threads)


def _end_with_parent() -> None:
    """Ends this process when its parent has died, so that nobody goes on to write beside the next run."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)

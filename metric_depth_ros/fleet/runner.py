"""The one loop over jobs, for all kinds of workers."""

from __future__ import annotations

import heapq
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from metric_depth_ros.errors import WorkerError
from metric_depth_ros.fleet.jobs import Attempt, Ended, J, R, Tell
from metric_depth_ros.fleet.processes import Processes
from metric_depth_ros.fleet.ray import RayWorkers
from metric_depth_ros.fleet.workers import InTurn, Workers

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
# The longest that nothing else is looked at while workers are silent.
_LOOK_S = 1.0
_AHEAD = 4


@dataclass(frozen=True)
class Fleet:
    """Where jobs run.

    Attributes:
        workers: processes of this machine, or with ``ray`` workers of the cluster. 0: this process, which
            does one job after the other; with ``ray`` as many workers as the cluster has room for.
        ray: address of a Ray cluster: "auto", "HOST:6379", "ray://HOST:10001", or "local", which starts one
            on this machine; empty: none.
        threads: of each worker, for linear algebra and pictures; a worker on Ray claims so many cores.
        gpus: that a worker on Ray claims; of a part of one several share it.
        retries: further attempts at a job whose worker died, or that met an error which may pass.
    """

    workers: int = 0
    ray: str = ""
    threads: int = 1
    gpus: float = 0.0
    retries: int = 2


def run_jobs(
    work: Callable[[J], R],
    jobs: Sequence[J],
    fleet: Fleet | None = None,
    *,
    tell: Tell = lambda amount: None,
    in_order: bool = False,
) -> Generator[Ended[J, R], None, None]:
    """Yields how every job ended, each once, as they end.

    A job is given again, to another worker, if its own died, or met an error of disk, network or memory:
    after 1 s, then after twice as long. All workers end with this generator, also in the midst of a job.

    Args:
        work: is pickled once for each worker and does its jobs one after the other: what it loads and keeps
            serves them all.
        tell: is called with the parts of the jobs' sizes that are done; less than 0 for what is lost.
        in_order: yield in the order of the jobs; at most four for each worker are begun before their turn.

    Raises:
        WorkerError: workers cannot be started.
    """
    fleet = fleet or Fleet()
    with _workers(work, fleet, len(jobs)) as workers:
        loop: _Loop[J, R] = _Loop(jobs, fleet.retries, tell, _AHEAD * workers.count if in_order else None)
        while loop.is_open:
            workers.wait(loop.submit(workers), loop.hear)
            yield from loop.ended()


def _workers(work: Callable[[Any], Any], fleet: Fleet, jobs: int) -> Workers:
    if fleet.ray:
        return RayWorkers(work, jobs, fleet.workers, fleet.ray, fleet.threads, fleet.gpus)
    return Processes(work, min(fleet.workers, jobs), fleet.threads) if fleet.workers else InTurn(work)


class _Loop(Generic[J, R]):
    """Which jobs wait, run and have ended."""

    def __init__(self, jobs: Sequence[J], retries: int, tell: Tell, ahead: int | None) -> None:
        self._jobs, self._retries, self._tell = jobs, retries, tell
        self._ahead = ahead
        self._waiting = [(0.0, number) for number in range(len(jobs))]  # until when
        self._running = self._yielded = 0
        self._attempts: Counter[int] = Counter()
        self._counted: defaultdict[int, float] = defaultdict(float)
        self._ended: dict[int, Ended[J, R]] = {}

    @property
    def is_open(self) -> bool:
        return bool(self._waiting or self._running)

    def submit(self, workers: Workers) -> float:
        """Gives jobs that are due to workers that are free; returns the seconds until there may be more."""
        while self._waiting and workers.free:
            due_s, number = self._waiting[0]
            if self._ahead is not None and number >= self._yielded + self._ahead:
                break
            if (wait_s := due_s - time.monotonic()) > 0:
                return min(wait_s, _LOOK_S)
            heapq.heappop(self._waiting)
            self._running += 1
            workers.submit(number, self._jobs[number])
        return _LOOK_S

    def hear(self, number: int, news: float | Attempt) -> None:
        """Takes what a worker says of a job: what it has counted, or how it ended."""
        if not isinstance(news, Attempt):
            self._count(number, news)
            return
        self._running -= 1
        self._attempts[number] += 1
        if news.passing and self._attempts[number] <= self._retries:
            self._count(number, -self._counted[number])
            wait_s = min(_FIRST_WAIT_S * 2.0 ** (self._attempts[number] - 1), _LONGEST_WAIT_S)
            heapq.heappush(self._waiting, (time.monotonic() + wait_s, number))
        else:
            self._end(number, news)

    def _end(self, number: int, news: Attempt) -> None:
        job, attempts, error = self._jobs[number], self._attempts[number], news.error
        if isinstance(error, WorkerError):
            error = WorkerError(
                f"{job.name}: its worker died ({error}), {attempts} times in all; needed one that lives. "
                "Give it more memory, or take fewer workers."
            )
        self._count(number, job.size - self._counted[number])
        self._ended[number] = Ended(job, news.result, error, news.seconds, attempts)

    def _count(self, number: int, amount: float) -> None:
        if amount:
            self._counted[number] += amount
            self._tell(amount)

    def ended(self) -> Iterator[Ended[J, R]]:
        """Yields what has ended and whose turn it is."""
        while self._ended:
            number = next(iter(self._ended)) if self._ahead is None else self._yielded
            if number not in self._ended:
                return
            self._yielded += 1
            yield self._ended.pop(number)

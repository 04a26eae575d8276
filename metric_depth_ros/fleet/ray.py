"""Workers of a Ray cluster."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from typing import Any

from metric_depth_ros import __version__
from metric_depth_ros.errors import WorkerError
from metric_depth_ros.fleet.jobs import Attempt, Job, attempt_elsewhere
from metric_depth_ros.fleet.processes import settle
from metric_depth_ros.fleet.workers import Hear, Work

# So many starts in a row that fail say that others would fail too.
_MOST_FAILED_STARTS = 3
_STARTING = -1


class RayWorkers(AbstractContextManager["RayWorkers"]):
    """Actors, each with its own process somewhere in the cluster; a new one follows one that dies.

    They take jobs once they live: one for which the cluster has no room yet holds nothing up.
    """

    def __init__(self, work: Work, jobs: int, count: int, address: str, threads: int, gpus: float) -> None:
        """``count`` 0: as many as the cluster has room for; never more than ``jobs``. Raises WorkerError."""
        self._ray = _imported()
        self._owned = not self._ray.is_initialized()
        if self._owned:
            _connect(self._ray, address, count * threads)
        room = count or _room(self._ray.cluster_resources(), threads, gpus)
        self.count = min(room, jobs)
        self._actor = self._ray.remote(num_cpus=threads, num_gpus=gpus, max_restarts=0)(_Worker)
        self._given = self._ray.put(work), threads
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, int]] = {}  # by what they will return
        self._failed_starts = 0
        for _ in range(self.count):
            self._start()

    def __exit__(self, *_: object) -> None:
        """Ends all workers, and the connection if it was made here."""
        for actor in [*self._idle, *(actor for actor, _ in self._busy.values())]:
            self._ray.kill(actor)
        if self._owned:
            self._ray.shutdown()

    @property
    def free(self) -> bool:
        """Whether a worker has no job."""
        return bool(self._idle)

    def submit(self, number: int, job: Job) -> None:
        """Gives a job to an idle worker."""
        actor = self._idle.pop()
        self._busy[actor.attempt.remote(job)] = actor, number

    def wait(self, timeout_s: float, hear: Hear) -> None:
        """Waits for news of the jobs, at most so long, and passes them on. Raises WorkerError."""
        if not self._busy:
            time.sleep(timeout_s)
            return
        for answer in self._ray.wait(list(self._busy), timeout=timeout_s)[0]:
            actor, number = self._busy.pop(answer)
            try:
                told = self._ray.get(answer)
            except self._ray.exceptions.RayError as error:
                self._died(number, error, hear)
                continue
            self._idle.append(actor)
            if number == _STARTING:
                self._failed_starts = 0
                _check_version(told)
            else:
                hear(number, told)

    def _start(self) -> None:
        actor = self._actor.remote(*self._given)
        self._busy[actor.version.remote()] = actor, _STARTING

    def _died(self, number: int, error: Exception, hear: Hear) -> None:
        reason = str(error).strip().splitlines()[0]
        if number == _STARTING:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise WorkerError(
                    f"ray: no worker starts ({error}); needed this package on all nodes. See docs/fleet.md."
                ) from error
        self._start()
        if number != _STARTING:
            hear(number, Attempt(error=WorkerError(reason), passing=True))


class _Worker:
    """What a worker of the cluster does."""

    def __init__(self, work: Work, threads: int) -> None:
        settle(threads)
        self._work = work

    def version(self) -> str:
        """Version of the package there."""
        return __version__

    def attempt(self, job: Job) -> Attempt:
        """One attempt at a job."""
        return attempt_elsewhere(self._work, job, lambda amount: None)


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise WorkerError(
            f"ray: cannot be imported ({error}); needed to reach a cluster. pip install "
            "'metric_depth_ros[fleet]'."
        ) from error
    return ray


def _connect(ray: Any, address: str, cores: int) -> None:
    """Joins a cluster, or starts one on this machine, with so many cores or all."""
    local = {"num_cpus": cores or None, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise WorkerError(
            f"ray {address}: {error}; needed a running cluster. Start one (`ray start --head`), or name "
            "another address, or local."
        ) from error


def _room(resources: dict[str, float], threads: int, gpus: float) -> int:
    """Number of workers for which a cluster has room; at least 1, which may wait for nodes to come."""
    room = resources.get("CPU", 0) // threads
    if gpus:
        room = min(room, resources.get("GPU", 0) // gpus)
    return max(int(room), 1)


def _check_version(version: str) -> None:
    if version != __version__:
        raise WorkerError(
            f"ray: metric_depth_ros {version} on a node, {__version__} here; needed the same, for equal "
            "results. Install it there."
        )

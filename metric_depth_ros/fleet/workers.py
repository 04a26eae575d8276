"""What the runner knows of workers, and the simplest ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from metric_depth_ros.fleet.jobs import Attempt, Job, attempt

Work = Callable[[Any], Any]
# Takes news of a job by its number: the part of its size that is done, or how an attempt at it ended.
Hear = Callable[[int, float | Attempt], None]


class Workers(AbstractContextManager[Any], Protocol):
    """Those who do jobs, each at most one at a time; all end with the context, also in the midst of one.

    An attempt whose worker died has a WorkerError, which passes.

    Attributes:
        count: how many there are at most.
    """

    count: int

    @property
    def free(self) -> bool:
        """Whether one of them can take a job."""

    def submit(self, number: int, job: Job) -> None:
        """Gives a job to one that is free."""

    def wait(self, timeout_s: float, hear: Hear) -> None:
        """Waits for news of the jobs, at most so long, and passes them on. Raises WorkerError."""


class InTurn(AbstractContextManager["InTurn"]):
    """This process, which does a job when it waits for it."""

    count = 1

    def __init__(self, work: Work) -> None:
        self._work = work
        self._jobs: list[tuple[int, Job]] = []

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    @property
    def free(self) -> bool:
        """Whether there is no job yet."""
        return not self._jobs

    def submit(self, number: int, job: Job) -> None:
        """Keeps the job."""
        self._jobs.append((number, job))

    def wait(self, timeout_s: float, hear: Hear) -> None:
        """Does the job; without one, waits."""
        if not self._jobs:
            time.sleep(timeout_s)
            return
        number, job = self._jobs.pop()
        hear(number, attempt(self._work, job, lambda amount: hear(number, amount)))

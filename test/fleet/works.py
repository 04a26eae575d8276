"""Works that the tests of fleets give to other processes, which import them from here."""

from __future__ import annotations

import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.fleet import count


@dataclass(frozen=True)
class Number:
    """A job: a number, and what happens at how many first attempts to square it."""

    value: int
    trouble: str = ""
    times: int = 1
    size: float = 1.0

    @property
    def name(self) -> str:
        return f"number {self.value}"


@dataclass(frozen=True)
class Square:
    """Squares numbers; leaves a file in a folder for each attempt and each result."""

    folder: Path

    def __call__(self, job: Number) -> int:
        attempts = self.folder / f"{job.value}.attempts"
        with attempts.open("a") as file:
            file.write(f"{os.getpid()}\n")
        if len(attempts.read_text().split()) <= job.times and job.trouble:
            self._trouble(job)
        count(job.size / 2)
        with (self.folder / f"{job.value}.result").open("x") as file:  # fails for one that is done twice
            file.write(str(job.value**2))
        return job.value**2

    def _trouble(self, job: Number) -> None:
        if job.trouble == "killed":
            count(job.size / 4)
            os.kill(os.getpid(), signal.SIGKILL)
        if job.trouble == "exit":
            os._exit(7)
        if job.trouble == "damaged":
            raise InputError(f"{job.name}: damaged; needed a whole one.")
        if job.trouble == "disk":
            raise InputError(f"{job.name}: unreadable.") from OSError(errno.EIO, "input/output error")
        if job.trouble == "bug":
            raise KeyError("a bug")
        if job.trouble == "slow":
            time.sleep(job.size)


def threads(job: Number) -> str:
    """How many threads a worker's libraries have."""
    import cv2

    return f"{os.environ['OMP_NUM_THREADS']} {cv2.getNumThreads()}"


@dataclass(frozen=True)
class Hold:
    """Holds a file while it works without end, and removes it when it is ended."""

    folder: Path

    def __call__(self, job: Number) -> None:
        path = self.folder / f"{job.value}.{os.getpid()}"
        try:
            path.touch()  # within: the end may come as soon as it can be seen
            while True:
                np.linalg.svd(np.ones((9, 9)))
                time.sleep(0.01)
        finally:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Loaded:
    """Keeps what it has loaded for its next jobs."""

    folder: Path

    def __call__(self, job: Number) -> int:
        if "kept" not in self.__dict__:
            self.__dict__["kept"] = len(list(self.folder.iterdir()))
            (self.folder / f"{os.getpid()}").touch()
        return os.getpid()

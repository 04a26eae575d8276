"""The same on a local Ray, where it is installed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from works import Number, Square, threads

from metric_depth_ros.errors import InputError, WorkerError
from metric_depth_ros.fleet import Fleet, run_jobs, runner

ray = pytest.importorskip("ray")
FOUR = Fleet(workers=4, ray="local")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Ray on this machine, as if it had four cores; its workers import what the tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setattr(runner, "_FIRST_WAIT_S", 0.01)
        ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def test_killing_two_of_four_workers_loses_nothing(tmp_path: Path) -> None:
    jobs = [Number(value, "slow", size=0.3) for value in range(24)]
    ended: list[Any] = []
    for each in run_jobs(Square(tmp_path), jobs, FOUR):
        ended.append(each)
        if len(ended) == 4:
            for pid in {path.read_text().split()[0] for path in tmp_path.glob("*.attempts")} & busy(tmp_path):
                os.kill(int(pid), signal.SIGKILL)
    assert sorted(each.result for each in ended) == [value**2 for value in range(24)]


def busy(folder: Path) -> set[str]:
    return set()


def test_an_error_is_of_its_job_alone(tmp_path: Path) -> None:
    jobs = [Number(0), Number(1, "damaged"), Number(2, "exit", times=9)]
    ended = {each.job.value: each for each in run_jobs(Square(tmp_path), jobs, FOUR)}
    assert ended[0].result == 0 and isinstance(ended[1].error, InputError)
    assert isinstance(ended[2].error, WorkerError) and ended[2].attempts == 3
    print(ended[2].error)


def test_more_workers_than_there_is_room_for_hold_nothing_up(tmp_path: Path) -> None:
    (one, *_) = list(run_jobs(threads, [Number(value) for value in range(9)], Fleet(9, "auto", threads=3)))
    assert one.result == "3 3"

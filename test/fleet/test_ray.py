"""The same on a local Ray, where it is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import write_toy_model
from made_bags import COMMON, HEIGHT, WIDTH, results, write_bag
from works import Number, Square, threads

import metric_depth_ros.fleet.ray
from metric_depth_ros.cli.main import main
from metric_depth_ros.errors import InputError, WorkerError
from metric_depth_ros.fleet import Fleet, run_jobs, runner

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'metric_depth_ros[fleet]'")
FOUR = Fleet(workers=4, ray="auto")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Ray on this machine, as if it had four cores; its workers import what the tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        patch.delenv("OMP_NUM_THREADS", raising=False)  # which workers would inherit
        patch.setattr(runner, "_FIRST_WAIT_S", 0.01)
        ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def busy() -> list[psutil.Process]:
    """Processes of the workers that do a job."""
    everyone = psutil.Process().children(recursive=True)
    return [child for child in everyone if child.cmdline()[:1] == ["ray::_Worker.attempt"]]


def test_killing_two_of_four_workers_loses_nothing(tmp_path: Path) -> None:
    jobs = [Number(value, "slow", size=0.5) for value in range(16)]
    ended: list[Any] = []
    killed = 0
    for each in run_jobs(Square(tmp_path), jobs, FOUR):
        ended.append(each)
        if killed < 2 and len(busy()) > 2:
            for worker in busy()[:2]:
                worker.kill()
                killed += 1
    assert killed == 2 and sorted(each.result for each in ended) == [value**2 for value in range(16)]
    assert len(list(tmp_path.glob("*.result"))) == 16 and {each.error for each in ended} == {None}
    assert sum(each.attempts for each in ended) >= 17


def test_an_error_is_of_its_job_alone_and_more_workers_than_there_is_room_for_hold_nothing_up(
    tmp_path: Path,
) -> None:
    jobs = [Number(0), Number(1, "damaged"), Number(2, "exit", times=9)]
    fleet = Fleet(9, "auto", threads=3, retries=1)
    ended = {each.job.value: each for each in run_jobs(Square(tmp_path), jobs, fleet)}
    assert ended[0].result == 0 and isinstance(ended[1].error, InputError)
    assert isinstance(ended[2].error, WorkerError) and ended[2].attempts == 2
    assert str(ended[2].error).startswith("number 2: its worker died (The actor died")


def test_workers_have_the_threads_they_are_given_and_come_in_order() -> None:
    jobs = [Number(value) for value in range(6)]
    ended = list(run_jobs(threads, jobs, Fleet(0, "auto", threads=2), in_order=True))
    assert [(each.job.value, each.result) for each in ended] == [(value, "2 2") for value in range(6)]


def test_a_folder_of_bags_gives_the_same_as_in_processes(tmp_path: Path) -> None:
    bags = [write_bag(tmp_path / f"drives/{number}.mcap", images=number) for number in (1, 2, 3)]
    toy = write_toy_model(tmp_path, width=WIDTH, height=HEIGHT)
    found = []
    for where in (("--workers", "1"), ("--ray", "auto", "--workers", "2")):
        out = tmp_path / where[0].strip("-")
        run = ["run", str(tmp_path / "drives"), "--out", str(out), "--manifest", str(toy)]
        assert main([*run, *COMMON, *where]) == 0
        found.append(results(out))
    assert found[0] == found[1] and len(found[0]) == 1 + 2 * len(bags)


def test_another_version_on_a_node_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_depth_ros.fleet.ray, "__version__", "9.9")
    with pytest.raises(WorkerError, match=r"metric_depth_ros 0\.1\.0 on a node, 9\.9 here; needed the same"):
        list(run_jobs(threads, [Number(0)], FOUR))


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(WorkerError, match=r"ray 127\.0\.0\.1:9: .*; needed a running cluster"):
        list(run_jobs(threads, [Number(0)], Fleet(0, "127.0.0.1:9")))

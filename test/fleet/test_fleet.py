"""Jobs in processes and on Ray: none lost, none done twice, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from works import Loaded, Number, Square, threads

from metric_depth_ros.errors import InputError, WorkerError
from metric_depth_ros.fleet import Fleet, run_jobs, runner
from metric_depth_ros.fleet.jobs import UnexpectedError

HERE, TWO = Fleet(), Fleet(workers=2)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr(runner, "_FIRST_WAIT_S", 0.01)


def attempts(folder: Path, value: int) -> int:
    return len((folder / f"{value}.attempts").read_text().split())


def wait_for(condition: object, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def check(ended: list[object], folder: Path, jobs: list[Number]) -> None:
    """Every job ended once, with its result and one file of it."""
    found = {each.job.value: each.result for each in ended}
    assert found == {job.value: job.value**2 for job in jobs} and len(ended) == len(jobs)
    assert {path.name for path in folder.glob("*.result")} == {f"{job.value}.result" for job in jobs}


@pytest.mark.parametrize("fleet", [HERE, TWO], ids=["here", "two"])
def test_every_job_ends_once_and_the_parts_add_up(fleet: Fleet, tmp_path: Path) -> None:
    jobs = [Number(value, size=value + 0.5) for value in range(9)]
    told: list[float] = []
    ended = list(run_jobs(Square(tmp_path), jobs, fleet, tell=told.append))
    check(ended, tmp_path, jobs)
    assert sum(told) == pytest.approx(sum(job.size for job in jobs)) and len(told) == 18
    assert [each.attempts for each in ended] == [1] * 9 and all(each.error is None for each in ended)


def test_no_jobs_need_no_workers() -> None:
    assert list(run_jobs(threads, [], TWO)) == []


def test_results_come_in_the_order_of_the_jobs_where_wanted(tmp_path: Path) -> None:
    jobs = [Number(0, "slow", size=0.5), *map(Number, range(1, 30))]
    ended = run_jobs(Square(tmp_path), jobs, TWO, in_order=True)
    assert next(ended).job.value == 0
    # Meanwhile the other process has gone on, but not to the end.
    assert 8 <= len(list(tmp_path.glob("*.result"))) + 1 <= 10
    assert [each.job.value for each in ended] == list(range(1, 30))


@pytest.mark.parametrize("trouble", ["killed", "exit"])
def test_a_worker_that_dies_loses_nothing(trouble: str, tmp_path: Path) -> None:
    jobs = [Number(value, trouble if value % 5 == 2 else "", times=2) for value in range(12)]
    told: list[float] = []
    ended = list(run_jobs(Square(tmp_path), jobs, TWO, tell=told.append))
    check(ended, tmp_path, jobs)
    assert {each.job.value: each.attempts for each in ended if each.attempts > 1} == {2: 3, 7: 3}
    assert sum(told) == 12 and (min(told) < 0) == (trouble == "killed")


def test_workers_that_are_killed_from_outside_lose_nothing(tmp_path: Path) -> None:
    jobs = [Number(value, "slow", size=0.2) for value in range(12)]
    ended, killed = [], 0
    for each in run_jobs(Square(tmp_path), jobs, Fleet(workers=4)):
        ended.append(each)
        if len(ended) == 4:
            for child in psutil.Process().children()[-2:]:
                child.kill()
                killed += 1
    check(ended, tmp_path, jobs)
    assert killed == 2 and sum(attempts(tmp_path, job.value) for job in jobs) in (12, 13, 14)


def test_a_job_that_always_kills_its_worker_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    jobs = [Number(0, "killed", times=9), *map(Number, range(1, 6))]
    ended = list(run_jobs(Square(tmp_path), jobs, TWO))
    check([each for each in ended if each.error is None], tmp_path, jobs[1:])
    (failed,) = (each for each in ended if each.error is not None)
    assert str(failed.error) == (
        "number 0: its worker died (killed by SIGKILL), 3 times in all; needed one that lives. Give it more "
        "memory, or take fewer workers."
    )
    assert failed.attempts == 3 == attempts(tmp_path, 0)
    with pytest.raises(WorkerError, match="number 0"):
        _ = failed.value


@pytest.mark.parametrize("fleet", [HERE, TWO], ids=["here", "two"])
@pytest.mark.parametrize(
    ("trouble", "kind", "words", "tries"),
    [
        ("damaged", InputError, "number 1: damaged; needed a whole one.", 1),
        ("disk", InputError, "number 1: unreadable.", 3),
        ("bug", UnexpectedError, "in _trouble\n    raise KeyError", 1),
    ],
)
def test_an_error_is_of_its_job_alone(
    fleet: Fleet, trouble: str, kind: type[Exception], words: str, tries: int, tmp_path: Path
) -> None:
    """One of a disk may pass, and is tried again."""
    jobs = [Number(0), Number(1, trouble, times=9), Number(2)]
    ended = {each.job.value: each for each in run_jobs(Square(tmp_path), jobs, fleet)}
    assert (ended[0].result, ended[2].result) == (0, 4)
    if trouble == "bug" and fleet == HERE:
        kind, words = KeyError, "a bug"
    assert type(ended[1].error) is kind and words in str(ended[1].error)
    assert ended[1].attempts == tries == attempts(tmp_path, 1)


def test_an_error_that_passes_is_forgotten(tmp_path: Path) -> None:
    jobs = [Number(0, "disk", times=2)]
    check(list(run_jobs(Square(tmp_path), jobs)), tmp_path, jobs)


def test_a_worker_keeps_what_it_has_loaded_and_has_the_threads_it_is_given(tmp_path: Path) -> None:
    jobs = [Number(value) for value in range(8)]
    found = {each.result for each in run_jobs(Loaded(tmp_path), jobs, TWO)}
    assert {path.name for path in tmp_path.iterdir()} == set(map(str, found)) and len(found) <= 2
    before = os.environ.get("OMP_NUM_THREADS")
    (told,) = run_jobs(threads, [Number(0)], Fleet(workers=1, threads=3))
    assert told.result == "3 3" and os.environ.get("OMP_NUM_THREADS") == before


def test_workers_end_with_the_loop_and_clean_up(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from works import Hold, Number\n"
        "from metric_depth_ros.fleet import Fleet, run_jobs\n"
        "if __name__ == '__main__':\n"
        "    list(run_jobs(Hold(Path(sys.argv[1])), [Number(0), Number(1), Number(2)], Fleet(workers=2)))\n"
    )
    program = tmp_path / "program.py"
    program.write_text(script)
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    for end in (signal.SIGINT, signal.SIGKILL):
        held = tmp_path / end.name
        held.mkdir()
        process = subprocess.Popen(
            [sys.executable, program, held],
            env={**os.environ, "PYTHONPATH": paths},
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda held=held: len(list(held.iterdir())) == 2)
        workers = [psutil.Process(int(path.suffix[1:])) for path in held.iterdir()]
        process.send_signal(end)  # a KeyboardInterrupt; or no time to end anything
        process.wait(60)
        wait_for(lambda held=held, workers=workers: not any(w.is_running() for w in workers))
        assert list(held.iterdir()) == []

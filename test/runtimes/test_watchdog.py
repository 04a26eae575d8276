"""Networks that never end, or give too much: a named error, and the program goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_networks import endless, expanding, slow

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes import PORTABLE, Model, PlanCache, Request, choose_runtime, watchdog
from metric_depth_ros.runtimes.model import unverified
from metric_depth_ros.runtimes.stopping import StoppedError, stoppable_by
from metric_depth_ros.runtimes.watchdog import Watchdog, load_watched

pytest.importorskip("onnx")
X = {"x": np.ones((1, 3, 8, 8), np.float32)}


def loaded(path: Path, timeout_s: float = 30.0) -> watchdog.WatchedRuntime:
    return load_watched(
        PORTABLE, Model(unverified(path)), "fp32", threads=1, cache=PlanCache(), timeout_s=timeout_s
    )


def test_an_endless_run_is_stopped_and_the_next_one_too(tmp_path: Path) -> None:
    runtime = loaded(endless(tmp_path / "a.onnx"), timeout_s=0.2)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"a\.onnx: no end after 0\.2 s; needed one"):
            runtime.run(X)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_run_without_loops_is_cancelled_in_the_thread_of_its_caller(tmp_path: Path, stopped: bool) -> None:
    ending = threading.Event()
    runtime = loaded(slow(tmp_path / "a.onnx"), timeout_s=1000.0 if stopped else 0.2)
    if stopped:
        threading.Timer(0.2, ending.set).start()
    error, words = (StoppedError, "stopped") if stopped else (ModelError, "no end after")
    with pytest.raises(error, match=words), stoppable_by(ending):
        runtime.run(X)
    assert runtime._watchdog is None


def test_what_cannot_be_stopped_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process, which ends though the run does not."""
    endless(tmp_path / "a.onnx", empty=True)
    program = f"""
import sys
sys.path += {[str(Path(__file__).parents[n]) for n in (0, 1)]}
from test_watchdog import X, loaded, watchdog
from pathlib import Path
from metric_depth_ros.errors import ModelError
watchdog._GRACE_S = 0.1
runtime = loaded(Path({str(tmp_path / "a.onnx")!r}), timeout_s=0.2)
for _ in range(2):
    try:
        runtime.run(X)
    except ModelError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert "no end after 0.2 s" in first
    assert "did not end and cannot be stopped" in second


def test_a_program_that_ends_waits_for_no_run(tmp_path: Path) -> None:
    ending = threading.Event()
    runtime = loaded(endless(tmp_path / "a.onnx"))
    threading.Timer(0.2, ending.set).start()
    with pytest.raises(StoppedError), stoppable_by(ending):
        runtime.run(X)


def test_who_loaded_a_network_may_end_and_others_go_on(tmp_path: Path) -> None:
    """Nodes of one process share a network."""
    ended = threading.Event()
    with stoppable_by(ended):
        runtime = loaded(slow(tmp_path / "a.onnx", 40))
    ended.set()
    assert runtime.run(X)["y"].size == 1


def test_loading_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_GRACE_S", 0.1)
    free = threading.Event()

    class Hanging:
        device = "cpu"

        def load(self, *args: Any, **kwargs: Any) -> Any:
            free.wait(30)

    path = endless(tmp_path / "a.onnx")
    with pytest.raises(ModelError, match=r"a\.onnx: loading: no end after 0\.1 s"):
        load_watched(Hanging(), Model(unverified(path)), "fp32", threads=1, cache=PlanCache(), timeout_s=0.01)
    free.set()


def test_the_choice_of_a_runtime_watches_it(tmp_path: Path) -> None:
    path = endless(tmp_path / "a.onnx")
    chosen = choose_runtime(Model(unverified(path)), Request("onnxruntime", timeout_s=0.2))
    with pytest.raises(ModelError, match="no end"):
        chosen.runtime.run(X)


@pytest.mark.parametrize("stated", [[20_000, 3, 80, 80], None])
def test_outputs_of_gigabytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: Any
) -> None:
    monkeypatch.setattr(watchdog, "MOST_BYTES", 10_000_000)
    path = expanding(tmp_path / "a.onnx", [200, 3, 80, 80], stated and [200, 3, 80, 80])
    with pytest.raises(
        ModelError, match=r"a\.onnx: outputs of 15\.4 MB, the largest 'y'; needed at most 10 MB"
    ):
        loaded(path).run(X)


def test_a_network_that_needs_more_than_the_machine_has_is_refused(tmp_path: Path) -> None:
    runtime = loaded(expanding(tmp_path / "a.onnx", [2_000_000, 3, 800, 800], None, reduced=True))
    with pytest.raises(ModelError, match="smaller than requested"):
        runtime.run(X)


def test_errors_and_results_reach_the_caller() -> None:
    dog = Watchdog()
    assert dog.call(lambda: 3, "here", 1.0) == 3
    with pytest.raises(ZeroDivisionError):
        dog.call(lambda: 1 / 0, "here", 1.0)
    names = {dog.call(lambda: threading.current_thread().name, "here", 1.0) for _ in range(3)}
    assert names == {"network"}


def test_the_thread_ends_with_its_network() -> None:
    before = set(threading.enumerate())

    def new() -> list[str]:
        return sorted(thread.name for thread in set(threading.enumerate()) - before)

    dog, alarm = Watchdog(), watchdog.Alarm(lambda: None)
    assert new() == ["network", "network alarm"]
    del dog, alarm
    wait_until(lambda: not new())


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)

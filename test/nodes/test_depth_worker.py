"""Which thread solves."""

import os
import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from metric_depth_ros.config import Config, updated
from metric_depth_ros.errors import ModelError
from metric_depth_ros.health.status import Health
from metric_depth_ros.nodes.depth_worker import DepthWorker, Task
from metric_depth_ros.runtimes.stopping import StoppedError


class Pipeline:
    """Stands still in the solver until it may go on."""

    def __init__(self, config, *, on_cpu):
        self.config, self.engine = config, SimpleNamespace(on_cpu=on_cpu)
        self.solving, self.second, self.go_on, self.passed = (threading.Event() for _ in range(4))

    def perceive(self, sample):
        if sample == 2:
            self.second.set()
        return sample

    def solve(self, perceived):
        if perceived == 0:
            time.sleep(0.05)  # no core to be had
            self.passed.set()
            return SimpleNamespace(stamp_ns=0, timings={}, doubts=())
        self.solving.set()
        self.go_on.wait(10)
        return SimpleNamespace(stamp_ns=0, timings={}, doubts=())


def worker_of(pipeline, *, publish=lambda *_: None, warning=lambda *_: None, simulated=False):
    """A worker with a pipeline and outputs that do nothing else.

    ``simulated``: its clock follows /clock.
    """
    outputs = SimpleNamespace(saying_nothing=lambda image: nullcontext(), publish=publish)
    clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=0), ros_time_is_active=simulated)
    logger = SimpleNamespace(info=lambda *_, **__: None, warning=warning)
    worker = DepthWorker(pipeline.config, None, outputs, Health(), logger, clock)
    worker.pipeline = pipeline
    return worker


def overlaps(pipeline, *, starved=False):
    """Whether the second image is seen by the network while the first one is solved.

    ``starved``: the solver of an image before had to wait.
    """
    worker = worker_of(pipeline)
    worker.start()
    try:
        if starved:
            worker.put(Task(None, lambda _: 0, 0.0))
            assert pipeline.passed.wait(10)
            worker._solving.wait_until_idle(10)
        worker.put(Task(None, lambda _: 1, 0.0))
        assert pipeline.solving.wait(10)
        worker.put(Task(None, lambda _: 2, 0.0))
        return pipeline.second.wait(0.3)
    finally:
        pipeline.go_on.set()
        assert worker.stop(10)


@pytest.mark.parametrize(
    ("overlap", "on_cpu", "cores", "expected"),
    [
        ("auto", True, 2, True),
        ("auto", True, 1, False),
        ("auto", False, 1, True),
        ("always", True, 1, True),
        ("never", False, 2, False),
    ],
)
def test_the_network_and_the_solver_work_at_once_where_there_is_room(
    monkeypatch, overlap, on_cpu, cores, expected
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    config = updated(Config(), {"engine.overlap": overlap})
    assert overlaps(Pipeline(config, on_cpu=on_cpu)) == expected


@pytest.mark.parametrize(("on_cpu", "expected"), [(True, False), (False, True)])
def test_a_solver_that_waits_for_a_core_takes_none_from_the_network(monkeypatch, on_cpu, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert overlaps(Pipeline(Config(), on_cpu=on_cpu), starved=True) == expected


def test_what_is_forgotten_while_an_image_is_solved_stays_forgotten(monkeypatch):
    """The reset waits for the solver, which would else remember an image from before it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    pipeline = Pipeline(Config(), on_cpu=False)
    resets = []
    pipeline.reset = lambda: resets.append(pipeline.go_on.is_set())
    worker = worker_of(pipeline)
    worker.start()
    try:
        worker.put(Task(None, lambda _: 1, 0.0))
        assert pipeline.solving.wait(10)
        worker.forget()
        worker.put(Task(None, lambda _: 2, 0.0))
        assert not pipeline.second.wait(0.3)
        pipeline.go_on.set()
        assert pipeline.second.wait(10)
        assert resets == [True]
    finally:
        pipeline.go_on.set()
        assert worker.stop(10)


def test_an_image_that_is_still_in_work_after_the_rest_is_not_published():
    published = []
    pipeline = Pipeline(Config(), on_cpu=True)
    worker = worker_of(pipeline, publish=lambda *told: published.append(told))
    worker.start()
    try:
        worker.put(Task(None, lambda _: 1, time.monotonic()))
        assert pipeline.solving.wait(10)
        worker.rest(0.1)
        pipeline.go_on.set()
        worker._solving.wait_until_idle(10)
    finally:
        assert worker.stop(10)
    assert not published


def test_a_run_that_is_stopped_is_no_network_that_has_failed():
    warned = []
    pipeline = Pipeline(Config(), on_cpu=True)

    def stopped(sample):
        raise StoppedError("network: stopped.")

    pipeline.perceive = stopped
    worker = worker_of(pipeline, warning=lambda *told: warned.append(told))
    worker.start()
    worker.put(Task(None, lambda _: 1, 0.0))
    worker._perceiving.wait_until_idle(10)
    assert not warned and worker.pipeline is pipeline
    assert worker.stop(10)
    assert not worker._health.counted("failed: engine")


@pytest.mark.parametrize("half", ["perceive", "solve"])
def test_a_network_that_fails_is_loaded_anew_by_whichever_half_it_belongs_to(half, monkeypatch):
    """Not with every image: an image that is seen well must not hide that its solver fails."""
    pipelines, warned = [], []

    def failing(sample):
        raise ModelError("network: device lost.")

    def built(backoff):
        pipelines.append(Pipeline(Config(), on_cpu=True))
        setattr(pipelines[-1], half, failing)
        pipelines[-1].config = worker.config
        return pipelines[-1]

    worker = worker_of(Pipeline(Config(), on_cpu=True), warning=lambda *told: warned.append(told))
    monkeypatch.setattr(worker, "_built", built)
    worker.pipeline = first = built(None)
    worker.start()
    try:
        for _ in range(3):
            worker.put(Task(None, lambda _: 1, 0.0))
            worker._perceiving.wait_until_idle(10)
            worker._solving.wait_until_idle(10)
    finally:
        assert worker.stop(10)
    assert len(warned) == 1 and pipelines[0] is first and len(pipelines) == 2
    assert worker._health.counted("failed: engine") == 3


@pytest.mark.parametrize("simulated", [False, True])
def test_the_time_from_the_stamp_is_told_unless_the_clock_steps(simulated, monkeypatch):
    """A replayed bag moves /clock by 20 ms at once: what is read from it may be less than the latency."""
    pipeline = Pipeline(Config(), on_cpu=True)
    pipeline.go_on.set()
    monkeypatch.setattr("metric_depth_ros.nodes.depth_worker.values_of", lambda result: {})
    worker = worker_of(pipeline, simulated=simulated)
    worker.start()
    try:
        worker.put(Task(None, lambda _: 1, time.monotonic()))
        assert pipeline.solving.wait(10)
        worker._perceiving.wait_until_idle(10)
        worker._solving.wait_until_idle(10)
    finally:
        assert worker.stop(10)
    told = worker._health.timings.percentiles()
    assert "latency" in told and ("stamp_to_publication" in told) != simulated


def test_a_load_that_is_stopped_is_no_fault(monkeypatch):
    """As by a manager that cleans up meanwhile."""
    worker = worker_of(Pipeline(Config(), on_cpu=True))
    worker.pipeline = None
    loading = threading.Event()

    def stopped(backoff):
        loading.set()
        assert worker._ending.wait(10)
        raise StoppedError("engine: building was stopped.")

    monkeypatch.setattr(worker, "_built", stopped)
    worker.start()
    assert loading.wait(10)
    assert worker.stop(10)
    assert not worker._health.counted("failed: engine")

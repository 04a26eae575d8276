"""Which thread solves."""

import os
import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from metric_depth_ros.config import Config, updated
from metric_depth_ros.health.status import Health
from metric_depth_ros.nodes.depth_worker import DepthWorker, Task


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


def overlaps(pipeline, *, starved=False):
    """Whether the second image is seen by the network while the first one is solved.

    ``starved``: the solver of an image before had to wait.
    """
    outputs = SimpleNamespace(saying_nothing=lambda image: nullcontext(), publish=lambda *_: None)
    clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=0))
    logger = SimpleNamespace(info=lambda *_, **__: None)
    worker = DepthWorker(pipeline.config, None, outputs, Health(), logger, clock)
    worker.pipeline = pipeline
    worker.start()
    try:
        if starved:
            worker.put(Task(None, lambda _: 0, 0.0))
            assert pipeline.passed.wait(10)
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

"""The node while its engine is built: it stays alive and says what it waits for."""

import logging
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("rclpy")

from conftest import write_toy_model
from diagnostic_msgs.msg import DiagnosticArray
from made_networks import endless, manifest_of
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from metric_depth_ros import messages
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.errors import ModelError
from metric_depth_ros.health import backoff
from metric_depth_ros.nodes import depth_worker, metric_depth_node
from metric_depth_ros.nodes.outputs import fill_image
from metric_depth_ros.runtimes.stopping import go_on, stop_event
from metric_depth_ros.types import Camera, Sample

pytestmark = pytest.mark.timeout(60)


@contextmanager
def spinning(settings):
    """A node with these settings, and the thread that spins it."""
    node = metric_depth_node.MetricDepthNode(
        parameter_overrides=[Parameter(name, value=value) for name, value in settings.items()]
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield node, thread
    finally:
        executor.shutdown()
        thread.join(5)
        node.destroy_node()


@pytest.fixture
def node_and_statuses(ros, toy_manifest, monkeypatch):
    """A node whose engine takes until the event is set; yields it, the event and the diagnostics it sends."""
    ready, real = threading.Event(), depth_worker.build_pipeline

    def slow_build(config, build):
        logging.getLogger("metric_depth_ros.runtimes.plan_cache").info(
            "building engine, may take minutes: %s", "made up"
        )
        ready.wait(30)
        logging.getLogger("metric_depth_ros.runtimes.choice").warning("engine: made up is not used")
        return real(config, build)

    monkeypatch.setattr(depth_worker, "build_pipeline", slow_build)
    settings = {"engine.manifest": str(toy_manifest), "diagnostics.period_s": 0.1}
    statuses = []
    with spinning(settings) as (node, _):
        node.create_subscription(DiagnosticArray, "/diagnostics", lambda m: statuses.extend(m.status), 10)
        yield node, ready, statuses
        ready.set()


def wait_for(condition, seconds=20.0):
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return True
        pause.wait(0.02)
    return False


def test_it_says_that_it_builds_and_goes_on(node_and_statuses):
    _, ready, statuses = node_and_statuses
    building = "building engine, may take minutes: made up"
    assert wait_for(lambda: sum(s.message == building for s in statuses) >= 3), [s.message for s in statuses]
    assert all(s.level == b"\x01" for s in statuses if s.message == building)
    ready.set()

    def values():
        return {pair.key: pair.value for pair in statuses[-1].values}

    assert wait_for(lambda: "runtime" in values())
    assert " on " in values()["runtime"]
    assert values()["runtime why"]
    assert wait_for(lambda: "building" not in statuses[-1].message)


# ---- a load that fails --------------------------------------------------------------------------


def test_a_node_whose_network_comes_late_starts_without_a_restart(ros, tmp_path, monkeypatch):
    loads, real = [], depth_worker.build_pipeline
    monkeypatch.setattr(depth_worker, "build_pipeline", lambda *told: loads.append(1) or real(*told))
    monkeypatch.setattr(backoff, "_FIRST_S", 3600.0)
    settings = {"engine.manifest": str(tmp_path / "toy.yaml"), "diagnostics.period_s": 0.1}
    with spinning(settings) as (node, _):
        assert wait_for(lambda: node.live.health.counted("failed: engine") >= 4)
        assert len(loads) == 1
        write_toy_model(tmp_path)
        assert wait_for(lambda: node.live.worker.pipeline is not None)


@pytest.mark.parametrize("setting", ["engine.manifest", "engine.second"])
def test_a_network_that_nobody_knows_is_reported_and_the_node_lives(ros, toy_manifest, setting):
    settings = {"engine.manifest": str(toy_manifest), "diagnostics.period_s": 0.1, setting: "unknown"}
    with spinning(settings) as (node, thread):
        assert wait_for(lambda: node.live.health.counted("failed: engine") >= 3)
        assert thread.is_alive()


def test_the_end_of_a_node_ends_what_it_builds(ros, toy_manifest, monkeypatch):
    """Without it the process would stay for the minutes that a plan takes."""
    started, ended = threading.Event(), []

    def build(*told):
        started.set()
        ended.append(stop_event().wait(30))
        go_on()

    monkeypatch.setattr(depth_worker, "build_pipeline", build)
    node = metric_depth_node.MetricDepthNode(
        parameter_overrides=[Parameter("engine.manifest", value=str(toy_manifest))]
    )
    assert started.wait(20)
    node.destroy_node()
    assert ended == [True]


@pytest.mark.parametrize("timeout_s", [0.1, 3600.0])
def test_a_network_that_never_ends_is_reported_and_the_node_ends(ros, tmp_path, timeout_s):
    settings = {
        "engine.manifest": str(manifest_of(endless(tmp_path / "a.onnx"))),
        "engine.timeout_s": timeout_s,
        "diagnostics.period_s": 0.1,
    }
    before = set(threading.enumerate())
    with spinning(settings) as (node, thread):
        if timeout_s < 1:
            assert wait_for(lambda: node.live.health.counted("failed: engine") >= 3)
        else:
            assert wait_for(lambda: any(each.name == "network" for each in threading.enumerate()))
        assert thread.is_alive()
    assert not [each.name for each in set(threading.enumerate()) - before if each.name == "perceive"]


# ---- a network that fails while it runs ----------------------------------------------------------


def sample():
    camera = Camera(64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]))
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-0.8, 0.8, 8), [4.0]), -1).reshape(-1, 3)
    image = np.random.default_rng(0).integers(50, 200, (48, 64, 3), np.uint8)
    return Sample(image, camera, grid.astype(np.float32), 10**9, "camera")


@pytest.mark.parametrize("failures", [1, 2])
def test_a_network_that_fails_is_loaded_anew(ros, toy_manifest, monkeypatch, failures):
    """As after the loss of a GPU; one that goes on failing is not loaded for each image."""
    loads, real, predict = [], depth_worker.build_pipeline, DepthEngine.predict
    monkeypatch.setattr(depth_worker, "build_pipeline", lambda *told: loads.append(1) or real(*told))
    monkeypatch.setattr(backoff, "_FIRST_S", 0.5)

    def lost(self, *told, **further):
        if len(loads) <= failures and threading.current_thread().name == "perceive" and running.is_set():
            raise ModelError("network: CUDA error 700. Look at the GPU.")
        return predict(self, *told, **further)

    running = threading.Event()
    monkeypatch.setattr(DepthEngine, "predict", lost)
    with spinning({"engine.manifest": str(toy_manifest), "diagnostics.period_s": 0.1}) as (node, _):
        worker, health = node.live.worker, node.live.health
        assert wait_for(lambda: worker.pipeline is not None)
        running.set()
        monkeypatch.setattr(worker._outputs, "publish", lambda *told: None)
        image = fill_image(messages.image_fields(sample().image), stamp_ns=10**9, frame_id="camera")

        def works():
            worker.put(depth_worker.Task(image, lambda pipeline: sample(), time.monotonic()))
            return health.counted("published")

        assert wait_for(works), health.summary()
        assert len(loads) == failures + 1 and health.counted("failed: engine") >= failures

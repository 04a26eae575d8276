"""One network for several cameras."""

import dataclasses
import gc
import threading

import numpy as np
import pytest

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import pool as pool_module
from metric_depth_ros.engines.pool import EnginePool
from metric_depth_ros.errors import ModelError

IMAGE = np.full((48, 64, 3), 128, np.uint8)


@pytest.fixture
def built(monkeypatch):
    """Settings of the engines that were built."""
    built, real = [], pool_module.build_engine
    monkeypatch.setattr(pool_module, "build_engine", lambda config: built.append(config) or real(config))
    return built


@pytest.fixture
def config(toy_manifest):
    return EngineConfig(manifest=str(toy_manifest), runtime="onnxruntime")


def test_equal_settings_share_a_network_while_one_is_used(built, config):
    pool = EnginePool()
    front, rear = pool.build(config), pool.build(dataclasses.replace(config))
    assert front is rear
    assert len(built) == 1
    assert front.label and front.why and front.on_cpu
    assert pool.build(dataclasses.replace(config, threads=1)) is not front
    del front, rear
    gc.collect()
    pool.build(config)
    assert len(built) == 3


def test_a_network_that_cannot_be_loaded_is_tried_again(built, config, tmp_path):
    pool = EnginePool()
    for _ in range(2):
        with pytest.raises(ModelError):
            pool.build(dataclasses.replace(config, manifest=str(tmp_path / "none.yaml")))
    assert len(built) == 2


def test_threads_take_turns(config):
    engine = EnginePool().build(config)
    inside, at_once, real = [], [], engine._engine.predict

    def predict(*told, **named):
        inside.append(1)
        at_once.append(len(inside))
        found = real(*told, **named)
        inside.pop()
        return found

    engine._engine.predict = predict
    threads = [threading.Thread(target=lambda: [engine.predict(IMAGE) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert at_once == [1] * 80

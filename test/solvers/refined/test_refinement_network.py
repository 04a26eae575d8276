"""The network of refined on each runtime: how it is chosen, shared and loaded anew."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from made_scenes import anchors_on, smooth_relative, solver_of

from metric_depth_ros import solve
from metric_depth_ros.config import RefinedConfig
from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.stopping import StoppedError
from metric_depth_ros.solvers.refined import network as module
from metric_depth_ros.solvers.refined.inputs import look_at
from metric_depth_ros.solvers.refined.network import RefinementNetwork, load_network
from metric_depth_ros.types import MetricDepth, RelativeDepth, SolverInput

HERE = RefinedConfig(runtime="onnxruntime", threads=1)


@pytest.fixture(autouse=True)
def none_is_kept():
    """No test finds a network of another, or leaves one."""
    module._loaded.cache_clear()
    yield
    module._loaded.cache_clear()


@pytest.fixture
def loads(monkeypatch):
    """Counts the networks that are loaded; their runtime is the first argument's."""
    found = []
    real = RefinementNetwork.load
    monkeypatch.setattr(
        module, "_loaded", module.lru_cache(maxsize=2)(lambda *args: found.append(args) or real(*args))
    )
    return found


def seen(network):
    """What a network is shown of a fit with errors."""
    depth = 1 + smooth_relative()
    given = SolverInput(RelativeDepth(depth, "depth"), anchors_on(1.2 * depth, 60))
    return look_at(given, MetricDepth(depth, 0.1 * depth), network.size)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "torch"])
def test_every_runtime_corrects_alike_and_is_told(runtime, caplog):
    pytest.importorskip(runtime)
    caplog.set_level(logging.INFO)
    reference = load_network(HERE)
    network = load_network(RefinedConfig(runtime=runtime, precision="fp32", threads=2))
    assert f"{runtime} fp32 on cpu" in caplog.messages[-1] and "solver.refined: " in caplog.messages[-1]
    look = seen(network)
    expected = reference.correction(look)
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(network.correction(look), expected, atol=1e-4)


def test_half_precision_corrects_nearly_alike():
    """Of sigma's logarithm bfloat16 keeps two digits."""
    pytest.importorskip("openvino")
    network = load_network(RefinedConfig(runtime="openvino"))
    look = seen(network)
    np.testing.assert_allclose(network.correction(look), load_network(HERE).correction(look), atol=0.05)


def test_a_runtime_that_is_not_there_is_told_before_the_first_image(monkeypatch):
    monkeypatch.setattr("metric_depth_ros.runtimes.openvino.find_spec", lambda name: None)
    wanted = r"^solver\.refined\.runtime: openvino: openvino is not installed.*Or set it to auto\.$"
    with pytest.raises(ModelError, match=wanted):
        solver_of("refined", refined__runtime="openvino")
    relative = smooth_relative()
    with pytest.raises(ModelError, match=wanted):
        solve(relative, [[3, 4], [20, 30]], [1.0, 2.0], solver="refined", runtime="openvino")


def test_those_with_the_same_settings_share_one(loads):
    with ThreadPoolExecutor(4) as cameras:
        first, *others = cameras.map(load_network, [HERE] * 4)
    assert all(other is first for other in others) and len(loads) == 1
    assert load_network(RefinedConfig(runtime="onnxruntime", threads=2)) is not first
    assert len(loads) == 2


@pytest.mark.parametrize("outputs", [{}, {"other": np.zeros((1, 2, 144, 192))}, {"correction": np.zeros(3)}])
def test_a_network_that_gives_something_else_is_named(outputs):
    network = load_network(HERE)
    network._runtime = Giving(outputs)
    with pytest.raises(ModelError, match=r"^solver\.refined: 'refinement' gave .* needed \(1, 2, 144"):
        network.correction(seen(network))


class Giving:
    """A runtime that always gives the same."""

    def __init__(self, outputs):
        self.outputs = outputs

    def run(self, inputs):
        return self.outputs


class Broken:
    """A runtime that fails, as after the loss of a GPU."""

    def __init__(self, error):
        self.error = error

    def run(self, inputs):
        raise self.error


@pytest.mark.parametrize(
    ("error", "count"), [(ModelError("cuda: device lost"), 2), (StoppedError("network: stopped."), 1)]
)
def test_after_one_that_failed_the_next_is_loaded_anew(loads, error, count):
    network = load_network(HERE)
    look = seen(network)
    network._runtime = Broken(error)
    with pytest.raises(type(error), match=str(error)):
        network.correction(look)
    assert (load_network(HERE) is network) == (count == 1)
    assert len(loads) == count


def test_a_network_for_another_solver_is_used_with_one_warning(caplog):
    module._warn.cache_clear()
    for of in ("lwlr", "gaussian_process", "lwlr"):
        load_network(RefinedConfig(of=of))
    (told,) = (message for message in caplog.messages if "trained" in message)
    assert told.startswith(
        "solver.refined.of: lwlr, but its network was trained on depth of gaussian_process."
    )

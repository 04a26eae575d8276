"""Fixtures: everything is made by code; real frames come from METRIC_DEPTH_DATA, or their tests skip."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from metric_depth_ros.cli.live import Graph, own_domain
from metric_depth_ros.engines.manifest import Manifest, load_manifest
from metric_depth_ros.share import on_this_machine, use_fastdds_profile
from metric_depth_ros.types import Camera


def let_propagate(kind: type[logging.Logger]) -> None:
    """Loggers of a class pass records on to their parents, whatever they are told."""
    kind.propagate = property(lambda self: True, lambda self, value: None)  # type: ignore[assignment]


# Once launch is imported, as its plugin of pytest does, all new loggers are of its class and keep their
# records to themselves: neither caplog nor a node under test would hear them.
with contextlib.suppress(ImportError):
    from launch.logging import LaunchLogger

    let_propagate(LaunchLogger)

# A shell's background job ignores SIGINT, and so would the nodes that are ended by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Every test run has a ROS graph of its own, in which large messages arrive; processes it starts inherit it.
os.environ.update(on_this_machine(), ROS_DOMAIN_ID=str((DOMAIN := own_domain())[0]))
use_fastdds_profile()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Plans and choices of runtimes go to a directory of this run's own."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", autouse=True)
def _denormals() -> Iterator[None]:
    """Trainers let torch flush the smallest numbers to zero, for the whole process; later tests draw them."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real frames; skips the test where there are none."""
    path = Path(os.environ.get("METRIC_DEPTH_DATA", ""))
    if not os.environ.get("METRIC_DEPTH_DATA") or not path.is_dir():
        pytest.skip("METRIC_DEPTH_DATA names no folder")
    return path


@pytest.fixture(scope="session")
def model_dir(data_dir: Path) -> Path:
    """Real networks, beside the real frames; skips the test where there are none."""
    path = data_dir.parent / "models" / "meter_xxs"
    if not path.is_dir():
        pytest.skip("no networks beside METRIC_DEPTH_DATA")
    return path


@pytest.fixture(scope="session")
def ros():
    """ROS in the test's own process; skips the test where it is not installed."""
    rclpy = pytest.importorskip("rclpy")
    rclpy.init(signal_handler_options=rclpy.SignalHandlerOptions.NO)
    yield
    rclpy.try_shutdown()


@pytest.fixture
def peer(ros):
    """The other side of the node under test."""
    from peer import Peer  # imports ROS

    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """Processes that run during the test, with their logs."""
    with Graph(tmp_path / "logs", apart=False) as graph:
        yield graph


@pytest.fixture
def camera() -> Camera:
    """A small pinhole camera."""
    return Camera(64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]))


def write_toy_model(
    folder: Path, *, width: int = 64, height: int = 48, gain: float = 1.0, bias: float = 0.0, **output: object
) -> Path:
    """Writes a network whose relative depth is gain * (mean of the channels) + bias, in 0..1 units.

    Returns the manifest's path. A gray image thus states its own relative depth.
    """
    import hashlib

    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["mean", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["depth"]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        helper.make_tensor("gain", TensorProto.FLOAT, [], [gain]),
        helper.make_tensor("bias", TensorProto.FLOAT, [], [bias]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 1, height, width])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.onnx").write_bytes(content)
    manifest = {
        "name": "toy",
        "file": "toy.onnx",
        "licence": "none",
        "sha256": hashlib.sha256(content).hexdigest(),
        "input": {"name": "image", "width": width, "height": height},
        "output": {"name": "depth", "kind": "depth", "floor": 1e-3, **output},
    }
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(manifest))
    return path


@pytest.fixture(scope="session")
def toy_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_model(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def toy(toy_manifest: Path) -> Manifest:
    return load_manifest(toy_manifest)

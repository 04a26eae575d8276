"""The node under a lifecycle manager, and several cameras in one process."""

import gc
import re
import signal
import time
import weakref

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from conftest import write_toy_model
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from made_networks import endless, manifest_of
from peer import LATCHED, Peer, scene, start_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage

from metric_depth_ros import messages
from metric_depth_ros.cli.live import NODE, ros_arguments
from metric_depth_ros.config import NAME_FILES, Config
from metric_depth_ros.nodes import process
from metric_depth_ros.nodes.metric_depth_node import MetricDepthNode
from metric_depth_ros.nodes.parameters import on_set
from metric_depth_ros.share import FOLDERS_VARIABLE

pytestmark = pytest.mark.timeout(120)


class Manager:
    """Changes the state of the node under test, through its services."""

    def __init__(self, peer):
        self._peer = peer

    def change(self, transition):
        """Whether the transition succeeded."""
        return self._peer.call(ChangeState, "change_state", transition=Transition(id=transition)).success

    def state(self):
        return self._peer.call(GetState, "get_state").current_state.label


CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE


@pytest.fixture
def managed(graph, peer, toy_manifest, tmp_path):
    """A node that waits for its manager, with folders of models; returns the manager."""
    graph.env[FOLDERS_VARIABLE] = f"{tmp_path}:{toy_manifest.parent}"
    settings = {"engine.manifest": toy_manifest, "diagnostics.period_s": 0.2, "lifecycle.autostart": "false"}
    graph.start("node", [*NODE, *ros_arguments(settings, {})])
    peer.mount_lidar()
    return Manager(peer)


def subscribed(peer):
    """Subscriptions of the node's inputs."""
    return peer.count_subscribers("image") + peer.count_subscribers("anchors")


def test_a_manager_starts_and_stops_it_again_and_again(managed, peer, graph):
    assert managed.state() == "unconfigured"
    for _ in range(2):
        assert managed.change(CONFIGURE)
        assert managed.state() == "inactive"
        assert "engine ready" in graph.log("node")
        assert peer.says("inactive: waits to be activated")
        assert peer.wait(lambda: subscribed(peer) == 0)
        for _ in range(2):
            assert managed.change(ACTIVATE)
            assert managed.state() == "active"
            peer.wait_for_node()
            assert peer.good_answer() is not None, graph.log("node")
            assert managed.change(DEACTIVATE)
            assert peer.answer(*peer.messages(), timeout_s=0.5) is None
            assert peer.wait(lambda: subscribed(peer) == 0)  # the graph tells it a little later
        assert managed.change(CLEANUP)
        assert managed.state() == "unconfigured"
        assert peer.wait(lambda: peer.count_publishers("depth/image_rect") == 0)
    assert "Traceback" not in graph.log("node")


def test_a_network_that_is_missing_fails_configure_cleanly_and_another_serves(managed, peer, graph, tmp_path):
    assert peer.set_parameter("engine.manifest", str(tmp_path / "toy.yaml")).successful
    assert not managed.change(CONFIGURE)
    assert managed.state() == "unconfigured"
    assert re.search(r"cannot configure: .*toy\.yaml", graph.log("node"))
    assert peer.count_publishers("depth/image_rect") == 0
    write_toy_model(tmp_path)
    assert managed.change(CONFIGURE)
    assert managed.change(ACTIVATE)
    peer.wait_for_node()
    assert peer.good_answer() is not None, graph.log("node")


def test_a_manager_cannot_name_a_file_outside_the_folders(managed, peer, graph):
    assert not peer.set_parameter("save.folder", "/etc").successful
    assert peer.set_parameter("engine.manifest", "/etc/passwd").successful
    assert not managed.change(CONFIGURE)
    assert "/etc/passwd: outside the folders of METRIC_DEPTH_FOLDERS" in graph.log("node")


@pytest.mark.parametrize("name", NAME_FILES)
def test_no_parameter_names_another_file_where_no_folders_are_named(name, monkeypatch):
    changed = on_set(Config, lambda config: None, in_use=lambda: False)
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    refused = changed([Parameter(name, value="/etc/passwd")])
    assert not refused.successful
    assert refused.reason.startswith(f"{name}: names a file, but METRIC_DEPTH_FOLDERS is not set")
    monkeypatch.setenv(FOLDERS_VARIABLE, "/opt/models")
    assert changed([Parameter(name, value="/opt/models/a.yaml")]).successful


def test_settings_that_are_read_at_configure_change_only_before_it(managed, peer):
    assert managed.change(CONFIGURE)
    refused = peer.set_parameter("engine.threads", 1)
    assert not refused.successful
    assert refused.reason == "engine.threads: read at configure only. Clean up the node first."
    assert peer.set_parameter("solver.focus_m", 3.0).successful
    assert managed.change(CLEANUP)
    assert peer.set_parameter("engine.threads", 1).successful


def test_a_topic_that_is_an_output_fails_activation_and_leaves_it_inactive(graph, peer, toy_manifest):
    settings = {"engine.manifest": toy_manifest, "lifecycle.autostart": "false"}
    graph.start("node", [*NODE, *ros_arguments(settings, {"anchors": "depth/points"})])
    manager = Manager(peer)
    assert manager.change(CONFIGURE)
    assert not manager.change(ACTIVATE)
    assert manager.state() == "inactive"
    assert "cannot activate: source anchors: /depth/points is this node's own output" in graph.log("node")
    assert peer.count_subscribers("camera_info") == 0
    assert manager.change(CLEANUP)


def test_cleanup_frees_the_network_at_once(ros, toy_manifest):
    """Not when Python happens to collect garbage: a GPU's memory may be needed before."""
    overrides = {"engine.manifest": str(toy_manifest), "lifecycle.autostart": False}
    node = MetricDepthNode(parameter_overrides=[Parameter(name, value=v) for name, v in overrides.items()])
    gc.disable()
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        network = weakref.ref(node.live.worker.pipeline.engine)
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        assert network() is None
    finally:
        gc.enable()
        node.destroy_node()


def test_shutdown_ends_an_active_node_for_good(managed, peer, graph):
    assert managed.change(CONFIGURE)
    assert managed.change(ACTIVATE)
    assert managed.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert managed.state() == "finalized"
    assert peer.count_subscribers("image") == 0
    graph._processes["node"].send_signal(signal.SIGINT)
    assert graph.finish("node", 10) == 0


def test_two_cameras_share_a_process_and_a_network(graph, ros, toy_manifest):
    settings = {"engine.manifest": toy_manifest, "diagnostics.period_s": 0.2}
    # Relative names are below the namespace of the process, which launch_ros always gives.
    settings |= {
        "qos_overrides./robot/front/depth/points.publisher.depth": 3,
        "qos_overrides./rear/depth/points.publisher.depth": 3,
        "qos_overrides./rear/depht/points.publisher.depth": 3,
    }
    arguments = [*ros_arguments(settings, {}), "-r", "__ns:=/robot"]
    graph.start("node", [*NODE, "--cameras", "front", "/rear", *arguments])
    spaces = ("/robot/front", "/rear")
    peers = [Peer(namespace=name) for name in spaces]
    try:
        for peer in peers:
            peer.mount_lidar()
            peer.wait_for_node()
        for peer in peers:
            depth = peer.good_answer()
            assert depth is not None, graph.log("node")
            np.testing.assert_allclose(messages.read_depth(depth), scene()[1], rtol=2e-3)
        names = {f"{space}/metric_depth_node: depth" for space in spaces}
        assert peers[0].wait(lambda: {status.name for status in list(peers[0].statuses)} >= names)
        # What one of them takes is not told; what none takes is, once.
        assert re.findall(r"qos_overrides.*: no such end", graph.log("node")) == [
            "qos_overrides./rear/depht/points.publisher.depth: no such end"
        ]
    finally:
        for peer in peers:
            peer.close()


@pytest.mark.parametrize(
    ("remapped", "names", "wanted"),
    [
        ([], "front,/rear", ["/front", "/rear"]),
        (["-r", "__ns:=/"], "front,/rear", ["/front", "/rear"]),
        (["-r", "__ns:=/robot"], "front,/rear,left/", ["/robot/front", "/rear", "/robot/left"]),
        (["--remap", "metric_depth_node:__ns:=/a/b"], "front", ["/a/b/front"]),
        (
            ["-r", "other:__ns:=/a", "-r", "image:=/x", "-r", "__ns:=/b", "-r", "__ns:=/c"],
            "front",
            ["/b/front"],
        ),
        (["-r", "__ns:=/robot"], "", [""]),
    ],
)
def test_relative_cameras_are_below_the_namespace_of_the_process(remapped, names, wanted):
    cameras = ["--cameras", names] if names else []
    assert process._cameras(["node", *cameras, "--ros-args", *remapped]) == wanted


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cameras", "front,/front/"], "--cameras: /front is named twice"),
        (["--cameras", "front rear"], "Invalid namespace|front rear"),
        (["--camras", "front"], "unrecognized arguments: --camras front"),
    ],
)
def test_arguments_that_are_wrong_stop_the_start(graph, arguments, words):
    graph.start("node", [*NODE, *arguments])
    assert graph.finish("node", 30) in (1, 2)
    assert re.search(words, graph.log("node"))
    assert "Traceback" not in graph.log("node")


def test_a_stuck_network_does_not_keep_the_process(graph, peer, toy_manifest):
    """Whatever a library does, a signal ends the node within seconds, with status 0."""
    stuck = "import sys, time; from metric_depth_ros.engines.depth_engine import DepthEngine\n"
    stuck += "real, calls = DepthEngine.predict, []\n"
    stuck += "def predict(self, image, **told):\n"
    stuck += "    calls.append(1)\n"
    stuck += "    time.sleep(0 if len(calls) < 3 else 1000)\n"
    stuck += "    return real(self, image, **told)\n"
    stuck += "DepthEngine.predict = predict\n"
    stuck += "from metric_depth_ros.nodes.__main__ import main; sys.exit(main())"
    start_node(graph, peer, toy_manifest, command=[NODE[0], "-c", stuck])
    for _ in range(5):  # the first may be lost
        peer.answer(*peer.messages(), timeout_s=0.3)
    graph._processes["node"].send_signal(signal.SIGINT)
    assert graph.finish("node", 10) == 0
    assert "the network does not end" in graph.log("node")
    assert "Traceback" not in graph.log("node")


def test_a_node_that_is_activated_again_still_finds_compressed_images_and_a_latched_calibration(
    managed, peer, graph
):
    for publisher in (peer.images, peer.infos):
        peer.destroy_publisher(publisher)
    peer.infos = peer.create_publisher(CameraInfo, "camera_info", LATCHED)
    _, info, _ = peer.messages()
    peer.infos.publish(info)

    def answered():
        image, _, cloud = peer.messages()
        packed = CompressedImage(header=image.header, format="png")
        pixels = np.frombuffer(image.data, np.uint8).reshape(48, 64, 3)
        packed.data = cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()
        return peer.answer(packed, None, cloud, timeout_s=1.0)

    assert managed.change(CONFIGURE)
    for _ in range(2):
        assert managed.change(ACTIVATE)
        assert peer.wait(answered, timeout_s=30), graph.log("node")
        assert managed.change(DEACTIVATE)


def test_a_transition_that_fails_leaves_a_node_that_can_be_configured_anew(ros, toy_manifest, monkeypatch):
    node = MetricDepthNode(parameter_overrides=[Parameter("engine.manifest", value=str(toy_manifest))])
    try:
        monkeypatch.setattr(node.live, "deactivate", lambda: 1 / 0)
        assert node.trigger_deactivate() == TransitionCallbackReturn.ERROR
        assert node.live is None
        assert node._state_machine.current_state[1] == "unconfigured"
        assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    finally:
        node.destroy_node()


def test_a_thread_that_is_stuck_ends_the_node_for_good(ros, toy_manifest, monkeypatch):
    node = MetricDepthNode(parameter_overrides=[Parameter("engine.manifest", value=str(toy_manifest))])
    try:
        worker = node.live.worker
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        monkeypatch.setattr(worker, "stop", lambda timeout_s: False)
        assert node.trigger_cleanup() == TransitionCallbackReturn.ERROR
        assert node._state_machine.current_state[1] == "finalized"
        monkeypatch.undo()
        worker.stop(5)
    finally:
        assert not node.destroy_node()


def test_ctrl_c_ends_a_load_that_a_manager_has_begun(graph, peer, tmp_path):
    settings = {
        "engine.manifest": str(manifest_of(endless(tmp_path / "a.onnx"))),
        "engine.timeout_s": 1000.0,
        "lifecycle.autostart": "false",
    }
    graph.start("node", [*NODE, *ros_arguments(settings, {})])
    client = peer.create_client(ChangeState, "/metric_depth_node/change_state")
    assert client.wait_for_service(60)
    client.call_async(ChangeState.Request(transition=Transition(id=CONFIGURE)))
    time.sleep(2.0)  # it is being loaded
    graph._processes["node"].send_signal(signal.SIGINT)
    assert graph.finish("node", 15) == 0
    assert "Traceback" not in graph.log("node")

"""Services of metric_depth_node: reset, and samples that are saved as bags."""

import errno
import gc
import os
import shlex
import subprocess
import threading
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from peer import Peer, scene, start_node
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger

from metric_depth_ros import messages
from metric_depth_ros.bags.storage import open_bag, read_depths
from metric_depth_ros.cli.live import VERB, Graph
from metric_depth_ros.cli.main import build_parser, main
from metric_depth_ros.cli.run import build_config
from metric_depth_ros.config import from_flat
from metric_depth_ros.config.parameter_file import load
from metric_depth_ros.errors import InputError
from metric_depth_ros.nodes import capture, services
from metric_depth_ros.nodes.capture import Captured, Message, folder_of, write
from metric_depth_ros.nodes.image_input import Pair
from metric_depth_ros.nodes.outputs import fill_cloud
from metric_depth_ros.nodes.ros import TFMessage
from metric_depth_ros.nodes.services import Services

pytestmark = pytest.mark.timeout(180)


class Feed:
    """Sends images that have a cloud and a place in the map, each when the one before it has its depth.

    Attributes:
        sent: stamps of the images; ``lost``: those of which no depth came.
    """

    def __init__(self, peer):
        self._peer, self.sent, self.lost, self._ending = peer, [], [], threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()

    def _run(self):
        peer, (_, _, points) = self._peer, scene()
        while not self._ending.wait(0.1):
            stamp_ns = peer.next_stamp()
            peer.move_camera(stamp_ns, x=0.01 * len(self.sent))
            image, info, _ = peer.messages(stamp_ns)
            # A cloud of its own for every image: those of another would give another depth.
            fields = messages.points_fields(points * np.float32(1 + 0.001 * len(self.sent)))
            peer.send(None, None, fill_cloud(fields, stamp_ns=stamp_ns - 30_000_000, frame_id="lidar"))
            time.sleep(0.02)
            if peer.answer(image, info, None, timeout_s=5.0) is None:
                self.lost.append(stamp_ns)
            self.sent.append(stamp_ns)


@pytest.fixture(scope="module")
def saving(ros, toy_manifest, tmp_path_factory):
    """(peer, graph, folder) of one node that all tests share, which saves into the folder."""
    folder, peer = tmp_path_factory.mktemp("saved"), Peer()
    with Graph(tmp_path_factory.mktemp("logs"), apart=False) as graph:
        settings = {"save.folder": str(folder / "samples"), "sync.fixed_frame": "map"}
        start_node(graph, peer, toy_manifest, **settings)
        yield peer, graph, folder / "samples"
    peer.close()


def test_a_saved_sample_gives_the_depth_that_was_published(saving, tmp_path, capsys):
    peer, graph, folder = saving
    with Feed(peer) as feed:
        assert peer.wait(lambda: len(peer.depths) > 5, 60.0), graph.log("node")
        feed.lost.clear()  # topics were not matched yet
        answer = peer.call(Trigger, "save_sample")
    assert answer.success, answer.message
    assert not feed.lost, graph.log("node")
    path = next(folder.iterdir())
    assert answer.message.startswith(f"{path}: metric_depth run ")

    # One image, its camera_info, and the clouds and transforms around it.
    with open_bag(path) as bag:
        assert {bag.count("/image"), bag.count("/camera_info")} == {1}
        assert bag.count("/anchors") > 1 and bag.count("/tf") > 1 and bag.count("/tf_static") > 0
    assert sorted(each.name for each in folder.iterdir()) == [path.name]  # nothing unfinished

    # The command of the answer computes the very depth, if BLAS adds in the same order as in the node.
    words, env = answer.message.split()[2:], {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    out = tmp_path / "out"
    subprocess.run([*VERB, *words, "--out", str(out)], env=env, check=True, timeout=100)
    ((stamp_ns, depth),) = read_depths(out / "depth.mcap", "/depth/image_rect").items()
    assert stamp_ns in feed.sent
    published = {messages.stamp_ns(depth): messages.read_depth(depth) for depth in list(peer.depths)}
    np.testing.assert_array_equal(depth, published[stamp_ns])

    # The doctor judges with the settings that lie beside the bag, and prints them.
    for bag in (path, next(path.glob("*.mcap"))):
        capsys.readouterr()
        assert main(["doctor", str(bag)]) == 0
        told = capsys.readouterr().out
        (line,) = [line for line in told.splitlines() if line.startswith("  metric_depth run ")]
        printed = build_parser().parse_args(shlex.split(line)[1:])
        assert build_config(printed) == load(path / "parameters.yaml")
        assert printed.config == str(path / "parameters.yaml") and not printed.changes


def test_a_saved_sample_has_the_parameters_that_were_set(saving):
    peer, _, folder = saving
    assert peer.set_parameter("solver.focus_m", 3).successful
    with Feed(peer):
        answer = peer.call(Trigger, "save_sample")
    assert answer.success, answer.message
    newest = max(folder.iterdir())
    saved = yaml.safe_load((newest / "parameters.yaml").read_text())["/**"]["ros__parameters"]
    assert saved["solver.focus_m"] == 3.0 and saved["sync.fixed_frame"] == "map"
    assert "save.folder" not in saved


def test_a_sample_that_cannot_be_written_says_why_and_leaves_nothing(saving):
    peer, graph, folder = saving
    folder.mkdir(exist_ok=True)
    kept = folder.rename(folder.with_name("kept"))
    folder.write_text("a file")
    try:
        with Feed(peer):
            answer = peer.call(Trigger, "save_sample")
        assert not answer.success
        assert str(folder) in answer.message and "needed a" in answer.message
        assert folder.read_text() == "a file" and len([*folder.parent.iterdir()]) == 2
    finally:
        folder.unlink()
        kept.rename(folder)
    assert "Traceback" not in graph.log("node")


def test_reset_forgets_what_came_and_the_node_goes_on(saving):
    """No cloud, no memory and no stamp before it counts; calibrations hold."""
    peer, graph, _ = saving
    assert peer.set_parameter("solver.temporal.memory_s", 5.0).successful
    with Feed(peer):
        assert peer.wait(lambda: len(peer.depths) > 5), graph.log("node")

    def alone():
        """Depth of an image that comes without a cloud: from an earlier one or memory, if any."""
        peer.stamp_ns += 20_000_000
        image, info, _ = peer.messages(peer.stamp_ns)
        for aside_ns in (-5_000_000, 5_000_000):
            peer.move_camera(peer.stamp_ns + aside_ns, x=0.0)
        return peer.answer(image, info, None, timeout_s=1.0)

    assert alone() is not None, graph.log("node")
    answer = peer.call(Trigger, "reset")
    assert answer.success and "cleared" in answer.message
    assert alone() is None
    assert peer.call(Trigger, "reset").success
    peer.stamp_ns -= 60_000_000_000
    with Feed(peer) as feed:
        again = peer.wait(lambda: feed.sent and peer.depths[-1].header.stamp.sec == feed.sent[-1] // 10**9)
    assert again, graph.log("node")
    assert "time jumped back" not in graph.log("node")
    assert peer.set_parameter("solver.temporal.memory_s", 0.0).successful


# ---- without a process of its own --------------------------------------------------------------


def a_sample(topic="/image"):
    words = Message(topic, "std_msgs/msg/String", b"\0\1\0\0\2\0\0\0a\0", 5)
    pose = "map", "camera", np.eye(4), 3
    return Captured(7, (words,), ([pose], 2), "/**: {ros__parameters: {}}\n", ("--image", topic))


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    for where in ("write_raw", "attach"):
        with monkeypatch.context() as patched:
            patched.setattr(f"metric_depth_ros.bags.writer.BagWriter.{where}", full)
            with pytest.raises(InputError, match="No space left on device; needed"):
                write(a_sample(), tmp_path)
        assert not [*tmp_path.iterdir()]
    with monkeypatch.context() as patched:
        patched.setattr("metric_depth_ros.bags.writer.Writer.close", full)
        with pytest.raises(InputError, match="No space left on device; needed"):
            write(a_sample(), tmp_path)
    assert not [*tmp_path.iterdir()]
    assert write(a_sample(), tmp_path).is_dir()


def test_samples_are_saved_in_the_home_of_ros_unless_a_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ROS_HOME", str(tmp_path))
    assert folder_of("") == tmp_path / "metric_depth"
    monkeypatch.delenv("ROS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder_of("") == tmp_path / ".ros" / "metric_depth"
    assert folder_of("~/there") == tmp_path / "there"


@pytest.fixture
def answer_of(ros, monkeypatch):
    """Function: what a service answers in a node that holds this."""
    monkeypatch.setattr(services, "_WITHOUT_IMAGE_S", 0.5)
    node, held = Node("offering"), []
    Services(node, lambda: held[0])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()

    def call(live, service="save_sample", wait=True):
        held[:] = [live]
        client = node.create_client(Trigger, f"offering/{service}")
        assert client.wait_for_service(10.0)
        future = client.call_async(Trigger.Request())
        deadline = time.monotonic() + 10
        while wait and not future.done() and time.monotonic() < deadline:
            time.sleep(0.01)
        return future.result() if wait else future

    yield call
    gc.enable()
    executor.shutdown()
    thread.join(5)
    node.destroy_node()


def idle_inputs(folder):
    """Inputs to which nothing comes."""
    return SimpleNamespace(
        config=from_flat({"save.folder": str(folder)}),
        images=SimpleNamespace(topic="/image", topics=["/image", "/camera_info"]),
        anchors=SimpleNamespace(oldest_s=0.0, topics=["/anchors"]),
        transforms=SimpleNamespace(newest=list),
        listeners=[],
        active=True,
    )


def test_without_images_nothing_is_saved_and_the_answer_says_so(answer_of, tmp_path):
    inputs = idle_inputs(tmp_path)
    answer = answer_of(SimpleNamespace(inputs=inputs))
    assert not answer.success
    assert answer.message == "save_sample: no image with a camera_info came on /image for 0.5 s."
    assert not [*tmp_path.iterdir()] and not inputs.listeners


@pytest.mark.parametrize("live", [None, SimpleNamespace(inputs=None)])
def test_a_node_that_is_not_active_says_so(answer_of, live):
    answer = answer_of(live)
    assert not answer.success and "not active" in answer.message


def test_the_node_goes_on_while_a_sample_is_written_and_drops_it_then(answer_of, tmp_path, monkeypatch):
    going_on, inputs, samples = threading.Event(), idle_inputs(tmp_path), []
    gc.disable()  # what it alone frees would stay for minutes; the fixture enables it

    def slow(sample, folder):
        samples.append(weakref.ref(sample))
        assert going_on.wait(10)
        return write(sample, folder)

    monkeypatch.setattr(services, "write", slow)
    live = SimpleNamespace(inputs=inputs, reset=going_on.set)
    saved = answer_of(live, wait=False)
    deadline = time.monotonic() + 10
    while not inputs.listeners and time.monotonic() < deadline:
        time.sleep(0.01)
    inputs.listeners[0](Pair(Image(), CameraInfo(), None, time.monotonic()))
    # A service of the same executor, which lets the writing go on.
    assert answer_of(live, "reset").success
    while not saved.done() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert saved.result().success, saved.result().message
    while samples[0]() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert samples[0]() is None


@pytest.mark.parametrize("with_image", [False, True])
def test_a_node_that_is_deactivated_meanwhile_answers_so(answer_of, tmp_path, with_image):
    inputs = idle_inputs(tmp_path)
    saved = answer_of(SimpleNamespace(inputs=inputs), wait=False)
    deadline = time.monotonic() + 10
    while not inputs.listeners and time.monotonic() < deadline:
        time.sleep(0.01)
    if with_image:
        inputs.listeners[0](Pair(Image(), CameraInfo(), None, time.monotonic()))
    inputs.active, inputs.images.topics = False, None  # its subscriptions are gone
    while not saved.done() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert saved.result().message.startswith("save_sample: the node was deactivated meanwhile")
    assert not [*tmp_path.iterdir()]


def test_topics_of_names_that_are_chosen_anew_are_in_the_command(tmp_path):
    assert "--image /front/image" in capture.command(a_sample("/front/image"), tmp_path)


def test_types_have_their_names():
    assert capture.type_name(Image) == "sensor_msgs/msg/Image"
    assert capture.type_name(TFMessage) == "tf2_msgs/msg/TFMessage"

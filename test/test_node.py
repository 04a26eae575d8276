"""metric_depth_node as a process of its own, on a real ROS graph."""

import signal
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from conftest import write_toy_model
from peer import CAMERA, Peer, scene, start_ros
from sensor_msgs.msg import CompressedImage, PointField

from metric_depth_ros import messages
from metric_depth_ros.cli.live import NODE, Graph, ros_arguments
from metric_depth_ros.nodes.outgoing import fill_camera_info
from metric_depth_ros.types import Camera

pytestmark = pytest.mark.timeout(120)
ERROR = b"\x02"


@pytest.fixture(scope="module", autouse=True)
def ros():
    start_ros()


@pytest.fixture
def peer():
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def graph(tmp_path):
    with Graph(tmp_path / "logs") as graph:
        yield graph


def start(graph, peer, manifest, *, tf=True, **settings):
    settings = {"engine.manifest": str(manifest), "anchors.grid_px": 0, "diagnostics.period_s": 0.2, **settings}
    graph.start("node", [*NODE, *ros_arguments(settings, {})])
    if tf:
        peer.mount_lidar()
    peer.wait_for_node()


@pytest.fixture
def running(graph, peer, toy_manifest):
    """A node that has answered once; yields the peer."""
    start(graph, peer, toy_manifest)
    assert peer.good_answer() is not None, graph.log("node")
    return peer


@pytest.fixture(scope="module")
def steady(ros, toy_manifest, tmp_path_factory):
    """One node for all tests that leave it as it is; yields its peer and its graph."""
    peer = Peer()
    with Graph(tmp_path_factory.mktemp("steady")) as graph:
        start(graph, peer, toy_manifest, **{"sync.max_cloud_age_s": 0.05})
        assert peer.good_answer() is not None, graph.log("node")
        yield peer, graph
    peer.close()


def test_depth_has_the_image_s_stamp_frame_and_size_and_is_metric(running):
    image, info, cloud = running.messages()
    depth = running.answer(image, info, cloud)
    assert depth.header == image.header
    assert (depth.encoding, depth.width, depth.height, depth.step) == ("32FC1", 64, 48, 256)
    np.testing.assert_allclose(messages.read_depth(depth), scene()[1], rtol=2e-3)
    assert running.wait(lambda: running.depth_infos[-1].header == image.header)
    published = running.depth_infos[-1]
    assert (published.width, published.height) == (depth.width, depth.height)
    np.testing.assert_array_equal(np.reshape(published.k, (3, 3)), CAMERA.K)


def test_parameters_set_live_change_the_next_image(running):
    assert running.set_parameter("output.scale", 0.5).successful
    depth = running.answer(*running.messages())
    assert (depth.width, depth.height) == (32, 24)
    assert running.wait(lambda: running.depth_infos[-1].header == depth.header)
    info = running.depth_infos[-1]
    assert (info.width, info.height) == (32, 24)
    assert info.k[0] == pytest.approx(25.0)
    assert info.k[2] == pytest.approx(32 / 2 - 0.5)
    assert running.set_parameter("output.encoding", "16UC1").successful
    depth = running.answer(*running.messages())
    assert depth.encoding == "16UC1"
    assert running.set_parameter("solver.name", "global_affine").successful
    assert running.set_parameter("solver.focus_m", 5).successful  # an int for a double is meant well
    assert running.answer(*running.messages()) is not None
    assert running.wait(lambda: running.status_value("focus_m") == "5")
    assert running.wait(lambda: running.status_value("solver") == "global_affine")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("solver.focus_m", -3.0, "solver.focus_m"),
        ("solver.focus_m", "near", "number"),
        ("solver.name", "best", "global_affine"),
        ("cloud.stride", 0, "cloud.stride"),
        ("anchors.min_depth_m", 900.0, "anchors.max_depth_m"),
        ("extrinsics.rotation", [0.0, 0.0, 0.0, 0.0], "quaternion"),
        ("extrinsics.translation", [0.0, 0.0], "list of 3"),
        ("engine.manifest", "other.yaml", "read-only"),
        ("solver.nam", 1.0, "undeclared"),
    ],
)
def test_wrong_values_are_refused_with_the_reason_and_change_nothing(steady, name, value, words):
    running, _ = steady
    result = running.set_parameter(name, value)
    assert not result.successful
    assert words in result.reason
    np.testing.assert_allclose(messages.read_depth(running.good_answer()), scene()[1], rtol=2e-3)


def test_parameters_are_described(steady):
    running, _ = steady
    focus = running.describe_parameter("solver.focus_m")
    assert "sliding anchor" in focus.description
    assert (focus.floating_point_range[0].from_value, focus.floating_point_range[0].to_value) == (0.0, 1000.0)
    assert running.describe_parameter("cloud.stride").integer_range[0].to_value == 64
    assert running.describe_parameter("engine.manifest").read_only


def test_the_cloud_is_published_only_to_subscribers_and_as_configured(running):
    assert running.set_parameter("cloud.max_depth_m", 10.0).successful
    running.subscribe_points()
    assert running.wait(lambda: running.count_subscribers("depth/points") == 1)
    image, info, cloud = running.messages()
    running.answer(image, info, cloud)
    assert running.wait(lambda: running.points)
    msg = running.points[-1]
    assert msg.header == image.header
    assert (msg.width, msg.height, msg.point_step) == (32, 24, 16)
    points = messages.read_points(msg).reshape(24, 32, 3)
    truth = scene()[1][::2, ::2]
    assert np.array_equal(np.isnan(points[:, :, 2]), truth > 10.0)
    known = truth <= 9.9
    np.testing.assert_allclose(points[:, :, 2][known], truth[known], rtol=2e-3)


def test_the_cloud_has_a_rate_of_its_own(running):
    running.subscribe_points()
    assert running.set_parameter("cloud.rate_hz", 2.0).successful
    assert running.wait(lambda: running.count_subscribers("depth/points") == 1)
    time.sleep(0.3)
    before = len(running.points)
    answers = sum(running.answer(*running.messages()) is not None for _ in range(15))
    assert answers == 15  # 1.5 s of images at 10 Hz by their stamps
    assert 2 <= len(running.points) - before <= 4
    assert running.set_parameter("cloud.rate_hz", 0.0).successful
    running.answer(*running.messages())
    count = len(running.points)
    running.answer(*running.messages())
    assert len(running.points) == count


def test_images_keep_their_rate_with_a_slower_sensor(running):
    """Images between two clouds use the last one; none waits for the next."""
    image, info, cloud = running.messages()
    assert running.answer(image, info, cloud) is not None
    for _ in range(2):
        image, info, _ = running.messages()
        assert running.answer(image, info, None) is not None


def bad_messages():
    """What can be wrong with one sample: name, a change of the three messages, words of the complaint."""

    def encoding(image, info, cloud):
        image.encoding = "yuv_unheard_of"

    def truncated_image(image, info, cloud):
        image.data = image.data[:100]

    def empty_image(image, info, cloud):
        image.width = image.height = 0

    def zero_K(image, info, cloud):
        info.k, info.p = np.zeros(9), np.zeros(12)

    def other_size(image, info, cloud):
        info.width, info.height = 1280, 960

    def unknown_distortion(image, info, cloud):
        info.distortion_model, info.d = "thin_plate", [0.1]

    def empty_cloud(image, info, cloud):
        cloud.width, cloud.row_step, cloud.data = 0, 0, b""

    def nan_cloud(image, info, cloud):
        points = np.full((len(cloud.data) // cloud.point_step, cloud.point_step // 4), np.nan, np.float32)
        points[::2] = np.inf
        cloud.data = points.tobytes()

    def truncated_cloud(image, info, cloud):
        cloud.data = cloud.data[:50]

    def no_z(image, info, cloud):
        cloud.fields = [field for field in cloud.fields if field.name != "z"]

    def odd_type(image, info, cloud):
        cloud.fields = [PointField(name=f.name, offset=f.offset, datatype=PointField.INT8, count=1) for f in cloud.fields]

    def old_cloud(image, info, cloud):
        cloud.header.stamp.sec = 0

    def no_tf(image, info, cloud):
        cloud.header.frame_id = "radar"

    def no_frame(image, info, cloud):
        image.header.frame_id = info.header.frame_id = ""

    cases = {
        encoding: "yuv_unheard_of", truncated_image: "image", empty_image: "image", zero_K: "not calibrated",
        other_size: "1280x960", unknown_distortion: "thin_plate", empty_cloud: "0 usable", nan_cloud: "0 usable",
        truncated_cloud: "", no_z: "z", odd_type: "", old_cloud: "no cloud for the image",
        no_tf: "radar", no_frame: "no frame_id",
    }  # fmt: skip
    return [pytest.param(change, words, id=change.__name__) for change, words in cases.items()]


@pytest.mark.parametrize(("change", "words"), bad_messages())
def test_bad_input_is_named_and_survived(steady, change, words):
    peer, graph = steady
    image, info, cloud = peer.messages()
    change(image, info, cloud)
    before = len(peer.statuses)
    assert peer.answer(image, info, cloud, timeout_s=1.0) is None
    assert peer.wait(lambda: any(s.level == ERROR and words in s.message for s in peer.statuses[before:])), [
        s.message for s in peer.statuses[before:]
    ]
    assert words in graph.log("node")
    np.testing.assert_allclose(messages.read_depth(peer.good_answer()), scene()[1], rtol=2e-3)
    assert peer.says("publishing at")


def test_a_big_endian_cloud_is_read(steady):
    running, _ = steady
    image, info, cloud = running.messages()
    little = np.frombuffer(cloud.data, "<f4")
    cloud.is_bigendian, cloud.data = True, little.astype(">f4").tobytes()
    np.testing.assert_allclose(messages.read_depth(running.answer(image, info, cloud)), scene()[1], rtol=2e-3)


def test_without_camera_info_the_node_says_so(graph, peer, toy_manifest):
    start(graph, peer, toy_manifest)

    def image_only():
        image, _, cloud = peer.messages()
        peer.send(image, None, cloud)

    for _ in range(15):
        image_only()
        time.sleep(0.05)
    assert any("no camera_info on /camera_info" in s.message for s in peer.statuses)
    assert peer.good_answer() is not None


def test_without_images_the_node_says_so(graph, peer, toy_manifest):
    start(graph, peer, toy_manifest)
    assert peer.says("image: nothing on /image (1 publishers)")


def test_a_missing_transform_is_named_and_used_once_it_comes(graph, peer, toy_manifest):
    start(graph, peer, toy_manifest, tf=False)
    assert peer.wait(lambda: "engine ready" in graph.log("node"))
    assert peer.answer(*peer.messages(), timeout_s=1.0) is None
    assert peer.says("lidar")
    peer.mount_lidar()
    assert peer.good_answer() is not None


def test_extrinsics_may_come_from_parameters(graph, peer, toy_manifest):
    start(graph, peer, toy_manifest, tf=False, **{"extrinsics.source": "parameters"})
    assert peer.good_answer() is not None
    assert peer.set_parameter("extrinsics.translation", [0.0, 0.0, 2.0]).successful
    moved = messages.read_depth(peer.answer(*peer.messages()))
    assert np.nanmedian(moved / scene()[1]) > 1.1


def test_time_may_jump_back(running):
    late = running.stamp_ns
    running.stamp_ns -= 50_000_000_000 if late > 50_000_000_000 else late - 1
    stamps = []
    for _ in range(3):
        depth = running.answer(*running.messages())
        assert depth is not None
        stamps.append(messages.stamp_ns(depth))
    assert max(stamps) < late
    assert running.wait(lambda: running.status_value("time jumps") == "1")


def test_a_missing_model_is_said_and_loaded_once_it_is_there(graph, peer, tmp_path):
    manifest = write_toy_model(tmp_path / "model")
    model = tmp_path / "model" / "toy.onnx"
    content = model.read_bytes()
    model.unlink()
    start(graph, peer, manifest)
    peer.send(*peer.messages())
    assert peer.says("toy.onnx")
    model.write_bytes(content[:-1])
    assert peer.says("sha256")
    model.write_bytes(content)
    assert peer.good_answer() is not None


def test_compressed_images(graph, peer, toy_manifest):
    start(graph, peer, toy_manifest, **{"input.image_transport": "compressed"})

    def sample():
        image, info, cloud = peer.messages()
        packed = cv2.imencode(".png", scene()[0])[1].tobytes()
        return CompressedImage(header=image.header, format="rgb8; png compressed bgr8", data=packed), info, cloud

    assert peer.wait(lambda: peer.answer(*sample(), timeout_s=1.0) is not None)
    np.testing.assert_allclose(messages.read_depth(peer.depths[-1]), scene()[1], rtol=2e-3)
    broken, info, cloud = sample()
    broken.data = broken.data[:40]
    assert peer.answer(broken, info, cloud, timeout_s=1.0) is None
    assert peer.says("image")
    assert peer.wait(lambda: peer.answer(*sample(), timeout_s=1.0) is not None)


def test_a_raw_fisheye_image_is_rectified(running):
    fisheye = Camera(64, 48, CAMERA.K, "equidistant", (0.0, 0.0, 0.0, 0.0))
    image, info, cloud = running.messages()
    header = {"stamp_ns": messages.stamp_ns(image), "frame_id": "camera"}
    bent = fill_camera_info(messages.camera_info_fields(fisheye), **header)
    assert running.answer(image, bent, cloud) is not None
    assert running.wait(lambda: running.depth_infos[-1].header == image.header)
    assert not any(running.depth_infos[-1].d)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"solver.nam": "global_affine"}, "Did you mean solver.name?"),
        ({"solver.name": "magic"}, "one of global_affine"),
        ({"cloud.stride": 900}, "from 1 to 64"),
        ({"cloud.stride": 1.5}, "whole number"),
        ({"solver.focus_m": "abc"}, "number"),
    ],
)
def test_a_wrong_parameter_stops_the_start_with_one_line(graph, settings, words):
    graph.start("node", [*NODE, *ros_arguments(settings, {})])
    assert graph.finish("node", 30) == 1
    complaint = [line for line in graph.log("node").splitlines() if line.startswith("metric_depth_node: ")]
    assert len(complaint) == 1
    assert words in complaint[0]
    assert next(iter(settings)) in complaint[0]
    assert "Traceback" not in graph.log("node")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_node_cleanly(graph, peer, toy_manifest, sign):
    start(graph, peer, toy_manifest)
    assert peer.good_answer() is not None
    graph._processes["node"].send_signal(sign)
    assert graph.finish("node", 10) == 0
    assert "Traceback" not in graph.log("node")


def test_the_newest_image_wins(running):
    """A burst is not queued up: dropped images are counted and the last one is answered."""
    samples = [running.messages() for _ in range(30)]
    for sample in samples:
        running.send(*sample)
    assert running.wait(lambda: any(d.header == samples[-1][0].header for d in running.depths))
    answered = {messages.stamp_ns(d) for d in running.depths}
    sent = {messages.stamp_ns(s[0]) for s in samples}
    dropped = len(sent - answered)
    assert running.wait(lambda: int(running.status_value("images in") or 0) >= 31)
    if dropped:
        assert running.wait(lambda: running.status_value("images dropped for newer ones") is not None)


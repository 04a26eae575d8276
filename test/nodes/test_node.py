"""metric_depth_node as a process of its own, on a real ROS graph."""

import signal
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from conftest import write_toy_model
from peer import CAMERA, scene, start_node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from metric_depth_ros import messages
from metric_depth_ros.cli.live import NODE, ros_arguments
from metric_depth_ros.nodes.outputs import fill_camera_info, fill_cloud, fill_image
from metric_depth_ros.types import Camera

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def running(graph, peer, toy_manifest):
    """A node that has answered once; yields the peer."""
    start_node(graph, peer, toy_manifest)
    assert peer.good_answer(timeout_s=60.0) is not None, graph.log("node")
    return peer


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


STAGES = [
    "waiting",
    "clouds",
    "read",
    "prepare",
    "anchors",
    "engine",
    "regions",
    "solver",
    "publish",
    "latency",
]


def test_every_stage_and_the_whole_way_are_timed(running):
    running.stamp_ns = time.time_ns()  # the node's own clock
    assert running.good_answer() is not None
    assert running.wait(lambda: running.status_value("stamp_to_publication_ms p50/p95/p99"))
    for stage in STAGES:
        p50, p95, p99 = map(float, running.status_value(f"{stage}_ms p50/p95/p99").split(" / "))
        assert p50 <= p95 <= p99


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


def test_settings_that_cannot_be_used_leave_those_before_them(graph, peer, toy_manifest, tmp_path):
    """What no check of the values sees shows when the pipeline is made: said once, and depth goes on."""
    absent = str(tmp_path / "absent.yaml")
    settings = {"regions.source": "sam", "regions.manifest": absent, "solver.name": "global_affine"}
    start_node(graph, peer, toy_manifest, **settings)
    assert peer.good_answer() is not None, graph.log("node")
    assert peer.set_parameter("solver.name", "region_aware").successful
    before = len(peer.statuses)
    for _ in range(5):
        np.testing.assert_allclose(messages.read_depth(peer.good_answer()), scene()[1], rtol=2e-3)
    words = "the new settings cannot be used, those before them stay"
    assert peer.wait(lambda: any(words in s.message and absent in s.message for s in peer.statuses[before:]))
    assert graph.log("node").count(words) <= 2
    assert peer.set_parameter("solver.name", "global_affine").successful
    assert peer.good_answer() is not None
    assert peer.wait(lambda: "publishing at" in peer.statuses[-1].message)


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
    points = messages.read_grid(msg)
    truth = scene()[1][::2, ::2]
    assert np.array_equal(np.isnan(points[:, :, 2]), truth > 10.0)
    known = truth <= 9.9
    np.testing.assert_allclose(points[:, :, 2][known], truth[known], rtol=2e-3)


def test_sigma_is_published_to_subscribers_by_solvers_that_have_one(running):
    running.subscribe_sigma()
    assert running.wait(lambda: running.count_subscribers("depth/sigma") == 1)
    assert running.set_parameter("solver.name", "auto").successful
    image, info, cloud = running.messages()
    depth = messages.read_depth(running.answer(image, info, cloud))
    assert running.wait(lambda: running.sigmas)
    assert running.sigmas[-1].header == image.header
    sigma = messages.read_depth(running.sigmas[-1])
    assert np.array_equal(np.isnan(sigma), np.isnan(depth))
    assert (sigma[np.isfinite(sigma)] > 0).all()
    assert running.set_parameter("solver.name", "global_affine").successful
    count = len(running.sigmas)
    assert running.answer(*running.messages()) is not None
    assert len(running.sigmas) == count


def test_regions_may_come_by_topic(graph, peer, toy_manifest):
    labels_out = peer.create_publisher(Image, "regions", 5)
    start_node(graph, peer, toy_manifest, **{"regions.source": "topic", "solver.name": "region_aware"})
    assert peer.wait(labels_out.get_subscription_count)
    assert peer.answer(*peer.messages(), timeout_s=0.5) is None
    for _ in range(30):
        peer.answer(*peer.messages(), timeout_s=0.1)
        if peer.says("regions: nothing on /regions (1 publishers", 0.05):
            break
    assert peer.says("regions: nothing on /regions (1 publishers"), graph.log("node")

    def answer():
        sample = peer.messages()
        halves = np.repeat((np.arange(64) >= 32)[None], 48, axis=0) * np.float32(0.001)
        labels = fill_image(
            messages.depth_fields(halves + np.float32(0.001), "16UC1"), stamp_ns=0, frame_id="camera"
        )
        labels.header.stamp = sample[0].header.stamp
        labels_out.publish(labels)
        return peer.answer(*sample, timeout_s=1.0)

    assert peer.wait(lambda: answer() is not None), graph.log("node")
    np.testing.assert_allclose(messages.read_depth(answer()), scene()[1], rtol=5e-3)
    assert peer.wait(lambda: peer.status_value("solver regions") == "2")


def test_a_solver_with_a_memory_goes_on_without_clouds(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest, **{"solver.temporal.memory_s": 5.0})
    assert peer.good_answer() is not None, graph.log("node")
    peer.stamp_ns += 1_000_000_000  # no cloud is near enough in time
    image, info, _ = peer.messages()
    assert peer.answer(image, info, None) is not None, graph.log("node")
    told = len(peer.statuses)
    assert peer.wait(lambda: len(peer.statuses) > told + 1), graph.log("node")  # diagnostics go on
    assert peer.good_answer() is not None, graph.log("node")


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


def test_without_camera_info_the_node_says_so(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest)

    def image_only():
        image, _, cloud = peer.messages()
        peer.send(image, None, cloud)

    def complained():
        image_only()
        return any("camera_info: nothing on /camera_info" in s.message for s in list(peer.statuses))

    assert peer.wait(complained), (graph.log("node"), [s.message for s in peer.statuses][-3:])
    assert peer.good_answer() is not None


def test_without_images_the_node_says_so(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest)
    assert peer.says("image: nothing on /image (1 publishers")


def test_a_missing_transform_is_named_and_used_once_it_comes(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest, tf=False)
    assert peer.wait(lambda: "engine ready" in graph.log("node"))

    def complained():
        assert peer.answer(*peer.messages(), timeout_s=0.3) is None
        return peer.says("lidar", timeout_s=0)

    assert peer.wait(complained)
    peer.mount_lidar()
    assert peer.good_answer() is not None


def test_extrinsics_may_come_from_parameters(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest, tf=False, **{"extrinsics.source": "parameters"})
    assert peer.good_answer() is not None
    assert peer.set_parameter("extrinsics.translation", [0.0, 0.0, 2.0]).successful
    moved = messages.read_depth(peer.answer(*peer.messages()))
    assert np.nanmedian(moved / scene()[1]) > 1.1


def test_map_points_are_seen_from_where_the_camera_is(graph, peer, toy_manifest):
    """Anchors in the map's frame, as a VIO gives them, while the camera moves."""
    start_node(graph, peer, toy_manifest, tf=False)
    _, truth, points = scene()

    def answer(x):
        message, info, _ = peer.messages()
        stamp_ns = messages.stamp_ns(message)
        peer.move_camera(stamp_ns, x)
        in_map = messages.points_fields(points + np.float32([x, 0, 0]))
        return peer.answer(
            message, info, fill_cloud(in_map, stamp_ns=stamp_ns, frame_id="map"), timeout_s=1.0
        )

    assert peer.wait(lambda: answer(0.0) is not None)
    for x in (1.0, 2.5):
        np.testing.assert_allclose(messages.read_depth(answer(x)), truth, rtol=2e-3)


def test_qos_can_be_overridden(graph, peer, toy_manifest):
    policy = "qos_overrides./image.subscription.reliability"
    start_node(graph, peer, toy_manifest, **{policy: "reliable"})
    offered = {info.topic_type: info.qos_profile for info in peer.get_subscriptions_info_by_topic("/image")}
    assert offered["sensor_msgs/msg/Image"].reliability == ReliabilityPolicy.RELIABLE
    clouds = peer.get_subscriptions_info_by_topic("/anchors")
    assert clouds[0].qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert peer.good_answer() is not None


def test_time_may_jump_back(running):
    """A bag loops: with a full ring of later clouds, the images of the next loop get depth and cloud.

    The first waits for the second, which shows that its stamp is no slip.
    """
    running.subscribe_points()
    assert running.wait(lambda: running.count_subscribers("depth/points") == 1)
    for _ in range(40):
        running.answer(*running.messages())
    late = running.stamp_ns
    running.stamp_ns -= 50_000_000_000
    before = len(running.points)
    running.send(*running.messages())
    for _ in range(5):
        depth = running.answer(*running.messages())
        assert depth is not None
        assert messages.stamp_ns(depth) < late
    assert running.wait(lambda: len(running.points) - before >= 4)
    assert running.wait(lambda: running.status_value("time jumps") == "1")


@pytest.mark.parametrize(
    ("sec", "words"), [(0, "stamp: 0 s"), (70, "stamp far from"), (2**31 - 1, "stamp far from")]
)
def test_one_wrong_stamp_is_passed_over_and_named(graph, peer, toy_manifest, sec, words):
    start_node(graph, peer, toy_manifest)
    assert peer.good_answer(timeout_s=60.0) is not None, graph.log("node")
    wrong, info, cloud = peer.messages()
    wrong.header.stamp.sec, wrong.header.stamp.nanosec = sec, 0
    assert peer.answer(wrong, info, cloud, timeout_s=0.5) is None
    for _ in range(3):
        assert peer.answer(*peer.messages()) is not None
    assert peer.wait(lambda: peer.status_value("failed: stamp") == "1")
    assert peer.status_value("time jumps") is None
    assert words in graph.log("node")


def test_a_latched_camera_info_serves_all_images(graph, peer, toy_manifest):
    """It was sent once, before the node was there: images get the newest of their frame."""
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    infos = peer.create_publisher(CameraInfo, "camera_info", latched)
    infos.publish(peer.messages()[1])
    start_node(graph, peer, toy_manifest)

    def answered():
        image, _, cloud = peer.messages()
        return peer.answer(image, None, cloud, timeout_s=0.5) is not None

    assert peer.wait(answered), graph.log("node")
    assert all(answered() for _ in range(5))
    assert peer.answer(*peer.messages()) is not None  # one with its own
    other, _, cloud = peer.messages()
    other.header.frame_id = "other"
    assert peer.answer(other, None, cloud, timeout_s=0.5) is None


def test_small_steps_back_are_no_jump(running):
    for step in (100, -2, 100, -2):
        running.stamp_ns += (step - 100) * 1_000_000
        assert running.answer(*running.messages()) is not None
    assert running.status_value("time jumps") is None


def test_a_missing_model_is_said_and_loaded_once_it_is_there(graph, peer, tmp_path):
    manifest = write_toy_model(tmp_path / "model")
    model = tmp_path / "model" / "toy.onnx"
    content = model.read_bytes()
    model.unlink()
    start_node(graph, peer, manifest)
    peer.send(*peer.messages())
    assert peer.says("toy.onnx")
    model.write_bytes(content[:-1])
    assert peer.says("sha256")
    model.write_bytes(content)
    assert peer.good_answer() is not None


def test_compressed_images(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest, **{"input.image_transport": "compressed"})

    def sample():
        image, info, cloud = peer.messages()
        packed = cv2.imencode(".png", scene()[0])[1].tobytes()
        return (
            CompressedImage(header=image.header, format="rgb8; png compressed bgr8", data=packed),
            info,
            cloud,
        )

    assert peer.wait(lambda: peer.answer(*sample(), timeout_s=1.0) is not None)
    np.testing.assert_allclose(messages.read_depth(peer.depths[-1]), scene()[1], rtol=2e-3)
    broken, info, cloud = sample()
    broken.data = broken.data[:40]
    assert peer.answer(broken, info, cloud, timeout_s=1.0) is None
    assert peer.says("image")
    assert peer.wait(lambda: peer.answer(*sample(), timeout_s=1.0) is not None)


def test_a_raw_fisheye_image_is_rectified(running):
    fisheye = Camera(64, 48, CAMERA.K, "equidistant", (0.0, 0.0, 0.0, 0.0))
    image, _, cloud = running.messages()
    header = {"stamp_ns": messages.stamp_ns(image), "frame_id": "camera"}
    bent = fill_camera_info(messages.camera_info_fields(fisheye), **header)
    assert running.answer(image, bent, cloud) is not None
    assert running.wait(lambda: running.depth_infos[-1].header == image.header)
    assert not any(running.depth_infos[-1].d)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"solver.nam": "global_affine"}, "Did you mean solver.name?"),
        ({"solver.name": "magic"}, "one of auto, gaussian_process, global_affine"),
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
    assert next(iter(settings)).split(".")[0] in complaint[0]
    assert "Traceback" not in graph.log("node")


def test_a_malformed_remapping_stops_the_start_with_one_line(graph):
    graph.start("node", [*NODE, "--ros-args", "-r", "image:=bad topic"])
    assert graph.finish("node", 30) == 1
    assert "metric_depth_node: " in graph.log("node")
    assert "bad topic" in graph.log("node")
    assert "Traceback" not in graph.log("node")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_node_cleanly(graph, peer, toy_manifest, sign):
    start_node(graph, peer, toy_manifest)
    assert peer.good_answer() is not None
    graph._processes["node"].send_signal(sign)
    assert graph.finish("node", 10) == 0
    assert "Traceback" not in graph.log("node")


@pytest.mark.parametrize("delay_s", [0.3, 0.6, 0.9])
def test_ctrl_c_while_the_node_starts_and_its_model_is_missing_leaves_no_traceback(graph, delay_s):
    graph.start("node", [*NODE, *ros_arguments({"engine.manifest": "/nowhere.yaml"}, {})])
    time.sleep(delay_s)
    graph._processes["node"].send_signal(signal.SIGINT)
    graph.finish("node", 10)
    assert "Traceback" not in graph.log("node")


def test_the_newest_image_wins(running):
    """Images that come while one waits for its cloud are dropped and counted; the last is answered."""
    assert running.set_parameter("sync.max_wait_s", 5.0).successful
    running.stamp_ns += 10_000_000_000  # the clouds so far are too old

    def count(name):
        return int(running.status_value(name) or 0)

    def one_more_makes_one_drop():
        image, info, _ = running.messages()
        running.send(image, info, None)
        return running.wait(lambda: count("images dropped for newer ones"), timeout_s=0.3)

    assert running.wait(one_more_makes_one_drop, timeout_s=60)
    assert running.good_answer(timeout_s=60) is not None
    outcomes = ("published", "images dropped for newer ones", "failed: anchors", "failed: tf")
    assert running.wait(lambda: sum(map(count, outcomes)) == count("pairs in"))


def test_overlapping_gives_the_same_depth_in_order(graph, peer, toy_manifest):
    """engine.overlap: always: a second thread solves; failures are told and survived all the same."""
    start_node(graph, peer, toy_manifest, **{"engine.overlap": "always"})
    assert peer.good_answer() is not None, graph.log("node")
    first, stamps = len(peer.depths), []
    for _ in range(5):
        image, info, cloud = peer.messages()
        np.testing.assert_allclose(
            messages.read_depth(peer.answer(image, info, cloud)), scene()[1], rtol=2e-3
        )
        stamps.append(image.header.stamp)
    assert [depth.header.stamp for depth in peer.depths[first:]] == stamps
    image, info, cloud = peer.messages()
    info.k = np.zeros(9)
    assert peer.answer(image, info, cloud, timeout_s=1.0) is None
    assert "not calibrated" in graph.log("node")
    np.testing.assert_allclose(messages.read_depth(peer.good_answer()), scene()[1], rtol=2e-3)

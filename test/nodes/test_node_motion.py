"""A running node moves clouds in time as far as tf tells it how, and names a range that jumps."""

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from diagnostic_msgs.msg import DiagnosticArray
from peer import scene, start_node

from metric_depth_ros import messages
from metric_depth_ros.nodes.outputs import fill_cloud

pytestmark = pytest.mark.timeout(120)
MS = 1_000_000


def scaled(cloud, factor):
    """The cloud of the scene, ``factor`` times as far."""
    fields = messages.points_fields(scene()[2] * np.float32(factor))
    return fill_cloud(fields, stamp_ns=messages.stamp_ns(cloud.header), frame_id="lidar")


def test_motion_is_found_in_tf_and_what_is_not_known_yet_costs_no_image(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest)
    assert peer.good_answer() is not None, graph.log("node")
    assert peer.wait(lambda: peer.status_value("fixed frame") == "no motion known")

    def moved(late_ms):
        image, info, cloud = peer.messages()
        for before_ms in (200, 100, late_ms):
            peer.move_camera(peer.stamp_ns - before_ms * MS, x=-0.001 * before_ms)
        return peer.answer(image, info, cloud, timeout_s=0.5)

    assert peer.wait(lambda: moved(0) and peer.status_value("fixed frame") == "map"), graph.log("node")
    late = "map, 40 ms before the image"
    peer.stamp_ns += 1000 * MS
    assert peer.wait(lambda: moved(40) and peer.status_value("fixed frame") == late), graph.log("node")
    assert int(peer.status_value("images with motion left out")) > 0
    peer.stamp_ns += 5000 * MS  # odometry has ended
    assert peer.good_answer() is not None, graph.log("node")
    words = "map, but not known at the image's time: clouds are not moved"
    assert peer.wait(lambda: peer.status_value("fixed frame") == words)
    # A frame that is named is waited for.
    assert peer.set_parameter("sync.fixed_frame", "map").successful
    assert peer.wait(lambda: peer.answer(*peer.messages(), timeout_s=0.5) is None and peer.says("tf: ", 0))
    assert peer.set_parameter("sync.fixed_frame", "none").successful
    assert peer.good_answer() is not None
    assert not peer.set_parameter("sync.mode", "newest").successful
    assert peer.set_parameter("sync.mode", "exact").successful
    assert peer.good_answer() is not None
    image, info, cloud = peer.messages()
    cloud.header.stamp.nanosec += 1
    assert peer.answer(image, info, cloud, timeout_s=1.0) is None
    assert peer.says("sync.mode is exact, which needs equal stamps"), graph.log("node")


def test_a_cloud_of_doubled_range_gives_no_depth_and_is_named(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest)
    told = []
    peer.create_subscription(DiagnosticArray, "depth/info", lambda msg: told.extend(msg.status), 50)
    assert peer.good_answer() is not None, graph.log("node")
    for turn in range(1, 11):
        image, info, cloud = peer.messages()
        wrong = turn % 5 == 0
        depth = peer.answer(image, info, scaled(cloud, 2 if wrong else 1), timeout_s=1 if wrong else 5)
        assert (depth is None) == wrong, (turn, graph.log("node"))
        if depth is not None:
            np.testing.assert_allclose(messages.read_depth(depth), scene()[1], rtol=5e-3)
    assert "range jump: 2 times as deep as 0.10 s before" in graph.log("node")
    assert peer.says("range jump: 2 times as deep", 0)
    why = [pair.value for status in told for pair in status.values if pair.key == "why"]
    assert len(why) == 2 and all("range jump: 2 times" in words for words in why)
    # A true change is followed from its second cloud on.
    for turn in range(3):
        image, info, cloud = peer.messages()
        depth = peer.answer(image, info, scaled(cloud, 1.5), timeout_s=5 if turn else 1)
        assert turn == 0 or depth is not None, graph.log("node")
    np.testing.assert_allclose(messages.read_depth(depth), 1.5 * scene()[1], rtol=5e-3)

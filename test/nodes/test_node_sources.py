"""Anchors of a running node: from any sensor's messages, and from several sources at once."""

import contextlib
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

import rclpy
from geometry_msgs.msg import Point32
from peer import CAMERA, LATCHED, scene, start_node
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud, PointCloud2, Range
from std_msgs.msg import String

from metric_depth_ros import messages
from metric_depth_ros.cli.live import NODE, ros_arguments
from metric_depth_ros.config import Config
from metric_depth_ros.health.status import ERROR, Health
from metric_depth_ros.nodes import anchor_input
from metric_depth_ros.nodes.outputs import fill_camera_info, fill_image

pytestmark = pytest.mark.timeout(120)


def old_cloud(header):
    points = [Point32(x=float(x), y=float(y), z=float(z)) for x, y, z in scene()[2]]
    return PointCloud(header=header, points=points)


def depth_picture(header):
    fields = messages.depth_fields(scene()[1].astype(np.float32), "16UC1")
    return fill_image(fields, stamp_ns=messages.stamp_ns(header), frame_id=header.frame_id)


def replaced(peer, publisher, kind):
    """A publisher of another type on the same topic; Fast DDS frees the topic some time after."""
    topic, found = publisher.topic_name, []
    peer.destroy_publisher(publisher)

    def created():
        with contextlib.suppress(_rclpy.RCLError):
            found.append(peer.create_publisher(kind, topic, 5))
        return found

    assert peer.wait(created)
    return found[0]


def answers(peer, publisher, make):
    """Depth of an image that comes with another sensor's message, in the image's own frame."""
    image, info, _ = peer.messages()
    publisher.publish(make(image.header))
    return peer.answer(image, info, None, timeout_s=0.5)


@pytest.mark.parametrize(("kind", "make"), [(PointCloud, old_cloud), (Image, depth_picture)])
def test_the_topic_of_anchors_is_read_as_what_it_is(graph, peer, toy_manifest, kind, make):
    start_node(graph, peer, toy_manifest)
    publisher = replaced(peer, peer.clouds, kind)
    assert peer.wait(lambda: answers(peer, publisher, make) is not None), graph.log("node")
    np.testing.assert_allclose(messages.read_depth(peer.depths[-1]), scene()[1], rtol=5e-3)


def test_a_scan_that_does_not_reach_the_image_and_a_type_that_is_none_are_said(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest)
    publisher = replaced(peer, peer.clouds, LaserScan)

    def scan(header):
        return LaserScan(header=header, angle_increment=0.1, range_max=9.0, ranges=[2.0] * 7)

    def complained(words, make):
        assert answers(peer, publisher, make) is None
        return peer.says(words, 0)

    assert peer.wait(lambda: complained("0 usable of 7 points", scan)), graph.log("node")
    publisher = replaced(peer, publisher, String)
    words = "/anchors is std_msgs/msg/String; needed one of sensor_msgs/msg/PointCloud2"
    assert peer.wait(lambda: complained(words, lambda header: String())), graph.log("node")


SOURCES = {
    "anchors.sources": "[lidar,front,tof,absent]",
    "sources.lidar.topic": "points",
    "sources.front.topic": "range",
    "sources.tof.topic": "tof/depth",
    "sources.absent.topic": "nowhere",
}


@pytest.fixture
def several(graph, peer, toy_manifest):
    """A node with sources, and a function that publishes all that it is asked for and returns the depth."""
    publishers = {
        "lidar": peer.create_publisher(PointCloud2, "points", 5),
        "front": peer.create_publisher(Range, "range", 5),
        "tof": peer.create_publisher(Image, "tof/depth", 5),
    }
    infos = peer.create_publisher(CameraInfo, "tof/camera_info", LATCHED)
    infos.publish(fill_camera_info(messages.camera_info_fields(CAMERA), stamp_ns=1, frame_id="camera"))
    start_node(graph, peer, toy_manifest, clouds=False, **SOURCES)

    def beam(header):
        return Range(header=header, field_of_view=0.1, max_range=20.0, range=0.5)  # beside the image

    makers = {"front": beam, "tof": depth_picture}

    def answer(*names):
        image, info, cloud = peer.messages()
        for name in names:
            publishers[name].publish(cloud if name == "lidar" else makers[name](image.header))
        return peer.answer(image, info, None, timeout_s=0.5)

    return answer


def test_several_sources_serve_together_and_alone_and_are_counted_apart(several, peer, graph):
    assert peer.wait(lambda: several("lidar", "front", "tof") is not None), graph.log("node")
    assert peer.wait(lambda: several("lidar", "front", "tof") and peer.status_value("tof anchors"))
    assert peer.wait(lambda: int(peer.status_value("lidar anchors")) > 100)
    silent = "source absent: nothing on /nowhere, which nobody publishes. Start its driver, or set sources.ab"
    assert peer.wait(lambda: several("lidar") and peer.says(silent, 0)), graph.log("node")
    assert "source lidar: nothing" not in graph.log("node")
    silent = "source front: nothing on /range (1 publishers, reliable; "  # it spoke before
    assert peer.wait(lambda: several("lidar") and peer.says(silent, 0)), graph.log("node")
    assert peer.status_value("front anchors") == "0"
    assert peer.wait(lambda: several("front", "tof") and peer.status_value("front used")), graph.log("node")
    assert "range on /range (1 publishers)" in peer.status_value("source front")
    assert "point_cloud2 on /nowhere (0 publishers)" in peer.status_value("source absent")
    peer.stamp_ns += 5_000_000_000  # all that was kept is too old
    for name in ("lidar", "tof"):
        assert peer.wait(lambda name=name: several(name) is not None), (name, graph.log("node"))
        np.testing.assert_allclose(messages.read_depth(peer.depths[-1]), scene()[1], rtol=5e-3)
    for names, words in ((("front",), "need 3"), ((), "anchors: no cloud for the image")):
        peer.stamp_ns += 5_000_000_000
        assert peer.wait(lambda n=names, w=words: several(*n) is None and peer.says(w, 0)), graph.log("node")


def test_settings_of_sources_change_live_and_are_checked(several, peer, graph):
    assert peer.wait(lambda: several("lidar") is not None), graph.log("node")
    assert peer.set_parameter("sources.lidar.sigma_base_m", 0.5).successful
    refused = peer.set_parameter("sources.lidar.accumulate", 300)
    assert not refused.successful
    assert peer.set_parameter("sources.lidar.frame", "moon").successful
    assert peer.wait(lambda: several("lidar") is None and peer.says("moon", 0)), graph.log("node")
    # The others go on, and what is wrong with this one is said.
    assert peer.wait(lambda: several("lidar", "tof") is not None), graph.log("node")
    assert peer.says("source lidar: tf: "), graph.log("node")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sources.lidar.topic": "/points"}, "Add lidar to anchors.sources"),
        ({"anchors.sources": "[lidar]"}, "sources.lidar.topic: empty"),
        ({**SOURCES, "sources.tof.topik": "/x"}, "Did you mean sources.tof.topic?"),
        ({**SOURCES, "sources.tof.type": "tof"}, "one of auto, point_cloud2"),
        ({**SOURCES, "sources.tof.topic": "a b"}, "sources.tof.topic: 'a b'; needed a topic"),
        ({"anchors.sources": "3"}, "needed a list of names"),
        (
            {**SOURCES, "sources.tof.topic": "depth/image_rect"},
            "tof: /depth/image_rect is this node's own output; needed a sensor's. Set sources.tof.t",
        ),
        (
            {**SOURCES, "sources.tof.topic": "depth/image_raw", "sources.tof.type": "depth_image"},
            "tof: /depth/camera_info is this node's own output; needed a sensor's. Set sources.tof.c",
        ),
    ],
)
def test_wrong_sources_stop_the_start_with_one_line(graph, settings, words):
    refuses_to_start(graph, words, settings)


@pytest.mark.parametrize("name", ["image", "camera_info", "anchors"])
def test_no_input_is_an_output_of_the_same_node(graph, name):
    remaps = {name: "depth/camera_info"}
    refuses_to_start(graph, f"{name}: /depth/camera_info is this node's own output", {}, remaps)


def test_a_depth_image_beside_the_outputs_needs_its_calibration_named(graph, peer, toy_manifest):
    """Its type is found late; what the node publishes itself is never taken for the depth camera's."""
    settings = {"anchors.sources": "[lidar,tof]", "sources.lidar.topic": "anchors"}
    start_node(graph, peer, toy_manifest, **settings, **{"sources.tof.topic": "depth/image_raw"})
    pictures = peer.create_publisher(Image, "depth/image_raw", 5)

    def answer():
        image, info, cloud = peer.messages()
        pictures.publish(depth_picture(image.header))
        return peer.answer(image, info, cloud, timeout_s=0.5)

    words = "tof: /depth/camera_info is this node's own output"
    assert peer.wait(lambda: answer() is not None and peer.says(words, 0)), graph.log("node")
    assert peer.count_subscribers("depth/camera_info") == 1  # the peer itself
    assert peer.status_value("tof anchors") in (None, "0")


def refuses_to_start(graph, words, settings, remaps=None):
    graph.start("node", [*NODE, *ros_arguments(settings, remaps or {})])
    assert graph.finish("node", 30) == 1
    (complaint,) = [line for line in graph.log("node").splitlines() if line.startswith("metric_depth_node: ")]
    assert words in complaint
    assert "Traceback" not in graph.log("node")


def test_a_refused_topic_stays_an_error_while_silent_sources_are_looked_for(peer, monkeypatch):
    monkeypatch.setattr(anchor_input, "SILENCE_S", 0.3)
    health, node = Health(), rclpy.create_node("listener")
    anchors = anchor_input.AnchorInput(node, Config(), health)
    cloud = peer.messages()[2]
    cloud.fields = []

    def looks(until, *sent):
        return peer.wait(
            lambda: peer.send(None, None, *sent) or rclpy.spin_once(node, timeout_sec=0.02) or until()
        )

    assert looks(lambda: health.counted("failed: cloud"), cloud)
    until_s = time.monotonic() + 1.0
    assert looks(lambda: health.count("images in") or time.monotonic() > until_s, None)
    level, words, _ = health.summary()
    assert level == ERROR and words == anchors.values()["source anchors"].partition("Last refused: ")[2]
    anchors.destroy()
    node.destroy_node()

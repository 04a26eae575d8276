"""Companions of images whose clocks or drivers fail and come back: it is named, and ends with its cause."""

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

import rclpy
from peer import scene, start_node
from sensor_msgs.msg import Image

from metric_depth_ros import messages
from metric_depth_ros.nodes.outputs import fill_image

pytestmark = pytest.mark.timeout(120)

_HOUR_S = 3600
_SETTINGS = {"regions.source": "topic", "solver.name": "region_aware"}


class Drivers:
    """Camera with calibration and regions, and a LiDAR."""

    def __init__(self, graph, peer, manifest, **settings):
        self.peer, self.graph = peer, graph
        self.labels = peer.create_publisher(Image, "regions", 5)
        start_node(graph, peer, manifest, **_SETTINGS, **settings)
        assert peer.wait(self.labels.get_subscription_count)
        assert peer.wait(lambda: self.answer() is not None, 60.0), graph.log("node")

    def answer(self, wrong="", ahead_s=0, absent="", timeout_s=0.5):
        """Depth of one image; one of its companions stamped ahead, another absent."""
        image, info, cloud = self.peer.messages()
        halves = ((np.arange(64) >= 32)[None] + np.zeros((48, 1))).astype(np.uint8)
        header = {"stamp_ns": messages.stamp_ns(image), "frame_id": "camera"}
        labels = fill_image(messages.depth_fields(1e-3 * halves + np.float32(1e-3), "16UC1"), **header)
        sent = {"camera_info": info, "regions": labels, "cloud": cloud}
        if wrong:
            sent[wrong].header.stamp.sec += ahead_s
        if absent != "regions":
            self.labels.publish(labels)
        there = {name: None if name == absent else message for name, message in sent.items()}
        return self.peer.answer(image, there["camera_info"], there["cloud"], timeout_s)


@pytest.fixture
def drivers(graph, peer, toy_manifest):
    return Drivers(graph, peer, toy_manifest)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("camera_info", "camera_info: the clock of its driver is +3600."),
        ("regions", "regions: the clock of its driver is +3600."),
        ("cloud", "The sensor's clock is +3600."),
    ],
)
def test_companions_an_hour_ahead_are_named_and_depth_comes_back_when_they_are_right(drivers, wrong, words):
    for _ in range(40):
        drivers.answer(wrong, _HOUR_S, timeout_s=0.05)

    def said():
        drivers.answer(wrong, _HOUR_S, timeout_s=0.1)
        return words in drivers.graph.log("node")

    assert drivers.peer.wait(said), drivers.graph.log("node")
    assert drivers.peer.wait(lambda: drivers.answer() is not None, 5.0), drivers.graph.log("node")
    for _ in range(3):
        np.testing.assert_allclose(messages.read_depth(drivers.answer()), scene()[1], rtol=5e-3)


@pytest.mark.parametrize("wrong", ["camera_info", "regions", "cloud"])
def test_one_companion_an_hour_ahead_costs_no_more_than_its_image(drivers, wrong):
    drivers.answer(wrong, _HOUR_S)
    for _ in range(3):
        assert drivers.answer() is not None, drivers.graph.log("node")
    if wrong == "cloud":
        assert "source anchors: stamped up to +3600." in drivers.graph.log("node")


def test_a_calibration_that_falls_silent_is_told_and_held(drivers):
    for _ in range(30):
        drivers.answer()
    told = "camera_info: nothing on /camera_info (1 publishers"

    def said():
        assert drivers.answer(absent="camera_info") is not None
        return told in drivers.graph.log("node")

    assert drivers.peer.wait(said, 10.0), drivers.graph.log("node")
    assert "The last one is used" in drivers.graph.log("node")


def test_a_bad_label_image_is_called_one(drivers):
    image, info, cloud = drivers.peer.messages()
    labels = Image(header=image.header, height=48, width=64, encoding="mono8", step=64, data=[1, 2, 3])
    drivers.labels.publish(labels)
    drivers.peer.send(image, info, cloud)
    assert drivers.peer.wait(lambda: "regions: 3 bytes for 64x48 mono8" in drivers.graph.log("node"))
    assert drivers.answer() is not None


def test_another_node_of_this_name_is_told(drivers):
    other = rclpy.create_node("metric_depth_node")
    assert drivers.peer.says("2 nodes are called /metric_depth_node")
    other.destroy_node()
    assert drivers.answer() is not None

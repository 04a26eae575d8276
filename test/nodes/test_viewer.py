"""What a running node publishes is shown in Rerun."""

import time

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")
pytest.importorskip("rerun.chunk")

from peer import start_node
from rerun import chunk

from metric_depth_ros.cli.live import VERB

pytestmark = pytest.mark.timeout(120)
ENTITIES = {
    "/depth",
    "/sigma",
    "/world/camera/picture",
    "/world/camera/picture/anchors/anchors",
    "/residual/residual_median",
    "/world/camera/cloud",
    "/world/camera/anchors/anchors",
    "/anchors/anchors",
    "/scale/scale",
    "/stages/latency",
}


def test_a_running_node_s_depth_and_anchors_are_shown(graph, peer, toy_manifest, tmp_path):
    start_node(graph, peer, toy_manifest)
    recording = tmp_path / "shown.rrd"
    graph.start("view", [*VERB, "view", str(recording)])
    graph.wait_for("view", "showing /depth/image_rect", 60)
    for topic in ("depth/image_rect", "depth/camera_info", "depth/image_rect_color"):
        assert peer.wait(lambda topic=topic: peer.count_subscribers(topic), 30)
    deadline = time.monotonic() + 60
    while "is shown" not in graph.log("view") and time.monotonic() < deadline:  # once it hears the node
        assert peer.good_answer() is not None, graph.log("node")
    for _ in range(60):
        assert peer.good_answer() is not None, graph.log("node")
    assert graph.stop("view") == 0, graph.log("view")
    assert "shown: 0" not in graph.log("view")
    shown = {each.entity_path for each in chunk.RrdReader(recording).stream()}
    assert shown >= ENTITIES, (ENTITIES - shown, graph.log("view"))

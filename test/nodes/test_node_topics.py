"""Topics of metric_depth_node that set parameters, and the one that says what the scale is from."""

import math

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from diagnostic_msgs.msg import DiagnosticArray
from peer import Peer, start_node
from std_msgs.msg import Float32, String

from metric_depth_ros import messages
from metric_depth_ros.cli.live import Graph
from metric_depth_ros.nodes.outputs import fill_cloud

pytestmark = pytest.mark.timeout(120)


def test_a_planner_slides_the_focus(ros, tmp_path, toy_manifest):
    peer = Peer()
    try:
        with Graph(tmp_path / "logs", apart=False) as graph:
            focus = peer.create_publisher(Float32, "focus", 5)
            start_node(graph, peer, toy_manifest, **{"solver.name": "global_affine", "solver.focus_m": 7.0})
            assert peer.good_answer() is not None, graph.log("node")
            assert peer.wait(lambda: peer.status_value("focus_m") == "7")
            assert peer.status_value("focus from") == "parameter"
            assert peer.wait(focus.get_subscription_count)

            # The next image has it: every one is answered, and diagnostics say where it is from.
            focus.publish(Float32(data=5.5))
            assert peer.wait(lambda: peer.get_parameter_value("solver.focus_m").double_value == 5.5)
            assert peer.answer(*peer.messages()) is not None
            assert peer.wait(lambda: peer.status_value("solver focus_m") == "5.5")
            assert peer.status_value("focus_m") == "5.5"
            assert peer.status_value("focus from") == "topic /focus"

            # What cannot be is refused, and the focus before it stays.
            focus.publish(Float32(data=-3.0))
            assert peer.says("/focus: "), graph.log("node")
            assert peer.get_parameter_value("solver.focus_m").double_value == 5.5

            # Whoever spoke last is heard.
            assert peer.set_parameter("solver.focus_m", 4.0).successful
            assert peer.wait(lambda: peer.status_value("focus from") == "parameter")
            assert peer.status_value("focus_m") == "4"

            assert peer.set_parameter("solver.focus_m", "indoor").successful
            assert peer.wait(lambda: peer.status_value("focus_m") == "10")

            focus.publish(Float32(data=math.nan))
            assert peer.wait(lambda: peer.get_parameter_value("solver.focus_m").double_value == 0.0)
            depth = peer.answer(*peer.messages())
            assert np.isfinite(messages.read_depth(depth)).any()
            assert peer.wait(lambda: peer.status_value("focus_m") == "0")
    finally:
        peer.close()


def test_the_scene_is_described_while_it_runs_and_every_image_says_where_its_scale_is_from(
    ros, tmp_path, toy_manifest
):
    peer = Peer()
    try:
        with Graph(tmp_path / "logs", apart=False) as graph:
            said, heard = peer.create_publisher(String, "description", 5), []
            start_node(graph, peer, toy_manifest, **{"solver.name": "global_affine"})
            assert peer.good_answer() is not None, graph.log("node")
            peer.create_subscription(DiagnosticArray, "depth/info", heard.append, 5)
            assert peer.wait(said.get_subscription_count)

            said.publish(String(data="A corridor."))
            wanted = "solver.description"
            assert peer.wait(lambda: peer.get_parameter_value(wanted).string_value == "A corridor.")
            assert peer.wait(lambda: peer.status_value("description from") == "topic /description")
            assert peer.status_value("description") == "A corridor."
            assert peer.set_parameter(wanted, "").successful
            assert peer.wait(lambda: peer.status_value("description from") == "parameter")

            def told():
                """Whether an answered image has its info: discovery takes its time."""
                depth = peer.answer(*peer.messages())
                stamps = [depth.header.stamp] if depth else []
                return peer.wait(lambda: any(msg.header.stamp in stamps for msg in heard), 1.0)

            assert peer.wait(told)
            (status,) = heard[-1].status
            assert status.message == "anchors" and heard[-1].header.frame_id == "camera"
            assert {"scale_from": "anchors"}.items() <= {v.key: v.value for v in status.values}.items()
    finally:
        peer.close()


def test_without_any_anchor_the_info_says_that_there_is_nothing(ros, tmp_path, toy_manifest):
    peer = Peer()
    try:
        with Graph(tmp_path / "logs", apart=False) as graph:
            heard = []
            peer.create_subscription(DiagnosticArray, "depth/info", heard.append, 5)
            start_node(graph, peer, toy_manifest, **{"solver.name": "global_affine"})
            assert peer.good_answer() is not None, graph.log("node")

            def told():
                """Whether an image whose cloud lies behind the camera is said to have nothing."""
                image, info, _ = peer.messages()
                stamp_ns = messages.stamp_ns(image)
                behind = np.array([[0.0, 0.0, -5.0]], np.float32)
                cloud = fill_cloud(messages.points_fields(behind), stamp_ns=stamp_ns, frame_id="lidar")
                peer.send(image, info, cloud)
                return peer.wait(lambda: any(m.status[0].message == "nothing" for m in heard), 2.0)

            assert peer.wait(told), graph.log("node")
            (status,) = next(m for m in heard if m.status[0].message == "nothing").status
            assert "usable" in {v.key: v.value for v in status.values}["why"]
            assert status.level == b"\x01"
    finally:
        peer.close()

"""Transforms of a running node: wrong stamps, loops and jumps in time end no longer than they last."""

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from geometry_msgs.msg import TransformStamped
from peer import scene, start_node

from metric_depth_ros import messages
from metric_depth_ros.nodes.outputs import fill_cloud

pytestmark = pytest.mark.timeout(120)

_HOUR_NS = 3_600_000_000_000


def depth_with_points_in_the_map(peer, x=1.0, timeout_s=1.0):
    """The answer to one image at a place, whose anchors are in the map's frame."""
    image, info, _ = peer.messages()
    stamp_ns = messages.stamp_ns(image)
    peer.move_camera(stamp_ns, x)
    in_map = messages.points_fields(scene()[2] + np.float32([x, 0, 0]))
    cloud = fill_cloud(in_map, stamp_ns=stamp_ns, frame_id="map")
    return peer.answer(image, info, cloud, timeout_s=timeout_s)


@pytest.fixture
def mapped(graph, peer, toy_manifest):
    """A node that has answered with anchors in the map; yields the peer."""
    start_node(graph, peer, toy_manifest, tf=False, **{"sync.fixed_frame": "map"})
    assert peer.wait(lambda: depth_with_points_in_the_map(peer) is not None), graph.log("node")
    return peer


def expect_depth(depth):
    assert depth is not None
    np.testing.assert_allclose(messages.read_depth(depth), scene()[1], rtol=2e-3)


@pytest.mark.parametrize("times", [1, 3])
def test_transforms_an_hour_ahead_are_named_and_survived(mapped, graph, times):
    for _ in range(times):
        mapped.move_camera(mapped.next_stamp() + _HOUR_NS, 9.0)
    assert mapped.wait(lambda: depth_with_points_in_the_map(mapped, 2.0) is not None, 5.0)
    for x in (1.0, 2.5):
        expect_depth(depth_with_points_in_the_map(mapped, x))
    words = "'camera' in 'map' came once stamped +3599.9" if times == 1 else "stamps jumped by +360"
    assert words in graph.log("node") and "clock" in graph.log("node")


def test_a_transform_that_closes_a_loop_is_named_and_survived(mapped, graph):
    mapped.mount("camera", "map")
    closing = TransformStamped(child_frame_id="map")
    closing.header.frame_id, closing.transform.rotation.w = "camera", 1.0
    mapped.moving_tf.sendTransform(closing)
    assert mapped.says("'map' in 'camera' closes a loop"), graph.log("node")
    for x in (1.0, 2.5):
        expect_depth(depth_with_points_in_the_map(mapped, x))


def test_a_bag_that_loops_costs_no_image_but_the_first(mapped, graph):
    """The transforms of the next loop come before its images do."""
    for _ in range(10):
        expect_depth(depth_with_points_in_the_map(mapped))
    mapped.stamp_ns -= 5_000_000_000
    depth_with_points_in_the_map(mapped, timeout_s=0.1)  # it waits for the next, as its stamp may be wrong
    for _ in range(5):
        expect_depth(depth_with_points_in_the_map(mapped))
    assert "failed: tf" not in {pair.key for status in list(mapped.statuses) for pair in status.values}
    assert mapped.wait(lambda: mapped.status_value("time jumps") == "1")
    assert graph.log("node").count("time jumped back") == 1


def test_a_cloud_whose_transform_is_late_leaves_its_place_to_one_before_it(graph, peer, toy_manifest):
    """A LiDAR at 100 Hz, transforms at 10 Hz."""
    start_node(graph, peer, toy_manifest, **{"sync.fixed_frame": "map", "sync.max_cloud_lead_s": 0.05})

    def answer():
        image, info, _ = peer.messages()
        stamp_ns = messages.stamp_ns(image)
        peer.move_camera(stamp_ns, 1.0)
        for off_ns in (-40_000_000, 20_000_000):
            peer.clouds.publish(peer.messages(stamp_ns + off_ns)[2])
        return peer.answer(image, info, None, timeout_s=1.0)

    assert peer.wait(lambda: answer() is not None), graph.log("node")
    for _ in range(5):
        expect_depth(answer())

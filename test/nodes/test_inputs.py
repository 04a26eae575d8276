"""The node's inputs as parts, in a node of the test's own."""

import pytest

pytest.importorskip("rclpy")

import rclpy

from metric_depth_ros.config import from_flat
from metric_depth_ros.health.status import Health
from metric_depth_ros.nodes.anchor_input import AnchorInput
from metric_depth_ros.nodes.image_input import ImageInput
from metric_depth_ros.nodes.transform_input import TransformInput

pytestmark = pytest.mark.timeout(60)


def built(node, config, health):
    images = ImageInput(node, config, health, on_pair=print, on_jump=print)
    return images, AnchorInput(node, config, health), TransformInput(node, 0.1)


@pytest.fixture
def node(ros):
    node = rclpy.create_node("inputs")
    yield node
    node.destroy_node()


@pytest.mark.parametrize("source", ["built-in", "topic"])
def test_destroyed_inputs_leave_nothing_and_may_be_built_again(node, source):
    config, before = from_flat({"regions.source": source}), [len(list(node.timers)), 0]
    for _ in range(2):
        inputs = built(node, config, Health())
        assert len(list(node.subscriptions)) >= 5 and len(list(node.timers)) > before[0]
        for each in inputs:
            each.destroy()
        assert [len(list(node.timers)), len(list(node.subscriptions))] == before

"""The node's inputs as parts, in a node of the test's own."""

import pytest

pytest.importorskip("rclpy")

import rclpy
from geometry_msgs.msg import TransformStamped

from metric_depth_ros.config import from_flat
from metric_depth_ros.health.status import Health
from metric_depth_ros.nodes.anchor_input import AnchorInput
from metric_depth_ros.nodes.diagnostics import Diagnostics
from metric_depth_ros.nodes.image_input import ImageInput
from metric_depth_ros.nodes.transform_input import TransformInput

pytestmark = pytest.mark.timeout(60)


def built(node, config, health):
    images = ImageInput(node, config, health, on_pair=print, on_jump=print)
    return images, AnchorInput(node, config, health), TransformInput(node, health, 0.1)


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


def test_many_bad_transforms_and_frames_make_few_and_short_lines(node, monkeypatch):
    heard, published = [], []
    health = Health(lambda level, text: heard.append(text))
    transforms = TransformInput(node, health, 0.0)
    for i in range(1_000):
        transform = TransformStamped(child_frame_id=f"f{i}")
        transform.header.frame_id, transform.transform.rotation.w = "map", float(i % 2)
        transforms.set_transform(transform, "")
        transforms.set_transform_static(TransformStamped(child_frame_id=f"a{i}" * 50_000), "")
    with health.reporting_failures():
        transforms.lookup("map", "camera", 5)
    diagnostics = Diagnostics(node, health)
    monkeypatch.setattr(diagnostics._publisher, "publish", published.append, raising=False)
    diagnostics.publish({"k" * 100_000: "v" * 100_000}, active=True)
    assert 2 <= len(heard) <= 10 and max(map(len, heard)) < 1_100
    (status,) = published[0].status
    assert "'camera' does not exist" in status.message and "Publish it" in status.message
    assert sum(len(value.key) + len(value.value) for value in status.values) + len(status.message) < 10_000
    transforms.destroy()

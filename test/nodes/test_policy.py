"""The SROS 2 policy allows exactly what the node does."""

import xml.etree.ElementTree as ElementTree

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from rclpy.parameter import Parameter

from metric_depth_ros.share import share_path

# Together these subscribe all that the node can.
STARTS = ({"use_sim_time": True, "regions.source": "topic"}, {"input.image_transport": "compressed"})


def allowed(profile, group, permission):
    """Full names of the topics or services with a permission."""
    node = f"/{profile.get('node')}"
    listed = [each for part in profile.findall(group) if part.get(permission) == "ALLOW" for each in part]
    return {"/" + each.text.replace("~", node).lstrip("/") for each in listed}


def test_the_policy_allows_exactly_the_names_of_a_running_node(ros, toy_manifest):
    from metric_depth_ros.nodes.metric_depth_node import MetricDepthNode

    used = {kind: set() for kind in ("publisher", "subscriber", "service", "client")}
    for start in STARTS:
        settings = {"engine.manifest": str(toy_manifest), **start}
        node = MetricDepthNode(
            parameter_overrides=[Parameter(name, value=value) for name, value in settings.items()]
        )
        try:
            for kind, names in used.items():
                asked = getattr(node, f"get_{kind}_names_and_types_by_node")
                names.update(name for name, _ in asked("metric_depth_node", "/"))
        finally:
            node.destroy_node()
    (profile,) = ElementTree.parse(share_path("config/sros2_policy.xml")).iter("profile")
    assert (profile.get("ns"), profile.get("node")) == ("/", "metric_depth_node")
    assert allowed(profile, "topics", "publish") == used["publisher"]
    assert allowed(profile, "topics", "subscribe") == used["subscriber"]
    assert allowed(profile, "services", "reply") == used["service"]
    assert not used["client"]

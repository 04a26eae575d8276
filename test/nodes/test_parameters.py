"""Settings as ROS parameters: their types stay, and QoS overrides take effect."""

import threading

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from peer import CAMERA, LATCHED, Peer, scene
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from metric_depth_ros.config import from_flat, to_flat, updated
from metric_depth_ros.engines.pool import EnginePool
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.nodes.live_depth import LiveDepth, topic_ends
from metric_depth_ros.nodes.parameters import declare_config, on_set
from metric_depth_ros.nodes.qos import unused_overrides
from metric_depth_ros.pipeline import build_pipeline
from metric_depth_ros.types import Sample

pytestmark = pytest.mark.timeout(120)
BOOL, INTEGER, DOUBLE, STRING, DOUBLES = 1, 2, 3, 4, 8


def node_with(name="metric_depth_node", **parameters):
    """A plain node with these parameters from the command line."""
    words = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
    return Node(name, cli_args=["--ros-args", *words] if words else None)


@pytest.fixture(scope="module")
def set_and_get(ros):
    """(peer, config): a node whose parameters were given in other types, its peer, and its settings."""
    given = {"solver.focus_m": 2, "sync.max_wait_s": 0, "extrinsics.translation": "[0, 0, 1]"}
    node, peer = node_with(**given), Peer()
    config = [declare_config(node)]
    take = config.append
    node.add_on_set_parameters_callback(on_set(lambda: config[-1], take, in_use=lambda: True))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield peer, config
    executor.shutdown()
    thread.join(5)
    node.destroy_node()
    peer.close()


def test_every_parameter_has_the_type_of_its_setting_at_the_start(set_and_get):
    peer, config = set_and_get
    for name, default in to_flat(config[0]).items():
        found = peer.get_parameter_value(name)
        kinds = {bool: BOOL, int: INTEGER, float: DOUBLE, str: STRING}
        if type(default) in kinds:
            assert found.type == kinds[type(default)], name
    assert peer.get_parameter_value("solver.focus_m").double_value == 2.0
    assert list(peer.get_parameter_value("extrinsics.translation").double_array_value) == [0.0, 0.0, 1.0]
    assert (config[0].solver.focus_m, config[0].sync.max_wait_s) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("name", "given", "stored"),
    [
        ("solver.focus_m", 3, 3.0),
        ("solver.focus_m", "indoor", 10.0),
        ("solver.focus_m", "off", 0.0),
        ("cloud.rate_hz", 0, 0.0),
        ("anchors.max_depth_m", 50, 50.0),
    ],
)
def test_a_number_stays_a_double_whatever_is_sent(set_and_get, name, given, stored):
    """``ros2 param set ... 3`` sends an integer; others rely on the type that was declared."""
    peer, config = set_and_get
    assert peer.set_parameter(name, given).successful
    found = peer.get_parameter_value(name)
    assert (found.type, found.double_value) == (DOUBLE, stored)
    assert to_flat(config[-1])[name] == stored


def test_what_is_refused_keeps_value_and_type(set_and_get):
    peer, _ = set_and_get
    assert peer.set_parameter("solver.focus_m", 4).successful
    for wrong in (-3, "nowhere", True):
        assert not peer.set_parameter("solver.focus_m", wrong).successful
    found = peer.get_parameter_value("solver.focus_m")
    assert (found.type, found.double_value) == (DOUBLE, 4.0)
    assert not peer.set_parameter("save.folder", "/elsewhere").successful


# ---- QoS ---------------------------------------------------------------------------------------

OUTPUTS = (
    "/depth/image_rect", "/depth/camera_info", "/depth/image_rect_color", "/depth/sigma", "/depth/points",
    "/depth/preview/compressed", "/depth/info", "/diagnostics",
)  # fmt: skip
INPUTS = ("/image", "/camera_info", "/anchors", "/range", "/range_info", "/regions", "/focus", "/description")
NOT_OURS = {"/tf", "/tf_static", "/parameter_events", "/rosout"}


@pytest.fixture(scope="module")
def live(ros, toy_manifest):
    """(node, its live part) with overrides of every topic; nothing is loaded."""
    changed = {"history": "keep_all", "reliability": "best_effort", "durability": "transient_local"}
    overrides = {
        f"qos_overrides.{topic}.{end}.{policy}": value
        for end, topics in (("publisher", OUTPUTS), ("subscription", INPUTS))
        for topic in topics
        for policy, value in changed.items()
        if (topic, policy) != ("/depth/camera_info", "reliability")
    }
    node = node_with("overridden", **overrides)
    config = from_flat(
        {
            "engine.manifest": str(toy_manifest),
            "regions.source": "topic",
            "anchors.sources": ["anchors", "range"],
            "sources.anchors.topic": "anchors",
            "sources.range.topic": "range",
            "sources.range.type": "depth_image",
            "sources.range.camera_info": "range_info",
        }
    )
    found = LiveDepth(node, config, EnginePool())
    found.activate()
    yield node, found, config
    found.destroy()
    node.destroy_node()


def test_the_qos_of_every_topic_can_be_overridden(live):
    node, _, _ = live
    publishers = {each.topic_name: each.qos_profile for each in node.publishers}
    publishers = {topic: qos for topic, qos in publishers.items() if topic not in NOT_OURS}
    assert set(publishers) == set(OUTPUTS)
    subscriptions = [each for each in node.subscriptions if each.topic_name not in NOT_OURS]
    assert {each.topic_name for each in subscriptions} == set(INPUTS)
    for topic, qos in publishers.items():
        assert (qos.history, qos.durability) == (HistoryPolicy.KEEP_ALL, DurabilityPolicy.TRANSIENT_LOCAL), (
            topic
        )
        wanted = (
            ReliabilityPolicy.RELIABLE if topic == "/depth/camera_info" else ReliabilityPolicy.BEST_EFFORT
        )
        assert qos.reliability == wanted, topic
    latched = {"/range_info"}  # subscribed a second time, whatever the first is
    for each in subscriptions:
        qos = each.qos_profile
        if each.topic_name not in latched:
            assert qos.history == HistoryPolicy.KEEP_ALL, each.topic_name
            assert qos.reliability == ReliabilityPolicy.BEST_EFFORT, each.topic_name
        assert qos.durability == DurabilityPolicy.TRANSIENT_LOCAL, each.topic_name


def test_the_graph_sees_the_overrides(live):
    node, _, _ = live
    (depth,) = node.get_publishers_info_by_topic("/depth/image_rect")
    assert depth.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    (image,) = node.get_subscriptions_info_by_topic("/image")
    assert image.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_a_latched_camera_info_reaches_those_who_come_later(live):
    _, found, config = live
    peer, heard = Peer(), []
    try:
        image, _, points = scene()
        result = build_pipeline(updated(config, {"solver.name": "median"})).process(
            Sample(image, CAMERA, points, 5_000_000_000, "camera")
        )
        found._outputs.publish(result, config)
        peer.create_subscription(CameraInfo, "depth/camera_info", heard.append, LATCHED)
        assert peer.wait(lambda: heard)
        assert heard[0].header.stamp.sec == 5
    finally:
        peer.close()


@pytest.mark.parametrize(
    ("policy", "value", "words"),
    [
        ("reliability", "sometimes", "needed one of reliable, best_effort, system_default"),
        ("durability", "forever", "needed one of volatile, transient_local, system_default"),
        ("depth", -1, "needed a whole number, not negative"),
        ("depth", "many", "needed a whole number, not negative"),
        ("depth", 5_000_000_000, "not negative, up to 2147483647"),
        ("depth", 0, "0 with history keep_last; needed 1 or more"),
        ("deadline", 5, "unknown policy; needed one of history, depth, reliability, durability"),
    ],
)
def test_overrides_that_cannot_be_end_the_start_with_a_line(ros, policy, value, words):
    refused(f"qos_overrides./image.subscription.{policy}", value, words)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("/camera/image.subscripton.reliability", "reliable", "'subscripton'; needed one of publisher, sub"),
        ("/anchors.subscription_lached.depth", 1, "'subscription_lached'; needed one of"),
        ("depth/image_rect.publisher.depth", 3, "topic 'depth/image_rect'; needed its full name"),
        ("depth", 3, "topic ''; needed its full name"),
    ],
)
def test_overrides_of_other_names_do_not_pass_quietly(ros, name, value, words):
    refused(f"qos_overrides.{name}", value, words)


def refused(name, value, words):
    node = node_with("refused", **{name: value})
    try:
        with pytest.raises(ConfigError, match=words) as error:
            declare_config(node)
        assert name in str(error.value) and "\n" not in str(error.value)
    finally:
        node.destroy_node()


def test_an_override_of_a_topic_of_another_node_passes(ros):
    node = node_with("passes", **{"qos_overrides./left/image.subscription_latched.depth": 3})
    try:
        declare_config(node)
    finally:
        node.destroy_node()


@pytest.mark.parametrize("history", ["keep_all", "system_default"])
def test_a_depth_of_zero_passes_where_it_does_not_count(ros, history):
    ends = {
        "qos_overrides./image.subscription.depth": 0,
        "qos_overrides./image.subscription.history": history,
    }
    node = node_with("unlimited", **ends)
    try:
        declare_config(node)
    finally:
        node.destroy_node()


@pytest.mark.parametrize("name", ["use_sim_timee", "start_type_description_services", "use_sim_time.x"])
def test_parameters_that_begin_as_those_of_ros_do_not_pass_quietly(ros, name):
    refused(name, True, "unknown setting")


def test_the_ends_whose_qos_can_be_overridden_are_those_there_are(live):
    """Those that wait for a publisher apart: compressed images, a latched calibration."""
    node, _, config = live
    there = {f"{each.topic_name}.publisher" for each in node.publishers}
    there |= {f"{each.topic_name}.subscription" for each in node.subscriptions}
    there = {end for end in there if end.rpartition(".")[0] not in NOT_OURS}
    assert topic_ends(node, config) == there | {
        "/image/compressed.subscription",
        "/camera_info.subscription_latched",
        "/range_info.subscription_latched",
    }


def test_overrides_that_nothing_takes_are_named():
    given = [
        "solver.focus_m",
        "qos_overrides./depht/points.publisher.depth",
        "qos_overrides./a.publisher.depth",
    ]
    given += ["qos_overrides./image.publisher.depth", "qos_overrides./depth/points.publisher.history"]
    found = list(unused_overrides(given, {"/depth/points.publisher", "/image.subscription"}))
    assert [words.partition(":")[0] for words in found] == given[1:4]
    assert found[0].endswith("Did you mean /depth/points.publisher?")

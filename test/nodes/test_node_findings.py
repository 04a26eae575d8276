"""Inputs of a running graph with one fault each: the node and the doctor name the true cause and the fix."""

import contextlib
import re
import threading
import time

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from peer import LATCHED, Peer, start_node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String

from metric_depth_ros import messages
from metric_depth_ros.cli.live import NODE, VERB, ros_arguments
from metric_depth_ros.nodes.outputs import fill_cloud

pytestmark = pytest.mark.timeout(120)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def send(peer, index, *, info=True, off_s=0.0, every=1, lead_s=0.0):
    """One image a tenth of a second, with what goes with it."""
    image, calibration, cloud = peer.messages()
    if lead_s or off_s:
        stamp_ns = messages.stamp_ns(image) + round((lead_s + off_s) * 1e9)
        points = {
            name: getattr(cloud, name) for name in ("height", "width", "point_step", "row_step", "data")
        }
        cloud = fill_cloud({**points, "fields": fields_of(cloud)}, stamp_ns=stamp_ns, frame_id="lidar")
    peer.send(image, calibration if info else None, None if lead_s or index % every else cloud)
    time.sleep(lead_s or 0.1)
    if lead_s:
        peer.send(None, None, cloud)


def fields_of(cloud):
    return [(field.name, field.offset, field.datatype, field.count) for field in cloud.fields]


def said(peer, graph, words, step):
    """Whether diagnostics say something while messages go on."""
    deadline, index = time.monotonic() + 30, 0
    while time.monotonic() < deadline:
        step(index)
        index += 1
        if any(found(words, status.message) for status in list(peer.statuses)):
            return True
    print([status.message for status in peer.statuses][-3:], graph.log("node")[-2000:])
    return False


def found(words, message):
    return bool(words.search(message)) if isinstance(words, re.Pattern) else words in message


# Fault -> settings, how messages are sent, words.
FAULTS = {
    "a clock ahead": ({}, {"off_s": 5.0}, re.compile(r"clock is \+(4\.99|5\.0)\d* s off the camera's")),
    "a clock behind": (
        {}, {"off_s": -7.5}, re.compile(r"or name it in anchors\.sources with time_offset_s: 7\.(49|50)"),
    ),
    "an old cloud": (
        {"sync.max_cloud_age_s": 0.05}, {"every": 6},
        "sync.max_cloud_age_s is 0.05 s. Set sync.max_cloud_age_s: 0.",
    ),
    "a clock of a source": (
        {"anchors.sources": "[lidar]", "sources.lidar.topic": "anchors"}, {"off_s": 5.0},
        re.compile(
            r"source lidar: The sensor's clock is \+(4\.99|5\.0)\d* s off the camera's, compared by when "
            r"messages came\. Set it, or set sources\.lidar\.time_offset_s: -(4\.99|5\.0)"
        ),
    ),
    "no calibration": ({}, {"info": False}, "camera_info: nothing on /camera_info (1 publishers, reliable"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_node_names_the_cause(graph, peer, toy_manifest, fault):
    settings, sent, words = FAULTS[fault]
    start_node(graph, peer, toy_manifest, **settings)
    assert said(peer, graph, words, lambda index: send(peer, index, **sent))


def test_a_cloud_that_comes_after_its_image_needs_a_lead(graph, peer, toy_manifest):
    """Once a second, so that the one before is too old."""
    start_node(graph, peer, toy_manifest, **{"sync.max_wait_s": 1.0})

    def step(index):
        peer.stamp_ns += 900_000_000
        send(peer, index, lead_s=0.08)
        time.sleep(0.92)

    words = "sync.max_cloud_lead_s is 0.01 s. Set sync.max_cloud_lead_s: 0.0"
    assert said(peer, graph, words, step)


def test_frames_that_are_missing_are_named_with_those_like_them(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest, tf=False)
    peer.mount("camera", "lidar_link")
    words = "frame 'lidar' does not exist (names like 'lidar': lidar_link)"
    assert said(peer, graph, words, lambda index: send(peer, index))


# What is published instead of an input, overrides of the node's QoS, words.
ENDS = {
    "a wrong type": (
        ("image", String, "image", 5), {},
        "image: /image is std_msgs/msg/String; needed sensor_msgs/msg/Image",
    ),
    "a wrong type of calibration": (
        ("camera_info", String, "camera_info", 5), {},
        "camera_info: /camera_info is std_msgs/msg/String; needed",
    ),
    "best effort to a reliable subscription": (
        ("image", Image, "image", BEST_EFFORT), {"/image": ("reliability", "reliable")},
        "subscribed reliable, so nothing comes. Set qos_overrides./image.subscription.reliability: best",
    ),
    "volatile to a latched subscription": (
        ("anchors", PointCloud2, "anchors", 5), {"/anchors": ("durability", "transient_local")},
        "subscribed best effort, latched, so nothing comes. Set qos_overrides./anchors.subscription.dur",
    ),
    "elsewhere": (
        ("camera_info", CameraInfo, "front/camera_info", LATCHED), {},
        "which nobody publishes. Start its driver, or remap camera_info to one of /front/camera_info",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", ENDS)
def test_both_ends_of_a_topic_are_compared(graph, ros, toy_manifest, fault):
    """Every other input is as it should be."""
    instead, overrides, words = ENDS[fault]
    peer = Peer([instead])
    settings = {f"qos_overrides.{t}.subscription.{key}": value for t, (key, value) in overrides.items()}
    settings |= {"engine.manifest": toy_manifest, "diagnostics.period_s": 0.2}
    graph.start("node", [*NODE, *ros_arguments(settings, {})])
    peer.mount_lidar()

    def step(_):
        for publisher, message in zip((peer.images, peer.infos, peer.clouds), peer.messages(), strict=True):
            publisher.publish(message if isinstance(message, publisher.msg_type) else publisher.msg_type())
        time.sleep(0.1)

    try:
        assert said(peer, graph, words, step)
    finally:
        peer.close()


@contextlib.contextmanager
def sending(peer, **how):
    """Sends messages in a thread."""
    stop = threading.Event()

    def go():
        index = 0
        while not stop.is_set():
            peer.stamp_ns = time.time_ns()
            send(peer, index, **how)
            index += 1

    thread = threading.Thread(target=go)
    thread.start()
    yield
    stop.set()
    thread.join()


GRAPHS = {
    "good": ({}, ["lidar"], "depth will come", 0),
    "no transform": ({}, [], "1. tf: no transform from 'lidar' to 'camera'", 1),
    "another clock": ({"off_s": -100.0}, ["lidar"], "1. anchors: /anchors: The sensor's clock is -", 1),
    "no calibration": ({"info": False}, ["lidar"], "1. camera_info: nothing on /camera_info (1 publ", 1),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_the_doctor_of_a_graph(graph, peer, case):
    how, mounted, words, status = GRAPHS[case]
    for frame in mounted:
        peer.mount("camera", frame)
    with sending(peer, **how):
        graph.start("doctor", [*VERB, "doctor", "--seconds", "3"])
        assert graph.finish("doctor", 60) == status, graph.log("doctor")
    text = graph.log("doctor")
    assert words in text, text
    if not status:
        command = (
            "metric_depth_node --ros-args -r image:=/image -r camera_info:=/camera_info -r anchors:=/anchors"
        )
        assert command in text

"""Faults of processes: the node is stopped and started, drivers and subscribers come and go."""

import os
import signal
import time

from fault_campaign import HANG_S, NONE_OR_RIGHT, QUIET, RIGHT, START_S, Fault, Stream
from peer import LATCHED
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String

from metric_depth_ros.cli.live import NODE, ros_arguments

RELIABLE, BEST_EFFORT = QoSProfile(depth=5), QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def frozen(seconds):
    """The node's process is stopped for a while, and the stream goes on."""

    def act(stream: Stream) -> None:
        stream.process.send_signal(signal.SIGSTOP)
        stream.go_on(seconds)
        stream.process.send_signal(signal.SIGCONT)

    return act


def recreated(name, kind, topic, gap_s=0.3, qos=RELIABLE):
    """A driver ends and starts anew, perhaps with another quality of service."""

    def act(stream: Stream) -> None:
        peer = stream.peer
        peer.destroy_publisher(getattr(peer, name))
        time.sleep(gap_s)
        setattr(peer, name, peer.create_publisher(kind, topic, qos))

    return act


def everything(stream: Stream) -> None:
    recreated("images", Image, "image", 0.0)(stream)
    recreated("infos", CameraInfo, "camera_info", 0.0)(stream)
    recreated("clouds", PointCloud2, "anchors", 0.3)(stream)


def subscribed(kind, topic, qos=RELIABLE, times=5):
    """A subscriber that comes and goes."""

    def act(stream: Stream) -> None:
        for _ in range(times):
            subscription = stream.peer.create_subscription(kind, topic, lambda _: None, qos)
            stream.go_on(0.15)
            stream.peer.destroy_subscription(subscription)

    return act


def twenty(stream: Stream) -> None:
    found = [
        stream.peer.create_subscription(kind, topic, lambda _: None, 5)
        for kind, topic in ((PointCloud2, "depth/points"), (Image, "depth/sigma")) * 10
    ]
    stream.go_on(0.4)
    for each in found:
        stream.peer.destroy_subscription(each)


def slow(stream: Stream) -> None:
    """A subscriber that takes half a second for each cloud."""
    stream.peer.create_subscription(PointCloud2, "depth/points", lambda _: time.sleep(0.5), 1)
    subscription = [*stream.peer.subscriptions][-1]
    stream.go_on(0.6)
    stream.peer.destroy_subscription(subscription)


def other_type(topic):
    """Somebody publishes another type on an input's topic."""

    def act(stream: Stream) -> None:
        try:
            publisher = stream.peer.create_publisher(String, topic, 5)
        except Exception:  # this middleware allows one type of a topic in a process
            other = os.path.join(os.path.dirname(__file__), "other_type.py")
            stream.graph.start("other", [NODE[0], other, topic])
            stream.go_on(2.0)
            stream.graph.stop("other")
        else:
            stream.go_on(0.3)
            stream.peer.destroy_publisher(publisher)

    return act


def same_name(stream: Stream) -> None:
    """A second node of the same name, for a while."""
    settings = {"engine.manifest": stream.manifest, "anchors.grid_px": 0}
    twin = stream.graph.start("twin", [*NODE, *ros_arguments(settings, {})])
    stream.peer.wait(lambda: "engine ready" in stream.graph.log("twin"), START_S)
    stream.go_on(3.0)
    twin.terminate()
    assert twin.wait(HANG_S) == 0


def ended_by(kind, *, in_flight=True):
    """The node is told to end in the middle of the work, and started again."""

    def act(stream: Stream) -> None:
        if in_flight:
            stream.send(stream.sample())
        stream.stop(kind)
        stream.start()

    return act


def told_twice(stream: Stream) -> None:
    stream.send(stream.sample())
    stream.process.send_signal(signal.SIGTERM)
    stream.stop(signal.SIGINT)
    stream.start()


def while_it_waits(stream: Stream) -> None:
    """An image waits for a cloud for up to 5 s."""
    assert stream.peer.set_parameter("sync.max_wait_s", 5.0).successful
    time.sleep(0.4)
    sample = stream.sample()
    sample.cloud = None
    stream.send(sample)
    stream.stop(timeout_s=3.0)
    stream.start()


def killed(stream: Stream) -> None:
    stream.process.kill()
    stream.process.wait()
    stream.start()


def while_it_starts(*delays_s, kind=signal.SIGINT):
    """A signal at several moments of the start; the node ends with status 0, or by the signal itself."""

    def act(stream: Stream) -> None:
        stream.stop()
        for delay_s in delays_s:
            stream.start(wait=False)
            time.sleep(delay_s)
            stream.process.send_signal(kind)
            status = stream.process.wait(HANG_S)
            # Before the node's own code runs, Python itself ends by the signal.
            assert status in (0, -kind) and "nodes/__main__.py" not in stream.log(), (status, stream.log())
        stream.start()

    return act


FAULTS = [
    Fault("the node frozen for 0.7 s", frozen(0.7), QUIET, NONE_OR_RIGHT),
    Fault("the node frozen for 3 s", frozen(3.0), QUIET, NONE_OR_RIGHT),
    Fault("camera restarted", recreated("images", Image, "image"), QUIET),
    Fault("camera gone for 2.5 s", recreated("images", Image, "image", 2.5), "image"),
    Fault("camera restarted as best effort", recreated("images", Image, "image", qos=BEST_EFFORT), QUIET),
    Fault(
        "calibration restarted as latched", recreated("infos", CameraInfo, "camera_info", qos=LATCHED), QUIET
    ),
    Fault("sensor restarted", recreated("clouds", PointCloud2, "anchors"), QUIET),
    Fault("all drivers restarted", everything, QUIET),
    Fault("subscriber of the cloud", subscribed(PointCloud2, "depth/points"), QUIET, RIGHT),
    Fault("subscriber of sigma", subscribed(Image, "depth/sigma"), QUIET, RIGHT),
    Fault(
        "best-effort subscriber of depth", subscribed(Image, "depth/image_rect", BEST_EFFORT), QUIET, RIGHT
    ),
    Fault("latched subscriber of depth", subscribed(Image, "depth/image_rect", LATCHED), QUIET, RIGHT),
    Fault("20 subscribers", twenty, QUIET, RIGHT),
    Fault("a slow subscriber", slow, QUIET, NONE_OR_RIGHT),
    Fault("another type on the image's topic", other_type("image"), QUIET, NONE_OR_RIGHT),
    Fault("another type on the sensor's topic", other_type("anchors"), QUIET, NONE_OR_RIGHT),
    Fault("a second node of the same name", same_name, "2 nodes are called", NONE_OR_RIGHT),
    Fault("SIGINT with an image in flight", ended_by(signal.SIGINT), QUIET, NONE_OR_RIGHT),
    Fault("SIGTERM with an image in flight", ended_by(signal.SIGTERM), QUIET, NONE_OR_RIGHT),
    Fault("SIGTERM and SIGINT at once", told_twice, QUIET, NONE_OR_RIGHT),
    Fault("SIGINT while an image waits for its cloud", while_it_waits, QUIET, NONE_OR_RIGHT),
    Fault("SIGINT at four moments of the start", while_it_starts(0.4, 0.7, 1.0, 1.4), QUIET, NONE_OR_RIGHT),
    Fault("killed and started again", killed, QUIET, NONE_OR_RIGHT),
    Fault("nothing at all for 3 s", lambda stream: time.sleep(3.0), "image"),
]
GROUPS = {"processes": ({"sync.max_cloud_age_s": 0.3}, {}, FAULTS)}

"""One contract for the stand-ins and, where installed, the real ROS packages."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time as clock
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")

from geometry_msgs.msg import PointStamped, TransformStamped  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.time import Time  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from metric_depth_ros import messages  # noqa: E402
from metric_depth_ros.errors import TransformError  # noqa: E402
from metric_depth_ros.geometry import rigid_transform  # noqa: E402
from metric_depth_ros.nodes import ros  # noqa: E402
from metric_depth_ros.nodes.standins import tf2_msgs  # noqa: E402

pytestmark = pytest.mark.timeout(60)


def either(name):
    """A fixture: the stand-in, and the real package where it is installed and works."""

    @pytest.fixture(params=["stand-in", "real"])
    def module(request):
        if request.param == "stand-in":
            return import_module(f"metric_depth_ros.nodes.standins.{name}")
        real = pytest.importorskip(name)
        if getattr(ros, name) is not real:
            pytest.skip(f"{name} is installed but does not work here")
        return real

    return module


message_filters = either("message_filters")
cv_bridge = either("cv_bridge")
tf2_ros = either("tf2_ros")


@pytest.fixture
def node(ros):
    yield from node_in(None)


@pytest.fixture
def lone_node(ros):
    """A node with a participant of its own: one that has met the real TFMessage keeps that type."""
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=rclpy.SignalHandlerOptions.NO)
    yield from node_in(context)
    rclpy.try_shutdown(context=context)


def node_in(context):
    executor = SingleThreadedExecutor(context=context)
    made = rclpy.create_node("standins_test", context=context)
    executor.add_node(made)
    made.spin_until = lambda done: spin_until(executor, done)
    yield made
    executor.shutdown()
    made.destroy_node()


def spin_until(executor, done, limit_s=20):
    end = clock.monotonic() + limit_s
    while not done() and clock.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    assert done(), "nothing arrived"


# --- where they come from


def test_what_cannot_be_imported_is_replaced_one_by_one():
    for name in ("message_filters", "cv_bridge", "tf2_ros"):
        replaced = getattr(ros, name).__name__.startswith("metric_depth_ros.nodes.standins.")
        assert replaced == (name in ros.STAND_INS)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("raise AttributeError('_ARRAY_API not found')", "_ARRAY_API not found"),
        ("if msg.is_bigendian: raise AttributeError('newbyteorder')", "(AttributeError: newbyteorder)"),
    ],
)
def test_a_package_that_is_installed_but_broken_is_replaced(tmp_path, broken, says):
    """As cv_bridge with a NumPy it was not made for: it imports, and raises when it is used."""
    (tmp_path / "cv_bridge.py").write_text(
        "import numpy\n"
        "class CvBridge:\n"
        "    def imgmsg_to_cv2(self, msg, desired_encoding=''):\n"
        f"        {broken}\n"
        "        return numpy.array([[[3, 2, 1]]])\n"
    )
    program = "from metric_depth_ros.nodes import ros; print(ros.cv_bridge.__name__, ros.STAND_INS)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=50
    )
    assert "standins.cv_bridge" in done.stdout and "'cv_bridge'" in done.stdout
    assert says in done.stderr and "numpy<2" in done.stderr


# --- message_filters


def stamped(stamp_s):
    message = PointStamped()
    stamp = Time(nanoseconds=round(stamp_s * 1e9)).to_msg()
    message.header.stamp = stamp
    return message


def seconds(*found):
    return tuple(round(messages.stamp_ns(message) / 1e9, 3) for message in found)


def paired(module, events, *, slop=None, queue_size=10):
    """What a synchronizer of two inputs passes on for events (input, stamp)."""
    inputs = [module.SimpleFilter(), module.SimpleFilter()]
    if slop is None:
        synchronizer = module.TimeSynchronizer(inputs, queue_size)
    else:
        synchronizer = module.ApproximateTimeSynchronizer(inputs, queue_size, slop)
    sets = []
    synchronizer.registerCallback(lambda *found: sets.append(seconds(*found)))
    for which, stamp in events:
        if which == "clear":
            ros.forget_after(synchronizer, 0)
        else:
            inputs[which].signalMessage(stamped(stamp))
    return sets


def test_equal_stamps_pair_in_the_order_of_the_filters(message_filters):
    events = [(1, 1.0), (0, 2.0), (0, 1.0), (1, 3.0), (1, 2.0)]
    assert paired(message_filters, events) == [(1.0, 1.0), (2.0, 2.0)]


def test_near_stamps_pair_with_the_nearest_and_once_only(message_filters):
    events = [(0, 1.0), (0, 1.03), (1, 1.02), (1, 1.021), (1, 1.2), (0, 5.0), (1, 5.05), (1, 5.04)]
    assert paired(message_filters, events, slop=0.05) == [(1.03, 1.02), (1.0, 1.021), (5.0, 5.04)]


def test_the_slop_itself_is_too_much(message_filters):
    assert paired(message_filters, [(0, 1.0), (1, 1.5)], slop=0.5) == []
    assert paired(message_filters, [(0, 1.0), (1, 1.0)], slop=0.0) == []


def test_a_full_queue_drops_its_oldest(message_filters):
    events = [(0, 1.0), (0, 2.0), (0, 3.0), (1, 1.0), (1, 3.0), (1, 2.0)]
    assert paired(message_filters, events, queue_size=2) == [(3.0, 3.0), (2.0, 2.0)]
    assert paired(message_filters, events, queue_size=2, slop=0.01) == [(3.0, 3.0), (2.0, 2.0)]


@pytest.mark.parametrize("slop", [None, 0.01])
def test_time_jumping_back_needs_cleared_queues(message_filters, slop):
    before = [(0, 100.0), (0, 101.0)]
    after = [(0, 1.0), (1, 1.0)]
    assert paired(message_filters, before + after, queue_size=2, slop=slop) == []
    cleared = [*before, ("clear", None), *after]
    assert paired(message_filters, cleared, queue_size=2, slop=slop) == [(1.0, 1.0)]


@pytest.mark.parametrize("allowed", [False, True])
def test_messages_without_a_header_count_as_now_only_where_allowed(message_filters, allowed):
    inputs = [message_filters.SimpleFilter(), message_filters.SimpleFilter()]
    sync = message_filters.ApproximateTimeSynchronizer(inputs, 5, 10.0, allow_headerless=allowed)
    sets = []
    sync.registerCallback(lambda *found: sets.append(found))
    for one in inputs:
        one.signalMessage(String(data="x"))
    assert len(sets) == int(allowed)


def test_arguments_of_a_callback_follow_the_messages(message_filters):
    source, got = message_filters.SimpleFilter(), []
    source.registerCallback(lambda *found: got.append(found), "a", 2)
    source.signalMessage("message")
    assert got == [("message", "a", 2)]


def test_an_exception_in_a_callback_leaves_no_lock_held():
    module = import_module("metric_depth_ros.nodes.standins.message_filters")  # the real one hangs here
    for kind, arguments in ((module.TimeSynchronizer, ()), (module.ApproximateTimeSynchronizer, (0.1,))):
        inputs = [module.SimpleFilter(), module.SimpleFilter()]
        synchronizer = kind(inputs, 5, *arguments)
        got = []

        def fail_first(*found, got=got):
            got.append(seconds(*found))
            if len(got) == 1:
                raise ValueError("first")

        synchronizer.registerCallback(fail_first)
        inputs[0].signalMessage(stamped(1))
        with pytest.raises(ValueError, match="first"):
            inputs[1].signalMessage(stamped(1))
        assert not synchronizer.lock.locked()
        inputs[0].signalMessage(stamped(2))
        inputs[1].signalMessage(stamped(2))
        assert got == [(1.0, 1.0), (2.0, 2.0)]


def test_subscriber_receives(message_filters, node):
    subscriber = message_filters.Subscriber(node, PointStamped, "points_in", qos_profile=5)
    got = []
    subscriber.registerCallback(got.append)
    publisher = node.create_publisher(PointStamped, "points_in", 5)
    node.spin_until(lambda: publisher.get_subscription_count())
    publisher.publish(stamped(7))
    node.spin_until(lambda: got)
    assert seconds(*got) == (7.0,)
    assert subscriber.getTopic() == "points_in" and subscriber.sub.topic_name == "/points_in"


# --- cv_bridge

RGB = np.array([[[10, 60, 200], [90, 30, 5]]], np.uint8)


def image_message(pixels, encoding, *, padding=0, big=0):
    lines = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    lines = np.concatenate([lines, np.full((len(lines), padding), 9, np.uint8)], axis=1)
    return Image(
        height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=big,
        step=lines.shape[1], data=lines.ravel().tolist(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "kind", "channels"),
    [("8UC1", "u1", 1), ("8UC3", "u1", 3), ("16UC1", "u2", 1), ("16SC2", "i2", 2),
     ("32FC1", "f4", 1), ("64FC3", "f8", 3), ("rgb16", "u2", 3), ("mono8", "u1", 1), ("bgra8", "u1", 4)],
)  # fmt: skip
def test_passthrough_and_back(cv_bridge, encoding, kind, channels):
    pixels = np.arange(2 * 3 * channels).reshape(2, 3, channels).astype(kind)
    pixels = pixels[..., 0] if channels == 1 else pixels
    bridge = cv_bridge.CvBridge()
    message = bridge.cv2_to_imgmsg(pixels, encoding)
    assert (message.height, message.width, message.encoding) == (2, 3, encoding)
    assert message.step == 3 * pixels.itemsize * channels
    assert bytes(message.data) == pixels.tobytes()
    read = bridge.imgmsg_to_cv2(message)
    assert read.dtype == pixels.dtype and np.array_equal(read, pixels)


def test_more_than_four_channels(cv_bridge):
    """Both read them; the real one does not write them."""
    pixels = np.arange(42, dtype=np.uint8).reshape(2, 3, 7)
    assert np.array_equal(cv_bridge.CvBridge().imgmsg_to_cv2(image_message(pixels, "8UC7")), pixels)
    written = (
        import_module("metric_depth_ros.nodes.standins.cv_bridge").CvBridge().cv2_to_imgmsg(pixels, "8UC7")
    )
    assert (written.encoding, written.step, bytes(written.data)) == ("8UC7", 21, pixels.tobytes())


def test_bare_types_are_named(cv_bridge):
    assert cv_bridge.CvBridge().cv2_to_imgmsg(RGB).encoding == "8UC3"
    assert cv_bridge.CvBridge().cv2_to_imgmsg(np.zeros((2, 2), np.float32)).encoding == "32FC1"


def test_padding_and_big_endian(cv_bridge):
    pixels = np.array([[1, 256], [3, 4]], np.uint16)
    message = image_message(pixels.astype(">u2"), "16UC1", padding=2, big=1)
    assert cv_bridge.CvBridge().imgmsg_to_cv2(message).tolist() == pixels.tolist()


@pytest.mark.parametrize("desired", ["rgb8", "bgr8", "mono8"])
@pytest.mark.parametrize("source", ["rgb8", "bgr8", "rgba8", "bgra8", "rgb16", "bgr16", "rgba16", "bgra16"])
def test_colours(cv_bridge, source, desired):
    pixels = RGB[..., ::-1] if source.startswith("bgr") else RGB
    if source.rstrip("168").endswith("a"):
        pixels = np.concatenate([pixels, np.full((1, 2, 1), 255, np.uint8)], axis=2)
    if source.endswith("16"):
        pixels = pixels.astype(np.uint16) * 257
    read = cv_bridge.CvBridge().imgmsg_to_cv2(image_message(pixels, source), desired)
    expected = {"rgb8": RGB, "bgr8": RGB[..., ::-1], "mono8": cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)}[desired]
    assert read.dtype == np.uint8 and read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= 1


def test_bayer_of_16_bits(cv_bridge):
    tile = np.array([[200, 100], [100, 30]], np.uint16) * 257  # rggb
    read = cv_bridge.CvBridge().imgmsg_to_cv2(image_message(np.tile(tile, (4, 4)), "bayer_rggb16"), "rgb8")
    assert (read == (200, 100, 30)).all()


def test_yuv_equals_our_own_reader(cv_bridge):
    pixels = np.random.default_rng(0).integers(16, 235, (4, 6, 2), np.uint8)
    message = image_message(pixels, "yuv422")
    read = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    assert np.array_equal(read, messages.read_image(message))


# cv_bridge does not stretch 16 bits, and reads these.
CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "yuv422": 2, "yuv422_yuy2": 2}
CHANNELS |= {f"bayer_{pattern}8": 1 for pattern in ("rggb", "bggr", "gbrg", "grbg")}


@pytest.mark.parametrize("encoding", CHANNELS)
def test_our_fast_reader_agrees(cv_bridge, encoding):
    """What both read comes out alike."""
    pixels = np.random.default_rng(1).integers(16, 235, (6, 8, CHANNELS[encoding]), np.uint8)
    padding = 2 * CHANNELS[encoding]  # the real one needs whole pixels
    message = image_message(pixels, encoding, padding=padding)
    read = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    assert np.array_equal(read, messages.read_image(message))


def test_compressed(cv_bridge):
    image = np.tile(RGB, (8, 8, 1))
    message = CompressedImage(format="png", data=cv2.imencode(".png", image[..., ::-1])[1].tolist())
    bridge = cv_bridge.CvBridge()
    assert np.array_equal(bridge.compressed_imgmsg_to_cv2(message, "rgb8"), image)
    assert np.array_equal(bridge.compressed_imgmsg_to_cv2(message), image[..., ::-1])


def test_what_cannot_be_converted_is_refused(cv_bridge):
    bridge = cv_bridge.CvBridge()
    with pytest.raises(cv_bridge.CvBridgeError):
        bridge.imgmsg_to_cv2(image_message(RGB, "rgb8"), "no_such_encoding")
    with pytest.raises(cv_bridge.CvBridgeError):
        bridge.imgmsg_to_cv2(image_message(np.ones((1, 2), np.float32), "32FC1"), "rgb8")
    with pytest.raises(cv_bridge.CvBridgeError):
        bridge.cv2_to_imgmsg(RGB, "mono8")


def test_short_data_is_refused():
    module = import_module("metric_depth_ros.nodes.standins.cv_bridge")
    message = image_message(RGB, "rgb16")
    with pytest.raises(module.CvBridgeError, match="step"):
        module.CvBridge().imgmsg_to_cv2(message, "rgb8")


# --- tf2


def transform(parent, child, x, stamp_s=0.0):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp = Time(nanoseconds=round(stamp_s * 1e9)).to_msg()
    message.transform.translation.x = float(x)
    return message


class Heard:
    """What a listener needs of a buffer: keeps x of each transform by parent and child."""

    def __init__(self):
        self.moving, self.static = {}, {}

    def set_transform(self, transform, authority):
        self._keep(self.moving, transform)

    def set_transform_static(self, transform, authority):
        self._keep(self.static, transform)

    def _keep(self, kept, transform):
        kept[transform.header.frame_id, transform.child_frame_id] = transform.transform.translation.x


def test_tf_travels(tf2_ros, node):
    """Latched static transforms reach a late listener, all of them; moving ones a present one."""
    static = tf2_ros.StaticTransformBroadcaster(node)
    static.sendTransform([transform("base", "lidar", 5), transform("base", "camera", 2)])
    heard = Heard()
    listener = tf2_ros.TransformListener(heard, node)
    node.spin_until(lambda: len(heard.static) == 2)
    assert heard.static == {("base", "lidar"): 5, ("base", "camera"): 2}
    moving = tf2_ros.TransformBroadcaster(node)
    node.spin_until(lambda: moving.pub_tf.get_subscription_count())
    moving.sendTransform([transform("map", f"robot{i}", i, 4) for i in range(200)])
    moving.sendTransform(transform("map", "base", 7, 4))
    node.spin_until(lambda: len(heard.moving) == 201)
    assert heard.moving["map", "base"] == 7
    assert heard.moving["map", "robot199"] == 199
    listener.unregister()


def test_a_static_message_of_the_stand_in_repeats_those_before(node):
    """A late listener gets the last message alone. In Humble the real one repeats nothing."""
    module = import_module("metric_depth_ros.nodes.standins.tf2_ros")
    static = module.StaticTransformBroadcaster(node)
    static.sendTransform(transform("base", "lidar", 1))
    static.sendTransform(transform("base", "lidar", 5))
    static.sendTransform([transform("base", "camera", 2)])
    heard = Heard()
    listener = module.TransformListener(heard, node)
    node.spin_until(lambda: len(heard.static) == 2)
    assert heard.static == {("base", "lidar"): 5, ("base", "camera"): 2}
    listener.unregister()


def test_tf_travels_between_processes(node):
    program = (
        "import rclpy, time\n"
        "from geometry_msgs.msg import TransformStamped\n"
        "from metric_depth_ros.nodes.ros import tf2_ros\n"
        "rclpy.init()\n"
        "node = rclpy.create_node('other_process')\n"
        "message = TransformStamped(child_frame_id='lidar')\n"
        "message.header.frame_id = 'base'\n"
        "message.transform.translation.x = 5.0\n"
        "broadcaster = tf2_ros.StaticTransformBroadcaster(node)\n"
        "broadcaster.sendTransform(message)\n"
        "print('sent', flush=True)\n"
        "input()\n"
        "node.destroy_node()\n"
        "rclpy.try_shutdown()\n"
    )
    heard = Heard()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    other = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"sent\n"
        listener = ros.tf2_ros.TransformListener(heard, node)  # after it was sent: latched
        node.spin_until(lambda: heard.static)
        assert heard.static == {("base", "lidar"): 5}
        listener.unregister()
        other.communicate(b"\n", timeout=20)
        assert other.returncode == 0
    finally:
        other.kill()
        other.wait()


# --- the TFMessage that needs no tf2_msgs


def test_tf_messages_encode_and_decode():
    T = rigid_transform([1, -2, 3], [0.1, 0.2, -0.3, 0.9])
    data = tf2_msgs.encode([("map", "base", T, 1_500_000_000), ("base", "lidar", np.eye(4), 0)])
    found = [messages.read_transform(stamped) for stamped in tf2_msgs.decode(data).transforms]
    assert [(parent, child, stamp) for parent, child, _, stamp in found] == [
        ("map", "base", 1_500_000_000), ("base", "lidar", 0),
    ]  # fmt: skip
    np.testing.assert_allclose(found[0][2], T, atol=1e-12)


@pytest.mark.parametrize("cut", [0, 3, 30])
def test_bytes_that_are_no_tf_message_are_named(cut):
    data = tf2_msgs.encode([("map", "base", np.eye(4), 0)])
    with pytest.raises(TransformError, match="no TFMessage"):
        tf2_msgs.decode(data[:cut])


def test_the_graph_sees_the_true_type_and_hash(lone_node):
    publisher = lone_node.create_publisher(tf2_msgs.TFMessage, "/tf", 10)
    strings = lone_node.create_publisher(String, "chatter", 10)
    assert dict(lone_node.get_topic_names_and_types())["/tf"] == ["tf2_msgs/msg/TFMessage"]
    [found] = lone_node.get_publishers_info_by_topic("/tf")
    # The hash that rosbag2 stores for this type in bags of Iron and later.
    assert str(found.topic_type_hash) == (
        "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"
    )
    [other] = lone_node.get_publishers_info_by_topic("/chatter")
    assert other.topic_type == "std_msgs/msg/String"
    assert str(other.topic_type_hash) != str(found.topic_type_hash)
    with pytest.raises(TypeError, match="encode"):
        tf2_msgs.TFMessage()
    for made in (publisher, strings):
        lone_node.destroy_publisher(made)


def test_the_middleware_misses_nothing_of_the_type(lone_node):
    """Fast DDS 2 refuses a type without a description, Fast DDS 3 goes on and keeps an error."""
    ends = (
        lone_node.create_publisher(tf2_msgs.TFMessage, "/tf", 10),
        lone_node.create_subscription(tf2_msgs.TFMessage, "/tf", print, 10, raw=True),
    )
    maps = Path("/proc/self/maps").read_text().splitlines()
    library = next(line.split()[-1] for line in maps if "librcutils.so" in line)
    assert not ctypes.CDLL(library).rcutils_error_is_set() & 1
    lone_node.destroy_publisher(ends[0])
    lone_node.destroy_subscription(ends[1])


def test_a_listener_survives_bad_bytes_and_bad_transforms(node):
    module = import_module("metric_depth_ros.nodes.standins.tf2_ros")
    heard = Heard()
    listener = module.TransformListener(heard, node)
    listener.callback(b"\0\1\0\0\xff\xff\xff\xff")
    bad = rigid_transform([0, 0, 0], [0, 0, 0, 1])
    bad[0, 3] = np.inf
    listener.callback(tf2_msgs.encode([("map", "wrong", bad, 10**9), ("map", "right", np.eye(4), 10**9)]))
    assert heard.moving["map", "right"] == 0


def test_another_middleware_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(rclpy, "get_rmw_implementation_identifier", lambda: "rmw_zenoh_cpp")
    with pytest.raises(TransformError, match=r"rmw_zenoh_cpp.*Install ros-<distro>-tf2-ros"):
        tf2_msgs._capsule()


def test_our_points_are_those_of_sensor_msgs_py():
    point_cloud2 = pytest.importorskip("sensor_msgs_py.point_cloud2")
    points = np.random.default_rng(2).normal(size=(50, 3)).astype(np.float32)
    message = point_cloud2.create_cloud_xyz32(Image().header, points)
    read = point_cloud2.read_points_numpy(message, ("x", "y", "z"))
    np.testing.assert_array_equal(messages.read_points(message), read)

"""The other side of the node under test: publishes what it subscribes, collects what it publishes."""

import threading
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from metric_depth_ros import messages
from metric_depth_ros.cli.live import NODE, ros_arguments
from metric_depth_ros.geometry import unproject
from metric_depth_ros.nodes.outputs import fill_camera_info, fill_cloud, fill_image
from metric_depth_ros.nodes.ros import tf2_ros
from metric_depth_ros.types import Camera

CAMERA = Camera(64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]))
REPEATABLE = ("GetState", "GetParameters", "DescribeParameters", "SetParameters")
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SCALE = 20.0  # the scene is SCALE times its gray value deep


def scene():
    """Gray image (48, 64, 3) of a slanted wall, its depth, and points on it in the camera's frame."""
    gray = np.broadcast_to(np.linspace(60, 200, 64).astype(np.uint8), (48, 64))
    image = np.repeat(gray[:, :, None], 3, axis=2).copy()
    depth = SCALE * image[:, :, 0] / 255.0
    u, v = (a.ravel() for a in np.meshgrid(np.arange(0, 64, 3), np.arange(0, 48, 3)))
    return image, depth, unproject(np.stack([u, v], 1), depth[v, u], CAMERA).astype(np.float32)


class Peer(Node):
    """Spins in its own thread until ``close``."""

    def __init__(self, instead=(), namespace=""):
        """``instead``: (topic, type, topic to publish on, QoS) in place of the usual publisher of a topic."""
        super().__init__("peer", namespace=namespace)
        others = {topic: (kind, *other) for topic, kind, *other in instead}

        def publisher(kind, topic):
            return self.create_publisher(*others.get(topic, (kind, topic, 5)))

        self.images = publisher(Image, "image")
        self.compressed = self.create_publisher(CompressedImage, "image/compressed", 5)
        self.infos = publisher(CameraInfo, "camera_info")
        self.clouds = publisher(PointCloud2, "anchors")
        self.tf = tf2_ros.StaticTransformBroadcaster(self)
        self.moving_tf = tf2_ros.TransformBroadcaster(self)
        self.depths, self.depth_infos, self.points, self.statuses = [], [], [], []
        self.sigmas = []
        self.create_subscription(Image, "depth/image_rect", self.depths.append, 50)
        self.create_subscription(CameraInfo, "depth/camera_info", self.depth_infos.append, 50)
        self.create_subscription(
            DiagnosticArray, "/diagnostics", lambda msg: self.statuses.extend(msg.status), 50
        )
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        self.stamp_ns = 100_000_000_000

    def subscribe_points(self):
        self.create_subscription(PointCloud2, "depth/points", self.points.append, 50)

    def subscribe_sigma(self):
        self.create_subscription(Image, "depth/sigma", self.sigmas.append, 50)

    def close(self):
        self._executor.shutdown()
        self._thread.join(5)
        self.destroy_node()

    def destroy_subscription(self, subscription):
        return self._between_waits(super().destroy_subscription, subscription)

    def destroy_publisher(self, publisher):
        return self._between_waits(super().destroy_publisher, publisher)

    def destroy_client(self, client):
        return self._between_waits(super().destroy_client, client)

    def _between_waits(self, destroy, entity):
        """Destroys an entity in the executor's thread, which ends when another destroys what it waits for."""
        if not self._thread.is_alive():
            return destroy(entity)
        task = self._executor.create_task(destroy, entity)
        assert self.wait(task.done)
        return task.result()

    def wait(self, condition, timeout_s=15.0):
        """Whether a condition becomes true in time."""
        assert self._thread.is_alive(), "the peer's executor has ended"
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.01)
        return bool(condition())

    def wait_for_node(self, *, clouds=True):
        """Waits until the node under test is there and all topics are matched."""

        def matched():
            images = self.images.get_subscription_count() or self.compressed.get_subscription_count()
            heard = not clouds or self.clouds.get_subscription_count()
            inputs = images and self.infos.get_subscription_count() and heard
            return inputs and self.count_publishers("depth/image_rect")

        assert self.wait(matched, timeout_s=60.0)  # a process starts: long on a busy machine

    def messages(self, stamp_ns=None):
        """A good image, camera_info and cloud (frame "lidar", the camera's own place) of the scene."""
        image, _, points = scene()
        stamp_ns = self.next_stamp() if stamp_ns is None else stamp_ns
        at_camera = {"stamp_ns": stamp_ns, "frame_id": "camera"}
        return (
            fill_image(messages.image_fields(image), **at_camera),
            fill_camera_info(messages.camera_info_fields(CAMERA), **at_camera),
            fill_cloud(messages.points_fields(points), stamp_ns=stamp_ns, frame_id="lidar"),
        )

    def next_stamp(self):
        self.stamp_ns += 100_000_000
        return self.stamp_ns

    def send(self, image, info, cloud):
        if cloud is not None:
            self.clouds.publish(cloud)
        if info is not None:
            self.infos.publish(info)
        if image is not None:
            (self.compressed if isinstance(image, CompressedImage) else self.images).publish(image)

    def answer(self, image, info, cloud, timeout_s=5.0):
        """Sends one sample and returns the depth message of its stamp, or None."""
        self.send(image, info, cloud)
        stamp = image.header.stamp
        self.wait(lambda: any(d.header.stamp == stamp for d in list(self.depths)), timeout_s)
        return next((d for d in list(self.depths) if d.header.stamp == stamp), None)

    def good_answer(self, timeout_s=10.0):
        """The depth message of a good sample; sends further ones until one is answered."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            depth = self.answer(*self.messages(), timeout_s=1.0)
            if depth is not None:
                return depth
        return None

    def mount_lidar(self):
        """Publishes the static transform camera <- lidar (identity)."""
        self.mount("camera", "lidar")

    def mount(self, parent, child):
        """Publishes the identity as a static transform."""
        transform = TransformStamped()
        transform.header.frame_id, transform.child_frame_id = parent, child
        transform.transform.rotation.w = 1.0
        self.tf.sendTransform(transform)

    def move_camera(self, stamp_ns, x):
        """Publishes the camera's place in the map at a time: ``x`` metres to the right."""
        transform = TransformStamped()
        stamp = transform.header.stamp
        stamp.sec, stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        transform.header.frame_id, transform.child_frame_id = "map", "camera"
        transform.transform.translation.x = x
        transform.transform.rotation.w = 1.0
        self.moving_tf.sendTransform(transform)

    def says(self, words, timeout_s=8.0):
        """Whether a diagnostics message with these words has come, or comes."""
        return self.wait(lambda: any(words in s.message for s in list(self.statuses)), timeout_s)

    def status_value(self, key):
        """A value of the newest diagnostics message that has it."""
        for status in reversed(list(self.statuses)):
            for pair in status.values:
                if pair.key == key:
                    return pair.value
        return None

    def call(self, kind, service, **request):
        """Answer of a service of the node; some are asked again, as an early answer may find no way back."""
        client = self.create_client(kind, f"/metric_depth_node/{service}")
        assert client.wait_for_service(60.0)  # a process starts: long on a busy machine
        for timeout_s in (5.0, 5.0, 20.0) if kind.__name__ in REPEATABLE else (30.0,):
            future = client.call_async(kind.Request(**request))
            if self.wait(future.done, timeout_s):
                break
        assert future.done()
        self.destroy_client(client)
        return future.result()

    def set_parameter(self, name, value):
        """The node's SetParametersResult."""
        kinds = {
            bool: (ParameterType.PARAMETER_BOOL, "bool_value"),
            int: (ParameterType.PARAMETER_INTEGER, "integer_value"),
            float: (ParameterType.PARAMETER_DOUBLE, "double_value"),
            str: (ParameterType.PARAMETER_STRING, "string_value"),
            list: (ParameterType.PARAMETER_DOUBLE_ARRAY, "double_array_value"),
        }
        kind, field = kinds[type(value)]
        parameter = Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))
        return self.call(SetParameters, "set_parameters", parameters=[parameter]).results[0]

    def get_parameter_value(self, name):
        return self.call(GetParameters, "get_parameters", names=[name]).values[0]

    def describe_parameter(self, name):
        return self.call(DescribeParameters, "describe_parameters", names=[name]).descriptors[0]


def start_node(graph, peer, manifest, *, tf=True, clouds=True, command=NODE, **settings):
    """Starts metric_depth_node in a graph and waits until the peer is matched with it."""
    settings = {
        "engine.manifest": str(manifest),
        "anchors.grid_px": 0,
        "diagnostics.period_s": 0.2,
        **settings,
    }
    graph.start("node", [*command, *ros_arguments(settings, {})])
    if tf:
        peer.mount_lidar()
    peer.wait_for_node(clouds=clouds)

"""Prints the files and functions that one image passes through in the running node, in order.

    python benchmarks/path_of_an_image.py [solver]

Stand-ins for packages of a ROS distribution are left out: on a robot the real ones are there. Needs ROS.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from metric_depth_ros.cli.live import own_domain
from metric_depth_ros.share import on_this_machine

os.environ.update(on_this_machine(), ROS_DOMAIN_ID=str((DOMAIN := own_domain())[0]))

import numpy as np
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

import metric_depth_ros
from metric_depth_ros import messages
from metric_depth_ros.geometry import unproject
from metric_depth_ros.nodes.metric_depth_node import MetricDepthNode
from metric_depth_ros.nodes.outputs import fill_camera_info, fill_cloud, fill_image
from metric_depth_ros.nodes.ros import tf2_ros
from metric_depth_ros.types import Camera

PACKAGE = Path(metric_depth_ros.__file__).parent
LEFT_OUT = ("nodes/standins/", "transforms.py")  # the transform tree serves the stand-in of tf2 alone
CAMERA = Camera(320, 240, np.array([[250.0, 0, 159.5], [0, 250.0, 119.5], [0, 0, 1]]))
STEP_NS, PATIENCE_S = 100_000_000, 60.0


class Trace:
    """Keeps the functions of this package that are called while it is on, in the order of the first call."""

    def __init__(self) -> None:
        self.on, self.found = False, dict[str, dict[str, None]]()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if not self.on or event != "call":
            return
        path, function = Path(frame.f_code.co_filename), frame.f_code.co_name
        if path.is_relative_to(PACKAGE) and not function.startswith("<"):
            name = path.relative_to(PACKAGE).as_posix()
            if not name.startswith(LEFT_OUT):
                self.found.setdefault(name, {})[function] = None


class Sensors(Node):
    """A camera and a LiDAR before a slanted wall; keeps the stamps of the depth that comes back."""

    def __init__(self) -> None:
        super().__init__("sensors")
        self.images = self.create_publisher(Image, "image", 5)
        self.infos = self.create_publisher(CameraInfo, "camera_info", 5)
        self.clouds = self.create_publisher(PointCloud2, "anchors", 5)
        self.answered: list[int] = []
        self.create_subscription(Image, "depth/image_rect", self._on_depth, 5)
        mount = TransformStamped()
        mount.header.frame_id, mount.child_frame_id = "camera", "lidar"
        mount.transform.rotation.w = 1.0
        self._tf = tf2_ros.StaticTransformBroadcaster(self)
        self._tf.sendTransform(mount)

    def _on_depth(self, msg: Image) -> None:
        self.answered.append(messages.stamp_ns(msg))

    def publish(self, stamp_ns: int) -> None:
        """One image with its camera_info and cloud."""
        grey = np.broadcast_to(
            np.linspace(60, 200, CAMERA.width).astype(np.uint8), (CAMERA.height, CAMERA.width)
        )
        uv = np.random.default_rng(0).uniform([0, 0], [CAMERA.width, CAMERA.height], (300, 2))
        points = unproject(uv, 2 + uv[:, 0] / 100, CAMERA).astype(np.float32)
        at_camera = {"stamp_ns": stamp_ns, "frame_id": "camera"}
        self.clouds.publish(fill_cloud(messages.points_fields(points), stamp_ns=stamp_ns, frame_id="lidar"))
        self.infos.publish(fill_camera_info(messages.camera_info_fields(CAMERA), **at_camera))
        self.images.publish(fill_image(messages.image_fields(np.stack([grey] * 3, axis=2)), **at_camera))

    def answer(self, stamp_ns: int, patience_s: float) -> bool:
        """Whether depth came back in time."""
        self.publish(stamp_ns)
        deadline = time.monotonic() + patience_s
        while stamp_ns not in self.answered and time.monotonic() < deadline:
            time.sleep(0.01)
        return stamp_ns in self.answered


def spun(executor: SingleThreadedExecutor, node: Node) -> threading.Thread:
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    return thread


def main() -> None:
    solver = sys.argv[1] if len(sys.argv) > 1 else "auto"
    settings = ["engine.runtime:=onnxruntime", f"solver.name:={solver}", "diagnostics.period_s:=60.0"]
    rclpy.init(args=["--ros-args", *(word for setting in settings for word in ("-p", setting))])
    trace = Trace()
    threading.setprofile(trace)  # of threads that start from now on
    executors = [SingleThreadedExecutor(), SingleThreadedExecutor()]
    nodes = [MetricDepthNode()]
    threads = [spun(executors[0], nodes[0])]
    threading.setprofile(None)
    sensors = Sensors()
    nodes.append(sensors)
    threads.append(spun(executors[1], sensors))
    stamp_ns, deadline = 100 * STEP_NS, time.monotonic() + PATIENCE_S
    while not sensors.answer(stamp_ns, 1.0):
        stamp_ns += STEP_NS
        if time.monotonic() > deadline:
            raise SystemExit("no depth came back")
    time.sleep(1.0)
    trace.on = True
    answered = sensors.answer(stamp_ns + STEP_NS, PATIENCE_S)
    trace.on = False
    for executor, thread in zip(executors, threads, strict=True):
        executor.shutdown()
        thread.join(5)
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    for name, functions in trace.found.items():
        print(f"{name}: {', '.join(functions)}")
    print(f"{len(trace.found)} files" if answered else "no depth came back")


if __name__ == "__main__":
    main()

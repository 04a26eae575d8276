"""metric_depth_node for long: a looping bag, parameters that change, subscribers that come and go.

    python benchmarks/soak.py [--minutes 60] [--engine small]

640x480 images at 10 Hz of a made scene, each with a cloud of 40 ms before and a range, on a robot that
drives a circle in odom (transforms at 50 Hz). Every 20 s the bag loops, time jumps back, and each of cloud,
sigma and info is subscribed for some seconds; focus, solver and scale change. Once a minute the node is
reset, every other minute it is deactivated for two seconds, and once it saves a sample. Three processes:
this one subscribes and measures, a second publishes, the third is the node. Prints a Markdown table, a row a
minute, and the limits of soak_limits.py; exit status 1 if one is broken.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from moving_frames import TF_HZ, Robot, header
from soak_limits import HEADER, HZ, Seen, broken, rows

LOOP_S, POINTS = 20, 5000
CLOUD_S = 0.04  # a cloud is so much older than its image
WRONG = 0.1  # median relative error of an image


def scene() -> tuple[Any, Any, Any]:
    """Camera, picture (480, 640, 3) and depth (480, 640) of a floor, a wall and boxes."""
    from metric_depth_ros.types import Camera

    camera = Camera(640, 480, np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]))
    v, u = np.mgrid[0:480, 0:640]
    depth = np.minimum(8.0, 600.0 / np.maximum(v - 200, 1)).astype(np.float32)
    for left, top, width, height, far in (
        (80, 200, 120, 160, 3.0),
        (330, 150, 90, 200, 2.0),
        (500, 220, 80, 80, 5.0),
    ):
        depth[top : top + height, left : left + width] = far
    texture = np.random.default_rng(0).normal(0, 6, (480, 640, 1))
    shade = 230 - 22 * depth + 20 * np.sin(u / 9) * np.cos(v / 11)
    return camera, np.clip(shade[..., None] + texture + [0, 6, -8], 0, 255).astype(np.uint8), depth


def publish(args: argparse.Namespace) -> None:
    """Publishes the scene until the time is over; every LOOP_S the stamps begin anew."""
    import rclpy

    rclpy.init()
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2, Range

    from metric_depth_ros import messages
    from metric_depth_ros.geometry import pixel_rays, transform_points
    from metric_depth_ros.nodes.outputs import fill_camera_info, fill_cloud, fill_image

    node = rclpy.create_node("load")
    images, infos, clouds, ranges = (
        node.create_publisher(kind, topic, 5)
        for kind, topic in (
            (Image, "image"),
            (CameraInfo, "camera_info"),
            (PointCloud2, "points"),
            (Range, "range"),
        )
    )
    camera, image, depth = scene()
    robot = Robot(node, period_s=LOOP_S)
    # The scene moves with the robot: only clouds that are moved to their image's time fit it.
    points = transform_points(
        robot.earlier(CLOUD_S), (pixel_rays(camera) * depth[:, :, None]).reshape(-1, 3).astype(np.float32)
    )
    random, begin, first_ns = np.random.default_rng(0), time.monotonic(), time.time_ns()
    for tick in range(round(60 * args.minutes * TF_HZ)):
        at_s = tick % (LOOP_S * TF_HZ) / TF_HZ
        stamp_ns, phase = first_ns + round(at_s * 1e9), tick % (TF_HZ // HZ)
        robot.send(stamp_ns, at_s)
        if phase == 0:
            some = points[random.integers(0, len(points), POINTS)]
            clouds.publish(fill_cloud(messages.points_fields(some), stamp_ns=stamp_ns, frame_id="lidar"))
        if phase == round(CLOUD_S * TF_HZ):
            at = {"stamp_ns": stamp_ns, "frame_id": "camera"}
            told = {"range": 2.0, "min_range": 0.1, "max_range": 10.0, "field_of_view": 0.05}
            ranges.publish(Range(header=header(stamp_ns, "range"), **told))
            infos.publish(fill_camera_info(messages.camera_info_fields(camera), **at))
            images.publish(fill_image(messages.image_fields(image), **at))
        time.sleep(max(0.0, begin + (tick + 1) / TF_HZ - time.monotonic()))
    rclpy.shutdown()


class Visitor:
    """Subscribes, sets parameters and calls services of a node, one step a second, in loops of LOOP_S."""

    def __init__(self, node: Any, seen: Seen, samples: Path) -> None:
        """``samples``: folder in which the node saves them; they are removed."""
        from diagnostic_msgs.msg import DiagnosticArray
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState
        from rclpy.parameter_client import AsyncParameterClient
        from sensor_msgs.msg import Image, PointCloud2
        from std_srvs.srv import Trigger

        self._node, self._seen, self._samples = node, seen, samples
        self._subscriptions: dict[str, Any] = {}
        self._solver = "auto"
        self._client = AsyncParameterClient(node, "metric_depth_node")
        self._truth = scene()[2]
        node.create_subscription(Image, "depth/image_rect", self._on_depth, 10)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_status, 10)
        kinds = {"points": PointCloud2, "sigma": Image, "info": DiagnosticArray}
        self.steps: dict[int, Callable[[], None]] = {1: lambda: self._set("solver.focus_m", 3.0)}
        for begin, (topic, kind) in zip((2, 6, 10), kinds.items(), strict=True):
            self.steps[begin] = lambda topic=topic, kind=kind: self._subscribe(topic, kind)
            self.steps[begin + 3] = lambda topic=topic: self._leave(topic)
        self.steps |= {
            4: lambda: self._set("output.scale", 0.5),
            8: lambda: self._set("output.scale", 1.0),
            11: lambda: self._set("solver.name", "global_affine"),
            14: lambda: self._set("solver.name", "region_aware"),
            15: lambda: self._set("solver.focus_m", 0.0),
            16: lambda: self._set("solver.name", "auto"),
        }
        kinds = {"reset": Trigger, "save_sample": Trigger, "change_state": ChangeState}
        self._services = {
            name: node.create_client(kind, f"metric_depth_node/{name}") for name, kind in kinds.items()
        }
        deactivate, activate = (
            ChangeState.Request(transition=Transition(id=each))
            for each in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)
        )
        self._calls = {  # by second in so many loops
            # Once, before memory is looked at: the first ten samples raise it, see docs/benchmarks.md.
            (sys.maxsize, 5): ("save_sample", Trigger.Request()),
            (3 * LOOP_S, LOOP_S + 13): ("reset", Trigger.Request()),
            (6 * LOOP_S, 4 * LOOP_S + 15): ("change_state", deactivate),
            (6 * LOOP_S, 4 * LOOP_S + 17): ("change_state", activate),
        }

    def step(self, second: int) -> None:
        """Does what is due in a second since the start."""
        self.steps.get(second % LOOP_S, lambda: None)()
        for (every, at), (service, request) in self._calls.items():
            if second % every == at:
                self._call(service, request)

    def _call(self, service: str, request: Any) -> None:
        def answered(future: Any) -> None:
            self._seen.succeeded[service] += future.result().success
            shutil.rmtree(self._samples, ignore_errors=True)

        self._seen.called[service] += 1
        self._services[service].call_async(request).add_done_callback(answered)

    def _subscribe(self, topic: str, kind: type) -> None:
        def count(_: Any) -> None:
            self._seen.others[topic] += 1

        self._subscriptions[topic] = self._node.create_subscription(kind, f"depth/{topic}", count, 5)

    def _leave(self, topic: str) -> None:
        self._node.destroy_subscription(self._subscriptions.pop(topic))

    def _set(self, name: str, value: Any) -> None:
        from rclpy.parameter import Parameter

        self._client.set_parameters([Parameter(name, value=value)])
        self._solver = value if name == "solver.name" else self._solver

    def _on_depth(self, msg: Any) -> None:
        from metric_depth_ros import messages

        self._seen.depths += 1
        if self._solver == "auto" and self._seen.depths % 5 == 0:  # others know less of this scene
            step = 640 // msg.width
            off = np.abs(messages.read_depth(msg) / self._truth[::step, ::step] - 1)
            self._seen.wrong += not np.nanmedian(off) < WRONG

    def _on_status(self, msg: Any) -> None:
        values = {pair.key: pair.value for pair in msg.status[0].values}
        self._seen.values.append((time.monotonic(), values))


def run(args: argparse.Namespace) -> tuple[Seen, float, int, str]:
    """What was seen, when it began, the node's exit status and its log."""
    import psutil
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from metric_depth_ros.cli.live import NODE, Graph, ros_arguments

    with tempfile.TemporaryDirectory() as logs, Graph(Path(logs)) as graph:
        os.environ.update(graph.env)
        rclpy.init()
        node, seen, samples = rclpy.create_node("visitor"), Seen(), Path(logs) / "samples"
        settings = {
            "engine.manifest": args.engine,
            "anchors.sources": "[lidar, front]",
            "sources.lidar.topic": "points",
            "sources.front.topic": "range",
            "sources.front.accumulate": 1,  # earlier ones are not of this scene, which moves with the robot
            "save.folder": samples,
        }
        visitor, executor = Visitor(node, seen, samples), SingleThreadedExecutor()
        executor.add_node(node)
        process = psutil.Process(graph.start("node", [*NODE, *ros_arguments(settings, {})]).pid)
        graph.wait_for("node", "engine ready", 60)
        load = graph.start("load", [sys.executable, __file__, "--publish", *sys.argv[1:]])
        began_s, second = time.monotonic(), 0
        while load.poll() is None and process.is_running():
            executor.spin_once(timeout_sec=0.1)
            if time.monotonic() >= began_s + second:
                visitor.step(second)
                seen.loads.append((time.monotonic(), os.getloadavg()[0]))
                seen.rss.append((time.monotonic(), process.memory_info().rss / 2**20))
                if second % LOOP_S == LOOP_S - 1:  # all visitors have left
                    seen.loops.append((time.monotonic(), process.num_threads(), process.num_fds()))
                second += 1
        executor.shutdown()
        process.terminate()
        status, log = graph.finish("node", 60), graph.log("node")
        node.destroy_node()
        rclpy.shutdown()
    return seen, began_s, status, log


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--engine", default="small", help="small, tiny or a manifest")
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.publish:
        publish(args)
        return 0
    seen, began_s, status, log = run(args)
    print(HEADER)
    print("\n".join(rows(seen, began_s)))
    limits = [*broken(seen, began_s, status, log, args.minutes)]
    print("\n".join(f"BROKEN: {limit}" for limit in limits) or "All limits are kept.")
    return 1 if limits else 0


if __name__ == "__main__":
    sys.exit(main())

"""metric_depth_node for long: a looping bag, parameters that change, subscribers that come and go.

    python benchmarks/soak.py [--minutes 60] [--engine small]

640x480 images at 10 Hz with a cloud each, of a made scene; every 20 s the bag loops, time jumps back, and
each of cloud, sigma and info is subscribed for some seconds; focus, solver and scale change. Three
processes: this one subscribes and measures, a second publishes, the third is the node.
Prints a Markdown table, a row a minute, and the limits; exit status 1 if one is broken. Memory is fitted by a
line after the first ten minutes, of shorter runs after two fifths; then .2 MiB a minute cannot be told from
noise, and 6 MiB in all are allowed: less than seven images that stay.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HZ, LOOP_S, POINTS = 10, 20, 5000
SLOPE_MIB, GROWTH_MIB, SETTLED_S = 0.2, 6.0, 600.0
SLOWER = 3.0  # the last minutes' median latency may be so many times the first ones'
LATENCY = "latency_ms p50/p95/p99"
LOST = 0.02  # of the images may have no depth: those in work when time jumps
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
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2

    from metric_depth_ros import messages
    from metric_depth_ros.geometry import pixel_rays
    from metric_depth_ros.nodes.outputs import fill_camera_info, fill_cloud, fill_image

    node = rclpy.create_node("load")
    images, infos, clouds = (
        node.create_publisher(kind, topic, 5)
        for kind, topic in ((Image, "image"), (CameraInfo, "camera_info"), (PointCloud2, "anchors"))
    )
    camera, image, depth = scene()
    points = (pixel_rays(camera) * depth[:, :, None]).reshape(-1, 3).astype(np.float32)
    random, begin, first_ns = np.random.default_rng(0), time.monotonic(), time.time_ns()
    for count in range(round(60 * args.minutes * HZ)):
        at = {"stamp_ns": first_ns + count % (LOOP_S * HZ) * 10**9 // HZ, "frame_id": "camera"}
        some = points[random.integers(0, len(points), POINTS)]
        clouds.publish(fill_cloud(messages.points_fields(some), **at))
        infos.publish(fill_camera_info(messages.camera_info_fields(camera), **at))
        images.publish(fill_image(messages.image_fields(image), **at))
        time.sleep(max(0.0, begin + (count + 1) / HZ - time.monotonic()))
    rclpy.shutdown()


@dataclass
class Seen:
    """What was measured: samples of the process, latencies, and what was published."""

    rss: list[tuple[float, float]] = field(default_factory=list)  # (s, MiB), every second
    loops: list[tuple[float, int, int]] = field(default_factory=list)  # (s, threads, descriptors)
    values: list[tuple[float, dict[str, str]]] = field(default_factory=list)  # of diagnostics
    depths: int = 0
    wrong: int = 0
    others: dict[str, int] = field(default_factory=dict)  # messages of outputs subscribed for a while


class Visitor:
    """Subscribes and sets parameters of a node, one step a second, in a loop of LOOP_S."""

    def __init__(self, node: Any, seen: Seen) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.parameter_client import AsyncParameterClient
        from sensor_msgs.msg import Image, PointCloud2

        self._node, self._seen = node, seen
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

    def _subscribe(self, topic: str, kind: type) -> None:
        def count(_: Any) -> None:
            self._seen.others[topic] = self._seen.others.get(topic, 0) + 1

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

    settings = {"engine.manifest": args.engine, "extrinsics.source": "parameters"}
    with tempfile.TemporaryDirectory() as logs, Graph(Path(logs)) as graph:
        os.environ.update(graph.env)
        rclpy.init()
        node, seen = rclpy.create_node("visitor"), Seen()
        visitor, executor = Visitor(node, seen), SingleThreadedExecutor()
        executor.add_node(node)
        process = psutil.Process(graph.start("node", [*NODE, *ros_arguments(settings, {})]).pid)
        graph.wait_for("node", "engine ready", 60)
        load = graph.start("load", [sys.executable, __file__, "--publish", *sys.argv[1:]])
        began_s, second = time.monotonic(), 0
        while load.poll() is None and process.is_running():
            executor.spin_once(timeout_sec=0.1)
            if time.monotonic() >= began_s + second:
                visitor.steps.get(second % LOOP_S, lambda: None)()
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


def rows(seen: Seen, began_s: float) -> Iterator[str]:
    """A row of the table for each minute."""
    for minute in range(1, 1 + round((seen.rss[-1][0] - began_s) / 60)):
        until_s = began_s + 60 * minute
        rss = [mib for at_s, mib in seen.rss if until_s - 60 <= at_s < until_s]
        loops = [one for one in seen.loops if one[0] < until_s]
        values = [found for at_s, found in seen.values if at_s < until_s]
        if rss and loops and values:
            last, (_, threads, descriptors) = values[-1], loops[-1]
            told = (last[LATENCY], last["published"], last.get("time jumps", "0"))
            yield f"| {minute} | {np.median(rss):.1f} | {threads} | {descriptors} | {' | '.join(told)} |"


def broken(seen: Seen, began_s: float, status: int, log: str, minutes: float) -> Iterator[str]:
    """Prints the sums; yields each limit that is broken."""
    settled_s = began_s + min(SETTLED_S, 0.4 * 60 * minutes)
    at, rss = np.array([one for one in seen.rss if one[0] >= settled_s]).T
    slope = np.polyfit((at - at[0]) / 60, rss, 1)[0]
    most = max(SLOPE_MIB, GROWTH_MIB / ((at[-1] - at[0]) / 60)) if minutes < 30 else SLOPE_MIB
    after = [one[1:] for one in seen.loops if one[0] >= settled_s]
    p50 = [float(v[LATENCY].split(" / ")[0]) for at_s, v in seen.values if at_s >= settled_s and LATENCY in v]
    slower = np.median(p50[-len(p50) // 3 :]) / np.median(p50[: len(p50) // 3 + 1])
    last = {key: int(value) for key, value in seen.values[-1][1].items() if value.isdecimal()}
    dropped = last.get("images dropped for newer ones", 0)
    lost = last["pairs in"] - last["published"] - dropped
    print(
        f"\nMemory, {(settled_s - began_s) / 60:.0f} min on: {slope:+.3f} MiB/min ({most:.2g} at most). "
        f"{last['published']} of {last['pairs in']} images answered, {dropped} dropped for newer ones, "
        f"{lost} without depth; of a fifth of {seen.depths} depths {seen.wrong} wrong; {seen.others} "
        f"to subscribers for a while; exit status {status}."
    )
    if slope > most:
        yield f"memory grows by {slope:.3f} MiB a minute"
    for what, counts in zip(("threads", "descriptors"), zip(*after, strict=True), strict=True):
        if max(counts) != min(counts):
            yield f"{what}: {min(counts)} to {max(counts)}"
    if slower > SLOWER:
        yield f"latency has become {slower:.1f} times as long"
    if seen.wrong or lost > LOST * last["pairs in"] or len(seen.others) < 3:
        yield "wrong or missing output"
    if status or "Traceback" in log or "internal error" in log:
        yield f"exit status {status}, or a traceback:\n{log[-3000:]}"


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
    print("| Minute | Memory, MiB | Threads | Descriptors | Latency, ms (p50/p95/p99) | Published | Jumps |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows(seen, began_s)))
    limits = [*broken(seen, began_s, status, log, args.minutes)]
    print("\n".join(f"BROKEN: {limit}" for limit in limits) or "All limits are kept.")
    return 1 if limits else 0


if __name__ == "__main__":
    sys.exit(main())

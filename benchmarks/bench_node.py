"""metric_depth_node under load: VGA images and 100k-point clouds, sustained.

    METRIC_DEPTH_DATA=... python benchmarks/bench_node.py [--seconds 60] [--engine tiny] [--solver refined]
        [--overlap always] [--subscribe] [--stride 2] [--conversions stock] [--stress 2]
        [--under "chrt -f 10"]

Three processes on one machine: this one subscribes and measures, a second publishes rgbd7_seq (RGB-D
frames whose depth is made a cloud) at 30 Hz and 10 Hz, and at 50 Hz where the robot is in odom; the third is
the node, which moves the clouds. The robot hardly moves, as the frames stand still until the next cloud.
Prints a Markdown table: rates, drops, latency from arrival to publication, memory and
processor time of the node. Skips without the data.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from moving_frames import TF_HZ, Robot

SET = "rgbd7_seq"
STOCK = str(Path(__file__).with_name("stock_conversions.py"))


def publish(data: Path, args: argparse.Namespace) -> None:
    """Publishes images, camera_infos and clouds until ``args.seconds`` have passed."""
    import rclpy

    rclpy.init()
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2

    from metric_depth_ros import messages
    from metric_depth_ros.datasets import open_dataset
    from metric_depth_ros.geometry import pixel_rays, transform_points
    from metric_depth_ros.nodes.outputs import fill_camera_info, fill_cloud, fill_image

    node = rclpy.create_node("load")
    qos = QoSProfile(depth=5)
    images, infos, clouds = (
        node.create_publisher(kind, topic, qos)
        for kind, topic in ((Image, "image"), (CameraInfo, "camera_info"), (PointCloud2, "anchors"))
    )
    robot, ended = Robot(node, period_s=2000), threading.Event()
    T_lidar_camera = robot.earlier(0.0)
    random = np.random.default_rng(0)
    samples = []
    for frame in open_dataset(data / SET):
        points = (pixel_rays(frame.camera) * frame.depth[:, :, None]).reshape(-1, 3)
        points = points[np.isfinite(points[:, 2]) & (points[:, 2] > 0)]
        some = points[random.integers(0, len(points), args.points)].astype(np.float32)
        samples.append((frame, transform_points(T_lidar_camera, some)))
    while not (images.get_subscription_count() and clouds.get_subscription_count()):
        time.sleep(0.1)

    def send_poses() -> None:
        while not ended.wait(1 / TF_HZ):
            robot.send(time.time_ns(), time.monotonic())

    poses = threading.Thread(target=send_poses)
    poses.start()
    time.sleep(1.0)
    begin, every = time.monotonic(), round(args.image_hz / args.cloud_hz)
    for count in range(round(args.seconds * args.image_hz)):
        frame, points = samples[count // every % len(samples)]
        stamp_ns = time.time_ns()
        header = {"stamp_ns": stamp_ns, "frame_id": "camera"}
        if count % every == 0:
            clouds.publish(fill_cloud(messages.points_fields(points), stamp_ns=stamp_ns, frame_id="lidar"))
        infos.publish(fill_camera_info(messages.camera_info_fields(frame.camera), **header))
        images.publish(fill_image(messages.image_fields(frame.image), **header))
        time.sleep(max(0.0, begin + (count + 1) / args.image_hz - time.monotonic()))
    took_s = time.monotonic() - begin
    print(f"published {round(args.seconds * args.image_hz)} images in {took_s:.2f} s", flush=True)
    time.sleep(1.0)
    ended.set()
    poses.join()
    rclpy.shutdown()


def measure(data: Path, args: argparse.Namespace) -> None:
    """Starts the other two, samples the node's memory, and prints the table."""
    import psutil
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from sensor_msgs.msg import Image, PointCloud2

    from metric_depth_ros.cli.live import NODE, Graph, ros_arguments

    settings = {
        "engine.manifest": args.engine,
        "engine.threads": args.threads,
        "engine.overlap": args.overlap,
        "solver.name": args.solver,
        "cloud.rate_hz": args.image_hz,
        "cloud.stride": args.stride,
    }
    with tempfile.TemporaryDirectory() as logs, Graph(Path(logs)) as graph:
        os.environ.update(graph.env)
        rclpy.init()
        watcher = rclpy.create_node("watcher")
        statuses: list[dict[str, str]] = []
        watcher.create_subscription(
            DiagnosticArray,
            "/diagnostics",
            lambda msg: statuses.append({pair.key: pair.value for pair in msg.status[0].values}),
            10,
        )
        command = NODE if args.conversions == "fast" else (sys.executable, STOCK)
        for count in range(args.stress):
            graph.start(f"stress{count}", [sys.executable, "-c", "while True: pass"])
        node = graph.start("node", [*args.under.split(), *command, *ros_arguments(settings, {})])
        if args.subscribe:
            watcher.create_subscription(Image, "depth/image_rect", lambda _: None, 5)
            watcher.create_subscription(PointCloud2, "depth/points", lambda _: None, 5)
        graph.wait_for("node", "engine ready", 60)
        load = [sys.executable, __file__, "--publish", *sys.argv[1:]]
        publisher = graph.start("load", load)
        process, memory = psutil.Process(node.pid), []
        began = process.cpu_times()
        while publisher.poll() is None:
            rclpy.spin_once(watcher, timeout_sec=0.5)
            memory.append((time.monotonic(), process.memory_info().rss / 2**20))
        spent = process.cpu_times()
        told = graph.log("load").strip()
        print(told)
        print(graph.log("node").strip()[-500:], file=sys.stderr)
        rclpy.shutdown()
    last = statuses[-1]
    published, came = int(last["published"]), int(last["pairs in"])
    took_s = float(told.split()[-2])  # more than was asked for, where the load itself waits for a core
    when, rss = np.array(memory).T
    settled = when > when[0] + (when[-1] - when[0]) / 3  # after a third, buffers have found their size
    growth = np.polyfit(when[settled], rss[settled], 1)[0] * 60
    end = "_ms p50/p95/p99"
    stages = {key[: -len(end)]: value for key, value in last.items() if key.endswith(end)}
    busy_s = spent.user + spent.system - began.user - began.system
    share = 100 * busy_s / (when[-1] - when[0])
    rows = {
        "images published": round(args.seconds * args.image_hz),
        "images came in": last["images in"],
        "images dropped for newer ones": last.get("images dropped for newer ones", 0),
        "clouds came in": last["clouds in"],
        "fixed frame": last["fixed frame"],
        "images whose clouds were not moved in full": last.get("images with motion left out", 0),
        "depth images out": f"{published} of {came} ({published / took_s:.1f} Hz)",
        **{f"{stage}, ms (p50/p95/p99 of the last 300)": ms for stage, ms in stages.items()},
        "memory, MiB, after a third and at the end": f"{rss[settled][0]:.0f}, {rss[-1]:.0f}",
        "memory growth, MiB a minute": f"{growth:+.1f}",
        "processor time of the node": f"{share:.0f} % of one core, {1e3 * busy_s / published:.1f} ms a depth",
    }
    print(f"\n| {args.image_hz:g} Hz images, {args.cloud_hz:g} Hz clouds, {args.seconds:g} s | |\n|---|---|")
    print("\n".join(f"| {name} | {value} |" for name, value in rows.items()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--image-hz", type=float, default=30.0)
    parser.add_argument("--cloud-hz", type=float, default=10.0)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", default="small", help="small, tiny or a manifest")
    parser.add_argument("--solver", default="auto", help="solver.name")
    parser.add_argument("--overlap", default="auto", help="engine.overlap: auto, always or never")
    parser.add_argument("--subscribe", action="store_true", help="depth, and the cloud of each image")
    parser.add_argument("--stride", type=int, default=1, help="pixels between the cloud's points (default 1)")
    parser.add_argument(
        "--conversions", default="fast", choices=("fast", "stock"), help="stock: see stock_conversions.py"
    )
    parser.add_argument("--stress", type=int, default=0, metavar="N", help="so many busy processes beside")
    parser.add_argument("--under", default="", help='command that starts the node, as in "nice -n -10"')
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not os.environ.get("METRIC_DEPTH_DATA"):
        print("bench_node: skipped, METRIC_DEPTH_DATA is not set")
        return
    (publish if args.publish else measure)(Path(os.environ["METRIC_DEPTH_DATA"]), args)


if __name__ == "__main__":
    main()

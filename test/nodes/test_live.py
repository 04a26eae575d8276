"""Bags through the live graph (replayer, node, recorder: three processes) and offline."""

import contextlib
import json
import re
import shlex
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from peer import CAMERA, scene
from rclpy.executors import SingleThreadedExecutor
from ros1_bag import Ros1Bag

from metric_depth_ros import messages
from metric_depth_ros.bags import BagReader, BagWriter, read_depths, read_messages
from metric_depth_ros.cli import frames_to_bag
from metric_depth_ros.cli.live import VERB, Graph, replay_live
from metric_depth_ros.cli.main import main
from metric_depth_ros.config import Config
from metric_depth_ros.evaluation.held_out import held_out_error
from metric_depth_ros.share import share_path

pytestmark = pytest.mark.timeout(240)


def depths_of(bag: Path) -> dict[int, np.ndarray]:
    return read_depths(bag, "/depth/image_rect")


@pytest.fixture
def bag(tmp_path):
    """30 images at 20 Hz, clouds at 10 Hz; every cloud has a scale of its own."""
    path = tmp_path / "scene.mcap"
    image, _, points = scene()
    with BagWriter(path) as bag:
        bag.write_tf_static([("camera", "lidar", np.eye(4), 10**9)])
        for count in range(30):
            stamp_ns = 10**9 + count * 50_000_000
            if count % 2 == 0:
                bag.write_points("/anchors", points * (1 + 0.02 * count), stamp_ns, "lidar")
            bag.write_camera_info("/camera_info", CAMERA, stamp_ns, "camera")
            bag.write_image("/image", image, stamp_ns, "camera")
    return path


def test_the_live_node_and_an_offline_run_give_the_same_depth(bag, tmp_path, toy_manifest):
    settings = {"engine.manifest": toy_manifest, "anchors.grid_px": 0}
    live = replay_live(bag, tmp_path / "out", settings, {})
    sets = [f"--set={name}={value}" for name, value in settings.items()]
    assert main(["run", str(bag), "--out", str(tmp_path / "offline"), "--previews", "1", *sets]) == 0
    offline, answered = depths_of(tmp_path / "offline" / "depth.mcap"), depths_of(live)
    assert len(offline) == 30
    assert len(answered) >= 28
    same = [np.allclose(answered[stamp], offline[stamp], rtol=1e-6, equal_nan=True) for stamp in answered]
    # A cloud that comes later than sync.max_wait_s is missed live; on a busy machine one may be.
    assert np.mean(same) >= 0.9
    scales = [np.nanmedian(depth / scene()[1]) for depth in offline.values()]
    np.testing.assert_allclose(scales, [1 + 0.02 * (count - count % 2) for count in range(30)], rtol=1e-3)
    assert list((tmp_path / "offline").glob("preview_*.png"))
    info = next(m for _, m in read_messages(live, "/depth/camera_info"))
    assert (info.width, info.height, info.header.frame_id) == (64, 48, "camera")


def test_an_offline_run_is_deterministic(bag, tmp_path, toy_manifest):
    outs = [tmp_path / name for name in "ab"]
    for out in outs:
        flags = ["--out", str(out), "--previews", "0", "--manifest", str(toy_manifest)]
        assert main(["run", str(bag), *flags]) == 0
    first, second = (depths_of(out / "depth.mcap") for out in outs)
    assert first.keys() == second.keys()
    for stamp in first:
        np.testing.assert_array_equal(first[stamp], second[stamp])


def test_replay_publishes_all_and_record_keeps_it(bag, tmp_path):
    """The recorded bag holds the replayed messages byte by byte, transforms and clock included."""
    with Graph(tmp_path / "logs", apart=False) as graph:
        topics = ("/image", "/camera_info", "/anchors", "/tf_static", "/clock")
        graph.start("record", [*VERB, "record", str(tmp_path / "again"), *topics])
        graph.wait_for("record", "recording to", 30)
        graph.start("replay", [*VERB, "replay", str(bag), "--rate", "2", "--loop", "2"])
        assert graph.finish("replay", 60) == 0, graph.log("replay")
        time.sleep(0.5)
        assert graph.stop("record") == 0, graph.log("record")
    for topic in topics[:3]:
        sent = [m for _, m in read_messages(bag, topic)] * 2
        kept = [m for _, m in read_messages(tmp_path / "again", topic)]
        assert [messages.stamp_ns(m) for m in kept] == [messages.stamp_ns(m) for m in sent]
        assert all(
            np.array_equal(a.data, b.data) for a, b in zip(sent, kept, strict=True) if hasattr(a, "data")
        )
    (transform, *_) = (m for _, m in read_messages(tmp_path / "again", "/tf_static"))
    assert transform.transforms[0].child_frame_id == "lidar"
    clock = [m.clock.sec + m.clock.nanosec / 1e9 for _, m in read_messages(tmp_path / "again", "/clock")]
    assert min(clock) >= 1.0
    assert max(clock) <= 2.5
    assert np.sum(np.diff(clock) < 0) == 1  # the second loop


def test_a_ros1_bag_goes_through_the_live_graph(tmp_path, toy_manifest):

    image, truth, points = scene()
    bag = Ros1Bag()
    bag.tf("camera", "lidar", np.eye(4), 10**9, "/tf_static")
    for count in range(10):
        stamp_ns = 10**9 + count * 100_000_000
        fields = messages.points_fields(points)
        bag.cloud(
            stamp_ns, frame_id="lidar", **{name: fields[name] for name in ("width", "row_step", "data")}
        )
        bag.camera_info_of(messages.camera_info_fields(CAMERA), stamp_ns)
        bag.image(stamp_ns, **messages.image_fields(image))
    settings = {"engine.manifest": toy_manifest, "anchors.grid_px": 0}
    live = replay_live(bag.write(tmp_path / "old.bag"), tmp_path / "out", settings, {})
    depths = depths_of(live)
    assert len(depths) >= 9
    np.testing.assert_allclose(depths[max(depths)], truth, rtol=2e-3)


def test_replay_leaves_out_a_topic_whose_name_ros_refuses(tmp_path):
    bag = Ros1Bag()
    for topic in ("/good", "/not a topic"):
        bag.cloud(10**9, topic=topic)
    path = bag.write(tmp_path / "odd.bag")
    with Graph(tmp_path / "logs", apart=False) as graph:
        graph.start("replay", [*VERB, "replay", str(path), "--wait", "0"])
        assert graph.finish("replay", 60) == 0, graph.log("replay")
        assert "/not a topic is left out: Invalid topic name" in graph.log("replay")


def test_replay_keeps_the_pace(bag, tmp_path):
    with Graph(tmp_path / "logs", apart=False) as graph:
        started = time.monotonic()
        graph.start("replay", [*VERB, "replay", str(bag), "--wait", "0", "--topics", "/image"])
        assert graph.finish("replay", 60) == 0, graph.log("replay")
        assert time.monotonic() - started > 1.4  # 30 images at 20 Hz


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay", "nothing.mcap"], "nothing.mcap"),
        (["replay", "BAG", "--topics", "/radar"], "no topic /radar"),
        (["replay", "BAG", "--rate", "0"], "positive"),
        (["record", "OUT"], "no topics"),
        (["record", ".", "/image"], "exists"),
    ],
)
def test_wrong_use_is_one_line(bag, tmp_path, arguments, words):
    with Graph(tmp_path / "logs", apart=False) as graph:
        filled = [str({"BAG": bag, "OUT": tmp_path / "out"}.get(a, a)) for a in arguments]
        graph.start("verb", [*VERB, *filled])
        assert graph.finish("verb", 30) == 1
        complaint = [line for line in graph.log("verb").splitlines() if line.startswith("metric_depth: ")]
        assert len(complaint) == 1
        assert words in complaint[0]
        assert "Traceback" not in graph.log("verb")


def test_bench_measures_the_pipeline_and_the_live_node(bag, tmp_path, toy_manifest, capsys):
    figures = tmp_path / "figures.json"
    sets = ["--manifest", str(toy_manifest), "--set", "anchors.grid_px=0"]
    assert main(["bench", str(bag), "--graph", "--json", str(figures), *sets]) == 0
    offline, live = json.loads(figures.read_text()).values()
    assert offline["images"] == offline["depths"] == 27 and live["images"] == 30
    stages = {"read", "prepare", "anchors", "engine", "regions", "solver", "latency"}
    assert set(offline["stages"]) == stages | {"convert"}
    assert set(live["stages"]) >= stages | {"publish", "waiting"}
    assert "stamp_to_publication" not in live["stages"]  # /clock steps by more than that
    # A depth map has four bytes for three of the image, and a cloud of every second pixel 16 for 12.
    new = offline["new_arrays"]
    assert new["read"] > 0 and new["pipeline"] >= 4 / 3 and new["convert"] >= 4 / 3
    for found in (offline, live):
        assert found["rate_hz"] > 0 and found["peak_mib"] > 50
        assert all(p50 <= p95 <= p99 for p50, p95, p99 in found["stages"].values())
    assert 0 < live["depths"] <= 30
    printed = capsys.readouterr().out
    assert "|  | offline | live node |" in printed
    assert "engine, ms (p50/p95/p99) | " in printed


def test_a_recording_ends_with_what_was_asked(bag, tmp_path):
    with Graph(tmp_path / "logs", apart=False) as graph:
        graph.start("record", [*VERB, "record", str(tmp_path / "idle"), "/image", "/radar", "--idle", "1"])
        graph.wait_for("record", "recording to", 30)
        graph.start("replay", [*VERB, "replay", str(bag), "--rate", "3"])
        assert graph.finish("record", 60) == 0, graph.log("record")
        assert "nobody published /radar" in graph.log("record")
    assert len(list(read_messages(tmp_path / "idle", "/image"))) == 30


def test_a_recording_ends_when_only_diagnostics_go_on(bag, ros, tmp_path):
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.node import Node

    robot = Node("robot")
    diagnostics = robot.create_publisher(DiagnosticArray, "/diagnostics", 5)
    robot.create_timer(0.1, lambda: diagnostics.publish(DiagnosticArray()))
    with Graph(tmp_path / "logs", apart=False) as graph, spinning(robot):
        graph.start(
            "record", [*VERB, "record", str(tmp_path / "b"), "/image", "/diagnostics", "--idle", "1.5"]
        )
        graph.wait_for("record", "recording to", 30)
        graph.start("replay", [*VERB, "replay", str(bag), "--rate", "3"])
        assert graph.finish("record", 60) == 0, graph.log("record")
    assert len(list(read_messages(tmp_path / "b", "/image"))) == 30


@contextlib.contextmanager
def spinning(node):
    """Spins a node in a thread, then destroys it."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield
    executor.shutdown()
    thread.join(5)
    node.destroy_node()


@pytest.mark.parametrize(("solver", "bound"), [("region_aware", 0.09), ("global_affine", 0.25)])
def test_a_kitti_drive_through_the_live_graph(data_dir, model_dir, tmp_path, solver, bound):
    """Real frames, half of the LiDAR points held out: answers, stamps, sizes and held-out error."""
    bag = tmp_path / "kitti.mcap"
    frames = str(data_dir / "kitti_seq_2011_09_26")
    assert main(["frames-to-bag", frames, str(bag), "--loops", "2", "--hold-out", "0.5", "--rate", "2"]) == 0
    settings = {
        "engine.manifest": share_path("config/models/meter_xxs_kitti.yaml"),
        "engine.model": model_dir / "meter_xxs_kitti_192x640.onnx",
        "solver.name": solver,
    }
    topics = {
        "image": frames_to_bag.IMAGE,
        "camera_info": frames_to_bag.CAMERA_INFO,
        "anchors": frames_to_bag.POINTS,
    }
    recorded = replay_live(bag, tmp_path / "out", settings, topics)
    depths = depths_of(recorded)
    with BagReader(bag) as reader:
        samples = dict(reader.samples(Config()))
    assert set(depths) <= set(samples)
    assert len(depths) >= 8
    infos = {messages.stamp_ns(m): m for _, m in read_messages(recorded, "/depth/camera_info")}
    errors = []
    for stamp, depth in depths.items():
        sample, info = samples[stamp], infos[stamp]
        assert depth.shape == sample.image.shape[:2] == (info.height, info.width)
        assert info.header.frame_id == sample.frame_id
        error, covered = held_out_error(depth, sample.camera, sample.points_held_out, Config().anchors)
        assert covered > 0.99
        errors.append(error)
    assert np.mean(errors) < bound


def test_the_demo_needs_no_data(tmp_path, monkeypatch, capsys):
    pytest.importorskip("embreex")
    monkeypatch.delenv("METRIC_DEPTH_DATA", raising=False)
    assert main(["demo", "--out", str(tmp_path), "--seconds", "2", "--rate", "5"]) == 0
    said = re.search(
        r"(\d+) of 10 images answered; mean AbsRel at held-out points (\d\.\d+)", capsys.readouterr().out
    )
    assert int(said[1]) >= 4
    assert float(said[2]) < 0.12
    check_pictures(tmp_path)


def test_the_demo_needs_no_renderer(tmp_path, monkeypatch, capsys):
    """The bag that comes with the package, with compressed images; then the command that it names."""
    monkeypatch.setitem(sys.modules, "embreex", None)
    assert main(["demo", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    found = re.search(r"(\d) of 6 images answered; mean AbsRel at held-out points (\d\.\d+)", said)
    assert int(found[1]) >= 3
    assert float(found[2]) < 0.15
    check_pictures(tmp_path)
    assert "nothing on /camera/image," not in (tmp_path / "node.log").read_text()
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < 150e6
    command = shlex.split(re.search(r"^  metric_depth (run .*)$", said, re.MULTILINE)[1])
    assert main([*command, "--limit", "1", "--no-bag", "--out", str(tmp_path / "again")]) == 0


def check_pictures(folder):
    for number in range(3):
        picture = cv2.imread(str(folder / f"depth_{number}.png"))
        assert picture.std() > 20
        assert picture[-200:, -500:].std() > 5  # six parts, with sigma

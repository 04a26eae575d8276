"""The command line: verbs, precedence of settings, offline runs, messages and exit codes."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import write_toy_model
from rosbags.highlevel import AnyReader

import metric_depth_ros
from metric_depth_ros import messages
from metric_depth_ros.bags import BagReader, BagWriter
from metric_depth_ros.cli import demo, depth_bag
from metric_depth_ros.cli.main import VERBS, build_parser, main
from metric_depth_ros.cli.run import build_config
from metric_depth_ros.config import Config
from metric_depth_ros.datasets import FrameFolder
from metric_depth_ros.errors import ConfigError, ModelError
from metric_depth_ros.nodes.__main__ import main as node_main
from metric_depth_ros.types import Camera

WIDTH, HEIGHT = 64, 48
COUNT = 4


def scene_depth(index: int) -> Any:
    """A floor that runs away, nearer with every frame."""
    return (np.linspace(8, 2, HEIGHT)[:, None] * np.ones(WIDTH) - 0.1 * index).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Depth frames whose grey value is proportional to depth, so that the toy network is right."""
    path = tmp_path / "frames"
    path.mkdir()
    frames = []
    for index in range(COUNT):
        depth = scene_depth(index)
        grey = np.repeat(np.rint(depth * 30).astype(np.uint8)[..., None], 3, axis=2)
        cv2.imwrite(str(path / f"{index}.png"), grey)
        np.savez(path / f"{index}.npz", depth=depth)
        pose = np.eye(4)
        pose[0, 3] = index
        files = {"rgb": f"{index}.png", "depth": f"{index}.npz"}
        frames.append({"id": str(index), **files, "T_world_camera": pose.tolist()})
    calib = {"fx": 50.0, "fy": 50.0, "cx": 31.5, "cy": 23.5, "frames": frames}
    (path / "calib.json").write_text(json.dumps(calib))
    return path


@pytest.fixture
def bag(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "made.mcap"
    assert main(["frames-to-bag", str(folder), str(path), "--anchors", "100"]) == 0
    return path


def read_topic(path: Path, topic: str) -> list[Any]:
    with AnyReader([path]) as reader:
        connections = [c for c in reader.connections if c.topic == topic]
        found = reader.messages(connections) if connections else ()
        return [reader.deserialize(raw, c.msgtype) for c, _, raw in found]


# ---- verbs -----------------------------------------------------------------------------------


def test_help_lists_every_verb_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from metric_depth_ros.cli.main import build_parser\n"
        "print(build_parser().format_help())\n"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'rosbags', 'rclpy', 'yaml'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = (
        "try", "run", "doctor", "build", "evaluate", "compare", "explain", "bench", "frames-to-bag", "replay",
        "record", "view", "synthesize", "train", "export", "datasets", "config", "sbom", "demo",
    )  # fmt: skip
    assert len(VERBS) == len(names)
    for verb in names:
        assert f"  {verb}" in done.stdout


def test_the_module_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "metric_depth_ros.cli", "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "ros__parameters" in done.stdout


@pytest.mark.parametrize(
    "argv", [[], ["walk"], ["run"], ["run", "a.bag", "--limit", "x"], ["config", "--ros-args", "-r", "a:=b"]]
)
def test_wrong_usage_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "nowhere.mcap"], "nowhere.mcap: does not exist"),
        (["run", "nowhere.mcap", "--set", "solver.focus"], "needed NAME=VALUE"),
        (["run", "nowhere.mcap", "--solver", "magic"], "solver.name: 'magic'"),
        (["run", "nowhere.mcap", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "nowhere.mcap", "--limit", "0"], "--limit"),
        (["run", "nowhere.mcap", "--remap", "picture:=/image"], "NAME one of image, camera_info, anchors"),
        (["run", "nowhere.mcap", "--remap", "image=/image"], "needed NAME:=TOPIC"),
        (["run", "nowhere"], "nowhere: does not exist"),
        (["bench", "nowhere.mcap"], "nowhere.mcap: does not exist"),
        (["bench", "nowhere.mcap", "--rate", "0"], "--rate 0; needed a positive number"),
        (["frames-to-bag", "nowhere", "out.mcap"], "nowhere: does not exist"),
        (["evaluate", "nowhere"], "nowhere: does not exist"),
        (["explain", "nowhere"], "nowhere: does not exist"),
        (["demo", "--frames", "nowhere", "--out", "out"], "nowhere: does not exist"),
        (["train", "depth", "--data", "nowhere", "--out", "out"], "nowhere: does not exist"),
        (["train", "depth-export", "nowhere", "--to", "out"], "nowhere: does not exist"),
        (["synthesize", "out", "--photos", "nowhere"], "nowhere: does not exist"),
        (["synthesize"], "nothing to make"),
        (["synthesize", "o", "--count", "0"], "at least 1"),
        (["synthesize", "o", "--families", "cellar"], "families cellar"),
        (["synthesize", "o", "--size", "big"], "size: 'big'; needed WIDTHxHEIGHT"),
        (["synthesize", "o", "--size", "64x16"], "--size 64x16; needed 32x32 or more, or any"),
        (["synthesize", "o", "--bag", "--families", "room,street"], "one --family"),
        (["synthesize", "o.mcap", "--bag", "--seconds", "0"], "must be positive"),
        (
            ["synthesize", "o.mcap", "--bag", "--sensors", "sonar"],
            "sensors sonar; needed some of lidar, radar",
        ),
    ],
)
def test_user_errors_are_one_line_and_exit_1(
    argv: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if argv[0] == "train":  # says first that it needs torch
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("metric_depth: ")
    assert error.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"metric_depth_ros {metric_depth_ros.__version__}\n"


def test_a_shell_that_asks_for_completions_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """argcomplete, if it is installed, answers from the parser with all verbs and ends the process."""
    asked = []

    def autocomplete(parser: argparse.ArgumentParser) -> None:
        asked.append(parser.format_help())
        raise SystemExit(0)

    monkeypatch.setitem(sys.modules, "argcomplete", SimpleNamespace(autocomplete=autocomplete))
    with pytest.raises(SystemExit):
        main([])
    assert not asked
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    with pytest.raises(SystemExit):
        main([])
    assert "frames-to-bag" in asked[0]
    monkeypatch.setitem(sys.modules, "argcomplete", None)  # not installed
    with pytest.raises(SystemExit):
        main(["--version"])


def test_an_interrupt_is_one_line_and_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("metric_depth_ros.cli.main.build_parser", interrupted)
    assert main(["run", "a.bag"]) == 130
    assert capsys.readouterr().err == "metric_depth: interrupted\n"


# ---- what a verb needs is there before it starts ------------------------------------------------


@pytest.fixture
def no_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)


def test_the_node_without_ros_says_so_in_one_line(no_ros: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert node_main([]) == 1
    told = capsys.readouterr().err
    assert told.startswith("metric_depth_node: ROS 2: not found (no module named rclpy). Source a ROS")
    assert "pip install 'metric_depth_ros[ros]'" in told and told.count("\n") == 1


@pytest.mark.parametrize(
    "argv", [["demo", "--out", "OUT"], ["record", "OUT", "/image"], ["replay", "a.mcap"]]
)
def test_a_verb_that_joins_a_graph_needs_ros_first(
    argv: list[str], no_ros: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "out") if word == "OUT" else word for word in argv]) == 1
    assert "ROS 2: not found (no module named rclpy)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--manifest", "absent.yaml"], "absent.yaml"),
        (["--set", "solver.nam=auto"], "Did you mean solver.name"),
        (["--set", "output.max_relative_sigma=0.2", "--set", "solver.name=median"], "has no sigma"),
    ],
)
def test_the_demo_looks_at_its_settings_before_it_renders(
    flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rclpy")
    assert main(["demo", "--out", str(tmp_path / "out"), *flags]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("input.mcap", [], "input.mcap: exists already. Choose another --out, or pass --overwrite"),
        ("live/notes.txt", [], "live: exists already"),
        ("depth_0.png", [], "depth_0.png: exists already"),
        ("live/notes.txt", ["--overwrite"], "live: is nothing that a demo has made, and stays"),
        ("input.mcap/mine.txt", ["--overwrite"], "input.mcap: is nothing that a demo has made"),
    ],
)
def test_the_demo_replaces_only_what_a_demo_has_made(
    name: str, flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rclpy")
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    assert main(["demo", "--out", str(tmp_path), *flags]) == 1
    assert words in capsys.readouterr().err
    assert mine.read_text() == "mine"


def test_a_second_demo_may_replace_the_first(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "live").mkdir(parents=True)
    for name in ("input.mcap", "live/live.mcap", "live/metadata.yaml", "node.log", "mine.txt"):
        shutil.copyfile(bag, out / name)
    demo._make_room(out, overwrite=True)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("argv", [["explain", "set", "--out"], ["synthesize", "--contact-sheet"]])
def test_a_picture_that_is_there_stays(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "mine.png"
    picture.write_text("mine")
    assert main([*argv, str(picture)]) == 1
    assert "mine.png: exists already" in capsys.readouterr().err
    assert picture.read_text() == "mine"


def test_a_bag_that_is_there_is_refused_before_the_network_is_loaded(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "depth.mcap").touch()
    assert main(["run", str(bag), "--out", str(tmp_path), "--manifest", "absent.yaml"]) == 1
    assert "depth.mcap" in capsys.readouterr().err


def test_a_page_in_the_browser_stays_until_ctrl_c(bag: Path, toy_manifest: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    flags = ["--out", str(tmp_path / "out"), "--manifest", str(toy_manifest), "--no-bag", "--previews", "0"]
    command = [sys.executable, "-u", "-m", "metric_depth_ros.cli", "run", str(bag), *flags, "--view", "web"]
    env = {**os.environ, "BROWSER": "true"}  # nothing opens
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            said = ""
            for line in process.stdout:
                said += line
                if "until Ctrl-C" in line:
                    break
            assert f"depth for {COUNT} of {COUNT} images" in said
            page, _, data = re.search(r"showing at (\S+)", said)[1].partition("?url=")
            with urllib.request.urlopen(page, timeout=10) as answer:
                assert answer.status == 200
            assert re.fullmatch(r"rerun%2Bhttp://127\.0\.0\.1:\d+/proxy", data)
            with socket.create_connection(("127.0.0.1", int(data.split(":")[2].split("/")[0])), 5):
                pass
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            process.kill()


# ---- settings --------------------------------------------------------------------------------


def config_of(*argv: str) -> Config:
    return build_config(build_parser().parse_args(["run", "a.bag", *argv]))


def test_flags_beat_set_beats_file_beats_defaults(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("solver: {focus_m: 1.0, min_depth_m: 0.3}\nsync: {accumulate: 4}\n")
    assert config_of() == Config()
    assert config_of("--config", str(path)).solver.focus_m == 1.0
    assert config_of("--config", str(path), "--set", "solver.focus_m=2").solver.focus_m == 2.0
    config = config_of("--focus", "3", "--set", "solver.focus_m=2", "--config", str(path))
    assert (config.solver.focus_m, config.solver.min_depth_m, config.sync.accumulate) == (3.0, 0.3, 4)


def test_the_focus_may_be_a_task() -> None:
    assert config_of("--focus", "manipulation").solver.focus_m == 2.0
    assert config_of("--focus", "off", "--set", "solver.focus_m=2").solver.focus_m == 0.0
    for text, message in (("near", "solver.focus_m: 'near'; needed a number"), ("2000", "from 0 to 1000")):
        with pytest.raises(ConfigError, match=message):
            config_of("--focus", text)


def test_settings_on_the_command_line_have_their_types() -> None:
    config = config_of(
        "--set", "sync.accumulate=3", "--set", "solver.focus_m=1e-3", "--set", "engine.manifest=7",
        "--set", "extrinsics.translation=[1, 2.5, -3]", "--solver", "global_affine",
    )  # fmt: skip
    assert config.sync.accumulate == 3
    assert config.solver.focus_m == 1e-3
    assert config.engine.manifest == "7"
    assert config.extrinsics.translation == [1.0, 2.5, -3.0]
    assert config.solver.name == "global_affine"


@pytest.mark.parametrize(
    "names", ["lidar, vio", "[lidar, vio]", '["lidar","vio"]', "['lidar', vio]", "lidar,vio"]
)
def test_sources_may_be_named_on_the_command_line(names: str) -> None:
    config = config_of(
        "--set", f"anchors.sources={names}", "--set", "sources.lidar.topic=/points", "--set",
        "sources.vio.topic=/map", "--set", "sources.vio.accumulate=7", "--set", "sources.vio.max_age_s=2",
    )  # fmt: skip
    assert [source.topic for source in config.sources.values()] == ["/points", "/map"]
    assert (config.sources["vio"].accumulate, config.sources["vio"].max_age_s) == (7, 2.0)
    with pytest.raises(ConfigError, match=r"Add lidar to anchors\.sources"):
        config_of("--set", "sources.lidar.topic=/points")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sync.accumulate=1.5", "whole number"),
        ("solver.focus_m=near", "solver.focus_m: 'near'"),
        ("extrinsics.translation=[1, 2]", "list of 3"),
        ("extrinsics.translation=[1, 2", "list of 3"),
        ("anchors.sources=[a, [b]]", "anchors.sources"),
        ("anchors.sources=[a", "anchors.sources"),
        ("solver.fokus_m=1", "Did you mean solver.focus_m"),
    ],
)
def test_wrong_settings_are_refused(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of("--set", change)


# ---- frames-to-bag ---------------------------------------------------------------------------


def test_frames_become_a_bag(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "twice"
    argv = ["frames-to-bag", str(folder), str(path), "--anchors", "50"]
    assert main([*argv, "--loops", "2", "--rate", "20"]) == 0
    with BagReader(path) as reader:
        assert (reader.sources["anchors"][0], reader.held_out_topic) == (
            "/lidar/points",
            "/lidar/points_held_out",
        )
        samples = [sample for _, sample in reader.samples(Config())]
        first, last = samples[0].stamp_ns, samples[-1].stamp_ns
        assert reader.transforms.lookup("map", "camera_optical", last)[0, 3] == COUNT - 1
    assert len(samples) == 2 * COUNT
    assert last - first == round((2 * COUNT - 1) * 1e9 / 20)
    for index, sample in enumerate(samples):
        expected = FrameFolder(folder)[index % COUNT].sample(anchors=50)
        np.testing.assert_array_equal(sample.image, expected.image)
        np.testing.assert_array_equal(sample.points_camera, expected.points_camera)
        np.testing.assert_array_equal(sample.points_held_out, expected.points_held_out)


def test_frames_can_be_chosen(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "some.mcap"
    assert main(["frames-to-bag", str(folder), str(path), "--frames", "2", "0"]) == 0
    assert len(read_topic(path, "/camera/image")) == 2
    assert main(["frames-to-bag", str(folder), str(tmp_path / "b"), "--frames", "9"]) == 1
    assert "no frame 9; it has 0, 1, 2, 3" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_an_existing_bag_is_kept_unless_asked(folder: Path, bag: Path) -> None:
    before = bag.read_bytes()
    assert main(["frames-to-bag", str(folder), str(bag)]) == 1
    assert bag.read_bytes() == before
    assert main(["frames-to-bag", str(folder), str(bag), "--overwrite", "--frames", "0"]) == 0
    assert len(read_topic(bag, "/camera/image")) == 1


# ---- run -------------------------------------------------------------------------------------


def test_run_makes_the_depth_of_every_image(
    bag: Path, toy_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--out", str(out), "--previews", "2"]
    assert main([*argv, "--solver", "global_affine", "--set", "cloud.rate_hz=5"]) == 0
    printed = capsys.readouterr().out
    assert f"depth for {COUNT} of {COUNT} images" in printed
    assert "coverage 100.0 %" in printed
    assert float(printed.split("AbsRel ")[1].split()[0]) < 0.01
    depths = read_topic(out / "depth.mcap", "/depth/image_rect")
    infos = read_topic(out / "depth.mcap", "/depth/camera_info")
    clouds = read_topic(out / "depth.mcap", "/depth/points")
    assert not read_topic(out / "depth.mcap", "/depth/sigma")  # the solver has none
    images = read_topic(bag, "/camera/image")
    assert [messages.stamp_ns(m) for m in depths] == [messages.stamp_ns(m) for m in images]
    assert [messages.stamp_ns(m) for m in infos] == [messages.stamp_ns(m) for m in images]
    assert {messages.frame_id(m) for m in [*depths, *infos, *clouds]} == {"camera_optical"}
    assert len(clouds) == COUNT // 2  # 10 Hz images, 5 Hz clouds
    for index, message in enumerate(depths):
        np.testing.assert_allclose(messages.read_depth(message), scene_depth(index), rtol=0.03)
    assert (infos[0].width, infos[0].height) == (depths[0].width, depths[0].height) == (WIDTH, HEIGHT)
    pictures = sorted(path.name for path in out.glob("*.png"))
    assert pictures == ["preview_000000.png", "preview_000003.png"]
    assert cv2.imread(str(out / pictures[0])).shape[1] > WIDTH


def test_run_shows_every_image_in_a_viewer(
    bag: Path, toy_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording that is there already is replaced if that is wanted; else nothing is left of the run."""
    chunk, recording = pytest.importorskip("rerun.chunk"), tmp_path / "shown.rrd"
    recording.write_text("an earlier one")
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--out", str(tmp_path / "out"), "--no-bag"]
    argv += ["--previews", "0", "--view", str(recording)]
    assert main(argv) == 1
    assert "shown.rrd: exists already. Choose another --view, or pass --overwrite" in capsys.readouterr().err
    assert recording.read_text() == "an earlier one" and not (tmp_path / "out").exists()
    assert main([*argv, "--overwrite"]) == 0
    with BagReader(bag) as reader:
        stamps = {stamp_ns for stamp_ns, _ in reader.samples(Config())}
    shown: dict[str, set[int]] = {}
    for each in chunk.RrdReader(recording).stream():
        if not each.is_static:
            times = each.to_record_batch().column("stamp").cast("int64").to_pylist()
            shown.setdefault(each.entity_path, set()).update(times)
    for entity in ("depth", "world/camera/picture", "world/camera/cloud", "scale/scale", "stages/solver"):
        assert shown[f"/{entity}"] == stamps, entity


def test_a_folder_of_two_bags_is_said_to_be_one_recording(
    bag: Path, toy_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both"
    both.mkdir()
    argv = ["run", str(both), "--manifest", str(toy_manifest), "--no-bag", "--previews", "0"]
    for name, told in (("a", False), ("b", True)):
        shutil.copyfile(bag, both / f"{name}.mcap")
        main([*argv, "--out", str(tmp_path / name)])
        said = "a.mcap, b.mcap taken as one recording; if they are several, pass --workers 1."
        assert (said in capsys.readouterr().err) is told


def test_run_takes_several_sources_and_counts_them_apart(
    bag: Path, toy_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = {"lidar": "/lidar/points", "other": "/lidar/points_held_out", "absent": "/nowhere"}
    changes = [f"sources.{name}.topic={topic}" for name, topic in sources.items()]
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--no-bag", "--out", str(tmp_path / "out")]
    for change in (f"anchors.sources={','.join(sources)}", *changes):
        argv += ["--set", change]
    assert main(argv) == 0
    printed = capsys.readouterr()
    assert f"depth for {COUNT} of {COUNT} images" in printed.out
    assert re.search(r"anchors an image: lidar \d+, other \d+", printed.out)
    assert "source absent: /nowhere is not in the bag" in printed.err
    assert main([*argv, "--anchors", "/lidar/points"]) == 1
    assert "Leave out one of the two" in capsys.readouterr().err


def test_a_folder_gives_the_same_depth_as_its_bag(
    folder: Path, bag: Path, toy_manifest: Path, tmp_path: Path
) -> None:
    for source, out, more in (
        (bag, tmp_path / "from_bag", []),
        (folder, tmp_path / "from_folder", ["--anchor-count", "100"]),
    ):
        argv = ["run", str(source), "--manifest", str(toy_manifest), "--out", str(out), "--previews", "0"]
        assert main([*argv, *more]) == 0
    for one, other in zip(
        read_topic(tmp_path / "from_bag/depth.mcap", "/depth/image_rect"),
        read_topic(tmp_path / "from_folder/depth.mcap", "/depth/image_rect"),
        strict=True,
    ):
        np.testing.assert_array_equal(one.data, other.data)


def test_published_size_and_encoding_follow_the_settings(
    bag: Path, toy_manifest: Path, tmp_path: Path
) -> None:
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--out", str(tmp_path / "o"), "--limit", "1"]
    assert main([*argv, "--set", "output.scale=0.5", "--set", "output.encoding=16UC1"]) == 0
    (depth,) = read_topic(tmp_path / "o/depth.mcap", "/depth/image_rect")
    (info,) = read_topic(tmp_path / "o/depth.mcap", "/depth/camera_info")
    assert (depth.width, depth.height, depth.encoding) == (WIDTH // 2, HEIGHT // 2, "16UC1")
    assert (info.width, info.k[0], info.k[2]) == (WIDTH // 2, 25, 15.5)


def into_a_bag(bag: Path, manifest: Path, out: Path) -> list[str]:
    """Arguments of a run that writes a bag and no pictures."""
    return ["run", str(bag), "--manifest", str(manifest), "--out", str(out), "--previews", "0"]


@pytest.mark.parametrize("maps", ["depth", "depth,sigma", "points", "depth,sigma,points"])
def test_the_bag_holds_the_maps_that_are_wanted(
    maps: str, bag: Path, toy_manifest: Path, tmp_path: Path
) -> None:
    assert main([*into_a_bag(bag, toy_manifest, tmp_path / "out"), "--maps", maps]) == 0
    topics = {"depth": "/depth/image_rect", "sigma": "/depth/sigma", "points": "/depth/points"}
    for name, topic in topics.items():
        assert bool(read_topic(tmp_path / "out" / "depth.mcap", topic)) == (name in maps.split(",")), topic
    assert len(read_topic(tmp_path / "out" / "depth.mcap", "/depth/camera_info")) == COUNT


@pytest.mark.parametrize(("free", "status"), [(1000, 1), (10**12, 0)])
def test_a_run_that_will_not_fit_is_refused_by_its_first_images(
    free: int,
    status: int,
    bag: Path,
    toy_manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(BagWriter, "free_bytes", free)
    monkeypatch.setattr(depth_bag, "_ESTIMATED_AFTER", 2)
    monkeypatch.setattr(depth_bag, "_LARGE_BYTES", 1)
    out = tmp_path / "out"
    assert main(["run", str(bag), "--manifest", str(toy_manifest), "--out", str(out)]) == status
    assert f"{COUNT - 2} more images need about " in capsys.readouterr().err
    assert (out / "depth.mcap").exists() == (status == 0)


def test_sigma_is_written_to_8_bits(bag: Path, toy_manifest: Path, tmp_path: Path) -> None:
    sigma = np.geomspace(1e-6, 1e3, 1000, dtype=np.float32).reshape(20, 50)
    sigma[3] = np.nan
    rounded = depth_bag._rounded(sigma)
    np.testing.assert_allclose(rounded, sigma, rtol=2**-8)
    assert not (rounded.view(np.uint32) & 0xFFFF).any()
    assert main(into_a_bag(bag, toy_manifest, tmp_path / "out")) == 0
    for message in read_topic(tmp_path / "out" / "depth.mcap", "/depth/sigma"):
        found = messages.read_depth(message)
        np.testing.assert_array_equal(found, depth_bag._rounded(found))


def test_the_cloud_has_no_veils(bag: Path, toy_manifest: Path, tmp_path: Path) -> None:
    known = []
    for angle in ("0", "45"):
        argv = ["run", str(bag), "--manifest", str(toy_manifest), "--out", str(tmp_path / angle)]
        assert main([*argv, "--limit", "1", "--set", f"cloud.min_angle_deg={angle}"]) == 0
        (cloud,) = read_topic(tmp_path / angle / "depth.mcap", "/depth/points")
        known.append(len(messages.read_points(cloud)))
    assert known[1] < known[0] == WIDTH * HEIGHT // 4


def test_no_bag_writes_pictures_only(bag: Path, toy_manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--out", str(out), "--no-bag", "--limit", "2"]
    assert main(argv) == 0
    assert sorted(path.name for path in out.iterdir()) == ["preview_000000.png", "preview_000001.png"]


def test_overwrite_deletes_the_pictures_of_an_earlier_run(
    bag: Path, toy_manifest: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--out", str(out)]
    assert main([*argv, "--previews", "4"]) == 0
    (out / "notes.png").touch()
    assert main([*argv, "--previews", "1"]) == 1  # not asked to
    assert len(list(out.glob("preview_*.png"))) == 4
    assert main([*argv, "--previews", "1", "--overwrite"]) == 0
    assert sorted(path.name for path in out.glob("*.png")) == ["notes.png", "preview_000000.png"]


def test_no_two_pictures_show_the_same_frame(folder: Path, toy_manifest: Path, tmp_path: Path) -> None:
    """Two frames, over and over: two pictures, whatever was asked for."""
    bag, out = tmp_path / "looped.mcap", tmp_path / "out"
    assert main(["frames-to-bag", str(folder), str(bag), "--frames", "0", "3", "--loops", "4"]) == 0
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--out", str(out), "--no-bag"]
    assert main([*argv, "--previews", "4"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["preview_000000.png", "preview_000003.png"]


@pytest.mark.parametrize("topic", ["/left/image_raw", "/left/image_rect_color"])
@pytest.mark.parametrize("rectification", ["auto", "rectify"])
def test_a_rectified_topic_is_not_rectified_twice_in_silence(
    topic: str, rectification: str, toy_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    K = np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]])
    camera = Camera(WIDTH, HEIGHT, K, "plumb_bob", (-0.3, 0.1, 0, 0, 0))
    image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    image[:, 58:] = 200
    points = np.random.default_rng(0).uniform([-1, -1, 3], [1, 1, 9], (200, 3))
    with BagWriter(tmp_path / "rect.mcap") as writer:
        writer.write_image(topic, image, 1_000_000_000, "camera")
        writer.write_camera_info("/left/camera_info", camera, 1_000_000_000, "camera")
        writer.write_points("/points", points, 1_000_000_000, "camera")
    argv = ["run", str(tmp_path / "rect.mcap"), "--manifest", str(toy_manifest), "--out", str(tmp_path / "o")]
    assert main([*argv, "--set", f"input.rectification={rectification}"]) == 0
    (message,) = read_topic(tmp_path / "o" / "depth.mcap", "/depth/image_rect")
    row = messages.read_depth(message)[HEIGHT // 2]
    named, chosen = "rect" in topic, "rect" in topic and rectification == "auto"
    moved = abs(int(np.nanargmax(np.abs(np.diff(row)))) - 57) > 1
    assert moved == (not chosen)
    said = capsys.readouterr().err
    assert (f"{topic}: taken as rectified" in said) == chosen
    assert ("they would be rectified twice" in said) == (named and not chosen)


def test_one_failed_image_does_not_stop_the_run(
    toy_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = Camera(WIDTH, HEIGHT, np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]))
    image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    points = np.random.default_rng(0).uniform([-1, -1, 3], [1, 1, 9], (200, 3))
    with BagWriter(tmp_path / "gap.mcap") as writer:
        for second in (1, 2, 3):
            stamp_ns = second * 1_000_000_000
            writer.write_image("/image", image, stamp_ns, "camera")
            writer.write_camera_info("/camera_info", camera, stamp_ns, "camera")
            if second != 2:
                writer.write_points("/points", points, stamp_ns, "camera")
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "gap.mcap"), "--manifest", str(toy_manifest), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "depth for 2 of 3 images, failed: 1 anchors" in printed.out
    assert "no cloud on /points" in printed.err
    stamps = [messages.stamp_ns(m) for m in read_topic(out / "depth.mcap", "/depth/image_rect")]
    assert stamps == [1_000_000_000, 3_000_000_000]


@pytest.mark.parametrize("form", ["bag", "folder"])
def test_with_a_prior_images_without_points_get_depth(folder: Path, tmp_path: Path, form: str) -> None:
    source = folder
    if form == "bag":
        source = tmp_path / "no_points.mcap"
        with BagWriter(source) as writer:
            writer.write_image("/camera/image", np.full((HEIGHT, WIDTH, 3), 90, np.uint8), 1, "camera")
            writer.write_camera_info("/camera/camera_info", Camera(WIDTH, HEIGHT, np.eye(3)), 1, "camera")
    else:
        calib = json.loads((folder / "calib.json").read_text())
        for frame in calib["frames"]:
            del frame["depth"]
        (folder / "calib.json").write_text(json.dumps(calib))
    manifest = write_toy_model(tmp_path / "metric", gain=10, metric=True)
    argv = ["run", str(source), "--manifest", str(manifest), "--out", str(tmp_path / "out"), "--limit", "1"]
    assert main([*argv, "--set", "solver.prior=network"]) == 0
    assert main([*argv, "--overwrite"]) == 1


def test_no_depth_at_all_exits_with_1(bag: Path, toy_manifest: Path, tmp_path: Path) -> None:
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--out", str(tmp_path / "out")]
    assert main([*argv, "--set", "anchors.min_count=5000"]) == 1


def test_a_damaged_bag_leaves_no_depth_bag(
    bag: Path, toy_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(bag.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = b"\xff" * 4096
    bag.write_bytes(data)
    out = tmp_path / "out"
    assert main(["run", str(bag), "--manifest", str(toy_manifest), "--out", str(out)]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert not list(out.glob("**/*.mcap"))


def test_inputs_of_a_bag_can_be_renamed(bag: Path, toy_manifest: Path, tmp_path: Path) -> None:
    """As with the node's remappings; a flag beats them."""

    def run(*options: str) -> int:
        out = ["--no-bag", "--previews", "0", "--out", str(tmp_path / "out")]
        return main(["run", str(bag), "--manifest", str(toy_manifest), *out, *options])

    assert run("--remap", "/image:=/nowhere") == 1
    assert run("--remap", "anchors:=/lidar/points", "--remap", "tf:=/tf", "--stamps", "recorded") == 0
    assert run("--remap", "image:=/nowhere", "--image", "/camera/image") == 0
    assert run("--tf", "/nowhere/tf") == 1


@pytest.mark.parametrize("topic", ["lidar", "/lidar", "~/lidar", "front/anchors"])
def test_topics_of_sources_can_be_renamed(bag: Path, toy_manifest: Path, tmp_path: Path, topic: str) -> None:
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--no-bag", "--out", str(tmp_path / "out")]
    argv += ["--set", "anchors.sources=a", "--set", f"sources.a.topic={topic}"]
    assert main(argv) == 1
    assert main([*argv, "--remap", f"{topic}:=/lidar/points"]) == 0


@pytest.mark.parametrize("anchors", [("--anchors", "/lidar/points"), ("--remap", "anchors:=/lidar/points")])
def test_the_one_topic_beside_sources_is_refused(
    bag: Path, toy_manifest: Path, capsys: pytest.CaptureFixture[str], anchors: tuple[str, str]
) -> None:
    argv = ["run", str(bag), "--manifest", str(toy_manifest), "--set", "anchors.sources=a"]
    assert main([*argv, "--set", "sources.a.topic=/lidar/points", *anchors]) == 1
    assert "anchors on /lidar/points, but anchors.sources names a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--anchors", "/points"), "anchors"),
        (("--set", "anchors.sources=a", "--set", "sources.a.topic=/points"), "anchors.sources"),
    ],
)
def test_topics_make_no_sense_for_a_folder(
    folder: Path, toy_manifest: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], named: str
) -> None:
    assert main(["run", str(folder), "--manifest", str(toy_manifest), *options]) == 1
    assert f"run: {named} given for a bag" in capsys.readouterr().err


# ---- real frames -----------------------------------------------------------------------------


def test_kitti_frames_to_bag_to_depth(
    data_dir: Path, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bag's samples are the folder's, and the offline run's error is that of the solver's trials."""
    source, bag = data_dir / "kitti_seq_2011_09_26", tmp_path / "kitti.mcap"
    assert main(["frames-to-bag", str(source), str(bag), "--hold-out", "0.5"]) == 0
    with BagReader(bag) as reader:
        samples = [sample for _, sample in reader.samples(Config())]
    for sample, expected in zip(samples, FrameFolder(source).samples(hold_out=0.5), strict=True):
        np.testing.assert_array_equal(sample.image, expected.image)
        np.testing.assert_allclose(sample.points_camera, expected.points_camera, atol=1e-4)
        np.testing.assert_allclose(sample.points_held_out, expected.points_held_out, atol=1e-4)
    manifest = Path(__file__).parents[2] / "config/models/meter_xxs_kitti.yaml"
    model = model_dir / "meter_xxs_kitti_192x640.onnx"
    argv = ["run", str(bag), "--manifest", str(manifest), "--model", str(model), "--out", str(tmp_path / "o")]
    assert main([*argv, "--previews", "1"]) == 0
    printed = capsys.readouterr().out
    assert "depth for 5 of 5 images" in printed
    assert float(printed.split("AbsRel ")[1].split()[0]) < 0.12


def test_rgbd_frames_to_bag_and_back(data_dir: Path, tmp_path: Path) -> None:
    source, bag = data_dir / "rgbd7_seq", tmp_path / "rgbd"
    assert main(["frames-to-bag", str(source), str(bag), "--anchors", "200"]) == 0
    with BagReader(bag) as reader:
        outcomes = list(reader.samples(Config()))
        poses = [reader.transforms.lookup("map", "camera_optical", stamp_ns) for stamp_ns, _ in outcomes]
    assert len(outcomes) == 10
    for (_, sample), pose, frame in zip(outcomes, poses, FrameFolder(source), strict=True):
        np.testing.assert_array_equal(sample.points_camera, frame.sample(anchors=200).points_camera)
        np.testing.assert_allclose(pose, frame.T_world_camera, atol=1e-3)


# ---- build -----------------------------------------------------------------------------------


def test_build_says_which_runtime_and_why(toy_manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--manifest", str(toy_manifest), "--set", "engine.runtime=onnxruntime"]) == 0
    assert capsys.readouterr().out == f"{toy_manifest}: onnxruntime fp32 on cpu, as set\n"


def test_build_times_anew(
    toy_manifest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from metric_depth_ros import engines

    asked = []
    real = engines.choose_runtime
    monkeypatch.setattr(engines, "choose_runtime", lambda *a: asked.append(a[1]) or real(*a))
    assert main(["build", "--manifest", str(toy_manifest), "--set", "engine.runtime=onnxruntime"]) == 0
    assert [request.anew for request in asked] == [True]


def test_build_ends_with_an_error_when_another_runtime_takes_over(
    toy_manifest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    from metric_depth_ros.runtimes import openvino

    def refuse(*_: object, **__: object) -> None:
        raise ModelError("no such layer")

    monkeypatch.setattr(openvino.OpenVinoBackend, "load", refuse)
    assert main(["build", "--manifest", str(toy_manifest), "--set", "engine.runtime=openvino"]) == 1
    printed = capsys.readouterr()
    assert "onnxruntime fp32 on cpu, the fallback" in printed.out
    assert "engine.runtime: openvino cannot be used" in printed.err


def test_build_makes_what_the_solver_needs(
    toy_manifest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The networks of regions too, and of the bundled networks the one that the node would take."""
    argv = ["build", "--set", "engine.runtime=onnxruntime", "--set", "solver.name=basis"]
    assert main(argv) == 0
    assert "small_depth_basis.yaml" in capsys.readouterr().out
    argv = ["build", "--manifest", str(toy_manifest), "--set", "engine.runtime=onnxruntime"]
    argv += ["--set", "regions.source=sam", "--set", "regions.manifest=absent.yaml"]
    assert main([*argv, "--set", "solver.name=region_aware"]) == 1
    assert "absent.yaml" in capsys.readouterr().err
    assert main([*argv, "--set", "solver.name=global_affine"]) == 0


def test_build_of_a_broken_network_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--manifest", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "points", "anchors"),
    [
        ([], "/depth/points", "/anchors"),
        (["--namespace", "/front"], "/front/depth/points", "/front/anchors"),
        (["--namespace", "front", "--remap", "anchors:=/lidar"], "/front/depth/points", "/lidar"),
        (["--remap", "depth/points:=cloud"], "/cloud", "/anchors"),
    ],
)
def test_foxglove_s_layout_has_the_topics_of_the_node(
    argv: list[str], points: str, anchors: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "--foxglove", *argv]) == 0
    layout = json.loads(capsys.readouterr().out)
    panels = layout["configById"]
    assert set(panels["3D!cloud"]["topics"]) == {points, anchors}

    def leaves(node: Any) -> set[str]:
        return {node} if isinstance(node, str) else leaves(node["first"]) | leaves(node["second"])

    assert leaves(layout["layout"]) == set(panels)


def test_foxglove_s_layout_names_no_other_topics() -> None:
    package = Path(metric_depth_ros.__file__).parent
    text = (package.parent / "config/foxglove.json").read_text()
    named = {topic.split(".")[0] for topic in re.findall(r'"/([^"]+)"', text)}
    published = set(re.findall(r'"(depth/[a-z_/]+)"', (package / "nodes/outputs.py").read_text()))
    assert named - published == {"anchors", "diagnostics"}

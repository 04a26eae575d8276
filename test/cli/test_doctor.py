"""The doctor on bags with one fault each: the true cause first; on good ones, a command that runs."""

from __future__ import annotations

import re
import shlex
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import write_frames
from ros1_bag import SECOND, Ros1Bag

from metric_depth_ros import messages
from metric_depth_ros.cli.doctor_report import listed, prescribed
from metric_depth_ros.cli.main import main
from metric_depth_ros.config.parameter_file import load
from metric_depth_ros.geometry import unproject
from metric_depth_ros.health.clocks import Heard
from metric_depth_ros.health.facts import Facts, Plan, Qos, Topic
from metric_depth_ros.types import Camera

START = 1_700_000_000 * SECOND
CAMERA = Camera(64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]))
WIDE = Camera(128, 48, CAMERA.K)
BENT = Camera(64, 48, CAMERA.K, "plumb_bob", (-0.3, 0.1, 0, 0, 0))
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
V, U = (axis.ravel() for axis in np.mgrid[2:46:3, 2:62:3])
WALL = unproject(np.stack([U, V], 1), np.where(U < 32, 3.0, 6.0), CAMERA).astype(np.float32)
# A body's axes from the optical ones, and points all around it.
BODY = WALL[:, [2, 0, 1]] * np.float32([1, -1, -1])


def bag(
    path: Path,
    *,
    count: int = 12,
    period_s: float = 0.1,
    points: Any = WALL,
    image: str = "/camera/image_raw",
    image_frame: str = "camera",
    info: Camera | dict[str, Any] | None = CAMERA,
    info_frame: str = "camera",
    info_after_s: float = 0.0,
    cloud_frame: str = "lidar",
    every: int = 1,
    cloud_after_s: float = 0.0,
    cloud_off_s: float = 0.0,
    stamped: bool = True,
    images_stamped: bool = True,
    tf: tuple[str, str] | None = ("camera", "lidar"),
    tf_off_s: float | None = None,
    more: Any = None,
    **changes: Any,
) -> Path:
    """Images and clouds at 10 Hz of a wall with a step, with one thing changed.

    Args:
        every: an image for each cloud of so many.
        cloud_after_s: when clouds are measured, after the image.
        cloud_off_s: what the clock that stamps them is off.
        tf_off_s: transforms move, and are stamped this far off.
        more: called with the bag and each stamp.
    """
    made = Ros1Bag()
    if tf is not None and tf_off_s is None:
        made.tf(*tf, np.eye(4), START, "/tf_static")
    for index in range(count):
        at = START + round(index * period_s * SECOND)
        fields = {**messages.image_fields(PIXELS), **changes}
        stamp = at if images_stamped else 0
        made.sensor(image, "depth_image", stamp, image_frame, at, **fields)
        if info is not None:
            told = info if isinstance(info, dict) else messages.camera_info_fields(info)
            made.camera_info_of(
                told, at + round(info_after_s * SECOND), at, info_frame,
                f"{image.rpartition('/')[0]}/camera_info",
            )  # fmt: skip
        if index % every == 0 and points is not None:
            measured = at + round(cloud_after_s * SECOND)
            stamp = measured + round(cloud_off_s * SECOND) if stamped else 0
            made.cloud(
                stamp, measured, frame_id=cloud_frame, topic="/lidar/points",
                **without_layout(messages.points_fields(points)),
            )  # fmt: skip
        if tf is not None and tf_off_s is not None:
            made.tf(*tf, np.eye(4), at + round(tf_off_s * SECOND), recorded_ns=at)
        if more is not None:
            more(made, at)
    return made.write(path)


def without_layout(fields: Any) -> Any:
    return {name: fields[name] for name in ("width", "row_step", "data")}


def chatter(made: Ros1Bag, at: int) -> None:
    made.entries.append((at, "/chatter", "std_msgs/msg/String", made.make("std_msgs/msg/String", data="a")))


def examined(capsys: pytest.CaptureFixture[str], path: Path, *options: str) -> tuple[int, list[str], str]:
    """Exit status, findings in order, and the whole text."""
    status = main(["doctor", str(path), *options])
    text = capsys.readouterr().out
    return status, re.findall(r"^\d+\. (.*)", text, re.MULTILINE), text


FIELDS = messages.camera_info_fields(CAMERA)
# Fault -> what is changed in the bag, options, words of the first finding.
FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no transforms": ({"tf": None}, "", "frame 'camera' and 'lidar' do not exist"),
    "a frame missing": (
        {"tf": ("camera", "lidar_link")}, "",
        r"frame 'lidar' does not exist \(names like 'lidar': lidar_link\)",
    ),
    "a tree in two parts": (
        {"tf": ("base", "lidar"), "more": lambda made, at: made.tf("map", "camera", np.eye(4), at)},
        "", "they are not connected: 'camera' is below 'map', 'lidar' below 'base'",
    ),
    "transforms at another time": ({"tf_off_s": -5.0}, "", r"tf: 'camera' to 'lidar' is known from"),
    "a body's frame": (
        {"points": BODY, "image_frame": "camera_link", "info_frame": "camera_link",
         "tf": ("camera_link", "lidar")},
        "", "'camera_link' is no optical frame",
    ),
    "points behind": ({"points": -WALL}, "", "100 % of the points lie behind the camera"),
    "points beside": ({"points": WALL - np.float32([0, 30, 0])}, "", "out of view .* most others above"),
    "millimetres": ({"points": WALL * 1000}, "", "look like millimetres"),
    "too far": ({}, "--set anchors.max_depth_m=2", r"Raise anchors.max_depth_m"),
    "too few points": ({"points": WALL[[0, 160]]}, "", "2 usable of 2 points"),
    "calibration of another size": ({"info": WIDE}, "", "64x48, but camera_info is for 128x48"),
    "no K": ({"info": {**FIELDS, "k": np.zeros(9), "p": np.zeros(12)}}, "", "camera is not calibrated"),
    "K of rectified images alone": (
        {"info": {**FIELDS, "k": np.zeros(9)}}, "",
        "K is zero and P is not.*Set input.rectification: rectified",
    ),
    "points at the camera's side": (
        {"points": WALL * np.float32([1, 1, 0]), "cloud_frame": "camera"}, "",
        "behind the camera or beside it",
    ),
    "perhaps rectified": ({"info": BENT, "image": "/camera/image"}, "", "is taken as raw"),
    "rectified twice": (
        {"info": BENT, "image": "/camera/image_rect_color"}, "--set input.rectification=rectify",
        "would be rectified twice",
    ),
    "taken as rectified": (
        {"info": BENT, "image": "/camera/image_rect_color"}, "", "image_rect_color: taken as rectified",
    ),
    "no calibration": ({"info": None}, "", "no topic for camera_info.*--calibration FILE"),
    "another camera's calibration": (
        {"info_frame": "rear", "info_after_s": 0.03}, "",
        "nor of its frame 'camera'.*They are of frame 'rear'",
    ),
    "seconds since the start": (
        {"cloud_off_s": -1_699_999_000.0}, "", r"clock is -1699999000.000 s off.*--stamps recorded",
    ),
    "a clock ahead": ({"cloud_off_s": 2.5}, "", r"clock is \+2.500 s off"),
    "a clock behind by little": (
        {"cloud_off_s": -0.62}, "", r"clock is -0.620 s off.*with time_offset_s: 0.620",
    ),
    "an old cloud": ({"every": 6}, "", "max_cloud_age_s is 0.3 s. Set sync.max_cloud_age_s: 0.55"),
    "a later cloud": (
        {"cloud_after_s": 0.04, "period_s": 1.0}, "",
        "max_cloud_lead_s is 0.01 s. Set sync.max_cloud_lead_s: 0.044",
    ),
    "no stamps of clouds": ({"stamped": False}, "", "stamp: /lidar/points: 0 s, which means none"),
    "no stamps of images": ({"images_stamped": False}, "", "stamp: /camera/image_raw: 0 s"),
    "an odd encoding": ({"encoding": "8UC7"}, "", "image: encoding '8UC7'"),
    "no sensor": ({"points": None}, "", "anchors: no topic of a sensor"),
    "another type": ({"more": chatter}, "--anchors /chatter", "anchors was to be /chatter, but it is std"),
    "no such topic": ({}, "--image /front", "image was to be /front, but it is not in the bag"),
    "source on no sensor's topic": (
        {"more": chatter}, "--set anchors.sources=a --set sources.a.topic=/chatter",
        "source a: /chatter is std_msgs/msg/String",
    ),
    "source of another type": (
        {}, "--set anchors.sources=a --set sources.a.topic=/lidar/points --set sources.a.type=range",
        "source a: /lidar/points is .*PointCloud2, but sources.a.type is range. Set it to point_cloud2",
    ),
}  # fmt: skip
# Causes that the printed command mends, or that do not prevent depth.
MENDED = {
    "K of rectified images alone", "perhaps rectified", "rectified twice",
    "taken as rectified", "seconds since the start", "a clock ahead", "an old cloud",
    "a clock behind by little", "a later cloud", "no stamps of clouds", "no stamps of images",
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_true_cause_comes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    changes, options, words = FAULTS[fault]
    status, found, text = examined(capsys, bag(tmp_path / "a.bag", **changes), *options.split())
    assert found and re.search(words, found[0]), text
    assert status == int(fault not in MENDED), text
    assert ("depth will come" in text.splitlines()) == (not status)


def sensors(made: Ros1Bag, at: int) -> None:
    """Odometry with tracked points, a range finder, a 2D LiDAR, a depth camera and the truth."""
    made.tf("odom", "camera", np.eye(4), at)
    for frame, forward_m in (("range", 4.0), ("scan", 3.0)):
        ahead = np.eye(4)
        ahead[:3, 3] = -forward_m, 0, forward_m  # their x axis is forward, and the camera's z
        made.tf("camera", frame, ahead, at, "/tf_static")
    few = messages.points_fields(WALL[::15])
    made.cloud(at, frame_id="odom", topic="/vio/points", **without_layout(few))
    made.sensor("/front", "range", at, "range", range=4.0, field_of_view=0.1, max_range=9.0)
    made.sensor("/scan", "laser_scan", at, "scan", ranges=np.full(60, 3, np.float32), range_max=9.0)
    depth = messages.depth_fields(np.full((48, 64), 3, np.float32), "16UC1")
    for topic in ("/tof/depth/image_raw", "/truth/depth/image"):
        made.sensor(topic, "depth_image", at, "camera", **depth)
        info = messages.camera_info_fields(CAMERA)
        made.camera_info_of(info, at, topic=f"{topic.rpartition('/')[0]}/camera_info")


def command(text: str) -> list[str]:
    """The command that was printed, without the program's name."""
    (line,) = re.findall(r"^  metric_depth (run .*)", text, re.MULTILINE)
    return shlex.split(line)


@pytest.mark.parametrize("more", [None, sensors])
def test_the_command_for_a_good_bag_runs_as_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    path = bag(tmp_path / "a good.bag", more=more)
    status, found, text = examined(capsys, path)
    assert not status and not found, text
    assert main(command(text)) == 0
    assert "depth for 12 of 12 images" in capsys.readouterr().out
    assert ("--anchors /lidar/points" in text) == (more is None)


def test_every_sensor_is_guessed_by_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of settings does the same as the long command."""
    monkeypatch.chdir(tmp_path)
    _, _, text = examined(capsys, bag(tmp_path / "a.bag", more=sensors), "--yaml", "found.yaml")
    config = load("found.yaml")
    assert {name: (source.topic, source.model) for name, source in config.sources.items()} == {
        "lidar": ("/lidar/points", "auto"),
        "depth_camera": ("/tof/depth/image_raw", "auto"),
        "vio": ("/vio/points", "vio"),
        "scan_2d": ("/scan", "auto"),
        "range_finder": ("/front", "auto"),
    }
    assert config.sync.fixed_frame == "auto"  # which finds odom
    assert "--config found.yaml" in text and "--set" not in text
    assert main(command(text)) == 0


@pytest.mark.parametrize("fault", sorted(MENDED - {"rectified twice"}))
def test_a_command_that_mends_a_fault_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    changes, options, _ = FAULTS[fault]
    _, _, text = examined(capsys, bag(tmp_path / "a.bag", **changes), *options.split())
    assert main(command(text)) == 0
    depths = re.search(r"depth for (\d+) of 12 images", capsys.readouterr().out)
    assert depths and int(depths[1]) >= 9


def test_of_several_cameras_one_is_taken_with_its_own_calibration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def second(made: Ros1Bag, at: int) -> None:
        fields = messages.image_fields(PIXELS)
        made.sensor("/infra/image_raw", "depth_image", at, "camera", at, **fields)
        made.camera_info_of(messages.camera_info_fields(WIDE), at, topic="/infra/camera_info")

    status, found, text = examined(capsys, bag(tmp_path / "a.bag", more=second))
    assert status == 0 and found == [
        "image: /camera/image_raw is taken; /infra/image_raw could be it too. Choose with --image."
    ]
    assert "--image /camera/image_raw --camera-info /camera/camera_info" in text


def test_a_long_bag_is_read_in_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its start, where the sensor has not begun, and in its middle."""
    from metric_depth_ros.bags import survey

    monkeypatch.setattr(survey, "_WINDOW_S", 0.5)
    late = bag(tmp_path / "a.bag", count=40, points=None, more=lambda made, at: begun(made, at))
    status, _, text = examined(capsys, late)
    assert status == 0, text
    assert "12 images tried" not in text and re.search(r"\d+ of 1\d images tried", text)


def test_transforms_that_come_once_are_known_wherever_they_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from metric_depth_ros.bags import survey

    def once(made: Ros1Bag, at: int) -> None:
        if at == START + SECOND:
            made.tf("camera", "lidar", np.eye(4), at)

    monkeypatch.setattr(survey, "_WINDOW_S", 0.5)
    _, _, text = examined(capsys, bag(tmp_path / "a.bag", count=40, tf=None, more=once))
    assert "tf: 2 frames, roots camera" in text


def begun(made: Ros1Bag, at: int) -> None:
    """A cloud, from the second second on."""
    if at >= START + SECOND:
        fields = without_layout(messages.points_fields(WALL))
        made.cloud(at, frame_id="lidar", topic="/lidar/points", **fields)


def test_what_cannot_be_read_is_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken_first(made: Ros1Bag, at: int) -> None:
        kind = messages.SENSOR_TYPES["point_cloud2"]
        if at < START + SECOND:
            made.entries.append((at, "/lidar/points", kind, b"\0"))
        begun(made, at)

    made = bag(tmp_path / "a.bag", count=14, points=None, more=broken_first)
    _, _, text = examined(capsys, made)
    assert re.search(f"/lidar/points .*, {len(WALL)} points", text), text


# Of two sources, how one fails -> options, words of the one finding about it.
USELESS = {
    "absent": ("--set sources.b.topic=/none", "source b: /none is not in the bag"),
    "another type": ("--set sources.b.topic=/chatter", "source b: /chatter is std_msgs/msg/String"),
    "no transform": (
        "--set sources.b.topic=/lidar/copy --set sources.b.frame=moon",
        "source b: tf.*'moon' does not exist",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", USELESS)
def test_why_one_of_two_sources_gives_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    def more(made: Ros1Bag, at: int) -> None:
        chatter(made, at)
        fields = without_layout(messages.points_fields(WALL))
        made.cloud(at, frame_id="lidar", topic="/lidar/copy", **fields)

    options, words = USELESS[fault]
    both = "--set anchors.sources=a,b --set sources.a.topic=/lidar/points"
    status, found, text = examined(
        capsys, bag(tmp_path / "a.bag", more=more), *both.split(), *options.split()
    )
    assert status == 0 and len(found) == 1 and re.search(words, found[0]), text


def test_remapped_sources_are_tried_and_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = "--set anchors.sources=a --set sources.a.topic=/points --remap points:=/lidar/points"
    status, found, text = examined(
        capsys, bag(tmp_path / "a.bag"), *given.split(), "--held-out", "/lidar/points", "--regions", "/labels"
    )
    assert status == 0 and not found, text
    assert "/lidar/points" in text and "<- anchors" in text and "sources.a.topic=/lidar/points" in text
    assert "--regions /labels --held-out /lidar/points" in text
    assert main(command(text)) == 0


@pytest.mark.parametrize("tf", ["/robot/tf", "/transforms"])
def test_the_command_for_the_graph_has_every_remapped_topic(tf: str) -> None:
    facts = Facts({}, live=True, tf=(tf, f"{tf}_static"))
    args = Namespace(yaml=None, regions="/labels")
    text = "\n".join(prescribed(args, facts, Plan("/image_raw", "/info", "/points"), {}, works=True))
    for words in ("image:=/image_raw", "regions:=/labels", f"/tf:={tf}", f"/tf_static:={tf}_static"):
        assert f"-r {words}" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--calibration a.yaml", "--calibration given for the graph"),
        ("--stamps recorded --held-out /a", "--stamps recorded, --held-out given for the graph"),
        ("--seconds -1", "--seconds: -1"),
        ("--seconds nan", "--seconds: nan"),
    ],
)
def test_options_that_do_not_apply_are_refused(
    capsys: pytest.CaptureFixture[str], options: str, words: str
) -> None:
    assert main(["doctor", *options.split()]) == 1
    assert words in capsys.readouterr().err


def test_transforms_of_a_split_recording_are_hinted_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag(tmp_path / "a_0.bag")
    _, found, text = examined(capsys, bag(tmp_path / "a_1.bag", tf=None))
    assert found[0].startswith("tf: ") and "run on the folder" in found[0], text


def test_a_folder_of_frames_is_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_frames = tmp_path / "frames"
    write_frames(made_frames)
    status, found, text = examined(capsys, made_frames)
    assert not status and not found and f"metric_depth run {made_frames}" in text
    status, found, text = examined(capsys, made_frames, "--set", "anchors.min_depth_m=150")
    assert status == 1 and found[0].startswith("anchors: ") and "once that is mended:" in text
    examined(capsys, made_frames, "--set", "anchors.min_depth_m=1.5", "--yaml", str(tmp_path / "a.yaml"))
    assert load(tmp_path / "a.yaml").anchors.min_depth_m == 1.5


def test_what_is_no_bag_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(tmp_path / "none.bag")]) == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(("latched", "told"), [(True, "2 message(s), "), (False, "114 Hz, ")])
def test_a_latched_topic_has_no_rate(latched: bool, told: str) -> None:
    kind = "tf2_msgs/msg/TFMessage"
    topic = Topic("/tf_static", kind, count=2, rate_hz=114.0, offers=(Qos(True, latched),))
    line = next(line for line in listed(Facts({topic.name: topic}), Plan()) if "/tf_static" in line)
    assert told in line and ("Hz" in line) is not latched


def test_settings_beside_a_bag_are_judged_with_and_printed_as_their_file(tmp_path, capsys):
    """Others are printed as --set; a file of that name beside what is no ROS 2 bag is none of ours."""
    path = bag(tmp_path / "saved.bag")
    saved = tmp_path / "parameters.yaml"
    saved.write_text("/**: {ros__parameters: {solver.name: median}}")
    assert "parameters.yaml" not in examined(capsys, path)[2]
    (tmp_path / "metadata.yaml").write_text("")
    status, _, text = examined(capsys, path, "--set", "cloud.stride=4")
    assert status == 0 and f"settings: {saved}, saved with the bag" in text
    (command,) = re.findall(r"^  metric_depth run (.*)$", text, re.MULTILINE)
    words = shlex.split(command)
    assert words[words.index("--config") + 1] == str(saved)
    assert "solver.name" not in command and "--set cloud.stride=4" in command
    assert "parameters.yaml" not in examined(capsys, path, "--solver", "auto")[2].partition("run it with")[2]


@pytest.mark.parametrize(
    ("came_s", "clock", "told"),
    [
        (5.25, False, "5.000 s, +0.250 s before it came"),
        (1.7e9, True, "5.000 s (simulated time)"),
        (1.7e9, False, "5.000 s (since the sensor's start, not 1970)"),
    ],
)
def test_stamps_of_another_clock_are_not_compared_with_the_arrival(came_s, clock, told):
    heard = (Heard(5 * SECOND, round(came_s * SECOND)),)
    topics = {"/image": Topic("/image", "sensor_msgs/msg/Image", 1, heard=heard)}
    if clock:
        topics["/clock"] = Topic("/clock", "rosgraph_msgs/msg/Clock", 1)
    assert f"  /image: {told}, +0.000 s from the image's" in listed(Facts(topics), Plan(image="/image"))

"""Depth that `metric_depth run` stored, measured by `evaluate --of`: by hand, and on a rendered bag."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metric_depth_ros.bags import BagWriter
from metric_depth_ros.cli.main import main
from metric_depth_ros.datasets import Frame
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation import run_outputs
from metric_depth_ros.evaluation.run_outputs import StoredDepth, depth_bags
from metric_depth_ros.geometry import resize_camera, rigid_transform
from metric_depth_ros.types import Camera, Rectification

WIDTH, HEIGHT = 32, 24
CAMERA = Camera(WIDTH, HEIGHT, np.array([[30.0, 0, 15.5], [0, 30.0, 11.5], [0, 0, 1]]))
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
RAMP = np.linspace(1, 3, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)


def stamp_of(index: int) -> int:
    return 10**9 + index * 10**8


def write_run(
    folder: Path, depths: dict[int, Any], *, camera: Camera = CAMERA, sigma: float = 0.0, late_ns: int = 0
) -> Path:
    """What `metric_depth run` writes of images by their numbers."""
    folder.mkdir(parents=True)
    with BagWriter(folder / "depth.mcap") as bag:
        for index, depth in depths.items():
            stamp = stamp_of(index) + late_ns
            bag.write_depth("/depth/image_rect", depth, stamp, "camera", encoding="32FC1")
            bag.write_camera_info("/depth/camera_info", camera, stamp, "camera")
            if sigma:
                bag.write_depth("/depth/sigma", sigma * depth, stamp, "camera", encoding="32FC1")
    return folder


def frame(index: int = 0, camera: Camera | None = CAMERA, **changes: Any) -> Frame:
    return Frame(str(index), stamp_of(index), IMAGE, camera, **changes)


# ---- stored depth in the pixels of a frame -----------------------------------------------------


def test_depth_is_found_by_its_stamp(tmp_path: Path) -> None:
    run = StoredDepth(write_run(tmp_path / "run", {0: RAMP, 2: 2 * RAMP}, sigma=0.5) / "depth.mcap")
    for index, factor in ((2, 2), (0, 1)):
        found = run.of(frame(index))
        np.testing.assert_allclose(found.values, factor * RAMP, rtol=1e-5)
        np.testing.assert_allclose(found.features["sigma"][0], factor * RAMP / 2, rtol=1e-5)
        assert found.metric and found.kind == "depth"
    assert np.isnan(run.of(frame(1)).values).all()
    bare = StoredDepth(write_run(tmp_path / "bare", {0: RAMP}) / "depth.mcap")
    assert not bare.of(frame()).features
    with pytest.raises(InputError, match="frame 0: no intrinsics; needed them"):
        bare.of(frame(camera=None))


def test_depth_that_was_recorded_later_than_its_stamp_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    """As a bag of a live node has it: its calibration came half a second late."""
    read = run_outputs.readable_messages

    def late(path: Path, topic: str, window: Any = None) -> Any:
        delay = 5 * 10**8 if topic == "/depth/camera_info" else 0
        return ((recorded_ns + delay, message) for recorded_ns, message in read(path, topic, window))

    monkeypatch.setattr(run_outputs, "readable_messages", late)
    run = StoredDepth(write_run(tmp_path / "run", {0: RAMP, 2: 2 * RAMP}) / "depth.mcap")
    np.testing.assert_allclose(run.of(frame(2)).values, 2 * RAMP, rtol=1e-5)


def test_depth_of_half_the_size_is_enlarged(tmp_path: Path) -> None:
    small = resize_camera(CAMERA, WIDTH // 2, HEIGHT // 2)
    depth = np.arange(1, 1 + WIDTH * HEIGHT // 4, dtype=np.float32).reshape(HEIGHT // 2, WIDTH // 2)
    run = StoredDepth(write_run(tmp_path / "run", {0: depth}, camera=small) / "depth.mcap")
    np.testing.assert_allclose(run.of(frame()).values, depth.repeat(2, axis=0).repeat(2, axis=1), rtol=1e-5)


def test_rectified_depth_returns_to_the_pixels_of_the_raw_image(tmp_path: Path) -> None:
    """A lens that makes the picture smaller at its edges: a raw pixel is farther out in the rectified one."""
    raw = replace(CAMERA, distortion_model="plumb_bob", D=(-0.3, 0.0, 0.0, 0.0, 0.0))
    columns = np.tile(np.arange(1.0, 1 + WIDTH, dtype=np.float32), (HEIGHT, 1))
    run = StoredDepth(write_run(tmp_path / "run", {0: columns}) / "depth.mcap")
    found = run.of(frame(camera=raw)).values
    # x = .4: distorted .4 (1 - .3 .16) = .3808, that is column 15.5 + 30 * .3808 = 26.92 of the raw image.
    assert found[11, 27] == columns[0, 15 + 13]
    assert found[11, 16] == columns[0, 16] and np.isnan(found[0, 0])


def test_depth_rectified_by_a_rotation_is_turned_back(tmp_path: Path) -> None:
    """By .1 rad about y: a ray moves to another column, and its z changes."""
    R = rigid_transform([0, 0, 0], [0, math.sin(0.05), 0, math.cos(0.05)])[:3, :3]
    K = np.array([[31.0, 0, 15.5], [0, 31.0, 11.5], [0, 0, 1]])
    run = StoredDepth(write_run(tmp_path / "a", {0: RAMP}, camera=replace(CAMERA, K=K)) / "depth.mcap")
    found = run.of(frame(rectification=Rectification(K, R))).values
    u = round(15.5 + 31 * math.tan(0.1 + math.atan(0.5 / 30)))
    ray = R @ np.array([0.5 / 30, 0.5 / 30, 1])
    assert found[12, 16] == pytest.approx(RAMP[12, u] / ray[2], rel=1e-5)
    # Depth of another camera than the rectified one was not rectified by it.
    plain = StoredDepth(write_run(tmp_path / "b", {0: RAMP}) / "depth.mcap")
    np.testing.assert_allclose(plain.of(frame(rectification=Rectification(K, R))).values, RAMP, rtol=1e-5)


def test_a_bag_that_is_no_depth_is_named(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "a.mcap") as bag:
        bag.write_image("/image", IMAGE, 10**9, "camera")
    with pytest.raises(InputError, match=r"no /depth/image_rect and no /depth/camera_info; needed .* /image"):
        StoredDepth(tmp_path / "a.mcap").of(frame())
    other = write_run(tmp_path / "run", {0: RAMP}, camera=resize_camera(CAMERA, 16, 12)) / "depth.mcap"
    with pytest.raises(InputError, match="32x24; needed 16x12, the size in its camera_info"):
        StoredDepth(other).of(frame())


def test_each_set_has_its_run(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", {0: RAMP})
    assert depth_bags(one, [tmp_path / "a.mcap"]) == {"a.mcap": StoredDepth(one / "depth.mcap")}
    assert depth_bags(one / "depth.mcap", [Path("bag:a.mcap")])["a.mcap"].path == one / "depth.mcap"
    for name in ("a.mcap", "b.mcap"):
        write_run(tmp_path / "all" / name, {0: RAMP})
    found = depth_bags(tmp_path / "all", [tmp_path / "a.mcap", Path("bag:b.mcap")])
    assert [bag.path.parent.name for bag in found.values()] == ["a.mcap", "b.mcap"]
    with pytest.raises(InputError, match=r"all: no depth; needed c\.mcap/depth\.mcap in it"):
        depth_bags(tmp_path / "all", [tmp_path / "a.mcap", tmp_path / "c.mcap"])
    with pytest.raises(InputError, match="depth of one source, but 2 sets are given; needed"):
        depth_bags(one, [tmp_path / "a.mcap", tmp_path / "b.mcap"])


# ---- evaluate --of -----------------------------------------------------------------------------


def write_source(path: Path, *, truth: bool = True, moves: bool = True) -> Path:
    """Four images of a wall 4 m away, along which the camera moves by a pixel each time."""
    wall = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    points = np.random.default_rng(1).uniform([-2, -1.5, 4], [2, 1.5, 4], (3000, 3)).astype(np.float32)
    with BagWriter(path) as bag:
        for index in range(4):
            stamp = stamp_of(index)
            if moves:
                pose = rigid_transform([index * 4 / 30, 0, 0], [0, 0, 0, 1])
                bag.write_tf([("odom", "camera", pose, stamp)])
            bag.write_image("/camera/image_raw", IMAGE, stamp, "camera")
            bag.write_camera_info("/camera/camera_info", CAMERA, stamp, "camera")
            if truth:
                bag.write_depth("/camera/depth_gt/image", wall, stamp, "camera", encoding="32FC1")
            else:
                bag.write_points("/lidar/points", points, stamp, "camera")
    return path


def wall_run(folder: Path, *factors: float) -> Path:
    depths = {n: np.full((HEIGHT, WIDTH), 4.0 * f, np.float32) for n, f in enumerate(factors)}
    return write_run(folder, depths, sigma=0.1)


def table_of(text: str, heading: str) -> list[str]:
    """Rows of the table of a metric."""
    rest = text.replace("**", "").replace("_", "").partition(f"| {heading} |")[2]
    return rest.partition("\n\n")[0].splitlines()[2:]


def test_changes_from_frame_to_frame_are_measured(tmp_path: Path, capsys: Any) -> None:
    """Depth 1, 1.1, 1.1, 1 times the wall's: ln 1.1 = .0953 in two of three steps is .0635."""
    source = write_source(tmp_path / "a.mcap")
    steady, jumpy = wall_run(tmp_path / "steady", 1, 1, 1, 1), wall_run(tmp_path / "jumpy", 1, 1.1, 1.1, 1)
    options = ["--of", str(steady), str(jumpy), "--out", str(tmp_path / "out")]
    assert main(["evaluate", str(source), *options]) == 0
    text = capsys.readouterr().out
    for metric, value in (("scale jitter", 0.064), ("flicker", 0.064), ("TAE", 0.064), ("AbsRel", 0.05)):
        rows = table_of(text, metric)
        assert rows[0].startswith("| depth as stored | steady | 0.000 |")
        assert rows[1].startswith(f"| depth as stored | jumpy | {value:.3f} |"), metric
    assert table_of(text, "within 1 sigma")[1] == "| depth as stored | jumpy | 1.000 |"
    assert "not defined here" not in text and "control" not in text
    pair = ["compare", str(tmp_path / "out"), "--engines", "steady,jumpy", "--metrics", "flicker"]
    assert main(pair) == 0 and "| flicker | 3 in 1 sets, 1 left out |" in capsys.readouterr().out
    assert main(["evaluate", str(source), *options, "--resume"]) == 0


def test_what_is_missing_is_told_by_name(tmp_path: Path, capsys: Any) -> None:
    """Poses; depth of an image; and of a bag without depth images, points are the truth."""
    run = wall_run(tmp_path / "run", 1, 1.1, 1.1)
    assert main(["evaluate", str(write_source(tmp_path / "a.mcap", moves=False)), "--of", str(run)]) == 0
    text = capsys.readouterr().out
    assert "- flicker, TAE: not defined here; needed poses (T_world_camera of frames; in a bag, tr" in text
    assert (
        "- depth as stored: 1 of 4 failed and count as twice the true depth: a.mcap/000003: no depth" in text
    )
    assert table_of(text, "AbsRel")[0].startswith("| depth as stored | 0.300 | 75.0 % |")
    points = write_source(tmp_path / "points.mcap", truth=False)
    assert main(["evaluate", str(points), "--of", str(run), "--metrics", "scale_jitter,abs_rel"]) == 0
    assert table_of(capsys.readouterr().out, "scale jitter")[0].startswith("| depth as stored | 0.")
    nothing = tmp_path / "nothing.mcap"
    with BagWriter(nothing) as bag:
        bag.write_image("/camera/image_raw", IMAGE, 10**9, "camera")
        bag.write_camera_info("/camera/camera_info", CAMERA, 10**9, "camera")
    assert main(["evaluate", str(nothing), "--of", str(run)]) == 1
    assert "0 topics could be true depth: none; needed one of the images' size" in capsys.readouterr().err


def test_a_folder_of_runs_is_measured_by_bag(tmp_path: Path, capsys: Any) -> None:
    data, runs = tmp_path / "data", tmp_path / "runs"
    data.mkdir()
    for name, factor in (("a.mcap", 1.0), ("b.mcap", 1.2)):
        write_source(data / name)
        wall_run(runs / name, *[factor] * 4)
    options = ["--metrics", "abs_rel,tae", "--workers", "2", "--out", str(tmp_path / "out")]
    assert main(["evaluate", str(data), "--of", str(runs), *options]) == 0
    assert table_of(capsys.readouterr().out, "AbsRel")[0].startswith("| depth as stored | 0.100 |")
    assert "| b.mcap | 4 | 0.200 |" in (tmp_path / "out/report.md").read_text()


def test_a_folder_of_runs_is_measured_at_any_depth_and_without_its_broken_bags(
    tmp_path: Path, capsys: Any, caplog: Any
) -> None:
    """Each bag by its place below the folder; one that gave no depth is named."""
    data, runs = tmp_path / "data", tmp_path / "runs"
    (data / "monday/night").mkdir(parents=True)
    wall_run(runs / "b.mcap", *[1.5] * 4)  # not of monday's
    for name, factor in (("monday/night/a.mcap", 1.0), ("monday/b.mcap", 1.2)):
        write_source(data / name)
        wall_run(runs / name, *[factor] * 4)
    (data / "monday/broken.mcap").write_bytes((data / "monday/b.mcap").read_bytes()[:2000])
    assert main(["evaluate", str(data), "--of", str(runs), "--out", str(tmp_path / "out")]) == 0
    report = (tmp_path / "out/report.md").read_text()
    assert "| a.mcap | 4 | 0.000 |" in report and "| b.mcap | 4 | 0.200 |" in report
    assert f"--of {runs}: no depth of {data / 'monday/broken.mcap'}, left out" in caplog.text
    # A bag of the folder alone.
    options = ["--metrics", "abs_rel"]
    assert main(["evaluate", str(data / "monday/night/a.mcap"), "--of", str(runs), *options]) == 0
    # One that is asked for by name is never left out.
    capsys.readouterr()
    assert main(["evaluate", str(data / "monday/broken.mcap"), "--of", str(runs)]) == 1
    assert "broken.mcap" in capsys.readouterr().err
    assert main(["evaluate", str(data), "--of", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: does not exist; needed what metric_depth run wrote" in capsys.readouterr().err


def test_options_of_solvers_are_refused(tmp_path: Path, capsys: Any) -> None:
    argv = [
        "evaluate",
        "a.mcap",
        "--of",
        "run",
        "--solvers",
        "auto",
        "--constant-map",
        "--protocol",
        "random",
    ]
    assert main(argv) == 1
    assert "--solvers, --constant-map, --protocol with --of, whose depth" in capsys.readouterr().err


def test_a_rendered_bag_from_run_to_figures(tmp_path: Path, capsys: Any) -> None:
    """The error is that which run itself finds at the true depth."""
    pytest.importorskip("embreex")
    bag, run = str(tmp_path / "room.mcap"), str(tmp_path / "run")
    drive = ["--family", "room", "--size", "96x72", "--seconds", "0.6", "--rate", "5", "--workers", "1"]
    assert main(["synthesize", bag, "--bag", *drive]) == 0
    assert main(["run", bag, "--out", run, "--held-out", "/camera/depth_gt/image_rect"]) == 0
    told = float(capsys.readouterr().out.partition("held-out AbsRel ")[2].split()[0])
    assert main(["evaluate", bag, "--of", run, "--limits", "0,100"]) == 0
    text = capsys.readouterr().out
    (row, frames) = table_of(text, "AbsRel")
    assert float(row.split("|")[2]) == pytest.approx(told, abs=0.002) and frames.startswith("| frames | 3 |")
    for metric in ("scale jitter", "flicker", "TAE"):
        assert 0 < float(table_of(text, metric)[0].split("|")[2]) < 0.3

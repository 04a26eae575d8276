"""What is shown is read back from the recording."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metric_depth_ros.drawing.viewer import Viewer, _eye, viewing
from metric_depth_ros.drawing.viewer_layout import CURVES, layout
from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.types import Camera

SECOND = 1_000_000_000


def shown(path: Path) -> dict[str, list[int]]:
    """Entities of a recording -> the stamps (ns) at which they were shown, sorted; none if for all times."""
    chunk = pytest.importorskip("rerun.chunk")
    found = defaultdict(list)
    for each in chunk.RrdReader(path).stream():
        stamps = found[each.entity_path]
        if "stamp" in each.timeline_names:
            batch = each.to_record_batch()
            stamps += batch.column("stamp").cast("int64").to_pylist()
    return {name: sorted(stamps) for name, stamps in found.items()}


def test_every_part_of_an_image_is_shown_at_its_time(tmp_path: Path, camera: Camera) -> None:
    pytest.importorskip("rerun")
    depth = np.full((48, 64), 3.0, np.float32)
    depth[:5] = np.nan
    image = np.full((48, 64, 3), 120, np.uint8)
    with viewing(str(tmp_path / "out.rrd")) as viewer:
        for stamp_ns in (SECOND, 2 * SECOND):
            viewer.at(stamp_ns)
            viewer.place(np.eye(4))
            viewer.image(image, camera)
            viewer.depth(depth)
            viewer.sigma(depth, 0.1 * depth)
            viewer.cloud(depth, image, camera)
            viewer.source("lidar", np.array([[0.0, 0, 2], [0, 0, np.nan], [0, 0, -1]]), camera)
            viewer.told({"scale": "2.0", "residual_median": 0.02, "sigma_relative": np.nan, "known": 1})
    found = shown(tmp_path / "out.rrd")
    parts = (
        "camera",
        "camera/picture",
        "camera/cloud",
        "camera/anchors/lidar",
        "camera/picture/anchors/lidar",
    )
    curves = ("scale/scale", "residual/residual_median", "anchors/lidar")
    for name in ("depth", "sigma", *curves, *(f"world/{part}" for part in parts)):
        assert set(found[f"/{name}"]) == {SECOND, 2 * SECOND}, name
    assert not [name for name in found if "sigma_relative" in name or "known" in name]


def values(path: Path, component: str) -> dict[str, list[list[float]]]:
    """Entities of a recording -> all values of a component."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for each in pytest.importorskip("rerun.chunk").RrdReader(path).stream():
        batch = each.to_record_batch()
        for column in (name for name in batch.schema.names if name.endswith(component)):
            found[each.entity_path] += [v for row in batch.column(column).to_pylist() for v in row or []]
    return found


def test_each_source_has_a_colour_of_its_own_everywhere(tmp_path: Path, camera: Camera) -> None:
    pytest.importorskip("rerun")
    with viewing(str(tmp_path / "out.rrd")) as viewer:
        for name in ("lidar", "vio", "lidar"):
            viewer.source(name, np.array([[0.0, 0, 2]]), camera)
    colours = values(tmp_path / "out.rrd", "colors")
    of = {
        name: {v for path, found in colours.items() if path.endswith(f"/{name}") for v in found}
        for name in ("lidar", "vio")
    }
    assert len(of["lidar"]) == len(of["vio"]) == 1 and of["lidar"] != of["vio"]
    assert {path for path in colours if path.endswith("lidar")} == {
        "/anchors/lidar", "/world/camera/anchors/lidar", "/world/camera/picture/anchors/lidar",
    }  # fmt: skip


def test_residual_and_sigma_are_percent_in_curves_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    with viewing(str(tmp_path / "out.rrd")) as viewer:
        viewer.told({"scale": "2.5", "residual_median": "0.02", "sigma_relative": 0.1, "solver": "auto"})
    found = values(tmp_path / "out.rrd", "scalars")
    assert {path: pytest.approx(v) for path, v in found.items()} == {
        "/scale/scale": [2.5], "/residual/residual_median": [2.0], "/expected/sigma_relative": [10.0],
    }  # fmt: skip


@pytest.mark.parametrize("placed", [False, True])
def test_the_cloud_is_first_seen_from_behind_and_above_the_camera(placed: bool) -> None:
    points = np.array([[0.0, 0, 10]])
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], (5, 6, 7)  # ahead is x, up is z
    place, target, up = _eye(points, T if placed else None)
    ahead, over = ([1.0, 0, 0], [0, 0, 1]) if placed else ([0, 0, 1], [0, -1, 0])
    middle = T[:3, 3] if placed else np.zeros(3)
    assert np.dot(place - middle, ahead) < 0 < np.dot(target - middle, ahead)
    assert np.dot(place - middle, over) > 0 and up.tolist() == over


def test_the_layout_has_each_curve_in_a_view_of_its_own() -> None:
    pytest.importorskip("rerun")
    views = layout("world/camera/picture", np.eye(3)).root_container
    found = []

    def gather(part: Any) -> None:
        for each in getattr(part, "contents", ()):
            found.append(getattr(each, "origin", None))
            gather(each)

    gather(views)
    assert {*CURVES, "depth", "sigma", "world", "world/camera/picture"} <= set(found)


@pytest.mark.parametrize(
    ("where", "words"),
    [("there", "no file .rrd and no address"), ("old.rrd", "exists already"), ("no/folder/x.rrd", "No such")],
)
def test_a_viewer_that_cannot_be_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, words: str
) -> None:
    pytest.importorskip("rerun")
    monkeypatch.chdir(tmp_path)
    Path("old.rrd").write_text("mine")
    with pytest.raises(MetricDepthError, match=words):
        Viewer(where)
    assert Path("old.rrd").read_text() == "mine"


def test_without_rerun_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MetricDepthError, match=r"pip install 'metric_depth_ros\[view\]'"):
        Viewer()

"""What is shown is read back from the recording."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from metric_depth_ros.drawing.viewer import Viewer, viewing
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
            viewer.anchors(np.array([[3.0, 4.0]]), np.array([2.0]))
            viewer.anchors(np.array([[3.0, 4.0]]), np.array([2.0]), "lidar")
            viewer.points("lidar", np.array([[0.0, 0, 2], [0, 0, np.nan], [0, 0, -1]]))
            viewer.values("scale", {"scale": 2.0, "sigma": np.nan})
    found = shown(tmp_path / "out.rrd")
    parts = ("camera", "camera/picture", "camera/picture/anchors", "camera/cloud", "camera/anchors/lidar")
    parts = (*parts, "camera/picture/anchors/lidar")
    for name in ("depth", "sigma", "scale/scale", *(f"world/{part}" for part in parts)):
        assert set(found[f"/{name}"]) == {SECOND, 2 * SECOND}, name
    assert "/scale/sigma" not in found


def test_each_source_has_a_size_of_its_own(tmp_path: Path) -> None:
    chunk = pytest.importorskip("rerun.chunk")
    with viewing(str(tmp_path / "out.rrd")) as viewer:
        for name in ("lidar", "vio", "lidar"):
            viewer.points(name, np.array([[0.0, 0, 2]]))
            viewer.anchors(np.array([[3.0, 4.0]]), np.array([2.0]), name)
    radii: dict[str, set[float]] = defaultdict(set)
    for each in chunk.RrdReader(tmp_path / "out.rrd").stream():
        batch = each.to_record_batch()
        for column in (name for name in batch.schema.names if name.endswith("radii")):
            values = [radius for row in batch.column(column).to_pylist() for radius in row]
            radii[each.entity_path.rpartition("/")[2]].update(values)
    assert len(radii["lidar"]) == len(radii["vio"]) == 1
    assert radii["lidar"] != radii["vio"]


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

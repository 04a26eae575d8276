"""Frame folders: what is read, what is held out, and what can be wrong with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from metric_depth_ros.bags import BagReader
from metric_depth_ros.cli.frames_to_bag import write_frames
from metric_depth_ros.config import Config
from metric_depth_ros.datasets import FrameFolder, open_dataset
from metric_depth_ros.errors import InputError, MetricDepthError
from metric_depth_ros.geometry import project, rigid_transform
from metric_depth_ros.types import Sample

WIDTH, HEIGHT = 32, 24
T_CAMERA_LIDAR = rigid_transform([0.1, 0.2, 0.3], [0.5, -0.5, 0.5, 0.5])


def image_of(index: int) -> Any:
    return np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def lidar_points() -> Any:
    """All around the sensor, x, y, z, intensity."""
    return np.random.default_rng(7).normal(0, 6, (600, 4)).astype(np.float32)


def write_folder(path: Path, **changes: Any) -> Path:
    """Frame a: LiDAR and pose; frame b: 16-bit depth; frame c: npz depth. ``changes`` go to all frames."""
    path.mkdir()
    for index, name in enumerate("abc"):
        cv2.imwrite(str(path / f"{name}.png"), image_of(index)[..., ::-1])
    lidar_points().tofile(path / "a.bin")
    millimetres = np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    cv2.imwrite(str(path / "b_depth.png"), millimetres)
    np.savez(path / "c_depth.npz", depth=millimetres.astype(np.float32) / 100)
    frames: list[dict[str, Any]] = [
        {"id": "a", "rgb": "a.png", "points": "a.bin", "T_camera_lidar": T_CAMERA_LIDAR.tolist(), "fx": 30.0},
        {"id": "b", "rgb": "b.png", "depth": "b_depth.png", "timestamp": 5.25},
        {"id": "c", "rgb": "c.png", "depth": "c_depth.npz", "depth_scale": None},
    ]
    frames[0]["T_world_camera"] = np.eye(4).tolist()
    shared = {"width": WIDTH, "height": HEIGHT, "fx": 25.0, "fy": 26.0, "cx": 15.0, "cy": 11.0}
    shared["depth_scale"] = 0.001
    calib = {**shared, "frames": [{**frame, **changes} for frame in frames]}
    (path / "calib.json").write_text(json.dumps(calib))
    return path


def test_a_folder_reads_as_it_was_written(tmp_path: Path) -> None:
    folder = open_dataset(write_folder(tmp_path / "set"))
    a, b, c = folder
    assert folder.ids == ["a", "b", "c"]
    for index, frame in enumerate((a, b, c)):
        np.testing.assert_array_equal(frame.image, image_of(index))
    assert (a.camera.K[0, 0], b.camera.K[0, 0], b.camera.K[1, 1], b.camera.K[0, 2]) == (30, 25, 26, 15)
    assert not a.camera.distorted
    np.testing.assert_array_equal(a.points_lidar, lidar_points()[:, :3])
    np.testing.assert_allclose(a.T_camera_lidar, T_CAMERA_LIDAR)
    np.testing.assert_allclose(a.T_world_camera, np.eye(4))
    assert b.depth[0, 5] == pytest.approx(0.005)
    assert c.depth[0, 5] == pytest.approx(0.05)
    assert np.isnan(b.depth[0, 0])
    assert np.isnan(c.depth[0, 0])
    assert [frame.stamp_ns for frame in (a, b, c)] == [1_000_000_000, 5_250_000_000, 1_200_000_000]


@pytest.mark.parametrize("to_bag", [False, True])
def test_points_in_map_coordinates_are_exact_in_the_camera(tmp_path: Path, to_bag: bool) -> None:
    """UTM northings leave float32 half a metre."""
    T_map_camera = rigid_transform([691603.37, 5335823.81, 519.2], [0.5, -0.5, 0.5, 0.5])
    seen = np.array([[0, 0, 3], [0.5, -0.3, 6], [-1, 0.4, 7.3]])
    T_camera_map = np.linalg.inv(T_map_camera)
    path = write_folder(tmp_path / "set", points="map.npy", T_camera_lidar=T_camera_map.tolist())
    np.save(path / "map.npy", seen @ T_map_camera[:3, :3].T + T_map_camera[:3, 3])
    if to_bag:
        write_frames(path, tmp_path / "a.mcap", rate_hz=10)
        with BagReader(tmp_path / "a.mcap") as reader:
            sample = next(outcome for _, outcome in reader.samples(Config()))
        assert isinstance(sample, Sample), sample
    else:
        sample = open_dataset(path)[0].sample()
    np.testing.assert_allclose(sample.points_camera, seen, atol=1e-4)


def test_frames_say_whether_depth_is_known(tmp_path: Path) -> None:
    folder = open_dataset(write_folder(tmp_path / "set"))
    assert [folder.has_depth(index) for index in range(3)] == [False, True, True]
    assert [folder.has_depth(index, or_points=True) for index in range(3)] == [True, True, True]
    for number, missing in enumerate(({"T_camera_lidar": None}, {"fx": None})):
        folder = open_dataset(write_folder(tmp_path / str(number), **missing))
        assert not folder.has_depth(0, or_points=True)
        assert folder.has_depth(1)


def test_distortion_is_read(tmp_path: Path) -> None:
    path = write_folder(
        tmp_path / "set", distortion=[0.1, 0.2, 0.3, 0.4], distortion_model="plumb_bob (k1 k2 p1 p2)"
    )
    camera = FrameFolder(path)[0].camera
    assert (camera.distortion_model, camera.D) == ("plumb_bob", (0.1, 0.2, 0.3, 0.4))


def test_half_of_the_points_in_the_image_are_held_out(tmp_path: Path) -> None:
    frame = FrameFolder(write_folder(tmp_path / "set"))[0]
    everything = frame.sample()
    half = frame.sample(hold_out=0.5)
    again = frame.sample(hold_out=0.5)
    other = frame.sample(hold_out=0.5, seed=1)
    assert everything.points_held_out is None
    assert len(everything.points_camera) == 600

    def inside(points: Any) -> int:
        uv, _ = project(points, frame.camera)
        u, v = uv.T
        return int(np.sum((u >= 0) & (u <= WIDTH - 1) & (v >= 0) & (v <= HEIGHT - 1)))

    seen = inside(everything.points_camera)
    assert seen > 20
    assert len(half.points_held_out) == round(seen / 2) == inside(half.points_held_out)
    together = np.concatenate([half.points_camera, half.points_held_out])
    assert {tuple(p) for p in together} == {tuple(p) for p in everything.points_camera}
    assert len(together) == 600
    np.testing.assert_array_equal(half.points_held_out, again.points_held_out)
    assert not np.array_equal(half.points_held_out, other.points_held_out)


def test_anchors_of_a_depth_image_lie_on_it(tmp_path: Path) -> None:
    frame = FrameFolder(write_folder(tmp_path / "set"))[2]
    sample = frame.sample(anchors=40)
    assert len(sample.points_camera) == 40
    assert len(sample.points_held_out) == WIDTH * HEIGHT - 1 - 40
    for points in (sample.points_camera, sample.points_held_out):
        uv, depth = project(points, frame.camera)
        u, v = np.rint(uv).astype(int).T
        np.testing.assert_allclose(uv, np.stack([u, v], axis=1), atol=1e-3)
        np.testing.assert_allclose(depth, frame.depth[v, u], rtol=1e-6)
    both = np.concatenate([sample.points_camera, sample.points_held_out])
    assert len(np.unique(both, axis=0)) == len(both)


def test_a_frame_without_intrinsics_reads_but_makes_no_sample(tmp_path: Path) -> None:
    frame = FrameFolder(write_folder(tmp_path / "set", fx=None))[0]
    assert frame.camera is None
    with pytest.raises(InputError, match="frame a: no intrinsics"):
        frame.sample()


def test_a_frame_without_points_and_depth_makes_no_sample(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither points"):
        FrameFolder(write_folder(tmp_path / "set", depth=None))[1].sample()
    sample = FrameFolder(tmp_path / "set")[1].sample(needs_points=False)
    assert sample.points_camera.shape == (0, 3) and sample.cloud_stamps_ns == ()


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_hold_out_that_is_no_fraction_is_refused(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(InputError, match="hold-out"):
        FrameFolder(write_folder(tmp_path / "set"))[0].sample(hold_out=fraction)


@pytest.mark.parametrize(
    ("index", "changes", "message"),
    [
        (0, {"rgb": "none.png"}, "none.png is missing"),
        (0, {"rgb": None}, "no 'rgb'"),
        (0, {"width": 31}, "32x24; calib.json says 31x24"),
        (0, {"points": "none.bin"}, "none.bin: No such file"),
        (0, {"points": "calib.json"}, "rows of x, y, z, intensity|float32"),
        (0, {"T_camera_lidar": [[1, 2], [3, 4]]}, "needed 4x4"),
        (0, {"T_camera_lidar": [["a"]]}, "no matrix"),
        (0, {"fx": -1.0}, "positive focal lengths"),
        (0, {"distortion": [0.1], "distortion_model": "plumb_bob"}, "distortion coefficients"),
        (0, {"distortion": [0.1], "distortion_model": "fov"}, "distortion model 'fov'"),
        (1, {"depth": "none.png"}, "none.png is missing"),
        (1, {"depth": "none.npz"}, "cannot be read"),
        (1, {"depth_scale": None}, "depth_scale"),
        (1, {"depth": "a.png"}, "needed depth of 32x24"),
    ],
)
def test_wrong_files_and_entries_are_named(
    tmp_path: Path, index: int, changes: dict[str, Any], message: str
) -> None:
    path = write_folder(tmp_path / "set", **changes)
    with pytest.raises(MetricDepthError, match=message):
        FrameFolder(path)[index]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"frames": []}', '{"frames": [1]}'])
def test_a_calib_json_without_frames_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "calib.json").write_text(text)
    with pytest.raises(InputError, match=r"calib\.json"):
        open_dataset(tmp_path)


def test_a_folder_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no known dataset"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    "name", ["kitti_seq_2011_09_26", "nuscenes_frame", "sensorscalib_manual", "rgbd7_seq"]
)
def test_real_frames_make_samples(data_dir: Path, name: str) -> None:
    if not (data_dir / name).is_dir():
        pytest.skip(f"no {name}")
    sample = next(FrameFolder(data_dir / name).samples(hold_out=0.5))
    assert sample.image.shape == (sample.camera.height, sample.camera.width, 3)
    assert len(sample.points_held_out) > 1000
    assert 0.3 < np.median(sample.points_held_out[:, 2]) < 60


def test_every_real_folder_reads(data_dir: Path) -> None:
    folders = sorted(path.parent for path in data_dir.glob("*/calib.json"))
    assert folders
    for folder in folders:
        frame = FrameFolder(folder)[0]
        assert frame.image.ndim == 3


def test_of_sparse_depth_all_are_anchors_and_what_it_lacks_is_held_out(tmp_path: Path) -> None:
    frame = FrameFolder(write_folder(tmp_path / "set"))[1]
    sparse = np.where(np.arange(frame.depth.size).reshape(frame.depth.shape) % 7, np.nan, 1.5)
    sparse = sparse.astype(np.float32)
    given = replace(frame, sparse_depth=sparse)
    sample, few = given.sample(), given.sample(anchors=20)
    assert len(sample.points_camera) == np.isfinite(sparse).sum()
    np.testing.assert_allclose(sample.points_camera[:, 2], 1.5)
    assert len(few.points_camera) == 20
    uv, depth = project(sample.points_held_out, frame.camera)
    u, v = np.rint(uv).astype(int).T
    assert np.isnan(sparse[v, u]).all() and len(u) == (np.isnan(sparse) & np.isfinite(frame.depth)).sum()
    np.testing.assert_allclose(depth, frame.depth[v, u], rtol=1e-6)
    alone = replace(given, depth=None).sample(needs_points=False)
    assert len(alone.points_camera) == np.isfinite(sparse).sum() and alone.points_held_out is None


def test_sparse_depth_and_regions_of_a_folder(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "set", sparse=["b_depth.png", "c_depth.npz"], regions="labels.png")
    labels = (np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % 700).astype(np.uint16)
    cv2.imwrite(str(path / "labels.png"), labels)
    frame = open_dataset(path)[1]
    assert frame.sparse_depth is not None and frame.sparse_depth[0, 5] == pytest.approx(0.05)
    assert np.isnan(frame.sparse_depth[0, 0])
    np.testing.assert_array_equal(frame.regions, labels)
    without = open_dataset(write_folder(tmp_path / "other"))[1]
    assert without.sparse_depth is None and without.regions is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sparse": 3}, "sparse 3; needed a text or a list"),
        ({"sparse": "small.png"}, r"small\.png is 16x12; needed depth of 32x24"),
        ({"sparse": ["b_depth.png", "missing.npz"]}, r"missing\.npz cannot be read"),
        ({"regions": "small.png"}, r"small\.png is 16x12; needed labels of 32x24"),
        ({"regions": "b.png"}, r"b\.png is 3x32x24; needed labels"),
        ({"regions": ["b.png"]}, "no 'regions'; needed the name of a file"),
    ],
)
def test_sparse_depth_and_regions_that_do_not_fit(tmp_path: Path, changes: Any, message: str) -> None:
    path = write_folder(tmp_path / "set", **changes)
    cv2.imwrite(str(path / "small.png"), np.ones((12, 16), np.uint16))
    with pytest.raises(InputError, match=message):
        open_dataset(path)[1]

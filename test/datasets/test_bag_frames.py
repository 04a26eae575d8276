"""Bags with a topic of true depth: which topics are taken, what is read, and what can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metric_depth_ros.bags import BagWriter
from metric_depth_ros.datasets import BagFrames, address, open_dataset
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import rigid_transform, transform_points
from metric_depth_ros.types import Camera

WIDTH, HEIGHT = 32, 24
CAMERA = Camera(WIDTH, HEIGHT, np.array([[30.0, 0, 15.5], [0, 30.0, 11.5], [0, 0, 1]]))
T_CAMERA_LIDAR = rigid_transform([0.1, -0.2, 0.05], [0.5, -0.5, 0.5, -0.5])
POINTS = np.random.default_rng(0).uniform([2, -3, -1], [20, 3, 2], (200, 3)).astype(np.float32)
TRUTH = "/camera/depth_truth/image_raw"


def image_of(index: int) -> Any:
    return np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def depth_of(index: int) -> Any:
    depth = np.linspace(2 + index, 30, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)
    depth[0, 0] = np.nan
    return depth


def pose_of(index: int) -> Any:
    return rigid_transform([0.1 * index, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0])


def write_bag(
    path: Path,
    truth: str | None = TRUTH,
    *,
    lidar: bool = True,
    late_ns: int = 0,
    moves: bool = False,
    **others: Any,
) -> Path:
    """Four images 100 ms apart; depth of all but the second. ``others``: more topics of depth, by size."""
    with BagWriter(path) as bag:
        bag.write_tf_static([("camera_optical", "lidar", T_CAMERA_LIDAR, 10**9)])
        for index in range(4):
            stamp = 10**9 + index * 10**8
            bag.write_image("/camera/image_raw", image_of(index), stamp, "camera_optical")
            bag.write_camera_info("/camera/camera_info", CAMERA, stamp, "camera_optical")
            if moves:
                bag.write_tf([("odom", "camera_optical", pose_of(index), stamp)])
            if lidar:
                bag.write_points("/lidar/points", POINTS, stamp, "lidar")
            if truth and index != 1:
                bag.write_depth(truth, depth_of(index), stamp + late_ns, "camera_optical", encoding="32FC1")
            for name, size in others.items():
                depth = np.full(size, 3.0, np.float32)
                topic = f"/{name}/depth/image_raw"
                bag.write_depth(topic, depth, stamp, "camera_optical", encoding="16UC1")
    return path


@pytest.mark.parametrize("kind", ["a.mcap", "a.db3", "folder"])
def test_images_with_true_depth_are_frames(tmp_path: Path, kind: str) -> None:
    data = open_dataset(write_bag(tmp_path / kind))
    assert isinstance(data, BagFrames)
    assert data.ids == ["000000", "000001", "000002"]
    for frame, index in zip(data, (0, 2, 3), strict=True):
        assert frame.stamp_ns == 10**9 + index * 10**8
        np.testing.assert_array_equal(frame.image, image_of(index))
        np.testing.assert_array_equal(frame.depth, depth_of(index))
        np.testing.assert_allclose(frame.camera.K, CAMERA.K)
        seen = transform_points(frame.T_camera_lidar, frame.points_lidar)
        np.testing.assert_allclose(seen, transform_points(T_CAMERA_LIDAR, POINTS), atol=1e-4)
    np.testing.assert_array_equal(data[2].depth, data.picture(2).depth)


def test_a_bag_without_sensors_has_depth_alone(tmp_path: Path) -> None:
    frame = open_dataset(write_bag(tmp_path / "a.mcap", lidar=False))[0]
    assert frame.points_lidar is None and frame.T_camera_lidar is None
    assert len(frame.sample(anchors=50).points_camera) == 50


def test_truth_beats_other_depth_and_may_be_named(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "a.mcap", realsense=(HEIGHT, WIDTH))
    np.testing.assert_array_equal(open_dataset(path)[0].depth, depth_of(0))
    named = open_dataset(f"bag@/realsense/depth/image_raw:{path}")
    assert len(named) == 4
    assert address(named) == f"bag@/realsense/depth/image_raw:{path}"
    assert address(open_dataset(path)) == str(path)
    np.testing.assert_allclose(named[1].depth, np.full((HEIGHT, WIDTH), 3), rtol=1e-6)


def test_of_depth_cameras_the_registered_one_is_the_truth(tmp_path: Path) -> None:
    sizes = {"registered": (HEIGHT, WIDTH), "small": (12, 16)}
    data = open_dataset(write_bag(tmp_path / "a.mcap", None, **sizes))
    np.testing.assert_allclose(data[0].depth, np.full((HEIGHT, WIDTH), 3), rtol=1e-6)


@pytest.mark.parametrize("held_out", [False, True])
def test_without_depth_images_the_points_are_the_truth(tmp_path: Path, held_out: bool) -> None:
    """Those kept from solvers, if there are such; of every image."""
    path, kept = write_bag(tmp_path / "a.mcap", None), POINTS[:7]
    if held_out:
        path = tmp_path / "b.mcap"
        with BagWriter(path) as bag:
            for index in range(4):
                stamp = 10**9 + index * 10**8
                bag.write_image("/camera/image_raw", image_of(index), stamp, "camera_optical")
                bag.write_camera_info("/camera/camera_info", CAMERA, stamp, "camera_optical")
                bag.write_points("/lidar/points", POINTS, stamp, "camera_optical")
                bag.write_points("/lidar/points_held_out", kept, stamp, "camera_optical")
    data = open_dataset(f"bag:{path}")
    assert data.ids == ["000000", "000001", "000002", "000003"] and not data.has_depth(0)
    assert data.has_depth(0, or_points=True)
    expected = kept if held_out else transform_points(T_CAMERA_LIDAR, POINTS)
    for frame in data:
        assert frame.depth is None
        np.testing.assert_allclose(
            transform_points(frame.T_camera_lidar, frame.points_lidar), expected, atol=1e-4
        )
    with pytest.raises(InputError, match="no topic of true depth; needed one"):
        data.picture(0)


def test_poses_come_from_the_transforms(tmp_path: Path) -> None:
    """Of the camera in a frame that does not move; None where there is no such."""
    assert open_dataset(write_bag(tmp_path / "a.mcap"))[0].T_world_camera is None
    path = write_bag(tmp_path / "b.mcap", moves=True)
    for frame, index in zip(open_dataset(path), (0, 2, 3), strict=True):
        np.testing.assert_allclose(frame.T_world_camera, pose_of(index), atol=1e-6)


@pytest.mark.parametrize(
    ("opened", "change", "words"),
    [
        (
            "bag:{}",
            {"truth": None, "lidar": False},
            "0 topics could be true depth: none; needed one of the images' size, or points",
        ),
        ("bag:{}", {"truth": None, "a": (24, 32), "b": (24, 32)}, "2 topics could be true depth: /a/depth"),
        (
            "bag@/depth/none:{}",
            {},
            "no depth images on /depth/none; needed them. It has some on /camera/depth_truth",
        ),
        (
            "bag:{}",
            {"late_ns": 50_000_000},
            "no image on /camera/image_raw with depth on /camera/depth_truth",
        ),
        (
            "bag@/small/depth/image_raw:{}",
            {"small": (12, 16)},
            "is 16x12; needed 32x24, the size of the image",
        ),
    ],
)
def test_what_cannot_be_a_dataset_is_named(
    tmp_path: Path, opened: str, change: dict[str, Any], words: str
) -> None:
    path = write_bag(tmp_path / "a.mcap", **change)
    with pytest.raises(InputError) as error:
        open_dataset(opened.format(path))[0]
    assert str(path) in str(error.value) and words in str(error.value)


def test_a_bag_without_depth_or_pictures_is_not_recognised(tmp_path: Path) -> None:
    assert not BagFrames.recognises(write_bag(tmp_path / "a.mcap", None))
    with BagWriter(tmp_path / "b.mcap") as bag:
        bag.write_depth("/depth/image_rect", depth_of(0), 10**9, "camera", encoding="32FC1")
    assert not BagFrames.recognises(tmp_path / "b.mcap")
    (tmp_path / "c.mcap").write_bytes(b"nothing")
    assert not BagFrames.recognises(tmp_path / "c.mcap")
    assert not BagFrames.recognises(tmp_path)
    assert not BagFrames.recognises(tmp_path / "missing.mcap")


def test_a_damaged_bag_is_named(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "a.mcap")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"a\.mcap"):
        open_dataset(f"bag:{path}")

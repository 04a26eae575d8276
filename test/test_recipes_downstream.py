"""Costmaps, laser scans and mapping: what they ask for, read from what `run` writes on a rendered bag.

Nav2, depthimage_to_laserscan and the mapping packages are not here: their marking and their scan are written
again in a few lines, and the fields that they read are looked at.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("embreex")

from rosbags.highlevel import AnyReader
from scipy.spatial.transform import Rotation

from metric_depth_ros import messages
from metric_depth_ros.cli.frames_to_bag import CAMERA_INFO, IMAGE, POINTS
from metric_depth_ros.cli.main import main
from metric_depth_ros.cli.synthetic_bag import DEPTH
from metric_depth_ros.config.parameter_file import load
from metric_depth_ros.geometry import pixel_rays, transform_points
from metric_depth_ros.messages.clouds import read_grid

ROOT = Path(__file__).parents[1]
RECIPES, PAGES = ROOT / "config" / "recipes", ROOT / "docs" / "recipes"
SIZE = (320, 240)
# Of a cell of a costmap, and how far a mark may be from a true one: the costmap is inflated by more.
CELL_M, NEAR_M = 0.05, 0.2


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A walk through a room with a LiDAR, and the true depth."""
    path = tmp_path_factory.mktemp("drive") / "drive.mcap"
    size = "{}x{}".format(*SIZE)
    options = ("--seconds", "1", "--rate", "20", "--size", size, "--family", "room", "--seed", "1")
    assert main(["synthesize", str(path), "--bag", *options, "--workers", "1", "--sensors", "lidar"]) == 0
    return path


def ran(bag: Path, out: Path, *options: str) -> dict[str, list[Any]]:
    """Messages of the bag that `run` writes, by topic."""
    argv = ["run", str(bag), "--image", IMAGE, "--camera-info", CAMERA_INFO, "--anchors", POINTS]
    assert main([*argv, "--out", str(out), "--previews", "0", *options]) == 0
    return of_bag(out / "depth.mcap")


def of_bag(path: Path) -> dict[str, list[Any]]:
    found = defaultdict(list)
    with AnyReader([path]) as reader:
        for connection, _, raw in reader.messages():
            found[connection.topic].append(reader.deserialize(raw, connection.msgtype))
    return found


@pytest.fixture(scope="module")
def source(bag: Path) -> dict[str, list[Any]]:
    return of_bag(bag)


@pytest.fixture(scope="module")
def usual(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    return ran(bag, tmp_path_factory.mktemp("usual") / "out")


@pytest.fixture(scope="module")
def for_nav2(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    return ran(bag, tmp_path_factory.mktemp("nav2") / "out", "--config", "nav2_depth")


def matrix(transform: Any) -> np.ndarray:
    T, q, t = np.eye(4), transform.rotation, transform.translation
    T[:3, :3], T[:3, 3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), (t.x, t.y, t.z)
    return T


def poses(source: dict[str, list[Any]]) -> dict[int, np.ndarray]:
    """T_odom_camera by stamp."""
    mounted = {each.child_frame_id: matrix(each.transform) for each in source["/tf_static"][0].transforms}
    moving = [each for message in source["/tf"] for each in message.transforms]
    return {
        messages.stamp_ns(each.header): matrix(each.transform) @ mounted["camera_optical"] for each in moving
    }


# ---- Nav2 ------------------------------------------------------------------------------------


def test_the_cloud_is_as_the_recipe_says(source: dict, for_nav2: dict) -> None:
    settings, clouds = load(RECIPES / "nav2_depth.yaml").cloud, for_nav2["/depth/points"]
    stamps = [messages.stamp_ns(cloud.header) for cloud in clouds]
    assert {*stamps} <= {messages.stamp_ns(image.header) for image in source[IMAGE]}
    assert min(np.diff(stamps)) >= 0.99e9 / settings.rate_hz and len(stamps) >= 9  # of 20 images
    for cloud in clouds:
        assert messages.frame_id(cloud.header) == "camera_optical"
        assert (cloud.width, cloud.height) == (SIZE[0] // settings.stride, SIZE[1] // settings.stride)
        kinds = {field.name: field.datatype for field in cloud.fields}
        assert [kinds[name] for name in "xyz"] == [7, 7, 7]  # FLOAT32, as costmaps iterate over them
        points = read_grid(cloud).reshape(-1, 3)
        known = np.isfinite(points).all(axis=1)
        assert known.mean() > 0.3 and np.isnan(points[~known]).all()
        assert settings.min_depth_m <= points[known, 2].min() < points[known, 2].max() <= settings.max_depth_m


def cells(points: np.ndarray, T_odom_camera: np.ndarray, source: dict[str, Any]) -> np.ndarray:
    """Marked cells (N, 2) of a voxel or obstacle layer: what ObstacleLayer and VoxelLayer do with a cloud."""
    points = points[np.isfinite(points).all(axis=1)]
    away = np.linalg.norm(points, axis=1)
    points = points[(away >= source["obstacle_min_range"]) & (away <= source["obstacle_max_range"])]
    x, y, z = transform_points(T_odom_camera, points).T
    marked = (z >= source["min_obstacle_height"]) & (z <= source["max_obstacle_height"])
    return np.unique(np.floor(np.stack([x, y], axis=1)[marked] / CELL_M), axis=0)


def test_a_costmap_marks_what_is_there(source: dict, for_nav2: dict) -> None:
    """Most of our marks are near a true one, and most true ones near ours; the floor is not marked."""
    costmap = yaml.safe_load((RECIPES / "nav2_costmap.yaml").read_text())["local_costmap"]["local_costmap"]
    layer = costmap["ros__parameters"]["voxel_layer"]["metric_depth"]
    truths = {messages.stamp_ns(each.header): messages.read_depth(each) for each in source[DEPTH]}
    camera = messages.read_camera(source[CAMERA_INFO][0], rectified=True)
    T, rows = poses(source), []
    for cloud in for_nav2["/depth/points"]:
        stamp_ns = messages.stamp_ns(cloud.header)
        exact = (pixel_rays(camera) * truths[stamp_ns][..., None])[::4, ::4].reshape(-1, 3)
        ours, true = (cells(p, T[stamp_ns], layer) for p in (read_grid(cloud).reshape(-1, 3), exact))
        apart_m = CELL_M * np.linalg.norm(ours[:, None] - true[None], axis=2)
        rows.append([(apart_m.min(axis=1) < NEAR_M).mean(), (apart_m.min(axis=0) < NEAR_M).mean()])
    right, found = np.mean(rows, axis=0)
    assert right > 0.9 and found > 0.8, (right, found)


# ---- a laser scan ----------------------------------------------------------------------------


def printed(page: str, name: str) -> float:
    """Value of a parameter in a page's command."""
    return float(re.search(rf"{name}:=([\d.]+)", (PAGES / page).read_text())[1])


def scan_of(depth: np.ndarray, camera: Any) -> np.ndarray:
    """Ranges (W,) by depthimage_to_laserscan: the nearest within its limits of the rows around the middle."""
    height = int(printed("nav2.md", "scan_height"))
    first = int(camera.K[1, 2] - height / 2)
    rays = pixel_rays(camera)[first : first + height, :, 0]
    range_m = np.hypot(1, rays) * depth[first : first + height]
    low, high = (printed("nav2.md", name) for name in ("range_min", "range_max"))
    return np.where((range_m >= low) & (range_m <= high), range_m, np.inf).min(axis=0)


def test_a_laser_scan_of_the_depth_is_that_of_the_truth(source: dict, usual: dict) -> None:
    truths = {messages.stamp_ns(each.header): messages.read_depth(each) for each in source[DEPTH]}
    errors = []
    for image, info in zip(usual["/depth/image_rect"], usual["/depth/camera_info"], strict=True):
        camera = messages.read_camera(info, rectified=True)
        ours = scan_of(messages.read_depth(image), camera)
        true = scan_of(truths[messages.stamp_ns(image.header)], camera)
        both = np.isfinite(ours) & np.isfinite(true)
        assert both.mean() > 0.9 * np.isfinite(true).mean() > 0
        errors.append(np.median(np.abs(ours[both] / true[both] - 1)))
    assert np.mean(errors) < 0.05


# ---- mapping ---------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_depth_and_camera_info_are_one_rgbd_camera_s(
    bag: Path, source: dict, usual: dict, encoding: str, tmp_path: Path
) -> None:
    """What RTAB-Map and nvblox read: one size, stamp and frame, rectified, metres or millimetres."""
    found = (
        usual if encoding == "32FC1" else ran(bag, tmp_path / "out", "--set", f"output.encoding={encoding}")
    )
    depths, infos = found["/depth/image_rect"], found["/depth/camera_info"]
    assert len(depths) == len(infos) == len(source[IMAGE])
    for depth, info, image in zip(depths, infos, source[IMAGE], strict=True):
        headers = {(messages.stamp_ns(each), messages.frame_id(each.header)) for each in (depth, info, image)}
        assert len(headers) == 1
        assert (depth.width, depth.height) == (info.width, info.height) == (image.width, image.height) == SIZE
        bytes_each = {"32FC1": 4, "16UC1": 2}[encoding]
        assert depth.encoding == encoding and not depth.is_bigendian
        assert depth.step == bytes_each * depth.width and len(depth.data) == depth.step * depth.height
        assert not np.any(info.d) and np.array_equal(info.r, np.eye(3).ravel())
        np.testing.assert_array_equal(
            info.p.reshape(3, 4), np.hstack([info.k.reshape(3, 3), np.zeros((3, 1))])
        )
    metres = np.frombuffer(depths[0].data, {"32FC1": "<f4", "16UC1": "<u2"}[encoding]) * (
        1 if encoding == "32FC1" else 0.001
    )
    assert 0.3 < np.nanmedian(metres) < 20


def test_octomap_s_cloud_lies_on_the_depth(usual: dict) -> None:
    """Finite points or NaN, which octomap_server leaves out, at the depth of their pixels."""
    depths = {
        messages.stamp_ns(each.header): messages.read_depth(each) for each in usual["/depth/image_rect"]
    }
    for cloud in usual["/depth/points"]:
        points, depth = read_grid(cloud), depths[messages.stamp_ns(cloud.header)][::2, ::2].ravel()
        known = np.isfinite(points.reshape(-1, 3)).all(axis=1)
        assert known.mean() > 0.5
        np.testing.assert_allclose(points.reshape(-1, 3)[known, 2], depth[known], rtol=1e-5)

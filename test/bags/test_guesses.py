"""What is guessed of topics alone, without their messages."""

from __future__ import annotations

from typing import Any

import pytest

from metric_depth_ros.bags.guesses import guess
from metric_depth_ros.config import Config, updated
from metric_depth_ros.health.facts import Facts, Topic

IMAGE, INFO, CLOUD = (f"sensor_msgs/msg/{kind}" for kind in ("Image", "CameraInfo", "PointCloud2"))
CAMERA = (
    Topic("/camera/image_raw", IMAGE, 9, 10.0, encoding="rgb8", frame_id="camera"),
    Topic("/camera/camera_info", INFO, 9, 10.0, frame_id="camera"),
)


def guessed(*topics: Topic, **changes: Any) -> Any:
    config = updated(Config(), changes.pop("settings", {}))
    return guess(Facts({topic.name: topic for topic in (*CAMERA, *topics)}), config, changes)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1", "64FC1", "Z16", "32fc1"])
def test_pictures_of_depth_are_measured_and_never_the_image(encoding: str) -> None:
    pictures = (Topic(name, IMAGE, 9, 10.0, encoding=encoding) for name in ("/tof/depth", "/tof/distance"))
    plan = guessed(*pictures, Topic("/tof/camera_info", INFO, 9))
    assert plan.sensors == ["/tof/depth"] and plan.image == "/camera/image_raw"
    assert not [note for note in plan.notes if note.startswith("image")]


@pytest.mark.parametrize(
    ("name", "points", "model"),
    [
        ("/LiDAR/cloud", 200, "lidar"),
        ("/orb/MapPoints", 5000, "vio"),
        ("/front_radar/targets", 900, "radar"),
        ("/cloud", 200, "vio"),
        ("/cloud", 900, "lidar"),
    ],
)
def test_what_measures_is_told_by_name_and_number_of_points(name: str, points: int, model: str) -> None:
    plan = guessed(Topic(name, CLOUD, 9, 10.0, points=points))
    assert plan.sensors == [name]
    assert [*plan.sources] == [] if model == "lidar" else [model]


def test_names_of_topics_are_those_of_the_node() -> None:
    settings = {"anchors.sources": ["a"], "sources.a.topic": "~/points"}
    assert guessed(settings=settings).sensors == ["/metric_depth_node/points"]

"""Inputs that should come and do not, by a clock that tests move."""

import pytest

from metric_depth_ros.health import status
from metric_depth_ros.health.input_watch import InputWatch


@pytest.fixture
def clock(monkeypatch):
    """One module ``time`` serves both files."""
    now = [1000.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def health(clock):
    return status.Health()


def silent(what, topic):
    return f"{what}: nothing on {topic}."


def watch(health, **companions):
    return InputWatch(health, "/image", companions or {"camera_info": "/camera_info"}, silent)


def came(health, images, pairs, **others):
    for event, times in {"images": images, "pairs": pairs, **others}.items():
        health.count(f"{event} in", times)


def test_nothing_is_missing_at_first_nor_while_all_comes(clock, health):
    watched = watch(health)
    assert watched.fault() is None
    for _ in range(5):
        clock[0] += 1.5
        came(health, 15, 15, camera_info=15)
        assert watched.fault() is None


def test_silence_is_told(clock, health):
    watched = watch(health)
    clock[0] += 2.5
    key, level, words = watched.fault()
    assert (key, level) == ("image", status.WARN) and words == "image: nothing on /image."


def test_what_does_not_come_with_the_images_is_named(clock, health):
    watched = watch(health, camera_info="/camera_info", regions="/regions")
    clock[0] += 2
    came(health, 20, 0, camera_info=20)
    key, level, words = watched.fault()
    assert (key, level) == (
        "regions",
        status.ERROR,
    ) and words == "regions: nothing on /regions. 20 images wait for it."
    clock[0] += 2
    came(health, 20, 0, camera_info=20, regions=19)
    key, level, words = watched.fault()
    assert (key, level) == ("camera_info", status.ERROR) and "none of one stamp met" in words


def test_one_image_alone_says_nothing(clock, health):
    watched = watch(health)
    clock[0] += 2
    came(health, 1, 0)
    assert watched.fault() is None

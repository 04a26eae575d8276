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


def heard(watched, clock, offset_s, times=20, name="camera_info"):
    """Images and a companion come in turn for two seconds; the companion's clock is off."""
    for _ in range(times):
        clock[0] += 2.0 / times
        for what, off_s in (("images", 0.0), (name, offset_s)):
            watched.heard(what, round((clock[0] + off_s) * 1e9))


@pytest.fixture
def steady(monkeypatch, clock):
    monkeypatch.setattr(status.time, "monotonic_ns", lambda: round(clock[0] * 1e9))


@pytest.mark.parametrize("pairs", [0, 20])
@pytest.mark.parametrize("offset_s", [3600.0, -1.5, 0.01])
def test_the_driver_whose_clock_is_off_is_named(clock, steady, health, pairs, offset_s):
    watched = watch(health)
    heard(watched, clock, offset_s)
    came(health, 20, pairs, camera_info=20)
    fault = watched.fault()
    if abs(offset_s) < 1:
        assert fault is None if pairs else "none of one stamp met" in fault[2]
    else:
        assert fault[:2] == (("clock", status.WARN) if pairs else ("camera_info", status.ERROR))
        assert f"camera_info: the clock of its driver is {offset_s:+.3f} s off that of the images" in fault[2]


def test_a_pause_is_no_other_clock(clock, steady, health):
    """Stamps stand still with a bag, time goes on; of one input more gets lost."""
    watched = watch(health)
    heard(watched, clock, 0.0)
    came(health, 20, 20, camera_info=20)
    assert watched.fault() is None
    paused_s = 50.0
    clock[0] += paused_s
    for k in range(20):
        clock[0] += 0.1
        for what, lost in (("images", k % 3), ("camera_info", 0)):
            if not lost:
                watched.heard(what, round((clock[0] - paused_s) * 1e9))
    came(health, 7, 7, camera_info=20)
    assert watched.fault() is None


def test_a_calibration_that_came_once_or_without_a_stamp_has_no_clock(clock, steady, health):
    watched = watch(health)
    watched.heard("camera_info", 5)
    for _ in range(3):
        heard(watched, clock, 0.0, name="other")
        watched.heard("camera_info", 0)
        came(health, 20, 20, camera_info=1)
        assert watched.fault() is None


def test_a_companion_that_falls_silent_is_told_while_its_last_one_is_used_and_when_images_wait(clock, health):
    watched = watch(health, camera_info="/camera_info", regions="/regions")
    clock[0] += 2
    came(health, 20, 20, camera_info=20, regions=20)
    assert watched.fault() is None
    clock[0] += 2
    came(health, 20, 20, camera_info=0, regions=20)
    words = "camera_info: nothing on /camera_info. The last one is used."
    assert watched.fault() == ("silence camera_info", status.WARN, words)
    clock[0] += 2
    came(health, 20, 0, camera_info=20)
    words = "regions: nothing on /regions. 20 images wait for it."
    assert watched.fault() == ("regions", status.ERROR, words)


def test_a_latched_calibration_is_not_missed(clock, health):
    watched = watch(health)
    health.count("camera_info in")
    for _ in range(3):
        clock[0] += 2
        came(health, 20, 20)
        assert watched.fault() is None

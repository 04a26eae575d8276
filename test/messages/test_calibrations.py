"""Which camera_info belongs to an image."""

from types import SimpleNamespace

import pytest

from metric_depth_ros.errors import InputError
from metric_depth_ros.messages import Calibrations

SLOP_NS = 5_000_000


def message(stamp_ns, frame="camera"):
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp, frame_id=frame))


@pytest.fixture
def calibrations():
    return Calibrations(SLOP_NS, 3)


def test_an_image_gets_its_own_and_waits_for_it(calibrations):
    first, second = message(10**9), message(2 * 10**9)
    calibrations.add(first)
    assert calibrations.find(message(10**9 + SLOP_NS)) is first
    assert calibrations.find(message(10**9 + SLOP_NS + 1)) is None
    calibrations.add(second)
    assert calibrations.find(message(2 * 10**9)) is second


@pytest.mark.parametrize("stamp_ns", [0, 10**9])
def test_one_of_the_frame_holds_where_none_comes_with_the_images(calibrations, stamp_ns):
    held = message(stamp_ns, "/camera")
    calibrations.add(message(stamp_ns, "other"))
    calibrations.add(held)
    calibrations.come_with_images = False
    assert calibrations.find(message(7 * 10**9)) is held
    assert calibrations.find(message(7 * 10**9, "third")) is None
    assert calibrations.frames == ["camera", "other"]


def test_the_newest_of_the_frame_holds(calibrations):
    for stamp_ns in range(5):
        calibrations.add(newest := message(stamp_ns))
    assert calibrations.of_frame(message(10**9)) is newest


@pytest.mark.parametrize("before", [True, False])
def test_own_ones_are_expected_again_once_one_comes(calibrations, before):
    """Before its image or after it."""
    calibrations.add(held := message(0))
    calibrations.come_with_images = False
    if before:
        calibrations.add(own := message(10**9))
    assert calibrations.find(message(10**9)) is (own if before else held)
    if not before:
        calibrations.add(message(10**9))
    assert calibrations.find(message(2 * 10**9)) is None


def test_after_a_jump_back_the_calibration_holds_and_later_ones_are_no_image_s_own(calibrations):
    calibrations.add(late := message(9 * 10**9))
    calibrations.forget_after(10**9)
    assert calibrations.find(message(9 * 10**9)) is None
    assert calibrations.of_frame(message(10**9)) is late


def test_a_negative_stamp_is_refused(calibrations):
    with pytest.raises(InputError, match="stamp: -1 s"):
        calibrations.add(message(-(10**9)))
    assert calibrations.frames == []


def test_of_many_frames_those_heard_last_are_kept(calibrations):
    for i in range(100):
        calibrations.add(message(0, f"camera{i}"))
        calibrations.add(kept := message(0, "mine"))
    assert len(calibrations.frames) == 32 and calibrations.of_frame(message(1, "mine")) is kept

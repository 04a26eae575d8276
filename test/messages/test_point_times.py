"""Times of points: whatever unit and origin a driver uses, they become seconds from the cloud's stamp."""

from types import SimpleNamespace as Namespace

import numpy as np
import pytest

from metric_depth_ros import messages
from metric_depth_ros.messages.point_times import offsets_s

STAMP_NS = 1_717_000_000_123_456_789
COUNT = 1800
SCAN_S = np.linspace(0, 0.0995, COUNT)


@pytest.mark.parametrize(
    ("driver", "times", "expected"),
    [
        ("Velodyne, stamp of the first packet", SCAN_S.astype("f4"), SCAN_S),
        ("Velodyne, stamp of the last packet", (SCAN_S - 0.0995).astype("f4"), SCAN_S - 0.0995),
        ("Ouster; Livox offset_time", np.rint(SCAN_S * 1e9).astype("u4"), SCAN_S),
        ("Hesai, RoboSense", STAMP_NS / 1e9 + SCAN_S, SCAN_S),
        ("RoboSense, stamp of the last point", STAMP_NS / 1e9 + SCAN_S - 0.0995, SCAN_S - 0.0995),
        ("Livox timestamp", STAMP_NS + SCAN_S * 1e9, SCAN_S),
        ("relative float64 s", SCAN_S, SCAN_S),
        ("relative float64 ns", SCAN_S * 1e9, SCAN_S),
        ("microseconds", np.rint(SCAN_S * 1e6).astype("u4"), SCAN_S),
        ("float32 microseconds", (SCAN_S * 1e6).astype("f4"), SCAN_S),
        ("float32 milliseconds", (SCAN_S * 1e3).astype("f4"), SCAN_S),
        ("int32 ns before the stamp", np.rint((SCAN_S - 0.0995) * 1e9).astype("i4"), SCAN_S - 0.0995),
    ],
)
def test_units_and_origins_are_told_by_range(driver, times, expected):
    found = offsets_s(times, STAMP_NS)
    assert found is not None and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "times",
    [
        np.zeros(COUNT, "f4"),
        np.full(COUNT, STAMP_NS, "f8") * 1.5,  # another clock
        STAMP_NS / 1e9 - 5000 + SCAN_S,
        np.linspace(0, 3.0, COUNT),  # no scan takes so long
        np.where(np.arange(COUNT) == 7, np.nan, SCAN_S),
        np.where(np.arange(COUNT) == 7, np.inf, SCAN_S).astype("f4"),
        np.arange(200, dtype="u4") * 1000,  # a fifth of a millisecond in ns, no fifth of a second in us
        np.arange(COUNT, dtype="u4"),
        np.zeros(0, "f4"),
    ],
)
def test_times_that_tell_nothing_are_left_alone(times):
    assert offsets_s(times, STAMP_NS) is None


def point_cloud2(name, times, points, **changes):
    fields = messages.points_fields(points, {name: times})
    keys = "name", "offset", "datatype", "count"
    named = [Namespace(**dict(zip(keys, field, strict=True))) for field in fields["fields"]]
    stamp = Namespace(sec=STAMP_NS // 10**9, nanosec=STAMP_NS % 10**9)
    header = Namespace(stamp=stamp, frame_id="lidar")
    return Namespace(header=header, **{**fields, "fields": named, **changes})


def read(message, kind="point_cloud2", **how):
    return messages.read_cloud(message, kind, timed=True, **how).offset_s


@pytest.mark.parametrize("name", ["time", "t", "timestamp", "offset_time", "time_stamp"])
def test_the_times_of_the_points_that_are_kept_are_read(name):
    points = np.random.default_rng(0).normal(size=(COUNT, 3)).astype(np.float32)
    points[::3], points[1::3] = 0, np.nan
    message = point_cloud2(name, SCAN_S.astype("f4"), points)
    np.testing.assert_allclose(read(message), SCAN_S[2::3], atol=1e-6)
    # They are from the header's stamp, whatever time the cloud is given.
    np.testing.assert_allclose(read(message, time_ns=5), SCAN_S[2::3], atol=1e-6)
    assert messages.read_cloud(message, "point_cloud2").offset_s is None
    np.testing.assert_array_equal(messages.read_points(message), points[2::3])


def test_what_is_no_time_of_a_point_is_passed_over():
    points = np.ones((COUNT, 3), np.float32)
    assert read(point_cloud2("intensity", SCAN_S, points)) is None
    message = point_cloud2("t", SCAN_S, points)
    message.fields[3].count = 2
    assert read(message) is None
    message.fields[3].count, message.fields[3].offset = 1, 1000
    assert read(message) is None
    message.fields[3].offset, message.fields[3].datatype = 12, 99
    assert read(message) is None


def test_a_scan_without_points_has_no_times():
    assert read(point_cloud2("t", SCAN_S[:0], np.ones((0, 3), np.float32))) is None


def scan(**changes):
    header = Namespace(stamp=Namespace(sec=1, nanosec=0), frame_id="laser")
    angles = {"angle_min": -1.0, "angle_increment": 0.5, "range_min": 0.1, "range_max": 9.0}
    ranges = np.array([2, np.inf, 3, 0, 4], np.float32)
    return Namespace(header=header, ranges=ranges, **{"time_increment": 0.01, **angles, **changes})


def test_beams_of_a_scan_have_their_own_times():
    np.testing.assert_allclose(read(scan(), "laser_scan"), [0, 0.02, 0.04])
    np.testing.assert_allclose(read(scan(time_increment=-0.01), "laser_scan"), [0, -0.02, -0.04])
    assert messages.read_cloud(scan(), "laser_scan").offset_s is None
    for increment_s in (0.0, np.nan, np.inf, 5.0):
        assert read(scan(time_increment=increment_s), "laser_scan") is None

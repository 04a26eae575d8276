"""What is wrong with inputs that can be read: each found where it is, and not where all is right."""

import numpy as np
import pytest

from metric_depth_ros import messages
from metric_depth_ros.geometry import transform_points
from metric_depth_ros.health import findings
from metric_depth_ros.types import Anchors, Camera, SourcePoints

CAMERA = Camera(320, 240, np.array([[250.0, 0, 159.5], [0, 250, 119.5], [0, 0, 1]]))
# Optical axes from those of a body.
FORWARD = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
BODY = np.eye(3)
DOWN = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])  # a drone's camera
SPINNING, DOME = (-15, 15), (-7, 90)


def turned(yaw_deg=0.0, pitch_deg=0.0):
    """Rotation to a camera body turned to the left and down."""
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    about_z = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(pitch), 0, -np.sin(pitch)], [0, 1, 0], [np.sin(pitch), 0, np.cos(pitch)]])
    return about_y @ about_z


def room(elevations_deg):
    """(N, 3) points that a LiDAR sees around it in a room of 6 x 6 x 3 m."""
    azimuth, elevation = np.meshgrid(np.radians(np.arange(360)), np.radians(np.linspace(*elevations_deg, 64)))
    rays = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1
    ).reshape(-1, 3)
    rays = np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    walls = np.where(rays > 0, [3, 3, 1.7], [-3, -3, -1.3]) / rays
    return (rays * walls.min(axis=1, keepdims=True)).astype(np.float32)


def seen(R_image_lidar, elevations=SPINNING):
    """Points in the image's frame, and the LiDAR's z axis there; the camera is 0.3 m below the LiDAR."""
    T = np.eye(4)
    T[:3, :3] = R_image_lidar
    return transform_points(T, room(elevations) + np.float32([0, 0, 0.3])), R_image_lidar[:, 2]


@pytest.mark.parametrize("elevations", [SPINNING, DOME])
@pytest.mark.parametrize("R", [BODY, turned(90), turned(-120), turned(0, 25), turned(45, -20)])
@pytest.mark.parametrize("frame", ["camera_link", "/robot/camera_rgb_frame", "base_link"])
def test_a_body_s_frame_is_named(R, elevations, frame):
    points, up = seen(R, elevations)
    words = findings.frame_not_optical(points, CAMERA, frame, up)
    assert words.startswith(f"image: frame {frame!r} is no optical frame")
    assert "\n" not in words


def test_the_fix_is_the_transform_to_the_optical_frame():
    points, up = seen(BODY)
    words = findings.frame_not_optical(points, CAMERA, "camera_link", up)
    frames = "--frame-id camera_link --child-frame-id camera_optical_frame"
    assert f"static_transform_publisher --roll -1.5708 --yaw -1.5708 {frames}" in words


@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize("elevations", [SPINNING, DOME])
@pytest.mark.parametrize(
    "R", [FORWARD, FORWARD @ turned(90), FORWARD @ turned(0, 30), FORWARD @ turned(10, -35), DOWN]
)
@pytest.mark.parametrize("frame", ["camera_link", "camera", "camera_optical_frame"])
def test_an_optical_frame_is_let_be_whatever_its_name(R, elevations, frame, certain):
    points, up = seen(R, elevations)
    assert findings.frame_not_optical(points, CAMERA, frame, up, certain=certain) is None


@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize("frame", ["camera_link", "camera"])
@pytest.mark.parametrize("up", [None, np.array([0.0, 0, 1])])
def test_points_of_a_depth_camera_or_vio_in_axes_like_the_camera_s_are_let_be(frame, up, certain):
    """Their z axis is the camera's, not up: their points are ahead, none along x."""
    points = np.random.default_rng(0).uniform([-2, -1.5, 3], [2, 1.5, 6], (500, 3)).astype(np.float32)
    assert findings.frame_not_optical(points, CAMERA, frame, up, certain=certain) is None
    assert findings.frame_not_optical(points[:20], CAMERA, frame, up, certain=certain) is None
    assert findings.frame_not_optical(points[:0], CAMERA, frame, up, certain=certain) is None


def test_points_all_around_in_the_image_s_own_frame_are_let_be():
    points, _ = seen(FORWARD, DOME)
    assert findings.frame_not_optical(points, CAMERA, "camera_link", None) is None


def test_points_of_a_body_in_the_image_s_own_frame_are_named():
    points, _ = seen(BODY)
    assert "is no optical frame" in findings.frame_not_optical(points, CAMERA, "camera_link", None)


def test_a_camera_that_may_look_up_is_doubted_and_not_refused():
    points, up = seen(BODY, DOME)
    assert findings.frame_not_optical(points, CAMERA, "ceiling_cam", up) is None
    words = findings.frame_not_optical(points, CAMERA, "ceiling_cam", up, certain=False)
    assert "may be no optical frame" in words and "set input.frame: optical" in words
    assert findings.frame_not_optical(points, CAMERA, "ceiling_optical", up, certain=False) is None


def test_a_rotation_from_parameters_is_named_as_such():
    points, up = seen(BODY)
    words = findings.frame_not_optical(points, CAMERA, "", up)
    assert words.startswith("extrinsics.rotation: ") and "[0.5, -0.5, 0.5, 0.5]" in words


@pytest.mark.parametrize(
    ("depth", "limit", "found"),
    [
        ([3000.0, 2500, 4000], 200, True),
        ([300.0, 450, 900], 200, True),  # on a table
        ([2000.0] * 19 + [150.0], 200, True),  # one in twenty would be left as depth
        ([2000.0, 5000.0], 10, True),
        ([30.0, 80, 190], 200, False),
        ([30.0, 80, 190], 10, False),  # far for that robot, but metres
        ([250.0, 260, 150, 40], 200, False),  # some far
        ([250.0, 260, 400], 500, False),
        ([], 200, False),
        ([np.nan, -3.0], 200, False),
    ],
)
def test_millimetres_are_told_from_metres(depth, limit, found):
    words = findings.in_millimetres(np.float32(depth), limit, "anchors", "anchors.max_depth_m")
    assert (words is not None) == found
    if found:
        assert "divide by 1000" in words and "raise anchors.max_depth_m" in words


def test_only_points_in_view_tell_the_unit():
    points = seen(FORWARD)[0]

    def found(points):
        return findings.in_millimetres(findings.depth_in_view(points, CAMERA), 200, "anchors", "limit")

    assert found(points) is None
    assert "look like millimetres" in found(1000 * points)
    behind_the_picture = points.copy()
    behind_the_picture[np.abs(points[:, 0] / points[:, 2]) > 1] *= 1000
    assert found(behind_the_picture) is None


@pytest.mark.parametrize(
    ("depth", "found"), [([30.0, 12, np.nan], True), ([30.0, 9, 50], False), ([], False), ([-3.0], False)]
)
def test_all_beyond_the_limit_is_said(depth, found):
    words = findings.too_far(np.float32(depth), 10, "anchors", "a.limit")
    said = "anchors: all 2 are beyond a.limit (10 m), the nearest at 12 m. Raise a.limit."
    assert words == (said if found else None)


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1000, "look like millimetres: divide"), (0.001, "look like kilometres: multiply"), (3, None)],
)
def test_a_prior_tells_the_unit(factor, words):
    expected = np.float32([0.1, 0.2, np.nan, 0.15])
    found = findings.off_by_a_thousand(expected * np.float32(factor), expected)
    assert found is None if words is None else words in found
    assert findings.off_by_a_thousand(np.float32([]), np.float32([])) is None


@pytest.mark.parametrize(
    ("step_m", "words"), [(0.0, None), (2**-22, None), (0.0039, None), (2**-7, "0.008 m"), (0.5, "0.5 m")]
)
def test_coordinates_too_large_for_their_numbers_are_named(step_m, words):
    found = findings.too_coarse(SourcePoints("map", np.ones((9, 3), np.float32), step_m=step_m))
    assert found is None if words is None else ("points of map:" in found and words in found)


@pytest.mark.parametrize(
    ("factors", "sigma", "found"),
    [
        ([1.3] * 12, 0.03, True),
        ([1.3] * 10 + [1.0] * 2, 0.03, True),
        ([1.3] * 6 + [1.0] * 6, 0.03, False),  # an edge seen from two places
        ([1.3, 0.7] * 6, 0.03, False),
        ([1.3] * 12, 0.6, False),  # no more than both admit
        ([1.3] * 6, 0.03, False),  # too few to tell
    ],
)
def test_sources_contradict_each_other_where_most_places_differ_one_way(factors, sigma, found):
    uv = np.float32([[16 * index + 3, 100] for index in range(len(factors))])
    depth, noise = np.full(len(uv), 4, np.float32), np.full(len(uv), sigma, np.float32)
    by_source = {"a": Anchors(uv, depth, noise), "b": Anchors(uv + 4, depth * np.float32(factors), noise)}
    assert len(findings.sources_contradict(by_source, CAMERA)) == found


DISTORTED = Camera(320, 240, CAMERA.K, "plumb_bob", (-0.369, 0.197, 0.001, 0.0005, -0.07))


@pytest.mark.parametrize(
    ("setting", "topic", "camera", "found"),
    [
        ("rectify", "/camera/image_rect_color", DISTORTED, True),
        ("rectify", "/camera/image_rect", CAMERA, False),
        ("rectify", "/camera/image_raw", DISTORTED, False),
        ("auto", "/camera/image_rect_color", DISTORTED, False),
        ("rectified", "/camera/image_rect_color", DISTORTED, False),
    ],
)
def test_rectifying_twice_is_found(setting, topic, camera, found):
    words = findings.rectified_twice(setting, topic, camera)
    assert (words is not None) == found
    if found:
        assert topic in words and "input.rectification: auto" in words


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        ("/camera/image_rect", True),
        ("/camera/imageRectColor/compressed", True),
        ("/camera/rectified/image", True),
        ("/camera/image_undistorted", True),
        ("/depth/image_rect_raw/compressedDepth", True),
        ("image_rect", True),
        ("/camera/image_raw", False),
        ("/rect_robot/camera/image_raw", False),
        ("/camera/image_direct", False),
        ("/camera/image_distorted", False),
    ],
)
def test_the_last_two_parts_of_a_topic_say_whether_images_are_rectified(topic, rectified):
    assert messages.is_rectified("auto", topic) == rectified
    assert (findings.taken_as_rectified("auto", topic) is not None) == rectified
    assert messages.is_rectified("rectified", topic) and not messages.is_rectified("rectify", topic)


def test_that_a_name_decides_is_said():
    assert "/left/image_rect" in findings.taken_as_rectified("auto", "/left/image_rect")
    assert findings.taken_as_rectified("auto", "/left/image_raw") is None
    assert findings.taken_as_rectified("rectified", "/left/image_rect") is None

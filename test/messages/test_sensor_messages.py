"""Sensors beside PointCloud2: each message becomes the right points, or is refused by name."""

from __future__ import annotations

import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from metric_depth_ros import messages
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Camera

CAMERA = Camera(8, 6, np.array([[10.0, 0, 3.5], [0, 10.0, 2.5], [0, 0, 1]]))
HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=3, nanosec=5), frame_id="sensor")


def read(kind, camera=None, **fields):
    return messages.read_cloud(
        SimpleNamespace(header=HEADER, **fields), kind, camera and (lambda size: camera)
    )


def scan(ranges, **changes):
    fields = {"angle_min": -0.5, "angle_increment": 0.25, "range_min": 0.1, "range_max": 10.0, **changes}
    return read("laser_scan", ranges=ranges, **fields)


def ranger(value, **changes):
    return read(
        "range", **{"range": value, "min_range": 0.2, "max_range": 4.0, "field_of_view": 0.5} | changes
    )


def depth_image(values, encoding, camera=CAMERA, **changes):
    fields = {
        "height": values.shape[0],
        "width": values.shape[1],
        "encoding": encoding,
        "is_bigendian": 0,
        "step": values.strides[0],
        "data": values.reshape(-1).view(np.uint8),
    }
    return read("depth_image", camera, **{**fields, **changes})


def compressed_depth(values, form, *, scale=0.0, shift=0.0, header=True):
    png = cv2.imencode(".png", values)[1].tobytes()
    before = np.array([0], "<i4").tobytes() + np.array([scale, shift], "<f4").tobytes()
    return read("compressed_depth", CAMERA, format=form, data=(before if header else b"") + png)


@pytest.mark.parametrize("nearest", [0.02, 1.0, 300.0])
def test_compressed_depth_that_is_written_is_read_back(nearest):
    """Rounded by no more than is said, and unknown where it was."""
    depth = np.geomspace(nearest, 60 * nearest, 48).reshape(6, 8).astype(np.float32)
    depth[0, 1:4] = np.nan, np.inf, 0
    message = SimpleNamespace(header=HEADER, **messages.compressed_depth_fields(depth))
    found = messages.read_depth_image(message, (8, 6))
    known = np.isfinite(depth) & (depth > 0)
    np.testing.assert_array_equal(np.isfinite(found), known)
    assert (np.abs(found - depth)[known] <= 1.01 * depth[known] ** 2 / (131000 * nearest)).all()
    points = messages.read_cloud(message, "compressed_depth", lambda size: CAMERA).points
    np.testing.assert_allclose(points[:, 2], found[known], rtol=1e-6)
    with pytest.raises(InputError, match="8x6, but the image is 6x8"):
        messages.read_depth_image(message, (6, 8))


def test_compressed_depth_without_any_depth_is_unknown():
    message = SimpleNamespace(header=HEADER, **messages.compressed_depth_fields(np.full((6, 8), np.nan)))
    assert np.isnan(messages.read_depth_image(message, (8, 6))).all()


def test_every_type_of_a_source_has_a_message():
    for kind, ros_type in messages.SENSOR_TYPES.items():
        assert messages.sensor_type(ros_type) == kind
    assert messages.sensor_type("std_msgs/msg/String") is None


def test_a_scan_s_beams_lie_in_its_plane():
    cloud = scan(array.array("f", [1.0, 2.0, 3.0]))
    angles = np.array([-0.5, -0.25, 0.0])
    expected = np.stack([np.cos(angles), np.sin(angles), np.zeros(3)], 1) * [[1], [2], [3]]
    np.testing.assert_allclose(cloud.points, expected, rtol=1e-6)
    assert (cloud.frame_id, cloud.stamp_ns, cloud.sigma) == ("sensor", 3_000_000_005, None)


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf, 0.0, -1.0, 0.05, 10.0, 11.0])
def test_what_is_no_measurement_gives_no_point(nothing):
    """REP 117, and drivers older than it that report range_max where nothing came back."""
    np.testing.assert_allclose(scan([nothing, 2.0]).points[:, 0], 2 * np.cos(-0.25), rtol=1e-6)
    limits = {"min_range": 0.1, "max_range": 10.0}
    assert len(ranger(nothing, **limits).points) == len(ranger(nothing, **limits).sigma) == 0


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (np.nan, np.nan), (np.nan, 60.0), (0.1, np.nan)])
def test_limits_that_a_driver_leaves_out_limit_nothing(low, high):
    assert len(scan([50.0], range_min=low, range_max=high).points) == 1
    assert len(ranger(50.0, min_range=low, max_range=high).points) == 1


@pytest.mark.parametrize(("low", "high"), [(np.inf, 30.0), (30.0, 0.1)])
def test_limits_that_leave_nothing_are_refused(low, high):
    with pytest.raises(InputError, match=r"laser scan: its limits are .* between which nothing is"):
        scan([5.0], range_min=low, range_max=high)
    with pytest.raises(InputError, match="range: its limits are"):
        ranger(5.0, min_range=low, max_range=high)


def test_a_scan_without_angles_is_refused():
    with pytest.raises(InputError, match="angle_min nan"):
        scan([1.0], angle_min=np.nan)


@pytest.mark.parametrize("width", [0.0, 0.03, 0.5])
def test_a_range_is_one_point_whose_sigma_is_the_beam_s_radius(width):
    cloud = ranger(2.0, field_of_view=width)
    np.testing.assert_allclose(cloud.points, [[2, 0, 0]])
    np.testing.assert_allclose(cloud.sigma, [2 * np.tan(width / 2)], rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min_range": 1.0, "max_range": 1.0}, "only tells whether something is nearer"),
        ({"field_of_view": np.nan}, "needed radians"),
        ({"field_of_view": 15.0}, "needed radians"),  # degrees
    ],
)
def test_rangers_that_tell_no_distance_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        ranger(-np.inf, **changes)


def test_an_old_cloud_s_points_are_read():
    """Of beams without an echo, at 0, 0, 0 or not finite, there are none."""
    given = [[1.0, 2.0, 3.0], [4, 5, np.nan], [0, 0, 0], [np.inf, -np.inf, 1], [0, 0, 4], [1e38, 1, 1e38]]
    points = [SimpleNamespace(x=x, y=y, z=z) for x, y, z in given]
    kept = np.float32([given[0], given[4], given[5]])
    np.testing.assert_array_equal(read("point_cloud", points=points).points, kept)
    assert read("point_cloud", points=[]).points.shape == (0, 3)


def points_of(depth):
    """All points of a depth map (6, 8), by the pinhole's formula."""
    v, u = np.nonzero(np.isfinite(depth))
    z = depth[v, u]
    return np.stack([(u - 3.5) / 10 * z, (v - 2.5) / 10 * z, z], 1)


def sample_depth():
    depth = np.linspace(0.5, 6, 48).reshape(6, 8).astype(np.float32)
    depth[1, 2] = depth[4, 5] = np.nan
    return depth


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("encoding", "unit"),
    [
        ("16UC1", 1000),
        ("mono16", 1000),
        ("16uc1", 1000),
        ("Y16", 1000),
        ("32FC1", 1),
        ("32fc1 ", 1),
        ("64FC1", 1),
    ],
)
def test_a_depth_image_is_projected_back_with_its_holes_left_out(encoding, unit, order):
    depth = sample_depth()
    values = np.nan_to_num(depth * unit, nan=0.0).astype(
        "u2" if unit > 1 else "f8" if "64" in encoding else "f4"
    )
    if unit == 1:
        values[1, 2], values[4, 5] = np.nan, np.inf
    else:
        values[1, 2] = 65535  # saturated
    values = values.astype(values.dtype.newbyteorder(order))
    cloud = depth_image(values, encoding, is_bigendian=order == ">")
    np.testing.assert_allclose(cloud.points, points_of(depth), atol=2e-3)
    assert cloud.sigma is None


def test_a_large_depth_image_gives_as_many_points_as_anchors_need():
    camera = Camera(640, 480, np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]))
    values = np.full((480, 640), 2000, np.uint16)
    points = depth_image(values, "16UC1", camera).points
    assert len(points) == 80 * 60
    np.testing.assert_allclose(points[0], [2 * -319.5 / 500, 2 * -239.5 / 500, 2], rtol=1e-6)


def test_lens_distortion_of_the_depth_camera_is_taken_into_account():
    bent = Camera(8, 6, CAMERA.K, "plumb_bob", (-0.2, 0, 0, 0, 0))
    straight, curved = (depth_image(np.ones((6, 8), "f4"), "32FC1", c).points for c in (CAMERA, bent))
    corner = np.abs(curved[0] / straight[0])
    assert (corner[:2] > 1.01).all() and corner[2] == 1


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("encoding", ["16UC1", "16uc1", "mono16"])
def test_compressed_millimetres(header, encoding):
    depth = sample_depth()
    values = np.nan_to_num(depth * 1000, nan=0.0).astype(np.uint16)
    cloud = compressed_depth(values, f"{encoding}; compressedDepth png", header=header)
    np.testing.assert_allclose(cloud.points, points_of(depth), atol=2e-3)
    assert not cloud.sigma.any()


def test_compressed_metres_are_quantised_inverse_depth():
    """As compressed_depth_image_transport writes it with depth_quantization 100 and depth_max 10."""
    depth = sample_depth()
    scale = 100.0 * 101
    shift = 1 - scale / 10
    values = np.where(np.isfinite(depth), np.rint(scale / depth + shift), 0).astype(np.uint16)
    cloud = compressed_depth(values, "32FC1; compressedDepth png", scale=scale, shift=shift)
    expected = points_of(depth)
    np.testing.assert_allclose(cloud.points[:, 2], expected[:, 2], atol=6**2 / scale / 2 + 1e-5)
    np.testing.assert_allclose(cloud.points[:, :2], expected[:, :2], atol=2e-3)
    np.testing.assert_allclose(cloud.sigma, cloud.points[:, 2] ** 2 / scale / np.sqrt(12), rtol=1e-5)


def refused_depth(**changes):
    return depth_image(**{"values": np.ones((6, 8), "f4"), "encoding": "32FC1", **changes})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: refused_depth(encoding="rgb8"), "has depth, not colours"),
        (lambda: refused_depth(camera=None), "no camera_info has come"),
        (lambda: refused_depth(values=np.ones((3, 4), "f4")), "4x3, but its camera_info is for 8x6"),
        (lambda: refused_depth(data=np.zeros(9, np.uint8)), "cut short"),
        (lambda: compressed_depth(np.ones((6, 8), np.uint8), "16UC1; compressedDepth png"), "16-bit PNG"),
        (lambda: compressed_depth(np.ones((6, 8), np.uint16), "rgb8; jpeg compressed bgr8"), "not TOPIC/"),
        (lambda: compressed_depth(np.ones((6, 8), np.uint16), "32FC1; compressedDepth png"), "parameters 0"),
        (lambda: read("compressed_depth", CAMERA, format="16UC1; compressedDepth rvl", data=b"x"), "png"),
        (lambda: read("compressed_depth", CAMERA, format="16UC1; compressedDepth", data=b""), "0 bytes"),
    ],
)  # fmt: skip
def test_unusable_depth_is_refused_by_name(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize(
    ("topic", "beside"),
    [
        ("/camera/depth/image_raw", "/camera/depth/camera_info"),
        ("/camera/depth/image_raw/compressedDepth", "/camera/depth/camera_info"),
        ("/depth", "/camera_info"),
        ("tof", "camera_info"),
        ("left/tof", "left/camera_info"),
    ],
)
def test_a_depth_image_s_calibration_lies_beside_it(topic, beside):
    assert messages.camera_info_beside(topic) == beside


def depth_info(**changes):
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    fields = {
        "width": 8, "height": 6, "distortion_model": "plumb_bob", "d": [0.1, 0, 0, 0, 0],
        "r": np.eye(3).ravel(),
        "k": [10.0, 0, 3.5, 0, 10, 2.5, 0, 0, 1], "p": [9.0, 0, 3, 0, 0, 9, 2, 0, 0, 0, 1, 0],
        "binning_x": 0, "binning_y": 0, "roi": roi,
    }  # fmt: skip
    return SimpleNamespace(**fields | changes)


@pytest.mark.parametrize(
    "changes", [{"width": 0, "height": 0}, {"binning_x": 2, "binning_y": 2}, {"binning_x": 4, "width": 8}]
)
def test_a_depth_image_s_size_decides_what_its_calibration_leaves_open(changes):
    camera = messages.read_depth_camera(depth_info(**changes), "/depth/image_rect", (8, 6))
    assert (camera.width, camera.height, camera.K[0, 0], camera.K[0, 2]) == (8, 6, 9, 3)


def test_a_depth_image_is_rectified_if_its_topic_says_so():
    info = depth_info()
    for topic, focal, distorted in (
        ("/rect/depth/image_raw", 10, True),
        ("/depth/image_rect", 9, False),
        ("/depth_rect/image", 9, False),
        ("/depth/image_rect_raw/compressedDepth", 9, False),
    ):
        camera = messages.read_depth_camera(info, topic, (8, 6))
        assert (camera.K[0, 0], camera.distorted) == (focal, distorted)

"""Messages to arrays and back: by hand-made bytes, through rosbags and, where installed, rclpy."""

from __future__ import annotations

import array
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from metric_depth_ros import messages
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import project, rigid_transform, unproject
from metric_depth_ros.types import Camera

ROS2 = get_typestore(Stores.ROS2_KILTED)
ROS1 = get_typestore(Stores.ROS1_NOETIC)
CAMERA = Camera(6, 4, np.array([[5.0, 0, 2.5], [0, 5.0, 1.5], [0, 0, 1]]))
RED, GREEN, BLUE = (200, 10, 30), (20, 180, 40), (15, 25, 220)
COLOURS = np.array([[RED, GREEN], [BLUE, RED]], np.uint8)


def image_message(pixels, encoding, *, step=None, big=0, size=None, data=None):
    """A sensor_msgs/Image of pixels (H, W[, C]); ``step`` longer than a line pads with 255."""
    height, width = size or pixels.shape[:2]
    lines = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    step = step or lines.shape[1]
    padded = np.full((len(lines), step), 255, np.uint8)
    padded[:, : lines.shape[1]] = lines
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=big,
        step=step,
        data=padded.reshape(-1) if data is None else data,
    )


def cloud_message(points, *, kind="f4", names="xyz", order="<", offsets=None, point_step=None, pad=0):
    """A sensor_msgs/PointCloud2 of points (H, W, 3)."""
    numbers = {kind: number for number, kind in messages.clouds.DATATYPES.items()}
    offsets = offsets or [i * int(kind[1]) for i in range(3)]
    point_step = point_step or max(offsets) + int(kind[1])
    layout = {"names": list(names), "formats": [order + kind] * 3, "offsets": offsets, "itemsize": point_step}
    packed = np.zeros(points.shape[:2], np.dtype(layout))
    for i, name in enumerate(names):
        packed[name] = points[..., i]
    lines = packed.view(np.uint8).reshape(len(points), -1)
    lines = np.concatenate([lines, np.full((len(points), pad), 255, np.uint8)], axis=1)
    return SimpleNamespace(
        height=points.shape[0],
        width=points.shape[1],
        is_bigendian=order == ">",
        point_step=point_step,
        row_step=lines.shape[1],
        is_dense=False,
        data=lines.reshape(-1),
        fields=[
            SimpleNamespace(name=n, offset=o, datatype=numbers[kind], count=1)
            for n, o in zip(names, offsets, strict=True)
        ],
    )


def info_message(**changes):
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    values = {
        "width": 640,
        "height": 480,
        "distortion_model": "plumb_bob",
        "d": [0.1, -0.2, 0.001, 0.002, 0.0],
        "k": [500.0, 0, 320, 0, 510, 240, 0, 0, 1],
        "r": [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
        "p": [400.0, 0, 310, 0, 0, 410, 230, 0, 0, 0, 1, 0],
        "binning_x": 0,
        "binning_y": 0,
        "roi": roi,
    }
    return SimpleNamespace(**{**values, **changes})


def filled(store, kind, fields):
    """A rosbags message of ``fields``, serialised and read back."""
    types = store.types
    name = "sensor_msgs/msg/" + kind
    header = {"stamp": types["builtin_interfaces/msg/Time"](3, 4), "frame_id": "lidar"}
    header = types["std_msgs/msg/Header"](**header, **({"seq": 0} if store is ROS1 else {}))
    values = dict(fields, header=header)
    if "fields" in values:
        values["fields"] = [types["sensor_msgs/msg/PointField"](*field) for field in values["fields"]]
    if kind == "CameraInfo":
        roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        values |= {"binning_x": 0, "binning_y": 0, "roi": roi}
        if store is ROS1:
            values = {name.upper() if len(name) == 1 else name: value for name, value in values.items()}
    message = types[name](**values)
    if store is ROS1:
        return store.deserialize_ros1(store.serialize_ros1(message, name), name)
    return store.deserialize_cdr(store.serialize_cdr(message, name), name)


def rclpy_filled(kind, fields):
    """A real message of ``fields``, filled as the node fills it."""
    sensor_msgs = pytest.importorskip("sensor_msgs.msg")
    message = getattr(sensor_msgs, kind)()
    for name, value in fields.items():
        if name == "data":
            message.data.frombytes(value)
        elif name == "fields":
            message.fields = [
                sensor_msgs.PointField(name=n, offset=o, datatype=t, count=c) for n, o, t, c in value
            ]
        else:
            setattr(message, name, value)
    message.header.stamp.sec, message.header.stamp.nanosec = 3, 4
    message.header.frame_id = "lidar"
    return message


def ros1_filled(kind, fields):
    return filled(ROS1, kind, fields)


def ros2_filled(kind, fields):
    return filled(ROS2, kind, fields)


@pytest.fixture(params=[ros1_filled, ros2_filled, rclpy_filled])
def fill(request):
    return request.param


def test_stamp_and_frame(fill):
    message = fill("Image", messages.image_fields(COLOURS))
    assert messages.stamp_ns(message) == messages.stamp_ns(message.header) == 3_000_000_004
    assert messages.frame_id(message) == messages.frame_id(message.header) == "lidar"


def test_time_begins_at_zero():
    def header(seconds):
        return SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=7))

    assert messages.stamp_ns(header(0)) == 7
    with pytest.raises(InputError, match="needed 0 or more"):
        messages.stamp_ns(header(-1))


def test_image_round_trip(fill):
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    assert np.array_equal(messages.read_image(fill("Image", messages.image_fields(image))), image)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_depth_round_trip(fill, encoding):
    depth = np.array([[1.25, np.nan, 0.001], [65.534, 3.0, 20.0]], np.float32)
    read = messages.read_depth(fill("Image", messages.depth_fields(depth, encoding)))
    np.testing.assert_allclose(read, depth, rtol=1e-6)
    assert read.dtype == np.float32


def test_camera_round_trip(fill):
    camera = Camera(640, 480, CAMERA.K, "rational_polynomial", (0.1, 0.2, 0, 0, 0.3, 0.4, 0.5, 0.6))
    read = messages.read_camera(fill("CameraInfo", messages.camera_info_fields(camera)), rectified=False)
    assert (read.width, read.height, read.distortion_model, read.D) == (
        640,
        480,
        "rational_polynomial",
        camera.D,
    )
    assert np.array_equal(read.K, camera.K)


def test_a_fisheye_camera_is_written_as_one():
    fields = messages.camera_info_fields(Camera(640, 480, CAMERA.K, "equidistant", (0.1, 0.2, 0.3, 0.4)))
    assert fields["distortion_model"] == "equidistant" and fields["d"].tolist() == [0.1, 0.2, 0.3, 0.4]


def test_undistorted_camera_is_written_as_plumb_bob():
    fields = messages.camera_info_fields(CAMERA)
    assert fields["distortion_model"] == "plumb_bob"
    assert np.array_equal(fields["d"], np.zeros(5))
    assert np.array_equal(fields["p"].reshape(3, 4), np.c_[CAMERA.K, np.zeros(3)])
    assert all(fields[name].dtype == np.float64 for name in "dkrp")


def test_cloud_round_trip(fill):
    """A beam without an echo is no point, however the sensor writes it."""
    points = np.array([[1, 2, 3], [np.nan] * 3, [0, 0, 0], [1, np.inf, 2], [0, 0, 4]], np.float32)
    extra = {"intensity": np.arange(5, dtype=np.float32), "ring": np.arange(1, 6).astype(np.uint16)}
    fields = messages.points_fields(points, extra)
    message = fill("PointCloud2", fields)
    assert np.array_equal(messages.read_grid(message), points[None], equal_nan=True)
    assert np.array_equal(messages.read_points(message), [[1, 2, 3], [0, 0, 4]])
    named = [(field.name, field.offset, field.datatype, field.count) for field in message.fields]
    assert named[3:] == [("intensity", 12, 7, 1), ("ring", 16, 4, 1)]
    ring = np.frombuffer(bytes(message.data), np.uint8).reshape(5, -1)[:, 16:18].copy().view(np.uint16)
    assert ring.ravel().tolist() == [1, 2, 3, 4, 5]


def test_the_types_of_a_cloud_s_fields_are_those_of_point_field():
    """INT8 = 1, UINT8, INT16, UINT16, INT32, UINT32, FLOAT32, FLOAT64 = 8."""
    kinds = ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"]
    fields = messages.points_fields(np.zeros((2, 3)), {kind: np.ones(2, kind) for kind in kinds})
    assert [number for _, _, number, _ in fields["fields"][3:]] == [1, 2, 3, 4, 5, 6, 7, 8]


# --- images


def test_colour_orders():
    grey = np.array([[7, 250]], np.uint8)
    alpha = np.full((2, 2, 1), 9, np.uint8)
    bgr = COLOURS[..., ::-1]
    cases = {
        "rgb8": COLOURS,
        "bgr8": bgr,
        "8UC3": bgr,
        "rgba8": np.concatenate([COLOURS, alpha], 2),
        "bgra8": np.concatenate([bgr, alpha], 2),
        "8UC4": np.concatenate([bgr, alpha], 2),
        "RGB8": COLOURS,
        "bgr": bgr,
    }
    for encoding, pixels in cases.items():
        assert np.array_equal(messages.read_image(image_message(pixels, encoding)), COLOURS), encoding
    for encoding in ("mono8", "8UC1", "grey", "Y8"):
        read = messages.read_image(image_message(grey, encoding))
        assert np.array_equal(read, np.repeat(grey[..., None], 3, 2)), encoding


def thermal(low=7600, high=8000, shape=(48, 64)):
    """16-bit counts from low to high, in order, with a dead and a hot pixel."""
    counts = np.linspace(low, high, shape[0] * shape[1]).round().reshape(shape).astype("<u2")
    counts[0, 0], counts[-1, -1] = 0, 65535
    return counts


@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "Y16"])
@pytest.mark.parametrize("big", [0, 1])
def test_16_bit_grey_is_stretched_between_percentiles(encoding, big):
    pixels = thermal().astype(">u2" if big else "<u2")
    grey = messages.read_image(image_message(pixels, encoding, big=big))[..., 0].astype(int).ravel()
    share = np.arange(grey.size) / grey.size
    np.testing.assert_allclose(grey[1:-1], (255 * (share - 0.005) / 0.99).clip(0, 255)[1:-1], atol=1.5)
    clipped = messages.Stretch(clip_percent=20)(pixels)
    assert [(clipped == level).mean() for level in (0, 255)] == pytest.approx([0.2, 0.2], abs=0.01)


def test_the_contrast_of_a_16_bit_stream_follows_slowly_and_a_new_scene_at_once():
    stretch, middle = messages.Stretch(), np.s_[24, 32]
    before = int(stretch(thermal())[middle])
    warmer = thermal(7640, 8040)  # a tenth of the range
    seen = [int(stretch(warmer)[middle]) for _ in range(60)]
    assert seen[0] - before == pytest.approx(0.9 * 25.5, abs=2)
    assert max(-np.diff(seen)) <= 4 and seen[-1] == pytest.approx(before, abs=1)
    assert int(stretch(thermal(9600, 10000))[middle]) == pytest.approx(before, abs=1)
    assert stretch(np.full((4, 4), 77, np.uint16)).max() <= 255


def test_a_16_bit_png_is_stretched_too():
    data = cv2.imencode(".png", thermal())[1].tobytes()
    read = messages.read_compressed_image(SimpleNamespace(format="mono16; png compressed", data=data))
    assert np.array_equal(read[..., 0], messages.Stretch()(thermal()))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_of_one_colour(pattern):
    tile = np.array([RED["rgb".index(letter)] for letter in pattern], np.uint8).reshape(2, 2)
    read = messages.read_image(image_message(np.tile(tile, (4, 4)), f"bayer_{pattern}8"))
    assert (read == RED).all()


def yuv(rgb):
    """Y, U, V of one colour by the BT.601 video-range equations."""
    r, g, b = (float(c) for c in rgb)
    return (
        round(16 + 0.257 * r + 0.504 * g + 0.098 * b),
        round(128 - 0.148 * r - 0.291 * g + 0.439 * b),
        round(128 + 0.439 * r - 0.368 * g - 0.071 * b),
    )


def test_yuv():
    y, u, v = yuv(GREEN)
    uyvy, yuyv = (np.array(order, np.uint8).reshape(1, 2, 2) for order in ([u, y, v, y], [y, u, y, v]))
    planes = np.full((6, 4), y, np.uint8)
    nv12, nv21 = planes.copy(), planes.copy()
    nv12[4:] = np.tile([u, v], (2, 2))
    nv21[4:] = np.tile([v, u], (2, 2))
    i420, yv12 = planes.copy(), planes.copy()
    i420[4:], yv12[4:] = [[u] * 4, [v] * 4], [[v] * 4, [u] * 4]
    nv16, nv61 = np.full((8, 4), y, np.uint8), np.full((8, 4), y, np.uint8)
    nv16[4:], nv61[4:] = [u, v, u, v], [v, u, v, u]
    yvyu, vyuy = (np.array(order, np.uint8).reshape(1, 2, 2) for order in ([y, v, y, u], [v, y, u, y]))
    whole = {"nv12": nv12, "nv21": nv21, "yuv420": i420, "I420": i420, "yv12": yv12, "nv16": nv16}
    cases = whole | {
        "yuv422": uyvy,
        "uyvy": uyvy,
        "yuv422_yuy2": yuyv,
        "yuyv": yuyv,
        "YUY2": yuyv,
        "yvyu": yvyu,
        "vyuy": vyuy,
        "nv61": nv61,
    }
    for encoding, pixels in cases.items():
        size = (4, 4) if len(pixels) > 1 else None
        read = messages.read_image(image_message(pixels, encoding, size=size))
        assert read.shape == ((4, 4, 3) if size else (1, 2, 3)), encoding
        assert np.abs(read.astype(int) - GREEN).max() <= 3, encoding


def test_every_encoding_honours_padding_and_refuses_short_data():
    rng = np.random.default_rng(0)
    channels = {"rgb8": 3, "bgr8": 3, "8UC3": 3, "rgba8": 4, "bgra8": 4, "8UC4": 4}
    channels |= {"rgb16": 6, "bgr16": 6, "16UC3": 6, "rgba16": 8, "bgra16": 8, "16UC4": 8}
    rows = {"nv12": 6, "nv21": 6, "yuv420": 6, "yv12": 6, "nv16": 8, "nv61": 8}
    packed = ("16", "uy", "vy", "yuv")
    for encoding in messages.KNOWN_ENCODINGS:
        wide = 2 if encoding not in rows and any(word in encoding for word in packed) else 1
        line = 4 * channels.get(encoding, wide)
        lines = rng.integers(0, 255, (rows.get(encoding, 4), line), np.uint8)
        plain = image_message(lines, encoding, size=(4, 4))
        padded = image_message(lines, encoding, size=(4, 4), step=line + 5)
        for wrong in (0, line // 2, lines.size):
            whole = image_message(lines, encoding, size=(4, 4))
            whole.step = wrong
            assert np.array_equal(messages.read_image(whole), messages.read_image(plain)), encoding
        assert np.array_equal(messages.read_image(plain), messages.read_image(padded)), encoding
        # The last line's padding may be missing, a pixel may not.
        padded.data = padded.data[:-5]
        messages.read_image(padded)
        padded.data = padded.data[:-1]
        with pytest.raises(InputError, match="cut short"):
            messages.read_image(padded)


@pytest.mark.parametrize("big", [False, True])
def test_deep_colours_are_stretched_together(big):
    """So that their hues remain: all channels lie between the same two limits."""
    deep = 1000 + 4 * COLOURS.astype(np.uint16)
    kind = ">u2" if big else "<u2"
    expected = (COLOURS.astype(float) - COLOURS.min()) / np.ptp(COLOURS) * 255
    for encoding, order in {"rgb16": [0, 1, 2], "bgr16": [2, 1, 0], "16UC3": [2, 1, 0]}.items():
        message = image_message(deep[..., order].astype(kind), encoding, big=int(big))
        np.testing.assert_allclose(messages.read_image(message), expected, atol=1)


@pytest.mark.parametrize("kind", [bytes, bytearray, np.asarray, lambda d: array.array("B", d.tobytes())])
def test_any_data_container(kind):
    message = image_message(COLOURS, "bgr8")
    message.data = kind(message.data)
    assert np.array_equal(messages.read_image(message), COLOURS[..., ::-1])


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (image_message(COLOURS, "rgb7"), "known are rgb8"),
        (image_message(COLOURS, ""), "known are rgb8"),
        (image_message(COLOURS, "rgb8", size=(0, 2)), "size 2x0"),
        (image_message(COLOURS, "rgb8", size=(2, 0)), "size 0x2"),
        (image_message(COLOURS, "rgb8", size=(2, 3)), "step 6 for 3 pixels"),
        (image_message(np.zeros((3, 3), np.uint8), "i420", size=(3, 4)), "height by 2"),
        (image_message(COLOURS, "rgb8", data=b""), "cut short"),
        (image_message(np.zeros((4, 3), np.uint16), "uyvy"), "divisible by 2"),
        (image_message(np.zeros((3, 3), np.uint8), "nv12", size=(3, 4)), "height by 2"),
        (image_message(np.zeros((2, 4), np.uint8), "bayer_rggb8"), "at least 3"),
        (image_message(np.zeros((4, 2), np.uint8), "bayer_rggb8"), "at least 3"),
    ],
)
def test_bad_images_are_named(message, says):
    with pytest.raises(InputError, match=says):
        messages.read_image(message)


def test_the_smallest_images_are_read():
    one = image_message(COLOURS[:1, :1], "rgb8")
    assert np.array_equal(messages.read_image(one), COLOURS[:1, :1])
    bayer = image_message(np.full((3, 5), 7, np.uint8), "bayer_rggb8")
    assert np.array_equal(messages.read_image(bayer), np.full((3, 5, 3), 7))


@pytest.mark.parametrize(("extension", "end"), [(".jpg", 2), (".png", 12)])
def test_compressed_image(extension, end):
    image = np.full((40, 60, 3), RED, np.uint8)
    image[:, 30:] = BLUE
    data = cv2.imencode(extension, image[..., ::-1])[1].tobytes()
    message = SimpleNamespace(format=extension, data=array.array("B", data))
    read = messages.read_compressed_image(message).astype(int)
    assert read.shape == image.shape
    assert np.abs(read[:, [5, 55]] - image[:, [5, 55]]).max() <= 6
    cut = data[: len(data) * 2 // 3], data[:-end]
    for damaged in (*cut, b"", b"\xff\xd8\xff\xd9", b"no picture", b"\x89PNG IEND"):
        with pytest.raises(InputError, match="cannot be decoded"):
            messages.read_compressed_image(SimpleNamespace(format=extension, data=damaged))


@pytest.mark.parametrize(
    ("form", "data", "says"),
    [
        ("h264", b"\0\0\0\1\x67\x42", r"video .*Decode it first"),
        ("", b"\0\0\1\x67\x42", "video"),
        ("rgb8; hevc", b"any", "video"),
        ("16UC1; compressedDepth png", b"\0" * 12 + b"\x89PNG", "compressed depth"),
    ],
)
def test_what_is_no_picture_is_named(form, data, says):
    with pytest.raises(InputError, match=says):
        messages.read_compressed_image(SimpleNamespace(format=form, data=data))


def test_exif_orientation_is_ignored():
    jpeg = cv2.imencode(".jpg", np.zeros((8, 24, 3), np.uint8))[1].tobytes()
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: rotate by 90
    exif = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff
    turned = jpeg[:2] + exif + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (24, 8, 3)
    assert messages.read_compressed_image(SimpleNamespace(format="jpeg", data=turned)).shape == (8, 24, 3)


# --- depth images


@pytest.mark.parametrize("big", [0, 1])
def test_depth_by_hand(big):
    order = ">" if big else "<"
    metres = np.array([[1.5, np.nan, np.inf, -np.inf, 0, -1]], order + "f4")
    read = messages.read_depth(image_message(metres, "32FC1", step=28, big=big))
    np.testing.assert_array_equal(read, [[1.5, *[np.nan] * 5]])
    millimetres = np.array([[0, 1, 1500, 65535]], order + "u2")
    read = messages.read_depth(image_message(millimetres, "16UC1", step=11, big=big))
    np.testing.assert_allclose(read, [[np.nan, 0.001, 1.5, np.nan]], rtol=1e-6)


def test_depth_in_millimetres_is_rounded_and_what_does_not_fit_is_unknown():
    depth = np.array([[1.0004, 1.0006, 65.5339, 65.535, np.inf, np.nan, -1.0, 0.0002]], np.float32)
    before = depth.copy()
    data = messages.depth_fields(depth, "16UC1")["data"]
    assert data.view("<u2").tolist() == [1000, 1001, 65534, 0, 0, 0, 0, 0]
    assert np.array_equal(depth, before, equal_nan=True)


def test_depth_read_is_a_copy():
    message = image_message(np.array([[-1.0, 2.0]], np.float32), "32FC1")
    before = message.data.copy()
    messages.read_depth(message)[:] = 0
    assert np.array_equal(message.data, before)


def test_depth_refuses_colour():
    with pytest.raises(InputError, match="has depth, not colours"):
        messages.read_depth(image_message(COLOURS, "rgb8"))
    with pytest.raises(InputError, match="32FC1 or 16UC1"):
        messages.depth_fields(np.zeros((2, 2), np.float32), "64FC1")
    for image in (np.zeros((2, 2, 3), np.float32), np.zeros((2, 2, 4), np.uint8), np.zeros((2, 3), np.uint8)):
        with pytest.raises(InputError, match="needed uint8"):
            messages.image_fields(image)


# --- cameras


def rectification_of(info):
    return messages.read_camera_info(info, rectified=False).rectification


def test_raw_and_rectified_camera():
    raw = messages.read_camera(info_message(), rectified=False)
    assert (raw.K[0, 0], raw.distortion_model, raw.D[1]) == (500, "plumb_bob", -0.2)
    rectified = messages.read_camera(info_message(), rectified=True)
    assert rectified.K.tolist() == [[400, 0, 310], [0, 410, 230], [0, 0, 1]]
    assert not rectified.distorted
    P, mirror = [400.0, 0, 310, 0, 0, 410, 230, 0, 0, 0], [1.0, 0, 0, 0, 1, 0, 0, 0, -1]
    for broken in (
        {"r": [np.nan] * 9},
        {"r": [1.0] + [0.0] * 8},
        {"r": mirror},
        {"r": [1.01, 0, 0, 0, 1, 0, 0, 0, 1]},
        {"p": [*P, 0, 1]},
        {"p": [*P[:9], 0.1, 1, 0]},
        {"p": [-400.0, *P[1:], 1, 0]},
        {"p": [*P[:5], -410.0, *P[6:], 1, 0]},
    ):
        with pytest.raises(InputError, match="camera_info: "):
            rectification_of(info_message(**broken))
    wanted = rectification_of(info_message())
    assert wanted.K.tolist() == rectified.K.tolist()
    assert wanted.R.tolist() == np.eye(3).tolist()
    assert rectification_of(info_message(r=[0.0] * 9)).R.tolist() == np.eye(3).tolist()
    assert rectification_of(info_message(p=[0.0] * 12)) is None


def test_rectified_without_P_takes_K_only_when_the_lens_is_straight():
    straight = info_message(p=[0.0] * 12, d=[0.0] * 5)
    assert messages.read_camera(straight, rectified=True).K[0, 0] == 500
    with pytest.raises(InputError, match="Publish P"):
        messages.read_camera(info_message(p=[0.0] * 12), rectified=True)
    fisheye = info_message(p=[0.0] * 12, d=[0.0] * 4, distortion_model="equidistant")
    with pytest.raises(InputError, match="Publish P"):
        messages.read_camera(fisheye, rectified=True)


@pytest.mark.parametrize(
    ("model", "d", "expected"),
    [
        ("", [], ("none", 0)),
        ("plumb_bob", [], ("none", 0)),
        ("plumb_bob", [0.1] * 8, ("rational_polynomial", 8)),
        ("rational_polynomial", [0.1] * 5, ("plumb_bob", 5)),
        ("equidistant", [0.0] * 4, ("equidistant", 4)),
        ("pinhole", [0.0] * 5, ("none", 0)),
        ("", [0.0] * 8, ("none", 0)),
        ("radtan", [0.1] * 4, ("plumb_bob", 4)),
        ("Radial-Tangential", [0.1] * 4, ("plumb_bob", 4)),
        ("plumb_bob", [0.1, 0.2], ("plumb_bob", 4)),
        ("plumb_bob", [0.1] * 5 + [0.0] * 4, ("plumb_bob", 5)),
        ("plumb_bob", [0.1] * 6, ("rational_polynomial", 8)),
        ("rational", [0.1] * 8 + [0.0] * 2, ("rational_polynomial", 8)),
        ("fisheye", [0.1] * 4, ("equidistant", 4)),
        ("kannala_brandt", [0.1] * 4 + [0.0] * 8, ("equidistant", 4)),
        ("equidistant", [0.1, 0.2], ("equidistant", 4)),
    ],
)
def test_distortion_models(model, d, expected):
    camera = messages.read_camera(info_message(distortion_model=model, d=d), rectified=False)
    assert (camera.distortion_model, len(camera.D)) == expected
    kept = [x for x in d if x]
    assert camera.D[: len(kept)] == tuple(kept) and not any(camera.D[len(kept) :])


def test_binning_and_roi_that_are_in_the_numbers_already_are_not_applied_again():
    size, roi = (640, 480), SimpleNamespace(x_offset=100, y_offset=50, width=640, height=480)
    for applied in ({"binning_x": 2, "binning_y": 2}, {"roi": roi}):
        for rectified, focal in ((False, 500), (True, 400)):
            info = info_message(d=[], **applied)
            camera = messages.read_camera(info, rectified=rectified, image_size=size)
            assert (camera.width, camera.height, camera.K[0, 0]) == (*size, focal)
    half = messages.read_camera(
        info_message(binning_x=2, binning_y=2), rectified=False, image_size=(320, 240)
    )
    assert (half.width, half.K[0, 0]) == (320, 250)


@pytest.mark.parametrize("size", [{"width": 0, "height": 0}, {"width": 0}])
def test_a_camera_info_without_size_takes_the_image_s(size):
    camera = messages.read_camera(info_message(**size), rectified=False, image_size=(64, 48))
    assert (camera.width, camera.height, camera.K[0, 0]) == (64, 48, 500)


KITTI = [400.0, 0, 310, 24.9, 0, 410, 230, 0.12, 0, 0, 1, 2.7e-3]


@pytest.mark.parametrize(
    ("column", "frame", "how", "expected"),
    [
        ([-160, 0, 0], "left_optical", "auto", [0.4, 0]),
        ([0, -82, 0], "upper_optical", "auto", [0, 0.2]),
        ([-160, 0, 0], "left_optical", "ignore", [0, 0]),
        ([-160, 0, 0], "zed_right_camera_optical_frame", "auto", [0, 0]),
        ([-160, 0, 0], "zed_right_camera_optical_frame", "use", [0.4, 0]),
        ([-160, 0, 0], "headRight1/optical", "auto", [0, 0]),
        ([-160, 0, 0], "camera_infra2_optical_frame", "auto", [0, 0]),
        ([-160, 0, 0], "bright_left_optical", "auto", [0.4, 0]),
        ([-160, 0, 0], "upright_mast", "auto", [0.4, 0]),
        ([-160, 0, 2.7e-3], "left_optical", "auto", [0, 0]),
        ([24.9, 0, 0], "camera", "auto", [0, 0]),
    ],
)
@pytest.mark.parametrize("rectified", [True, False])
def test_the_offset_of_a_right_camera_is_its_position(column, frame, how, expected, rectified):
    P = np.c_[np.array([[400.0, 0, 310], [0, 410, 230], [0, 0, 1]]), column]
    turned = rigid_transform([0, 0, 0], [0, 0, 0.5**0.5, 0.5**0.5])[:3, :3]
    info = info_message(p=P.ravel(), r=turned.ravel(), header=SimpleNamespace(frame_id=frame))
    camera, wanted, note = messages.read_camera_info(info, rectified=rectified, stereo_offset=how)
    expected = np.array([*expected, 0])
    np.testing.assert_allclose(camera.position_m, expected if rectified else turned.T @ expected, atol=1e-12)
    if not rectified:
        np.testing.assert_allclose(wanted.position_m, expected, atol=1e-12)
    left_out = how == "auto" and not expected.any() and column in ([-160, 0, 0], [0, -82, 0])
    assert (note is not None) == left_out
    if rectified:  # by the equation of CameraInfo.msg
        published = messages.camera_info_fields(camera)["p"].reshape(3, 4)
        uv, _ = project(np.array([[0, 0, 2]]), camera)
        np.testing.assert_allclose(uv[0], (published @ [0, 0, 2, 1])[:2] / 2, rtol=1e-6)
        np.testing.assert_allclose(published, P if expected.any() else np.c_[P[:, :3], [0, 0, 0]], atol=1e-9)


def test_kitti_s_projection_matrix_is_a_pinhole():
    camera = messages.read_camera(info_message(p=KITTI, k=[0] * 9, d=[], r=[0] * 9), rectified=True)
    assert camera.K.tolist() == [[400, 0, 310], [0, 410, 230], [0, 0, 1]] and not any(camera.position_m)


@pytest.mark.parametrize("rectified", [True, False])
def test_binning_and_roi(rectified):
    """A pixel of the small image looks along the ray of the middle of the sensor pixels it covers."""
    roi = SimpleNamespace(x_offset=100, y_offset=50, width=400, height=300, do_rectify=True)
    full = messages.read_camera(info_message(d=[0.0] * 5), rectified=rectified)
    binned = info_message(d=[0.0] * 5, roi=roi, binning_x=2, binning_y=3)
    small = messages.read_camera(binned, rectified=rectified)
    assert (small.width, small.height) == (200, 100)
    ray = unproject(np.array([[10, 20]]), np.array([1.0]), small)
    expected = unproject(np.array([[100 + 10 * 2 + 0.5, 50 + 20 * 3 + 1]]), np.array([1.0]), full)
    np.testing.assert_allclose(ray, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"k": [0.0] * 9}, "not calibrated"),
        ({"k": [np.nan] * 9}, "not calibrated"),
        ({"width": 0}, "size 0x480"),
        ({"distortion_model": "double_sphere"}, "double_sphere"),
        ({"d": [0.1] * 3}, "3 distortion coefficients"),
        ({"d": [0.1] * 15}, "15 distortion coefficients"),
        ({"d": [0.1] * 4, "distortion_model": "pinhole"}, "4 distortion coefficients"),
        ({"d": [0.1] * 5, "distortion_model": "fisheye"}, "5 distortion coefficients"),
        ({"d": [0.0] * 5, "distortion_model": "mei"}, "'mei'"),
        ({"k": [1.0] * 4}, "K has 4 values"),
    ],
)
def test_bad_cameras_are_named(changes, says):
    with pytest.raises(InputError, match=says):
        messages.read_camera(info_message(**changes), rectified=False)


# --- clouds

POINTS = np.random.default_rng(1).normal(size=(3, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pad", [0, 7])
@pytest.mark.parametrize("layout", [None, ([16, 0, 8], 26), ([3, 11, 19], 27)])
def test_cloud_layouts(kind, order, pad, layout):
    offsets, point_step = layout or (None, None)
    message = cloud_message(POINTS, kind=kind, order=order, pad=pad, offsets=offsets, point_step=point_step)
    read = messages.read_points(message)
    assert np.array_equal(read, POINTS.reshape(-1, 3))
    assert read.dtype == np.dtype(kind) and read.flags.c_contiguous


def test_coordinates_may_be_of_two_types():
    message = cloud_message(POINTS, kind="f4", offsets=[0, 4, 16], point_step=24)
    values = np.ascontiguousarray(message.data).reshape(-1, 24)
    values[:, 8:16] = POINTS[..., 2].reshape(-1, 1).astype("<f8").view(np.uint8)
    message.fields[2].offset, message.fields[2].datatype = 8, 8
    message.data = values.reshape(-1)
    assert np.array_equal(messages.read_points(message), POINTS.reshape(-1, 3))


def test_the_last_line_s_padding_may_be_missing_a_point_may_not():
    message = cloud_message(POINTS, pad=7)
    message.data = message.data[:-7]
    assert np.array_equal(messages.read_points(message), POINTS.reshape(-1, 3))
    message.data = message.data[:-1]
    with pytest.raises(InputError, match="cut short"):
        messages.read_points(message)


def test_coordinates_of_a_map_keep_their_millimetres():
    utm = np.array([[[691603.371, 5335823.812, 519.203]]])
    assert np.array_equal(messages.read_points(cloud_message(utm, kind="f8")), utm[0])


def test_empty_cloud_and_one_row_without_row_step():
    assert messages.read_points(cloud_message(POINTS[:1, :0])).shape == (0, 3)
    message = cloud_message(POINTS[:1])
    message.row_step = 0
    assert np.array_equal(messages.read_points(message), POINTS[0])


def changed(message, **changes):
    return SimpleNamespace(**{**vars(message), **changes})


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (cloud_message(POINTS, names="xyi"), "no field z; found x, y, i"),
        (changed(cloud_message(POINTS), fields=[]), "found no fields"),
        (cloud_message(POINTS, kind="i4"), "needed FLOAT32"),
        (changed(cloud_message(POINTS), data=b"1234"), "cut short"),
        (changed(cloud_message(POINTS), point_step=8, height=5), "needed at least 12"),
        (changed(cloud_message(POINTS), data=np.zeros(143, np.uint8)), "cut short"),
        (changed(cloud_message(POINTS), width=2**20, point_step=0), "needed at least 12"),
    ],
)
def test_bad_clouds_are_named(message, says):
    with pytest.raises(InputError, match=says):
        messages.read_points(message)


@pytest.mark.parametrize(
    "wrong",
    [
        {"row_step": 144},
        {"row_step": 0},
        {"row_step": 12},
        {"row_step": 4},
        {"height": 0},
        {"width": 0},
        {"width": 12, "height": 12, "row_step": 144},
        {"width": 100, "height": 1},
        {"point_step": 8},
        {"point_step": 0},
    ],
)
def test_a_wrong_layout_of_whole_data_does_not_matter(wrong):
    """12 points of 12 bytes, said to be 3 rows of 4."""
    assert np.array_equal(
        messages.read_points(changed(cloud_message(POINTS), **wrong)), POINTS.reshape(-1, 3)
    )


def test_a_field_that_point_step_forgets_is_stepped_over():
    message = cloud_message(POINTS, point_step=16)
    message.fields.append(SimpleNamespace(name="intensity", offset=12, datatype=7, count=1))
    message.point_step, message.row_step = 12, 48
    assert np.array_equal(messages.read_points(message), POINTS.reshape(-1, 3))


@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("coloured", [True, False])
def test_organised_cloud_equals_the_plain_loop(stride, coloured):
    rng = np.random.default_rng(2)
    depth = rng.uniform(0.5, 10, (4, 6)).astype(np.float32)
    depth[0, 0], depth[0, 2], depth[2, 0] = np.nan, 1, 8
    image = rng.integers(0, 255, (4, 6, 3), np.uint8)
    fields = messages.cloud_fields(
        depth, image if coloured else None, CAMERA, stride=stride, min_depth_m=1, max_depth_m=8
    )
    names = ["x", "y", "z", "rgb"] if coloured else ["x", "y", "z"]
    assert fields["fields"] == tuple((name, 4 * i, 7, 1) for i, name in enumerate(names))
    assert fields["point_step"] == 4 * len(names)
    assert fields["row_step"] == fields["width"] * fields["point_step"]
    assert (fields["height"], fields["width"]) == (len(range(0, 4, stride)), len(range(0, 6, stride)))
    assert not fields["is_dense"] and fields["data"].dtype == np.uint8
    points = fields["data"].view("<f4").reshape(fields["height"], fields["width"], -1)
    for row, v in enumerate(range(0, 4, stride)):
        for column, u in enumerate(range(0, 6, stride)):
            z = depth[v, u] if 1 <= depth[v, u] <= 8 else np.nan
            expected = [(u - 2.5) / 5 * z, (v - 1.5) / 5 * z, z]
            np.testing.assert_allclose(points[row, column, :3], expected, rtol=1e-6)
            if coloured:
                r, g, b = (int(c) for c in image[v, u])
                assert points[row, column, 3:].view("<u4")[0] == r * 65536 + g * 256 + b


def test_organised_cloud_has_no_veils():
    depth = np.full((40, 60), 2.0, np.float32)
    depth[:, 30:] = 4.0
    depth[:, 28:32] = [2.4, 2.8, 3.2, 3.6]  # a network's edge
    K = np.array([[60.0, 0, 29.5], [0, 60.0, 19.5], [0, 0, 1]])
    camera = Camera(60, 40, K)
    for stride in (1, 2):
        fields = messages.cloud_fields(depth, None, camera, stride=stride, min_angle_deg=10.0)
        points = fields["data"].view("<f4").reshape(fields["height"], fields["width"], 3)
        veiled = np.isin(np.arange(0, 60, stride), range(28, 32))
        assert (np.isnan(points).all(axis=2) == veiled).all()


def test_the_cloud_of_a_right_camera_is_in_the_frame_of_the_left_one():
    camera = replace(CAMERA, position_m=(0.4, 0.0, 0.0))
    moved, there = (messages.cloud_fields(np.ones((4, 6), np.float32), None, c) for c in (camera, CAMERA))
    moved, there = (fields["data"].view("<f4").reshape(-1, 3) for fields in (moved, there))
    np.testing.assert_allclose(moved - there, np.tile([0.4, 0, 0], (24, 1)), atol=1e-6)
    uv, depth = project(moved, camera)
    np.testing.assert_allclose(uv[7], [1, 1], atol=1e-5)
    np.testing.assert_allclose(unproject(uv, depth, camera), moved, atol=1e-6)


def test_organised_cloud_drops_pixels_the_lens_model_does_not_reach():
    K = np.array([[5.0, 0, 50], [0, 5.0, 50], [0, 0, 1]])
    camera = Camera(101, 101, K, "plumb_bob", (-0.3, 0.0, 0.0, 0.0))  # folds back far off axis
    fields = messages.cloud_fields(np.ones((101, 101), np.float32), None, camera)
    points = fields["data"].view("<f4").reshape(101, 101, 3)
    assert np.isnan(points[0, 0]).all() and np.isfinite(points[50, 50]).all()


def test_cloud_sizes_must_agree():
    depth = np.ones((4, 6), np.float32)
    with pytest.raises(InputError, match="needed one size"):
        messages.cloud_fields(depth.T, None, CAMERA)
    with pytest.raises(InputError, match="needed one size"):
        messages.cloud_fields(depth, np.zeros((4, 5, 3), np.uint8), CAMERA)
    for points, extra in (((3, 2), ()), ((3,), ()), ((3, 3), (3, 2))):
        with pytest.raises(InputError, match=r"needed points \(N, 3\)"):
            messages.points_fields(np.zeros(points), {f"{n}": np.zeros(n) for n in extra})
    with pytest.raises(InputError, match="type of"):
        messages.points_fields(np.zeros((3, 3)), {"name": np.array(["a", "b", "c"])})


# --- labels


def label_message(labels, encoding, kind, **changes):
    pixels = np.ascontiguousarray(labels, np.dtype(kind).newbyteorder("<"))
    fields = {"height": labels.shape[0], "width": labels.shape[1], "encoding": encoding, "is_bigendian": 0}
    fields |= {"step": pixels.strides[0], "data": pixels.reshape(-1).view(np.uint8)}
    return SimpleNamespace(**{**fields, **changes})


@pytest.mark.parametrize(
    ("encoding", "kind", "values"),
    [
        ("mono8", "u1", [0, 7, 255]),
        ("8UC1", "u1", [1, 2, 3]),
        ("8SC1", "i1", [-1, 0, 5]),
        ("mono16", "u2", [0, 300, 65535]),
        ("16UC1", "u2", [4, 5, 6]),
        ("16SC1", "i2", [-300, 0, 9]),
        ("32SC1", "i4", [-1, 0, 8]),
        ("32SC1", "i4", [-(2**31), 17, 2**31 - 1]),
    ],
)
def test_labels_are_counted_from_0_in_their_order(encoding, kind, values):
    wanted = np.array([[0, 1, 1, 2], [2, 2, 0, 1]])
    found = messages.read_labels(label_message(np.array(values)[wanted], encoding, kind))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, wanted)


def test_pictures_and_truncated_label_images_are_refused():
    labels = np.zeros((2, 4))
    with pytest.raises(InputError, match="encoding 'rgb8'; needed one of"):
        messages.read_labels(label_message(labels, "rgb8", "u1"))
    with pytest.raises(InputError, match="cut short"):
        messages.read_labels(label_message(labels, "32SC1", "i4", data=np.zeros(31, np.uint8)))


# --- transforms


def transform(translation, rotation, parent="map", child="base"):
    types = ROS2.types
    return types["geometry_msgs/msg/TransformStamped"](
        types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](5, 6), parent),
        child,
        types["geometry_msgs/msg/Transform"](
            types["geometry_msgs/msg/Vector3"](*translation), types["geometry_msgs/msg/Quaternion"](*rotation)
        ),
    )


def test_transforms():
    half = 0.5**0.5
    stamped = transform((1.0, 2.0, 3.0), (0.0, 0.0, half, half))
    parent, child, T, stamp = messages.read_transform(stamped)
    assert (parent, child, stamp) == ("map", "base", 5_000_000_006)
    np.testing.assert_allclose(T, rigid_transform([1, 2, 3], [0, 0, half, half]))
    np.testing.assert_allclose(T @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)


@pytest.mark.parametrize(
    "stamped",
    [
        transform((1.0, 2.0, np.nan), (0.0, 0.0, 0.0, 1.0)),
        transform((1.0, 2.0, 3.0), (0.0, 0.0, 0.0, 0.0)),
        transform((1.0, 2.0, 3.0), (0.0, 0.0, 0.0, 1.0), child=""),
        transform((1.0, 2.0, 3.0), (0.0, 0.0, 0.0, 1.0), child="/map"),
    ],
)
def test_bad_transforms_are_named(stamped):
    with pytest.raises(InputError, match=r"tf: .*'map'"):
        messages.read_transform(stamped)

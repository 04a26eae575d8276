"""Messages that declare more than they hold, or hold more than they seem to."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from ros1_bag import SECOND, Ros1Bag, image_of

from metric_depth_ros import messages
from metric_depth_ros.bags import BagReader
from metric_depth_ros.config import from_flat
from metric_depth_ros.encoded_pictures import MOST_PIXELS, decode_picture
from metric_depth_ros.errors import InputError
from metric_depth_ros.messages import depth_images
from metric_depth_ros.types import Camera

CAMERA = Camera(16, 12, np.array([[20.0, 0, 7.5], [0, 20, 5.5], [0, 0, 1]]))


def png(width: int, height: int, depth: int = 8) -> bytes:
    """A grey PNG that states a size and holds the first line of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    data = zlib.compress(bytes(1 + width * depth // 8))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose header states a size."""
    data = bytearray(cv2.imencode(".jpg", image_of(0))[1].tobytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def compressed(data: bytes, form: str = "") -> Any:
    return SimpleNamespace(format=form, data=data)


@pytest.fixture
def nothing_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("it is decoded")

    monkeypatch.setattr(cv2, "imdecode", refuse)


@pytest.mark.parametrize("make", [png, jpeg])
@pytest.mark.parametrize("size", [(32_000, 32_000), (9990, 9990), (6401, 5000), (40_000, 1)])
@pytest.mark.usefixtures("nothing_decoded")
def test_a_picture_s_size_is_known_before_it_is_decoded(make: Any, size: tuple[int, int]) -> None:
    for read in (messages.image_size, messages.read_compressed_image):
        with pytest.raises(InputError, match=rf"^image: is of {size[0]}x{size[1]} pixels; at most 32000000"):
            read(compressed(make(*size)))


@pytest.mark.parametrize("make", [png, jpeg])
@pytest.mark.parametrize("size", [(6048, 4032), (640, 480), (1, 1)])
@pytest.mark.usefixtures("nothing_decoded")
def test_the_sizes_of_cameras_are_read(make: Any, size: tuple[int, int]) -> None:
    assert messages.image_size(compressed(make(*size))) == size
    assert messages.image_size(SimpleNamespace(width=size[0], height=size[1])) == size


@pytest.mark.parametrize("suffix", [".bmp", ".tiff", ".webp", ".ppm", ".jp2"])
@pytest.mark.usefixtures("nothing_decoded")
def test_only_jpeg_and_png_are_decoded(suffix: str) -> None:
    data = cv2.imencode(suffix, np.zeros((120, 160, 3), np.uint8))[1].tobytes()
    with pytest.raises(InputError, match="needed a whole JPEG or PNG"):
        messages.read_compressed_image(compressed(data, suffix))


@pytest.mark.parametrize("data", [png(4000, 3000), jpeg(4000, 3000), jpeg(16, 13)])
@pytest.mark.usefixtures("nothing_decoded")
def test_a_picture_of_another_size_than_its_camera_s_is_not_decoded(tmp_path: Path, data: bytes) -> None:
    bag = Ros1Bag()
    fields = {"format": "", "data": np.frombuffer(data, np.uint8)}
    bag._add("/image", "sensor_msgs/msg/CompressedImage", fields, SECOND, "camera", None)
    bag.info(SECOND)
    bag.cloud(SECOND)
    with BagReader(bag.write(tmp_path / "a.bag")) as reader:
        ((_, outcome),) = reader.samples(from_flat({}))
    assert isinstance(outcome, InputError) and "but camera_info is for 16x12" in str(outcome)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (png(4000, 3000, 16), "4000x3000, but its camera_info is for 16x12"),
        (png(32_000, 32_000, 16), "32000x32000 pixels; at most"),
        (png(16, 12, 8), "needed a whole 16-bit PNG"),
        (jpeg(16, 12), "needed a whole 16-bit PNG"),
    ],
)
@pytest.mark.parametrize("head", [b"", bytes(12)])
@pytest.mark.usefixtures("nothing_decoded")
def test_compressed_depth_s_size_is_known_before_it_is_decoded(data: bytes, says: str, head: bytes) -> None:
    message = compressed(head + data, "16UC1; compressedDepth png")
    with pytest.raises(InputError, match=says):
        depth_images.read_compressed_depth_points(message, lambda _: CAMERA)


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**32 - 1, 500_000])
@pytest.mark.parametrize("chunk", [b"IDAT", b"IEND"])
@pytest.mark.usefixtures("nothing_decoded")
def test_a_chunk_of_a_png_must_fit_its_data(length: int, chunk: bytes) -> None:
    """OpenCV allocates what the chunk says."""
    for data in (png(16, 12), png(16, 12, 16)):
        at = data.index(chunk) - 4
        data = data[:at] + struct.pack(">I", length) + data[at + 4 :]
        with pytest.raises(InputError, match="cannot be decoded"):
            messages.read_compressed_image(compressed(data))
        with pytest.raises(InputError, match="needed a whole 16-bit PNG"):
            depth_images.read_compressed_depth_points(compressed(data, "16UC1"), lambda _: CAMERA)
        with pytest.raises(InputError, match="cut short"):
            decode_picture(data, cv2.IMREAD_COLOR)


def raw(**changes: Any) -> Any:
    fields = {"height": 1, "width": 1, "step": 1, "encoding": "mono8", "is_bigendian": 0, "data": bytes(100)}
    return SimpleNamespace(**{**fields, **changes})


@pytest.mark.parametrize(
    ("read", "encoding"),
    [
        (messages.read_image, "mono8"),
        (messages.read_image, "bayer_rggb8"),
        (messages.read_image, "nv12"),
        (messages.read_depth, "16UC1"),
        (messages.read_labels, "32SC1"),
    ],
)
@pytest.mark.parametrize(
    "size", [(2**32 - 2, 2**32 - 2), (50_000, 40_000), (20_000, 20_000), (9990, 9990), (2**31, 4)]
)
def test_a_raw_image_that_declares_gigabytes_is_refused(read: Any, encoding: str, size: Any) -> None:
    width, height = size
    with pytest.raises(InputError, match=f"{width}x{height} pixels; at most {MOST_PIXELS}"):
        read(raw(encoding=encoding, width=width, height=height, step=width))


@pytest.mark.parametrize("size", [(2**32 - 1, 2**32 - 1), (500_000_000, 1), (2**16, 2**16)])
@pytest.mark.parametrize("point_step", [0, 4, 12, 2**32 - 1])
def test_a_cloud_that_declares_gigabytes_is_refused(size: tuple[int, int], point_step: int) -> None:
    fields = [SimpleNamespace(name=name, offset=0, datatype=7, count=1) for name in "xyz"]
    message = SimpleNamespace(
        width=size[0], height=size[1], point_step=point_step, row_step=2**32 - 1, is_bigendian=False,
        fields=fields, data=bytes(99),
    )  # fmt: skip
    with pytest.raises(InputError, match="point cloud: 99 bytes for"):
        messages.read_points(message)
